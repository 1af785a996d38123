package comm

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// waiter is a command that writes its process id to the file, and then waits
// without touching its streams any more, half a minute at most: the caller may
// shut them as soon as the file is there.
func waiter(file string) string {
	return "echo begun; echo $$ >" + file + ".new; mv " + file + ".new " + file + "; exec sleep 30"
}

// whenBegun calls f with the id of the process when the waiter has begun.
func whenBegun(t *testing.T, file string, f func()) {
	t.Helper()
	go func() {
		for {
			if _, err := os.Stat(file); err == nil {
				f()
				return
			}
			select {
			case <-t.Context().Done():
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
}

// stillThere reports whether the waiter goes on, and ends it.
func stillThere(t *testing.T, file string) bool {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	p, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	return p.Kill() == nil
}

// A command that goes on does not hold up a caller whose context has ended, and
// nothing of the caller's is touched any more.
func TestExecCancelled(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, s *server) {
		file := filepath.Join(t.TempDir(), "pid")
		l := newLab(t, s.machine())
		ctx, cancel := context.WithCancel(t.Context())
		whenBegun(t, file, cancel)
		if _, _, err := l.remote.Exec(ctx, waiter(file), nil); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if !stillThere(t, file) {
			t.Error("the caller waited until the command had ended")
		}
		if out, x, err := l.remote.Exec(t.Context(), "echo next", nil); err != nil || x.Code != 0 || string(out) != "next\n" {
			t.Errorf("the next command: %q %+v %v", out, x, err)
		}
	})
}

// An upload without SFTP, whose far side has stopped reading, likewise.
func TestFeedCancelled(t *testing.T) {
	t.Parallel()
	s := sshd(t, "dash")
	file := filepath.Join(t.TempDir(), "pid")
	l := newLab(t, s.machine())
	ctx, cancel := context.WithCancel(t.Context())
	whenBegun(t, file, cancel)
	// More than the channel's window, so that the sender has to wait.
	if _, _, err := l.remote.Exec(ctx, waiter(file), bytes.NewReader(make([]byte, 16<<20))); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if !stillThere(t, file) {
		t.Error("the caller waited until the command had ended")
	}
}

// What a script writes after its caller has gone reaches nobody.
func TestOutletShut(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	o := &closableWriter{w: &b}
	io.WriteString(o, "one")
	o.shut()
	if _, err := io.WriteString(o, "two"); err == nil || b.String() != "one" {
		t.Errorf("%q %v", b.String(), err)
	}
	r := &closableReader{r: strings.NewReader("more")}
	r.shut.Store(true)
	if got, err := io.ReadAll(r); err == nil || len(got) != 0 {
		t.Errorf("%q %v", got, err)
	}
}
