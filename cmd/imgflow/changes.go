package main

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/imgflow/imgflow/dag"
)

// inputRef is how a step's canonical text names another step that it reads.
var inputRef = regexp.MustCompile(`\{"step":"[0-9a-f]{64}"\}`)

// changes tells how the steps of a graph differ from those of an earlier one,
// each in a line. A step that differs only in what it reads has not changed
// itself.
func changes(old, now *dag.Graph) []string {
	type step struct{ build, name, canon string }
	list := func(g *dag.Graph) (out []step) {
		for _, n := range g.Nodes {
			canon := inputRef.ReplaceAllString(n.Canon, `{"step":"*"}`)
			for _, b := range n.Builds {
				out = append(out, step{b, n.Name, canon})
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
	var out []string
	for _, s := range come {
		i := slices.IndexFunc(gone, func(o step) bool { return o.build == s.build && o.name == s.name })
		if i < 0 {
			out = append(out, fmt.Sprintf("%s: %s is new", s.build, s.name))
			continue
		}
		gone = slices.Delete(gone, i, i+1)
		out = append(out, fmt.Sprintf("%s: %s has changed", s.build, s.name))
	}
	for _, s := range gone {
		out = append(out, fmt.Sprintf("%s: %s is no longer wanted", s.build, s.name))
	}
	return out
}
