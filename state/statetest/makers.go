package statetest

import (
	"bytes"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/state"
)

// claimant is a new run that an engine drives, as one that contends for steps.
func claimant(t testing.TB, h *state.Home, means string) state.Claimant {
	t.Helper()
	id, epoch := assigned(t, h)
	return state.Claimant{Run: id, Epoch: epoch, Means: []byte(means)}
}

// contend has a run claim what no other run makes, and returns who makes the others.
func contend(t testing.TB, h *state.Home, c state.Claimant, steps ...dag.Key) (others map[dag.Key]string) {
	t.Helper()
	if err := h.Contend(c, steps, func(o map[dag.Key]string) (mine []dag.Key) {
		others = o
		return slices.DeleteFunc(slices.Clone(steps), func(k dag.Key) bool { return o[k] != "" })
	}); err != nil {
		t.Fatal(err)
	}
	return others
}

// makingOf is what is known of a wait; there must be one.
func makingOf(t testing.TB, h *state.Home, c state.Claimant, step dag.Key, seen int64) state.Making {
	t.Helper()
	ms, err := h.Makings([]state.Wait{{Run: c.Run, Step: step, Seen: seen}})
	if err != nil || len(ms) != 1 {
		t.Fatalf("%d things are known of the wait, %v", len(ms), err)
	}
	return ms[0]
}

// makers: of runs of the same means one makes a step, as long as it is driven and says nothing else.
func makers(t *testing.T, p *place) {
	h := p.home(t)
	a, b, c := claimant(t, h, "x"), claimant(t, h, "x"), claimant(t, h, "y")
	one, two := Record(1), Record(2)
	if o := contend(t, h, a, one.Key, two.Key); len(o) > 0 {
		t.Errorf("others make %v", o)
	}
	if o := contend(t, h, b, one.Key); !maps.Equal(o, map[dag.Key]string{one.Key: a.Run}) {
		t.Errorf("others make %v", o)
	}
	if o := contend(t, h, c, one.Key, two.Key); len(o) > 0 {
		t.Errorf("for a run of other means others make %v", o)
	}
	if runs, err := h.Makers([]dag.Key{one.Key, Record(3).Key}); err != nil || len(runs) != 1 || runs[one.Key] != a.Run && runs[one.Key] != c.Run {
		t.Errorf("%v makes it, %v", runs, err)
	}
	for id, want := range map[string][]string{a.Run: nil, b.Run: {a.Run}} {
		if s, err := h.Summary(id); err != nil || !slices.Equal(s.Awaits, want) {
			t.Errorf("run %s awaits %v, %v", id, s.Awaits, err)
		}
	}
	if m := makingOf(t, h, a, one.Key, 0); m.Maker != a.Run || m.Epoch != a.Epoch {
		t.Errorf("the maker makes it so: %+v", m)
	}
	m := makingOf(t, h, b, one.Key, 0)
	if m.Maker != a.Run || m.Epoch != a.Epoch || m.Record.Status != "" || m.Changed != 0 {
		t.Errorf("before there is a record: %+v", m)
	}
	r := join(t, h, a.Run, a.Epoch)
	if err := r.Put(one); err != nil {
		t.Fatal(err)
	}
	if m = makingOf(t, h, b, one.Key, 0); m.Record.Name != one.Name || m.Changed == 0 {
		t.Errorf("with a record: %+v", m)
	}
	if m = makingOf(t, h, b, one.Key, m.Changed); m.Record.Name != "" || m.Epoch != a.Epoch {
		t.Errorf("what was seen is read again: %+v", m)
	}
	if rs, err := h.Lent(a.Run, []dag.Key{two.Key, one.Key}); err != nil || len(rs) != 1 || rs[0].Key != one.Key {
		t.Errorf("it lends %v, %v", rs, err)
	}
	if err := h.Yield(a.Run, a.Epoch-1, one.Key); err != nil || makingOf(t, h, b, one.Key, 0).Epoch == 0 {
		t.Errorf("who was replaced yields: %v", err)
	}
	if err := h.Yield(a.Run, a.Epoch, one.Key); err != nil {
		t.Fatal(err)
	}
	if m = makingOf(t, h, b, one.Key, m.Changed); m.Maker != a.Run || m.Epoch != 0 || m.Record.Name != one.Name {
		t.Errorf("who makes it no more: %+v", m)
	}
	if o := contend(t, h, b, one.Key, two.Key); !maps.Equal(o, map[dag.Key]string{two.Key: a.Run}) || makingOf(t, h, b, one.Key, 0).Maker != b.Run {
		t.Errorf("then others make %v", o)
	}
	if err := h.Yield(b.Run, b.Epoch, two.Key); err != nil || makingOf(t, h, b, two.Key, 0).Maker != a.Run {
		t.Errorf("who only waits yields: %v", err)
	}
	if err := h.Release(a.Run, a.Epoch); err != nil {
		t.Fatal(err)
	}
	if m = makingOf(t, h, b, two.Key, 0); m.Epoch != 0 || m.Maker != a.Run {
		t.Errorf("of a run that was given back: %+v", m)
	}
	fenced(t, "a claim of a run that was given back", h.Contend(a, []dag.Key{two.Key}, func(map[dag.Key]string) []dag.Key { return []dag.Key{two.Key} }))
	if o := contend(t, h, b, one.Key, two.Key); len(o) > 0 {
		t.Errorf("when it was given back others make %v", o)
	}
	epoch, err := h.Assign(a.Run, engine)
	if err != nil {
		t.Fatal(err)
	}
	a.Epoch = epoch
	if o := contend(t, h, a, one.Key, two.Key); o[one.Key] != b.Run || o[two.Key] != b.Run {
		t.Errorf("once it is driven again, others make %v", o)
	}
	if err := h.Yield(b.Run, b.Epoch); err != nil {
		t.Fatal(err)
	}
	if o := contend(t, h, a, one.Key, two.Key); len(o) > 0 {
		t.Errorf("when the other makes nothing others make %v", o)
	}
	if err := h.Release(c.Run, c.Epoch); err != nil {
		t.Fatal(err)
	}
	if runs, err := h.Makers([]dag.Key{one.Key, two.Key}); err != nil || len(runs) != 2 || runs[one.Key] != a.Run {
		t.Errorf("in the end %v makes it, %v", runs, err)
	}
	ms, err := h.Makings([]state.Wait{{Run: "nobody", Step: one.Key}})
	if err != nil || len(ms) > 0 {
		t.Errorf("of a run that waits for nothing there is %v, %v", ms, err)
	}
}

// makersAtOnce: however many runs claim steps at the same moment, each has one maker.
func makersAtOnce(t *testing.T, p *place) {
	h := p.home(t)
	const runs = 12
	steps := []dag.Key{Record(1).Key, Record(2).Key, Record(3).Key}
	var won [3]atomic.Int32
	var wg sync.WaitGroup
	var all []state.Claimant
	for range runs {
		all = append(all, claimant(t, h, "x"))
	}
	for i, c := range all {
		wg.Go(func() {
			for n := range steps { // in any order
				at := (n + i) % len(steps)
				mine := false
				if err := h.Contend(c, steps[at:at+1], func(others map[dag.Key]string) []dag.Key {
					time.Sleep(10 * time.Millisecond) // for the others to come
					if mine = len(others) == 0; mine {
						return steps[at : at+1]
					}
					return nil
				}); err != nil {
					t.Error(err)
				}
				if mine {
					won[at].Add(1)
				}
			}
		})
	}
	wg.Wait()
	for at := range won {
		if n := won[at].Load(); n != 1 {
			t.Errorf("step %d has %d makers", at, n)
		}
	}
}

// sharedKey: all who seal to the same recipients have one key, and no other.
func sharedKey(t *testing.T, p *place) {
	first, err := p.home(t).SharedKey()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := p.home(t).SharedKey(); err != nil || !bytes.Equal(again, first) || len(first) != 32 {
		t.Errorf("it has %d bytes, and is another one: %v", len(first), err)
	}
	h, err := p.b.Open(p.at, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if other, err := h.SharedKey(); err != nil || bytes.Equal(other, first) {
		t.Errorf("who has another identity has the same key: %v", err)
	}
}
