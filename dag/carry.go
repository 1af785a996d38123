package dag

import (
	"context"
	"time"

	"github.com/imgflow/imgflow/internal/errcode"
)

// With returns the engine of the same run, with the same records, that keeps and tells
// elsewhere what it does.
func (e *Engine) With(s Store, sink Sink) *Engine {
	c := *e
	c.o.Store, c.o.Sink = s, sink
	return &c
}

// Update notes records that were written by others, as read returns them. The engine
// keeps nothing while read is at work, so that nothing older overtakes what it keeps.
func (e *Engine) Update(read func() ([]Record, error)) error {
	e.recs.keeping.Lock()
	defer e.recs.keeping.Unlock()
	rs, err := read()
	e.recs.note(rs...)
	return err
}

// Carry carries out an order of a pass over the graph, or its skeleton, that is decided
// elsewhere. Graph is nil for the order of a removal alone. When it returns, all of it is kept; changed are the
// slim forms of the records that whoever decides has to know then. It may be called
// from many goroutines, for different steps.
func (e *Engine) Carry(ctx context.Context, g *Graph, x Order) (o Outcome, changed []Record) {
	c := *e
	c.changed = newRecords()
	if g != nil {
		e.recs.derive(g)
	}
	r, _ := c.rec(x.Key)
	o = c.carry(ctx, g, x, c.task(r, true))
	if err := c.put(); err != nil {
		o.Err = err
	}
	if err := c.leave(g, x, o); err != nil && o.Err == nil {
		o.Err = err
	}
	if x.Again { // whoever was lost may have changed them
		c.changed.note(c.touched(g, x.Key)...)
	}
	return o, e.Slim(c.changed.all())
}

// Tell tells people of an order that is no call. The error says that other runs could not be told.
func (e *Engine) Tell(g *Graph, x Order) error {
	if g != nil {
		e.recs.derive(g)
	}
	r, _ := e.rec(x.Key)
	e.tell(g, x, e.task(r, true))
	return e.leave(g, x, Outcome{})
}

// touched are the records that carrying out an order for a step may have changed.
func (e *Engine) touched(g *Graph, k Key) []Record {
	keys := e.recs.shows(k)
	if g != nil {
		w := g.derive()
		for _, of := range []map[Key][]Key{w.keeps, w.discards, w.guards} {
			keys = append(keys, of[k]...)
		}
	}
	var rs []Record
	for _, k := range keys {
		if r, ok := e.rec(k); ok {
			rs = append(rs, r)
			if r.Guard {
				rs = append(rs, e.root(r))
			}
		}
	}
	return rs
}

// carry carries out an order that is a call. The task is that of the step's last making.
func (e *Engine) carry(ctx context.Context, g *Graph, x Order, t *Task) Outcome {
	n := e.node(g, x.Key)
	r, _ := e.rec(n.Key)
	switch {
	case x.Removal:
		if n.Guard && x.First && e.o.BeforeStep != nil {
			e.o.BeforeStep(ctx, n)
		}
		o := e.release(ctx, n, x, t)
		if o.Err != nil && ctx.Err() != nil {
			o.Err = errSuspended
		}
		return o
	case x.Action == let:
		e.o.BeforeStep(ctx, n)
		if ctx.Err() != nil {
			return Outcome{Err: errSuspended}
		}
		return Outcome{}
	case x.Action == forget:
		if !r.Guard {
			t.Warn("%s: the machine was there before and stays as it is, and what comes after runs on it", x.Why)
		}
		return Outcome{Err: e.markRemoved(r)}
	case x.Action == fail:
		verdict, err := e.fail(ctx, n, x)
		return Outcome{Verdict: verdict, Err: err}
	case x.Action == find && r.Status == Done:
		err := e.check(ctx, n)
		r, _ := e.rec(n.Key)
		return Outcome{There: r.Status == Done, Err: err}
	case x.Action == find:
		there, err := e.adopt(ctx, g, n)
		return Outcome{There: there, Err: err}
	case x.Action == borrow:
		return e.borrow(ctx, g, n)
	case x.Again && r.Status == Done:
		return Outcome{}
	case x.Again && r.Alive():
		if there, err := e.adopt(ctx, g, n); there || err != nil {
			return Outcome{Err: err}
		}
	}
	if e.o.Makers != nil && n.lookup() {
		if elsewhere, err := e.claim(n); elsewhere || err != nil {
			return Outcome{Elsewhere: elsewhere, Err: err}
		}
	}
	return Outcome{Err: e.run(ctx, g, n, x)}
}

// node is the step of a key as the graph has it, or as it was made.
func (e *Engine) node(g *Graph, k Key) Node {
	if g != nil {
		if i, ok := g.derive().at[k]; ok {
			return g.Nodes[i]
		}
	}
	r, _ := e.rec(k)
	return r.Node
}

// tell tells people of an order that is no call.
func (e *Engine) tell(g *Graph, x Order, t *Task) {
	if !x.Told() {
		return
	}
	r, _ := e.rec(x.Key)
	switch ev := t.event(""); x.Action {
	case wait:
		t.Retrying(x.Err, x.After)
	case rebuild:
		ev.Type, ev.Text = Rebuilt, describe(r)+" must be made again: "+x.Why
		t.emit(ev)
	case skip:
		t.emit(e.about(e.node(g, x.Key), Skipped))
	case retake:
		t.Warn("%v: its machine was taken away, so another one is made, and what was done on it is done again", x.Err)
		t.emit(e.about(e.node(g, x.Key), Suspended))
	case suspend:
		t.emit(e.about(e.node(g, x.Key), Suspended))
	case leave:
		ev.Type, ev.Text, ev.Err, ev.Code = Left, describe(r), x.Err.Error(), string(errcode.Of(x.Err))
		t.emit(ev)
	case warnLate:
		t.Warn("the work is done, but %s could not be removed yet: trying for another %s", describe(r), x.After.Round(time.Second))
	case sayLate:
		t.Say("%s is still being removed: waiting for at most another %s", describe(r), x.After.Round(time.Second))
	}
}
