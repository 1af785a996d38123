package dag

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
)

// spentGraph is that of a build whose image goes when a last step is done.
func spentGraph(last string) *Graph {
	g := toyGraph("a")
	ready := Out[string]{key: byName(g, "image-ready").Key}
	Discard(g, ready, Add(g, Build{Name: "base"}, "last", note{Image: ready, Text: last}))
	return g
}

// note is a step that reads what there is and makes nothing.
type note struct {
	Image Out[string]
	Key   Out[keyPairOut]
	Text  string
}

func (note) Kind() string { return "toy.note" }
func (n note) Do(_ context.Context, w *world, _ *Task) (string, error) {
	return n.Text, w.did("note %s", n.Text)
}

func byName(g *Graph, name string) Node {
	i := slices.IndexFunc(g.Nodes, func(n Node) bool { return n.Name == name })
	return g.Nodes[i]
}

// What has served goes, what has read it counts as done, and nothing is made again,
// in a later form of the graph neither.
func TestDiscard(t *testing.T) {
	w, st := newWorld(), &MemStore{}
	e := toyEngine(t, w, st, Options{})
	g := spentGraph("first")
	p, err := e.Plan(g)
	if err != nil || !slices.ContainsFunc(p.Releases, func(n Node) bool { return n.Name == "image" }) {
		t.Errorf("the plan is silent: %+v, %v", p, err)
	}
	rep, err := e.Solve(t.Context(), g)
	if err != nil || len(rep.Failed)+len(rep.Left) > 0 || !slices.Contains(w.log, "deregister") {
		t.Fatalf("%+v, %v, %q", rep, err, w.log)
	}
	for _, edited := range []string{"first", "second"} {
		w.log = nil
		e = toyEngine(t, w, st, Options{})
		if rep, err := e.Solve(t.Context(), spentGraph(edited)); err != nil || len(rep.Failed) > 0 || len(w.log) > 1 {
			t.Errorf("%s: %+v, %v, %q", edited, rep, err, w.log)
		}
	}
}

// TestCrashWhileDiscarding: whenever the program dies, what is given up is gone in the end, and nothing is made again.
func TestCrashWhileDiscarding(t *testing.T) {
	points := 0
	for _, late := range []bool{false, true} {
		for n := 1; ; n++ {
			w, mem := newWorld(), &MemStore{}
			_, err := toyEngine(t, w, &dying{MemStore: mem, n: n, late: late}, Options{}).Solve(t.Context(), spentGraph("last"))
			if err == nil {
				break
			}
			points++
			for range 2 { // the second has nothing left to do
				e := toyEngine(t, w, mem, Options{})
				rep, err := e.Solve(t.Context(), spentGraph("last"))
				if err != nil || len(rep.Failed)+len(rep.Left)+len(rep.Skipped) > 0 {
					t.Errorf("write %d, late %v: %+v %v", n, late, rep, err)
				}
				if r, _ := e.rec(byName(spentGraph("last"), "image").Key); w.left() != "" || !r.Spent {
					t.Errorf("write %d, late %v: left is %q, %+v", n, late, w.left(), r)
				}
			}
			if w.count("launch") != 1 || w.count("image ")-w.count("image ready") > 1 {
				t.Errorf("write %d, late %v: %q", n, late, w.log)
			}
		}
	}
	if points < 40 {
		t.Errorf("only %d crash points", points)
	}
}

// A failure before keeps what was kept.
func TestDiscardNotReached(t *testing.T) {
	w, st := newWorld(), &MemStore{}
	w.fail = map[string]error{"note bad": errors.New("no")}
	e := toyEngine(t, w, st, Options{})
	g := spentGraph("bad")
	if rep, err := e.Solve(t.Context(), g); err != nil || len(rep.Failed) != 1 || slices.Contains(w.log, "deregister") {
		t.Fatalf("%+v, %v, %q", rep, err, w.log)
	}
	r, _ := e.rec(byName(g, "image").Key)
	if !r.Kept || r.Spent {
		t.Errorf("%+v", r)
	}
}

// What only comes after a step of a machine is not done again with it.
func TestSequenceAfterAMachine(t *testing.T) {
	graph := func(scripts ...string) *Graph {
		g := toyGraph(scripts...)
		n := Add(g, Build{Name: "base"}, "after", note{Text: "after"})
		Goal(g, n)
		g.Sequence(n.Key(), byName(g, "shell-1").Key)
		return g
	}
	w, st := newWorld(), &MemStore{}
	w.fail["sh b"] = errBoom
	solved(t, w, st, Options{OnFailure: keepAll}, graph("a", "b"))
	rep := solved(t, w, st, Options{}, graph("edited", "c"))
	if len(rep.Failed) > 0 || w.count("launch") != 2 || w.count("note after") != 1 {
		t.Errorf("%+v, %q", rep, w.log)
	}
}

// What only comes after a step waits for it, is skipped if it fails, is not done
// again for its sake, and keeps nothing that it shows.
func TestSequence(t *testing.T) {
	graph := func(first string) *Graph {
		g := NewGraph(nil)
		b := Build{Name: "base"}
		k := Add(g, b, "keypair", keyPair{"here"})
		one := Add(g, b, "one", note{Key: k, Text: first})
		two := Add(g, b, "two", note{Text: "two"})
		Goal(g, one)
		Goal(g, two)
		g.Sequence(two.Key(), one.Key())
		return g
	}
	w, st := newWorld(), &MemStore{}
	w.fail = map[string]error{"note one": errors.New("no")}
	rep, err := toyEngine(t, w, st, Options{}).Solve(t.Context(), graph("one"))
	if err != nil || len(rep.Failed) != 1 || len(rep.Skipped) != 1 {
		t.Fatalf("%+v, %v", rep, err)
	}
	w.fail, w.log = nil, nil
	e := toyEngine(t, w, st, Options{})
	g := graph("mended")
	d := newPass(g, e.recs, Rules{})
	if x := d.x; len(x.viewers[x.at[byName(g, "one").Key]]) != 0 {
		t.Error("what only comes after a step keeps what it shows")
	}
	if rep, err = e.Solve(t.Context(), g); err != nil || len(rep.Failed) > 0 {
		t.Fatalf("%+v, %v", rep, err)
	}
	if got := strings.Join(w.log, ","); !strings.Contains(got, "note mended,") || !strings.HasSuffix(strings.ReplaceAll(got, ",remove keypair", ""), "note two") {
		t.Error(got)
	}
	w.log = nil
	if _, err = toyEngine(t, w, st, Options{}).Solve(t.Context(), graph("again")); err != nil || slices.Contains(w.log, "note two") {
		t.Errorf("%v %q", err, w.log)
	}
}
