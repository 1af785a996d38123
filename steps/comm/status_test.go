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
	"github.com/imgflow/imgflow/internal/nettest"
)

// A machine that its maker says is down is not waited for, over SSH or WinRM; one
// that may come back is.
func TestDown(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"ssh", "winrm"} {
		for _, state := range []string{Stopped, Terminated} {
			t.Run(protocol+", "+state, func(t *testing.T) {
				t.Parallel()
				m := Machine{Endpoint: Endpoint{Protocol: protocol, Host: "127.0.0.1", Port: nettest.Closed().Port, Thing: "i-1"},
					SSH:   SSH{Username: "nobody", Password: "x", Timeout: time.Hour},
					WinRM: WinRM{Username: "nobody", Password: "x", Timeout: time.Hour}}
				l := newLab(t, m)
				asked := 0
				l.env.Status = func(context.Context, Endpoint) Status {
					if asked++; asked == 1 {
						return Status{}
					}
					return Status{State: state, Why: "for a reason"}
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				_, _, err := l.remote.Exec(ctx, "exit 0", nil)
				var d *DownError
				if !errors.As(err, &d) || d.State != state || HasStopped(err) != (state == Stopped) || !strings.Contains(err.Error(), "it is "+state+" (for a reason)") {
					t.Error(err)
				}
				if asked != 2 {
					t.Errorf("asked %d times", asked)
				}
			})
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
	l.env.Status = func(context.Context, Endpoint) Status { return Status{State: Stopped} }
	j := l.job("echo one; sleep 60")
	go func() {
		for l.sink.Offset(l.task.Token, "stdout") == 0 && t.Context().Err() == nil {
			time.Sleep(5 * time.Millisecond)
		}
		r.Close()
		down.Store(true)
	}()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := l.remote.Run(ctx, j)
	if !HasStopped(err) || strings.Contains(err.Error(), "the script goes on") {
		t.Error(err)
	}
	if got := l.lines(t, "stdout"); got != "one\n" {
		t.Errorf("%q", got)
	}
	e := NewEnv(nil)
	defer e.Close()
	here, _ := e.Remote(dagTask(newToken(), l.sink), s.machine())
	if err := here.Cancel(context.Background(), j); err != nil {
		t.Error(err)
	}
}

// What ends badly on a machine that is taken back has not failed; what ends well has ended, and a
// machine that nobody takes back is not asked for.
func TestEndOnAMachineThatIsTakenBack(t *testing.T) {
	taken := Status{State: Terminated, Why: "for want of room", Taken: true}
	for _, c := range []struct {
		name     string
		fleeting bool
		exit     Exit
		status   Status
		taken    bool
	}{
		{"taken back", true, Exit{Code: 143}, taken, true},
		{"ended well", true, Exit{}, taken, false},
		{"of another kind", false, Exit{Code: 143}, taken, false},
		{"still there", true, Exit{Code: 1}, Status{}, false},
		{"terminated by its owner", true, Exit{Code: 1}, Status{State: Terminated}, false},
	} {
		e := NewEnv(nil)
		e.Status = func(context.Context, Endpoint) Status { return c.status }
		x, err := e.ended(t.Context(), Machine{Endpoint: Endpoint{Fleeting: c.fleeting}}, c.exit)
		if got := errors.As(err, new(*dag.TakenError)); got != c.taken || !got && (x != c.exit || err != nil) {
			t.Errorf("%s: %+v, %v", c.name, x, err)
		}
	}
}
