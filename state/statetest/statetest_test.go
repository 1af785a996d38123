package statetest

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/state"
)

// Every method of a backend, of its journals and of its events has a case, and no case is for a
// method that there is not. Where a journal is, is told of values that are damaged, and only a test of the
// backend itself can damage them.
func TestEveryMethodHasACase(t *testing.T) {
	var have, of []string
	for _, x := range []reflect.Type{reflect.TypeFor[state.Backend](), reflect.TypeFor[state.Journal](), reflect.TypeFor[state.Events](), reflect.TypeFor[state.Schedules]()} {
		for m := range x.NumMethod() {
			have = append(have, x.Name()+"."+x.Method(m).Name)
		}
	}
	for _, c := range slices.Concat(forAll, forShared) {
		of = append(of, strings.Fields(c.of)...)
	}
	have = slices.DeleteFunc(have, func(m string) bool { return m == "Journal.Place" })
	slices.Sort(have)
	slices.Sort(of)
	if got := slices.Compact(of); !slices.Equal(got, have) {
		t.Errorf("there are cases for\n%s\n\nand the methods are\n%s", got, have)
	}
}
