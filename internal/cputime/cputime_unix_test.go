//go:build unix

package cputime

import (
	"testing"
	"time"
)

// Work is counted, and sleep is not.
func TestSpent(t *testing.T) {
	begun := Spent(t)
	for start, n := time.Now(), 0; Spent(t)-begun < 20*time.Millisecond; n++ {
		if time.Since(start) > time.Minute {
			t.Fatalf("a minute of work is %v", Spent(t)-begun)
		}
	}
	begun = Spent(t)
	time.Sleep(100 * time.Millisecond)
	if spent := Spent(t) - begun; spent > 90*time.Millisecond {
		t.Errorf("a sleep of 100ms is %v of work", spent)
	}
}
