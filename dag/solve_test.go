package dag

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imgflow/imgflow/internal/errcode"
)

func solve(t *testing.T, e *Engine, g *Graph) *Report {
	t.Helper()
	r, err := e.Solve(context.Background(), g)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func clean(t *testing.T, r *Report) {
	t.Helper()
	if len(r.Failed)+len(r.Skipped)+len(r.Left) > 0 || r.Suspended {
		t.Errorf("report %+v", r)
	}
}

func TestReleasesAsEarlyAsPossible(t *testing.T) {
	w := newWorld()
	clean(t, solve(t, toyEngine(t, w, &MemStore{}, Options{}), toyGraph("a")))
	if w.left() != "image" {
		t.Errorf("the world holds %q", w.left())
	}
	w.before(t, "launch base", "remove keypair")
	w.before(t, "regroup", "remove group")
	w.before(t, "image ready", "terminate")

	// The key pair goes while the machine is still being provisioned, the group
	// while the image is being made: neither waits for the end.
	w, gate := newWorld(), make(chan struct{})
	w.gate = gate
	w.hook = func(what string) {
		if what == "remove keypair" {
			close(gate)
		}
	}
	clean(t, solve(t, toyEngine(t, w, &MemStore{}, Options{}), toyGraph("a")))
	w, removed := newWorld(), make(chan struct{})
	w.hook = func(what string) {
		switch what {
		case "remove group":
			close(removed)
		case "image ready":
			<-removed
		}
	}
	clean(t, solve(t, toyEngine(t, w, &MemStore{}, Options{}), toyGraph("a")))
}

func TestSecondSolveDoesNothing(t *testing.T) {
	w, st := newWorld(), &MemStore{}
	clean(t, solve(t, toyEngine(t, w, st, Options{}), toyGraph("a")))
	n := len(w.log)
	clean(t, solve(t, toyEngine(t, w, st, Options{}), toyGraph("a")))
	if len(w.log) != n {
		t.Errorf("did %q", w.log[n:])
	}
}

func TestFailureCleansUpAndSkips(t *testing.T) {
	w, st := newWorld(), &MemStore{}
	w.fail["sh b"] = errBoom
	r := solve(t, toyEngine(t, w, st, Options{}), toyGraph("a", "b", "c"))
	if len(r.Failed) != 1 || r.Failed[0].Name != "shell-2" || !strings.Contains(r.Failed[0].Err.Error(), "boom") {
		t.Errorf("failed %+v", r.Failed)
	}
	if len(r.Skipped) != 6 { // c, stop, regroup, image, ready, share
		t.Errorf("skipped %d steps", len(r.Skipped))
	}
	if w.left() != "" {
		t.Errorf("the world holds %q", w.left())
	}
	delete(w.fail, "sh b")
	clean(t, solve(t, toyEngine(t, w, st, Options{}), toyGraph("a", "b", "c")))
	if w.left() != "image" || w.count("launch") != 2 {
		t.Errorf("the world holds %q after %q", w.left(), w.log)
	}
}

// Output that cannot be kept, such as on a full disk, is not the step's failure:
// all stays, and the same making of the step goes on later.
func TestUnkeptOutputStopsAndKeepsAll(t *testing.T) {
	w, st := newWorld(), &MemStore{}
	w.fail["sh b"] = fmt.Errorf("cannot follow: %w", unkept(errBoom))
	e := toyEngine(t, w, st, Options{})
	if _, err := e.Solve(context.Background(), toyGraph("a", "b", "c")); err == nil || err.Error() != "cannot follow: boom" {
		t.Errorf("solve: %v", err)
	}
	if !strings.Contains(w.left(), "instance") {
		t.Errorf("the world holds %q", w.left())
	}
	for _, r := range e.Records() {
		if r.Name == "shell-2" && (r.Status != Doing || r.Tries != 0) {
			t.Errorf("the step is %s after %d tries", r.Status, r.Tries)
		}
	}
	delete(w.fail, "sh b")
	clean(t, solve(t, toyEngine(t, w, st, Options{}), toyGraph("a", "b", "c")))
	if w.left() != "image" || w.count("launch") != 1 {
		t.Errorf("the world holds %q after %q", w.left(), w.log)
	}
}

func suspendAll(context.Context, Node, error) Decision { return Suspend }

func TestEditedFailedStepRunsOnTheSameMachine(t *testing.T) {
	w, st := newWorld(), &MemStore{}
	w.fail["sh bad"] = errBoom
	r := solve(t, toyEngine(t, w, st, Options{OnFailure: suspendAll}), toyGraph("a", "bad", "c"))
	if len(r.Failed) != 1 || w.left() != "group instance" {
		t.Fatalf("%+v, the world holds %q", r, w.left())
	}
	e := toyEngine(t, w, st, Options{})
	g := toyGraph("a", "good", "c", "d")
	p, err := e.Plan(g)
	if err != nil || len(p.Rebuilds) > 0 {
		t.Fatalf("%+v %v", p, err)
	}
	clean(t, solve(t, e, g))
	if w.count("launch") != 1 || w.count("sh a") != 1 || w.count("sh good") != 1 || w.left() != "image" {
		t.Errorf("log %q, world %q", w.log, w.left())
	}
}

func TestEditedDoneStepRebuildsTheMachine(t *testing.T) {
	w, st := newWorld(), &MemStore{}
	w.fail["sh b"] = errBoom
	solve(t, toyEngine(t, w, st, Options{OnFailure: suspendAll}), toyGraph("a", "b"))
	delete(w.fail, "sh b")
	e := toyEngine(t, w, st, Options{})
	g := toyGraph("edited", "b")
	p, err := e.Plan(g)
	if err != nil || len(p.Rebuilds) != 1 || p.Rebuilds[0].Record.Name != "launch" || !strings.Contains(p.Rebuilds[0].Why, "shell-1") {
		t.Fatalf("%+v %v", p, err)
	}
	var sink memSink
	e.o.Sink = &sink
	clean(t, solve(t, e, g))
	if w.count("launch") != 2 || w.count("terminate") != 2 || w.left() != "image" {
		t.Errorf("log %q, world %q", w.log, w.left())
	}
	if sink.count(Rebuilt) != 1 {
		t.Error("it did not say that the machine is made again")
	}
	if w.count("sh edited") != 1 || w.count("sh b") != 2 {
		t.Errorf("log %q", w.log)
	}
}

func TestRemovedDoneStepRebuilds(t *testing.T) {
	w, st := newWorld(), &MemStore{}
	w.fail["stop"] = errBoom
	solve(t, toyEngine(t, w, st, Options{OnFailure: suspendAll}), toyGraph("a", "b"))
	delete(w.fail, "stop")
	clean(t, solve(t, toyEngine(t, w, st, Options{}), toyGraph("a")))
	if w.count("launch") != 2 || w.left() != "image" {
		t.Errorf("log %q, world %q", w.log, w.left())
	}
}

func TestVanishedMachineIsMadeAgain(t *testing.T) {
	w, st := newWorld(), &MemStore{}
	w.fail["sh b"] = errBoom
	solve(t, toyEngine(t, w, st, Options{OnFailure: suspendAll}), toyGraph("a", "b"))
	delete(w.fail, "sh b")
	for k, v := range w.things {
		if v == "instance" {
			delete(w.things, k)
		}
	}
	var sink memSink
	e := toyEngine(t, w, st, Options{Sink: &sink})
	clean(t, solve(t, e, toyGraph("a", "b")))
	if sink.count(Vanished) != 1 || w.count("launch") != 2 || w.count("sh a") != 2 || w.left() != "image" {
		t.Errorf("%d vanished, log %q, world %q", sink.count(Vanished), w.log, w.left())
	}
}

func TestImageOutlivesVanishedMachine(t *testing.T) {
	w, st := newWorld(), &MemStore{}
	w.fail["image ready"] = errBoom
	solve(t, toyEngine(t, w, st, Options{OnFailure: suspendAll}), toyGraph("a"))
	delete(w.fail, "image ready")
	for k, v := range w.things {
		if v == "instance" {
			delete(w.things, k)
		}
	}
	clean(t, solve(t, toyEngine(t, w, st, Options{}), toyGraph("a")))
	if w.count("launch") != 1 || w.left() != "image" {
		t.Errorf("log %q, world %q", w.log, w.left())
	}
}

func TestLateFailureKeepsTheImage(t *testing.T) {
	w, st := newWorld(), &MemStore{}
	w.fail["share"] = errBoom
	r := solve(t, toyEngine(t, w, st, Options{}), toyGraph("a"))
	if len(r.Failed) != 1 || w.left() != "image" {
		t.Fatalf("%+v, world %q", r, w.left())
	}
	delete(w.fail, "share")
	n := len(w.log)
	clean(t, solve(t, toyEngine(t, w, st, Options{}), toyGraph("a")))
	if got := strings.Join(w.log[n:], ","); got != "share" {
		t.Errorf("the resume did %s", got)
	}
}

func TestFailedImageIsRemoved(t *testing.T) {
	w := newWorld()
	w.fail["image ready"] = errBoom
	solve(t, toyEngine(t, w, &MemStore{}, Options{}), toyGraph("a"))
	if w.left() != "" {
		t.Errorf("world %q", w.left())
	}
	w.before(t, "deregister", "terminate")
}

func TestInterruptSuspends(t *testing.T) {
	w, st := newWorld(), &MemStore{}
	ctx, cancel := context.WithCancel(context.Background())
	w.gate = make(chan struct{})
	w.hook = func(what string) {
		if what == "remove keypair" { // the first script waits at its gate
			cancel()
		}
	}
	r, err := toyEngine(t, w, st, Options{}).Solve(ctx, toyGraph("a"))
	if err != nil || !r.Suspended || len(r.Failed) > 0 || w.left() != "group instance" {
		t.Fatalf("%+v %v, world %q", r, err, w.left())
	}
	w.gate = nil
	clean(t, solve(t, toyEngine(t, w, st, Options{}), toyGraph("a")))
	if w.count("launch") != 1 || w.left() != "image" {
		t.Errorf("log %q", w.log)
	}
}

func TestBuildsShareWhatHasTheSameKey(t *testing.T) {
	w := newWorld()
	g := NewGraph(nil)
	for i := range 10 {
		toyBuild(g, fmt.Sprintf("b%d", i), "a")
	}
	n, _ := g.Node(g.Nodes[0].Key)
	if len(n.Builds) != 10 {
		t.Errorf("the key pair works for %d builds", len(n.Builds))
	}
	clean(t, solve(t, toyEngine(t, w, &MemStore{}, Options{}), g))
	if w.count("make keypair") != 1 || w.count("make group") != 1 || w.count("launch") != 10 || w.count("remove keypair") != 1 {
		t.Errorf("log %q", w.log)
	}
	if got := w.left(); got != strings.TrimSpace(strings.Repeat("image ", 10)) {
		t.Errorf("world %q", got)
	}
}

func TestFailureLeavesOtherBuildsRunning(t *testing.T) {
	w := newWorld()
	w.fail["sh bad"] = errBoom
	g := NewGraph(nil)
	toyBuild(g, "one", "bad")
	toyBuild(g, "two", "good")
	r := solve(t, toyEngine(t, w, &MemStore{}, Options{}), g)
	if len(r.Failed) != 1 || w.left() != "image" {
		t.Errorf("%+v, world %q", r, w.left())
	}
}

func TestParallelLimit(t *testing.T) {
	w := newWorld()
	var mu sync.Mutex
	at, most := map[string]bool{}, 0
	w.hook = func(what string) {
		mu.Lock()
		defer mu.Unlock()
		if b, ok := strings.CutPrefix(what, "launch "); ok {
			at[b] = true
			most = max(most, len(at))
		}
		if what == "share" {
			for b := range at {
				delete(at, b) // one build at a time: this is it
			}
		}
	}
	g := NewGraph(nil)
	for i := range 4 {
		toyBuild(g, fmt.Sprintf("b%d", i), "a")
	}
	clean(t, solve(t, toyEngine(t, w, &MemStore{}, Options{Parallel: 1}), g))
	if most != 1 {
		t.Errorf("%d builds were at work at once", most)
	}
}

func TestPlannedStepsComeFirst(t *testing.T) {
	w := newWorld()
	w.fail["sh a"] = Retry(errBoom, time.Millisecond)
	w.hook = func(what string) {
		if what == "sh a" && w.count(what) == 2 {
			w.mu.Lock()
			delete(w.fail, what)
			w.mu.Unlock()
		}
	}
	var sink memSink
	g := toyGraph("a")
	clean(t, solve(t, toyEngine(t, w, &MemStore{}, Options{Sink: &sink}), g))
	for i, n := range g.Nodes {
		if e := sink.ev[i]; e.V != 2 || e.Type != Planned || e.Step != n.Name || e.Key != n.Key.String() || !slices.Equal(e.Needs, n.Needs) {
			t.Errorf("event %d is %+v, want the planned %s", i, e, n.Name)
		}
	}
	for _, e := range sink.ev[len(g.Nodes):] {
		if e.Type == Planned || e.Attempt != 1 || e.Key == "" {
			t.Errorf("%+v", e)
		}
	}
}

func TestHooks(t *testing.T) {
	w := newWorld()
	w.fail["sh a"] = Retry(errBoom, time.Millisecond)
	w.hook = func(what string) {
		if what == "sh a" && w.count(what) == 2 {
			w.mu.Lock()
			delete(w.fail, what)
			w.mu.Unlock()
		}
	}
	var mu sync.Mutex
	var before, around, removed []string
	clean(t, solve(t, toyEngine(t, w, &MemStore{}, Options{
		BeforeStep: func(_ context.Context, n Node) {
			mu.Lock()
			defer mu.Unlock()
			before = append(before, n.Name)
			if n.Name == "stop" && w.count("stop") > 0 {
				t.Error("the step began before it was let")
			}
		},
		Around: func(ctx context.Context, n Node, attempt int) (context.Context, func(error)) {
			return ctx, func(err error) {
				mu.Lock()
				defer mu.Unlock()
				if attempt == 0 {
					removed = append(removed, n.Name)
				}
				if n.Name == "shell-1" {
					around = append(around, fmt.Sprint(attempt, " ", err))
				}
			}
		},
	}), toyGraph("a")))
	if len(before) != 10 || !slices.Contains(before, "stop") || !slices.Equal(around, []string{"1 boom", "2 boom", "3 <nil>"}) {
		t.Errorf("before %q, around %q", before, around)
	}
	if slices.Sort(removed); !slices.Equal(removed, []string{"group", "keypair", "launch"}) {
		t.Errorf("around the removals of %q", removed)
	}
}

// A build that a person has to look at keeps no other from its turn.
func TestSuspendedBuildGivesUpItsTurn(t *testing.T) {
	w, st := newWorld(), &MemStore{}
	w.fail["sh bad"] = errBoom
	begun := make(chan struct{})
	w.hook = func(what string) {
		switch what {
		case "make keypair", "make group":
			<-begun // the first build cannot begin before the second has
		case "launch second":
			close(begun)
		case "sh bad":
			for ready := 0; ready < 2; time.Sleep(10 * time.Millisecond) { // the first wants its turn
				rs, _ := st.All()
				ready = len(slices.DeleteFunc(rs, func(r Record) bool { return r.Name != "keypair" && r.Name != "group" || r.Status != Done }))
			}
		}
	}
	g := NewGraph(nil)
	toyBuild(g, "first", "good")
	b := Build{Name: "second"}
	Add(g, b, "keypair", keyPair{"here"}) // both builds', and so nobody's turn
	Add(g, b, "group", group{"here"})
	i := Add(g, b, "launch", launch{Build: "second", Key: Lit(keyPairOut{}), Group: Lit(groupOut{})})
	m := Add(g, b, "connect", connect{Build: "second", To: i.Take()})
	m = Add(g, b, "shell", shell{On: m.Take(), Script: "bad"})
	m = Add(g, b, "shell-2", shell{On: m.Take(), Script: "never"})
	Goal(g, m)
	r := solve(t, toyEngine(t, w, st, Options{Parallel: 1, OnFailure: suspendAll}), g)
	if len(r.Failed) != 1 || len(r.Skipped) != 1 || r.Suspended || w.count("image first") != 1 {
		t.Errorf("%+v, world %q, log %q", r, w.left(), w.log)
	}
}

// A step that nothing can do is found before the first is done.
func TestKindThatIsNotBoundIsRefused(t *testing.T) {
	w := newWorld()
	kinds := slices.DeleteFunc(toyKinds(w), func(k Kind) bool { return k.Name == "toy.share" })
	e, err := New(Options{Run: "run", Store: &MemStore{}, Kinds: kinds})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Plan(toyGraph("a")); errcode.Of(err) != errcode.UnknownStepKind || !strings.Contains(err.Error(), `cannot do share: this imgflow does not know the kind of step "toy.share": go on with the version that made the run, or, if the kind is new, add it to Kinds of its package`) {
		t.Errorf("planned: %v", err)
	}
	if _, err := e.Solve(context.Background(), toyGraph("a")); err == nil || len(w.log) > 0 {
		t.Errorf("%v, and did %q", err, w.log)
	}
}

func TestRetryByErrorType(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.fail["connect base"] = Retry(errBoom, time.Second)
		tries := 0
		w.hook = func(what string) {
			if what == "connect base" {
				if tries++; tries == 3 {
					w.mu.Lock()
					delete(w.fail, what)
					w.mu.Unlock()
				}
			}
		}
		var sink memSink
		clean(t, solve(t, toyEngine(t, w, &MemStore{}, Options{Sink: &sink}), toyGraph("a")))
		if tries != 4 || sink.count(Retrying) != 3 {
			t.Errorf("%d tries, %d retries told", tries, sink.count(Retrying))
		}
		w.fail["connect base"] = Retry(errBoom, 0)
		tries = 10
		start := time.Now()
		r := solve(t, toyEngine(t, w, &MemStore{}, Options{}), toyGraph("a"))
		if len(r.Failed) != 1 || time.Since(start) > 3*time.Minute || !strings.Contains(r.Failed[0].Err.Error(), "boom") {
			t.Errorf("%+v after %v", r, time.Since(start))
		}
	})
}

func TestAgainRunsTheStepOnceMore(t *testing.T) {
	w := newWorld()
	w.fail["sh a"] = errBoom
	asked := 0
	clean(t, solve(t, toyEngine(t, w, &MemStore{}, Options{OnFailure: func(context.Context, Node, error) Decision {
		asked++
		w.mu.Lock()
		delete(w.fail, "sh a")
		w.mu.Unlock()
		return Again
	}}), toyGraph("a")))
	if asked != 1 || w.count("sh a") != 2 || w.count("launch") != 1 {
		t.Errorf("asked %d times, log %q", asked, w.log)
	}
}

func TestRerunFromAStep(t *testing.T) {
	w, st := newWorld(), &MemStore{}
	w.fail["stop"] = errBoom
	solve(t, toyEngine(t, w, st, Options{OnFailure: suspendAll}), toyGraph("a", "b", "c"))
	delete(w.fail, "stop")
	e, g := toyEngine(t, w, st, Options{}), toyGraph("a", "b", "c")
	if err := e.Rerun(g, "", "nothing"); err == nil || !strings.Contains(err.Error(), "there are keypair, group, launch, connect, ") {
		t.Error("ran again from a step that does not exist")
	}
	if err := e.Rerun(g, "", "launch"); err == nil {
		t.Error("ran again from a thing")
	}
	if err := e.Rerun(g, "base", "shell-2"); err != nil {
		t.Fatal(err)
	}
	clean(t, solve(t, e, g))
	if w.count("launch") != 1 || w.count("sh a") != 1 || w.count("sh b") != 2 || w.count("sh c") != 2 {
		t.Errorf("log %q", w.log)
	}
}

func TestThingThatCannotBeRemovedIsLeftAndRetried(t *testing.T) {
	w, st := newWorld(), &MemStore{}
	w.hook = func(what string) {
		if what == "remove keypair" {
			w.mu.Lock()
			for k, v := range w.things {
				if v == "keypair" {
					w.uses["somebody"], w.things["somebody"] = k, "else"
				}
			}
			w.mu.Unlock()
		}
	}
	r := solve(t, toyEngine(t, w, st, Options{}), toyGraph("a"))
	if len(r.Left) != 1 || len(r.Failed) != 0 || w.left() != "else image keypair" {
		t.Fatalf("%+v, world %q", r, w.left())
	}
	w.hook = nil
	delete(w.things, "somebody")
	if left, err := toyEngine(t, w, st, Options{}).Destroy(context.Background(), Unkept); err != nil || len(left) > 0 || w.left() != "image" {
		t.Errorf("%v %v, world %q", left, err, w.left())
	}
}

func TestPanicIsAFailure(t *testing.T) {
	w := newWorld()
	w.hook = func(what string) {
		if what == "sh a" {
			panic("at the disco")
		}
	}
	r := solve(t, toyEngine(t, w, &MemStore{}, Options{}), toyGraph("a"))
	if len(r.Failed) != 1 || !strings.Contains(r.Failed[0].Err.Error(), "at the disco") || errcode.Of(r.Failed[0].Err) != errcode.Defect || w.left() != "" {
		t.Errorf("%+v, world %q", r, w.left())
	}
}

func TestChangedSettingsReplaceTheThing(t *testing.T) {
	w, st := newWorld(), &MemStore{}
	w.fail["sh a"] = errBoom
	solve(t, toyEngine(t, w, st, Options{OnFailure: suspendAll}), toyGraph("a"))
	delete(w.fail, "sh a")
	g := NewGraph(nil)
	b := Build{Name: "base"}
	sg := Add(g, b, "group", group{"elsewhere"})
	i := Add(g, b, "launch", launch{Build: "base", Image: "ami-1", Key: Lit(keyPairOut{"mine"}), Group: sg})
	m := Add(g, b, "connect", connect{To: i.Take()})
	Goal(g, m)
	clean(t, solve(t, toyEngine(t, w, st, Options{}), g))
	if w.left() != "" || w.count("terminate") != 2 || w.count("remove group") != 2 {
		t.Errorf("world %q, log %q", w.left(), w.log)
	}
}

// memSink keeps events.
type memSink struct {
	mu sync.Mutex
	ev []Event
}

func (s *memSink) Emit(e Event) error           { s.mu.Lock(); s.ev = append(s.ev, e); s.mu.Unlock(); return nil }
func (s *memSink) Sync() error                  { return nil }
func (s *memSink) Break(_ []byte, most int) int { return most }
func (s *memSink) Offset(token, stream string) (n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.ev {
		if e.Type == Printed && e.Token == token && e.Stream == stream {
			n = e.Offset
		}
	}
	return n
}
func (s *memSink) count(t EventType) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.ev {
		if e.Type == t {
			n++
		}
	}
	return n
}

// A clock that jumps between two processes changes what records say of their
// age, and nothing else.
func TestClockJumps(t *testing.T) {
	for _, by := range []time.Duration{-10 * 365 * 24 * time.Hour, 10 * 365 * 24 * time.Hour} {
		w, st := newWorld(), &MemStore{}
		w.fail["sh b"] = errBoom
		solve(t, toyEngine(t, w, st, Options{OnFailure: suspendAll}), toyGraph("a", "b"))
		delete(w.fail, "sh b")
		rs, _ := st.All()
		for _, r := range rs {
			r.Begun, r.Ended = r.Begun.Add(by), r.Ended.Add(by)
			st.Put(r)
		}
		clean(t, solve(t, toyEngine(t, w, st, Options{}), toyGraph("a", "b")))
		if w.count("launch") != 1 || w.count("sh a") != 1 || w.left() != "image" {
			t.Errorf("jumped by %v: log %q, world %q", by, w.log, w.left())
		}
	}
}
