package fleet

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/engine/temporal"
	"github.com/imgflow/imgflow/internal/app"
	"github.com/imgflow/imgflow/state"
)

var here = app.Elsewhere{Engine: "temporal://here"}

// back takes a run again that has ended.
func back(t *testing.T, s *app.Session) {
	t.Helper()
	if err := s.Return(); err != nil {
		t.Fatal(err)
	}
}

// boxOf is the record of the box of a build of a run.
func boxOf(t *testing.T, s *app.Session, build string) dag.Record {
	t.Helper()
	recs, err := s.Records()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(recs, func(r dag.Record) bool { return r.Name == "box" && slices.Equal(r.Builds, []string{build}) })
	if i < 0 {
		t.Fatalf("there is no box of %s", build)
	}
	return recs[i]
}

// awaited waits until a run is known to wait for another one.
func awaited(t *testing.T, home *state.Home, run string) {
	t.Helper()
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		told := false
		home.EachEvent(run, 0, func(e dag.Event) error {
			told = told || e.Type == dag.Awaited
			return nil
		})
		if told {
			return
		}
		if time.Since(begun) > 30*time.Second {
			t.Fatalf("run %s waits for nobody", run)
		}
	}
}

// Two runs of one template at once make once what is the same in both, and look once. What holds a
// secret is never the same; nor is anything where they were given different ones.
func TestTwoRunsAtOnce(t *testing.T) {
	for _, pw := range []string{"hunTer2", "hunTer3"} {
		b := newBench(t)
		b.pause = time.Second
		s1, _, ref1 := b.submitted(here)
		s2, home, ref2 := b.submittedWith(here, pw)
		var wg sync.WaitGroup
		for i, ref := range []temporal.Ref{ref1, ref2} {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 300 * time.Millisecond)
				(&engine{t, ref, []*sessions{b.worker(), b.worker()}}).drive()
			})
		}
		wg.Wait()
		back(t, s1)
		back(t, s2)
		same := pw == "hunTer2"
		want := map[bool][2]int{true: {1, 1}, false: {2, 2}}[same]
		if b.times["box.b: plain SCRIPT"] != want[0] || b.asked != want[1] {
			t.Errorf("with the same secret %v, %v were made and %d looks taken", same, b.times, b.asked)
		}
		first, second := boxOf(t, s1, "box.b"), boxOf(t, s2, "box.b")
		if same {
			if first.Borrowed() == second.Borrowed() {
				t.Fatalf("the boxes are %+v and %+v", first.Lender, second.Lender)
			}
			if second.Borrowed() {
				first, second, s1, s2, ref1, ref2 = second, first, s2, s1, ref2, ref1
			}
			if first.Lender.Run != ref2.Run || first.Alive() || first.Token(ref1.Run) != second.Token(ref2.Run) || string(first.Out) != string(second.Out) {
				t.Errorf("it is borrowed so: %+v", first)
			}
			a := s1.Summary().Builds[1].Artifacts
			if s1.Summary().Status != state.Done || len(a) != 1 || a[0].Run != ref2.Run {
				t.Errorf("the artifacts of who has borrowed are %+v", a)
			}
			if a := s2.Summary().Builds[1].Artifacts; len(a) != 1 || a[0].Run != "" {
				t.Errorf("the artifacts of the maker are %+v", a)
			}
		}
		for _, run := range []string{ref1.Run, ref2.Run} { // nothing of it is left
			if ms, err := home.Makings([]state.Wait{{Run: run, Step: first.Key}}); err != nil || len(ms) > 0 {
				t.Errorf("of run %s it is still known: %+v, %v", run, ms, err)
			}
		}
		if a := boxOf(t, s1, "box.a"); a.Borrowed() {
			t.Errorf("what holds a secret is borrowed")
		}
	}
}

// When whoever makes it is driven no more, though it was not given back, another one makes it.
func TestTheMakerIsLost(t *testing.T) {
	b := newBench(t)
	_, _, lost := b.submitted(here)
	dead := b.worker()
	if _, err := dead.Prepare(t.Context(), temporal.Ask{Ref: lost, Many: 100}); err != nil { // it looks up first
		t.Fatal(err)
	}
	e := &engine{t, lost, []*sessions{dead}}
	p, err := dead.Prepare(t.Context(), temporal.Ask{Ref: lost, Many: 100})
	if err != nil {
		t.Fatal(err)
	}
	e.pass(p)
	if _, err := dead.Prepare(t.Context(), temporal.Ask{Ref: lost, Many: 100, Known: p.Known}); err != nil { // and makes boxes
		t.Fatal(err)
	}
	s, home, ref := b.submitted(here)
	w := b.worker()
	asked := make(chan string, 100)
	w.waits.doubtFor = 100 * time.Millisecond
	w.waits.going = func(_ context.Context, run string) (bool, error) {
		asked <- run
		return false, nil
	}
	ended := make(chan bool)
	go func() { (&engine{t, ref, []*sessions{w}}).drive(); close(ended) }()
	awaited(t, home, ref.Run)
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Fatal("it waits for ever")
	}
	if run := <-asked; run != lost.Run {
		t.Errorf("it was asked whether %s is driven", run)
	}
	back(t, s)
	if r := boxOf(t, s, "box.b"); r.Borrowed() || !r.Kept {
		t.Errorf("the box is %+v", r)
	}
}

// Who waits can be interrupted at any time.
func TestAWaitEnds(t *testing.T) {
	b := newBench(t)
	_, _, ref1 := b.submitted(here)
	w := b.worker()
	e := &engine{t, ref1, []*sessions{w}}
	p, err := w.Prepare(t.Context(), temporal.Ask{Ref: ref1, Many: 100})
	if err != nil {
		t.Fatal(err)
	}
	e.pass(p)
	if _, err := w.Prepare(t.Context(), temporal.Ask{Ref: ref1, Many: 100, Known: p.Known}); err != nil {
		t.Fatal(err)
	}
	_, home, ref2 := b.submitted(here)
	e.ref = ref2
	if p, err = w.Prepare(t.Context(), temporal.Ask{Ref: ref2, Many: 100}); err != nil {
		t.Fatal(err)
	}
	e.pass(p)
	if p, err = w.Prepare(t.Context(), temporal.Ask{Ref: ref2, Many: 100, Known: p.Known}); err != nil || len(p.Rules.Elsewhere) != 1 {
		t.Fatalf("%v are elsewhere, %v", p.Rules.Elsewhere, err)
	}
	pass := passOf(p)
	for _, x := range pass.Decide(time.Now()) {
		if !x.Waits() {
			continue
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() { awaited(t, home, ref2.Run); cancel() }()
		o, _, err := w.Carry(ctx, ref2, x)
		if err != nil || o.Err == nil || o.There {
			t.Errorf("it ends with %+v, %v", o, err)
		}
		return
	}
	t.Error("nothing waits")
}

// What was found of one run says nothing of the next one that is waited for.
func TestNewsOfAnotherMaker(t *testing.T) {
	w := &waiter{news: make(chan state.Making, 1)}
	done := dag.Record{Status: dag.Done}
	for i, m := range []state.Making{
		{Maker: "a", Epoch: 1, Changed: 9, Record: done},
		{Maker: "a", Epoch: 1, Changed: 9},
		{Maker: "b", Epoch: 1, Changed: 3},
	} {
		w.tell(m)
		if got := <-w.news; (got.Record.Status == dag.Done) != (i < 2) {
			t.Errorf("news %d are %+v", i, got)
		}
	}
	if w.last.Changed != 0 {
		t.Errorf("of the next maker all until %d is passed over", w.last.Changed)
	}
}

// However many wait, one goroutine looks for them, as long as there are any.
func TestManyWaitTogether(t *testing.T) {
	b := newBench(t)
	_, home := b.machine()
	s := newWaits(home)
	var all []*waiter
	for range 50 {
		all = append(all, s.begin("nobody", dag.Key{1}))
	}
	for _, w := range all {
		if m := <-w.news; m.Epoch != 0 {
			t.Errorf("of nobody it is known: %+v", m)
		}
		s.end(w)
	}
	s.look()
	for begun := time.Now(); ; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		busy := s.busy
		s.mu.Unlock()
		if !busy {
			break
		}
		if time.Since(begun) > 10*time.Second {
			t.Fatal("it is looked though nobody waits")
		}
	}
}
