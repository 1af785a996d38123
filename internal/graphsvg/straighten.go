package graphsvg

// passes is how often the places are drawn to their neighbours, down and up in turn.
const passes = 20

// straighten gives every place its x: boxes keep their distance and their order, and
// are as near to what they are connected with as that allows. A long edge pulls
// harder at its bends than at its ends, so that it becomes straight.
func (l *layout) straighten() {
	for _, r := range l.ranks {
		x := 0.0
		for i, p := range r {
			if i > 0 {
				x += l.distance(r[i-1], p)
			}
			l.places[p].x = x
		}
	}
	for pass := range passes {
		for k := range l.ranks {
			if pass%2 == 0 {
				l.draw(l.ranks[k], pass)
			} else {
				l.draw(l.ranks[len(l.ranks)-1-k], pass)
			}
		}
	}
	left, right := 0.0, 0.0
	for i := range l.places {
		p := &l.places[i]
		if i == 0 || p.x-p.width/2 < left {
			left = p.x - p.width/2
		}
	}
	for i := range l.places {
		p := &l.places[i]
		p.x += margin - left
		right = max(right, p.x+p.width/2)
	}
	l.width = right + margin
}

// distance is that of the middles of two neighbours, at least.
func (l *layout) distance(a, b int) float64 {
	gap := float64(boxGap)
	if l.places[a].bend() || l.places[b].bend() {
		gap = bendGap
	}
	return (l.places[a].width+l.places[b].width)/2 + gap
}

// block is a run of neighbours that stand as close as they may.
type block struct {
	first       int     // its first place, as a number in the rank
	sum, weight float64 // of what its places wish for the first of them
}

// draw puts the places of a rank as near to their neighbours as they can stand: the sum
// of the squares of what is missing is the least (pool adjacent violators).
func (l *layout) draw(r []int, pass int) {
	offset := make([]float64, len(r)) // from the first of the rank, if all stood close
	var blocks []block
	for i, p := range r {
		if i > 0 {
			offset[i] = offset[i-1] + l.distance(r[i-1], p)
		}
		wish, weight := l.wish(p, pass)
		blocks = append(blocks, block{i, (wish - offset[i]) * weight, weight})
		for n := len(blocks); n > 1 && blocks[n-2].sum/blocks[n-2].weight > blocks[n-1].sum/blocks[n-1].weight; n = len(blocks) {
			blocks[n-2].sum += blocks[n-1].sum
			blocks[n-2].weight += blocks[n-1].weight
			blocks = blocks[:n-1]
		}
	}
	for k, b := range blocks {
		end := len(r)
		if k+1 < len(blocks) {
			end = blocks[k+1].first
		}
		for i := b.first; i < end; i++ {
			l.places[r[i]].x = b.sum/b.weight + offset[i]
		}
	}
}

// strength is how straight the edge between two places is to be: a long edge between its bends before all,
// then one of a chain.
func (l *layout) strength(p, q int) float64 {
	a, b := &l.places[p], &l.places[q]
	if a.rank > b.rank {
		a, b = b, a
	}
	switch {
	case a.bend() && b.bend():
		return 8
	case a.bend() || b.bend():
		return 2
	case len(a.down) == 1 && len(b.up) == 1:
		return 8
	}
	return 1
}

// wish is where a place would like to be, and how much: in the first passes for the sake of the
// rank before, in the last ones of both.
func (l *layout) wish(p int, pass int) (x, weight float64) {
	pull := func(near []int) {
		for _, q := range near {
			w := l.strength(p, q)
			x += l.places[q].x * w
			weight += w
		}
	}
	both := pass >= passes/2
	if both || pass%2 == 0 {
		pull(l.places[p].up)
	}
	if both || pass%2 == 1 {
		pull(l.places[p].down)
	}
	if weight == 0 {
		return l.places[p].x, 0.1
	}
	return x / weight, weight
}
