package dag

import (
	"context"
	"slices"
	"strings"
	"testing"
)

// trial launches an instance of what was made.
type trial struct {
	Image Out[string]
	Key   Out[keyPairOut]
	Group Out[groupOut] `dag:"attach"`
}

func (trial) Kind() string { return "toy.trial" }
func (s trial) Do(_ context.Context, w *world, t *Task) (instance, error) {
	w.make(t, "trial")
	w.mu.Lock()
	w.uses[t.Token] = s.Group.Value().Name
	w.mu.Unlock()
	return instance{t.Token}, w.did("try %s", s.Image.Value())
}

// triedGraph is that of a build whose image is shared after checks on an instance of it.
func triedGraph(script string, checks ...string) *Graph {
	g := NewGraph(nil)
	b := Build{Name: "base"}
	k, sg := Add(g, b, "keypair", keyPair{"here"}), Add(g, b, "group", group{"here"})
	i := Add(g, b, "launch", launch{Build: "base", Key: k, Group: sg})
	m := Add(g, b, "shell", shell{On: Add(g, b, "connect", connect{Build: "base", To: i.Take()}).Take(), Script: script})
	im := Add(g, b, "image", image{From: Add(g, b, "stop", stop{Instance: i, After: m.Take()}), Name: "base"})
	candidate := Add(g, b, "candidate", imageReady{Image: im})
	Stay(g, im, candidate)
	tried := Add(g, b, "trial", trial{candidate, k, sg})
	m = Add(g, b, "trial.connect", connect{Build: "trial", To: tried.Take()})
	for _, c := range checks {
		m = Add(g, b, "check "+c, shell{On: m.Take(), Script: c})
	}
	pass := Add(g, b, "pass", shell{On: m.Take(), Script: "pass"})
	Serve(g, tried, pass)
	ready := Add(g, b, "share", share{Image: candidate})
	Keep(g, im, ready)
	g.Sequence(ready.Key(), pass.Key())
	return g
}

// What has served goes, and what has read it counts as done: it is made again for what
// is new, and nothing else is.
func TestServe(t *testing.T) {
	w, st := newWorld(), &MemStore{}
	p, err := toyEngine(t, w, st, Options{}).Plan(triedGraph("a", "one"))
	if err != nil || !slices.ContainsFunc(p.Releases, func(n Node) bool { return n.Name == "trial" }) {
		t.Errorf("the plan is silent: %+v, %v", p, err)
	}
	clean(t, solve(t, toyEngine(t, w, st, Options{}), triedGraph("a", "one")))
	if w.left() != "image" || w.count("terminate") != 2 {
		t.Errorf("the world holds %q after %q", w.left(), w.log)
	}
	w.before(t, "sh pass", "share")
	e := toyEngine(t, w, st, Options{})
	w.log = nil
	clean(t, solve(t, e, triedGraph("a", "one")))
	if len(w.log) > 0 {
		t.Errorf("a second time did %q", w.log)
	}
	if err := e.Rerun(triedGraph("a", "one"), "", "check one"); err == nil || !strings.Contains(err.Error(), "has served, and is gone") {
		t.Errorf("rerun: %v", err)
	}
	for _, checks := range [][]string{{"one", "two"}, {"other"}, nil} {
		w.log = nil
		clean(t, solve(t, toyEngine(t, w, st, Options{}), triedGraph("a", checks...)))
		if w.count("try") != 1 || w.count("launch")+w.count("share") > 0 || w.count("sh") != len(checks)+1 || w.left() != "image" {
			t.Errorf("checks %q did %q, the world holds %q", checks, w.log, w.left())
		}
	}
}

// From a step on no failure removes a thing, though nothing keeps it: the next attempt
// goes on with it, or removes it where it is not wanted any more.
func TestStay(t *testing.T) {
	for _, x := range []struct {
		name, script, check string
		onFailure           func(context.Context, Node, error) Decision
		did                 string // by the second attempt
	}{
		{"the same", "a", "bad", nil, "make keypair,make group,try,connect trial,sh bad,sh pass"},
		{"another check", "a", "good", nil, "make keypair,make group,try,connect trial,sh good,sh pass"},
		{"another check on the machine that was kept", "a", "good", suspendAll, "sh good,sh pass"},
		{"another image", "b", "bad", nil, "deregister,make keypair,make group,launch base,connect base,sh b,stop,image base,image ready,terminate,try,connect trial,sh bad,sh pass"},
	} {
		w, st := newWorld(), &MemStore{}
		w.fail["sh bad"] = errBoom
		r := solve(t, toyEngine(t, w, st, Options{OnFailure: x.onFailure}), triedGraph("a", "bad"))
		if len(r.Failed) != 1 || len(r.Stayed) != 1 || r.Stayed[0].Name != "image" || w.count("share") > 0 || r.Stayed[0].Kept {
			t.Fatalf("%s: %+v", x.name, r)
		}
		if x.onFailure == nil && w.left() != "image" {
			t.Errorf("%s: the world holds %q", x.name, w.left())
		}
		delete(w.fail, "sh bad")
		w.log = nil
		r = solve(t, toyEngine(t, w, st, Options{}), triedGraph(x.script, x.check))
		if clean(t, r); len(r.Stayed) > 0 || w.left() != "image" {
			t.Errorf("%s: %+v stayed, the world holds %q", x.name, r.Stayed, w.left())
		}
		log := slices.DeleteFunc(w.log, func(what string) bool { return strings.HasPrefix(what, "remove ") || what == "share" })
		for i, what := range log {
			if strings.HasPrefix(what, "try ") {
				log[i] = "try"
			}
		}
		want := strings.Split(x.did, ",")
		last := log[len(log)-1]
		if last == "terminate" { // of the trial, which nothing waits for
			log = log[:len(log)-1]
		}
		slices.Sort(log)
		slices.Sort(want)
		if !slices.Equal(log, want) {
			t.Errorf("%s: did %q, want %q", x.name, log, want)
		}
	}

	w, st := newWorld(), &MemStore{}
	w.fail["image ready"] = errBoom
	if r := solve(t, toyEngine(t, w, st, Options{}), triedGraph("a")); len(r.Stayed) > 0 || w.left() != "" {
		t.Errorf("a failure before: %+v stayed, the world holds %q", r.Stayed, w.left())
	}
	w, st = newWorld(), &MemStore{}
	w.fail["sh bad"] = errBoom
	e := toyEngine(t, w, st, Options{})
	solve(t, e, triedGraph("a", "bad"))
	if left, err := e.Destroy(t.Context(), Unkept); err != nil || len(left) > 0 || w.left() != "" {
		t.Errorf("destroy: %v, %v, the world holds %q", left, err, w.left())
	}

	// In a part of a graph, too.
	w = newWorld()
	w.fail["sh bad"] = errBoom
	g := triedGraph("a", "bad")
	g.AwaitBuilds("other", []string{"base"})
	if r := solve(t, toyEngine(t, w, &MemStore{}, Options{}), g.First()); len(r.Stayed) != 1 || w.left() != "image" {
		t.Errorf("in a part: %+v, the world holds %q", r, w.left())
	}
}
