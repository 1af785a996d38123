package render

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/termsafe"
	"github.com/imgflow/imgflow/state"
)

// Errors and summaries quote machines, too.
func TestQuotedOutputCannotDriveTheTerminal(t *testing.T) {
	var b bytes.Buffer
	l := NewLines(&b, Options{})
	l.Item("%s", "it says \x1b[2Jthis\nand \x1b]0;title\x07that")
	l.Plain("%s", "so it\rsays\a")
	if got, want := b.String(), "--> it says this\n    and that\nso it says\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// What leaves the program by any other way than Lines is safe as well.
func TestSafeWriter(t *testing.T) {
	var b bytes.Buffer
	w := SafeWriter{&b}
	in := "x\x1b]0;title\x07\ty\r\nover\rwritten \xc2\x1e\x9b2J\n\u202e\n"
	if n, err := w.Write([]byte(in)); n != len(in) || err != nil {
		t.Errorf("Write = %d, %v", n, err)
	}
	if got, want := b.String(), "x\ty\nover written \ufffd\ufffd2J\n\ufffd\n"; got != want {
		t.Errorf("wrote %q, want %q", got, want)
	}
}

// Names of builds and steps come from templates, which others may have written.
func TestNamesCannotDriveTheTerminal(t *testing.T) {
	evil := "\x1b]0;title\x07\u009b2J\u202ex"
	for _, live := range []bool{false, true} {
		got := show(Options{Live: live, Builds: []string{evil, "b", "c"}},
			dag.Event{Type: dag.Said, Builds: []string{evil}, Text: "said"},
			dag.Event{Type: dag.Said, Builds: []string{evil, "b"}, Text: "said"},
			dag.Event{Type: dag.Started, Builds: []string{evil, "b", "c", "d"}, Step: evil, Text: evil},
			dag.Event{Type: dag.Progress, Builds: []string{evil}, Step: evil, Unit: evil, Token: "t", Count: 1, Time: noon},
			dag.Event{Type: dag.Progress, Builds: []string{evil}, Step: evil, Unit: evil, Token: "t", Count: 2, Time: noon.Add(time.Minute)},
			dag.Event{Type: dag.Failed, Builds: []string{evil}, Step: evil, Err: evil})
		got = strings.NewReplacer("\r\x1b[K", "", "\n", "").Replace(got) // what Lines itself draws
		if i := strings.IndexFunc(got, termsafe.Unsafe); i >= 0 {
			t.Errorf("live %v: %q has %q at %d", live, got, got[i:i+4], i)
		}
	}
	var b bytes.Buffer
	Runs(&b, []state.Summary{{ID: "r", Status: state.Done, Template: evil + "\nrow", Builds: []state.BuildSummary{{Name: evil}}}}, noon)
	if got := b.String(); strings.Count(got, "\n") != 2 || strings.IndexFunc(strings.ReplaceAll(got, "\n", ""), termsafe.Unsafe) >= 0 {
		t.Errorf("table %q", got)
	}
}

// JSON may be looked at, too; a program reads the same value.
func TestJSONCannotDriveTheTerminal(t *testing.T) {
	in := "\x1b[2J \x7f\u009b2J \u202e \U000e0041 é"
	var lines, indented bytes.Buffer
	NewJSON(&lines).Event(dag.Event{Type: dag.Printed, Text: in})
	if err := Indented(&indented, dag.Event{Text: in}); err != nil {
		t.Fatal(err)
	}
	for _, b := range []string{lines.String(), indented.String()} {
		if i := strings.IndexFunc(strings.ReplaceAll(b, "\n", ""), termsafe.Unsafe); i >= 0 {
			t.Errorf("%q", b)
		}
		var out dag.Event
		if err := json.Unmarshal([]byte(b), &out); err != nil || out.Text != in {
			t.Errorf("%q became %q, %v", in, out.Text, err)
		}
	}
}
