package live

import (
	"fmt"
	"io"
	"strings"
)

// The sequences that a screen needs. Terminals that do not know the one for whole
// updates pass it over.
const (
	beginUpdate, endUpdate = "\x1b[?2026h", "\x1b[?2026l"
	hideCursor, showCursor = "\x1b[?25l", "\x1b[?25h"
	noWrap, wrap           = "\x1b[?7l", "\x1b[?7h"
	enterPage, leavePage   = "\x1b[?1049h", "\x1b[?1049l"
	eraseBelow, eraseLine  = "\x1b[J", "\x1b[K"
	plain                  = "\x1b[0m"
)

// screen is a frame of lines at the end of what a terminal shows. Between two
// updates the cursor stands on the frame's first cell: there it stays with the
// text before it whatever a terminal does with its lines when the window changes
// its size, so that the frame can always be erased whole.
type screen struct {
	w             io.Writer
	shown         []string // the frame, line by line
	width, height int      // of the window that it was drawn for
	err           error    // of the first write that failed: nothing is written after it
}

// update puts lines above the frame, where they stay, and draws the frame, which
// is not wider than the window and not higher. What has not changed is not written again.
func (s *screen) update(width, height int, above string, frame []string) {
	var b strings.Builder
	if width != s.width || height != s.height {
		s.width, s.height = width, height
		s.erase(&b)
	}
	if above != "" {
		s.erase(&b)
		b.WriteString(strings.ReplaceAll(above, "\n", "\r\n"))
	}
	s.draw(&b, frame)
	if b.Len() > 0 {
		s.write(beginUpdate + b.String() + endUpdate)
	}
}

func (s *screen) erase(b *strings.Builder) {
	if s.shown != nil {
		b.WriteString("\r" + eraseBelow)
		s.shown = nil
	}
}

// draw writes the lines that have changed, and goes back to the first.
func (s *screen) draw(b *strings.Builder, frame []string) {
	at, changed := 0, len(frame) < len(s.shown)
	var lines strings.Builder
	to := func(i int) {
		lines.WriteString(strings.Repeat("\r\n", i-at))
		at = i
	}
	for i, line := range frame {
		if i < len(s.shown) && s.shown[i] == line {
			continue
		}
		changed = true
		to(i)
		lines.WriteString(eraseLine + line)
	}
	if !changed {
		return
	}
	if len(frame) < len(s.shown) {
		to(len(frame))
		lines.WriteString(eraseBelow)
	}
	b.WriteString(noWrap + lines.String() + "\r")
	if at > 0 {
		fmt.Fprintf(b, "\x1b[%dA", at)
	}
	b.WriteString(wrap)
	s.shown = frame
}

func (s *screen) write(text string) {
	if s.err == nil && text != "" {
		_, s.err = io.WriteString(s.w, text)
	}
}
