package dag

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// guardedGraph is that of a build whose scripts have a guard.
func guardedGraph(clean string, scripts ...string) *Graph {
	g := NewGraph(nil)
	b := Build{Name: "base", Type: "toy"}
	k := Add(g, b, "keypair", keyPair{"here"})
	sg := Add(g, b, "group", group{"here"})
	i := Add(g, b, "launch", launch{Build: "base", Image: "ami-0", Key: k, Group: sg})
	m := Add(g, b, "connect", connect{Build: "base", To: i.Take()})
	m = guarded(g, b, m, clean, scripts...)
	st := Add(g, b, "stop", stop{Instance: i, After: m.Take()})
	Add(g, b, "regroup", regroup{Of: st})
	im := Add(g, b, "image", image{From: st, Name: "base"})
	ready := Add(g, b, "image-ready", imageReady{Image: im})
	Keep(g, im, ready)
	return g
}

func guarded(g *Graph, b Build, m Out[machine], clean string, scripts ...string) Out[machine] {
	reached := m
	work := func() {
		for _, s := range scripts {
			m = Add(g, b, "sh-"+s, shell{On: m.Take(), Script: s})
		}
	}
	if clean == "" {
		work()
	} else {
		g.Guarded(func(aside *Graph) { Add(aside, b, "cleanup", shell{On: reached.Take(), Script: clean}) }, work)
	}
	return m
}

func solved(t *testing.T, w *world, st Store, o Options, g *Graph) *Report {
	t.Helper()
	rep, err := toyEngine(t, w, st, o).Solve(t.Context(), g)
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

func keepAll(context.Context, Node, error) Decision { return Suspend }

// A guard is done before its machine goes, if the build has failed, and its own failure
// holds nothing up; after a good build it is not done, nor by whoever removes the rest.
func TestGuard(t *testing.T) {
	for _, c := range []struct {
		name  string
		fails []string
		runs  bool
	}{
		{"good", nil, false},
		{"first", []string{"sh a"}, true},
		{"last", []string{"sh b"}, true},
		{"guard, too", []string{"sh b", "sh clean"}, true},
		{"before it stands by", []string{"connect base"}, false},
		{"after the work", []string{"image base"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, st := newWorld(), &MemStore{}
			for _, f := range c.fails {
				w.fail[f] = errBoom
			}
			e := toyEngine(t, w, st, Options{})
			rep, err := e.Solve(t.Context(), guardedGraph("clean", "a", "b"))
			if err != nil || len(rep.Left) > 0 || len(rep.Failed) != min(len(c.fails), 1) {
				t.Fatalf("%+v, %v", rep, err)
			}
			if len(c.fails) > 0 && rep.Failed[0].Name == "cleanup" {
				t.Errorf("the guard is what has failed: %+v", rep.Failed)
			}
			if len(c.fails) == 0 && w.left() != "image" {
				t.Errorf("a good build leaves %s", w.left())
			}
			if got := w.count("sh clean"); got != map[bool]int{true: 1}[c.runs] {
				t.Errorf("%d times: %q", got, w.log)
			}
			if c.runs {
				w.before(t, "sh clean", "terminate")
			}
			if _, err := e.Destroy(t.Context(), func(Record) bool { return true }); err != nil || w.count("sh clean") > 1 || w.left() != "" {
				t.Errorf("%v, %q, %q", err, w.log, w.left())
			}
		})
	}
}

// What is kept for a resume is not cleaned up. A resume that comes to a good end does not
// either; whoever removes the rest does.
func TestGuardWaitsForTheEnd(t *testing.T) {
	for _, mended := range []bool{true, false} {
		w, st := newWorld(), &MemStore{}
		w.fail["sh b"] = errBoom
		if rep := solved(t, w, st, Options{OnFailure: keepAll}, guardedGraph("clean", "a", "b")); len(rep.Failed) != 1 || w.count("sh clean") > 0 {
			t.Fatalf("%+v, %q", rep, w.log)
		}
		if mended {
			w.fail = nil
			solved(t, w, st, Options{}, guardedGraph("clean", "a", "b"))
			if w.count("sh clean") > 0 || w.count("launch") != 1 || w.left() != "image" {
				t.Errorf("%q, %q", w.log, w.left())
			}
			continue
		}
		left, err := toyEngine(t, w, st, Options{}).Destroy(t.Context(), Unkept)
		if err != nil || len(left) > 0 || w.count("sh clean") != 1 || w.left() != "" {
			t.Errorf("%v, %v, %q, %q", left, err, w.log, w.left())
		}
		w.before(t, "sh clean", "terminate")
	}
}

// With Guards the machine stays and is cleaned up, and no step goes on with it.
func TestGuardsAlone(t *testing.T) {
	w, st := newWorld(), &MemStore{}
	w.fail["sh a"] = errBoom
	solved(t, w, st, Options{OnFailure: func(context.Context, Node, error) Decision { return Guards }}, guardedGraph("clean", "a", "b"))
	if w.count("sh clean") != 1 || w.count("terminate") > 0 {
		t.Fatalf("%q", w.log)
	}
	w.fail = nil
	solved(t, w, st, Options{}, guardedGraph("clean", "a", "b"))
	if w.count("launch") != 2 || w.count("sh clean") != 1 || w.left() != "image" {
		t.Errorf("%q, %q", w.log, w.left())
	}
}

// An edited guard takes the place of the earlier one, one that the template does not have
// any more is not done, and one that has no more to wait for is over; nothing that was
// done is done again for it.
func TestGuardEdited(t *testing.T) {
	for _, c := range []struct {
		name, clean string
		scripts     []string
	}{
		{"edited", "other", []string{"a", "b"}},
		{"taken away", "", []string{"a", "b"}},
		{"all is done", "clean", []string{"a"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, st := newWorld(), &MemStore{}
			w.fail["sh b"] = errBoom
			solved(t, w, st, Options{OnFailure: keepAll}, guardedGraph("clean", "a", "b"))
			if c.name == "all is done" {
				w.fail = map[string]error{"stop": errBoom}
			}
			solved(t, w, st, Options{}, guardedGraph(c.clean, c.scripts...))
			other := 0
			if c.clean == "other" {
				other = 1
			}
			if w.count("sh clean") > 0 || w.count("sh other") != other || w.count("launch") != 1 || w.left() != "" {
				t.Errorf("%q, %q", w.log, w.left())
			}
		})
	}
}

// An edit of what was done makes the machine again: the earlier one is cleaned up.
func TestGuardOfAnEarlierMachine(t *testing.T) {
	w, st := newWorld(), &MemStore{}
	w.fail["sh b"] = errBoom
	solved(t, w, st, Options{OnFailure: keepAll}, guardedGraph("clean", "a", "b"))
	solved(t, w, st, Options{}, guardedGraph("clean", "edited", "c"))
	if w.count("launch") != 2 || w.count("sh clean") != 1 {
		t.Errorf("%q", w.log)
	}
	w.before(t, "sh clean", "terminate")
	w.before(t, "terminate", "sh edited")

	w, st = newWorld(), &MemStore{}
	w.fail["sh b"] = errBoom
	solved(t, w, st, Options{OnFailure: keepAll}, guardedGraph("clean", "a", "b"))
	other := NewGraph(nil)
	Goal(other, Add(other, Build{Name: "other"}, "note", note{Text: "all the template has now"}))
	solved(t, w, st, Options{}, other)
	if w.count("sh clean") != 1 || w.left() != "" {
		t.Errorf("%q, %q", w.log, w.left())
	}
	w.before(t, "sh clean", "terminate")
}

// A guard that was interrupted goes on, whatever goes on with the run, and no step goes on with its machine;
// so it is with a process that is killed at any moment.
func TestGuardInterrupted(t *testing.T) {
	for _, destroy := range []bool{true, false} {
		w, st := newWorld(), &MemStore{}
		w.fail["sh a"] = errBoom
		ctx, cancel := context.WithCancel(t.Context())
		w.hook = func(what string) {
			if what == "sh clean" {
				cancel()
			}
		}
		w.fail["sh clean"] = errors.New("interrupted")
		rep, err := toyEngine(t, w, st, Options{}).Solve(ctx, guardedGraph("clean", "a", "b"))
		if err != nil || !rep.Suspended || w.count("terminate") > 0 {
			t.Fatalf("%+v, %v, %q", rep, err, w.log)
		}
		w.fail, w.hook = nil, nil
		e := toyEngine(t, w, st, Options{})
		if destroy {
			if left, err := e.Destroy(t.Context(), Unkept); err != nil || len(left) > 0 || w.left() != "" {
				t.Errorf("%v, %v, %q", left, err, w.left())
			}
		} else if rep, err := e.Solve(t.Context(), guardedGraph("clean", "a", "b")); err != nil || len(rep.Failed) > 0 || w.count("launch") != 2 || w.left() != "image" {
			t.Errorf("%+v, %v, %q", rep, err, w.log)
		}
		if w.count("sh clean") != 2 {
			t.Errorf("%q", w.log)
		}
		w.before(t, "sh clean", "terminate")
	}
}

// What may pass is tried again, but not for ever, and then the machine goes, however long that took.
func TestGuardPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, st := newWorld(), &MemStore{}
		w.fail["sh a"], w.fail["sh clean"] = errBoom, Retry(errBoom, undoPatience)
		if rep := solved(t, w, st, Options{}, guardedGraph("clean", "a")); w.count("sh clean") != mostLosses || len(rep.Left) > 0 || w.left() != "" {
			t.Errorf("%+v, %q, %q", rep, w.log, w.left())
		}
	})
}

// With a machine that has vanished its guard is gone.
func TestGuardVanishes(t *testing.T) {
	w, st := newWorld(), &MemStore{}
	w.fail["sh b"] = errBoom
	solved(t, w, st, Options{OnFailure: keepAll}, guardedGraph("clean", "a", "b"))
	for token, what := range w.things {
		if what == "instance" {
			delete(w.things, token)
		}
	}
	w.fail["launch base"] = errBoom
	log := &memSink{}
	solved(t, w, st, Options{Sink: log}, guardedGraph("clean", "a", "b"))
	if w.count("sh clean") > 0 || log.count(Warned) > 0 || w.left() != "" {
		t.Errorf("%q, %q", w.log, w.left())
	}
}

// All can be run again on a machine where a guard stands by.
func TestGuardStaysForARerun(t *testing.T) {
	w, st := newWorld(), &MemStore{}
	w.fail["sh b"] = errBoom
	solved(t, w, st, Options{OnFailure: keepAll}, guardedGraph("clean", "a", "b"))
	w.fail = nil
	e, g := toyEngine(t, w, st, Options{}), guardedGraph("clean", "a", "b")
	if err := e.Rerun(g, "", "connect"); err != nil {
		t.Fatal(err)
	}
	if rep, err := e.Solve(t.Context(), g); err != nil || len(rep.Failed) > 0 || w.count("connect") != 2 || w.count("launch") != 1 || w.count("sh clean") > 0 {
		t.Errorf("%+v, %v, %q", rep, err, w.log)
	}
}

// A machine that was there before is cleaned up, too, and a resume goes on with it.
func TestGuardOfAGivenMachine(t *testing.T) {
	graph := func() *Graph {
		g := NewGraph(nil)
		b := Build{Name: "base"}
		m := As[machine](Add(g, b, "given", given{"addr"}))
		Goal(g, guarded(g, b, m, "clean", "a", "b"))
		return g
	}
	w, st := newWorld(), &MemStore{}
	w.fail["sh b"] = errBoom
	solved(t, w, st, Options{}, graph())
	w.fail = nil
	if solved(t, w, st, Options{}, graph()); strings.Join(w.log, ",") != "given,sh a,sh b,sh clean,sh b" {
		t.Errorf("%q", w.log)
	}
}

// A guard is no thing for people, and comes before the steps that it is for.
func TestGuardInPlan(t *testing.T) {
	g := guardedGraph("a", "a", "b")
	p, err := toyEngine(t, newWorld(), &MemStore{}, Options{}).Plan(g)
	if err != nil || slices.ContainsFunc(p.Releases, func(n Node) bool { return n.Guard }) {
		t.Fatalf("%+v, %v", p, err)
	}
	at := func(name string) int {
		return slices.IndexFunc(p.Steps, func(s PlanStep) bool { return s.Node.Name == name && s.Action == Run })
	}
	if at("cleanup") < 0 || at("cleanup") > at("sh-a") || at("sh-b") < 0 {
		t.Errorf("%+v", p.Steps)
	}
	if byName(g, "sh-a").Key != byName(guardedGraph("", "a", "b"), "sh-a").Key {
		t.Error("a guard makes other steps of those that it is for")
	}
	if err := guardedGraph("clean").Err(); err != nil {
		t.Error(err)
	}
}
