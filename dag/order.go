package dag

import (
	"cmp"
	"slices"
)

// The graph library holds the structure that is drawn and writes it for Graphviz.
// Its own stable sort looks at every node for each node, its reduction follows
// every path from every node, and its prevention of cycles looks at all that comes
// before an edge, so that order and reduction are found here.

// Order returns the steps so that each comes after all that it reads, and
// otherwise in the order in which they were added.
func (g *Graph) Order() ([]Node, error) {
	if err := g.Err(); err != nil {
		return nil, err
	}
	order := make([]Node, 0, len(g.Nodes))
	for _, i := range topological(g.derive().needs) {
		order = append(order, g.Nodes[i])
	}
	return order, nil
}

// topological orders vertices so that each comes after those before it: first
// those that nothing comes before, then what becomes free by each of them.
func topological(before [][]int) []int {
	open, after := make([]int, len(before)), make([][]int, len(before))
	order := make([]int, 0, len(before))
	for i, bs := range before {
		if open[i] = len(bs); open[i] == 0 {
			order = append(order, i)
		}
		for _, b := range bs {
			after[b] = append(after[b], i)
		}
	}
	for at := 0; at < len(order); at++ {
		for _, i := range after[order[at]] {
			if open[i]--; open[i] == 0 {
				order = append(order, i)
			}
		}
	}
	return order
}

// reduce leaves out every edge from whose source a longer way leads to its target.
//
// The vertices are dealt into chains, paths in which each comes right after the one
// before it. So that all that comes before a vertex is known from one number for
// each chain: how far up it everything is. A build has few chains, and sees few.
// Where a vertex comes after one alone, it sees what that one sees, and so does not
// hold it again.
func reduce(before [][]int) [][]int {
	type place struct{ chain, pos int }
	var (
		at      = make([]place, len(before))
		above   = make([][]place, len(before)) // what comes before it in other chains, the last of each, in their order
		same    = make([]int, len(before))     // sees itself and what it sees instead, -1 for none
		tail    []int                          // of each chain, its last vertex
		top     []int                          // of each chain, the last position seen, -1 for none
		last    = make([]bool, len(before))    // nothing comes after it
		reduced = make([][]int, len(before))
	)
	for v := range before {
		last[v] = true
	}
	for _, bs := range before {
		for _, b := range bs {
			last[b] = false
		}
	}
	// sees reports whether a comes before another vertex, b.
	sees := func(b, a int) bool {
		for u := b; u >= 0; u = same[u] {
			if at[u].chain == at[a].chain {
				return at[u].pos >= at[a].pos
			}
			if i, ok := slices.BinarySearchFunc(above[u], at[a], func(p, q place) int { return cmp.Compare(p.chain, q.chain) }); ok {
				return above[u][i].pos >= at[a].pos
			}
		}
		return false
	}
	for _, v := range topological(before) {
		same[v] = -1
		var seen []int // chains
		see := func(p place) {
			if top[p.chain] < 0 {
				seen = append(seen, p.chain)
			}
			top[p.chain] = max(top[p.chain], p.pos)
		}
		few := len(before[v]) <= 1 || last[v] && len(before[v]) <= 8
		if !few {
			for _, b := range before[v] { // what comes before those that come before
				for u := b; u >= 0; u = same[u] {
					for _, p := range above[u] {
						see(p)
					}
					if u != b {
						see(at[u])
					} else if at[u].pos > 0 {
						see(place{at[u].chain, at[u].pos - 1})
					}
				}
			}
		}
		chain := -1
		for _, b := range before[v] {
			if few && slices.ContainsFunc(before[v], func(o int) bool { return o != b && sees(o, b) }) || !few && top[at[b].chain] >= at[b].pos {
				continue
			}
			reduced[v] = append(reduced[v], b)
			if tail[at[b].chain] == b {
				chain = at[b].chain
			}
		}
		if chain < 0 {
			chain, tail, top = len(tail), append(tail, v), append(top, -1)
		} else {
			at[v].pos = at[tail[chain]].pos + 1
			tail[chain] = v
		}
		at[v].chain = chain
		switch one := len(reduced[v]) == 1; {
		case last[v]:
		case one && at[reduced[v][0]].chain == chain:
			above[v], same[v] = above[reduced[v][0]], same[reduced[v][0]]
		case one:
			same[v] = reduced[v][0]
		default:
			for _, b := range reduced[v] {
				see(at[b])
			}
			slices.Sort(seen)
			for _, c := range seen {
				if c != chain {
					above[v] = append(above[v], place{c, top[c]})
				}
			}
		}
		for _, c := range seen {
			top[c] = -1
		}
	}
	for _, bs := range reduced {
		slices.Sort(bs)
	}
	return reduced
}
