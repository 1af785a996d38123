package render

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/state"
)

func TestRemoteOutputCannotDriveTheTerminal(t *testing.T) {
	for in, want := range map[string]string{
		"plain ä\ttab":               "plain ä\ttab",
		"10%\r50%\r100%\r":           "100%",
		"\x1b[31mred\x1b[0m":         "red",
		"\x1b[2J\x1b[Hgone":          "gone",
		"\x1b]0;title\x07text":       "text",
		"\x1b]8;;x\x1b\\link":        "link",
		"bell\a back\b nul\x00":      "bell back nul",
		"\u009b2Jc1":                 "2Jc1",
		"torn \x1b[":                 "torn ",
		"torn \x1b":                  "torn ",
		"not utf8 \xff end\x1b[m":    "not utf8 \ufffd end",
		"\xc2\x1e\x9b32J":            "\ufffd\ufffd32J", // half a control character on each side of one that is dropped
		"\xc2\x1b[m\x9b2J":           "\ufffd\ufffd2J",
		"\xe2\x80\x00\xae":           "\ufffd\ufffd\ufffd", // the same with U+202E
		"user\u202etxt.exe":          "user\ufffdtxt.exe",
		"a\u2066b\u2069\u200f\u061c": "a\ufffdb\ufffd\ufffd\ufffd",
		"one\u2028two\u206a":         "one\ufffdtwo\ufffd",
		"tag\U000e0041":              "tag\ufffd",
		"👩\u200d🚀 é e\u0301":         "👩\u200d🚀 é e\u0301", // joiners and marks are text
	} {
		if got := clean(in, false); got != want {
			t.Errorf("clean(%q) = %q, want %q", in, got, want)
		}
	}
	if got := clean("\x1b[1;31mred\x1b[0m\x1b[2J", true); got != "\x1b[1;31mred\x1b[0m" {
		t.Errorf("with colours: %q", got)
	}
}

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
		if i := strings.IndexFunc(got, unsafe); i >= 0 {
			t.Errorf("live %v: %q has %q at %d", live, got, got[i:i+4], i)
		}
	}
	var b bytes.Buffer
	Runs(&b, []state.Summary{{ID: "r", Status: state.Done, Template: evil + "\nrow", Builds: []state.BuildSummary{{Name: evil}}}}, noon)
	if got := b.String(); strings.Count(got, "\n") != 2 || strings.IndexFunc(strings.ReplaceAll(got, "\n", ""), unsafe) >= 0 {
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
		if i := strings.IndexFunc(strings.ReplaceAll(b, "\n", ""), unsafe); i >= 0 {
			t.Errorf("%q", b)
		}
		var out dag.Event
		if err := json.Unmarshal([]byte(b), &out); err != nil || out.Text != in {
			t.Errorf("%q became %q, %v", in, out.Text, err)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add("\x1b[31mred\x1b]0;x\x07\r\xff")
	f.Add("\xc2\x1e\x9b2J")
	f.Add("\xe2\x80\x00\xae")
	f.Fuzz(func(t *testing.T, s string) {
		got := clean(s, false)
		if i := strings.IndexFunc(got, unsafe); i >= 0 || !utf8.ValidString(got) {
			t.Errorf("clean(%q) = %q", s, got)
		}
		colored := clean(s, true)
		if left := colors.ReplaceAllString(colored, ""); strings.ContainsRune(left, 0x1b) {
			t.Errorf("clean(%q) with colours = %q", s, colored)
		}
	})
}

var colors = regexp.MustCompile("\x1b\\[[0-9;:]*m")
