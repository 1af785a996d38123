package live

import (
	"fmt"
	"strings"

	"github.com/imgflow/imgflow/internal/self"
)

// page is shown in place of all else. Its methods are called one at a time.
type page interface {
	lines(width, height int) []string
	key(k string) page // what is shown then; nil leaves the page
}

// item is one of a list.
type item struct {
	text   string
	choose func() page
}

// list lets somebody choose.
type list struct {
	title, empty string
	items        []item
	at           int
	color        bool
}

func (l *list) lines(width, height int) []string {
	out := []string{paint(l.color, "1", fit(l.title, width))}
	if len(l.items) == 0 {
		out = append(out, fit(l.empty, width))
	}
	room := max(1, height-2)
	first := min(max(0, l.at-room/2), max(0, len(l.items)-room))
	for i := first; i < min(len(l.items), first+room); i++ {
		if i == l.at {
			out = append(out, paint(l.color, "7", fit("> "+l.items[i].text, width)))
		} else {
			out = append(out, fit("  "+l.items[i].text, width))
		}
	}
	return foot(out, paint(l.color, dim, fit("up and down choose, enter opens, q leaves", width)), height)
}

// foot puts a line at the bottom of a page, which has no more lines than the window.
func foot(lines []string, line string, height int) []string {
	lines = lines[:min(len(lines), max(0, height-1))]
	for len(lines) < height-1 {
		lines = append(lines, "")
	}
	return append(lines, line)
}

func (l *list) key(k string) page {
	switch k {
	case "q", "esc":
		return nil
	case "up", "k":
		l.at--
	case "down", "j":
		l.at++
	case "pgup":
		l.at -= 10
	case "pgdown":
		l.at += 10
	case "home", "g":
		l.at = 0
	case "end", "G":
		l.at = len(l.items)
	case "enter":
		if l.at < len(l.items) {
			return l.items[l.at].choose()
		}
	}
	l.at = max(0, min(l.at, len(l.items)-1))
	return l
}

// help says what keys do.
type help struct{}

func newHelp() page { return help{} }

const helpText = `Keys

  l   the log of a step, from its beginning: arrows and page keys move,
      left and right shift long lines, / searches, n and N go to the next
      and the one before, G follows the end, q leaves
  s   a shell on a machine of the run, while it goes on; exit comes back
  q   suspend the run: no new step begins, what was made is kept,
      and imgflow resume goes on with it
  ?   this page

Ctrl-C suspends, too; a second one ends imgflow at once, which is safe.
Ctrl-Z stops imgflow as any job of the shell.

What the colours say: each build has its own; yellow is a warning or what a
machine calls an error, red is a failure.`

func (help) lines(width, height int) []string {
	var out []string
	for line := range strings.SplitSeq(self.Text(helpText), "\n") {
		out = append(out, fit(line, width))
	}
	return foot(out, fit("any key leaves", width), height)
}

func (help) key(string) page { return nil }

// where says which part of a log is seen.
func where(top, room, all int) string {
	if all <= room {
		return fmt.Sprintf("%d lines", all)
	}
	return fmt.Sprintf("lines %d to %d of %d", top+1, min(all, top+room), all)
}
