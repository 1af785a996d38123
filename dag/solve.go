package dag

import (
	"context"
	"time"

	"github.com/imgflow/imgflow/internal/errcode"
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
	if err := e.bound(g); err != nil {
		return nil, err
	}
	for _, n := range g.Nodes {
		t := e.task(Record{Node: n}, false)
		ev := t.event(Planned)
		ev.Needs, ev.Text, ev.Token, ev.Attempt = n.before(), n.Title, "", 0
		if err := t.emit(ev); err != nil {
			return nil, &storeError{err}
		}
	}
	d := newDecider(g, e.recs, rules{parallel: e.o.Parallel, gated: e.o.BeforeStep != nil, patience: e.patience, partial: g.partial || g.Open()})
	e.carryOut(ctx, d)
	return d.result()
}

// ended is how something that was decided has ended.
type ended struct {
	decision
	outcome
}

// carrier carries out what is decided, until there is nothing left to do. Only one
// goroutine touches it; the calls have their own.
type carrier struct {
	e      *Engine
	d      *decider
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
func (e *Engine) carryOut(ctx context.Context, d *decider) {
	defer func() {
		if err := e.put(); d.fatal == nil {
			d.fatal = err
		}
	}()
	c := &carrier{e: e, d: d, ends: make(chan ended), leaves: map[int]leaving{}}
	stop := ctx.Done()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		if ctx.Err() != nil {
			stop = nil
			d.interrupt()
		}
		for _, x := range d.decide(time.Now(), c.trouble) {
			if x.action == finish {
				return
			}
			c.begin(ctx, x)
		}
		var due <-chan time.Time
		if at := d.next(); !at.IsZero() {
			timer.Reset(time.Until(at))
			due = timer.C
		}
		select {
		case x := <-c.ends:
			if x.removal && !x.there && x.outcome.err == nil {
				delete(c.leaves, x.i)
			}
			d.ended(x.decision, x.outcome, time.Now())
		case <-due:
		case <-stop:
		}
	}
}

// trouble is what the removal of a thing has met lately.
func (c *carrier) trouble(i int) string {
	if l, ok := c.leaves[i]; ok {
		return l.t.trouble(time.Now())
	}
	return ""
}

// begin begins to do what was decided. What takes time has a goroutine of its own.
func (c *carrier) begin(ctx context.Context, x decision) {
	switch x.action {
	case let, find, fail, undo, forget, Run, Resume, Recreate:
		do := c.call(ctx, x)
		go func() { c.ends <- ended{x, do()} }()
	case giveUp:
		c.leaves[x.i].end()
	default:
		c.tell(x)
	}
}

// call returns what is to be done for a decision.
func (c *carrier) call(ctx context.Context, x decision) func() outcome {
	if x.removal {
		l := c.leaves[x.i]
		if x.first {
			r, _ := c.e.rec(x.node.Key)
			l.t = c.e.task(r, true)
		}
		cut, end := context.WithCancel(ctx)
		l.end = end
		c.leaves[x.i] = l
		return func() outcome {
			defer end()
			if x.node.Guard && x.first && c.e.o.BeforeStep != nil {
				c.e.o.BeforeStep(cut, *x.node)
			}
			o := c.e.release(cut, x, l.t)
			if o.err != nil && ctx.Err() != nil {
				o.err = errSuspended
			}
			return o
		}
	}
	n := *x.node
	switch x.action {
	case let:
		return func() outcome {
			c.e.o.BeforeStep(ctx, n)
			if ctx.Err() != nil {
				return outcome{err: errSuspended}
			}
			return outcome{}
		}
	case find:
		return func() outcome {
			if r, _ := c.e.rec(n.Key); r.Status == Done {
				return outcome{err: c.e.check(ctx, n)}
			}
			there, err := c.e.adopt(ctx, c.d.g, n)
			return outcome{there: there, err: err}
		}
	case forget:
		return func() outcome {
			r, _ := c.e.rec(n.Key)
			if r.Guard {
				return outcome{err: c.e.markRemoved(r)}
			}
			c.e.task(r, true).Warn("%s: the machine was there before and stays as it is, and what comes after runs on it", x.why)
			return outcome{err: c.e.markRemoved(r)}
		}
	case fail:
		return func() outcome {
			verdict, err := c.e.fail(ctx, n, x)
			return outcome{verdict: verdict, err: err}
		}
	}
	return func() outcome { return outcome{err: c.e.run(ctx, c.d.g, n, x)} }
}

// tell tells people of what was decided.
func (c *carrier) tell(x decision) {
	if x.action == wait && x.err == nil {
		return // for its turn
	}
	r, _ := c.e.rec(x.node.Key)
	t := c.e.task(r, true)
	if x.removal {
		t = c.leaves[x.i].t
	}
	switch ev := t.event(""); x.action {
	case wait:
		t.Retrying(x.err, x.after)
	case rebuild:
		ev.Type, ev.Text = Rebuilt, describe(r)+" must be made again: "+x.why
		t.emit(ev)
	case skip:
		t.emit(c.e.about(*x.node, Skipped))
	case suspend:
		t.emit(c.e.about(*x.node, Suspended))
	case leave:
		ev.Type, ev.Text, ev.Err, ev.Code = Left, describe(r), x.err.Error(), string(errcode.Of(x.err))
		t.emit(ev)
		delete(c.leaves, x.i)
	case warnLate:
		t.Warn("the work is done, but %s could not be removed yet: trying for another %s", describe(r), x.after.Round(time.Second))
	case sayLate:
		t.Say("%s is still being removed: waiting for at most another %s", describe(r), x.after.Round(time.Second))
	}
}
