package drive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/state"
)

// Options say how a run is driven.
type Options struct {
	Run    *state.Run
	Kinds  []dag.Kind
	Runner dag.Runner                        // nil: steps are done in this process
	Secret func(name string) (string, error) // may be nil
	// Show gets every event, with no secrets in it.
	Show func(dag.Event)
	// BeforeStep is called before each step begins, and holds it up; it may be nil.
	BeforeStep func(context.Context, dag.Node)
	// OnFailure decides what a failed step means; nil cleans up.
	OnFailure func(ctx context.Context, n dag.Node, err error) dag.Decision
	// Around is that of dag.Options.
	Around func(ctx context.Context, n dag.Node, attempt int) (context.Context, func(error))
	// Trace is the trace that the run is part of, which every event says; "" is none.
	Trace string
	// KeepAlive runs as long as the run is driven, and ends with its context; it
	// may be nil.
	KeepAlive func(ctx context.Context)
	// Rest is asked, when what decides about a graph's builds was looked up or made,
	// what the graph is with that; nil for graphs whose builds are all known.
	Rest     func(ctx context.Context) (*dag.Graph, error)
	Parallel int // builds at work at once; 0: all
	// Makers knows what other runs make at the same time; nil: nothing is had of others.
	Makers dag.Makers
	// Leaves is that of dag.Options.
	Leaves func(n dag.Node) bool
}

// Result is how driving a run ended.
type Result struct {
	*dag.Report
	Summary state.Summary
}

// Solve drives a run until all that it is for exists, or something failed, or
// ctx ends. The error says that nothing could go on.
func Solve(ctx context.Context, g *dag.Graph, o Options) (*Result, error) {
	s := newSink(o, o.Run)
	e, err := engine(o, s)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := Begin(o, began); err != nil {
		return nil, err
	}
	report, err := keptAlive(ctx, o, func(ctx context.Context) (*dag.Report, error) {
		whole, report, err := stages(ctx, e, g, o)
		g = whole
		return report, err
	})
	return End(o, g, e.Records(), report, err, began)
}

// Begin notes and tells that a run is driven from now on.
func Begin(o Options, began time.Time) error {
	if err := o.Run.SetSummary(func(sum *state.Summary) {
		sum.Status, sum.Ended, sum.Err, sum.Code, sum.Left = state.Running, time.Time{}, "", "", nil
		for i := range sum.Builds {
			if sum.Builds[i].Status != state.Done {
				sum.Builds[i].Status, sum.Builds[i].Err, sum.Builds[i].Code = state.Running, "", ""
			}
		}
	}); err != nil {
		return err
	}
	return newSink(o, o.Run).Emit(dag.Event{V: dag.EventVersion, Time: began, Type: dag.RunBegun, Text: o.Run.Summary().Template})
}

// End notes and tells how a run has ended that wants a graph, by its records, what
// solving it has come to, and the error that says that nothing could go on.
func End(o Options, g *dag.Graph, recs []dag.Record, report *dag.Report, err error, began time.Time) (*Result, error) {
	s := newSink(o, o.Run)
	sum := judge(o.Run.Summary(), g, recs, report, err)
	if serr := o.Run.SetSummary(func(old *state.Summary) {
		old.Status, old.Builds, old.Left, old.Err, old.Code, old.Ended = sum.Status, sum.Builds, sum.Left, sum.Err, sum.Code, time.Now()
	}); serr != nil && err == nil {
		err = serr
	}
	s.Emit(dag.Event{V: dag.EventVersion, Time: time.Now(), Type: dag.RunEnded, Text: sum.Status, Err: sum.Err, Code: sum.Code, Took: time.Since(began)})
	s.Sync()
	return &Result{report, o.Run.Summary()}, err
}

// stages solves a graph of which some is known only when some of it was solved, and returns it as far as it has become
// known. A lookup that fails ends that; where a build fails, the others are still made.
func stages(ctx context.Context, e *dag.Engine, g *dag.Graph, o Options) (*dag.Graph, *dag.Report, error) {
	all, known := &dag.Report{}, ""
	for {
		stage, err := g.Stage(all, known)
		if err != nil {
			return g, all, fmt.Errorf("run %s: %w", o.Run.ID(), err)
		}
		all.Skipped = append(all.Skipped, stage.Skipped...)
		report, err := e.Solve(ctx, stage.Part)
		if report != nil {
			all.Add(report)
		}
		if err != nil || stage.Last || all.Suspended || stage.Lookups && len(report.Failed) > 0 {
			return g, all, err
		}
		if ctx.Err() != nil {
			all.Suspended = true
			return g, all, nil
		}
		rest, err := o.Rest(ctx)
		if err != nil {
			return g, all, err
		}
		g, known = rest, stage.Known
	}
}

// Destroy removes what the run has made and which chooses. It returns what
// could not be removed. What cannot be written down, on a full disk, is removed
// all the same, since a removal can be repeated: the error is then the
// *state.WriteError.
func Destroy(ctx context.Context, which func(dag.Record) bool, o Options) ([]dag.Failure, error) {
	store := &leniently{Run: o.Run}
	e, err := engineOn(store, o, newSink(o, o.Run))
	if err != nil {
		return nil, err
	}
	left, err := keptAlive(ctx, o, func(ctx context.Context) ([]dag.Failure, error) { return e.Destroy(ctx, which) })
	serr := Destroyed(o, e.Records(), left)
	if err == nil {
		err = cmp.Or(store.failed(), serr)
	}
	return left, err
}

// Destroyed notes and tells how a removal has ended, by the records of the run and what
// is left.
func Destroyed(o Options, recs []dag.Record, left []dag.Failure) error {
	s := newSink(o, o.Run)
	alive, kept := 0, 0
	for _, r := range recs {
		switch {
		case r.Alive() && r.Kept:
			kept++
		case r.Alive():
			alive++
		}
	}
	err := o.Run.SetSummary(func(sum *state.Summary) {
		sum.Left = leftNames(left)
		switch {
		case alive > 0:
			if sum.Status == state.Running {
				sum.Status = state.Interrupted
			}
		case kept == 0 || sum.Status != state.Done:
			sum.Status = state.Destroyed
		}
		if kept == 0 {
			for i := range sum.Builds {
				sum.Builds[i].Artifacts = nil
			}
		}
		for i := range sum.Builds {
			if b := &sum.Builds[i]; alive == 0 && len(b.Artifacts) == 0 && b.Status != state.Failed {
				b.Status = state.Destroyed
			}
		}
		sum.Ended = time.Now()
	})
	s.Emit(dag.Event{V: dag.EventVersion, Time: time.Now(), Type: dag.RunEnded, Text: o.Run.Summary().Status})
	s.Sync()
	return err
}

// leniently is a run whose records may fail to be written.
type leniently struct {
	*state.Run
	mu  sync.Mutex
	err error // the last that was not written
}

func (l *leniently) Put(rs ...dag.Record) error { return l.note(l.Run.Put(rs...)) }

func (l *leniently) Later(rs ...dag.Record) error { return l.note(l.Run.Later(rs...)) }

func (l *leniently) note(err error) error {
	if errors.As(err, new(*state.WriteError)) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.err = err
		return nil
	}
	return err
}

func (l *leniently) failed() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Engine opens the engine of a run to ask it for records and plans.
func Engine(o Options) (*dag.Engine, error) { return engine(o, newSink(o, o.Run)) }

func engine(o Options, s dag.Sink) (*dag.Engine, error) { return engineOn(o.Run, o, s) }

func engineOn(store dag.Store, o Options, s dag.Sink) (*dag.Engine, error) {
	o.OnFailure = o.suspends()
	return dag.New(dag.Options{Run: o.Run.ID(), Store: store, Sink: s, Kinds: o.Kinds, Runner: o.Runner, Secret: o.Secret,
		OnFailure: o.OnFailure, BeforeStep: o.BeforeStep, Around: o.Around, Parallel: o.Parallel, Makers: o.Makers, Leaves: o.Leaves})
}

// expired reports whether a failure is only that credentials have expired: with new ones the run
// goes on, and without them nothing could be removed.
func expired(err error) bool { return errcode.Of(err) == errcode.CredentialsExpired }

// suspends is OnFailure, but for failures with which everything stays.
func (o Options) suspends() func(context.Context, dag.Node, error) dag.Decision {
	return func(ctx context.Context, n dag.Node, err error) dag.Decision {
		switch {
		case expired(err):
			return dag.Suspend
		case o.OnFailure == nil:
			return dag.Cleanup
		}
		return o.OnFailure(ctx, n, err)
	}
}

// keptAlive runs f while o.KeepAlive runs, and waits for both. When another process has
// taken the run over, f is interrupted, and that is the error.
func keptAlive[T any](ctx context.Context, o Options, f func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	if o.KeepAlive != nil {
		wg.Go(func() { o.KeepAlive(ctx) })
	}
	if o.Run.Lost() != nil {
		wg.Go(func() {
			select {
			case <-ctx.Done():
			case <-o.Run.Lost():
				cancel()
			}
		})
	}
	result, err := f(ctx)
	select {
	case <-o.Run.Lost():
		err = &state.FencedError{Run: o.Run.ID()}
	default:
	}
	return result, err
}

func leftNames(left []dag.Failure) (names []string) {
	for _, f := range left {
		names = append(names, fmt.Sprintf("%s: %v", f.Name, f.Err))
	}
	return names
}

// summaries are artifacts as a run's summary has them.
func summaries(made []dag.Artifact) (list []state.Artifact) {
	for _, a := range made {
		list = append(list, state.Artifact{Owner: a.Owner, Region: a.Region, ID: a.ID, Name: a.Name, Volume: a.Kind == "volume", Maker: a.Maker, Run: a.Run})
	}
	return list
}

// verdict is what steps tell of a build.
type verdict struct {
	unmade, skipped bool // a goal is not there; a step was not tried
	artifacts       []state.Artifact
	err             string // of the first step that failed
	code            errcode.Code
}

// verdicts looks at each step once, however many builds there are.
func verdicts(g *dag.Graph, recs []dag.Record, report *dag.Report) map[string]*verdict {
	byKey, goals, all := map[dag.Key]dag.Record{}, map[dag.Key]bool{}, map[string]*verdict{}
	for _, r := range recs {
		byKey[r.Key] = r
	}
	for _, k := range g.Goals {
		goals[k] = true
	}
	of := func(builds []string, tell func(*verdict)) {
		for _, b := range builds {
			if all[b] == nil {
				all[b] = &verdict{}
			}
			tell(all[b])
		}
	}
	for _, n := range g.Nodes {
		r := byKey[n.Key]
		done := r.Status == dag.Done
		of(n.Builds, func(v *verdict) {
			v.unmade = v.unmade || goals[n.Key] && !done
			if done {
				v.artifacts = append(v.artifacts, summaries(r.Artifacts)...)
			}
		})
	}
	for _, f := range report.Failed {
		of(f.Node.Builds, func(v *verdict) {
			if v.err == "" {
				v.err, v.code = f.Node.Name+": "+f.Err.Error(), errcode.Of(f.Err)
			}
		})
	}
	for _, n := range report.Skipped {
		of(n.Builds, func(v *verdict) { v.skipped = true })
	}
	if len(g.Awaited) > 0 { // no build goes on
		for _, n := range g.Nodes {
			of(n.Builds, func(v *verdict) { v.skipped = true })
		}
	}
	unknown := slices.AppendSeq(slices.Collect(maps.Keys(g.Awaited)), maps.Keys(g.Behind))
	of(unknown, func(v *verdict) { v.unmade, v.skipped = true, true })
	return all
}

// judge says what has become of each build and of the run.
func judge(sum state.Summary, g *dag.Graph, recs []dag.Record, report *dag.Report, err error) state.Summary {
	steps := verdicts(g, recs, report)
	done, failed, made := 0, 0, 0
	for i := range sum.Builds {
		b, v := &sum.Builds[i], steps[sum.Builds[i].Name]
		if v == nil {
			v = &verdict{}
		}
		b.Artifacts, b.Err, b.Code = v.artifacts, v.err, string(v.code)
		made += len(b.Artifacts)
		// A goal that was a view of something temporary went with it.
		ended := !report.Suspended && err == nil && b.Err == "" && !v.skipped
		switch {
		case !v.unmade || ended:
			b.Status = state.Done
			done++
		case b.Err != "" && len(b.Artifacts) > 0:
			b.Status = state.Partial
			failed++
		case b.Err != "":
			b.Status = state.Failed
			failed++
		case report.Suspended || err != nil:
			b.Status = state.Suspended
		default:
			b.Status = state.Failed
			failed++
		}
	}
	held := slices.ContainsFunc(recs, func(r dag.Record) bool { return r.Alive() && !r.Kept })
	sum.Left = leftNames(report.Left)
	sum.Err, sum.Code = "", ""
	switch {
	case err != nil:
		sum.Status, sum.Err, sum.Code = state.Failed, err.Error(), string(errcode.Of(err))
		if held {
			sum.Status = state.Suspended
		}
	case report.Suspended, failed > 0 && held && !slices.ContainsFunc(report.Left, func(f dag.Failure) bool { return !expired(f.Err) }):
		sum.Status = state.Suspended
	case failed == 0 && len(report.Left) == 0:
		sum.Status = state.Done
	case done > 0 || made > 0:
		sum.Status = state.Partial
	default:
		sum.Status = state.Failed
	}
	return sum
}
