//go:build chaos && unix

package queue

import (
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
)

var (
	crashAt   int64
	crashSide string
	writes    atomic.Int64
)

// init reads at which write of its life the process is to kill itself, and on
// which side of it: IMGFLOW_CRASH_AT=12:before or =12:after. Only programs that
// were built to be killed have this.
func init() {
	v := os.Getenv("IMGFLOW_CRASH_AT")
	if v == "" {
		return
	}
	if n, err := fmt.Sscanf(v, "%d:%s", &crashAt, &crashSide); n != 2 || err != nil || crashSide != "before" && crashSide != "after" {
		panic("cannot read IMGFLOW_CRASH_AT=" + v + ": it must be such as 12:before")
	}
}

// crashPoint is called before a write, and what it returns afterwards, when land has
// brought to its place what was only put off.
func crashPoint(land func() error) func() {
	n := writes.Add(1)
	if n != crashAt {
		return func() {}
	}
	if crashSide == "before" {
		die()
	}
	return func() { land(); die() }
}

func die() {
	syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // nothing more is done until the signal arrives
}
