package explain

import "github.com/imgflow/imgflow/dag"

// Compare tells how a graph differs from an earlier one: the steps that have changed
// themselves or are new, with the difference, and those that are no longer there.
// What only reads something else now is not told of.
func Compare(old, now *dag.Graph) (changed []Step, gone []dag.Node) {
	e := newExplainer(old, nil, now)
	used := map[dag.Key]bool{}
	for _, was := range e.past.forms {
		used[was.Key] = true
	}
	for _, n := range now.Nodes {
		if e.past.same[n.Key] {
			continue
		}
		s := Step{Node: n, Change: Create}
		e.begins(&s, nil, nil)
		if s.Chain() == nil {
			changed = append(changed, s)
		}
	}
	for _, n := range old.Nodes {
		if !e.past.same[n.Key] && !used[n.Key] {
			gone = append(gone, n)
		}
	}
	return changed, gone
}
