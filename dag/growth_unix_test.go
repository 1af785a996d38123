//go:build unix

package dag_test

import (
	"testing"
	"time"

	"github.com/imgflow/imgflow/internal/cputime"
)

// Whatever the engine does with a graph of eight times the nodes takes it about
// eight times as long. The processor's time is counted, not the clock's.
func TestGrowthIsNearLinear(t *testing.T) {
	for _, w := range works {
		t.Run(w.name, func(t *testing.T) {
			took := func(nodes int) time.Duration {
				do := w.of(t, nodes)
				begun, times := cputime.Spent(t), 3*8000/nodes // as much work for all sizes: the garbage's share is the same
				for range times {
					if err := do(); err != nil {
						t.Fatal(err)
					}
				}
				return (cputime.Spent(t) - begun) / time.Duration(times)
			}
			one, eight := took(1000), took(8000)
			for try := 0; try < 4 && eight > 10*one; try++ { // a busy machine spends more
				one, eight = max(one, took(1000)), min(eight, took(8000))
			}
			t.Logf("1,000 nodes: %s, 8,000: %s, %.1f times", one, eight, float64(eight)/float64(one))
			if eight > 12*one {
				t.Errorf("8,000 nodes take %s, which is %.1f times what 1,000 take", eight, float64(eight)/float64(one))
			}
		})
	}
}
