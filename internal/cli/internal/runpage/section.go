package runpage

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/imgflow/imgflow/internal/cli/internal/render"
	"github.com/imgflow/imgflow/internal/runview"
)

// Section is a part of a run: a build, or all of a small run.
type Section struct {
	Run   Run
	ID    string // of its place on the page
	Name  string // of the build; "" for all
	Rows  []Row
	Took  string
	Known bool // it is known how long some step usually takes
	Open  bool // it is shown without being asked for
	State runview.Status
	steps []*runview.Step
	axis  axis
}

// Row is a step with its times.
type Row struct {
	*runview.Step
	Anchor   string
	Of       string // the builds that it is part of, where that is not plain
	Bars     []Bar
	Took     string
	Usual    string
	Late     bool // it takes longer than it usually does
	Critical bool // the run could not end before it had
}

// Bar is a span of time on a line of 1000 units.
type Bar struct {
	X, W  float64
	Class string
	Title string
}

// Word is how the step stands, in a word.
func (r Row) Word() string { return word(r.Step) }

func word(s *runview.Step) string {
	switch {
	case s.Reused:
		return "done before"
	case s.Status == runview.Running && s.Retry != "":
		return "waits for another try"
	}
	return string(s.Status)
}

// Percent is how much of a step is done, -1 where that is not known.
func (r Row) Percent() int {
	if r.Status != runview.Running || r.Total <= 0 {
		return -1
	}
	return int(min(100, r.Count*100/r.Total))
}

// Sections are the run's parts, as far as there is room for them, and how many more there are.
func (r Run) Sections() Listed[*Section] {
	critical := map[*runview.Step]bool{}
	for _, s := range r.View.CriticalPath() {
		critical[s] = true
	}
	usual := memo(r.Usual)
	if r.Small() {
		steps := r.View.Steps[:min(len(r.View.Steps), MostSteps)]
		s := r.section(0, "", steps, critical, usual)
		s.Open = true
		return Listed[*Section]{Items: []*Section{s}}
	}
	of := map[string][]*runview.Step{}
	for _, s := range r.View.Steps {
		for _, b := range s.Builds {
			of[b] = append(of[b], s)
		}
	}
	var out Listed[*Section]
	room := MostSteps
	for _, b := range r.ordered() {
		if room -= len(of[b]); room < 0 {
			out.More = len(r.View.Builds) - len(out.Items)
			break
		}
		s := r.section(len(out.Items), b, of[b], critical, usual)
		s.Open = len(out.Items) == 0 && s.State == runview.Failed
		out.Items = append(out.Items, s)
	}
	return out
}

// Small tells whether all steps stand together.
func (r Run) Small() bool { return len(r.View.Builds) < 2 || len(r.View.Steps) <= oneOfAll }

// SectionOf is the part of one build; nil if there is no such build.
func (r Run) SectionOf(build string) *Section {
	if !slices.Contains(r.View.Builds, build) {
		return nil
	}
	critical := map[*runview.Step]bool{}
	for _, s := range r.View.CriticalPath() {
		critical[s] = true
	}
	var steps []*runview.Step
	for _, s := range r.View.Steps {
		if s.In(build) && len(steps) < MostSteps {
			steps = append(steps, s)
		}
	}
	s := r.section(0, build, steps, critical, memo(r.Usual))
	s.Open = true
	return s
}

// ordered are the builds, those first that one looks for.
func (r Run) ordered() []string {
	status := r.View.BuildStatuses()
	rank := func(b string) int {
		return -slices.Index([]runview.Status{runview.Done, runview.Waiting, runview.Skipped, runview.Suspended, runview.Running, runview.Failed}, status[b])
	}
	return slices.SortedStableFunc(slices.Values(r.View.Builds), func(a, b string) int { return cmp.Compare(rank(a), rank(b)) })
}

type usualOf func(kind, step string) (lo, hi time.Duration, known bool)

// memo remembers what was asked: thousands of builds have the same steps.
func memo(f usualOf) usualOf {
	type span struct {
		lo, hi time.Duration
		known  bool
	}
	seen := map[[2]string]span{}
	return func(kind, step string) (time.Duration, time.Duration, bool) {
		if f == nil {
			return 0, 0, false
		}
		s, ok := seen[[2]string{kind, step}]
		if !ok {
			s.lo, s.hi, s.known = f(kind, step)
			seen[[2]string{kind, step}] = s
		}
		return s.lo, s.hi, s.known
	}
}

func (r Run) section(n int, name string, steps []*runview.Step, critical map[*runview.Step]bool, usual usualOf) *Section {
	now := r.lastMoment()
	s := &Section{Run: r, ID: fmt.Sprint("part-", n), Name: name, steps: steps, axis: newAxis(steps, now), State: r.View.BuildStatuses()[name]}
	s.Took = render.Duration(s.axis.work().Round(time.Second))
	breaks := s.axis.breaks()
	for _, x := range steps {
		row := Row{Step: x, Anchor: s.anchor(x), Critical: critical[x], Bars: breaks}
		if name == "" && len(x.Builds) < len(r.View.Builds) {
			row.Of = buildNames(x.Builds)
		}
		if took := x.Took(now); took > 0 {
			row.Took = render.Duration(took)
		}
		if lo, hi, known := usual(x.Kind, x.Name); known && hi >= time.Second {
			s.Known = true
			row.Usual, row.Late = about(lo, hi), !x.Reused && !x.Began.IsZero() && x.Took(now) > hi+hi/2+2*time.Second
		}
		row.Bars = append(slices.Clip(row.Bars), s.axis.bars(x, now)...)
		s.Rows = append(s.Rows, row)
	}
	return s
}

// bars are the makings of a step on the line, each wide enough to be seen.
func (a axis) bars(s *runview.Step, now time.Time) (bs []Bar) {
	for i, x := range s.Spans {
		from, to := a.x(x.Began), a.x(endOf(x, now))
		class := string(x.Status)
		if i < len(s.Spans)-1 || s.Reused {
			class += " before"
		}
		w := max(to-from, 4)
		bs = append(bs, Bar{X: round(min(from, width-w)), W: round(w), Class: class,
			Title: fmt.Sprintf("%s, %s: %s", x.Began.UTC().Format("2006-01-02 15:04:05 UTC"), x.Status, render.Duration(endOf(x, now).Sub(x.Began)))})
	}
	return bs
}

// about is a span of time as one reads it.
func about(lo, hi time.Duration) string {
	digits := time.Second
	if hi < 10*time.Second {
		digits = time.Second / 10
	}
	a, b := render.Duration(lo.Round(digits)), render.Duration(hi.Round(digits))
	if a == b {
		return a
	}
	return a + " to " + b
}

// anchor is where a step stands on the page.
func (s *Section) anchor(x *runview.Step) string { return s.ID + "-" + x.Key[:min(16, len(x.Key))] }

// BuildRow is a build in a table of all.
type BuildRow struct {
	Name, Type string
	Status     runview.Status
	Done, All  int
	Doing, Err string
	Link       string
}

// Builds are all builds, those first that one looks for.
func (r Run) Builds() Listed[BuildRow] {
	rows := map[string]*BuildRow{}
	status := r.View.BuildStatuses()
	for _, b := range r.View.Builds {
		rows[b] = &BuildRow{Name: b, Status: status[b]}
	}
	for _, b := range r.Summary.Builds {
		if row := rows[b.Name]; row != nil {
			row.Type, row.Err = b.Type, b.Err
		}
	}
	for _, s := range r.View.Steps {
		for _, b := range s.Builds {
			row := rows[b]
			row.All++
			switch s.Status {
			case runview.Done:
				row.Done++
			case runview.Running:
				row.Doing = s.Name
			case runview.Failed:
				row.Err = s.Err
			}
		}
	}
	var all []BuildRow
	for _, b := range r.ordered() {
		row := *rows[b]
		if row.Status == runview.Running && row.Doing == "" {
			row.Doing = "waits"
		}
		all = append(all, row)
	}
	return listed(all, MostRows)
}
