package steps_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
)

func TestAny(t *testing.T) {
	text := func(s string) steps.Any { x := dag.Text(s); return steps.Any{Text: &x} }
	a := steps.Any{Map: map[string]steps.Any{
		"text": text(`it "is"`), "empty": text(""), "number": {Word: "12345678901234567890.5"}, "none": {Word: "null"}, "yes": {Word: "true"},
		"list": {List: []steps.Any{text("a"), {Word: "[]"}, {Word: "{}"}}},
	}}
	stored, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	var back steps.Any
	if err := json.Unmarshal(stored, &back); err != nil {
		t.Fatal(err)
	}
	places := map[string]bool{}
	v, err := back.JSON(func(at string, x dag.Text) (string, error) { places[at] = true; return strings.ToUpper(string(x)), nil })
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"empty":"","list":["A",[],{}],"none":null,"number":12345678901234567890.5,"text":"IT \"IS\"","yes":true}`
	if got, err := json.Marshal(v); err != nil || string(got) != want || !places[".list[0]"] || !places[".text"] {
		t.Errorf("%s, %v, %v", got, err, places)
	}
	broken := errors.New("no")
	if _, err := a.JSON(func(string, dag.Text) (string, error) { return "", broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
	if (steps.Any{}).Given() || !a.Given() || !a.Object() || !(steps.Any{Word: "{}"}).Object() || text("x").Object() {
		t.Error("what is given")
	}
}
