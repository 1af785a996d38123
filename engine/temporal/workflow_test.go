package temporal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"github.com/imgflow/imgflow/dag"
)

// environment is a Temporal without a server, whose clock does not wait.
func environment(w Work) *testsuite.TestWorkflowEnvironment {
	var s testsuite.WorkflowTestSuite
	s.SetLogger(quiet)
	env := s.NewTestWorkflowEnvironment()
	env.SetTestTimeout(time.Minute)
	env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: patience})
	register(env)
	env.RegisterActivity(&activities{Work: w, current: func(context.Context) error { return nil }})
	return env
}

func TestWorkflows(t *testing.T) {
	boom := errors.New("boom")
	for _, c := range []struct {
		name   string
		builds int
		many   int
		set    func(*world)
		left   string
		failed string // the steps that have failed
		whole  string // why nothing could go on
		fails  bool   // the workflow
		count  map[string]int
	}{
		{name: "a run", builds: 2, many: 20, left: "image image", count: map[string]int{"make pair b0": 1, "script b0": 1, "script b1": 1, "remove box": 2, "remove pair": 1, "find": 0, "end": 1}},
		{name: "a run of many builds", builds: 4, many: 2, left: "image image image image",
			count: map[string]int{"make pair b0": 1, "script b0": 1, "script b3": 1, "remove box": 4, "remove pair": 1, "find": 0, "end": 1}},
		{name: "a failure is cleaned up", builds: 2, many: 20, left: "image", failed: "script", fails: true,
			set:   func(w *world) { w.Fail["script b1"] = boom },
			count: map[string]int{"tell skip image": 1, "remove box": 2, "remove pair": 1}},
		{name: "a failure of one of many is cleaned up", builds: 4, many: 2, left: "image image image", failed: "script", fails: true,
			set:   func(w *world) { w.Fail["script b1"] = boom },
			count: map[string]int{"remove box": 4, "remove pair": 1}},
		{name: "what has failed stays", builds: 4, many: 2, left: "box image image image pair", failed: "script", fails: true,
			set:   func(w *world) { w.Fail["script b1"], w.Suspnd = boom, true },
			count: map[string]int{"remove box": 3}},
		{name: "what all need has failed", builds: 4, many: 2, left: "", failed: "pair", fails: true,
			set:   func(w *world) { w.Fail["make pair b0"] = boom },
			count: map[string]int{"make box b0": 0, "remove pair": 1}},
		{name: "a failure passes", builds: 1, many: 20, left: "image",
			set:   func(w *world) { w.Fail["script b0"], w.Twice["script b0"] = dag.Retry(boom, time.Hour/60), true },
			count: map[string]int{"tell wait script": 1, "script b0": 2}},
		{name: "a failure does not pass", builds: 1, many: 20, left: "", failed: "script", fails: true,
			set: func(w *world) { w.Fail["script b0"] = dag.Retry(boom, 0) }},
		{name: "something cannot be removed", builds: 1, many: 20, left: "box image pair", fails: true,
			set:   func(w *world) { w.Fail["remove box"] = boom },
			count: map[string]int{"tell leave box": 1}},
		{name: "what is told of a failure is long", builds: 1, many: 20, left: "", failed: "script", fails: true,
			set: func(w *world) { w.Fail["script b0"] = errors.New(strings.Repeat("é", maxPayload)) }, count: map[string]int{"script b0": 1, "remove box": 1}},
		{name: "what a thing is called is long", builds: 1, many: 20, left: "image", set: func(w *world) { w.Label = strings.Repeat("x", maxPayload) }},
		{name: "the graph is too large", builds: 3, many: 20, left: "", fails: true, whole: "are the most",
			set: func(w *world) { w.Size = maxPayload / 6 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, c.builds)
			if c.set != nil {
				c.set(w)
			}
			env := environment(&work{world: w})
			env.ExecuteWorkflow(runWorkflow, Ref{"run", 1}, c.many)
			if err := env.GetWorkflowError(); !env.IsWorkflowCompleted() || err != nil != c.fails {
				t.Errorf("the workflow has ended: %v, with %v", env.IsWorkflowCompleted(), err)
			}
			end := w.ended(t)
			var failed []string
			for _, f := range end.Report.Failed {
				failed = append(failed, f.Name)
			}
			if got := strings.Join(failed, " "); got != c.failed || !strings.Contains(end.Failed, c.whole) || (end.Failed == "") != (c.whole == "") || end.Report.Suspended {
				t.Errorf("it was told to have ended with %+v", end)
			}
			if got := w.left(); got != c.left {
				t.Errorf("%q is left", got)
			}
			log := w.log()
			if log["too much was told of the end"] > 0 || strings.Contains(c.name, "is long") && c.fails && !strings.Contains(end.Report.Failed[0].Err.Error(), "éé") {
				t.Error("what is told of failures is of no use")
			}
			for what, n := range c.count {
				if log[what] != n {
					t.Errorf("%s: %d times, want %d; %v", what, log[what], n, log)
				}
			}
		})
	}
}

// What a run has left is removed by a workflow of its own.
func TestARemovalIsAWorkflow(t *testing.T) {
	w := newWorld(t, 2)
	w.Fail["script b1"], w.Suspnd = errors.New("boom"), true
	env := environment(&work{world: w})
	env.ExecuteWorkflow(runWorkflow, Ref{"run", 1}, 20)
	if w.left() != "box image pair" {
		t.Fatalf("%q is left", w.left())
	}
	for what, left := range map[string]string{`"unkept"`: "image", `"all"`: ""} {
		if what == `"all"` && w.left() != "image" {
			continue
		}
		env := environment(&work{world: w})
		env.ExecuteWorkflow(undoWorkflow, Ref{"run", 2}, jsonText(what))
		if err := env.GetWorkflowError(); err != nil || w.left() != left || len(w.ended(t).Left) > 0 {
			t.Errorf("%v, %q is left, %+v", err, w.left(), w.ended(t))
		}
	}
}

// A run that was interrupted goes on where it was, and what is done is not done again.
func TestARunGoesOn(t *testing.T) {
	w := newWorld(t, 3)
	w.Fail["script b1"], w.Suspnd = errors.New("boom"), true
	for i := range 2 {
		env := environment(&work{world: w})
		env.ExecuteWorkflow(runWorkflow, Ref{"run", int64(i)}, 2)
		if err := env.GetWorkflowError(); err != nil != (i == 0) {
			t.Fatal(err)
		}
		clear(w.Fail)
	}
	if log := w.log(); w.left() != "image image image" || log["make box b1"] != 1 || log["script b0"] != 1 || log["script b1"] != 2 {
		t.Errorf("%q is left after %v", w.left(), log)
	}
}

// A workflow of one build is given what it needs, and no more if there are many others.
func TestABuildKnowsItsOwnRecords(t *testing.T) {
	given := map[int]int{} // to a build, in bytes, by the number of builds
	for _, builds := range []int{10, 50} {
		w := newWorld(t, builds)
		k := &work{world: w}
		env := environment(k)
		env.ExecuteWorkflow(runWorkflow, Ref{"run", 1}, 2)
		if err := env.GetWorkflowError(); err != nil {
			t.Fatal(err)
		}
		e, err := k.engine(Ref{"run", 1})
		if err != nil {
			t.Fatal(err)
		}
		for b := range builds {
			p, err := Prepare(e, w.graph(), Ask{Ref: Ref{"run", 1}, Build: fmt.Sprint("b", b), Many: 2})
			if err != nil || len(p.Graph.Nodes) != 4 || len(p.Records) != 4 {
				t.Fatalf("build %d gets %d steps and %d records, %v", b, len(p.Graph.Nodes), len(p.Records), err)
			}
			text, err := json.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			given[builds] = max(given[builds], len(text))
		}
	}
	if given[50] > given[10]+20 {
		t.Errorf("one of 50 builds is given %d bytes, one of 10 %d", given[50], given[10])
	}
}

// A step that ends whoever does it fails in the end, and what is there is removed.
func TestACallThatKills(t *testing.T) {
	w := newWorld(t, 1)
	k := &killing{work: work{world: w}}
	env := environment(k)
	env.ExecuteWorkflow(runWorkflow, Ref{"run", 1}, 20)
	end := w.ended(t)
	if env.GetWorkflowError() == nil || len(end.Report.Failed) != 1 || !strings.Contains(end.Report.Failed[0].Err.Error(), "6 times") || w.left() != "" {
		t.Errorf("%+v, %q is left", end, w.left())
	}
	if k.killed != 6*callAttempts {
		t.Errorf("%d workers were lost", k.killed)
	}
}

// killing is a work that ends its workers when a script is to run.
type killing struct {
	work
	killed int
}

func (k *killing) Carry(ctx context.Context, ref Ref, x dag.Order) (dag.Outcome, []dag.Record, error) {
	if x.Makes() && x.Name == "script" {
		k.killed++
		return dag.Outcome{}, nil, errors.New("gone")
	}
	return k.work.Carry(ctx, ref, x)
}

// A worker that dies when it has done something, and before it can say so, costs a call, and
// nothing is done twice for it.
func TestACallWhoseAnswerIsLost(t *testing.T) {
	w := newWorld(t, 2)
	env := environment(&mute{work: work{world: w}, said: map[string]bool{}})
	env.ExecuteWorkflow(runWorkflow, Ref{"run", 1}, 20)
	log := w.log()
	if err := env.GetWorkflowError(); err != nil || w.left() != "image image" {
		t.Errorf("%v, %q is left", err, w.left())
	}
	for what, n := range map[string]int{"make pair b0": 1, "make box b0": 1, "make box b1": 1, "script b0": 1, "script b1": 1, "make image b0": 1, "remove box": 2, "remove pair": 1,
		"made twice: pair": 0, "made twice: box": 0, "made twice: image": 0} {
		if log[what] != n {
			t.Errorf("%s: %d times, want %d; %v", what, log[what], n, log)
		}
	}
}

// mute is a work that does not come to say what it has done at first.
type mute struct {
	work
	said map[string]bool
}

func (m *mute) Carry(ctx context.Context, ref Ref, x dag.Order) (dag.Outcome, []dag.Record, error) {
	o, changed, err := m.work.Carry(ctx, ref, x)
	call := fmt.Sprint(x.Action, x.Removal, x.Key)
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.said[call] {
		m.said[call] = true
		err = errors.New("gone")
	}
	return o, changed, err
}

// However much has failed, that can be given on, and says how each failure begins.
func TestBrief(t *testing.T) {
	for _, builds := range []int{1, 100, 1000} {
		var r dag.Report
		for b := range builds {
			name := []string{fmt.Sprint("build-", b)}
			r.Failed = append(r.Failed, dag.Failure{Node: dag.Node{Name: "script", Builds: name}, Name: "script", Err: errors.New("because é" + strings.Repeat("é", maxText))})
			for s := range 10 {
				r.Skipped = append(r.Skipped, dag.Node{Name: fmt.Sprint("skipped-", s), Builds: name})
			}
		}
		r = brief(r)
		p, err := json.Marshal(r)
		if err != nil || len(p) > maxPayload || len(r.Skipped) != builds || r.Skipped[0].Name != "skipped-0" {
			t.Errorf("%d failures are %d bytes and %d skipped steps, %v", builds, len(p), len(r.Skipped), err)
		}
		for _, f := range r.Failed {
			if text := f.Err.Error(); !strings.HasPrefix(text, "because é") || !strings.HasSuffix(text, "é…") {
				t.Fatalf("a failure is cut to %q", text[:min(len(text), 100)])
			}
		}
	}
}
