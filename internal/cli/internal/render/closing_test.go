package render

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/runview"
)

// played is the view of two drives: the first ends in its third step, which fails;
// the second goes on from there, and fails in its fourth.
func played() *runview.View {
	v := runview.New()
	at := 0
	tell := func(typ dag.EventType, n, sec int) {
		at += sec
		v.Apply(dag.Event{Type: typ, Key: key(n).String(), Step: fmt.Sprint("s", n), Builds: []string{"b"}, Token: fmt.Sprint(n), Time: noon.Add(time.Duration(at) * time.Second), Err: "no"})
	}
	for range 2 {
		v.Apply(dag.Event{Type: dag.RunBegun, Time: noon.Add(time.Duration(at) * time.Second)})
		for n := range 6 {
			e := dag.Event{Type: dag.Planned, Key: key(n).String(), Step: fmt.Sprint("s", n), Builds: []string{"b"}}
			if n > 0 {
				e.Needs = []dag.Key{key(n - 1)}
			}
			v.Apply(e)
		}
		for n := range 4 {
			if s := v.Of(key(n).String()); s.Reused {
				continue
			}
			tell(dag.Started, n, 0)
			if n == 3 || n == 2 && v.Drives == 1 {
				tell(dag.Failed, n, 5)
				break
			}
			tell(dag.Finished, n, 10*(n+1))
		}
	}
	return v
}

func key(n int) (k dag.Key) { k[0] = byte(n + 1); return k }

func TestClosing(t *testing.T) {
	var b bytes.Buffer
	l := NewLines(&b, Options{})
	l.Closing(played())
	l.Closing(runview.New()) // nothing was planned
	var things []dag.Record
	for i := range 8 {
		things = append(things, dag.Record{Label: fmt.Sprint("thing ", i), Status: dag.Done})
	}
	l.Standing(append(things[:2:2], dag.Record{Label: "not sure", Status: dag.Doing}))
	l.Standing(things)
	l.Standing(nil)
	want := "==> Steps: 2 run, 2 reused (30s saved), 1 failed, 2 not reached.\n==> Longest chain: s2 30s → s3 5s\n" +
		"==> Still there: thing 0, thing 1.\n==> Still there: thing 0, thing 1, thing 2, thing 3, thing 4, thing 5 and 2 more.\n"
	if got := b.String(); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

// Of a long chain the steps are named that took the most of it.
func TestLongChain(t *testing.T) {
	v := runview.New()
	v.Apply(dag.Event{Type: dag.RunBegun, Time: noon})
	at := noon
	for n := range 9 {
		e := dag.Event{Type: dag.Planned, Key: key(n).String(), Step: fmt.Sprint("s", n)}
		if n > 0 {
			e.Needs = []dag.Key{key(n - 1)}
		}
		v.Apply(e)
	}
	for n, took := range []int{1, 9, 2, 8, 7, 3, 6, 5, 0} {
		v.Apply(dag.Event{Type: dag.Started, Key: key(n).String(), Time: at})
		at = at.Add(time.Duration(took) * time.Second)
		v.Apply(dag.Event{Type: dag.Finished, Key: key(n).String(), Time: at})
	}
	if got, want := chain(v), "s1 9s → s3 8s → s4 7s → s5 3s → s6 6s → s7 5s"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestFinished(t *testing.T) {
	var b bytes.Buffer
	l := NewLines(&b, Options{Builds: []string{"b"}})
	s := runview.Step{Name: "n", Title: "launch it", Builds: []string{"b"}, Began: noon, Ended: noon.Add(2 * time.Second)}
	for _, change := range []func(){
		func() {},
		func() { s.Tail = []runview.Line{{Text: "found x"}, {Text: "printed", Stream: "stdout"}} },
		func() { s.Tail = append(s.Tail, runview.Line{Text: "stopping x"}) },
		func() { s.Label = "instance i-1" },
		func() { s.Title = "\x1b[2Jclear it" },
	} {
		change()
		l.Finished(s)
	}
	want := "==> b: Launch it  2s\n==> b: Launch it: found x  2s\n==> b: Launch it  2s\n==> b: Launch it: instance i-1  2s\n==> b: clear it: instance i-1  2s\n"
	if got := b.String(); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}
