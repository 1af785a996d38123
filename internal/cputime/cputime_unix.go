//go:build unix

package cputime

import (
	"syscall"
	"testing"
	"time"
)

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
