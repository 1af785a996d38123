package dag

import "slices"

// index is a list of steps read from the other end: who reads a step, and what
// stands behind it. It is derived from the nodes once, so that nobody has to
// search them again for each step. Nodes are named by their place in the list.
type index struct {
	nodes   []*Node
	at      map[Key]int
	needs   [][]int // of each node, those in the list that it reads or only comes after
	readers [][]int // of each node, those that read it or only come after it, in the order of the list
	reads   [][]int // needs without what a node only comes after: that it neither shows nor keeps
	viewers [][]int // readers without those that only come after
}

func newIndex(n int, node func(i int) *Node) *index {
	x := &index{nodes: make([]*Node, n), at: make(map[Key]int, n), needs: make([][]int, n), readers: make([][]int, n), reads: make([][]int, n)}
	x.viewers = x.readers
	for i := range n {
		x.nodes[i] = node(i)
		x.at[x.nodes[i].Key] = i
	}
	for i, n := range x.nodes {
		x.reads[i] = x.places(n.Needs)
		x.needs[i] = x.reads[i]
		if after := x.places(n.After); len(after) > 0 {
			x.needs[i] = slices.Concat(x.reads[i], after)
			x.viewers = nil
		}
		for _, d := range x.needs[i] {
			x.readers[d] = append(x.readers[d], i)
		}
	}
	if x.viewers == nil {
		x.viewers = make([][]int, n)
		for i, reads := range x.reads {
			for _, d := range reads {
				x.viewers[d] = append(x.viewers[d], i)
			}
		}
	}
	return x
}

// places returns the places of those of the keys that are in the list.
func (x *index) places(keys []Key) []int {
	is := make([]int, 0, len(keys))
	for _, k := range keys {
		if i, ok := x.at[k]; ok {
			is = append(is, i)
		}
	}
	return is
}

// guardsOf returns the guards that a node comes after.
func (x *index) guardsOf(i int) (guards []int) {
	for _, d := range x.needs[i][len(x.reads[i]):] {
		if x.nodes[d].Guard {
			guards = append(guards, d)
		}
	}
	return guards
}

// resourceOf returns for each node the thing that it shows, the first of them
// where it was derived from several: itself, if it is one. -1 is none. What a node
// reads must come before it in the list.
func (x *index) resourceOf() []int {
	of := make([]int, len(x.nodes))
	for i, n := range x.nodes {
		of[i] = -1
		if n.Thing {
			of[i] = i
			continue
		}
		for _, d := range x.reads[i] {
			if r := of[d]; r >= 0 && (of[i] < 0 || r < of[i]) {
				of[i] = r
			}
		}
	}
	return of
}

// shown calls fn for every thing that one of the nodes shows. Seen are the nodes
// that need not be looked at, and becomes those that have been.
func (x *index) shown(nodes []int, seen []bool, fn func(thing int)) {
	for todo := slices.Clone(nodes); len(todo) > 0; {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[i] {
			continue
		}
		seen[i] = true
		if x.nodes[i].Thing {
			fn(i)
			continue
		}
		todo = append(todo, x.reads[i]...)
	}
}
