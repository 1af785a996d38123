package template_test

import (
	"fmt"
	"strings"
	"testing"
)

// Tests are for builds as provisioners are, and have provisioners of which that is true, too.
func TestTestsOfBuilds(t *testing.T) {
	ev := evaluate(t, `{
		"builders": [{"type": "x", "name": "web"}, {"type": "x", "name": "db"}],
		"tests": [
			{"name": "smoke", "size": "{{build_name}}", "only": ["web"], "override": {"web": {"more": 1}}},
			{"provisioners": [
				{"type": "a", "inline": "{{build_name}}", "override": {"db": {"inline": "own"}}},
				{"type": "b", "except": ["db"]}]},
			{"name": null, "provisioners": null, "only": [], "except": "web"}]}`, inputs())
	var got []string
	for _, b := range ev.Builds {
		for _, x := range b.Tests {
			line := fmt.Sprintf("%s %q at %d:%d %s", b.Name, x.Name, x.Pos.Line, x.Pos.Column, show(x.Options))
			for _, p := range x.Provisioners {
				line += " " + p.Type + show(p.Options)
			}
			got = append(got, line)
		}
	}
	want := []string{`web "smoke" at 4:13 {size:"web" more:1}`, `web "" at 5:4 {} a{inline:"web"} b{}`, `db "" at 5:4 {} a{inline:"own"}`, `db "" at 8:4 {}`}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
