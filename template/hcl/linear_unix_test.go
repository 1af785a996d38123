//go:build unix

package hcl

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/internal/cputime"
)

// TestLinear holds that four times the blocks, variables and locals cost less than ten times as much.
func TestLinear(t *testing.T) {
	src := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "variable \"v%d\" {\n  default = \"x\"\n}\nlocals {\n  l%d = \"${var.v%d}-${%d + 1}\"\n}\n", i, i, i, i)
			fmt.Fprintf(&b, "source \"null\" \"s%d\" {\n  name = local.l%d\n  tag {\n    key = \"k\"\n  }\n}\nbuild {\n  sources = [\"null.s%d\"]\n  provisioner \"shell\" {\n    inline = [\"echo ${build.ID}\"]\n  }\n}\n", i, i, i)
		}
		return b.String()
	}
	took := func(n int) time.Duration {
		best := time.Hour
		for range 3 {
			start := cputime.Spent(t)
			config, errs := evaluate("t.pkr.hcl", src(n))
			if len(errs) > 0 || len(config.Builds) != n {
				t.Fatal(len(config.Builds), errs)
			}
			best = min(best, cputime.Spent(t)-start)
		}
		return best
	}
	took(50)
	if few, many := took(250), took(1000); many > 10*few {
		t.Errorf("250 builds took %v, 1,000 took %v", few, many)
	}
}
