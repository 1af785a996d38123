package dag

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Rerun makes Solve run a step that is done once more, and all that comes after
// it, on the machine as it stands. Build chooses among steps of one name; it may
// be empty if there is only one.
func (e *Engine) Rerun(g *Graph, build, name string) error {
	var from []Node
	var names []string
	named := map[string]bool{}
	for _, n := range g.Nodes {
		if build != "" && !slices.Contains(n.Builds, build) {
			continue
		}
		if !named[n.Name] {
			named[n.Name] = true
			names = append(names, n.Name)
		}
		if n.Name == name {
			from = append(from, n)
		}
	}
	switch {
	case len(from) == 0:
		return fmt.Errorf("cannot run again from %q: there is no such step; there are %s", name, strings.Join(names, ", "))
	case len(from) > 1:
		return fmt.Errorf("cannot run again from %q: %d builds have such a step: name the build", name, len(from))
	case from[0].Thing:
		return fmt.Errorf("cannot run again from %q: it makes a thing that is there; use a fresh machine instead", name)
	}
	if r, _ := e.rec(from[0].Key); r.Spent {
		return fmt.Errorf("cannot run again from %q: what it has run on has served, and is gone", name)
	}
	after := map[Key]bool{from[0].Key: true}
	var again []Record
	for _, n := range g.Nodes {
		if n.Guard || !after[n.Key] && !slices.ContainsFunc(n.before(), func(k Key) bool { return after[k] }) {
			continue
		}
		if r, ok := e.rec(n.Key); ok && r.Alive() && n.Key != from[0].Key {
			return fmt.Errorf("cannot run again from %q: %s was made from it already", name, describe(r))
		}
		after[n.Key] = true
		if r, ok := e.rec(n.Key); ok && r.Status != Gone {
			r.Status, r.Out, r.Err, r.Ended = StatusFailed, nil, "to be run again", time.Now()
			r.Tries++
			again = append(again, r)
		}
	}
	return e.put(again...)
}
