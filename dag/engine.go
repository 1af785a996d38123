package dag

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// Decision is what becomes of the things that a failed step still needs.
type Decision int

const (
	Cleanup Decision = iota // release them
	Suspend                 // keep them for a fix and a resume
	Again                   // run the step once more, now
)

// Options are what an engine needs.
type Options struct {
	Run   string // the run's id, part of every token
	Store Store
	Sink  Sink // may be nil
	Kinds []Kind
	// Secret gives the real value of a named secret; nil knows none.
	Secret func(name string) (string, error)
	// OnFailure decides after a step has failed for good; nil is Cleanup. It may
	// ask a person: only the failed step waits for it.
	OnFailure func(ctx context.Context, n Node, err error) Decision
	// Parallel is how many builds may be at work at once; 0 is no limit.
	Parallel int
}

// Engine drives one run.
type Engine struct {
	o     Options
	kinds map[string]Kind

	mu   sync.Mutex
	recs map[Key]Record
}

// New reads what the store remembers of the run.
func New(o Options) (*Engine, error) {
	e := &Engine{o: o, kinds: map[string]Kind{}, recs: map[Key]Record{}}
	for _, k := range o.Kinds {
		if _, twice := e.kinds[k.Name]; twice {
			return nil, fmt.Errorf("cannot start the engine: two kinds of step are called %s", k.Name)
		}
		e.kinds[k.Name] = k
	}
	rs, err := o.Store.All()
	if err != nil {
		return nil, err
	}
	for _, r := range rs {
		e.recs[r.Key] = r
	}
	return e, nil
}

// Records returns what is known of every step, the oldest first.
func (e *Engine) Records() []Record {
	e.mu.Lock()
	rs := slices.Collect(maps.Values(e.recs))
	e.mu.Unlock()
	slices.SortFunc(rs, func(a, b Record) int {
		if c := a.Begun.Compare(b.Begun); c != 0 {
			return c
		}
		return slices.Compare(a.Key[:], b.Key[:])
	})
	return rs
}

func (e *Engine) rec(k Key) (Record, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r, ok := e.recs[k]
	return r, ok
}

// storeError is a checkpoint, or a machine's output, that could not be kept:
// nothing may go on, and nothing is removed for it.
type storeError struct{ err error }

func (e *storeError) Error() string { return e.err.Error() }
func (e *storeError) Unwrap() error { return e.err }

func (e *Engine) put(rs ...Record) error {
	if err := e.o.Store.Put(rs...); err != nil {
		return &storeError{fmt.Errorf("cannot write a checkpoint: %w", err)}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range rs {
		e.recs[r.Key] = r
	}
	return nil
}

func (e *Engine) task(r Record, resumed bool) *Task {
	return &Task{Run: e.o.Run, Name: r.Name, Builds: r.Builds, Token: r.Token(e.o.Run), Attempt: r.Tries, Resumed: resumed,
		kind: r.Kind, spec: r.Spec, begun: r.Begun, sink: e.o.Sink, secret: e.o.Secret}
}

func (e *Engine) out(k Key) (json.RawMessage, error) {
	r, ok := e.rec(k)
	if !ok || r.Status != Done {
		return nil, fmt.Errorf("cannot read the output of a step that is not done: %s", k.Short())
	}
	return r.Out, nil
}

func (e *Engine) kind(n Node) (Kind, error) {
	k, ok := e.kinds[n.Kind]
	if !ok {
		return k, fmt.Errorf("%s: this imgflow does not know the kind of step %q: use the version that made the run", n.Name, n.Kind)
	}
	return k, nil
}

// errSuspended is the end of a step whose context was cancelled.
var errSuspended = errors.New("suspended")

// run makes one step: intent, work, checkpoint.
func (e *Engine) run(ctx context.Context, g *Graph, n Node) error {
	k, err := e.kind(n)
	if err != nil {
		return err
	}
	r, known := e.rec(n.Key)
	resumed := known && r.Status != Gone
	if !resumed {
		r = Record{Gen: r.Gen + 1}
	}
	r.Node, r.Status, r.Begun = n, Doing, time.Now()
	t := e.task(r, resumed)
	if resumed && k.thing {
		// Before the intent is renewed: what an earlier attempt made is older.
		if done, err := e.adopt(ctx, g, n); done || err != nil {
			return err
		}
	}
	if err := e.put(r); err != nil {
		return err
	}
	started := t.event(Started)
	started.Text = n.Title
	t.emit(started)
	out, unmade, err := e.attempt(ctx, k, r, t)
	if err != nil {
		if ctx.Err() != nil {
			return errSuspended
		}
		var st *storeError
		if errors.As(err, &st) {
			return err // the work itself did not fail: it goes on where its output ends
		}
		r.Status, r.Err, r.Ended = Broken, err.Error(), time.Now()
		if k.thing && unmade {
			r.Status = Gone
		}
		r.Tries++
		if perr := e.put(r); perr != nil {
			return perr
		}
		return err
	}
	return e.done(g, k, r, out, t.event(Finished))
}

// attempt calls Do until it succeeds, fails for good or runs out of patience.
// Unmade says that no call of Do has made anything.
func (e *Engine) attempt(ctx context.Context, k Kind, r Record, t *Task) (out json.RawMessage, unmade bool, err error) {
	patience := defaultPatience
	if p := k.wait(r.Spec); p != nil && p.Patience() > 0 {
		patience = p.Patience()
	}
	unmade = true
	for try, start := 1, time.Now(); ; try++ {
		out, err := guarded(t, func() (json.RawMessage, error) { return k.do(ctx, r.Spec, t, e.out) })
		if err == nil {
			return out, false, nil
		}
		var not *NotMadeError
		unmade = unmade && errors.As(err, &not) // an earlier try may have had an effect
		wait, ok := retryAfter(err, try)
		if !ok || ctx.Err() != nil {
			return nil, unmade, err
		}
		if time.Since(start)+wait > patience {
			return nil, unmade, fmt.Errorf("%w (tried %d times in %s)", err, try, time.Since(start).Round(time.Second))
		}
		t.Retrying(err, wait)
		if sleep(ctx, wait) != nil {
			return nil, unmade, err
		}
		t.Resumed = true
	}
}

// guarded turns a panic into an error: a fault of one step must not cost the
// others their checkpoints.
func guarded(t *Task, f func() (json.RawMessage, error)) (out json.RawMessage, err error) {
	defer func() {
		if p := recover(); p != nil {
			t.Detail("%s", debug.Stack())
			err = fmt.Errorf("cannot go on with %s: a fault in imgflow itself: %v", t.Name, p)
		}
	}()
	return f()
}

// done writes the checkpoint of a step, and with it that the things which were
// waiting for this goal are worth keeping.
func (e *Engine) done(g *Graph, k Kind, r Record, out json.RawMessage, ev Event) error {
	r.Status, r.Out, r.Ended, r.Err = Done, out, time.Now(), ""
	if k.label != nil {
		r.Label = k.label(out)
	}
	rs := []Record{r}
	for thing, goal := range g.Keeps {
		if goal != r.Key {
			continue
		}
		if thing == r.Key {
			rs[0].Kept = true
		} else if kept, ok := e.rec(thing); ok {
			kept.Kept = true
			rs = append(rs, kept)
		}
	}
	if err := e.put(rs...); err != nil {
		return err
	}
	if e.o.Sink != nil {
		ev.Text, ev.Took = r.Label, r.Ended.Sub(r.Begun)
		e.o.Sink.Emit(ev)
	}
	return nil
}

// adopt looks for the thing of an interrupted step and checkpoints it.
func (e *Engine) adopt(ctx context.Context, g *Graph, n Node) (bool, error) {
	r, _ := e.rec(n.Key)
	r.Node = n
	k, err := e.kind(n)
	if err != nil {
		return false, err
	}
	t := e.task(r, true)
	out, err := guarded(t, func() (json.RawMessage, error) { return k.find(ctx, t, nil) })
	switch {
	case errors.Is(err, ErrNotFound):
		return false, nil
	case err != nil && ctx.Err() != nil:
		return false, errSuspended
	case err != nil:
		return false, fmt.Errorf("cannot find out whether %s was made: %w", n.Name, err)
	}
	return true, e.done(g, k, r, out, t.event(Adopted))
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
