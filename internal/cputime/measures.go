package cputime

import "testing"

// Measures skips a test that measures if the race detector is on, which costs more
// than what is measured. Make test runs those tests without it, too.
func Measures(t testing.TB) {
	t.Helper()
	if race {
		t.Skip("NOT TESTED here: cost is measured without the race detector: make test does it in a run of its own")
	}
}
