package dag

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Failure is a step that failed, or a thing that could not be removed.
type Failure struct {
	Node Node
	Name string // the thing's name where it has one, else the step's
	Err  error
}

// undo removes one thing, next to work that may be nil, and records that it and
// its views are gone.
func (e *Engine) undo(ctx context.Context, r Record, w *lastWork) error {
	k, err := e.kind(r.Node)
	if err != nil {
		return err
	}
	t := e.task(r, true)
	ev := t.event(Releasing)
	ev.Text = describe(r)
	t.emit(ev)
	began := time.Now()
	if r.Status != Undoing {
		u := r
		u.Status = Undoing
		if err := e.put(u); err != nil {
			return err
		}
	}
	bounded, end := w.hurry(ctx, t, describe(r), began)
	defer end()
	for try := 1; ; try++ {
		_, err = guarded(t, func() (json.RawMessage, error) { return nil, e.undoOnce(bounded, k, r, t) })
		wait, ok := retryAfter(err, try)
		if err == nil || !ok || bounded.Err() != nil || w.enough(began, wait) {
			break
		}
		t.Retrying(err, wait)
		if try == 1 {
			w.tell(t, describe(r), began)
		}
		w.pause(bounded, wait)
	}
	if ctx.Err() != nil && err != nil {
		return errSuspended
	}
	if hurried := context.Cause(bounded); err != nil && hurried != nil {
		err = hurried
		if last := t.trouble(); last != "" {
			err = fmt.Errorf("%s (%w)", last, hurried)
		}
	}
	if err != nil {
		ev := t.event(Left)
		ev.Text, ev.Err = describe(r), err.Error()
		t.emit(ev)
		return err
	}
	if err := e.bury(r); err != nil {
		return err
	}
	ev = t.event(Released)
	ev.Text, ev.Took = describe(r), time.Since(began)
	t.emit(ev)
	return nil
}

func (e *Engine) undoOnce(ctx context.Context, k Kind, r Record, t *Task) error {
	out := r.Out
	if out == nil { // interrupted: it may exist without our knowing its name
		found, err := k.find(ctx, t, nil)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("cannot find out whether %s was made: %w", r.Name, err)
		}
		out = found
	}
	err := k.undo(ctx, t, out)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// undoAll removes things side by side, but none before what stands on it. It
// never stops at the first error.
func (e *Engine) undoAll(ctx context.Context, things []Record) (left []Failure, err error) {
	recs := e.Records()
	nodes := nodesOf(recs)
	ended := map[Key]chan struct{}{}
	failed := map[Key]error{}
	for _, r := range things {
		ended[r.Key] = make(chan struct{})
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, r := range things {
		shows := views(nodes, r.Key)
		var above []Record
		for _, o := range things {
			if o.Key != r.Key && slices.ContainsFunc(o.Holds, func(k Key) bool { return shows[k] }) {
				above = append(above, o)
			}
		}
		wg.Go(func() {
			defer close(ended[r.Key])
			var err error
			for _, o := range above {
				<-ended[o.Key]
				mu.Lock()
				if failed[o.Key] != nil {
					err = fmt.Errorf("cannot remove it while %s stands on it", describe(o))
				}
				mu.Unlock()
			}
			if err == nil {
				err = e.undo(ctx, r, nil)
			}
			if err != nil {
				mu.Lock()
				failed[r.Key] = err
				left = append(left, Failure{r.Node, describe(r), err})
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for _, f := range left {
		var s *storeError
		if errors.As(f.Err, &s) {
			err = s
		}
	}
	if ctx.Err() != nil {
		err = errors.Join(err, ctx.Err())
	}
	return left, err
}

// Destroy removes the chosen things of the run, in whatever state they are, and
// says which could not be removed. It can be repeated. The error is the store's
// or the context's.
func (e *Engine) Destroy(ctx context.Context, which func(Record) bool) (left []Failure, err error) {
	var things []Record
	for _, r := range e.Records() {
		if r.Alive() && which(r) {
			things = append(things, r)
		}
	}
	return e.undoAll(ctx, things)
}

// Unkept chooses what a run made only for a while.
func Unkept(r Record) bool { return !r.Kept }
