package runpage

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/cost"
	"github.com/imgflow/imgflow/internal/runview"
	"github.com/imgflow/imgflow/state"
)

var noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

func at(sec int) time.Time { return noon.Add(time.Duration(sec) * time.Second) }

func key(n int) (k dag.Key) { k[0], k[1], k[2] = byte(n), byte(n>>8), byte(n>>16); return k }

// story is a run whose events come one after the other.
type story struct {
	v *runview.View
}

func newStory() *story {
	s := &story{v: runview.New()}
	s.v.Apply(dag.Event{Type: dag.RunBegun, Time: noon, Text: "web.json"})
	return s
}

func (s *story) planned(n int, name, build string, needs ...int) {
	e := dag.Event{Type: dag.Planned, Step: name, Key: key(n).String(), Kind: name, Text: "do " + name, Builds: []string{build}}
	for _, k := range needs {
		e.Needs = append(e.Needs, key(k))
	}
	s.v.Apply(e)
}

func (s *story) of(n int, typ dag.EventType, sec int, change ...func(*dag.Event)) {
	e := dag.Event{Type: typ, Key: key(n).String(), Token: fmt.Sprint("t", n), Time: at(sec)}
	for _, f := range change {
		f(&e)
	}
	s.v.Apply(e)
}

func because(err string) func(*dag.Event) { return func(e *dag.Event) { e.Err = err } }

// failedRun is one that failed, was resumed a day later, and failed again.
func failedRun() Run {
	const day = 24 * 3600
	s := newStory()
	for _, again := range []bool{false, true} {
		if again {
			s.v.Apply(dag.Event{Type: dag.RunBegun, Time: at(day), Text: "web.json"})
		}
		s.planned(1, "source", "web")
		s.planned(2, "launch", "web", 1)
		s.planned(3, "shell", "web", 2)
		s.planned(4, "image", "web", 3)
		if again {
			s.of(3, dag.Started, day)
			s.v.Apply(dag.Event{Type: dag.Printed, Token: "t3", Stream: "stderr/1", Text: "E: no such package"})
			s.of(3, dag.Failed, day+60, because("exit status 100"))
			s.of(4, dag.Skipped, day+60)
			s.v.Apply(dag.Event{Type: dag.Warned, Step: "shell", Text: "it was odd", Time: at(day + 60)})
			s.v.Apply(dag.Event{Type: dag.RunEnded, Text: state.Suspended, Time: at(day + 61)})
			continue
		}
		s.of(1, dag.Started, 0)
		s.of(1, dag.Finished, 1)
		s.of(2, dag.Started, 1)
		s.of(2, dag.Finished, 41)
		s.of(3, dag.Started, 41)
		s.of(3, dag.Failed, 61, because("exit status 1"))
		s.v.Apply(dag.Event{Type: dag.RunEnded, Text: state.Suspended, Time: at(61)})
	}
	r := New(state.Summary{ID: "mx3testrun00", Status: state.Suspended, Template: "web.json", Started: noon, Updated: at(day + 61),
		Builds: []state.BuildSummary{{Name: "web", Type: "amazon-ebs", Status: state.Failed, Err: "exit status 100"}}}, s.v, at(2*day))
	r.Version = "1.2.3"
	r.Usual = func(kind, step string) (time.Duration, time.Duration, bool) {
		return 8 * time.Second, 12 * time.Second, step == "shell"
	}
	r.Resources = []Resource{{Label: "instance i-1", Step: "launch", Builds: []string{"web"}, State: Stands, Since: at(1)}, {Label: "key pair k", Step: "key", State: Removed, Since: noon, Until: at(30)}}
	r.Made = &Made{Digest: "sha256:ab", Sources: []Item{{Name: "ubuntu", ID: "arn:1"}}, Variables: [][2]string{{"region", "us-east-1"}}}
	return r
}

func report(t testing.TB, r Run) string {
	t.Helper()
	var b bytes.Buffer
	if err := Report(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var tags = regexp.MustCompile(`(?s)<style>.*?</style>|<[^>]*>`)

// words are the texts of a page, each space one.
func words(page string) string {
	return strings.Join(strings.Fields(tags.ReplaceAllString(page, " ")), " ")
}

func TestReportTellsTheRun(t *testing.T) {
	page := report(t, failedRun())
	text := words(page)
	for _, want := range []string{
		"Run mx3testrun00 ‖ suspended", "1 failed 1 skipped 2 done before", "Took 1m1s, at the 2nd go", "Not done again 41s of earlier work",
		"What failed shell web exit status 100 Its last lines E: no such package",
		"2m1s at work",     // a day between two drives is none
		"shell , failed ◆", // it decided
		"1m 8s to 12s , longer than usual",
		"Warnings shell : it was odd",
		"1 thing still stands that is not meant to stay. imgflow destroy mx3testrun00", "key pair k key removed 30s",
		"Template's digest sha256:ab", "ubuntu arn:1", "region = us-east-1", "imgflow 1.2.3",
		"imgflow resume mx3testrun00",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the report does not say %q:\n%s", want, text)
		}
	}
	if strings.Contains(page, "<script") || strings.Contains(page, " style=") || strings.Contains(strings.ReplaceAll(page, `xmlns="http://www.w3.org/2000/svg"`, ""), "http") {
		t.Error("it has a script, a style in an attribute, or an address")
	}
	if n := strings.Count(page, `class="graphsvg"`); n != 1 {
		t.Errorf("%d graphs", n)
	}
}

// The part about the cost has every amount, those that are not known, too, and is left out
// where nothing was paid for.
func TestReportTellsTheCost(t *testing.T) {
	r := failedRun()
	if page := report(t, r); strings.Contains(page, "Cost") {
		t.Error("a run without machines of EC2 has a part about their cost")
	}
	r.Cost = cost.Bill{Prices: "2026-11-30",
		Items: []cost.Item{{Builds: []string{"web"}, What: "instance i-1: m5.large\x1b[2J with <b>Linux", For: 30*time.Minute + 400*time.Millisecond, USD: .0535},
			{Builds: []string{"web"}, What: "its volumes: 8 GiB gp9", For: time.Hour, Unknown: "no price of such gp9 volumes in eu-west-1"}},
		Monthly: []cost.Item{{Builds: []string{"web", "db"}, What: "image ami-1 in eu-west-1, for 8 GiB", USD: .4}}}
	const want = "Cost more than $0.05 (no price of such gp9 volumes in eu-west-1); at most $0.40 a month for what is kept, by prices known on 2026-11-30 " +
		"What it is for What Build For Cost " +
		"instance i-1: m5.large with &lt;b&gt;Linux web 30m about $0.05 " +
		"its volumes: 8 GiB gp9 web 1h unknown: no price of such gp9 volumes in eu-west-1 " +
		"image ami-1 in eu-west-1, for 8 GiB web, db each month at most $0.40 How it was made"
	if text := words(report(t, r)); !strings.Contains(text, want) {
		t.Errorf("the report does not say %q:\n%s", want, text)
	}
	r.Cost = cost.Bill{Free: "it is made on this machine"}
	if text := words(report(t, r)); !strings.Contains(text, "Cost nothing: it is made on this machine How it was made") {
		t.Error(text)
	}
}

// What has no records is not guessed at.
func TestReportOfWhatIsNotKnown(t *testing.T) {
	r := failedRun()
	r.Resources, r.Unknown, r.Made, r.Usual, r.Version = nil, "The run is being driven.", nil, nil, ""
	r.Summary.Status = state.Running
	text := words(report(t, r))
	if !strings.Contains(text, "What stands outside The run is being driven.") || strings.Contains(text, "Usually") || strings.Contains(text, "How it was made") {
		t.Error(text)
	}
	empty := New(state.Summary{ID: "mx3empty", Status: state.Interrupted, Started: noon}, runview.New(), noon)
	if text := words(report(t, empty)); !strings.Contains(text, "Run mx3empty ! interrupted") {
		t.Error(text)
	}
}

func TestPicture(t *testing.T) {
	var b bytes.Buffer
	if err := Picture(&b, failedRun()); err != nil {
		t.Fatal(err)
	}
	svg := b.String()
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("no XML: %v", err)
		}
	}
	for _, want := range []string{"✗ shell ◆", `class="graphsvg"`, `class="failed before"`, `class="break"`} {
		if !strings.Contains(svg, want) {
			t.Errorf("it has no %s", want)
		}
	}
}

// What a machine, a template or an endpoint makes up is text.
func TestTextIsText(t *testing.T) {
	evil := `</pre></style></svg>"'><script>alert(1)</script><hx-partial hx-target="body">x` + "\x1b[2J\u202e"
	s := newStory()
	s.v.Apply(dag.Event{Type: dag.Planned, Step: evil, Key: evil, Kind: evil, Text: evil, Builds: []string{evil}})
	s.v.Apply(dag.Event{Type: dag.Planned, Step: "b", Key: key(2).String(), Builds: []string{"b"}})
	s.v.Apply(dag.Event{Type: dag.Started, Key: evil, Token: evil, Text: evil, Time: noon})
	s.v.Apply(dag.Event{Type: dag.Printed, Token: evil, Stream: "stdout", Text: evil})
	s.v.Apply(dag.Event{Type: dag.Warned, Text: evil, Step: evil, Builds: []string{evil}})
	s.v.Apply(dag.Event{Type: dag.Failed, Key: evil, Err: evil, Time: at(1)})
	r := New(state.Summary{ID: "mx3evil", Status: state.Failed, Template: evil, Endpoint: evil, Err: evil, Problem: evil,
		Builds: []state.BuildSummary{{Name: evil, Type: evil, Err: evil, Artifacts: []state.Artifact{{ID: evil, Region: evil, Name: evil}}}}}, s.v, at(2))
	r.Resources = []Resource{{Label: evil, Step: evil, Builds: []string{evil}, State: Stands}}
	r.Made = &Made{Digest: evil, Sources: []Item{{evil, evil, evil}}, Variables: [][2]string{{evil, evil}}}
	var pic bytes.Buffer
	if err := Picture(&pic, r); err != nil {
		t.Fatal(err)
	}
	for what, page := range map[string]string{"report": report(t, r), "picture": pic.String()} {
		for _, bad := range []string{"<script", "<hx-partial", "\x1b", "\u202e"} {
			if strings.Contains(page, bad) {
				i := strings.Index(page, bad)
				t.Errorf("the %s has %q: %q", what, bad, page[max(0, i-150):i+10])
			}
		}
		if !strings.Contains(page, "&lt;script&gt;") {
			t.Errorf("the %s does not show the text", what)
		}
	}
}

// A break is a notch, and moments are in their order on the line.
func TestAxis(t *testing.T) {
	r := failedRun()
	a := newAxis(r.View.Steps, r.Now)
	if len(a.spells) != 2 || a.work() != 121*time.Second {
		t.Fatalf("%d spells, %s at work", len(a.spells), a.work())
	}
	before := -1.0
	for _, sec := range []int{0, 1, 41, 61, 24 * 3600, 24*3600 + 60} {
		x := a.x(at(sec))
		if x <= before || x > width {
			t.Errorf("second %d is at %v, after %v", sec, x, before)
		}
		before = x
	}
	if x := a.x(at(24*3600)) - a.x(at(61)); x < notch-0.1 || x > notch+0.1 {
		t.Errorf("the night is %v wide", x)
	}
	if newAxis(nil, noon).x(noon) != 0 {
		t.Error("an axis of nothing has a length")
	}
	// Hundreds of drives do not fill the line with notches.
	s := newStory()
	s.planned(1, "a", "b")
	for i := range 200 {
		s.of(1, dag.Started, i*1000)
		s.of(1, dag.Finished, i*1000+1)
	}
	if x := newAxis(s.v.Steps, noon).x(at(199*1000 + 1)); x < width-1 || x > width+1 {
		t.Errorf("the end is at %v", x)
	}
}

// many is a run of builds with 30 steps each, the last of which has failed.
func many(builds int) Run {
	s := newStory()
	sum := state.Summary{ID: "mx3many", Status: state.Failed, Started: noon}
	line := strings.Repeat("x", 500)
	for b := range builds {
		name := fmt.Sprint("build-", b)
		for i := range 30 {
			n := b*30 + i
			var needs []int
			if i > 0 {
				needs = []int{n - 1}
			}
			s.planned(n, fmt.Sprint("step-", i), name, needs...)
		}
		sum.Builds = append(sum.Builds, state.BuildSummary{Name: name, Type: "amazon-ebs", Status: state.Failed, Err: line, Artifacts: []state.Artifact{{ID: "ami-1", Region: "r"}}})
	}
	for b := range builds {
		for i := range 30 {
			n := b*30 + i
			s.of(n, dag.Started, i)
			for range 20 {
				s.v.Apply(dag.Event{Type: dag.Printed, Token: fmt.Sprint("t", n), Stream: "stdout", Text: line})
			}
			if i == 29 {
				s.of(n, dag.Failed, 30, because(line))
			} else {
				s.of(n, dag.Finished, i+1)
			}
		}
	}
	return New(sum, s.v, at(100))
}

// A run of a thousand builds is a page that opens: 20 MB would be too much, and what is left out is counted.
func TestManyBuilds(t *testing.T) {
	page := report(t, many(1000))
	t.Logf("%.1f MB", float64(len(page))/1e6)
	if len(page) > 12_000_000 {
		t.Errorf("the page has %d bytes", len(page))
	}
	text := words(page)
	for _, want := range []string{"and 900 more builds", "and 900 more", "29000 done", "build-999"} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	if n := strings.Count(page, "<details class=\"build\" open>"); n != 1 {
		t.Errorf("%d builds are open", n)
	}
}

func TestSectionOf(t *testing.T) {
	r := many(3)
	s := r.SectionOf("build-1")
	if s == nil || len(s.Rows) != 30 || s.Rows[29].Status != runview.Failed || !strings.Contains(string(s.Graph()), "#part-0-") {
		t.Fatalf("the part of a build has %d steps, and the graph\n%s", len(s.Rows), s.Graph())
	}
	if r.SectionOf("build-9") != nil {
		t.Error("there is a build that is none")
	}
	if got := r.ordered(); got[0] != "build-0" || len(got) != 3 {
		t.Errorf("%q", got)
	}
}
