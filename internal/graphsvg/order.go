package graphsvg

import "slices"

// sweeps is how often the ranks are put in order, down and up in turn.
const sweeps = 16

// order puts the places of each rank in an order with few crossings.
func (l *layout) order() {
	l.initial()
	at := make([]int, len(l.places)) // of each place its number in its rank
	number := func() {
		for _, r := range l.ranks {
			for i, p := range r {
				at[p] = i
			}
		}
	}
	number()
	best, fewest := l.copyRanks(), l.crossings(at)
	weight := make([]float64, len(l.places))
	for sweep := 0; sweep < sweeps && fewest > 0; sweep++ {
		for k := range l.ranks {
			r := l.ranks[k]
			if sweep%2 == 1 {
				r = l.ranks[len(l.ranks)-1-k]
			}
			for _, p := range r {
				near := l.places[p].up
				if sweep%2 == 1 {
					near = l.places[p].down
				}
				weight[p] = float64(at[p])
				if len(near) > 0 {
					sum := 0
					for _, q := range near {
						sum += at[q]
					}
					weight[p] = float64(sum) / float64(len(near))
				}
			}
			slices.SortStableFunc(r, func(a, b int) int {
				switch {
				case weight[a] < weight[b]:
					return -1
				case weight[a] > weight[b]:
					return 1
				}
				return 0
			})
			for i, p := range r {
				at[p] = i
			}
		}
		if n := l.crossings(at); n < fewest {
			best, fewest = l.copyRanks(), n
		}
	}
	l.ranks = best
}

// initial fills the ranks by following the edges, so that what hangs together
// stands together.
func (l *layout) initial() {
	seen := make([]bool, len(l.places))
	for start := range l.places {
		if len(l.places[start].up) > 0 || l.places[start].bend() {
			continue
		}
		for todo := []int{start}; len(todo) > 0; {
			i := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			if seen[i] {
				continue
			}
			seen[i] = true
			p := &l.places[i]
			for len(l.ranks) <= p.rank {
				l.ranks = append(l.ranks, nil)
			}
			l.ranks[p.rank] = append(l.ranks[p.rank], i)
			for k := len(p.down) - 1; k >= 0; k-- {
				todo = append(todo, p.down[k])
			}
		}
	}
}

func (l *layout) copyRanks() [][]int {
	out := make([][]int, len(l.ranks))
	for i, r := range l.ranks {
		out[i] = slices.Clone(r)
	}
	return out
}

// crossings counts the pairs of edges between neighbouring ranks that cross: with the
// edges sorted by their upper ends those are the inversions of the lower ones, counted with a
// tree of sums.
func (l *layout) crossings(at []int) (n int) {
	var ends, sums []int
	for k, r := range l.ranks[:max(len(l.ranks)-1, 0)] {
		sums = append(sums[:0], make([]int, len(l.ranks[k+1])+1)...)
		seen := 0
		for _, p := range r {
			ends = ends[:0]
			for _, q := range l.places[p].down {
				ends = append(ends, at[q])
			}
			for _, e := range ends { // all before those of one place are counted: they share an end
				n += seen
				for i := e + 1; i > 0; i &= i - 1 {
					n -= sums[i]
				}
			}
			for _, e := range ends {
				seen++
				for i := e + 1; i < len(sums); i += i & -i {
					sums[i]++
				}
			}
		}
	}
	return n
}
