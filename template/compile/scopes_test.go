package compile

import (
	"fmt"
	"testing"

	"github.com/imgflow/imgflow/template"
)

func TestScopes(t *testing.T) {
	for _, x := range []struct {
		names, labels []string
		want          string
	}{
		{[]string{"amazon-ebs.a", "null.b"}, []string{"a", "b"}, "[a b]"},
		{[]string{"a", "base.null.a"}, []string{"a", "a"}, "[a base.null.a]"},
		{[]string{"n", "m"}, []string{"", ""}, "[n m]"},
		{[]string{`null.a["eu"]`, `null.a["us"]`}, []string{"a", "a"}, `[null.a["eu"] null.a["us"]]`},
		{[]string{"b", "c", "x"}, []string{"b", "b", "c"}, "[b c x]"},
		{[]string{"x", "n"}, []string{"n", "n"}, "[n n']"},
	} {
		var builds []template.Build
		for i, name := range x.names {
			builds = append(builds, template.Build{Name: name, Label: x.labels[i]})
		}
		if got := fmt.Sprint(scopes(builds)); got != x.want {
			t.Errorf("%v of %v: %s, want %s", x.names, x.labels, got, x.want)
		}
	}
}
