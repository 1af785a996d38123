//go:build unix

package cli

import (
	"os"
	"os/signal"
	"syscall"
)

// onResize calls f whenever the terminal changes its size, until stop.
func onResize(f func()) (stop func()) {
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, syscall.SIGWINCH)
	go func() {
		for range ch {
			f()
		}
	}()
	return func() { signal.Stop(ch); close(ch) }
}
