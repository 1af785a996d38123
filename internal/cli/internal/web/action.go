package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/imgflow/imgflow/internal/self"
	"github.com/imgflow/imgflow/internal/termsafe"
)

// Bounds of what is kept of commands.
const (
	maxOutput  = 64 << 10 // bytes of what one has printed, the last of them
	maxActions = 200
)

// patience is how long a command may take that only looks.
const patience = 2 * time.Minute

// actions are the commands that the page has started, the last one for each run.
type actions struct {
	command func(args ...string) *exec.Cmd
	dir     string // for what they print

	mu   sync.Mutex
	last map[string]*action
}

// action is a command and how it has gone. Its output is a file, so that the command goes
// on when this process ends.
type action struct {
	Args  []string
	Begun time.Time
	out   *os.File

	mu    sync.Mutex
	ended bool
	err   error
}

// errAtWork says that a command for the same run has not ended.
var errAtWork = errors.New("cannot begin: a command that was begun here is still at work")

// start begins a command for a run, and calls ended when it is over.
func (as *actions) start(run string, ended func(), args ...string) error {
	as.mu.Lock()
	defer as.mu.Unlock()
	if a := as.last[run]; a != nil && a.Running() {
		return errAtWork
	}
	a, cmd, err := as.begin(args)
	if err != nil {
		return err
	}
	if old := as.last[run]; old != nil {
		old.out.Close()
	}
	as.last[run] = a
	as.forget()
	go func() {
		err := cmd.Wait()
		os.Remove(a.out.Name()) // where an open file could not be
		a.mu.Lock()
		a.ended, a.err = true, err
		a.mu.Unlock()
		ended()
	}()
	return nil
}

func (as *actions) begin(args []string) (*action, *exec.Cmd, error) {
	out, err := os.CreateTemp(as.dir, ".ui-*.log") // 0600
	if err != nil {
		return nil, nil, fmt.Errorf("cannot keep what `%s` prints: %w", self.Command(args...), err)
	}
	cmd := as.command(args...)
	cmd.Stdout, cmd.Stderr = out, out
	err = cmd.Start()
	os.Remove(out.Name()) // it lives as long as somebody has it open
	if err != nil {
		out.Close()
		return nil, nil, fmt.Errorf("cannot start `%s`: %w", self.Command(args...), err)
	}
	return &action{Args: args, Begun: time.Now(), out: out}, cmd, nil
}

// forget bounds what is kept. The lock is held.
func (as *actions) forget() {
	for len(as.last) > maxActions {
		oldest := ""
		for run, a := range as.last {
			if !a.Running() && (oldest == "" || a.Begun.Before(as.last[oldest].Begun)) {
				oldest = run
			}
		}
		if oldest == "" {
			return
		}
		as.last[oldest].out.Close()
		delete(as.last, oldest)
	}
}

// of is the last command for a run, or nil.
func (as *actions) of(run string) *action {
	as.mu.Lock()
	defer as.mu.Unlock()
	return as.last[run]
}

// look runs a command that changes nothing, and returns what it has printed.
func (as *actions) look(ctx context.Context, args ...string) (output string, err error) {
	a, cmd, err := as.begin(args)
	if err != nil {
		return "", err
	}
	defer a.out.Close()
	defer os.Remove(a.out.Name())
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { cmd.Process.Kill() })
	defer stop()
	err = cmd.Wait()
	if ctx.Err() != nil {
		err = fmt.Errorf("cannot wait any longer for `%s`", self.Command(args...))
	}
	return a.Output(), err
}

// Command is what was typed, so to say.
func (a *action) Command() string { return "imgflow " + strings.Join(a.Args, " ") }

// Running tells whether it is still at work.
func (a *action) Running() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !a.ended
}

// Failed says how it has failed, "" if it has not.
func (a *action) Failed() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err == nil {
		return ""
	}
	return a.err.Error()
}

// Output is the last of what it has printed, as text.
func (a *action) Output() string {
	st, err := a.out.Stat()
	if err != nil {
		return ""
	}
	from := max(0, st.Size()-maxOutput)
	text, _ := io.ReadAll(io.NewSectionReader(a.out, from, maxOutput))
	lines := strings.Split(string(text), "\n")
	if from > 0 {
		lines[0] = "…"
	}
	for i, l := range lines {
		lines[i] = termsafe.Clean(l, false)
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}
