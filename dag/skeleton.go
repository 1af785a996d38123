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

// Slim are slim records, with where their steps call.
func (e *Engine) Slim(rs []Record) (slim []Record) {
	at := e.sites(nil)
	for _, r := range rs {
		s := r.Slim()
		s.Site = at.of(r.Node)
		slim = append(slim, s)
	}
	return slim
}

// sites knows where steps call.
type sites struct {
	e     *Engine
	g     *Graph         // may be nil: steps are in records alone then
	known map[Key]string // where what a step has made is
}

func (e *Engine) sites(g *Graph) sites { return sites{e, g, map[Key]string{}} }

// of is where a step calls; "" if it calls nowhere.
func (s sites) of(n Node) string {
	if s.e.kinds[n.Kind].site == nil {
		return ""
	}
	return s.made(n)
}

// made is where what a step makes is: where its settings say, or else where what it reads
// was made.
func (s sites) made(n Node) string {
	site, ok := s.known[n.Key]
	if ok {
		return site
	}
	if at := s.e.kinds[n.Kind].site; at != nil {
		site = at(n.Spec)
	}
	for i := 0; site == "" && i < len(n.Needs); i++ {
		site = s.made(s.e.node(s.g, n.Needs[i]))
	}
	s.known[n.Key] = site
	return site
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
	at := e.sites(g)
	for i, n := range g.Nodes {
		s.Nodes[i] = n.slim()
		s.Nodes[i].Site = at.of(n)
		if p := e.patience(n); p != defaultPatience {
			s.Nodes[i].Patience = p
		}
	}
	return &s, nil
}
