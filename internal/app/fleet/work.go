package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/engine/temporal"
	"github.com/imgflow/imgflow/internal/app"
	"github.com/imgflow/imgflow/internal/app/drive"
	"github.com/imgflow/imgflow/state"
)

// Prepare says what is to be done of a run. What has been found out since it was asked
// last decides about builds.
func (w *sessions) Prepare(ctx context.Context, ask temporal.Ask) (_ *temporal.Prepared, err error) {
	defer w.tell(ctx, ask.Run, &err)
	j, done, err := w.take(ctx, ask.Run, ask.Epoch)
	if err != nil {
		return nil, err
	}
	defer done()
	if err := j.e.Update(j.s.Refresh); err != nil {
		return nil, err
	}
	j.graph.Lock()
	defer j.graph.Unlock()
	whole := ask.Build == "" && !ask.Cleanup
	g := j.g
	if whole || g.Open() { // another worker may have made it anew
		if g, err = j.renewed(); err != nil {
			return nil, err
		}
	}
	if ask.First() {
		if err := j.s.Begins(); err != nil {
			return nil, err
		}
	}
	if whole && g.Open() && ask.Known != "" {
		if g, err = j.s.Rest(ctx); err != nil {
			return nil, err
		}
		j.g = g
	}
	p, err := temporal.Prepare(j.e, g, ask)
	if err == nil && p.Graph != nil {
		err = j.e.With(j.o.Run, drive.Sink(j.o, j.o.Run)).Announce(announced(g, p.Graph))
	}
	if err == nil {
		err = j.o.Run.Sync() // it comes before what other workers tell
	}
	return p, err
}

// Fire makes the run of one time of a schedule.
func (w *sessions) Fire(ctx context.Context, f temporal.Firing) (_ temporal.Fired, err error) {
	defer func() {
		if err != nil && ctx.Err() == nil && w.warn != nil {
			w.warn("schedule %s: %v", f.Schedule, err)
		}
	}()
	x, err := w.app.Fire(ctx, w.home, app.Firing(f), w.dir)
	if err != nil || x.Run == "" {
		return temporal.Fired{Problem: x.Problem}, err
	}
	s, err := submission(w.home, x.Run, x.Where)
	return temporal.Fired{Ref: temporal.Ref{Run: x.Run, Epoch: x.Epoch}, Submission: s}, err
}

// announced are the steps of a graph that are in a part of it and nobody has announced.
func announced(g, part *dag.Graph) *dag.Graph {
	fresh := &dag.Graph{}
	for _, n := range part.Nodes {
		if n, ok := g.Node(n.Key); ok && !slices.Contains(part.Lent, n.Key) {
			fresh.Nodes = append(fresh.Nodes, n)
		}
	}
	return fresh
}

// Carry carries out an order: whoever did so before writes no more.
func (w *sessions) Carry(ctx context.Context, ref temporal.Ref, x dag.Order) (o dag.Outcome, changed []dag.Record, err error) {
	defer w.tell(ctx, ref.Run, &err)
	j, done, err := w.take(ctx, ref.Run, ref.Epoch)
	if err != nil {
		return o, nil, err
	}
	defer done()
	if x.Site != "" {
		if err := j.verify(ctx); err != nil {
			return o, nil, err
		}
	}
	claim, err := j.o.Run.Claim(x.Key)
	if err != nil {
		return o, nil, err
	}
	if err := j.e.Update(j.s.Refresh); err != nil {
		return o, nil, err
	}
	var g *dag.Graph
	if !x.Removal {
		if g, err = j.of(x.Key); err != nil {
			return o, nil, err
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-claim.Lost():
			cancel()
		case <-ctx.Done():
		}
	}()
	o, changed = j.e.With(claim, drive.Sink(j.o, claim)).Carry(ctx, g, x)
	select {
	case <-claim.Lost(): // what it has come to is nobody's business any more: who has the claim tells
		return dag.Outcome{}, nil, fmt.Errorf("another worker does step %s of run %s now", x.Name, ref.Run)
	default:
	}
	return o.Redacted(j.s.Redact), changed, nil
}

// Tell tells of orders that are no calls.
func (w *sessions) Tell(ctx context.Context, ref temporal.Ref, xs []dag.Order) (err error) {
	defer w.tell(ctx, ref.Run, &err)
	j, done, err := w.take(ctx, ref.Run, ref.Epoch)
	if err != nil {
		return err
	}
	defer done()
	if err := j.e.Update(j.s.Refresh); err != nil {
		return err
	}
	e := j.e.With(j.o.Run, drive.Sink(j.o, j.o.Run))
	for _, x := range xs {
		g, err := j.of(x.Key)
		if err != nil {
			return err
		}
		if err := e.Tell(g, x); err != nil {
			return err
		}
	}
	return j.o.Run.Sync()
}

// Finish says how the run has ended.
func (w *sessions) Finish(ctx context.Context, ref temporal.Ref, report dag.Report, failed string) error {
	return w.end(ctx, ref, func(s *app.Session) error { return s.Ends(&report, failed) })
}

// Undo says what of a run is to be removed: things are the keys of its steps.
func (w *sessions) Undo(ctx context.Context, ref temporal.Ref, things json.RawMessage) (_ *temporal.Prepared, err error) {
	defer w.tell(ctx, ref.Run, &err)
	var keys []dag.Key
	if err := json.Unmarshal(things, &keys); err != nil {
		return nil, fmt.Errorf("cannot tell what is to be removed of run %s: %w", ref.Run, err)
	}
	chosen := map[dag.Key]bool{}
	for _, k := range keys {
		chosen[k] = true
	}
	j, done, err := w.take(ctx, ref.Run, ref.Epoch)
	if err != nil {
		return nil, err
	}
	defer done()
	if err := j.e.Update(j.s.Refresh); err != nil {
		return nil, err
	}
	return temporal.Removal(j.e, func(r dag.Record) bool { return chosen[r.Key] }), nil
}

// Undone says how a removal has ended.
func (w *sessions) Undone(ctx context.Context, ref temporal.Ref, left []dag.Failure, failed string) error {
	return w.end(ctx, ref, func(s *app.Session) error { return s.Removed(left, failed) })
}

// tell tells whoever runs the worker what could not even begin, though the engine has others
// try it. What has ended with its context is no news, nor is what was told just before.
func (w *sessions) tell(ctx context.Context, run string, err *error) {
	if *err == nil || ctx.Err() != nil || w.warn == nil {
		return
	}
	text := fmt.Sprintf("run %s: %v", run, *err)
	w.mu.Lock()
	news := text != w.told
	w.told = text
	w.mu.Unlock()
	if news {
		w.warn("%s", text)
	}
}

// end notes the end of a drive, and gives the run back. Where that was done before, there is
// nothing left to do.
func (w *sessions) end(ctx context.Context, ref temporal.Ref, note func(*app.Session) error) (err error) {
	defer w.tell(ctx, ref.Run, &err)
	j, done, err := w.take(ctx, ref.Run, ref.Epoch)
	if errors.As(err, new(*state.FencedError)) {
		return nil
	}
	if err != nil {
		return err
	}
	err = note(j.s)
	w.mu.Lock()
	w.leave(ref.Run, j)
	w.mu.Unlock()
	done()
	if err != nil {
		return err
	}
	if err := w.home.Release(ref.Run, ref.Epoch); err != nil {
		return err
	}
	w.tidy(ref.Run)
	return nil
}
