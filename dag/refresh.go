package dag

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// reliedOn finds the things of which a step that must run reads what is there.
func (p *planner) reliedOn() []bool {
	things, seen := make([]bool, len(p.x.nodes)), make([]bool, len(p.x.nodes))
	for i, reads := range p.x.reads {
		if !p.need[i] {
			continue
		}
		there := slices.DeleteFunc(slices.Clone(reads), func(d int) bool { return p.need[d] })
		p.x.shown(there, seen, func(thing int) { things[thing] = true })
	}
	return things
}

// check looks for a thing that its checkpoint claims. It changes nothing but records.
func (e *Engine) check(ctx context.Context, n Node) error {
	r, _ := e.rec(n.Key)
	k, err := e.kind(n)
	if err != nil {
		return err
	}
	t := e.task(r, true)
	found, err := e.find(ctx, r, t)
	if err == nil && !bytes.Equal(found, r.Out) { // it is known better than when it was made
		r.Out = found
		if k.label != nil {
			r.Label = k.label(found)
		}
		return e.later(r)
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
	return e.markRemoved(r)
}

// Besides is the name of a value, saved by or for a step, that stays in its record when what its output shows is
// removed: it tells of what the step has done besides. It goes when the step's own thing does, or it is done anew.
const Besides = "besides"

// markRemoved records that a thing is gone, and all that was derived from it; of one
// that has served, what was derived stands, and only counts it no more among what
// there is.
func (e *Engine) markRemoved(r Record) error {
	dead := e.recs.derivedFrom(r)
	for i := range dead {
		if r.Spent && dead[i].Key != r.Key {
			dead[i].Spent, dead[i].Artifacts = true, nil
			continue
		}
		left := dead[i].State[Besides]
		dead[i].Status, dead[i].Out, dead[i].State, dead[i].Ended = Gone, nil, nil, time.Now()
		if left != nil && dead[i].Key != r.Key {
			dead[i].State = map[string]json.RawMessage{Besides: left}
		}
	}
	return e.later(dead...)
}

// describe names a record's thing for people.
func describe(r Record) string {
	if r.Label != "" {
		return r.Label
	}
	return r.Name
}
