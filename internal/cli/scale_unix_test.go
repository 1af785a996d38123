//go:build unix

package cli

import (
	"runtime"
	"testing"
	"time"

	"github.com/imgflow/imgflow/internal/cputime"
)

// Eight times as much of anything takes about eight times as long: 64 times where something is searched for.
func TestValidationIsLinear(t *testing.T) {
	for name := range shapes {
		n := 500
		if name == "builders" {
			n = 1000
		}
		t.Run(name, func(t *testing.T) {
			took := func(n int) time.Duration {
				src, begun := shaped(name, n), cputime.Spent(t)
				validateText(t, src)
				return cputime.Spent(t) - begun
			}
			one, eight := took(n), took(8*n)
			for try := 0; try < 4 && eight > 10*one; try++ { // a busy machine spends more
				one, eight = max(one, took(n)), min(eight, took(8*n))
			}
			t.Logf("%d: %s, %d: %s", n, one, 8*n, eight)
			if eight > 12*one {
				t.Errorf("%d take %s, which is %.1f times what %d take", 8*n, eight, float64(eight)/float64(one), n)
			}
		})
	}
}

// Ten thousand builders fit into 2 GB, with room to spare.
func TestMemoryOfManyBuilders(t *testing.T) {
	cputime.Measures(t)
	src := shaped("builders", 10_000)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if text := validateText(t, src); text != "" {
		t.Fatal(text)
	}
	runtime.ReadMemStats(&after) // what was taken from the system is not given back in this count
	if after.Sys > before.Sys+1<<30 {
		t.Errorf("%d MiB more", (after.Sys-before.Sys)>>20)
	}
	t.Logf("%d MiB more, %d MiB in all", (after.Sys-before.Sys)>>20, after.Sys>>20)
}
