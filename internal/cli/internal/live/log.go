package live

import (
	"fmt"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/termsafe"
)

// mostLines bounds what a log shows, the last of it.
const mostLines = 10_000

// log is all that one step said and its machine printed.
type log struct {
	title  string
	color  bool
	key0   string // of the step
	events func(from int64, each func(dag.Event)) (int64, error)

	at      int64 // how far events are read
	token   string
	text    []string
	dropped int
	err     error

	top    int
	room   int
	follow bool
	shift  int
	find   string
	typing bool
}

func (d *Display) newLog(key, title string) page {
	return &log{title: title, color: d.o.Color, key0: key, events: d.o.Events, follow: true}
}

// read takes in what has happened since it was called last.
func (l *log) read() {
	if l.events == nil || l.err != nil {
		return
	}
	l.at, l.err = l.events(l.at, func(e dag.Event) {
		if e.Key == l.key0 && e.Type == dag.Started {
			l.token = e.Token
		}
		text := e.Text
		switch {
		case e.Key != l.key0 && (e.Key != "" || e.Token != l.token || l.token == ""):
			return
		case e.Type == dag.Printed && !strings.HasPrefix(e.Stream, "exit"), e.Type == dag.Said, e.Type == dag.Detail:
		case e.Type == dag.Warned:
			text = "Warning: " + text
		case e.Type == dag.Started:
			text = "==> " + text
		case e.Type == dag.Failed, e.Type == dag.Retrying:
			text = string(e.Type) + ": " + e.Err
		default:
			return
		}
		for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
			l.text = append(l.text, strings.ReplaceAll(termsafe.Clean(line, false), "\t", "    "))
		}
	})
	if drop := len(l.text) - mostLines; drop > 0 {
		l.text = append([]string(nil), l.text[drop:]...)
		l.dropped += drop
		l.top = max(0, l.top-drop)
	}
}

func (l *log) lines(width, height int) []string {
	l.read()
	l.room = max(1, height-2)
	last := max(0, len(l.text)-l.room)
	if l.follow || l.top > last {
		l.top = last
	}
	head := l.title
	if l.dropped > 0 {
		head += fmt.Sprintf(" (without the first %d lines)", l.dropped)
	}
	out := []string{paint(l.color, "1", fit(head, width))}
	for _, line := range l.text[l.top:min(len(l.text), l.top+l.room)] {
		out = append(out, l.marked(fit(ansi.Cut(line, l.shift, l.shift+2*width), width)))
	}
	foots := where(l.top, l.room, len(l.text)) + "   / search  n next  G end  q back"
	switch {
	case l.typing:
		foots = "/" + l.find
	case l.err != nil:
		foots = l.err.Error()
	}
	return foot(out, paint(l.color, dim, fit(foots, width)), height)
}

// marked shows where a line has what is looked for.
func (l *log) marked(line string) string {
	if l.find == "" {
		return line
	}
	return strings.ReplaceAll(line, l.find, paint(l.color, "7", l.find))
}

func (l *log) key(k string) page {
	if l.typing {
		l.typed(k)
		return l
	}
	to := l.top
	switch k {
	case "q", "esc":
		return nil
	case "up", "k":
		to--
	case "down", "j":
		to++
	case "pgup", "b":
		to -= l.room
	case "pgdown", " ":
		to += l.room
	case "home", "g":
		to = 0
	case "end", "G":
		to = len(l.text)
	case "left":
		l.shift = max(0, l.shift-20)
	case "right":
		l.shift = min(l.shift+20, 2000)
	case "/":
		l.typing, l.find = true, ""
	case "n":
		to = l.next(1)
	case "N":
		to = l.next(-1)
	}
	last := max(0, len(l.text)-l.room)
	l.top = max(0, min(to, last))
	l.follow = l.top == last
	return l
}

// typed takes a key of what is looked for.
func (l *log) typed(k string) {
	switch r := []rune(k); {
	case k == "enter":
		l.typing = false
		l.top = max(0, min(l.next(1), len(l.text)-l.room))
		l.follow = false
	case k == "esc":
		l.typing, l.find = false, ""
	case k == "backspace":
		if f := []rune(l.find); len(f) > 0 {
			l.find = string(f[:len(f)-1])
		}
	case len(r) == 1 && len(l.find) < 200:
		l.find += k
	}
}

// next is the next line that has what is looked for, from the top one on, around
// the end; the top one if there is none.
func (l *log) next(step int) int {
	for i := 1; l.find != "" && i <= len(l.text); i++ {
		n := ((l.top+step*i)%len(l.text) + len(l.text)) % len(l.text)
		if strings.Contains(l.text[n], l.find) {
			return n
		}
	}
	return l.top
}
