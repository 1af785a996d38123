package main

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// proc is an imgflow at work.
type proc struct {
	cmd  *exec.Cmd
	args []string

	mu    sync.Mutex
	lines []string
	grown chan struct{} // closed when there is another line
	ended chan struct{} // closed when the process has ended
}

// launch starts a command and reads what it prints.
func launch(cmd *exec.Cmd) (*proc, error) {
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	cmd.WaitDelay = 5 * time.Second
	p := &proc{cmd: cmd, args: cmd.Args[1:], grown: make(chan struct{}), ended: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", cmd.Path, err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		br := bufio.NewReader(r)
		for {
			line, err := br.ReadString('\n')
			if line != "" {
				p.add(strings.TrimRight(line, "\n"))
			}
			if err != nil {
				return
			}
		}
	}()
	go func() {
		cmd.Wait()
		w.Close()
		<-read
		close(p.ended)
	}()
	return p, nil
}

func (p *proc) add(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines = append(p.lines, line)
	close(p.grown)
	p.grown = make(chan struct{})
}

// output is all that was printed so far.
func (p *proc) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines, "\n")
}

// last is the last line so far.
func (p *proc) last() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.lines) == 0 {
		return ""
	}
	return strings.TrimSpace(p.lines[len(p.lines)-1])
}

// printed waits until enough says so of what was printed. It is false when the
// process ended, or the time did, before.
func (p *proc) printed(patience time.Duration, enough func(lines []string) bool) bool {
	late := time.After(patience)
	for {
		p.mu.Lock()
		ok, grown := enough(p.lines), p.grown
		p.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-grown:
		case <-late:
			return false
		case <-p.ended:
			p.mu.Lock()
			defer p.mu.Unlock()
			return enough(p.lines)
		}
	}
}

// saying waits until a line holds the text.
func (p *proc) saying(text string, patience time.Duration) bool {
	return p.printed(patience, func(lines []string) bool {
		for _, l := range lines {
			if strings.Contains(l, text) {
				return true
			}
		}
		return false
	})
}

// alive tells whether the process has not ended.
func (p *proc) alive() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// signal sends the process a signal.
func (p *proc) signal(s syscall.Signal) { p.cmd.Process.Signal(s) }

// wait waits for the end, and kills what does not come to one.
func (p *proc) wait(patience time.Duration) error {
	select {
	case <-p.ended:
		return nil
	case <-time.After(patience):
		p.signal(syscall.SIGQUIT) // the stacks show where it hangs
		select {
		case <-p.ended:
		case <-time.After(3 * time.Second):
			p.signal(syscall.SIGKILL)
			<-p.ended
		}
		return fmt.Errorf("`imgflow %s` did not end within %s", strings.Join(p.args, " "), patience)
	}
}

// code is the exit status of a process that has ended; -1 if a signal ended it.
func (p *proc) code() int { return p.cmd.ProcessState.ExitCode() }

// killed tells whether SIGKILL ended the process.
func (p *proc) killed() bool {
	ws, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && ws.Signaled() && ws.Signal() == syscall.SIGKILL
}
