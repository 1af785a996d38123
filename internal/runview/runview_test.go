package runview

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
)

var noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

func key(n int) (k dag.Key) { k[0], k[1] = byte(n), byte(n>>8); return k }

func at(sec int) time.Time { return noon.Add(time.Duration(sec) * time.Second) }

// view applies events, each a second after the one before it unless it says when.
func view(events ...dag.Event) *View {
	v := New()
	for i, e := range events {
		if e.Time.IsZero() {
			e.Time = at(i)
		}
		v.Apply(e)
	}
	return v
}

func planned(n int, name string, needs ...int) dag.Event {
	e := dag.Event{Type: dag.Planned, Step: name, Key: key(n).String(), Kind: "k", Builds: []string{"b"}}
	for _, i := range needs {
		e.Needs = append(e.Needs, key(i))
	}
	return e
}

func of(n int, typ dag.EventType, sec int) dag.Event {
	return dag.Event{Type: typ, Key: key(n).String(), Token: fmt.Sprint("t", n), Time: at(sec)}
}

func TestView(t *testing.T) {
	failed := of(3, dag.Failed, 40)
	failed.Err = "exit status 1"
	launched := of(2, dag.Finished, 31)
	launched.Text = "instance i-1"
	events := []dag.Event{
		{Type: dag.RunBegun, Text: "t.json"},
		planned(1, "source"), planned(2, "launch", 1), planned(3, "shell", 2), planned(4, "image", 3),
		of(1, dag.Started, 10), of(1, dag.Finished, 11),
		of(2, dag.Started, 11), {Type: dag.Progress, Key: key(2).String(), Count: 1, Total: 4, Unit: "B"}, launched,
		of(3, dag.Started, 31),
		{Type: dag.Printed, Token: "t3", Stream: "stderr/1", Text: "no such \x1b[2Jfile"},
		{Type: dag.Printed, Token: "t3", Stream: "exit/1", Text: "1"},
		failed, of(4, dag.Skipped, 40),
		{Type: dag.RunEnded, Text: "suspended", Time: at(41)},
	}
	v := view(events...)
	if v.Status != "suspended" || v.Drives != 1 || v.Ended != at(41) || v.Template != "t.json" || !slices.Equal(v.Builds, []string{"b"}) {
		t.Errorf("%+v", v)
	}
	var got []string
	for _, s := range v.Steps {
		got = append(got, fmt.Sprintf("%s %s %s", s.Name, s.Status, s.Took(at(100))))
	}
	if want := []string{"source done 1s", "launch done 20s", "shell failed 9s", "image skipped 0s"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if made := v.Steps[1].Label; made != "instance i-1" {
		t.Errorf("the launch has made %q", made)
	}
	shell := v.Steps[2]
	if shell.Err != "exit status 1" || len(shell.Tail) != 1 || shell.Tail[0].Text != "no such file" || shell.Tail[0].Stream != "stderr" {
		t.Errorf("%+v", shell)
	}
	if st := v.BuildStatuses()["b"]; st != Failed {
		t.Errorf("the build is %s", st)
	}

	// A resume does again what was not done; an edited step is another one.
	for _, e := range []dag.Event{
		{Type: dag.RunBegun, Time: at(100)},
		planned(1, "source"), planned(2, "launch", 1), planned(5, "shell", 2), planned(6, "image", 5),
		of(5, dag.Started, 100), of(5, dag.Finished, 102), of(6, dag.Started, 102),
	} {
		v.Apply(e)
	}
	got = nil
	for _, s := range v.Steps {
		got = append(got, fmt.Sprintf("%s %s %v", s.Name, s.Status, s.Reused))
	}
	if want := []string{"source done true", "launch done true", "shell done false", "image running false"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if v.Saved() != 21*time.Second {
		t.Errorf("saved %s, want 21s", v.Saved())
	}
	if by, reused := v.Counts(); by[Done] != 3 || by[Running] != 1 || reused != 2 {
		t.Errorf("%v, %d reused", by, reused)
	}
	if took := v.Steps[3].Took(at(110)); took != 8*time.Second {
		t.Errorf("so far %s, want 8s", took)
	}
	if st := v.BuildStatuses()["b"]; st != Running {
		t.Errorf("the build is %s", st)
	}

	// The process dies; the next one begins.
	v.Apply(dag.Event{Type: dag.RunBegun, Time: at(200)})
	v.Apply(planned(6, "image", 5))
	if s := v.Of(key(6).String()); s.Status != Waiting || len(s.Spans) != 1 || s.Spans[0].Status != Suspended || s.Spans[0].Ended != at(200) {
		t.Errorf("after a death: %+v", s)
	}
}

func TestVanishedStepIsNotReused(t *testing.T) {
	v := view(dag.Event{Type: dag.RunBegun}, planned(1, "launch"), of(1, dag.Started, 3), of(1, dag.Finished, 4), dag.Event{Type: dag.RunBegun}, planned(1, "launch"))
	if !v.Steps[0].Reused {
		t.Fatal("it is reused before it is looked for")
	}
	gone := of(1, dag.Vanished, 10)
	gone.Text = "i-1"
	v.Apply(gone)
	if s := v.Steps[0]; s.Reused || s.Status != Waiting || s.Why != "i-1 does not exist any more" {
		t.Errorf("%+v", s)
	}
}

func TestRemovals(t *testing.T) {
	v := view(dag.Event{Type: dag.RunBegun}, planned(1, "key"), planned(2, "group"), of(1, dag.Started, 3), of(1, dag.Finished, 4), of(1, dag.Releasing, 5))
	if s := v.Steps[0]; !s.Removing || s.Since != at(5) {
		t.Error("its removal has begun")
	}
	v.Apply(of(1, dag.Released, 6))
	left := of(2, dag.Left, 7)
	left.Err = "in use"
	v.Apply(left)
	if a, b := v.Steps[0], v.Steps[1]; a.Removing || !a.Removed || a.Status != Done || b.Left != "in use" {
		t.Errorf("%+v, %+v", a, b)
	}
}

// The path goes by when things ended, not by the longest chain of steps.
func TestCriticalPath(t *testing.T) {
	v := view(dag.Event{Type: dag.RunBegun, Time: noon},
		planned(1, "a"), planned(2, "slow", 1), planned(3, "quick", 1), planned(4, "quicker", 3), planned(5, "end", 2, 4),
		of(1, dag.Started, 1), of(1, dag.Finished, 2), of(2, dag.Started, 2), of(3, dag.Started, 2), of(3, dag.Finished, 3),
		of(4, dag.Started, 3), of(4, dag.Finished, 4), of(2, dag.Finished, 9), of(5, dag.Started, 9))
	names := func() (ns []string) {
		for _, s := range v.CriticalPath() {
			ns = append(ns, s.Name)
		}
		return ns
	}
	if got := names(); !slices.Equal(got, []string{"a", "slow", "end"}) {
		t.Errorf("%q", got)
	}
	v.Apply(planned(1, "a", 5)) // a damaged file: a circle
	if got := names(); len(got) != 3 {
		t.Errorf("%q", got)
	}
}

// What a machine makes up is bounded, and drives nothing.
func TestBounds(t *testing.T) {
	v := view(dag.Event{Type: dag.RunBegun}, dag.Event{Type: dag.Planned, Key: key(1).String(), Step: "s\x1b[2J", Builds: []string{"b\u202e"}}, of(1, dag.Started, 2))
	for range 100 {
		v.Apply(dag.Event{Type: dag.Printed, Token: "t1", Stream: "stdout", Text: strings.Repeat("ä", 3000)})
		v.Apply(dag.Event{Type: dag.Warned, Text: "w"})
		v.Apply(of(1, dag.Failed, 3))
		v.Apply(of(1, dag.Started, 4))
	}
	s := v.Steps[0]
	if s.Name != "s" || v.Builds[0] != "b\ufffd" || s.Builds[0] != v.Builds[0] {
		t.Errorf("%q %q", s.Name, v.Builds)
	}
	if len(s.Spans) != MostSpans || len(v.Notes) > mostNotes {
		t.Errorf("%d spans, %d notes", len(s.Spans), len(v.Notes))
	}
	for range 100 {
		v.Apply(dag.Event{Type: dag.Printed, Token: "t1", Stream: "stdout", Text: strings.Repeat("ä", 3000)})
	}
	if len(s.Tail) != TailLines || len(s.Tail[0].Text) > TailWidth+3 || s.Lines != 100 {
		t.Errorf("%d lines of %d bytes, %d counted", len(s.Tail), len(s.Tail[0].Text), s.Lines)
	}
	// Events of what was never planned are passed over.
	v.Apply(of(77, dag.Started, 5))
	v.Apply(dag.Event{Type: dag.Printed, Token: "nobody's"})
}

// A run of n builds costs n times what one does.
func BenchmarkApply(b *testing.B) {
	for _, builds := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprint(builds), func(b *testing.B) {
			for range b.N {
				v := New()
				v.Apply(dag.Event{Type: dag.RunBegun})
				for n := range builds * 20 {
					e := planned(n, "s", max(0, n-1))
					e.Builds = []string{fmt.Sprint("b", n/20)}
					v.Apply(e)
				}
				for n := range builds * 20 {
					v.Apply(of(n, dag.Started, n))
					v.Apply(of(n, dag.Finished, n+1))
				}
				v.CriticalPath()
				v.BuildStatuses()
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(builds), "µs/build")
		})
	}
}
