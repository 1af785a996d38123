package runview

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/termsafe"
)

// Bounds of what a view holds of each step.
const (
	TailLines = 20
	TailWidth = 2000 // bytes
	MostSpans = 50
)

// mostNotes bounds what a view holds of the warnings of a run, the latest of them.
const mostNotes = 200

// Status is how a step stands.
type Status string

const (
	Waiting   Status = "waiting"
	Running   Status = "running"
	Done      Status = "done"
	Failed    Status = "failed"
	Skipped   Status = "skipped" // something that it needs has failed
	Suspended Status = "suspended"
)

// Of a run, as in its summary, while it is driven.
const runRunning = "running"

// View is how a run stands.
type View struct {
	Template string
	Status   string    // running while it is driven, then as in the run's summary; "" before the first event
	Err      string    // why nothing could go on
	First    time.Time // when it was first begun
	Began    time.Time // when the last drive began
	Ended    time.Time // when that ended; zero while it goes on
	Drives   int       // how often it was driven
	Builds   []string  // in the order in which they came
	Steps    []*Step   // what is planned now, in the order of the graph
	Notes    []Note    // warnings, the oldest first

	builds  map[string]bool
	byKey   map[string]*Step
	byToken map[string]*Step
	fresh   bool // the last drive has planned nothing yet
}

// Note is a warning that belongs to a step, or to the run.
type Note struct {
	At     time.Time
	Builds []string
	Step   string
	Text   string
}

// Step is how one step of a run stands.
type Step struct {
	Key    string
	Name   string
	Kind   string
	Title  string   // what it does, in words; may be empty
	Label  string   // what it has made outside, such as "instance i-1"; may be empty
	Builds []string // more than one share it
	Needs  []string // the keys of what comes right before it

	Status  Status
	Reused  bool      // done by an earlier drive, and not again by this one
	Began   time.Time // of its last making; zero before
	Ended   time.Time
	Spans   []Span // all makings, the oldest first
	Tries   int    // how often it is being tried again since it began
	Why     string // why it was made again
	Err     string // of the failure
	Retry   string // the failure after which it waits for another try
	RetryAt time.Time

	Count, Total int64 // progress; Total may be 0 where it is not known
	Unit         string
	Tail         []Line // the last of what it said and printed
	Lines        int    // how many there were

	Removing bool      // its thing is being removed
	Since    time.Time // when that began, last
	Removed  bool      // its thing is gone, since it has served
	Left     string    // why its thing could not be removed

	planned int // the drive that planned it last
}

// Span is one making of a step.
type Span struct {
	Began, Ended time.Time // Ended is zero while it goes on
	Status       Status
}

// Line is a line that a step has said, or its machine has printed.
type Line struct {
	At     time.Time
	Stream string // stdout, stderr, or "" for what imgflow says
	Warn   bool
	Text   string
}

// New returns the view of a run that has not begun.
func New() *View {
	return &View{builds: map[string]bool{}, byKey: map[string]*Step{}, byToken: map[string]*Step{}}
}

// Took is how long the last making of the step has taken so far.
func (s *Step) Took(now time.Time) time.Duration {
	switch {
	case s.Began.IsZero():
		return 0
	case s.Ended.IsZero():
		return max(0, now.Sub(s.Began))
	}
	return max(0, s.Ended.Sub(s.Began))
}

// In tells whether the step is part of a build.
func (s *Step) In(build string) bool { return slices.Contains(s.Builds, build) }

// Apply takes the next event of the run.
func (v *View) Apply(e dag.Event) {
	e.Text, e.Err, e.Step, e.Unit = text(e.Text), text(e.Err), text(e.Step), text(e.Unit)
	for i, b := range e.Builds {
		if clean := text(b); clean != b {
			e.Builds = slices.Clone(e.Builds)
			e.Builds[i] = clean
		}
	}
	switch e.Type {
	case dag.RunBegun:
		v.begin(e)
	case dag.RunEnded:
		v.Status, v.Err, v.Ended = e.Text, e.Err, e.Time
		v.stopped(e.Time)
	case dag.Planned:
		v.plan(e)
	default:
		v.step(e)
	}
}

func (v *View) begin(e dag.Event) {
	v.stopped(e.Time) // the drive before it has died
	v.Drives++
	v.Template, v.Status, v.Err, v.Began, v.Ended, v.fresh = e.Text, runRunning, "", e.Time, time.Time{}, true
	if v.First.IsZero() {
		v.First = e.Time
	}
	v.byToken = map[string]*Step{}
}

// stopped closes what a drive leaves under way.
func (v *View) stopped(at time.Time) {
	for _, s := range v.Steps {
		if s.Status == Running {
			v.end(s, Suspended, at)
		}
	}
}

// plan takes a step of the graph. In a run whose graph becomes known in stages, it
// comes once with each.
func (v *View) plan(e dag.Event) {
	if v.fresh {
		v.fresh, v.Steps = false, nil
	}
	for _, b := range e.Builds {
		if !v.builds[b] {
			v.Builds, v.builds[b] = append(v.Builds, b), true
		}
	}
	s := v.byKey[e.Key]
	if s == nil {
		s = &Step{Key: e.Key, Status: Waiting}
		v.byKey[e.Key] = s
	}
	s.Name, s.Kind, s.Title, s.Builds, s.Needs = e.Step, e.Kind, e.Text, e.Builds, nil
	for _, k := range e.Needs {
		s.Needs = append(s.Needs, k.String())
	}
	if s.planned == v.Drives {
		return
	}
	s.planned = v.Drives
	v.Steps = append(v.Steps, s)
	if s.Status == Done {
		s.Reused = true
		return
	}
	s.Status, s.Retry, s.Err = Waiting, "", ""
}

// step takes an event of a step.
func (v *View) step(e dag.Event) {
	s := v.of(e)
	if e.Type == dag.Warned {
		v.Notes = append(v.Notes, Note{e.Time, e.Builds, e.Step, e.Text})
		if len(v.Notes) > mostNotes {
			v.Notes = slices.Delete(v.Notes, 0, len(v.Notes)-mostNotes)
		}
	}
	if s == nil {
		return
	}
	switch e.Type {
	case dag.Started:
		v.byToken[e.Token] = s
		if e.Text != "" {
			s.Title = e.Text
		}
		*s = Step{Key: s.Key, Name: s.Name, Kind: s.Kind, Title: s.Title, Builds: s.Builds, Needs: s.Needs, Why: s.Why, Spans: s.Spans,
			planned: s.planned}
		s.begin(e.Time)
	case dag.Awaited:
		if e.Text == "" {
			v.end(s, Waiting, e.Time)
			break
		}
		if s.Status != Running {
			s.begin(e.Time)
		}
		s.say(Line{At: e.Time, Text: e.Text})
	case dag.Finished, dag.Borrowed:
		v.end(s, Done, e.Time)
		s.Label = e.Text
	case dag.Failed:
		v.end(s, Failed, e.Time)
		s.Err = e.Err
	case dag.Suspended:
		v.end(s, Suspended, e.Time)
	case dag.Skipped:
		s.Status = Skipped
	case dag.Vanished:
		s.Status, s.Reused, s.Why = Waiting, false, e.Text+" does not exist any more"
	case dag.Rebuilt:
		s.Status, s.Reused, s.Why = Waiting, false, e.Text
	case dag.Retrying:
		s.Tries++
		s.Retry, s.RetryAt = e.Err, e.Time.Add(e.Wait)
		s.say(Line{At: e.Time, Warn: true, Text: e.Err})
	case dag.Progress:
		s.Count, s.Total, s.Unit, s.Retry = e.Count, e.Total, e.Unit, ""
	case dag.Said, dag.Detail, dag.Adopted:
		s.Retry = ""
		s.say(Line{At: e.Time, Text: e.Text})
	case dag.Warned:
		s.say(Line{At: e.Time, Warn: true, Text: e.Text})
	case dag.Printed:
		stream, _, _ := strings.Cut(e.Stream, "/")
		if !strings.HasPrefix(stream, "exit") { // that one carries no text of the machine
			s.say(Line{At: e.Time, Stream: stream, Text: e.Text})
		}
	case dag.Releasing:
		s.Removing, s.Since, s.Left = true, e.Time, ""
	case dag.Released:
		s.Removing, s.Removed = false, true
	case dag.Left:
		s.Removing, s.Left = false, e.Err
	}
}

// begin opens a span.
func (s *Step) begin(at time.Time) {
	s.Status, s.Began = Running, at
	s.Spans = append(s.Spans, Span{Began: at, Status: Running})
	if len(s.Spans) > MostSpans {
		s.Spans = slices.Delete(s.Spans, 0, len(s.Spans)-MostSpans)
	}
}

// of finds the step of an event: a printed line has only its token.
func (v *View) of(e dag.Event) *Step {
	if e.Key != "" {
		return v.byKey[e.Key]
	}
	return v.byToken[e.Token]
}

// end closes the span that is open, if there is one.
func (v *View) end(s *Step, status Status, at time.Time) {
	if n := len(s.Spans); n > 0 && s.Spans[n-1].Ended.IsZero() {
		s.Spans[n-1].Ended, s.Spans[n-1].Status = at, status
		s.Ended = at
	}
	s.Status, s.Retry = status, ""
}

func (s *Step) say(l Line) {
	for line := range strings.SplitSeq(strings.TrimRight(l.Text, "\n"), "\n") {
		l.Text = cut(line)
		s.Lines++
		if len(s.Tail) == TailLines {
			copy(s.Tail, s.Tail[1:])
			s.Tail = s.Tail[:TailLines-1]
		}
		s.Tail = append(s.Tail, l)
	}
}

// cut shortens a line to what a view holds of it.
func cut(line string) string {
	if len(line) <= TailWidth {
		return line
	}
	at := TailWidth
	for at > 0 && !utf8.RuneStart(line[at]) {
		at--
	}
	return line[:at] + "…"
}

// text is a text of an event without what could drive a terminal, line by line.
func text(s string) string {
	if !strings.ContainsRune(s, '\n') {
		return termsafe.Clean(s, false)
	}
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = termsafe.Clean(l, false)
	}
	return strings.Join(lines, "\n")
}
