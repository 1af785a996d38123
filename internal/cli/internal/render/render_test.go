package render

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/state"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func show(o Options, es ...dag.Event) string {
	var b bytes.Buffer
	l := NewLines(&b, o)
	for _, e := range es {
		if e.Time.IsZero() {
			e.Time = noon
		}
		l.Event(e)
	}
	l.Close()
	return b.String()
}

func TestLinesHaveTheFamiliarShape(t *testing.T) {
	web := []string{"web"}
	got := show(Options{},
		dag.Event{Type: dag.Started, Builds: web, Step: "instance", Text: "launch a t3.micro"},
		dag.Event{Type: dag.Finished, Builds: web, Step: "instance", Text: "i-0123", Took: 12 * time.Second},
		dag.Event{Type: dag.Started, Builds: web, Step: "quiet"},
		dag.Event{Type: dag.Finished, Builds: web, Step: "quiet"},
		dag.Event{Type: dag.Printed, Builds: web, Stream: "stdout", Text: "total 4"},
		dag.Event{Type: dag.Printed, Builds: web, Stream: "stderr/2", Text: "oops"},
		dag.Event{Type: dag.Printed, Builds: web, Stream: "exit", Text: "0"},
		dag.Event{Type: dag.Printed, Builds: web, Stream: "exit/2", Text: "0"},
		dag.Event{Type: dag.Said, Builds: []string{"web", "db"}, Text: "one\ntwo"},
		dag.Event{Type: dag.Failed, Builds: web, Step: "shell", Err: "exit status 3"},
	)
	want := `==> web: Launch a t3.micro
    web: total 4
    web: oops
    web, db: one
    web, db: two
==> web: shell failed: exit status 3
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestASharedStepNamesItsBuildsOnce(t *testing.T) {
	all := []string{"a", "b", "c", "d"}
	if got := show(Options{Builds: all}, dag.Event{Type: dag.Said, Builds: all, Text: "x"}); got != "    all 4 builds: x\n" {
		t.Errorf("got %q", got)
	}
	if got := show(Options{Builds: all}, dag.Event{Type: dag.Said, Builds: all[:3], Text: "x"}); got != "    a and 2 others: x\n" {
		t.Errorf("got %q", got)
	}
}

func TestOnlyChosenBuildsAreShown(t *testing.T) {
	o := Options{Only: []string{"b"}}
	got := show(o, dag.Event{Type: dag.Said, Builds: []string{"a"}, Text: "no"}, dag.Event{Type: dag.Said, Builds: []string{"a", "b"}, Text: "yes"})
	if got != "    a, b: yes\n" {
		t.Errorf("got %q", got)
	}
}

func TestProgressIsThrottledWhereLinesStay(t *testing.T) {
	var es []dag.Event
	for i := range 61 {
		es = append(es, dag.Event{Type: dag.Progress, Time: noon.Add(time.Duration(i) * time.Second), Builds: []string{"web"},
			Step: "upload", Token: "t", Count: int64(i) * 1e6, Total: 60e6, Unit: "bytes"})
	}
	got := show(Options{}, es...)
	if n := strings.Count(got, "\n"); n < 2 || n > 5 {
		t.Errorf("a minute of progress took %d lines:\n%s", n, got)
	}
	if !strings.Contains(got, "    web: upload: 8 % (5.0 MB of 60.0 MB)\n") {
		t.Errorf("got\n%s", got)
	}
	if got := show(Options{}, es[:4]...); got != "" {
		t.Errorf("progress of what is quick was shown: %q", got)
	}
	live := show(Options{Live: true}, es...)
	if strings.Contains(live, "\n") || !strings.HasSuffix(live, "\r\x1b[K") {
		t.Errorf("on a terminal: %q", live)
	}
}

func TestStampsAndColours(t *testing.T) {
	got := show(Options{Stamps: true}, dag.Event{Type: dag.Said, Builds: []string{"a"}, Text: "x"})
	if !strings.HasPrefix(got, noon.Local().Format(time.RFC3339)+":     a: x") {
		t.Errorf("got %q", got)
	}
	if got := show(Options{Color: true}, dag.Event{Type: dag.Failed, Step: "s", Err: "x"}); !strings.HasPrefix(got, "\x1b[1;31m==> s failed") {
		t.Errorf("got %q", got)
	}
}

func TestJSONLines(t *testing.T) {
	var b bytes.Buffer
	j := NewJSON(&b)
	in := dag.Event{V: dag.EventVersion, Time: noon, Type: dag.Printed, Text: "a < b", Stream: "stdout", Offset: 6}
	j.Event(in)
	var out dag.Event
	if err := json.Unmarshal(b.Bytes(), &out); err != nil || out.Text != in.Text || out.Offset != 6 || strings.Count(b.String(), "\n") != 1 {
		t.Errorf("got %q, %v", b.String(), err)
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		300 * time.Microsecond: "0s", 1234 * time.Millisecond: "1.2s", 2 * time.Minute: "2m", time.Hour: "1h", 61 * time.Minute: "1h1m",
	} {
		if got := Duration(d); got != want {
			t.Errorf("Duration(%v) = %s, want %s", d, got, want)
		}
	}
}

func TestRunsTable(t *testing.T) {
	var b bytes.Buffer
	Runs(&b, []state.Summary{
		{ID: "m1", Status: state.Done, Started: noon, Ended: noon.Add(90 * time.Second), Template: "/t.json", Builds: []state.BuildSummary{{Name: "web"}}},
		{ID: "m0", Status: state.Unreadable, Problem: "cannot read it"},
	}, noon.Add(2*time.Hour))
	got := b.String()
	for _, want := range []string{"m1   done        2 h ago", "1m30s  web     /t.json", "m0: cannot read it"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
}
