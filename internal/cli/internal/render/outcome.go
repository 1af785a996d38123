package render

import (
	"fmt"
	"strings"
	"time"

	"github.com/imgflow/imgflow/internal/runview"
)

// Finished shows a step that is done, in the one line that is left of it: what was
// done, what came of it, and how long it took.
func (l *Lines) Finished(s runview.Step) {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := Title(s)
	if made := result(s); made != "" {
		text += ": " + made
	}
	l.put(s.Ended, l.hue(s.Builds), "==> "+l.prefix(s.Builds)+l.clean(text)+"  "+Duration(s.Took(s.Ended)))
}

// Failed shows a step that has failed, with the last lines of what it printed.
func (l *Lines) Failed(s runview.Step) {
	l.mu.Lock()
	defer l.mu.Unlock()
	prefix := l.prefix(s.Builds)
	first, rest, _ := strings.Cut(strings.TrimRight(s.Err, "\n"), "\n")
	l.put(s.Ended, red, "==> "+prefix+l.clean(fmt.Sprintf("%s failed after %s: %s", s.Name, Duration(s.Took(s.Ended)), first)))
	show := func(hue, text string) { l.put(s.Ended, hue, "    "+prefix+l.clean(text)) }
	if rest != "" {
		for line := range strings.SplitSeq(rest, "\n") {
			show(red, line)
		}
	}
	if s.Lines > len(s.Tail) {
		show("", fmt.Sprintf("... %s before these", Count(s.Lines-len(s.Tail), "line")))
	}
	for _, line := range s.Tail {
		hue := l.hue(s.Builds)
		if line.Warn || line.Stream == "stderr" {
			hue = yellow
		}
		show(hue, line.Text)
	}
}

// Title is what a step does, as a sentence begins.
func Title(s runview.Step) string {
	if s.Title == "" {
		return capital(s.Name)
	}
	return capital(s.Title)
}

// result is what came of a step: what it has made, or else what it said last, unless
// that only told what was going on.
func result(s runview.Step) string {
	if s.Label != "" {
		return s.Label
	}
	for i := len(s.Tail) - 1; i >= 0; i-- {
		if l := s.Tail[i]; l.Stream == "" && !l.Warn {
			if verb, _, _ := strings.Cut(l.Text, " "); strings.HasSuffix(verb, "ing") {
				return ""
			}
			return l.Text
		}
	}
	return ""
}

// Clock is a time span in whole seconds, for what counts on.
func Clock(d time.Duration) string {
	d = d.Truncate(time.Second)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
}
