package comm

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
)

// nobody is an address at which nobody listens.
func nobody(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// A machine that its maker says is down is not waited for, over SSH or WinRM; one
// that may come back is.
func TestDown(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"ssh", "winrm"} {
		for _, state := range []string{Stopped, Terminated} {
			m := Machine{Endpoint: Endpoint{Protocol: protocol, Host: "127.0.0.1", Port: nobody(t), Thing: "i-1"},
				SSH:   SSH{Username: "nobody", Password: "x", Timeout: time.Hour},
				WinRM: WinRM{Username: "nobody", Password: "x", Timeout: time.Hour}}
			l := newLab(t, m)
			asked := 0
			l.env.Fate = func(context.Context, Endpoint) Fate {
				if asked++; asked == 1 {
					return Fate{}
				}
				return Fate{state, "for a reason"}
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			_, _, err := l.remote.Exec(ctx, "exit 0", nil)
			cancel()
			var d *DownError
			if !errors.As(err, &d) || d.State != state || HasStopped(err) != (state == Stopped) || !strings.Contains(err.Error(), "it is "+state+" (for a reason)") {
				t.Errorf("%s, %s: %v", protocol, state, err)
			}
			if asked != 2 {
				t.Errorf("%s, %s: asked %d times", protocol, state, asked)
			}
		}
	}
}

// A script that is followed on a machine that goes down is told as such, with what
// it had printed.
func TestStopsInScript(t *testing.T) {
	t.Parallel()
	s := sshd(t, "dash")
	var down atomic.Bool
	r := newRelay(t, s, func(_ int64, c, b *net.TCPConn) {
		go func() {
			for !down.Load() && t.Context().Err() == nil {
				time.Sleep(5 * time.Millisecond)
			}
			c.Close()
			b.Close()
		}()
	})
	m := s.machine()
	m.Port, m.Thing, m.SSH.Timeout = r.Addr().(*net.TCPAddr).Port, "i-1", time.Hour
	l := newLab(t, m)
	l.env.Fate = func(context.Context, Endpoint) Fate { return Fate{Stopped, ""} }
	j := l.job("echo one; sleep 60")
	go func() {
		for l.sink.Offset(l.task.Token, "stdout") == 0 && t.Context().Err() == nil {
			time.Sleep(5 * time.Millisecond)
		}
		r.Close()
		down.Store(true)
	}()
	_, err := l.remote.Run(t.Context(), j)
	if !HasStopped(err) || strings.Contains(err.Error(), "the script goes on") {
		t.Error(err)
	}
	if got := l.lines(t, "stdout"); got != "one\n" {
		t.Errorf("%q", got)
	}
	e := NewEnv(nil)
	defer e.Close()
	here, _ := e.Remote(dag.NewTask("run", "step", newToken(), l.sink, nil), s.machine())
	if err := here.Cancel(context.Background(), j); err != nil {
		t.Error(err)
	}
}
