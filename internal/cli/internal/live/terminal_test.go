package live

import (
	"bytes"
	"strings"
	"sync"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/vt"
)

// terminal is a terminal of a test: what is written to it can be looked at.
type terminal struct {
	mu   sync.Mutex
	e    *vt.Emulator
	raw  bytes.Buffer
	mode map[int]bool // private modes that were set or reset last
}

func newTerminal(t *testing.T, w, h int) *terminal {
	tm := &terminal{e: vt.NewEmulator(w, h), mode: map[int]bool{}}
	note := func(on bool) func(ansi.Mode) { return func(m ansi.Mode) { tm.mode[m.Mode()] = on } }
	tm.e.SetCallbacks(vt.Callbacks{EnableMode: note(true), DisableMode: note(false)})
	t.Cleanup(func() { tm.e.Close() })
	return tm
}

func (tm *terminal) Write(p []byte) (int, error) {
	tm.mu.Lock()
	defer tm.mu.Unlock()
	tm.raw.Write(p)
	return tm.e.Write(p)
}

func (tm *terminal) size() (int, int) {
	tm.mu.Lock()
	defer tm.mu.Unlock()
	return tm.e.Width(), tm.e.Height()
}

// resize does as terminals do: what is below the cursor goes first.
func (tm *terminal) resize(w, h int) {
	tm.mu.Lock()
	defer tm.mu.Unlock()
	if at := tm.e.CursorPosition(); at.Y >= h {
		up := at.Y - h + 1
		tm.e.WriteString("\x1b[" + itoa(tm.e.Height()) + ";1H" + strings.Repeat("\n", up) + "\x1b[" + itoa(h) + ";1H")
	}
	tm.e.Resize(w, h)
}

// screen is what is seen, line by line, without the empty ones at its end.
func (tm *terminal) screen() []string {
	tm.mu.Lock()
	defer tm.mu.Unlock()
	return trimmed(strings.Split(ansi.Strip(tm.e.Render()), "\n"))
}

// all is what is seen with all that has left the window at its top.
func (tm *terminal) all() []string {
	tm.mu.Lock()
	var lines []string
	for _, l := range tm.e.Scrollback().Lines() {
		lines = append(lines, strings.TrimRight(ansi.Strip(l.Render()), " "))
	}
	tm.mu.Unlock()
	return append(lines, tm.screen()...)
}

func trimmed(lines []string) []string {
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " \r")
	}
	for len(lines) > 0 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}
