//go:build unix

package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// screening is a command at a terminal, which a test reads and types at.
type screening struct {
	*testing.T
	cmd   *exec.Cmd
	tty   *os.File
	ended chan error

	mu     sync.Mutex
	screen *vt.Emulator
}

func (d *desk) screening(width, height int, args []string, env ...string) *screening {
	d.Helper()
	c := &screening{T: d.T, cmd: d.command(args...), screen: vt.NewEmulator(width, height), ended: make(chan error, 1)}
	c.cmd.Env = append(c.cmd.Env, "TERM=xterm", "CI=", "BUILD_NUMBER=", "TEAMCITY_VERSION=", "TF_BUILD=", "NO_COLOR=")
	c.cmd.Env = append(c.cmd.Env, env...)
	tty, err := pty.StartWithSize(c.cmd, &pty.Winsize{Cols: uint16(width), Rows: uint16(height)})
	if err != nil {
		d.Skipf("NOT TESTED: the live view at a terminal: there are no terminals here: %v", err)
	}
	c.tty = tty
	late := time.AfterFunc(2*time.Minute, func() { c.cmd.Process.Kill() }) // rather than to hang
	d.Cleanup(func() { late.Stop(); tty.Close() })
	go func() {
		for b := make([]byte, 4096); ; {
			n, err := tty.Read(b)
			c.mu.Lock()
			c.screen.Write(b[:n])
			c.mu.Unlock()
			if err != nil {
				c.ended <- c.cmd.Wait()
				return
			}
		}
	}()
	return c
}

// text is all that the terminal shows, and has shown.
func (c *screening) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b strings.Builder
	for _, l := range c.screen.Scrollback().Lines() {
		b.WriteString(ansi.Strip(l.Render()) + "\n")
	}
	return b.String() + ansi.Strip(c.screen.Render())
}

// until waits for what the terminal comes to show.
func (c *screening) until(what string, is func() bool) {
	c.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			c.Fatalf("%s does not come:\n%s", what, c.text())
		}
	}
}

func (c *screening) shows(text string) {
	c.Helper()
	c.until(text, func() bool { return strings.Contains(c.text(), text) })
}

// cooked tells whether the terminal is as programs expect it.
func (c *screening) cooked() bool {
	t, err := unix.IoctlGetTermios(int(c.tty.Fd()), getTermios)
	if err != nil {
		c.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return t.Lflag&(unix.ICANON|unix.ECHO) == unix.ICANON|unix.ECHO && !c.screen.CursorHidden() && !c.screen.IsAltScreen()
}

// TestLiveView drives a run at a terminal by keys: help, the log, a stop of the job
// and its going on, a suspend; and then a resume to the end.
func TestLiveView(t *testing.T) {
	d := newDesk(t)
	c := d.screening(100, 30, []string{"run", "--local", "slow.json"})
	c.shows("╰ line 10")
	if c.cooked() {
		t.Error("keys come by lines")
	}
	c.tty.WriteString("?")
	c.shows("any key leaves")
	c.tty.WriteString("x")
	c.tty.WriteString("l")
	c.shows("The log of which step?")
	c.tty.WriteString("\r")
	c.shows("==> run an inline shell script")
	c.tty.WriteString("q")
	c.shows("q suspend")

	c.tty.WriteString("\x1a") // Ctrl-Z
	c.until("the stop of the job", func() bool {
		var w syscall.WaitStatus
		pid, err := syscall.Wait4(c.cmd.Process.Pid, &w, syscall.WUNTRACED|syscall.WNOHANG, nil)
		return err == nil && pid == c.cmd.Process.Pid && w.Stopped()
	})
	c.until("the terminal as it was", c.cooked)
	c.cmd.Process.Signal(syscall.SIGCONT)
	c.until("the view again", func() bool { return !c.cooked() && strings.Contains(c.text(), "╰ line 10") })

	c.tty.WriteString("q")
	if got := status(t, <-c.ended); got != exitInterrupt {
		t.Errorf("exit status %d", got)
	}
	d.goOn.Store(true)
	text := c.text()
	for _, want := range []string{"Interrupted (key q)", "web: shell was suspended", "Steps: ", "Still there: instance i-", "imgflow resume "} {
		if strings.Count(text, want) != 1 {
			t.Errorf("%q is not there once:\n%s", want, text)
		}
	}
	if strings.Contains(text, "╰") || strings.Contains(text, "line 1 ") {
		t.Errorf("more is left than what matters:\n%s", text)
	}

	c = d.screening(60, 15, []string{"resume"})
	if got := status(t, <-c.ended); got != exitOK {
		t.Errorf("exit status %d:\n%s", got, c.text())
	}
	text = strings.Join(strings.Fields(c.text()), " ")
	for _, want := range []string{"==> web: Run an inline shell script", "us-east-1: ami-", " saved).", "Longest chain: shell ", "→"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing:\n%s", want, c.text())
		}
	}
	if !c.cooked() {
		t.Error("the terminal is left changed")
	}
}

// Ctrl-C is an interrupt there, too, whatever is shown; a second one ends it at once.
func TestLiveViewIsInterrupted(t *testing.T) {
	d := newDesk(t)
	c := d.screening(80, 24, []string{"run", "--local", "slow.json"})
	c.shows("╰ line 10")
	c.tty.WriteString("?")
	c.shows("any key leaves")
	c.tty.WriteString("\x03")
	if got := status(t, <-c.ended); got != exitInterrupt {
		t.Errorf("exit status %d", got)
	}
	d.goOn.Store(true)
	c.shows("Interrupted (interrupt)")
	c.shows("imgflow resume")
	if !c.cooked() {
		t.Error("the terminal is left changed")
	}
}

// Lines come as they are printed where a live view has no place: in CI, on a dumb
// terminal, with times, and where somebody has chosen so.
func TestWhereThereIsNoLiveView(t *testing.T) {
	d := newDesk(t)
	src := `{"builders": [{"type": "file", "name": "one", "target": "out.txt", "content": "x"}], "post-processors": [{"type": "shell-local", "inline": ["echo hel''lo"]}]}`
	if err := os.WriteFile(filepath.Join(d.dir, "file.json"), []byte(src), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		env  string
		args []string
		live bool
	}{
		{"A=b", nil, true}, {"CI=true", nil, false}, {"TERM=dumb", nil, false}, {"BUILD_NUMBER=7", nil, false}, {"A=b", []string{"-timestamp-ui"}, false},
		{"IMGFLOW_PROGRESS=plain", nil, false}, {"CI=true", []string{"--progress=tty"}, true}, {"IMGFLOW_PROGRESS=plain", []string{"--progress=auto"}, true},
	} {
		c := d.screening(120, 40, append(append([]string{"run"}, x.args...), "file.json"), x.env)
		if got := status(t, <-c.ended); got != exitOK {
			t.Fatalf("exit status %d:\n%s", got, c.text())
		}
		if live := !strings.Contains(c.text(), "one: hello"); live != x.live || !strings.Contains(c.text(), "==> Steps: 3 run") {
			t.Errorf("%s %q: live is %v:\n%s", x.env, x.args, live, c.text())
		}
	}
}

// Who follows a run at a terminal has its lines, and below them what is under way; who removes it, how far that is.
func TestLogsAndDestroyAtATerminal(t *testing.T) {
	d := newDesk(t)
	run := d.command("run", "--local", "-on-interrupt=suspend", "slow.json")
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	for out := ""; !strings.Contains(out, "line 10"); time.Sleep(20 * time.Millisecond) {
		out, _ = d.do("logs")
	}
	c := d.screening(100, 40, []string{"logs", "-f"})
	c.shows("╰ line 10")
	c.shows("web: line 9")
	c.shows(" · 1 running · ")
	c.tty.WriteString("\x03")
	if got := status(t, <-c.ended); got != exitOK || !c.cooked() || strings.Contains(c.text(), "╰") {
		t.Errorf("exit status %d, the terminal is as before: %v\n%s", got, c.cooked(), c.text())
	}
	run.Process.Signal(os.Interrupt)
	d.goOn.Store(true)
	run.Wait()

	c = d.screening(100, 40, []string{"destroy", "--yes"})
	if got := status(t, <-c.ended); got != exitOK || !c.cooked() {
		t.Errorf("exit status %d, the terminal is as before: %v\n%s", got, c.cooked(), c.text())
	}
	for _, want := range []string{"==> web: Removing instance i-", "all of it is removed."} {
		if strings.Count(c.text(), want) != 1 {
			t.Errorf("%q is not there once:\n%s", want, c.text())
		}
	}
	if strings.Contains(c.text(), "under way") {
		t.Errorf("the frame is left:\n%s", c.text())
	}
}
