package dag

import (
	"errors"
	"fmt"
	"slices"
)

// Action is what a plan has in store for a step.
type Action string

const (
	Reuse    Action = "reuse"    // its checkpoint stands, or nothing needs it any more
	Run      Action = "run"      // it runs
	Resume   Action = "resume"   // it was begun and goes on, or is tried again
	Recreate Action = "recreate" // it was done, and runs again on a new machine
)

// PlanStep is one step of a plan.
type PlanStep struct {
	Node   Node   `json:"node"`
	Action Action `json:"action"`
}

// Rebuild is a machine, or another thing, that must be made again.
type Rebuild struct {
	Record Record `json:"record"` // of the thing
	Why    string `json:"why"`
}

// Reapplied is a step that has changed what was given in a form that is not wanted any
// more. What comes after it runs once more on what it has left.
type Reapplied struct {
	Record Record `json:"record"` // of the step in its earlier form
	Why    string `json:"why"`
}

// Plan is what Solve would do, found out without changing anything.
type Plan struct {
	Steps     []PlanStep  `json:"steps"`               // in an order in which they can be done
	Rebuilds  []Rebuild   `json:"rebuilds,omitempty"`  // removed first, then made again
	Reapplied []Reapplied `json:"reapplied,omitempty"` // forgotten first, since a later form follows them on the same machine
	Removes   []Record    `json:"removes,omitempty"`   // made for an earlier form of the graph, removed first
	Releases  []Node      `json:"releases,omitempty"`  // temporary things that will go during the run
}

// Plan decides what solving the graph would do. A step of a kind that the engine
// was not given is an error.
func (e *Engine) Plan(g *Graph) (*Plan, error) {
	order, err := g.Order()
	if err != nil {
		return nil, err
	}
	if err := e.bound(g); err != nil {
		return nil, err
	}
	pl := newPlanner(g, e.Records())
	p := &Plan{Rebuilds: pl.rebuilds(), Reapplied: pl.again}
	if pl.err != nil {
		return nil, pl.err
	}
	for _, n := range order {
		i := pl.x.at[n.Key]
		p.Steps = append(p.Steps, PlanStep{n, pl.action(i)})
		r := Record{}
		if at := pl.rec[i]; at >= 0 {
			r = pl.recs[at]
		}
		if n.Thing && !n.Guard && !r.Kept && (pl.need[i] || r.Alive()) {
			_, kept := g.Keeps[n.Key]
			if _, spent := g.Discards[n.Key]; spent || !kept {
				p.Releases = append(p.Releases, n)
			}
		}
	}
	removes, _, _ := pl.obsolete()
	for _, at := range removes {
		if g.Open() {
			break // what is not known yet may want it
		}
		p.Removes = append(p.Removes, pl.recs[at])
	}
	return p, nil
}

// bound reports the first step whose kind the engine was not given.
func (e *Engine) bound(g *Graph) error {
	for _, n := range g.Nodes {
		if _, err := e.kind(n); err != nil {
			return err
		}
	}
	return nil
}

// planner finds out which steps must run, and what stands in their way.
type planner struct {
	g    *Graph
	x    *whole
	recs []Record // the oldest first
	past *index   // of the records
	rec  []int    // of each node of the graph its record, -1 for none
	gone []bool   // of each record, whether it goes for the sake of a rebuild
	need []bool   // of each node, whether it must run
	sake []int    // of each such node, the thing for whose release alone; -1 for a goal
	cut  []bool   // of each node, whether what it reads does not matter; nil: all matters, and what lets go of things that are there

	none  Record      // where there is no record
	again []Reapplied // what has changed something given and is not wanted any more
	err   error       // why nothing can be done
}

func newPlanner(g *Graph, recs []Record) *planner {
	p := &planner{g: g, x: g.derive(), recs: recs, past: newIndex(len(recs), func(i int) *Node { return &recs[i].Node }), gone: make([]bool, len(recs))}
	p.rec = make([]int, len(g.Nodes))
	for i, n := range p.x.nodes {
		p.rec[i] = -1
		if r, ok := p.past.at[n.Key]; ok {
			p.rec[i] = r
		}
	}
	return p
}

// stands returns the record of a node, unless there is none or it is to go.
func (p *planner) stands(i int) *Record {
	if r := p.rec[i]; r >= 0 && !p.gone[r] {
		return &p.recs[r]
	}
	return &p.none
}

// action is what is in store for a step, once it is known what must run.
func (p *planner) action(i int) Action {
	switch at := p.rec[i]; {
	case !p.need[i]:
		return Reuse
	case at >= 0 && p.gone[at]:
		return Recreate
	case at >= 0 && p.recs[at].Status != Gone:
		return Resume
	}
	return Run
}

// obsolete returns the records of the things that are removed first: those that
// were made for an earlier form of the graph, and those that go for the sake of the
// rebuilds. A guard that is not wanted any more is done only if its machine goes, too;
// else it is over, as is one that has no more to wait for.
func (p *planner) obsolete() (removes, gone, over []int) {
	var guards []int
	for i, r := range p.recs {
		_, wanted := p.x.at[r.Key]
		switch {
		case !r.Alive():
		case p.gone[i]:
			gone = append(gone, i)
		case wanted && r.Guard && p.ended(r):
			over = append(over, i)
		case wanted || r.Kept:
		case r.Guard:
			guards = append(guards, i)
		default:
			removes = append(removes, i)
		}
	}
	for _, i := range guards {
		if root := p.root(i); slices.Contains(removes, root) {
			removes = append(removes, i)
		} else {
			over = append(over, i)
		}
	}
	return removes, gone, over
}

// ended reports whether the step has come to its end with which a guard is over. That may
// be another one than in an earlier form of the graph.
func (p *planner) ended(guard Record) bool {
	until, ok := p.x.at[p.g.Guards[guard.Key]]
	return ok && !p.need[until] && p.stands(until).Status == Done
}

// root returns where the machine began that a recorded step has taken, or stands by for.
func (p *planner) root(at int) int {
	for {
		on := p.recs[at].Takes
		if p.recs[at].Guard {
			on = p.recs[at].Attaches
		}
		if len(on) == 0 {
			return at
		}
		before, ok := p.past.at[on[0]]
		if !ok {
			return at
		}
		at = before
	}
}

// demand finds the steps that must run for the goals to be reached. While any
// goal is open, the steps that let things go earlier are wanted too, for the
// things that will be or are there.
func (p *planner) demand() {
	p.need, p.sake = make([]bool, len(p.x.nodes)), make([]int, len(p.x.nodes))
	open := false
	visit := func(i, sake int) {
		for todo := []int{i}; len(todo) > 0; {
			i := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			if p.need[i] || p.stands(i).Status == Done {
				continue
			}
			p.need[i], p.sake[i], open = true, sake, true
			if p.cut != nil && p.cut[i] {
				continue
			}
			todo = append(todo, p.x.reads[i]...)
		}
	}
	for _, i := range p.x.places(p.g.Goals) {
		visit(i, -1)
	}
	if !open {
		return
	}
	for i, n := range p.x.nodes {
		for _, d := range p.x.places(n.Detaches) {
			switch thing := p.x.resource[d]; {
			case thing < 0:
			case p.need[thing]:
				visit(i, p.sake[thing])
			case p.cut == nil && p.stands(thing).Alive():
				visit(i, thing)
			}
		}
	}
	for i, n := range p.x.nodes {
		if until, ok := p.x.at[p.g.Guards[n.Key]]; n.Guard && ok && p.need[until] {
			visit(i, p.sake[until])
		}
	}
}

// rebuilds finds the things that must be made again, until what must run with
// them needs no others.
func (p *planner) rebuilds() (rs []Rebuild) {
	byTaken := map[Key][]int{}
	for i, r := range p.recs {
		for _, k := range r.Takes {
			byTaken[k] = append(byTaken[k], i)
		}
	}
	for again := true; again; {
		again = false
		p.demand()
		for i := range p.x.nodes {
			if !p.need[i] {
				continue
			}
			why, at := p.dirty(i, byTaken)
			if why == "" {
				continue
			}
			again = true
			if sake := p.sake[i]; sake >= 0 && !p.stands(sake).Alive() {
				continue // it may not be wanted any more
			}
			root := p.root(at)
			if p.recs[root].Given {
				p.reapply(at, why)
				continue
			}
			rs = append(rs, Rebuild{p.recs[root], why})
			p.dependentsOf(root)
		}
	}
	return rs
}

// reapply notes that what a step has done to something given is overtaken. It
// cannot be undone, but it must not happen beside it.
func (p *planner) reapply(at int, why string) {
	before := slices.Clone(p.gone)
	p.dependentsOf(at)
	p.again = append(p.again, Reapplied{p.recs[at], why})
	for i, r := range p.recs {
		if p.gone[i] && !before[i] && r.Status == Doing && len(r.Takes) > 0 {
			p.err = errors.Join(p.err, fmt.Errorf("cannot go on in the new form: %s was interrupted in its earlier form and may still be at work on a machine that cannot be made again: "+
				"resume as the run was stored (--frozen) until it has ended, and then in the new form", r.Name))
		}
	}
}

// dirty tells why a step that must run would take a machine that another step, no
// longer wanted, has changed or may be changing still, and the record of that
// step. A step that failed and was then edited is forgiven: it runs in
// its new form on the same machine.
func (p *planner) dirty(i int, byTaken map[Key][]int) (why string, by int) {
	n := p.x.nodes[i]
	for _, base := range p.x.places(n.Takes) {
		if p.need[base] || p.stands(base).Status == "" {
			continue
		}
		key := p.x.nodes[base].Key
		if root := p.root(p.past.at[key]); p.recs[root].Parted {
			return "its build had failed, and what the template does then was done on it", root
		}
		for _, at := range byTaken[key] {
			r := &p.recs[at]
			if r.Key == n.Key || p.gone[at] {
				continue
			}
			switch r.Status {
			case Done:
				return fmt.Sprintf("%s has changed the machine in its earlier form", r.Name), at
			case Doing, Undoing:
				return fmt.Sprintf("%s was interrupted in its earlier form and may still be at work", r.Name), at
			}
		}
	}
	return "", -1
}

// dependentsOf notes that a thing goes, and with it what was derived from it and
// what stands on it.
func (p *planner) dependentsOf(root int) {
	for todo := []int{root}; len(todo) > 0; {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if p.gone[i] {
			continue
		}
		p.gone[i] = true
		for _, at := range p.past.viewers[i] {
			r := &p.recs[at]
			if r.Kept || r.Status == Gone {
				continue
			}
			if !r.Thing || slices.Contains(r.Attaches, p.recs[i].Key) {
				todo = append(todo, at)
			}
		}
	}
}
