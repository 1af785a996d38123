package render

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/runview"
	"github.com/imgflow/imgflow/state"
)

// Closing sums up what the last drive of a run has done, and what took its time.
func (l *Lines) Closing(v *runview.View) {
	ran, failed, left := 0, 0, 0
	for _, s := range v.Steps {
		switch {
		case v.Drove(s):
			ran++
			if s.Status == runview.Failed {
				failed++
			}
		case !s.Reused && s.Status != runview.Done:
			left++
		}
	}
	_, reused := v.Counts()
	if len(v.Steps) == 0 {
		return
	}
	text := fmt.Sprintf("Steps: %d run, %d reused", ran, reused)
	if saved := v.Saved(); reused > 0 && saved > 0 {
		text += " (" + Duration(saved) + " saved)"
	}
	rest := "not reached"
	if v.Status == state.Done {
		rest = "not needed" // another run has made what they are for
	}
	for _, more := range []struct {
		n    int
		what string
	}{{failed, "failed"}, {left, rest}} {
		if more.n > 0 {
			text += fmt.Sprintf(", %d %s", more.n, more.what)
		}
	}
	l.Say("%s.", text)
	if chain := chain(v); chain != "" {
		l.Say("Longest chain: %s", chain)
	}
}

// mostLinks bounds how many steps of the longest chain are named.
const mostLinks = 6

// chain names the steps that decided how long the drive took, those above all that
// took the most of it.
func chain(v *runview.View) string {
	now := v.Ended
	if now.IsZero() {
		now = time.Now()
	}
	path := slices.DeleteFunc(v.CriticalPath(), func(s *runview.Step) bool { return s.Took(now) < time.Millisecond })
	if len(path) < 2 {
		return ""
	}
	longest := slices.SortedFunc(slices.Values(path), func(a, b *runview.Step) int { return int(b.Took(now) - a.Took(now)) })
	longest = longest[:min(len(longest), mostLinks)]
	var links []string
	for _, s := range path {
		if slices.Contains(longest, s) {
			links = append(links, s.Name+" "+Duration(s.Took(now)))
		}
	}
	text := strings.Join(links, " → ")
	if builds := path[len(path)-1].Builds; len(v.Builds) > 1 && len(builds) > 0 {
		text = Names(builds, len(v.Builds)) + ": " + text
	}
	return text
}

// mostStanding bounds how many things are named that still stand.
const mostStanding = 6

// Standing names what a run has made that still stands and is no result.
func (l *Lines) Standing(things []dag.Record) {
	var names []string
	for _, r := range things {
		if r.Status == dag.Done {
			names = append(names, Thing(r))
		}
	}
	if len(names) == 0 {
		return
	}
	more := ""
	if n := len(names) - mostStanding; n > 0 {
		names, more = names[:mostStanding], fmt.Sprintf(" and %d more", n)
	}
	l.Say("Still there: %s%s.", strings.Join(names, ", "), more)
}
