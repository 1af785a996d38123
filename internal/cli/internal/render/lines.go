package render

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/imgflow/imgflow/dag"
)

// Options say how lines look.
type Options struct {
	Color  bool     // use colours
	Live   bool     // the output is a terminal: progress is one line that changes
	Stamps bool     // begin each line with the time
	Builds []string // all builds of the run, in their order: they choose the colours
	Only   []string // show the events of these builds only; none: all
}

// Lines shows events as lines of text. Its methods may be called from many
// goroutines.
type Lines struct {
	w io.Writer
	o Options

	mu       sync.Mutex
	status   string // the changing line at the bottom of a terminal
	progress map[string]*meter
}

// meter is how far the progress of one step has been shown.
type meter struct {
	first, shown time.Time
}

// How often progress is shown where lines stay: not for what is quick, and then
// seldom enough for a log.
const (
	progressAfter = 5 * time.Second
	progressEvery = 15 * time.Second
)

// NewLines returns a Lines that writes to w.
func NewLines(w io.Writer, o Options) *Lines {
	return &Lines{w: w, o: o, progress: map[string]*meter{}}
}

// Builds names the builds of the run, once they are known.
func (l *Lines) Builds(names []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.o.Builds = names
}

const (
	bold   = "1"
	red    = "1;31"
	yellow = "33"
)

var palette = []string{"32", "36", "35", "34", "92", "96", "95", "94"}

// Event shows one event.
func (l *Lines) Event(e dag.Event) {
	if len(l.o.Only) > 0 && !slices.ContainsFunc(e.Builds, func(b string) bool { return slices.Contains(l.o.Only, b) }) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.Type == dag.Progress {
		l.meter(e)
		return
	}
	text := e.Text
	switch e.Type {
	case dag.Started:
		if text != "" {
			l.heading(e, l.hue(e.Builds)+";1", capital(text))
		}
	case dag.Said, dag.Detail:
		l.detail(e, l.hue(e.Builds), text)
	case dag.Warned:
		l.heading(e, yellow, "Warning: "+text)
	case dag.Printed:
		stream, _, _ := strings.Cut(e.Stream, "/")
		switch {
		case strings.HasPrefix(stream, "exit"):
		case stream == "stderr":
			l.detail(e, yellow, text)
		default:
			l.detail(e, l.hue(e.Builds), text)
		}
	case dag.Retrying:
		l.detail(e, yellow, fmt.Sprintf("%s: trying again in %s", e.Err, Duration(e.Wait)))
	case dag.Adopted:
		l.heading(e, l.hue(e.Builds), fmt.Sprintf("Found what an interrupted attempt had made: %s", named(e.Step, text)))
	case dag.Awaited:
		if text != "" {
			l.heading(e, l.hue(e.Builds), capital(text))
		}
	case dag.Borrowed:
		if text != "" {
			l.heading(e, l.hue(e.Builds), "There is "+text)
		}
	case dag.Vanished:
		l.heading(e, yellow, fmt.Sprintf("%s does not exist any more", text))
	case dag.Failed:
		l.heading(e, red, fmt.Sprintf("%s failed: %s", e.Step, e.Err))
	case dag.Suspended:
		l.detail(e, yellow, e.Step+" was suspended")
	case dag.Rebuilt:
		l.heading(e, yellow, text)
	case dag.Releasing:
		l.heading(e, l.hue(e.Builds), "Removing "+text)
	case dag.Left:
		l.heading(e, red, fmt.Sprintf("Could not remove %s: %s", text, e.Err))
	}
}

func named(step, label string) string {
	if label == "" {
		return step
	}
	return label
}

// capital begins a sentence.
func capital(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[n:]
}

// Say shows a heading that belongs to no build.
func (l *Lines) Say(format string, a ...any) { l.free(bold, "==> ", format, a...) }

// Warn shows a heading that should not be missed.
func (l *Lines) Warn(format string, a ...any) { l.free(yellow, "==> ", format, a...) }

// Wrong shows a heading that tells of a failure.
func (l *Lines) Wrong(format string, a ...any) { l.free(red, "==> ", format, a...) }

// Item shows a line of a list under a heading.
func (l *Lines) Item(format string, a ...any) { l.free(bold, "--> ", format, a...) }

// Plain shows a line as it is.
func (l *Lines) Plain(format string, a ...any) { l.free("", "", format, a...) }

func (l *Lines) free(hue, mark, format string, a ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, line := range strings.Split(fmt.Sprintf(format, a...), "\n") {
		if i > 0 && mark != "" {
			mark = "    "
		}
		l.put(time.Now(), hue, mark+l.clean(strings.ReplaceAll(line, "\r", " "))) // an error may quote a machine
	}
}

// heading puts the mark on the first line of a text, and shows the others as
// details.
func (l *Lines) heading(e dag.Event, hue, text string) {
	first, rest, more := strings.Cut(strings.TrimRight(text, "\n"), "\n")
	l.put(e.Time, hue, "==> "+l.prefix(e.Builds)+l.clean(first))
	if more {
		l.detail(e, hue, rest)
	}
}

func (l *Lines) detail(e dag.Event, hue, text string) {
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		l.put(e.Time, hue, "    "+l.prefix(e.Builds)+l.clean(line))
	}
}

// prefix names the builds of an event.
func (l *Lines) prefix(builds []string) string {
	if len(builds) == 0 {
		return ""
	}
	return l.clean(Names(builds, len(l.o.Builds))) + ": "
}

// Names are the builds of a step among so many, in a few words.
func Names(builds []string, all int) string {
	switch {
	case len(builds) <= 2:
		return strings.Join(builds, ", ")
	case len(builds) == all:
		return fmt.Sprintf("all %d builds", all)
	}
	return fmt.Sprintf("%s and %d others", builds[0], len(builds)-1)
}

// hue is the colour of a build.
func (l *Lines) hue(builds []string) string { return Hue(builds, l.o.Builds) }

// Hue is the colour of the builds of a step among all, as a terminal takes it.
func Hue(builds, all []string) string {
	if len(builds) != 1 {
		return "37"
	}
	return palette[max(0, slices.Index(all, builds[0]))%len(palette)]
}

// put writes one line, and keeps the changing line below it.
func (l *Lines) put(at time.Time, hue, line string) {
	var b strings.Builder
	if l.status != "" {
		b.WriteString("\r\x1b[K")
		l.status = ""
	}
	if l.o.Stamps {
		b.WriteString(at.Local().Format(time.RFC3339) + ": ")
	}
	if l.o.Color && hue != "" {
		b.WriteString("\x1b[" + hue + "m" + line + "\x1b[0m")
	} else {
		b.WriteString(strings.TrimRight(line, " "))
	}
	b.WriteByte('\n')
	io.WriteString(l.w, b.String())
}

// meter shows progress: on a terminal in place, elsewhere now and then.
func (l *Lines) meter(e dag.Event) {
	m := l.progress[e.Token]
	if m == nil {
		m = &meter{first: e.Time, shown: e.Time}
		l.progress[e.Token] = m
	}
	line := "    " + l.prefix(e.Builds) + l.clean(e.Step) + ": " + l.clean(Progress(e.Count, e.Total, e.Unit))
	if l.o.Live {
		if e.Time.Sub(m.shown) < 100*time.Millisecond && e.Count < e.Total {
			return
		}
		m.shown = e.Time
		l.status = line
		io.WriteString(l.w, "\r\x1b[K"+line)
		return
	}
	if e.Time.Sub(m.first) < progressAfter || e.Time.Sub(m.shown) < progressEvery && m.shown != m.first {
		return
	}
	m.shown = e.Time
	l.put(e.Time, l.hue(e.Builds), line)
}

// Close leaves the terminal with nothing half written.
func (l *Lines) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.status != "" {
		io.WriteString(l.w, "\r\x1b[K")
		l.status = ""
	}
}
