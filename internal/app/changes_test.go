package app

import (
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
)

func TestChanges(t *testing.T) {
	ref := `{"step":"` + strings.Repeat("0a", 32) + `"}`
	other := `{"step":"` + strings.Repeat("1b", 32) + `"}`
	graph := func(steps ...string) *dag.Graph { // name canon
		g := &dag.Graph{}
		for i, s := range steps {
			name, canon, _ := strings.Cut(s, " ")
			g.Nodes = append(g.Nodes, dag.Node{Key: dag.Key{byte(i)}, Name: name, Builds: []string{"web"}, Canon: canon})
		}
		return g
	}
	for _, x := range []struct {
		old, now *dag.Graph
		want     string
	}{
		{graph("launch t3", "shell a"+ref), graph("launch t3", "shell a"+other), ""},
		{graph("launch t3", "shell a"+ref), graph("launch t3", "shell b"+ref), "web: shell has changed"},
		{graph("shell a", "shell-2 b"), graph("shell a", "shell-2 new", "shell-3 b"), "web: shell-2 is new"},
		{graph("shell a", "shell-2 b"), graph("shell b"), "web: shell is no longer wanted"},
		{graph("shell a"), graph("shell a", "file x"), "web: file is new"},
	} {
		var lines []string
		for _, c := range changes(x.old, x.now) {
			lines = append(lines, c.String())
		}
		if got := strings.Join(lines, "; "); got != x.want {
			t.Errorf("got %q, want %q", got, x.want)
		}
	}
}
