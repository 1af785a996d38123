package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"
)

// The window of all recordings, in cells.
const columns, rows = 100, 24

// Between two looks at a terminal, and how long the last one is seen.
const (
	interval = 250 * time.Millisecond
	hold     = 4 * time.Second
)

// longest bounds a recording.
const longest = 90 * time.Second

// take is one recording.
type take struct {
	name string
	args []string
	last bool // only the end is shown
}

// aws are about the times that AWS takes, a twentieth of them.
const aws = "running=1s,ssh=1.2s,stopped=1s,image=3.5s"

var takes = []take{
	{name: "warm-up", args: []string{"run", "--local", "--latency", aws, "web.json"}}, // so that a home knows what is usual
	{name: "terminal-run", args: []string{"run", "--local", "--latency", aws, "web.json"}},
	{name: "terminal-failure", args: []string{"run", "--local", "-on-error=suspend", "broken.json"}, last: true},
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: pictures DIRECTORY")
		os.Exit(2)
	}
	if err := record(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "pictures:", err)
		os.Exit(1)
	}
}

// record makes all pictures in a directory.
func record(out string) error {
	dir, err := os.MkdirTemp("", "pictures-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	exe := filepath.Join(dir, "imgflow")
	if text, err := exec.Command("go", "build", "-o", exe, "./cmd/imgflow").CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build imgflow: %w\n%s", err, text)
	}
	desk := filepath.Join(dir, "desk")
	if err := os.CopyFS(desk, templates()); err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o777); err != nil {
		return err
	}
	for _, t := range takes {
		frames, err := t.record(exe, desk)
		if err != nil {
			return fmt.Errorf("cannot record %s: %w", t.name, err)
		}
		if t.name == "warm-up" {
			continue
		}
		if t.last {
			frames = frames[len(frames)-1:]
		}
		if err := os.WriteFile(filepath.Join(out, t.name+".svg"), picture("imgflow "+t.args[0], frames), 0o666); err != nil {
			return err
		}
	}
	return nil
}

// record runs the command in a directory, and looks at its terminal until it ends.
func (t take) record(exe, dir string) (frames []frame, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), longest)
	defer cancel()
	cmd := exec.CommandContext(ctx, exe, t.args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "IMGFLOW_HOME="+filepath.Join(dir, "..", "home"), "TERM=xterm-256color", "CI=", "NO_COLOR=", "IMGFLOW_PROGRESS=tty")
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Cols: columns, Rows: rows})
	if err != nil {
		return nil, err
	}
	defer tty.Close()
	var mu sync.Mutex
	screen := vt.NewEmulator(columns, rows)
	defer screen.Close()
	screen.WriteString("$ imgflow " + strings.Join(t.args, " ") + "\r\n")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for b := make([]byte, 4096); ; {
			n, err := tty.Read(b)
			mu.Lock()
			screen.Write(b[:n])
			mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	look := func() {
		mu.Lock()
		defer mu.Unlock()
		frames = append(frames, newFrame(screen))
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			look()
		case <-ended:
			look()
			err := cmd.Wait()
			if ctx.Err() != nil {
				return nil, errors.New("it does not end")
			}
			if exit := new(exec.ExitError); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) { // one of them fails
				return nil, err
			}
			return frames, nil
		}
	}
}
