package provision

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/sleep"
	"github.com/imgflow/imgflow/steps/comm"
)

// computer is a Windows machine that can be told to restart.
type computer struct {
	fakeWindows
	boot     atomic.Pointer[time.Time]
	code     int           // of the restart command
	delay    time.Duration // until it goes down
	downtime time.Duration // 0: it ignores the command
	lost     bool          // what became of the command is not known
	restarts int
	lags     []time.Duration // of the answers, one after the other
	pending  time.Time       // until then a registry key is there
}

func newComputer(up time.Duration) *computer {
	c := &computer{delay: 3 * time.Second, downtime: 40 * time.Second}
	c.boots(time.Now().Add(-up))
	c.run = func(context.Context, comm.Job) (comm.Exit, error) {
		c.restarts++
		if c.downtime > 0 {
			down := time.Now().Add(c.delay)
			time.AfterFunc(c.delay, func() { c.boots(down.Add(c.downtime)) })
		}
		if c.lost {
			return comm.Exit{}, &comm.LostError{Why: "gone"}
		}
		return comm.Exit{Code: c.code}, nil
	}
	c.power = func(ctx context.Context, script string, args, result any) error {
		// One look at when it booted: it may go down at this very moment.
		booted := c.booted()
		if d := time.Until(booted); d > 0 { // it is dialed until it is back
			sleep.For(ctx, d+time.Second)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		switch script {
		case psUptime:
			*result.(*int64) = time.Since(booted).Milliseconds()
			if len(c.lags) > 0 {
				sleep.For(ctx, c.lags[0])
				c.lags = c.lags[1:]
			}
		case psPending:
			if time.Now().Before(c.pending) {
				*result.(*[]string) = args.(map[string]any)["keys"].([]string)[:1]
			}
		}
		return nil
	}
	return c
}

func (c *computer) boots(at time.Time) { c.boot.Store(&at) }
func (c *computer) booted() time.Time  { return *c.boot.Load() }

// Run implements comm.Remote: the same token is run once.
func (c *computer) Run(ctx context.Context, j comm.Job) (comm.Exit, error) {
	for _, old := range c.ran {
		if old.Token == j.Token {
			return comm.Exit{Rebooted: true}, nil
		}
	}
	return c.fakeWindows.Run(ctx, j)
}

// A machine that has just booted is up for less time than the restart takes.
func TestWindowsRestart(t *testing.T) {
	for _, up := range []time.Duration{time.Second, 20 * time.Second, 1000 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			c := newComputer(up)
			sink := &memSink{}
			start := time.Now()
			if err := (WindowsRestart{}).run(t.Context(), c, values{task(sink), winMachine(), ""}, 0); err != nil {
				t.Fatal(err)
			}
			if d := time.Since(start); c.restarts != 1 || d < 43*time.Second || d > 46*time.Second {
				t.Errorf("up for %s: %d restarts, came back after %s", up, c.restarts, d)
			}
			if said := sink.said(dag.Said); said != "restarting the machine\nthe machine is back after 44s\n" {
				t.Errorf("said %q", said)
			}
			if cmd := c.ran[0].Command; !strings.HasPrefix(cmd, "shutdown /r ") {
				t.Errorf("ran %s", cmd)
			}
		})
	}
}

// An answer that takes its time does not look like a restart, nor hides one.
func TestWindowsRestartOfASlowMachine(t *testing.T) {
	for _, lags := range [][]time.Duration{{0, 30 * time.Second}, {30 * time.Second, 0}, {30 * time.Second, 30 * time.Second, 0, 0, 30 * time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			c := newComputer(50 * time.Millisecond)
			c.lags, c.delay = lags, 20*time.Second
			start := time.Now()
			if err := (WindowsRestart{}).run(t.Context(), c, values{task(&memSink{}), winMachine(), ""}, 0); err != nil || c.booted().Before(start) || time.Now().Before(c.booted()) {
				t.Errorf("answers after %v: booted %s after the beginning, %v", lags, c.booted().Sub(start), err)
			}
			time.Sleep(time.Hour)
		})
	}
}

// TestWindowsRestartInterrupted ends the process at every place where it waits,
// and goes on with the step; one of an older imgflow, too.
func TestWindowsRestartInterrupted(t *testing.T) {
	for _, at := range []time.Duration{0, time.Second, 10 * time.Second, 43 * time.Second} {
		for _, away := range []time.Duration{0, time.Minute, 24 * time.Hour} {
			for _, older := range []bool{false, true} {
				synctest.Test(t, func(t *testing.T) {
					c := newComputer(5 * time.Second)
					start := time.Now()
					sink := &memSink{}
					tk := task(sink)
					ctx, cancel := context.WithTimeout(t.Context(), at)
					err := (WindowsRestart{}).run(ctx, c, values{tk, winMachine(), ""}, 0)
					cancel()
					if !errors.Is(err, context.DeadlineExceeded) {
						t.Fatalf("interrupted after %s: %v", at, err)
					}
					if older {
						printLook(t, tk, sink)
					}
					time.Sleep(away)
					if err := (WindowsRestart{}).run(t.Context(), c, values{again(tk, sink), winMachine(), ""}, 0); err != nil || c.restarts != 1 {
						t.Errorf("interrupted after %s, for %s: %d restarts, %v", at, away, c.restarts, err)
					}
					if c.booted().Before(start) || time.Now().Before(c.booted()) {
						t.Error("nobody waited for the restart")
					}
					if said := sink.said(dag.Said); at > 0 && !strings.HasSuffix(said, "waiting until the machine has restarted\nthe machine is back\n") {
						t.Errorf("interrupted after %s: said %q", at, said)
					}
				})
			}
		}
	}
}

// printLook keeps what a task has saved as an older imgflow did.
func printLook(t *testing.T, tk *dag.Task, sink *memSink) {
	t.Helper()
	for name, value := range sink.saved {
		var s seen
		if err := json.Unmarshal(value, &s); err != nil {
			t.Fatal(err)
		}
		_, name, _ = strings.Cut(name, "/")
		tk.Print("exit-up/"+name, s.Up.Milliseconds(), "")
		tk.Print("exit-look/"+name, s.At.UnixMilli(), "")
	}
	sink.saved = nil
}

func TestWindowsRestartOptions(t *testing.T) {
	run := func(t *testing.T, c *computer, s WindowsRestart) (string, error) {
		sink := &memSink{}
		err := s.run(t.Context(), c, values{task(sink), winMachine(), ""}, 0)
		return sink.said(dag.Said), err
	}
	for _, code := range []int{0, 1115, 1190} {
		synctest.Test(t, func(t *testing.T) {
			c := newComputer(time.Hour)
			c.code = code
			if _, err := run(t, c, WindowsRestart{RestartCommand: parsed("restart {{ build `ID` }}")}); err != nil || c.ran[0].Command != "restart i-0abc" {
				t.Errorf("status %d: %v, ran %q", code, err, c.ran[0].Command)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		c := newComputer(time.Hour)
		c.code = 5
		_, err := run(t, c, WindowsRestart{})
		wantError(t, err, "cannot restart the machine", "restart_command exited with status 5")
		time.Sleep(time.Hour)
	})
	synctest.Test(t, func(t *testing.T) {
		c := newComputer(time.Hour)
		c.lost = true
		if _, err := run(t, c, WindowsRestart{}); err != nil {
			t.Errorf("a lost command: %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		c := newComputer(time.Hour)
		c.downtime = 0
		start := time.Now()
		_, err := run(t, c, WindowsRestart{RestartTimeout: time.Minute})
		wantError(t, err, "did not restart in 1m0s", "restart_timeout")
		if d := time.Since(start); d != time.Minute {
			t.Errorf("after %s", d)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		c := newComputer(time.Hour)
		left := 3
		var commands []string
		c.exec = func(command string) (comm.Exit, error) {
			left--
			commands = append(commands, command)
			return comm.Exit{Code: left}, nil
		}
		if _, err := run(t, c, WindowsRestart{RestartCheckCommand: parsed("check {{ build `ID` }}")}); err != nil || len(commands) != 3 || commands[0] != "check i-0abc" {
			t.Errorf("%v, checked by %q", err, commands)
		}
		c.exec = func(string) (comm.Exit, error) { return comm.Exit{Code: 1}, nil }
		_, err := run(t, c, WindowsRestart{RestartCheckCommand: "check"})
		wantError(t, err, "did not let restart_check_command succeed in 5m0s")
	})
	synctest.Test(t, func(t *testing.T) {
		c := newComputer(time.Hour)
		c.pending = time.Now().Add(2 * time.Minute)
		said, err := run(t, c, WindowsRestart{CheckRegistry: true, RegistryKeys: []string{"HKLM:mine"}})
		if err != nil || !strings.Contains(said, "until the registry is without HKLM:mine\n") || time.Now().Before(c.pending) {
			t.Errorf("%v, said %q", err, said)
		}
		c.pending = time.Now().Add(time.Hour)
		_, err = run(t, c, WindowsRestart{CheckRegistry: true})
		wantError(t, err, `Component Based Servicing\RebootPending`, "one more restart")
	})
}

func TestWindowsRestartCheck(t *testing.T) {
	for _, c := range []struct {
		want string
		s    WindowsRestart
	}{
		{"", WindowsRestart{}},
		{"restart_timeout", WindowsRestart{RestartTimeout: -1}},
		{"registry_keys (idle)", WindowsRestart{RegistryKeys: []string{"x"}}},
		{"", WindowsRestart{RegistryKeys: []string{"x"}, CheckRegistry: true}},
	} {
		if got := fields(c.s.Check()); got != c.want {
			t.Errorf("%+v: option errors of %q, want %q", c.s, got, c.want)
		}
	}
}
