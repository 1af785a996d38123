package live

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/imgflow/imgflow/internal/cli/internal/render"
	"github.com/imgflow/imgflow/internal/runview"
	"github.com/imgflow/imgflow/internal/usual"
)

// look is what the frame depends on besides the run.
type look struct {
	width, height int
	color         bool
	now           time.Time
	turn          int      // of the spinner
	hints         []string // the longest that fits is shown
	usual         func(kind, step string) usual.Span
	removal       bool // what the steps have made is being removed
}

// widest bounds a line of the frame: what belongs together is seen together.
const widest = 120

const (
	spinner = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
	dim     = "2"
	yellow  = "33"
)

// task is one thing that is under way: a step, or the removal of what it has made.
type task struct {
	step  *runview.Step
	build int // where its first build stands among all
}

// frame is the live view of a run, in lines that fit into the window: what is
// under way, build by build, and how the whole of it stands.
func frame(v *runview.View, l look) []string {
	if l.width < 1 || l.height < 1 || v.Began.IsZero() {
		return nil
	}
	l.width = min(l.width, widest)
	at := map[string]int{}
	for i, b := range v.Builds {
		at[b] = i
	}
	var tasks []task
	for _, s := range v.Steps {
		if s.Status == runview.Running || s.Removing {
			t := task{step: s, build: -1}
			if len(s.Builds) == 1 {
				t.build = at[s.Builds[0]]
			}
			tasks = append(tasks, t)
		}
	}
	slices.SortStableFunc(tasks, func(a, b task) int { return cmp.Compare(a.build, b.build) })

	room := max(0, min(l.height-1, max(l.height*2/3, 3))-1) // some of what stays is always seen
	folded := 2*len(tasks) <= room
	shown := tasks
	if len(tasks) > room {
		shown = tasks[:max(0, room-1)]
	}
	var lines []string
	for _, t := range shown {
		lines = append(lines, l.head(v, t.step))
		if folded {
			lines = append(lines, l.fold(t.step))
		}
	}
	if more := len(tasks) - len(shown); more > 0 && room > 0 {
		lines = append(lines, paint(l.color, dim, fit(fmt.Sprintf("… and %d more", more), l.width)))
	}
	return append(lines, l.status(v, len(tasks)))
}

// head is the line of something that is under way.
func (l look) head(v *runview.View, s *runview.Step) string {
	spin := string([]rune(spinner)[l.turn%len([]rune(spinner))])
	text, took, note, share := render.Title(*s), s.Took(l.now), "", -1.0
	switch {
	case s.Removing:
		text, took = "Removing "+cmp.Or(s.Label, s.Name), max(0, l.now.Sub(s.Since))
	case s.Total > 0:
		share, note = float64(s.Count)/float64(s.Total), render.Progress(s.Count, s.Total, s.Unit)
	case s.Unit == "%" || s.Unit == "percent":
		share, note = float64(s.Count)/100, render.Progress(s.Count, 0, s.Unit)
	case s.Count > 0:
		note = render.Progress(s.Count, 0, s.Unit)
	case l.usual != nil:
		if span := l.usual(s.Kind, s.Name); span.Hi >= 2*time.Second {
			share, note = float64(took)/float64(span.Hi), usually(span, took)
		}
	}
	if s.Tries > 0 && !s.Removing {
		text += fmt.Sprintf(" (try %d)", s.Tries+1)
	}
	right := fmt.Sprintf("%7s", render.Clock(took))
	if note != "" && l.width >= 50 {
		right = fit(note, l.width/3) + " " + right
	}
	if share >= 0 && l.width >= 72 {
		right = bar(share, min(20, l.width/8)) + " " + right
	}
	if l.width < 20 {
		right = ""
	}
	names := ""
	if len(s.Builds) > 0 {
		names = render.Names(s.Builds, len(v.Builds)) + ": "
	}
	return paint(l.color, render.Hue(s.Builds, v.Builds), spread(spin+" "+names+text, right, l.width))
}

// usually says when something is likely to be done that began so long ago.
func usually(s usual.Span, took time.Duration) string {
	left := (s.Lo+s.Hi)/2 - took
	switch {
	case took < s.Lo && left >= time.Second:
		return "about " + render.Clock(left) + " left"
	case took <= s.Hi:
		return "any moment"
	}
	return "usually " + render.Clock(s.Hi)
}

// fold is the last that was heard of a step, under its line.
func (l look) fold(s *runview.Step) string {
	text, hue := "", dim
	switch {
	case s.Removing:
	case s.Retry != "":
		text, hue = fmt.Sprintf("trying again in %s: %s", render.Clock(max(0, s.RetryAt.Sub(l.now))), s.Retry), yellow
	case len(s.Tail) > 0:
		text = s.Tail[len(s.Tail)-1].Text
	}
	if text == "" {
		return ""
	}
	first, _, _ := strings.Cut(text, "\n")
	return paint(l.color, hue, fit("  ╰ "+first, l.width))
}

// status is how the run stands, in the last line.
func (l look) status(v *runview.View, under int) string {
	parts := counts(v, under)
	if l.removal {
		parts = removed(v, under)
	}
	parts = append(parts, render.Clock(max(0, l.now.Sub(v.Began))))
	left := strings.Join(parts, " · ")
	for _, hint := range l.hints {
		if room := l.width - width(left) - width(hint); room >= 2 {
			return paint(l.color, "1", left) + strings.Repeat(" ", room) + paint(l.color, dim, hint)
		}
	}
	return paint(l.color, "1", fit(left, l.width))
}

// removed counts what is gone and what is not.
func removed(v *runview.View, under int) []string {
	gone, left := 0, 0
	for _, s := range v.Steps {
		if s.Removed {
			gone++
		}
		if s.Left != "" {
			left++
		}
	}
	parts := []string{fmt.Sprintf("%d of %d removed", gone, len(v.Steps)), fmt.Sprintf("%d under way", under)}
	if left > 0 {
		parts = append(parts, fmt.Sprintf("%d could not be", left))
	}
	return parts
}

// counts counts builds and steps.
func counts(v *runview.View, under int) []string {
	by, reused := v.Counts()
	parts := []string{fmt.Sprintf("%d of %d steps", by[runview.Done], len(v.Steps)), fmt.Sprintf("%d running", under)}
	if len(v.Builds) > 1 {
		done := 0
		for _, st := range v.BuildStatuses() {
			if st == runview.Done {
				done++
			}
		}
		parts = slices.Insert(parts, 0, fmt.Sprintf("%d of %d builds", done, len(v.Builds)))
	}
	if reused > 0 {
		parts = append(parts, fmt.Sprintf("%d reused", reused))
	}
	if n := by[runview.Failed]; n > 0 {
		parts = append(parts, fmt.Sprintf("%d failed", n))
	}
	return parts
}
