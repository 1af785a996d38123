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
				begun, times := cputime.Spent(t), max(1, 3*8000/nodes) // as much work for all sizes: the garbage's share is the same
				for range times {
					if err := do(); err != nil {
						t.Fatal(err)
					}
				}
				return (cputime.Spent(t) - begun) / time.Duration(times)
			}
			few := 1000
			if w.name == "Add" || w.name == "Rebuild" {
				few = 8000 // fewer nodes and all that is made of them lie in a processor's cache
			}
			one, eight := took(few), took(8*few)
			for try := 0; try < 4 && eight > 10*one; try++ { // a busy machine spends more
				one, eight = max(one, took(few)), min(eight, took(8*few))
			}
			t.Logf("%d nodes: %s, %d: %s, %.1f times", few, one, 8*few, eight, float64(eight)/float64(one))
			if eight > 12*one {
				t.Errorf("%d nodes take %s, which is %.1f times what %d take", 8*few, eight, float64(eight)/float64(one), few)
			}
		})
	}
}
