package comm

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
)

func TestExit(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
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

// The script lies where the template wants it, and goes away.
func TestPath(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, s *server) {
		dir := t.TempDir()
		for _, keep := range []bool{false, true} {
			l := newLab(t, s.machine())
			j := l.job(`echo "$0"; ls -l "$0"`)
			j.Path, j.Keep, j.Command = dir+"/a b.sh", keep, "'{{.Path}}'; echo '{{.Path}}'"
			l.mustRun(t, j)
			got := printed(t, l.log, "stdout")
			if len(got) != 3 || got[0] != j.Path || !strings.HasPrefix(got[1], "-rwxr-xr-x") || got[2] != j.Path {
				t.Errorf("%q %q", got, l.lines(t, "stderr"))
			}
			if _, err := os.Stat(j.Path); (err == nil) != keep {
				t.Errorf("keep %v: %v", keep, err)
			}
		}
		for path, want := range map[string]string{dir: "is a directory", dir + "/none/x": "put in its place"} {
			l := newLab(t, s.machine())
			j := l.job("exit 0")
			j.Path = path
			if _, err := l.remote.Run(t.Context(), j); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %s", path, err, want)
			}
			if d := left(j.Token); d != nil {
				t.Errorf("left: %v", d)
			}
		}
	})
}

// Several jobs of one task keep their streams apart.
func TestJobsOfOneTask(t *testing.T) {
	t.Parallel()
	l := newLab(t, sshd(t, "dash").machine())
	for i := range 3 {
		j := l.job(fmt.Sprintf("echo job %d; exit %d", i, i))
		j.Token += fmt.Sprintf("-%d", i)
		if x := l.mustRun(t, j); x.Code != i {
			t.Errorf("%d: %+v", i, x)
		}
		if got := l.lines(t, fmt.Sprintf("stdout/%d", i)); got != fmt.Sprintf("job %d\n", i) {
			t.Errorf("%q", got)
		}
	}
}

func TestTerminal(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"dash", "bash"} {
		l := newLab(t, sshd(t, name).machine())
		j := l.job("test -t 0 && test -t 1 && test -t 2 && echo terminal; exit 7")
		j.Pty = true
		if x := l.mustRun(t, j); x != (Exit{Code: 7}) || l.lines(t, "stdout") != "terminal\n" {
			t.Errorf("%s: %+v %q %q", name, x, l.lines(t, "stdout"), l.lines(t, "stderr"))
		}
	}
	l := newLab(t, sshd(t, "busybox").machine())
	j := l.job("echo none; exit 7")
	j.Pty = true
	if x := l.mustRun(t, j); x != (Exit{Code: 7}) || l.lines(t, "stdout") != "none\n" {
		t.Errorf("busybox: %+v %q %q", x, l.lines(t, "stdout"), l.lines(t, "stderr"))
	}
}

func TestEndlessLine(t *testing.T) {
	t.Parallel()
	l := newLab(t, sshd(t, "dash").machine())
	l.mustRun(t, l.job(`head -c 1000000 /dev/zero | tr '\0' x`))
	n := 0
	for _, line := range printed(t, l.log, "stdout") {
		if len(line) > 64<<10 {
			t.Errorf("a line of %d bytes", len(line))
		}
		n += len(line)
	}
	if n != 1000000 {
		t.Errorf("%d bytes", n)
	}
}

// What the journal cannot keep is not lost: the machine still has it.
func TestSinkFails(t *testing.T) {
	t.Parallel()
	l := newLab(t, sshd(t, "dash").machine())
	j := l.job("seq 1 100; exit 2")
	l.sink.fail = func(e dag.Event) error {
		if e.Stream == "stdout" && e.Text == "50" {
			return errors.New("disk full")
		}
		return nil
	}
	if _, err := l.remote.Run(t.Context(), j); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Fatal(err)
	}
	l.sink.fail = nil
	if x := l.mustRun(t, j); x != (Exit{Code: 2}) {
		t.Error(x)
	}
	if got := printed(t, l.log, "stdout"); len(got) != 100 || got[49] != "50" {
		t.Errorf("%d lines", len(got))
	}
}

// The end mark is found wherever the chunks are cut.
func TestMark(t *testing.T) {
	t.Parallel()
	const token = "tok"
	whole := "a\n\x01\nENDto\nb\x01\nx\r\nlast\x01\nEND" + token + "\nnoise of a daemon\n"
	for cut := range len(whole) {
		l := &lab{log: filepath.Join(t.TempDir(), "log")}
		var err error
		if l.sink, err = openSink(l.log); err != nil {
			t.Fatal(err)
		}
		jr, err := newJournal(dagTask(token, l.sink), token)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{whole[:cut], whole[cut:]} {
			if err := jr.write(0, []byte(part)); err != nil {
				t.Fatal(err)
			}
		}
		if got := printed(t, l.log, "stdout"); strings.Join(got, "|") != "a|\x01|ENDto|b\x01|x|last" || !jr.ended[0] {
			t.Fatalf("cut at %d: %q", cut, got)
		}
		l.sink.f.Close()
	}
}
