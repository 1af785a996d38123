package dag

import "slices"

// gate tells when a thing can be removed: when all that reads it, or what was
// derived from it, has finished, and nothing stands on it any more; a guard, when all
// that comes after it has finished. It is told what
// has happened, each fact once, and passes it up from node to node, so that all of
// a run costs it no more than one look at every reference.
type gate struct {
	x        *index
	open     []int  // of each node: what keeps it from going
	finished []bool // will not need its inputs any more
	free     []bool // of a thing: it stands on nothing
	seen     []bool // nodes whose things are free
	ready    func(thing int)
}

// newGate returns a gate for a list of steps of which none has finished. Ready is
// called once for each thing, in the call that takes the last reason to keep it.
func newGate(x *index, ready func(thing int)) *gate {
	n := len(x.nodes)
	g := &gate{x: x, open: make([]int, n), finished: make([]bool, n), free: make([]bool, n), seen: make([]bool, n), ready: ready}
	for i := range g.open {
		g.open[i] = 1 + len(x.viewers[i]) // until it has finished, it keeps itself
		if x.nodes[i].Guard {
			g.open[i] = 1 + len(x.readers[i])
		}
	}
	return g
}

// keep is one more reason to keep a node, until pass is called for it.
func (g *gate) keep(i int) { g.open[i]++ }

// pass takes one reason to keep each of the nodes.
func (g *gate) pass(nodes ...int) {
	for todo := slices.Clone(nodes); len(todo) > 0; {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if g.open[i]--; g.open[i] > 0 {
			continue
		}
		if g.x.nodes[i].Thing {
			g.ready(i)
		} else {
			todo = append(todo, g.x.reads[i]...) // which it showed
		}
	}
}

// finish says that a node will not need its inputs any more. What a thing stands
// on must wait until it is free, too.
func (g *gate) finish(i int) {
	g.finished[i] = true
	n := g.x.nodes[i]
	pass := []int{i}
	if n.Thing {
		for _, d := range g.x.reads[i] {
			if g.free[i] || !slices.Contains(n.Attaches, g.x.nodes[d].Key) {
				pass = append(pass, d)
			}
		}
	}
	g.pass(append(pass, g.x.guardsOf(i)...)...)
}

// release says that a thing stands on nothing any more, mostly since it is gone.
func (g *gate) release(i int) {
	if g.free[i] {
		return
	}
	g.free[i] = true
	if g.finished[i] {
		g.pass(g.x.places(g.x.nodes[i].Attaches)...)
	}
}

// detach says that a step is done after which things let go of all that they
// stand on.
func (g *gate) detach(i int) {
	g.x.shown(g.x.places(g.x.nodes[i].Detaches), g.seen, g.release)
}
