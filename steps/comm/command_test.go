package comm

import (
	"strings"
	"testing"
	"time"
)

// The command holds the script's variables, and its length costs in proportion.
func TestLongCommandIsLinear(t *testing.T) {
	eachShell(t, func(t *testing.T, s *server) {
		l := newLab(t, s.machine())
		took := func(size int) time.Duration {
			least := time.Hour
			for range 3 { // other work of the machine can only make it longer
				j := l.job("printf %s \"$V\" | wc -c")
				j.Token = newToken()
				j.Command = "V='" + strings.Repeat(`it'\''s`, size/7) + "' {{.Path}}"
				begun := time.Now()
				l.mustRun(t, j)
				least = min(least, time.Since(begun))
			}
			return least
		}
		small, large := took(16<<10), took(128<<10)
		if large > 20*small {
			t.Errorf("128 KiB took %s, 16 KiB %s", large, small)
		}
	})
}

// Wherever the script's path stands in the command, and as often.
func TestCommandHoldsThePath(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, s *server) {
		for command, want := range map[string]string{
			"{{.Path}}":                                   "hi\n",
			"{{.Path}}; sh '{{.Path}}'; : %s %d":          "hi\nhi\n",
			`printf '%s\n' "it's" 'a\b'; sh {{.Path}} \\`: "it's\na\\b\nhi\n",
			"echo no": "no\n",
		} {
			l := newLab(t, s.machine())
			j := l.job("echo hi")
			j.Command = command
			l.mustRun(t, j)
			if got := l.lines(t, "stdout"); got != want {
				t.Errorf("%s: %q", command, got)
			}
		}
	})
}
