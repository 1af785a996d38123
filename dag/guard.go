package dag

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// Guarded adds the steps that work adds, and before them the one that guard adds, which
// is no part of the work. It stands by on the machine that it takes, and is done when that machine is to go, whoever removes it and whenever, but
// not if the last of the steps is done by then. How it ends changes nothing: the machine goes all
// the same. It reads nothing that the steps make, and they come after it and are no other steps for it.
func (g *Graph) Guarded(guard func(aside *Graph), work func()) {
	aside := &Graph{Form: g.Form, digest: g.digest}
	guard(aside)
	g.errs = append(g.errs, aside.errs...)
	if len(aside.Nodes) == 0 {
		work()
		return
	}
	n := aside.Nodes[len(aside.Nodes)-1]
	n.Canon = "guard\n" + n.Canon // the same work in its turn is another step
	n.Key = digestKey(n.Canon)
	n.Attaches, n.Takes, n.Guard, n.Thing = n.Takes, nil, true, true
	if n.Title != "" {
		n.Title = "if the build fails: " + n.Title
	}
	g.add(n)
	from := len(g.Nodes)
	work()
	for _, step := range g.Nodes[from:] {
		g.Sequence(step.Key, n.Key)
	}
	if len(g.Nodes) > from {
		if g.Guards == nil {
			g.Guards = map[Key]Key{}
		}
		g.Guards[n.Key] = g.Nodes[len(g.Nodes)-1].Key
	}
}

// root is the record of where the machine began that a guard stands by for.
func (e *Engine) root(guard Record) Record {
	r, _ := e.rec(guard.Attaches[0])
	for len(r.Takes) > 0 {
		before, ok := e.rec(r.Takes[0])
		if !ok {
			break
		}
		r = before
	}
	return r
}

// farewell makes a try to do a guard, which is over then. An error is one of the store, or
// one that may pass; any other is told, since nothing is kept for it.
func (e *Engine) farewell(ctx context.Context, r Record, n Node, x Order) error {
	resumed := r.Status == Undoing
	r.Node = n // what is no part of its key may have been edited
	if x.First && !resumed {
		r.Status, r.Begun = Undoing, time.Now()
		rs := []Record{r}
		if m := e.root(r); m.Thing && m.Alive() {
			m.Parted = true
			rs = append(rs, m)
		}
		if err := e.put(rs...); err != nil {
			return err
		}
	}
	t := e.task(r, resumed)
	if x.First {
		t.Warn("the build has not come to a good end: its cleanup begins")
	}
	_, err := e.around(ctx, r.Node, x.Try, func(ctx context.Context) (json.RawMessage, error) { return e.do(ctx, &r, t) })
	switch {
	case err == nil:
	case ctx.Err() != nil, StoreFailed(err), errors.As(err, new(*RetryError)) && x.Try < mostLosses:
		return err
	default:
		t.Warn("%v; nothing waits for it", err)
	}
	if err := e.markRemoved(r); err != nil {
		return err
	}
	ev := t.event(Finished)
	ev.Took = time.Since(x.Began)
	t.emit(ev)
	return nil
}
