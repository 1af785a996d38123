//go:build unix

package cli

import (
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/imgflow/imgflow/internal/cli/internal/live"
)

// eachKey makes the terminal hand over each key as it is typed, and not show it.
// What makes signals of keys, such as Ctrl-C, stays as it is.
func eachKey() (restore func()) {
	in := int(os.Stdin.Fd())
	before, err := unix.IoctlGetTermios(in, getTermios)
	if err != nil {
		return func() {}
	}
	after := *before
	after.Lflag &^= unix.ICANON | unix.ECHO
	after.Cc[unix.VMIN], after.Cc[unix.VTIME] = 1, 0
	if unix.IoctlSetTermios(in, setTermios, &after) != nil {
		return func() {}
	}
	return func() { unix.IoctlSetTermios(in, setTermios, before) }
}

// hideTyping has the terminal show nothing of what is typed.
func hideTyping() (restore func()) {
	in := int(os.Stdin.Fd())
	before, err := unix.IoctlGetTermios(in, getTermios)
	if err != nil {
		return func() {}
	}
	after := *before
	after.Lflag &^= unix.ECHO
	after.Lflag |= unix.ICANON | unix.ECHONL
	if unix.IoctlSetTermios(in, setTermios, &after) != nil {
		return func() {}
	}
	return func() { unix.IoctlSetTermios(in, setTermios, before) }
}

// inForeground tells whether the terminal is this job's: another must not draw on it.
func inForeground() bool {
	group, err := unix.IoctlGetInt(int(os.Stdout.Fd()), unix.TIOCGPGRP)
	return err != nil || group == unix.Getpgrp()
}

// obeyShell gives the terminal back while the job is stopped by Ctrl-Z, and before
// the program is ended by Ctrl-\, until stop is called.
func obeyShell(d *live.Display) (stop func()) {
	ch, again, done := make(chan os.Signal, 1), make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(ch, syscall.SIGTSTP, syscall.SIGQUIT)
	var ended sync.WaitGroup
	ended.Go(func() {
		for {
			select {
			case <-done:
				return
			case sig := <-ch:
				d.Stop()
				if sig == syscall.SIGQUIT {
					signal.Reset(syscall.SIGQUIT)
					syscall.Kill(os.Getpid(), syscall.SIGQUIT)
					return
				}
				signal.Notify(again, syscall.SIGCONT)
				syscall.Kill(os.Getpid(), syscall.SIGSTOP)
				<-again
				signal.Stop(again)
				for !inForeground() { // it goes on, but in the background
					select {
					case <-done:
						return
					case <-time.After(500 * time.Millisecond):
					}
				}
				d.Go()
			}
		}
	})
	return func() { signal.Stop(ch); close(done); ended.Wait() }
}
