package dag

import "container/heap"

// queue holds the steps that could begin, and lets them begin in the order of the
// graph, but of no more builds at once than the limit. A step that several builds
// share is nobody's turn.
type queue struct {
	nodes  []*Node
	limit  int // 0: none
	ready  places
	builds map[string]*buildTurn
	parked places // for each build that waits for its turn, the first of its steps that could begin
	busy   int    // builds at work
	held   []int  // steps that were parked since somebody last looked
}

// buildTurn is what the queue knows of one build.
type buildTurn struct {
	open   int   // steps that wait or run, shared ones, too
	begun  int   // steps of its own that run or are done
	parked []int // steps that could begin
}

// working reports whether a build has begun and not ended.
func (b *buildTurn) working() bool { return b.begun > 0 && b.open > 0 }

func newQueue(nodes []*Node, state []nodeState, limit int) *queue {
	q := &queue{nodes: nodes, limit: limit, builds: map[string]*buildTurn{}}
	if limit <= 0 {
		return q
	}
	for i, n := range nodes {
		for _, name := range n.Builds {
			b := q.builds[name]
			if b == nil {
				b = &buildTurn{}
				q.builds[name] = b
			}
			if state[i] == waiting {
				b.open++
			}
		}
	}
	return q
}

// add puts a step into the queue.
func (q *queue) add(i int) { heap.Push(&q.ready, i) }

// next takes the step out that is to begin now.
func (q *queue) next() (i int, ok bool) {
	for {
		if q.limit > 0 && q.busy < q.limit && len(q.parked) > 0 && (len(q.ready) == 0 || q.parked[0] < q.ready[0]) {
			q.unpark(q.build(heap.Pop(&q.parked).(int)))
			continue
		}
		if len(q.ready) == 0 {
			return 0, false
		}
		i := heap.Pop(&q.ready).(int)
		b := q.build(i)
		if b == nil || b.working() || q.busy < q.limit {
			return i, true
		}
		q.held = append(q.held, i)
		if b.parked = append(b.parked, i); len(b.parked) == 1 {
			heap.Push(&q.parked, i)
		}
	}
}

// force takes the first step out whose build waits for its turn: when nothing is on
// its way, those that have theirs wait for steps of others.
func (q *queue) force() (i int, ok bool) {
	for len(q.ready) == 0 && len(q.parked) > 0 { // one whose steps had their turn meanwhile has none
		q.unpark(q.build(heap.Pop(&q.parked).(int)))
	}
	if len(q.ready) == 0 {
		return 0, false
	}
	return heap.Pop(&q.ready).(int), true
}

// build is the build whose turn a step needs, or nil.
func (q *queue) build(i int) *buildTurn {
	if q.limit <= 0 || len(q.nodes[i].Builds) != 1 {
		return nil
	}
	return q.builds[q.nodes[i].Builds[0]]
}

func (q *queue) unpark(b *buildTurn) {
	for _, i := range b.parked {
		q.add(i)
	}
	b.parked = nil
}

// turn tells of a step that changes its state.
func (q *queue) turn(i int, from, to nodeState) {
	if q.limit <= 0 {
		return
	}
	open := func(s nodeState) int { return count(s == waiting || s == running) }
	begun := func(s nodeState) int { return count(s == running || s == done) }
	builds := q.nodes[i].Builds
	for _, name := range builds {
		b := q.builds[name]
		was := b.working()
		b.open += open(to) - open(from)
		if len(builds) == 1 {
			b.begun += begun(to) - begun(from)
		}
		q.busy += count(b.working()) - count(was)
		if b.working() {
			q.unpark(b)
		}
	}
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// places are a heap, the first place on top.
type places []int

func (p places) Len() int           { return len(p) }
func (p places) Less(i, j int) bool { return p[i] < p[j] }
func (p places) Swap(i, j int)      { p[i], p[j] = p[j], p[i] }
func (p *places) Push(x any)        { *p = append(*p, x.(int)) }
func (p *places) Pop() any {
	old := *p
	x := old[len(old)-1]
	*p = old[:len(old)-1]
	return x
}
