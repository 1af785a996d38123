package dag

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"
)

// refresh compares what the checkpoints claim with what exists: things of
// interrupted steps are adopted, and things that a step which must run would
// rely on are looked for. It changes nothing but records.
func (e *Engine) refresh(ctx context.Context, g *Graph) error {
	checked := map[Key]bool{}
	for {
		var todo []Node
		recs := e.Records()
		byKey := make(map[Key]Record, len(recs))
		for _, r := range recs {
			byKey[r.Key] = r
		}
		need := demand(g, byKey, nil)
		for _, n := range g.Nodes {
			r := byKey[n.Key]
			if !n.Thing || checked[n.Key] || !r.Alive() {
				continue
			}
			if need[n.Key] || r.Status == Done && reliedOn(g, need, n.Key) {
				checked[n.Key] = true
				todo = append(todo, n)
			}
		}
		if len(todo) == 0 {
			return nil
		}
		errs := make([]error, len(todo))
		var wg sync.WaitGroup
		for i, n := range todo {
			wg.Go(func() { errs[i] = e.check(ctx, g, n) })
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			return err
		}
	}
}

// reliedOn reports whether a step that must run reads x or a view of it.
func reliedOn(g *Graph, need map[Key]bool, x Key) bool {
	shows := views(g.Nodes, x)
	for _, n := range g.Nodes {
		if !need[n.Key] {
			continue
		}
		for _, d := range n.Needs {
			if shows[d] && !need[d] {
				return true
			}
		}
	}
	return false
}

func (e *Engine) check(ctx context.Context, g *Graph, n Node) error {
	r, _ := e.rec(n.Key)
	if r.Status == Undoing {
		return e.undo(ctx, r, nil)
	}
	if r.Status != Done {
		_, err := e.adopt(ctx, g, n)
		return err
	}
	k, err := e.kind(n)
	if err != nil {
		return err
	}
	t := e.task(r, true)
	found, err := guarded(t, func() (json.RawMessage, error) { return k.find(ctx, t, r.Out) })
	if err == nil && !bytes.Equal(found, r.Out) { // it is known better than when it was made
		r.Out = found
		if k.label != nil {
			r.Label = k.label(found)
		}
		return e.put(r)
	}
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return errSuspended
	}
	if !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("cannot check that %s still exists: %w", describe(r), err)
	}
	ev := t.event(Vanished)
	ev.Text = describe(r)
	t.emit(ev)
	return e.bury(r)
}

// bury records that a thing is gone, and all its views with it.
func (e *Engine) bury(r Record) error {
	recs := e.Records()
	shows := views(nodesOf(recs), r.Key)
	var dead []Record
	for _, v := range recs {
		if shows[v.Key] && v.Status != Gone {
			v.Status, v.Out, v.Ended = Gone, nil, time.Now()
			dead = append(dead, v)
		}
	}
	return e.put(dead...)
}

// describe names a record's thing for people.
func describe(r Record) string {
	if r.Label != "" {
		return r.Label
	}
	return r.Name
}
