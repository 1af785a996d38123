package comm

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestExit(t *testing.T) {
	eachShell(t, func(t *testing.T, s *server) {
		for script, want := range map[string]Exit{
			"exit 0": {}, "exit 1": {Code: 1}, "exit 7": {Code: 7}, "exit 255": {Code: 255}, "exit 137": {Code: 137},
			"kill -9 $$": {Code: 137, Signal: 9}, "kill -15 $$": {Code: 143, Signal: 15}, "kill -11 $$": {Code: 139, Signal: 11},
			"kill -1 $$": {Code: 129, Signal: 1}, "kill -2 $$": {Code: 130},
		} {
			l := newLab(t, s.machine())
			j := l.job(script)
			j.Command = "exec sh {{.Path}}"
			if x := l.mustRun(t, j); x != want {
				t.Errorf("%s: %+v, want %+v", script, x, want)
			}
			if d := left(j.Token); d != nil {
				t.Errorf("left: %v", d)
			}
			if x := l.mustRun(t, j); x != want {
				t.Errorf("again %s: %+v, want %+v", script, x, want)
			}
		}
	})
}

func TestOutput(t *testing.T) {
	eachShell(t, func(t *testing.T, s *server) {
		l := newLab(t, s.machine())
		j := l.job(`echo one; printf 'two\r\n'; echo bad >/dev/stderr; echo worse >&2; pwd; umask; printf end`)
		j.Command = "{{.Path}}"
		if x := l.mustRun(t, j); x != (Exit{}) {
			t.Error(x)
		}
		home, _ := os.UserHomeDir()
		if got, want := l.lines(t, "stdout"), "one\ntwo\n"+home+"\n0022\nend\n"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if got := l.lines(t, "stderr"); got != "bad\nworse\n" {
			t.Errorf("%q", got)
		}
	})
}

func TestManyLines(t *testing.T) {
	eachShell(t, func(t *testing.T, s *server) {
		l := newLab(t, s.machine())
		l.mustRun(t, l.job("seq 1 50000"))
		var want strings.Builder
		for i := range 50000 {
			fmt.Fprintln(&want, i+1)
		}
		if got := l.lines(t, "stdout"); got != want.String() {
			t.Errorf("%d bytes, want %d", len(got), want.Len())
		}
	})
}
