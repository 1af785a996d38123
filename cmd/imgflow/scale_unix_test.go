//go:build unix

package main

import (
	"syscall"
	"testing"
	"time"
)

// spent is the time of the processor that this process has had.
func spent(t *testing.T) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Eight times as much of anything takes about eight times as long.
func TestValidationIsLinear(t *testing.T) {
	for name := range shapes {
		t.Run(name, func(t *testing.T) {
			took := func(n int) time.Duration {
				src, begun := shaped(name, n), spent(t)
				validateText(t, src)
				return spent(t) - begun
			}
			one, eight := took(1000), took(8000)
			for try := 0; try < 4 && eight > 10*one; try++ { // a busy machine spends more
				one, eight = max(one, took(1000)), min(eight, took(8000))
			}
			t.Logf("1,000: %s, 8,000: %s", one, eight)
			if eight > 12*one {
				t.Errorf("8,000 take %s, which is %.1f times what 1,000 take", eight, float64(eight)/float64(one))
			}
		})
	}
}
