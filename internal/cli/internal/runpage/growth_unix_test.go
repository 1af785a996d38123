//go:build unix

package runpage

import (
	"io"
	"testing"
	"time"

	"github.com/imgflow/imgflow/internal/cputime"
)

// TestReportGrowthIsLinear: ten times the builds cost no more than some ten times as much: bounds make it less, nothing makes it a square.
func TestReportGrowthIsLinear(t *testing.T) {
	cost := func(builds int) time.Duration {
		r, times := many(builds), max(1, 300/builds)
		began := cputime.Spent(t)
		for range times {
			if err := Report(io.Discard, r); err != nil {
				t.Fatal(err)
			}
		}
		return (cputime.Spent(t) - began) / time.Duration(times)
	}
	cost(1)
	before := cost(10)
	for _, builds := range []int{100, 1000} {
		took := cost(builds)
		t.Logf("%d builds: %s", builds, took)
		if took > 20*before {
			t.Errorf("%d builds cost %s, a tenth of them %s", builds, took, before)
		}
		before = took
	}
}
