package dag

import (
	"context"
	"slices"
	"strings"
	"testing"
)

// givenGraph is what scripts do to a machine that was there before.
func givenGraph(scripts ...string) *Graph {
	g, b := NewGraph(nil), Build{Name: "there", Type: "toy"}
	m := As[machine](Add(g, b, "given", given{"host"}))
	for _, s := range scripts {
		m = Add(g, b, "shell-"+s, shell{On: m.Take(), Script: s})
	}
	Goal(g, m)
	return g
}

// scripts are those that ran, in their order.
func (w *world) scripts() (list []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range w.log {
		if s, ok := strings.CutPrefix(l, "sh "); ok {
			list = append(list, s)
		}
	}
	return list
}

// What was done to a machine that was there before is done, and nothing of it is
// removed; an edited step runs on what its earlier form has left, and going back to
// that form is an edit, too.
func TestGivenMachine(t *testing.T) {
	w, st := newWorld(), &MemStore{}
	w.fail["sh b"] = errBoom
	if r := solve(t, toyEngine(t, w, st, Options{}), givenGraph("a", "b")); len(r.Failed) != 1 || len(r.Left) != 0 {
		t.Fatalf("%+v", r)
	}
	delete(w.fail, "sh b")
	for _, step := range []struct {
		scripts []string
		again   string // which step's earlier form is overtaken
		ran     []string
	}{
		{[]string{"a", "b"}, "", []string{"a", "b", "b"}},
		{[]string{"a", "b"}, "", nil},
		{[]string{"A", "b"}, "shell-a", []string{"A", "b"}},
		{[]string{"A", "b"}, "", nil},
		{[]string{"a", "b"}, "shell-A", []string{"a", "b"}},
		{[]string{"a", "b", "c"}, "", []string{"c"}},
		{[]string{"a", "c"}, "shell-b", []string{"c"}},
		{[]string{"a"}, "", nil},
	} {
		before := len(w.scripts())
		if step.scripts[0] == "a" && before == 2 {
			before = 0
		}
		var sink memSink
		e := toyEngine(t, w, st, Options{Sink: &sink})
		g := givenGraph(step.scripts...)
		p, err := e.Plan(g)
		if err != nil || len(p.Rebuilds)+len(p.Removes)+len(p.Releases) > 0 {
			t.Fatalf("%q: %+v, %v", step.scripts, p, err)
		}
		var again []string
		for _, r := range p.Reapplied {
			again = append(again, r.Record.Name)
		}
		if strings.Join(again, " ") != step.again || sink.count(Warned) != 0 {
			t.Errorf("%q: again %q", step.scripts, again)
		}
		clean(t, solve(t, e, g))
		if ran := w.scripts()[before:]; !slices.Equal(ran, step.ran) {
			t.Errorf("%q: ran %q, not %q", step.scripts, ran, step.ran)
		}
		if sink.count(Warned) != len(again) || sink.count(Rebuilt)+sink.count(Releasing) > 0 {
			t.Errorf("%q: %+v", step.scripts, sink.ev)
		}
	}
	left, err := toyEngine(t, w, st, Options{}).Destroy(context.Background(), func(Record) bool { return true })
	if err != nil || len(left) > 0 || w.count("given") != 1 {
		t.Errorf("%v %v, log %q", left, err, w.log)
	}
}

// A step that may still be at work on the machine is not overtaken: neither in its
// own earlier form nor after one that was edited.
func TestGivenMachineAtWork(t *testing.T) {
	w, st := newWorld(), &MemStore{}
	ctx, cancel := context.WithCancel(context.Background())
	w.hook = func(what string) {
		if what == "sh a" {
			w.gate = make(chan struct{})
			cancel()
		}
	}
	if r, err := toyEngine(t, w, st, Options{}).Solve(ctx, givenGraph("a", "b")); err != nil || !r.Suspended {
		t.Fatalf("%+v %v", r, err)
	}
	w.gate, w.hook = nil, nil
	recs, _ := st.All()
	for _, r := range recs {
		if r.Name == "shell-a" {
			r.Status = Doing // as a crash leaves it
			st.Put(r)
		}
	}
	for _, edited := range [][]string{{"A", "b"}, {"b"}} {
		e := toyEngine(t, w, st, Options{})
		_, err := e.Plan(givenGraph(edited...))
		if err == nil || !strings.Contains(err.Error(), "shell-a was interrupted") {
			t.Errorf("%q: planned: %v", edited, err)
		}
		if _, again := e.Solve(context.Background(), givenGraph(edited...)); again == nil || again.Error() != err.Error() {
			t.Errorf("%q: solved: %v", edited, again)
		}
	}
	ran := len(w.scripts())
	clean(t, solve(t, toyEngine(t, w, st, Options{}), givenGraph("a", "b")))
	clean(t, solve(t, toyEngine(t, w, st, Options{}), givenGraph("A", "b")))
	if got := w.scripts()[ran:]; !slices.Equal(got, []string{"a", "b", "A", "b"}) {
		t.Errorf("ran %q", got)
	}
}
