package live

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
)

// typing types what comes through a channel, and then nothing.
func typing(keys chan string) func(context.Context) ([]byte, error) {
	return func(ctx context.Context) ([]byte, error) {
		select {
		case k := <-keys:
			return []byte(k), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func TestDecode(t *testing.T) {
	got := decode([]byte("a\x1b[A漢\x1b[6~\r\x1b[1;5C\x01\x1b"))
	if want := []string{"a", "up", "漢", "pgdown", "enter", "esc"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func (p *play) press(keys ...string) {
	for _, k := range keys {
		p.key(k)
	}
}

func TestLog(t *testing.T) {
	var told []dag.Event
	p := perform(t, 60, 10, 1, 2, func(o *Options) {
		o.Events = func(from int64, each func(dag.Event)) (int64, error) {
			for _, e := range told[from:] {
				each(e)
			}
			return int64(len(told)), nil
		}
	})
	p.tell(dag.Started, 0, "")
	told = append(told, dag.Event{Type: dag.Said, Text: "of no step"}, dag.Event{Type: dag.Started, Key: key(0).String(), Token: "t0", Text: "do it"})
	for i := range 100 {
		told = append(told, dag.Event{Type: dag.Printed, Token: "t0", Stream: "stdout/1", Text: fmt.Sprintf("line %d \x1b[2J needle%d", i, i%10)},
			dag.Event{Type: dag.Printed, Token: "t1", Stream: "stdout/1", Text: "somebody else's"})
	}
	p.draw()
	before := p.tm.screen()
	p.press("l")
	p.draw()
	if got := p.tm.screen(); !strings.Contains(got[0], "which step") || !strings.Contains(got[1], "> build-0: step-0 (running)") {
		t.Fatalf("%q", got)
	}
	p.press("enter")
	p.draw()
	got := p.tm.screen()
	if strings.Contains(p.tm.raw.String(), "\x1b[2J") {
		t.Error("a line of the machine has driven the terminal")
	}
	if got[0] != "build-0: step-0" || got[8] != "line 99  needle9" || len(got) != 10 || !strings.HasPrefix(got[9], "lines 94 to 101 of 101") {
		t.Fatalf("the log begins with its end: %q", got)
	}
	p.press("home")
	p.press("/", "n", "e", "e", "d", "l", "e", "5", "enter")
	p.draw()
	if got := p.tm.screen(); got[1] != "line 5  needle5" {
		t.Errorf("found %q", got)
	}
	p.press("n")
	p.draw()
	if got := p.tm.screen(); got[1] != "line 15  needle5" {
		t.Errorf("then %q", got)
	}
	p.tell(dag.Finished, 1, "") // it waits until the page is gone
	p.press("q")
	p.draw()
	if after := p.tm.screen(); len(after) < len(before) || !strings.HasPrefix(after[0], "==> build-0: Do the thing 1") || strings.Contains(strings.Join(after, ""), "needle") {
		t.Errorf("before:\n%s\nafter:\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
}

func TestHelpFits(t *testing.T) {
	p := perform(t, 80, 24, 1, 1)
	p.press("?")
	p.draw()
	if got := p.tm.screen(); got[0] != "Keys" || !strings.Contains(got[23], "any key") {
		t.Errorf("%q", got)
	}
	p.press("x")
	if p.page != nil {
		t.Error("the page is still there")
	}
}

// A shell has the terminal to itself, and the run goes on.
func TestShell(t *testing.T) {
	var p *play
	keys, opened, end := make(chan string), make(chan string), make(chan error)
	p = perform(t, 80, 24, 1, 2, func(o *Options) {
		o.Keys, o.Raw = typing(keys), func() func() { return func() {} }
		o.Machines = func() []string { return []string{"build-0", "build-0.test"} }
		o.Shell = func(_ context.Context, name string) error { opened <- name; return <-end }
	})
	p.tell(dag.Started, 0, "")
	keys <- "s"
	keys <- "\x1b[B\r"
	if name := <-opened; name != "build-0.test" {
		t.Errorf("opened %s", name)
	}
	p.tm.raw.Reset()
	p.tell(dag.Finished, 0, "")
	p.draw()
	if p.tm.raw.Len() > 0 || p.tm.e.CursorHidden() || p.tm.e.IsAltScreen() {
		t.Errorf("while the shell is open: %q", p.tm.raw.String())
	}
	asking := make(chan func(), 1)
	go func() { asking <- p.Aside() }()
	select {
	case back := <-asking:
		asking <- back
		t.Error("somebody asks while the shell is open")
	case <-time.After(50 * time.Millisecond):
	}
	end <- errors.New("cannot go on with the shell: the connection was lost")
	(<-asking)()
	p.draw()
	all := strings.Join(p.tm.all(), "\n")
	if strings.Count(all, "==> build-0: Do the thing 0") != 1 || !strings.Contains(all, "==> cannot go on with the shell") || p.keys.hints() == nil {
		t.Errorf("afterwards:\n%s", all)
	}
}

func TestSuspend(t *testing.T) {
	var asked atomic.Int32
	keys := make(chan string)
	p := perform(t, 80, 24, 1, 1, func(o *Options) {
		o.Keys, o.Raw, o.Suspend = typing(keys), func() func() { return func() {} }, func() { asked.Add(1) }
	})
	keys <- "q"
	keys <- "q"
	keys <- "" // both were taken
	if asked.Load() != 1 || !slices.Contains(p.keys.hints(), "suspending ...") {
		t.Errorf("asked %d times, hint %q", asked.Load(), p.keys.hints())
	}
}
