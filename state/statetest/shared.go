package statetest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/state"
)

// forShared are those for backends whose runs many processes write to.
var forShared = []test{
	{"Assign", assign, "Backend.Assign Backend.Release Backend.Join Backend.Assignments"},
	{"TakenOver", takenOver, "Journal.Close"},
	{"Refresh", refresh, "Journal.Changed Journal.Flush"},
	{"Claim", claim, "Journal.Claim Journal.Lost"},
	{"ClaimedTogether", claimedTogether, "Journal.Claim"},
	{"SummaryOfMany", summaryOfMany, "Journal.Summarize"},
	{"StoreOfAClaim", storeOfAClaim, "Journal.Claim"},
	{"Makers", makers, "Backend.Contend Backend.Makings Backend.Makers Backend.Yield Backend.Lent"},
	{"MakersAtOnce", makersAtOnce, "Backend.Contend"},
	{"SharedKey", sharedKey, "Backend.SharedKey"},
	{"AssignHeld", assignHeld, "Backend.Assigned Journal.Assign"},
	{"Schedules", schedules, "Journal.Adopt Schedules.All Schedules.Get Schedules.Put Schedules.Note Schedules.Remove Schedules.PutBlob Schedules.Blob"},
}

// Shared tests a backend whose runs many processes write to.
func Shared(t *testing.T, b Backend) { play(t, b, forShared) }

var engine = state.Owner{Command: "temporal://127.0.0.1:7233/default"}

// assigned is a new run that an engine drives.
func assigned(t testing.TB, h *state.Home) (id string, epoch int64) {
	t.Helper()
	r := create(t, h)
	if err := errors.Join(r.SetDoc("meta", "x"), r.Close()); err != nil {
		t.Fatal(err)
	}
	epoch, err := h.Assign(r.ID(), engine)
	if err != nil {
		t.Fatal(err)
	}
	return r.ID(), epoch
}

func join(t testing.TB, h *state.Home, id string, epoch int64) *state.Run {
	t.Helper()
	r, err := h.Join(id, epoch)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func fenced(t testing.TB, what string, err error) {
	t.Helper()
	if !errors.As(err, new(*state.FencedError)) {
		t.Errorf("%s: %v, want a FencedError", what, err)
	}
}

// lost waits for a process to know that it has lost something.
func lost(t testing.TB, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(30 * time.Second):
		t.Errorf("%s was not told", what)
	}
}

func assign(t *testing.T, p *place) {
	h := p.home(t)
	r := create(t, h)
	if _, err := h.Assign(r.ID(), engine); !errors.As(err, new(*state.BusyError)) {
		t.Errorf("a run that is driven is assigned: %v", err)
	}
	r.Close()
	epoch, err := h.Assign(r.ID()[:10], engine)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := h.Summary(r.ID()); err != nil || s.Status != state.Running || s.Owner != engine || !h.Driven(r.ID()) {
		t.Errorf("assigned: %+v, %v", s, err)
	}
	var busy *state.BusyError
	if _, err := h.Open(r.ID()); !errors.As(err, &busy) || busy.Epoch != epoch || !strings.Contains(err.Error(), engine.Command) {
		t.Errorf("a run that is assigned is opened: %v", err)
	}
	if _, err := h.Join(r.ID(), epoch+1); err == nil {
		t.Error("who does not know the epoch joins")
	}
	old := join(t, h, r.ID(), epoch)
	if err := old.Put(Record(1)); err != nil {
		t.Error(err)
	}
	next, err := h.Assign(r.ID(), engine)
	if err != nil || next <= epoch {
		t.Fatalf("epoch %d after %d, %v", next, epoch, err)
	}
	create(t, h) // which is driven here
	if all, err := h.Assignments(); err != nil || len(all) != 1 || all[0] != (state.Assignment{Run: r.ID(), Epoch: next, Owner: engine}) {
		t.Errorf("the assignments are %v, %v", all, err)
	}
	fenced(t, "a record of the epoch before", old.Put(Record(2)))
	fenced(t, "a summary of the epoch before", old.SetSummary(func(s *state.Summary) { s.Status = state.Failed }))
	lost(t, "who had joined the epoch before", old.Lost())
	fenced(t, "an event of the epoch before", old.Emit(said("x")))
	_, err = h.Join(r.ID(), epoch)
	fenced(t, "to join the epoch before", err)
	fenced(t, "to release the epoch before", h.Release(r.ID(), epoch))
	if err := errors.Join(h.Release(r.ID(), next), h.Release(r.ID(), next)); err != nil {
		t.Error(err)
	}
	if s, err := h.Summary(r.ID()); err != nil || h.Driven(r.ID()) || s.Status != state.Interrupted {
		t.Errorf("released: %+v, %v", s, err)
	}
	if all, err := h.Assignments(); err != nil || len(all) != 0 {
		t.Errorf("the assignments of nobody are %v, %v", all, err)
	}
	again := open(t, h, r.ID())
	if rs, err := again.All(); err != nil || len(rs) != 1 {
		t.Errorf("%d records, %v", len(rs), err)
	}
	fenced(t, "to release what was opened since", h.Release(r.ID(), next))
}

// takenOver: a run whose process gives no sign of life is taken, and what that process does
// when it wakes up is refused. (That it wakes up is another test's matter: here it has
// only been released and taken again.)
func takenOver(t *testing.T, p *place) {
	h := p.home(t)
	id, epoch := assigned(t, h)
	worker := join(t, h, id, epoch)
	if err := errors.Join(worker.Later(Record(1)), worker.Emit(said("put off")), h.Release(id, epoch)); err != nil {
		t.Fatal(err)
	}
	fenced(t, "what was put off and comes too late", worker.Put())
	r := open(t, h, id)
	if rs, err := r.All(); err != nil || len(rs) != 0 || texts(t, h, id) != "" {
		t.Errorf("it is there: %v, %v", rs, err)
	}
	if err := worker.Close(); err != nil {
		t.Errorf("to close what was lost: %v", err)
	}
	if err := r.Put(Record(2)); err != nil {
		t.Error(err)
	}
}

// refresh: each reads what others have changed, once.
func refresh(t *testing.T, p *place) {
	h := p.home(t)
	id, epoch := assigned(t, h)
	a := join(t, h, id, epoch)
	if err := a.Put(Record(1), Record(2)); err != nil {
		t.Fatal(err)
	}
	b := join(t, p.home(t), id, epoch)
	if rs, err := b.All(); err != nil || len(rs) != 2 {
		t.Fatalf("%d records, %v", len(rs), err)
	}
	if rs, err := b.Refresh(); err != nil || len(rs) != 0 {
		t.Errorf("%d records were changed since it was joined, %v", len(rs), err)
	}
	if err := errors.Join(a.Put(Record(3)), a.Later(doing(Record(2))), a.Put(), b.Later(Record(4))); err != nil {
		t.Fatal(err)
	}
	if rs, err := b.All(); err != nil || len(rs) != 4 {
		t.Errorf("%d records, %v", len(rs), err)
	}
	rs, err := b.Refresh()
	changed := map[string]dag.Status{}
	for _, r := range rs {
		changed[r.Name] = r.Status
	}
	if err != nil || fmt.Sprint(changed) != "map[step-2:doing step-3:done step-4:done]" {
		t.Errorf("changed: %v, %v", changed, err)
	}
	if rs, err := b.Refresh(); err != nil || len(rs) != 0 {
		t.Errorf("told twice: %d records, %v", len(rs), err)
	}
	if rs, err := a.Refresh(); err != nil || len(rs) != 4 {
		t.Errorf("the other sees %d records, %v", len(rs), err)
	}
}

func claim(t *testing.T, p *place) {
	h := p.home(t)
	id, epoch := assigned(t, h)
	a, b := join(t, h, id, epoch), join(t, p.home(t), id, epoch)
	step, other := Record(1), Record(2)
	claimed := func(r *state.Run, k dag.Key) *state.Claim {
		t.Helper()
		c, err := r.Claim(k)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	old, beside := claimed(a, step.Key), claimed(a, other.Key)
	emit(t, old, printed("tok", "stdout", 10, "one"))
	// The paused one has put something off when another takes the step.
	if err := errors.Join(old.Later(step), old.Emit(printed("tok", "stdout", 20, "late")), beside.Later(other), beside.Emit(said("beside"))); err != nil {
		t.Fatal(err)
	}
	now := claimed(b, step.Key)
	if n := now.Offset("tok", "stdout"); n != 10 && n != 20 {
		t.Errorf("the output goes on at %d", n)
	}
	at := now.Offset("tok", "stdout")
	time.Sleep(200 * time.Millisecond) // what was put off has had its time
	if n := now.Offset("tok", "stdout"); n != at {
		t.Errorf("an older claim has moved the offset from %d to %d", at, n)
	}
	fenced(t, "a record of an older claim", old.Put(doing(step)))
	fenced(t, "an event of an older claim", old.Emit(said("late")))
	fenced(t, "what an older claim syncs", old.Sync())
	lost(t, "an older claim", old.Lost())
	emit(t, now, printed("tok", "stdout", 20, "two"))
	if err := errors.Join(now.Put(step), beside.Put(), a.Put()); err != nil {
		t.Errorf("claims of other steps, or of the same: %v", err)
	}
	rs, err := recordsOf(h, id, epoch)
	if err != nil || len(rs) != 2 || rs[0].Status != dag.Done || rs[1].Status != dag.Done {
		t.Errorf("%+v, %v", rs, err)
	}
	// On a slow machine it had its time before.
	if got := texts(t, h, id); got != "one|beside|two" && (at == 10 || got != "one|late|beside|two") {
		t.Errorf("from %d on, events %s", at, got)
	}
	// The same process may do a step again: what it has put off before counts.
	again := claimed(b, step.Key)
	fenced(t, "a claim that the same process has renewed", now.Put(step))
	if err := again.Put(step); err != nil {
		t.Error(err)
	}
	if _, err := h.Assign(id, engine); err != nil {
		t.Fatal(err)
	}
	fenced(t, "a claim of another epoch", again.Put(step))
	_, err = b.Claim(step.Key)
	fenced(t, "to claim in another epoch", err)
}

// recordsOf are the records as one more worker reads them.
func recordsOf(h *state.Home, id string, epoch int64) ([]dag.Record, error) {
	r, err := h.Join(id, epoch)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return r.All()
}

// claimedTogether: of many that take one step in turns, each writes until the next has it,
// and every line is there once.
func claimedTogether(t *testing.T, p *place) {
	h := p.home(t)
	id, epoch := assigned(t, h)
	const workers, lines = 4, 300
	k := Record(1).Key
	var wg sync.WaitGroup
	for range workers {
		r := join(t, p.home(t), id, epoch)
		wg.Go(func() {
			for {
				c, err := r.Claim(k)
				if err != nil {
					t.Error(err)
					return
				}
				n := c.Offset("tok", "stdout")
				for range 40 { // then another has it, or this one again
					if n == lines {
						break
					}
					n++
					if err = c.Emit(printed("tok", "stdout", n, fmt.Sprint(n))); err != nil {
						break
					}
					if n%7 == 0 {
						if err = c.Sync(); err != nil {
							break
						}
					}
				}
				if err == nil {
					err = c.Sync()
				}
				if err != nil {
					fenced(t, "a line", err)
				} else if n == lines {
					return
				}
			}
		})
	}
	wg.Wait()
	var want []string
	for i := range lines {
		want = append(want, fmt.Sprint(i+1))
	}
	if got := texts(t, h, id); got != strings.Join(want, "|") {
		t.Errorf("lines %s", got)
	}
}

// summaryOfMany: many change parts of one summary, and none undoes another's.
func summaryOfMany(t *testing.T, p *place) {
	h := p.home(t)
	id, epoch := assigned(t, h)
	var wg sync.WaitGroup
	for w := range 4 {
		r := join(t, p.home(t), id, epoch)
		wg.Go(func() {
			for i := range 10 {
				if err := r.SetSummary(func(s *state.Summary) {
					s.Builds = append(s.Builds, state.BuildSummary{Name: fmt.Sprint(w, "/", i)})
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if s, err := h.Summary(id); err != nil || len(s.Builds) != 40 || s.Status != state.Running {
		t.Errorf("%d builds of a run that is %s, %v", len(s.Builds), s.Status, err)
	}
}

// storeOfAClaim: a claim is a store like any other.
func storeOfAClaim(t *testing.T, p *place) {
	h := p.home(t)
	id, epoch := assigned(t, h)
	r := join(t, h, id, epoch)
	c, err := r.Claim(Record(1).Key)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.Later(Record(1)), c.Put(), c.Later(Record(2))); err != nil {
		t.Fatal(err)
	}
	if rs, err := c.All(); err != nil || len(rs) != 2 {
		t.Errorf("%d records, %v", len(rs), err)
	}
	if n := c.Break([]byte("no secret here"), 4); n != 4 {
		t.Errorf("a line is broken at %d", n)
	}
	r.Redact().Add("hunter2hunter2")
	emit(t, c, said("it is hunter2hunter2"))
	if got := texts(t, h, id); got != "it is "+state.Redacted {
		t.Error(got)
	}
}
