package dag

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Failure is a step that failed, or a thing that could not be removed.
type Failure struct {
	Node Node
	Name string // the thing's name where it has one, else the step's
	Err  error
}

// release makes one try to remove a thing, or to find one that it does not know by
// name, and records when it and its views are gone.
func (e *Engine) release(ctx context.Context, n Node, x Order, t *Task) Outcome {
	r, _ := e.rec(n.Key)
	if _, err := e.kind(r.Node); err != nil {
		return Outcome{Err: err}
	}
	switch {
	case r.Guard && r.Status == Gone: // its machine has vanished meanwhile
		return Outcome{}
	case r.Guard && r.Out != nil:
		return Outcome{Err: e.farewell(ctx, r, n, x)}
	}
	if x.First {
		ev := t.event(Releasing)
		ev.Text = describe(r)
		t.emit(ev)
		if r.Status != Undoing {
			r.Status = Undoing
			if err := e.put(r); err != nil {
				return Outcome{Err: err}
			}
		}
	}
	if x.Out != nil {
		r.Out = x.Out
	}
	if x.Action == find || r.Out == nil {
		found, err := e.find(ctx, r, t)
		switch {
		case err == nil && x.Action == find:
			return Outcome{There: true, Out: found}
		case err != nil && !errors.Is(err, ErrNotFound):
			return Outcome{Err: fmt.Errorf("cannot find out whether %s was made: %w", r.Name, err)}
		}
		r.Out = found
	}
	if r.Out != nil {
		h := &host{e: e, t: t}
		_, err := e.around(ctx, r.Node, 0, func(ctx context.Context) (json.RawMessage, error) {
			return nil, e.runner.Undo(ctx, e.call(r, t), h).err(h)
		})
		if err != nil && !errors.Is(err, ErrNotFound) {
			return Outcome{Err: err}
		}
	}
	if err := e.markRemoved(r); err != nil {
		return Outcome{Err: err}
	}
	ev := t.event(Released)
	ev.Text, ev.Took = describe(r), time.Since(x.Began)
	t.emit(ev)
	return Outcome{}
}

// Destroy removes the chosen things of the run, in whatever state they are, and
// says which could not be removed. It can be repeated. The error is the store's
// or the context's.
func (e *Engine) Destroy(ctx context.Context, which func(Record) bool) (left []Failure, err error) {
	d := newRemover(e.recs, which)
	e.carryOut(ctx, d)
	return d.report.Left, errors.Join(d.fatal, ctx.Err())
}

// Unkept chooses what a run made only for a while.
func Unkept(r Record) bool { return !r.Kept }
