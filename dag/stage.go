package dag

import (
	"errors"
	"fmt"
)

// Stage is the part of a graph that is to be solved now. A graph of which some is known
// only when some of it was solved has more than one.
type Stage struct {
	Part    *Graph
	Skipped []Node // what is skipped now since it comes after what has failed
	Lookups bool   // it finds out what builds there are: when it fails, nothing goes on
	Last    bool   // nothing comes after it
	Known   string // stands for what is known so far
}

// Stage returns the stage of a graph as far as it is known. Tried is how the stages
// before it have ended; known is that of the last of them, "" at first.
func (g *Graph) Stage(tried *Report, known string) (Stage, error) {
	s := Stage{Part: g, Last: true}
	if g.Open() {
		s.Known = digestKey(fmt.Sprint(g.Awaited, g.Lookups, g.Behind, g.Results)).String()
		switch {
		case s.Known != known:
			s.Part, s.Lookups, s.Last = g.First(), len(g.Awaited) > 0, false
		case len(tried.Failed) == 0:
			return s, errors.New("cannot go on: what is known now does not say what the builds are")
		} // else they await what has failed
	}
	s.Part, s.Skipped = s.Part.Without(tried)
	return s, nil
}

// Add adds how another stage has ended, which came later.
func (r *Report) Add(more *Report) {
	r.Failed, r.Skipped, r.Left = append(r.Failed, more.Failed...), append(r.Skipped, more.Skipped...), append(r.Left, more.Left...)
	r.Stayed, r.Suspended = append(r.Stayed, more.Stayed...), more.Suspended
}

// Builds are the builds that the steps are for.
func (g *Graph) Builds() (names []string) {
	seen := map[string]bool{}
	for _, n := range g.Nodes {
		for _, b := range n.Builds {
			if !seen[b] {
				seen[b] = true
				names = append(names, b)
			}
		}
	}
	return names
}

// Of is the part of a graph that makes one build. What others have of it is there
// before, and stays: see Lent.
func (g *Graph) Of(build string) *Graph {
	own := func(n Node) bool { return len(n.Builds) == 1 && n.Builds[0] == build }
	wanted := map[Key]bool{}
	for _, n := range g.Nodes {
		if own(n) {
			wanted[n.Key] = true
		}
	}
	p := g.part(wanted)
	for _, n := range p.Nodes {
		if !own(n) {
			p.Lent = append(p.Lent, n.Key)
		}
	}
	return p
}

// RecordsOf are the records that a pass over the graph has to know: all, but of a part that
// others share only those of it, of what was made of what is its own, and of what stands on its goals.
func (e *Engine) RecordsOf(g *Graph) []Record {
	if g.Part && (len(g.Lent) > 0 || len(g.Nodes) == 0) {
		return e.recs.madeOf(g)
	}
	return e.Records()
}

// Shared is the part of a graph that makes what several of its builds need, as far as
// it has to be made, or is there and relied on. All of it stays, unless some of it
// fails: each build is made after it, by Of.
func (e *Engine) Shared(g *Graph) *Graph {
	e.recs.derive(g)
	p := newPlanner(g, e.Records())
	p.rebuilds()
	relied := p.reliedOn()
	wanted := map[Key]bool{}
	for i, n := range p.x.nodes {
		wanted[n.Key] = len(n.Builds) > 1 && (p.need[i] || relied[i])
	}
	s := g.part(wanted)
	s.Goals = nil
	for _, n := range s.Nodes {
		s.goal(n.Key)
		s.Lent = append(s.Lent, n.Key)
	}
	return s
}
