package explain

import (
	"cmp"
	"slices"

	"github.com/imgflow/imgflow/dag"
)

// past is what is known of steps as they were.
type past struct {
	none  bool             // nothing is
	same  map[dag.Key]bool // steps of now that were there in the same form
	forms map[dag.Key]*dag.Node
	byKey map[dag.Key]*dag.Node
}

// was is the earlier form of a step that has changed; nil if there is none.
func (p *past) was(k dag.Key) *dag.Node { return p.forms[k] }

// newPast finds for each step that was not there as it is now an earlier form of it.
// What is in the stored graph counts more than what only a record knows, and of records the
// youngest. Each form is that of one step: first of those with the same settings, then of
// those with the same name.
func newPast(old *dag.Graph, records []dag.Record, g *dag.Graph) *past {
	p := &past{same: map[dag.Key]bool{}, forms: map[dag.Key]*dag.Node{}, byKey: map[dag.Key]*dag.Node{}}
	var before []*dag.Node
	add := func(n *dag.Node) {
		if p.byKey[n.Key] == nil {
			p.byKey[n.Key] = n
			before = append(before, n)
		}
	}
	if old != nil {
		for i := range old.Nodes {
			add(&old.Nodes[i])
		}
	}
	order := make([]int, len(records))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(records[b].Begun.UnixNano(), records[a].Begun.UnixNano()) })
	for _, i := range order {
		add(&records[i].Node)
	}
	p.none = len(before) == 0
	type slot struct{ build, what string }
	bySettings, byName := map[slot][]*dag.Node{}, map[slot][]*dag.Node{}
	for _, n := range before {
		if _, wanted := g.Node(n.Key); wanted {
			p.same[n.Key] = true
			continue
		}
		for _, b := range n.Builds {
			bySettings[slot{b, n.Own()}] = append(bySettings[slot{b, n.Own()}], n)
			byName[slot{b, n.Name}] = append(byName[slot{b, n.Name}], n)
		}
	}
	taken := map[*dag.Node]bool{}
	match := func(among map[slot][]*dag.Node, what func(n dag.Node) string) {
		for _, n := range g.Nodes {
			if p.same[n.Key] || p.forms[n.Key] != nil {
				continue
			}
			for _, b := range n.Builds {
				at := slot{b, what(n)}
				for len(among[at]) > 0 && p.forms[n.Key] == nil {
					if was := among[at][0]; !taken[was] {
						taken[was], p.forms[n.Key] = true, was
					}
					among[at] = among[at][1:]
				}
			}
		}
	}
	match(bySettings, dag.Node.Own)
	match(byName, func(n dag.Node) string { return n.Name })
	return p
}
