package dag

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/internal/sleep"
)

// Decision is what becomes of the things that a failed step still needs.
type Decision int

const (
	Cleanup Decision = iota // release them
	Suspend                 // keep them for a fix and a resume
	Again                   // run the step once more, now
	Guards                  // keep them as Suspend does, but have their guards done
)

// Options are what an engine needs.
type Options struct {
	Run   string // the run's id, part of every token
	Store Store
	Sink  Sink // may be nil
	Kinds []Kind
	// Runner does, finds and undoes the steps; nil does it in this process, as the
	// kinds are bound.
	Runner Runner
	// Secret gives the real value of a named secret; nil knows none.
	Secret func(name string) (string, error)
	// OnFailure decides after a step has failed for good; nil is Cleanup. It may
	// ask a person: only the failed step waits for it.
	OnFailure func(ctx context.Context, n Node, err error) Decision
	// BeforeStep is called before a step begins, and holds it up; it may be nil.
	BeforeStep func(ctx context.Context, n Node)
	// Around is called before each attempt of a step's work, from 1 on, which gets
	// the context that it returns, and the function is called with how the attempt
	// ended. Attempt 0 is a look for the step's thing, or its removal. It is for
	// tracing, and may be nil.
	Around func(ctx context.Context, n Node, attempt int) (context.Context, func(error))
	// Parallel is how many builds may be at work at once; 0 is no limit.
	Parallel int
	// Makers knows what other runs make at the same time; nil: nothing is had of others.
	Makers Makers
	// Leaves reports whether a step leaves something beside its output, such as files, so that what is
	// made with it is no other run's to lend; nil: none does.
	Leaves func(n Node) bool
}

// Engine drives one run.
type Engine struct {
	o      Options
	kinds  map[string]Kind
	runner Runner
	recs   *records

	changed *records // what this engine keeps is noted there, too; may be nil
}

// New reads what the store remembers of the run.
func New(o Options) (*Engine, error) {
	e := &Engine{o: o, kinds: map[string]Kind{}, recs: newRecords()}
	for _, k := range o.Kinds {
		if _, twice := e.kinds[k.Name]; twice {
			return nil, fmt.Errorf("cannot start the engine: two kinds of step are called %s", k.Name)
		}
		e.kinds[k.Name] = k
	}
	if e.runner = o.Runner; e.runner == nil {
		e.runner = local(e.kinds)
	}
	rs, err := o.Store.All()
	if err != nil {
		return nil, err
	}
	for i, r := range rs {
		if k := e.kinds[r.Kind]; k.made != nil && r.Status == Done && r.Artifacts == nil && !r.Spent {
			rs[i].Artifacts = k.made(r.Out) // an earlier version kept none
		}
	}
	e.recs.note(rs...)
	return e, nil
}

// Records returns what is known of every step, the oldest first.
func (e *Engine) Records() []Record { return e.recs.all() }

func (e *Engine) rec(k Key) (Record, bool) { return e.recs.get(k) }

// storeError is a checkpoint, or a machine's output, that could not be kept:
// nothing may go on, and nothing is removed for it.
type storeError struct{ err error }

func (e *storeError) Error() string { return e.err.Error() }
func (e *storeError) Unwrap() error { return e.err }

// put keeps records that something outside relies on: they are on the disk, and all
// that came before them.
func (e *Engine) put(rs ...Record) error { return e.keep(e.o.Store.Put, rs) }

// later keeps records that may be lost with the process: what they tell is found out,
// or done, once more.
func (e *Engine) later(rs ...Record) error { return e.keep(e.o.Store.Later, rs) }

func (e *Engine) keep(write func(...Record) error, rs []Record) error {
	e.recs.keeping.RLock()
	defer e.recs.keeping.RUnlock()
	if err := write(rs...); err != nil {
		return &storeError{fmt.Errorf("cannot write a checkpoint: %w", err)}
	}
	e.recs.note(rs...)
	if e.changed != nil {
		e.changed.note(rs...)
	}
	return nil
}

func (e *Engine) task(r Record, resumed bool) *Task {
	return &Task{Run: e.o.Run, Name: r.Name, Builds: r.Builds, Token: r.Token(e.o.Run), Attempt: r.Tries, Resumed: resumed,
		key: r.Key, kind: r.Kind, sink: e.o.Sink}
}

// about is an event of a step as it stands: of its last making, if there was one.
func (e *Engine) about(n Node, typ EventType) Event {
	r, made := e.rec(n.Key)
	r.Node = n
	ev := e.task(r, false).event(typ)
	if !made || r.Status == Gone {
		ev.Token, ev.Attempt = "", 0
	}
	return ev
}

// call is what a runner has to know of a record's making.
func (e *Engine) call(r Record, t *Task) Call {
	return Call{Run: e.o.Run, Key: r.Key, Name: r.Name, Builds: r.Builds, Kind: r.Kind, Spec: r.Spec, Out: r.Out, Token: t.Token,
		Attempt: r.Tries, Resumed: t.Resumed, Begun: r.Begun, State: r.State}
}

func (e *Engine) out(k Key) (json.RawMessage, error) {
	r, ok := e.rec(k)
	if !ok || r.Status != Done {
		return nil, fmt.Errorf("cannot read the output of a step that is not done: %s", k.Short())
	}
	return r.Out, nil
}

// do has the work of a record's step done, which may keep something in the record.
func (e *Engine) do(ctx context.Context, r *Record, t *Task) (json.RawMessage, error) {
	c := e.call(*r, t)
	c.Inputs = map[Key]json.RawMessage{}
	for _, k := range r.Needs {
		in, err := e.out(k)
		if err != nil {
			return nil, err
		}
		c.Inputs[k] = in
	}
	c.Texts = e.evaluate(r.Node)
	h := &host{e: e, t: t, r: r}
	out := e.runner.Do(ctx, c, h)
	return out.Out, out.err(h)
}

// find looks for the thing of a record: for that of its output, if it has one.
func (e *Engine) find(ctx context.Context, r Record, t *Task) (json.RawMessage, error) {
	if r.Guard {
		return nil, ErrNotFound // it has come no further than its intent
	}
	h := &host{e: e, t: t}
	return e.around(ctx, r.Node, 0, func(ctx context.Context) (json.RawMessage, error) {
		for try := 1; ; try++ {
			out := e.runner.Find(ctx, e.call(r, t), h)
			if out.Class != Lost || try == mostLosses || sleep.For(ctx, lossPause(try)) != nil {
				return out.Out, out.err(h)
			}
		}
	})
}

func (e *Engine) kind(n Node) (Kind, error) {
	k, ok := e.kinds[n.Kind]
	if !ok {
		return k, unknownKind(n.Name, n.Kind)
	}
	return k, nil
}

// unknownKind is read by who goes on with another version's run, and by who has
// written a kind of step and not registered it.
func unknownKind(name, kind string) error {
	return errcode.With(errcode.UnknownStepKind, fmt.Errorf("cannot do %s: this imgflow does not know the kind of step %q: go on with the version that made the run, or, if the kind is new, add it to Kinds of its package", name, kind))
}

// errSuspended is the end of a step whose context was cancelled.
var errSuspended = errors.New("suspended")

// run makes one attempt of a step: intent, work, checkpoint.
func (e *Engine) run(ctx context.Context, g *Graph, n Node, x Order) error {
	k, err := e.kind(n)
	if err != nil {
		return err
	}
	r, known := e.rec(n.Key)
	resumed := known && r.Status != Gone
	first := x.First || r.Status != Doing // whoever was lost may not have begun
	if first {
		if !resumed {
			r = Record{Gen: r.Gen + 1}
		}
		r.Lender = Lender{}
		r.Node, r.Status, r.Begun = n, Doing, time.Now()
	}
	t := e.task(r, resumed)
	if first {
		keep := e.later // whatever it does can be done again
		if n.Thing || len(n.Takes) > 0 {
			keep = e.put
		}
		if err := keep(r); err != nil {
			return err
		}
		started := t.event(Started)
		if started.Text = n.Title; n.Guard {
			started.Text = "" // it only stands by
		}
		t.emit(started)
	}
	if n.Guard {
		out, err := e.out(n.Attaches[0])
		if err != nil {
			return err
		}
		return e.done(g, k, r, out, t.event(Finished))
	}
	out, err := e.around(ctx, n, r.Tries+x.Try, func(ctx context.Context) (json.RawMessage, error) {
		return e.do(ctx, &r, t)
	})
	if err != nil {
		if ctx.Err() != nil {
			return errSuspended
		}
		return err
	}
	return e.done(g, k, r, out, t.event(Finished))
}

// fail journals that a step has failed, and asks what that means.
func (e *Engine) fail(ctx context.Context, n Node, x Order) (Decision, error) {
	ev := e.about(n, Failed)
	ev.Err, ev.Code = x.Err.Error(), string(errcode.Of(x.Err))
	if r, _ := e.rec(n.Key); x.Tried && !(x.Again && (r.Status == StatusFailed || r.Status == Gone)) {
		r.Status, r.Err, r.Ended = StatusFailed, x.Err.Error(), time.Now()
		if n.Thing && x.Unmade {
			r.Status = Gone
		}
		r.Tries++
		if err := e.later(r); err != nil {
			return Cleanup, err
		}
	}
	e.task(Record{Node: n}, false).emit(ev)
	if e.o.OnFailure == nil {
		return Cleanup, nil
	}
	return e.o.OnFailure(ctx, n, x.Err), nil
}

// patience is for how long a step is tried again.
func (e *Engine) patience(n Node) time.Duration {
	if p := e.kinds[n.Kind].wait(n.Spec); p != nil && p.Patience() > 0 {
		return p.Patience()
	}
	return defaultPatience
}

// A call that is lost is made again so many times: a step that ends whoever does it
// must not do so for ever.
const mostLosses = 6

// lossPause is the wait after the nth loss. The first is mostly an accident.
func lossPause(n int) time.Duration {
	if n == 1 {
		return 0
	}
	return backoff(n - 1)
}

func (e *Engine) around(ctx context.Context, n Node, attempt int, do func(context.Context) (json.RawMessage, error)) (json.RawMessage, error) {
	if e.o.Around == nil {
		return do(ctx)
	}
	ctx, end := e.o.Around(ctx, n, attempt)
	out, err := do(ctx)
	end(err)
	return out, err
}

// done writes the checkpoint of a step, and with it that the things which were
// waiting for this goal are worth keeping, or have served. Without it, a thing is found by its token,
// and a step goes on from its intent; whatever changes something because of it has an
// intent of its own, which brings it to the disk.
func (e *Engine) done(g *Graph, k Kind, r Record, out json.RawMessage, ev Event) error {
	r.Status, r.Out, r.Ended, r.Err = Done, out, time.Now(), ""
	r.Finished, r.Report = r.Ended, ""
	if k.report != nil {
		r.Report = k.report(out)
	}
	if k.label != nil {
		r.Label = k.label(out)
	}
	if k.made != nil {
		r.Artifacts = k.made(out)
		for i := range r.Artifacts {
			r.Artifacts[i].Run = r.Lender.Run
		}
	}
	rs := []Record{r}
	for _, thing := range g.derive().keeps[r.Key] {
		if thing == r.Key {
			rs[0].Kept = true
		} else if kept, ok := e.rec(thing); ok {
			kept.Kept = true
			rs = append(rs, kept)
		}
	}
	for _, thing := range g.derive().discards[r.Key] {
		if spent, ok := e.rec(thing); ok && spent.Alive() {
			spent.Kept, spent.Spent = false, true
			rs = append(rs, spent)
		}
	}
	for _, guard := range g.derive().guards[r.Key] {
		if over, ok := e.rec(guard); ok && over.Alive() {
			over.Status, over.Out, over.Ended = Gone, nil, time.Now()
			rs = append(rs, over)
		}
	}
	keep := e.later
	if g.derive().decides[r.Key] {
		keep = e.put // a resume sees the same, and not what is there by then
	}
	if err := keep(rs...); err != nil {
		return err
	}
	if e.o.Sink != nil {
		ev.Text, ev.Took = r.Label, r.Ended.Sub(r.Begun)
		if r.Borrowed() {
			ev.Text = r.lent()
		}
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
	r.Out = nil
	out, err := e.find(ctx, r, t)
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
