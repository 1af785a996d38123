package app

import (
	"fmt"
	"slices"

	"github.com/imgflow/imgflow/dag"
)

// How a step has changed.
const (
	Added   = "is new"
	Edited  = "has changed"
	Removed = "is no longer wanted"
)

// Change is how a step of a build differs from what it was.
type Change struct{ Build, Step, How string }

func (c Change) String() string { return fmt.Sprintf("%s: %s %s", c.Build, c.Step, c.How) }

// changes tells how the steps of a graph differ from those of an earlier one. A
// step that differs only in what it reads has not changed itself, and nothing is told of
// builds whose steps are not known in one of them.
func changes(old, now *dag.Graph) []Change {
	type step struct{ build, name, canon string }
	unknown := map[string]bool{}
	for _, waiting := range []map[string][]string{old.Awaited, old.Behind, now.Awaited, now.Behind} {
		for b := range waiting {
			unknown[b] = true
		}
	}
	list := func(g *dag.Graph) (out []step) {
		for _, n := range g.Nodes {
			for _, b := range n.Builds {
				if unknown[b] {
					continue
				}
				out = append(out, step{b, n.Name, n.Own()})
			}
		}
		return out
	}
	gone, come := list(old), list(now)
	// What stands in both, wherever, is no change.
	for i := 0; i < len(gone); {
		j := slices.IndexFunc(come, func(s step) bool { return s.build == gone[i].build && s.canon == gone[i].canon })
		if j < 0 {
			i++
			continue
		}
		gone, come = slices.Delete(gone, i, i+1), slices.Delete(come, j, j+1)
	}
	var out []Change
	for _, s := range come {
		i := slices.IndexFunc(gone, func(o step) bool { return o.build == s.build && o.name == s.name })
		if i < 0 {
			out = append(out, Change{s.build, s.name, Added})
			continue
		}
		gone = slices.Delete(gone, i, i+1)
		out = append(out, Change{s.build, s.name, Edited})
	}
	for _, s := range gone {
		out = append(out, Change{s.build, s.name, Removed})
	}
	return out
}
