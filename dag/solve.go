package dag

import (
	"context"
	"time"
)

// Report is how solving ended.
type Report struct {
	Failed    []Failure // steps that failed, each once, as the cause
	Skipped   []Node    // steps that could not run since another failed
	Left      []Failure // temporary things that could not be removed
	Stayed    []Record  // things that are not kept, and that no failure removes: see Stay
	Suspended bool      // the context ended first: everything stays, and a resume goes on
}

// Solve brings every goal of g into being, and takes the scaffolding down as
// early as nothing needs it any more. Where a machine is taken away ([Taken]), all
// else comes to its end first; then another one is made, and the steps go on there from
// the first one, three times at most. When ctx ends, no new step starts, the
// running ones are told, and all that exists stays for the next Solve.
//
// The error says that nothing can go on: the graph is wrong, a checkpoint could
// not be written, what exists could not be found out. Failed steps are in the
// report.
func (e *Engine) Solve(ctx context.Context, g *Graph) (*Report, error) {
	if err := g.Err(); err != nil {
		return nil, err
	}
	if err := e.bound(g); err != nil {
		return nil, err
	}
	if err := e.Announce(g); err != nil {
		return nil, err
	}
	d := newPass(g, e.recs, e.Rules())
	e.carryOut(ctx, d)
	return d.Result()
}

// Announce tells of each step of a graph that is about to be solved.
func (e *Engine) Announce(g *Graph) error {
	for _, n := range g.Nodes {
		t := e.task(Record{Node: n}, false)
		ev := t.event(Planned)
		ev.Needs, ev.Text, ev.Token, ev.Attempt = n.before(), n.Title, "", 0
		if err := t.emit(ev); err != nil {
			return &storeError{err}
		}
	}
	return nil
}

// Rules are those of the engine's passes.
func (e *Engine) Rules() Rules {
	return Rules{Parallel: e.o.Parallel, Gated: e.o.BeforeStep != nil, Patience: e.patience}
}

// ended is how an order has ended.
type ended struct {
	Order
	Outcome
}

// carrier carries out what a pass decides, until there is nothing left to do. Only one
// goroutine touches it; the calls have their own.
type carrier struct {
	e      *Engine
	d      *Pass
	ends   chan ended
	leaves map[int]leaving // the things that are being removed
}

// leaving is a thing that is being removed.
type leaving struct {
	t   *Task
	end context.CancelFunc // of the call that is on its way
}

// carryOut does what is decided, tells how it has ended, and asks again. When it
// returns, all of that is kept.
func (e *Engine) carryOut(ctx context.Context, d *Pass) {
	defer func() {
		if err := e.put(); d.fatal == nil {
			d.fatal = err
		}
	}()
	c := &carrier{e: e, d: d, ends: make(chan ended), leaves: map[int]leaving{}}
	d.trouble = c.trouble
	stop := ctx.Done()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		if ctx.Err() != nil {
			stop = nil
			d.Interrupt()
		}
		for _, x := range d.Decide(time.Now()) {
			if x.Action == Finish {
				return
			}
			c.begin(ctx, x)
		}
		var due <-chan time.Time
		if at := d.Next(); !at.IsZero() {
			timer.Reset(time.Until(at))
			due = timer.C
		}
		select {
		case x := <-c.ends:
			if x.Removal && !x.There && x.Outcome.Err == nil {
				delete(c.leaves, x.Place)
			}
			d.Ended(x.Order, x.Outcome, nil, time.Now())
		case <-due:
		case <-stop:
		}
	}
}

// trouble is what the removal of a thing has met lately.
func (c *carrier) trouble(place int) string {
	if l, ok := c.leaves[place]; ok {
		return l.t.trouble(time.Now())
	}
	return ""
}

// begin begins to do what was decided. What takes time has a goroutine of its own.
func (c *carrier) begin(ctx context.Context, x Order) {
	l := c.leaves[x.Place]
	if !x.Removal || x.First {
		r, _ := c.e.rec(x.Key)
		l.t = c.e.task(r, true)
	}
	switch {
	case x.Action == GiveUp:
		l.end()
	case x.Call():
		ctx, end := context.WithCancel(ctx)
		if x.Removal {
			l.end = end
			c.leaves[x.Place] = l
		}
		go func() {
			o := c.e.carry(ctx, c.d.g, x, l.t)
			end()
			c.ends <- ended{x, o}
		}()
	default:
		c.e.tell(c.d.g, x, l.t)
		if x.Action == leave {
			delete(c.leaves, x.Place)
		}
	}
}
