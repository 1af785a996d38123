package dag

import (
	"context"
	"errors"
	"slices"
)

// Report is how solving ended.
type Report struct {
	Failed    []Failure // steps that failed, each once, as the cause
	Skipped   []Node    // steps that could not run since another failed
	Left      []Failure // temporary things that could not be removed
	Suspended bool      // the context ended first: everything stays, and a resume goes on
}

// Solve brings every goal of g into being, and takes the scaffolding down as
// early as nothing needs it any more. When ctx ends, no new step starts, the
// running ones are told, and all that exists stays for the next Solve.
//
// The error says that nothing can go on: the graph is wrong, a checkpoint could
// not be written, what exists could not be found out. Failed steps are in the
// report.
func (e *Engine) Solve(ctx context.Context, g *Graph) (*Report, error) {
	if err := g.Err(); err != nil {
		return nil, err
	}
	if err := e.refresh(ctx, g); err != nil {
		if errors.Is(err, errSuspended) {
			return &Report{Suspended: true}, nil
		}
		return nil, err
	}
	p, err := e.Plan(g)
	if err != nil {
		return nil, err
	}
	report := &Report{}
	first := p.Removes
	for _, rb := range p.Rebuilds {
		t := e.task(rb.Record, true)
		ev := t.event(Rebuilt)
		ev.Text = describe(rb.Record) + " must be made again: " + rb.Why
		t.emit(ev)
		for k := range standing(e.Records(), rb.Record.Key) {
			if r, ok := e.rec(k); ok && r.Alive() && !slices.ContainsFunc(first, func(o Record) bool { return o.Key == k }) {
				first = append(first, r)
			}
		}
	}
	if left, err := e.undoAll(ctx, first); err != nil || len(left) > 0 {
		report.Left = left
		report.Suspended = ctx.Err() != nil
		if report.Suspended {
			return report, nil
		}
		if err == nil {
			err = errors.New("cannot go on: what was made for an earlier form of the template could not be removed")
		}
		return report, err
	}
	s := newSolver(e, g, p, report)
	return report, s.solve(ctx)
}

type nodeState int

const (
	idle    nodeState = iota // done before, or not needed
	waiting                  //
	running                  //
	done                     //
	failed                   //
	skipped                  //
)

// solver is one pass over a graph. Only the goroutine of solve touches it.
type solver struct {
	e       *Engine
	g       *Graph
	report  *Report
	state   map[Key]nodeState
	held    map[Key]bool // failed or skipped, but everything stays
	things  []thing
	ending  map[Key]bool // releases that have begun
	busy    int
	undoing int // of the busy ones
	fatal   error
	ends    chan end
	last    *lastWork
}

// thing is a node whose output exists outside the process, with all that its
// release has to wait for.
type thing struct {
	node      Node
	consumers []Key   // steps that read it or a view of it
	holders   []Node  // things that stand on it
	settlers  [][]Key // for each holder, the steps after which it lets go
}

type end struct {
	node     Node
	err      error
	decision Decision
	release  bool
}

func newSolver(e *Engine, g *Graph, p *Plan, report *Report) *solver {
	s := &solver{e: e, g: g, report: report, state: map[Key]nodeState{}, held: map[Key]bool{}, ending: map[Key]bool{}, ends: make(chan end), last: &lastWork{ended: make(chan struct{})}}
	for k := range p.need {
		s.state[k] = waiting
	}
	s.things = g.things()
	return s
}

// things derives what each release waits for.
func (g *Graph) things() (ts []thing) {
	shows := map[Key]map[Key]bool{}
	for _, n := range g.Nodes {
		if n.Thing {
			shows[n.Key] = views(g.Nodes, n.Key)
		}
	}
	for _, x := range g.Nodes {
		if !x.Thing {
			continue
		}
		t := thing{node: x}
		in := func(set map[Key]bool) func(Key) bool { return func(k Key) bool { return set[k] } }
		for _, n := range g.Nodes {
			if n.Key == x.Key {
				continue
			}
			if slices.ContainsFunc(n.Needs, in(shows[x.Key])) {
				t.consumers = append(t.consumers, n.Key)
			}
			if !slices.ContainsFunc(n.Holds, in(shows[x.Key])) {
				continue
			}
			var settlers []Key
			for _, f := range g.Nodes {
				if slices.ContainsFunc(f.Settles, in(shows[n.Key])) {
					settlers = append(settlers, f.Key)
				}
			}
			t.holders = append(t.holders, n)
			t.settlers = append(t.settlers, settlers)
		}
		ts = append(ts, t)
	}
	return ts
}

func (s *solver) solve(ctx context.Context) error {
	for {
		if ctx.Err() == nil && s.fatal == nil {
			s.start(ctx)
		}
		if s.busy == 0 {
			break
		}
		if s.busy == s.undoing {
			s.last.end(len(s.report.Failed) == 0)
		}
		s.end(<-s.ends)
	}
	for _, st := range s.state {
		if st == waiting {
			s.report.Suspended = true
		}
	}
	if ctx.Err() != nil {
		for _, t := range s.things {
			if r, _ := s.e.rec(t.node.Key); r.Alive() && !r.Kept {
				s.report.Suspended = true
			}
		}
	}
	return s.fatal
}

// start begins every step and every release that is ready.
func (s *solver) start(ctx context.Context) {
	for _, n := range s.g.Nodes {
		if s.state[n.Key] == waiting && s.ready(n) {
			s.state[n.Key] = running
			s.busy++
			go func() { s.ends <- s.work(ctx, n) }()
		}
	}
	for _, t := range s.things {
		if r, ok := s.releasable(t); ok {
			s.ending[t.node.Key] = true
			s.busy++
			s.undoing++
			go func() { s.ends <- end{node: t.node, err: s.e.undo(ctx, r, s.last), release: true} }()
		}
	}
}

// ready skips a step whose needs have failed, and otherwise says whether all of
// them are there.
func (s *solver) ready(n Node) bool {
	ok := true
	for _, d := range n.Needs {
		switch s.state[d] {
		case failed, skipped:
			if s.held[d] {
				s.held[n.Key] = true
			}
			s.state[n.Key] = skipped
		case waiting, running:
			ok = false
		}
	}
	if s.state[n.Key] == skipped {
		s.report.Skipped = append(s.report.Skipped, n)
		t := s.e.task(Record{Node: n}, false)
		t.emit(t.event(Skipped))
		return false
	}
	return ok && s.admitted(n)
}

// admitted keeps the number of builds at work within the limit. A step that
// several builds share is nobody's turn.
func (s *solver) admitted(n Node) bool {
	if s.e.o.Parallel <= 0 || len(n.Builds) != 1 {
		return true
	}
	working := map[string]bool{}
	for _, o := range s.g.Nodes {
		if len(o.Builds) == 1 && (s.state[o.Key] == running || s.state[o.Key] == done) {
			working[o.Builds[0]] = true
		}
	}
	for _, b := range s.buildsEnded() {
		delete(working, b)
	}
	return working[n.Builds[0]] || len(working) < s.e.o.Parallel
}

func (s *solver) buildsEnded() (ended []string) {
	open := map[string]bool{}
	for _, n := range s.g.Nodes {
		for _, b := range n.Builds {
			st := s.state[n.Key]
			open[b] = open[b] || st == waiting || st == running
		}
	}
	for b, o := range open {
		if !o {
			ended = append(ended, b)
		}
	}
	return ended
}

// work runs a step until it is done or somebody has decided what its failure
// means.
func (s *solver) work(ctx context.Context, n Node) end {
	for {
		err := s.e.run(ctx, s.g, n)
		var st *storeError
		if err == nil || errors.Is(err, errSuspended) || errors.As(err, &st) {
			return end{node: n, err: err}
		}
		t := s.e.task(Record{Node: n}, false)
		ev := t.event(Failed)
		ev.Err = err.Error()
		t.emit(ev)
		d := Cleanup
		if s.e.o.OnFailure != nil {
			d = s.e.o.OnFailure(ctx, n, err)
		}
		if d != Again {
			return end{node: n, err: err, decision: d}
		}
	}
}

func (s *solver) end(x end) {
	s.busy--
	var st *storeError
	switch {
	case errors.As(x.err, &st):
		s.fatal = x.err
	case x.release:
		s.undoing--
		if x.err != nil && !errors.Is(x.err, errSuspended) {
			r, _ := s.e.rec(x.node.Key)
			s.report.Left = append(s.report.Left, Failure{x.node, describe(r), x.err})
		}
		return
	case x.err == nil:
		s.state[x.node.Key] = done
		return
	case errors.Is(x.err, errSuspended):
		t := s.e.task(Record{Node: x.node}, false)
		t.emit(t.event(Suspended))
	default:
		s.state[x.node.Key] = failed
		s.held[x.node.Key] = x.decision == Suspend
		s.report.Failed = append(s.report.Failed, Failure{x.node, x.node.Name, x.err})
		return
	}
	s.state[x.node.Key] = waiting // in this pass nothing will start it again
}

// settled reports whether a step will not need its inputs any more.
func (s *solver) settled(k Key) bool {
	switch s.state[k] {
	case waiting, running:
		return false
	case failed, skipped:
		return !s.held[k]
	}
	return true
}

// releasable reports whether a thing can go now.
func (s *solver) releasable(t thing) (Record, bool) {
	r, _ := s.e.rec(t.node.Key)
	if !r.Alive() || r.Kept || s.ending[t.node.Key] || !s.settled(t.node.Key) {
		return r, false
	}
	for _, c := range t.consumers {
		if !s.settled(c) {
			return r, false
		}
	}
	if goal, ok := s.g.Keeps[t.node.Key]; ok && !s.settled(goal) {
		return r, false
	}
	for i, h := range t.holders {
		hr, _ := s.e.rec(h.Key)
		free := s.settled(h.Key) && !hr.Alive()
		for _, f := range t.settlers[i] {
			fr, _ := s.e.rec(f)
			free = free || fr.Status == Done
		}
		if !free {
			return r, false
		}
	}
	return r, true
}
