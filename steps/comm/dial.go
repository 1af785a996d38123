package comm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/internal/sleep"
	"github.com/imgflow/imgflow/internal/usual"
	"golang.org/x/crypto/ssh"
)

// patience says how long to go on dialing.
type patience struct {
	total    time.Duration // 0: for ever
	attempts int           // refused logins that are borne; 0: any number
	first    bool          // the machine has never been reached
}

const (
	defaultTimeout  = 5 * time.Minute
	defaultAttempts = 10
	redialAttempts  = 30 // a machine that goes down or comes up may refuse logins that were good before
)

// firstPatience is for a machine that may still be booting. Each of the two
// limits has its default only when neither is set.
func (s SSH) firstPatience() patience {
	p := patience{s.Timeout, s.HandshakeAttempts, true}
	if p.total == 0 && p.attempts == 0 {
		p.total, p.attempts = defaultTimeout, defaultAttempts
	}
	return p
}

// redialPatience is for a machine that has been reached before.
func (s SSH) redialPatience() patience {
	p := patience{total: s.Timeout, attempts: redialAttempts}
	if p.total == 0 {
		p.total = defaultTimeout
	}
	return p
}

// untilSSH is how long Linux takes to answer from when EC2 says that its instance
// runs, as people have published it of many images.
var untilSSH = usual.Span{Lo: 3 * time.Second, Hi: 35 * time.Second}

// boots is what to call that time: of systems of one family where the machine is, and
// of all there. The family is the word that the name of the source image begins with.
func (m Machine) boots() []string {
	all := "ssh " + m.Place
	if loopback(m.Host) {
		all += " at this machine"
	}
	name := m.Vars["SourceAMIName"]
	family := name[:len(name)-len(strings.TrimLeftFunc(name, unicode.IsLetter))]
	if family == "" || len(family) > 20 {
		return []string{all}
	}
	return []string{all + " " + strings.ToLower(family), all}
}

// pause is how long to wait before the next attempt: no longer than a wait that grows,
// than is usual while a machine boots, or than there is time. Refusals are counted,
// and may need theirs.
func (p patience) pause(wait, elapsed time.Duration, usually usual.Span, err error) time.Duration {
	if p.first && !refused(err) {
		wait = min(wait, usually.Next(elapsed))
	}
	if p.total > 0 {
		wait = min(wait, max(0, p.total-elapsed)+time.Millisecond)
	}
	return wait
}

// Permanent is an error of a tunnel, say, that does not pass by waiting.
func Permanent(err error) error { return permanent{err} }

// permanent is an error that does not pass by waiting.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// refused reports whether a server, or the bastion, has answered and did not let us
// in.
//
// The library gives this error no type.
func refused(err error) bool {
	var b *bastionError
	if errors.As(err, &b) {
		err = b.err
	}
	text := strings.ToLower(err.Error())
	return strings.Contains(text, "unable to authenticate") || strings.Contains(text, "too many authentication failures")
}

func isPermanent(err error) bool {
	var p permanent
	var k *HostKeyError
	var a *ssh.AlgorithmNegotiationError
	return errors.As(err, &p) || errors.As(err, &k) || errors.As(err, &a) || errors.As(err, new(*DownError))
}

// dialUntil dials until the machine answers. It begins with short waits, and
// comes back to them whenever the failure changes: then the machine has come a
// step further, and the next one is near. One that boots is tried often when it
// usually is up.
func (e *Env) dialUntil(ctx context.Context, t *dag.Task, m Machine, p patience) (*sshConn, error) {
	begun, wait, refusals, last := time.Now(), time.Duration(0), 0, ""
	asked, usually := e.statusCheck(m, p.first), e.Times.Of(m.boots(), untilSSH)
	for {
		l, err, cut := e.dialWithin(ctx, t, m, begun, p.total)
		if err == nil {
			if err = l.forward(ctx, t, m.SSH, p.first); err == nil {
				return l, nil
			}
			l.close()
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if down := asked.down(ctx); down != nil {
			err = down
		}
		why := explain(err, m.SSH.login())
		if cut {
			why = cmp.Or(last, "no answer") // what it was about when our time was up
		}
		if isPermanent(err) {
			return nil, fmt.Errorf("cannot connect to %s: %w", m.label(), reason{why, err})
		}
		if refused(err) {
			if refusals++; p.attempts > 0 && refusals >= p.attempts {
				return nil, errcode.With(errcode.AuthRefused, fmt.Errorf("cannot connect to %s: %w (%d attempts)", m.label(), reason{why, err}, refusals))
			}
		}
		if p.total > 0 && time.Since(begun) >= p.total {
			code := errcode.ConnectTimeout
			if refused(err) {
				code = errcode.AuthRefused
			}
			return nil, errcode.With(code, fmt.Errorf("cannot connect to %s within %s: %w", m.label(), p.total, reason{why, err}))
		}
		if why != last {
			t.Detail("no SSH at %s yet: %s", m.address(), why)
			last, wait = why, 0
		}
		wait = min(max(250*time.Millisecond, wait*3/2), 5*time.Second)
		if err := sleep.For(ctx, p.pause(wait, time.Since(begun), usually, err)); err != nil {
			return nil, err
		}
	}
}

// dialWithin makes one attempt that takes no longer than what is left of the time, or
// a second; cut says that it was ended for that.
func (e *Env) dialWithin(ctx context.Context, t *dag.Task, m Machine, begun time.Time, total time.Duration) (l *sshConn, err error, cut bool) {
	if total <= 0 {
		l, err = e.dial(ctx, t, m)
		return l, err, false
	}
	within, cancel := context.WithTimeout(ctx, max(time.Second, total-time.Since(begun)))
	defer cancel()
	l, err = e.dial(within, t, m)
	return l, err, err != nil && within.Err() != nil && !isPermanent(err)
}

// reason is an error told in the user's words.
type reason struct {
	text string
	err  error
}

func (r reason) Error() string { return r.text }
func (r reason) Unwrap() error { return r.err }

// explain says in the user's words what a failed attempt means.
func explain(err error, who login) string {
	var dns *net.DNSError
	var ne net.Error
	var k *HostKeyError
	var a *ssh.AlgorithmNegotiationError
	var p permanent
	var b *bastionError
	switch {
	case errors.As(err, &b):
		return b.Error()
	case errors.As(err, &p):
		return p.Error()
	case errors.As(err, &k):
		return k.Error()
	case errors.As(err, &a):
		return "the server and imgflow have no algorithm in common: " + strings.TrimPrefix(a.Error(), "ssh: ") +
			"; see ssh_ciphers and ssh_key_exchange_algorithms"
	case refused(err):
		return fmt.Sprintf("the server does not let %s in: check %[2]susername and the key or password (%[2]sprivate_key_file, %[2]spassword, %[2]sagent_auth)", who.user, who.options)
	case errors.As(err, &dns):
		return "the name " + dns.Name + " cannot be resolved"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection is refused"
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the server hangs up during the handshake"
	case errors.As(err, &ne) && ne.Timeout():
		return "no answer"
	}
	return strings.TrimPrefix(strings.TrimPrefix(err.Error(), "ssh: handshake failed: "), "ssh: ")
}
