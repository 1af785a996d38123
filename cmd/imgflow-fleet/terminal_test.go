//go:build unix

package main

import (
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
)

// What is asked at a terminal when a run that workers build is interrupted there, and what becomes of the run.
func TestInterruptedAtATerminal(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	template := b.slow("echo step began; sleep 20; echo step ended")
	b.worker("one")
	for answer, x := range map[string]struct {
		says   string
		status int
		then   string // what list shows of the run
	}{
		"d":    {"imgflow-fleet logs -f", 0, "running"},
		"s":    {"is suspended; everything that it made is kept", 130, "suspended"},
		"\x03": {"is left to its workers: imgflow-fleet logs -f", 130, "running"},
	} {
		cmd := b.machine("me", "run", "--on", b.engine, "-var", "word=hunTer2", template)
		cmd.Env = append(cmd.Env, "TERM=xterm", "CI=", "NO_COLOR=1")
		tty, err := pty.StartWithSize(cmd, &pty.Winsize{Cols: 120, Rows: 40})
		if err != nil {
			t.Skipf("NOT TESTED: interrupts at a terminal: there are no terminals here: %v", err)
		}
		defer time.AfterFunc(commandTime, func() { cmd.Process.Kill() }).Stop()
		out := new(lockedBuffer)
		read := make(chan struct{})
		go func() {
			for p := make([]byte, 4096); ; {
				n, err := tty.Read(p)
				out.Write(p[:n])
				if err != nil {
					close(read)
					return
				}
			}
		}()
		b.await(out, "Run an inline shell script")
		time.Sleep(time.Second) // until the script is at it
		tty.WriteString("\x03")
		b.await(out, "[d]etach and let them go on, or [s]uspend it?")
		tty.WriteString(strings.TrimSuffix(answer+"\n", "\x03\n"))
		if answer == "\x03" {
			tty.WriteString("\x03")
		}
		cmd.Wait()
		<-read
		tty.Close()
		run := b.newest()
		if strings.Contains(out.String(), "no new step begins") {
			t.Errorf("before it is answered, it is said what becomes of the run:\n%s", out.String())
		}
		if code := cmd.ProcessState.ExitCode(); code != x.status || !strings.Contains(out.String(), x.says) {
			t.Errorf("answered %q, it ends with %d:\n%s", answer, code, out.String())
		}
		if list := b.output(0, b.machine("other", "list")); !strings.Contains(list, x.then) {
			t.Errorf("answered %q, list shows\n%s", answer, list)
		}
		if x.then == "running" {
			logs := b.output(0, b.machine("other", "logs", "-f", run))
			if strings.Count(logs, "step ended") != 1 {
				t.Errorf("answered %q, the run has not gone on:\n%s", answer, logs)
			}
		}
		b.output(0, b.machine("other", "destroy", "--yes", run))
	}
}
