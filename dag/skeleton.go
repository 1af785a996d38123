package dag

import (
	"cmp"
	"encoding/json"
)

// slim is the node without its settings, and what is made of them.
func (n Node) slim() Node {
	spec := json.RawMessage(nil)
	if n.unreadable() {
		spec = json.RawMessage(`"{{"`) // that is all that has to be known of it
	}
	n.Spec, n.Canon, n.Title, n.Texts = spec, "", "", nil
	return n
}

// maxLabel is how much of the name of a thing is needed to tell people of it, in bytes.
const maxLabel = 200

// Slim is the record without settings and outputs: it says only whether there is an
// output. It is what a pass needs, and holds nothing that a step has made known.
func (r Record) Slim() Record {
	s := Record{Node: r.Node.slim(), Gen: r.Gen, Status: r.Status, Begun: r.Begun, Kept: r.Kept, Spent: r.Spent, Parted: r.Parted, Lender: r.Lender, Label: r.Label[:min(len(r.Label), maxLabel)]}
	if r.Out != nil {
		s.Out = json.RawMessage("true")
	}
	return s
}

// Skeleton is the graph without the settings of its steps. A pass over it decides what
// a pass over the graph would. The errors are those of Solve.
func (e *Engine) Skeleton(g *Graph) (*Graph, error) {
	if err := cmp.Or(g.Err(), e.bound(g)); err != nil {
		return nil, err
	}
	s := *g
	s.digest, s.known, s.whole = nil, nil, nil
	s.Nodes = make([]Node, len(g.Nodes))
	for i, n := range g.Nodes {
		s.Nodes[i] = n.slim()
		if p := e.patience(n); p != defaultPatience {
			s.Nodes[i].Patience = p
		}
	}
	return &s, nil
}
