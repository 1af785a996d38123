package dag

import (
	"fmt"
	"slices"
)

// Action is what a plan has in store for a step.
type Action string

const (
	Have   Action = "done"   // its checkpoint stands, or nothing needs it any more
	Make   Action = "run"    // it runs
	GoOn   Action = "resume" // it was begun and goes on, or is tried again
	Remake Action = "remake" // it was done, and runs again on a new machine
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

// Plan is what Solve would do, found out without changing anything.
type Plan struct {
	Steps    []PlanStep `json:"steps"`              // in an order in which they can be done
	Rebuilds []Rebuild  `json:"rebuilds,omitempty"` // removed first, then made again
	Removes  []Record   `json:"removes,omitempty"`  // made for an earlier form of the graph, removed first
	Releases []Node     `json:"releases,omitempty"` // temporary things that will go during the run

	need map[Key]bool
}

// Plan decides what solving the graph would do.
func (e *Engine) Plan(g *Graph) (*Plan, error) {
	if err := g.Err(); err != nil {
		return nil, err
	}
	order, err := g.Order()
	if err != nil {
		return nil, err
	}
	recs := e.Records()
	byKey := make(map[Key]Record, len(recs))
	for _, r := range recs {
		byKey[r.Key] = r
	}
	p := &Plan{}
	gone := map[Key]bool{}
	for again := true; again; {
		again = false
		p.need = demand(g, byKey, gone)
		for _, n := range order {
			root, why := dirty(n, p.need, recs, byKey, gone)
			if why == "" {
				continue
			}
			p.Rebuilds = append(p.Rebuilds, Rebuild{root, why})
			for k := range standing(recs, root.Key) {
				gone[k] = true
			}
			again = true
			break
		}
	}
	for _, n := range order {
		a := Have
		if r, ok := byKey[n.Key]; p.need[n.Key] {
			switch {
			case gone[n.Key]:
				a = Remake
			case ok && r.Status != Gone:
				a = GoOn
			default:
				a = Make
			}
		}
		p.Steps = append(p.Steps, PlanStep{n, a})
		if r := byKey[n.Key]; n.Thing && !r.Kept && (p.need[n.Key] || r.Alive()) {
			if _, kept := g.Keeps[n.Key]; !kept {
				p.Releases = append(p.Releases, n)
			}
		}
	}
	for _, r := range recs {
		if _, wanted := g.Node(r.Key); !wanted && r.Alive() && !r.Kept && !gone[r.Key] {
			p.Removes = append(p.Removes, r)
		}
	}
	return p, nil
}

// demand finds the steps that must run for the goals to be reached. While any
// goal is open, the steps that let things go earlier are wanted too, for the
// things that will be or are there.
func demand(g *Graph, recs map[Key]Record, gone map[Key]bool) map[Key]bool {
	need := map[Key]bool{}
	var visit func(Key)
	visit = func(k Key) {
		if need[k] || recs[k].Status == Done && !gone[k] {
			return
		}
		need[k] = true
		n, _ := g.Node(k)
		for _, d := range n.Needs {
			visit(d)
		}
	}
	for _, k := range g.Goals {
		visit(k)
	}
	if len(need) == 0 {
		return need
	}
	for _, n := range g.Nodes {
		for _, d := range n.Settles {
			if x := g.behind(d); need[x] || recs[x].Alive() && !gone[x] {
				visit(n.Key)
			}
		}
	}
	return need
}

// dirty tells whether a step that must run would take a machine that another
// step, no longer wanted, has changed or may be changing still. A step that
// failed and was then edited is forgiven: it runs in its new form on the same
// machine.
func dirty(n Node, need map[Key]bool, recs []Record, byKey map[Key]Record, gone map[Key]bool) (root Record, why string) {
	if !need[n.Key] {
		return root, ""
	}
	for _, base := range n.Takes {
		if need[base] {
			continue
		}
		for _, r := range recs {
			if r.Key == n.Key || gone[r.Key] || !slices.Contains(r.Takes, base) {
				continue
			}
			switch r.Status {
			case Done:
				why = fmt.Sprintf("%s has changed the machine in its earlier form", r.Name)
			case Doing, Undoing:
				why = fmt.Sprintf("%s was interrupted in its earlier form and may still be at work", r.Name)
			default:
				continue
			}
			root = byKey[base]
			for len(root.Takes) > 0 {
				root = byKey[root.Takes[0]]
			}
			return root, why
		}
	}
	return root, ""
}

// standing is a thing, its views, and the things that stand on it.
func standing(recs []Record, root Key) map[Key]bool {
	set := map[Key]bool{root: true}
	on := func(ks []Key) bool { return slices.ContainsFunc(ks, func(k Key) bool { return set[k] }) }
	for more := true; more; {
		more = false
		for _, r := range recs {
			if set[r.Key] || r.Kept || r.Status == Gone {
				continue
			}
			if !r.Thing && on(r.Needs) || r.Thing && on(r.Holds) {
				set[r.Key], more = true, true
			}
		}
	}
	return set
}

func nodesOf(recs []Record) []Node {
	ns := make([]Node, len(recs))
	for i, r := range recs {
		ns[i] = r.Node
	}
	return ns
}
