//go:build unix

package cputime

import (
	"syscall"
	"testing"
	"time"
)

// Measures skips a test that measures if the race detector is on, which costs more
// than what is measured. Make test runs those tests without it, too.
func Measures(t testing.TB) {
	t.Helper()
	if race {
		t.Skip("NOT TESTED here: cost is measured without the race detector: make test does it in a run of its own")
	}
}

// Spent is the processor's time that this process has had, as itself and in the system.
func Spent(t testing.TB) time.Duration {
	t.Helper()
	Measures(t)
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
