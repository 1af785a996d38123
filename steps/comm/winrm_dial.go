package comm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/internal/sleep"
	"github.com/imgflow/imgflow/steps/comm/wsman"
)

const (
	winrmTimeout = 30 * time.Minute
	winrmRequest = 30 * time.Second // what one request may take, beyond the time that the machine itself may

	// Logins that a machine may refuse: its user data may yet set the password.
	// Windows that was set up since October 2022 locks an account, Administrator's
	// too, after ten with less than ten minutes between them (KB5020282), and then
	// refuses the right password for ten more. The first wait is this, and each other
	// twice the one before: nine take eight and a half minutes.
	winrmLogins    = 9
	winrmLoginWait = 2 * time.Second

	winrmFailures = 10              // answers that make no sense, of a machine that was reached before: it may be starting;
	winrmNonsense = 5 * time.Minute // and for how long
)

// redialer is how long to go on with a machine that cannot be reached.
type redialer struct {
	t        *dag.Task
	m        Machine
	total    time.Duration
	first    bool // the machine has never been reached
	begun    time.Time
	refused  int           // logins of a kind that the machine offers
	slow     time.Duration // the wait after the last of them
	oddSince time.Time     // since when answers make no sense
	odd      int
	wait     time.Duration
	last     string
	asked    *statusCheck
}

func (r *winremote) redialer(first bool) *redialer {
	p := &redialer{t: r.t, m: r.m, total: r.m.WinRM.Timeout, first: first, begun: time.Now(), asked: r.env.statusCheck(r.m, first)}
	if p.total == 0 {
		p.total = winrmTimeout
	}
	return p
}

// heard says that the machine was there.
func (p *redialer) heard() {
	p.begun, p.refused, p.slow, p.odd, p.wait, p.last = time.Now(), 0, 0, 0, 0, ""
}

// again waits before the next attempt, or says why there is none. The waits
// begin anew whenever the failure changes: the machine has come a step further.
func (p *redialer) again(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if !errors.As(err, new(permanent)) {
		if down := p.asked.down(ctx); down != nil {
			return down
		}
	}
	var auth *wsman.AuthError
	var cert *wsman.CertificateError
	var net *wsman.NetError
	var web *wsman.HTTPError
	why := winrmReason(err)
	if errors.Is(err, context.DeadlineExceeded) && !errors.As(err, &net) && p.last != "" {
		why = p.last // what it was about when our time was up
	}
	login := errors.As(err, &auth) && offered(auth)
	switch {
	case errors.As(err, new(permanent)), errors.As(err, &cert), errors.Is(err, wsman.ErrUnencrypted):
		return reason{why, err}
	case login:
		if p.refused++; p.refused >= winrmLogins {
			return reason{fmt.Sprintf("%s (%d times, and more could lock the account)", why, p.refused), err}
		}
	case auth != nil, errors.As(err, &net), errors.As(err, &web): // it starts, or is not set up yet
	default:
		if p.odd++; p.odd == 1 {
			p.oddSince = time.Now()
		}
		if p.odd >= winrmFailures && time.Since(p.oddSince) >= winrmNonsense && !p.first {
			return reason{fmt.Sprintf("%s (%d attempts)", why, p.odd), err}
		}
	}
	left := p.total - time.Since(p.begun)
	if left <= 0 {
		code := errcode.ConnectTimeout
		if auth != nil {
			code = errcode.AuthRefused
		}
		return errcode.With(code, reason{fmt.Sprintf("not reached within %s: %s", p.total, why), err})
	}
	if why != p.last {
		if p.first {
			p.t.Detail("no WinRM at %s yet: %s", p.m.address(), why)
		} else {
			p.t.Detail("connection to %s lost (%s), trying again", p.m.label(), why)
		}
		p.last, p.wait = why, 0
	}
	p.wait = min(max(250*time.Millisecond, p.wait*3/2), 5*time.Second)
	if login {
		p.slow = max(winrmLoginWait, 2*p.slow)
		p.wait = p.slow
	}
	return sleep.For(ctx, min(p.wait, left+time.Millisecond))
}

// offered reports whether the machine would have taken a login of this kind.
func offered(e *wsman.AuthError) bool {
	want := "Basic"
	if e.NTLM {
		want = "Negotiate"
	}
	return slices.ContainsFunc(e.Offers, func(o string) bool { return strings.EqualFold(o, want) })
}

// winrmReason says in the user's words what a failed attempt means.
func winrmReason(err error) string {
	var ne *wsman.NetError
	switch {
	case errors.As(err, &ne):
		return ne.Why
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer"
	}
	return err.Error()
}

// winrm waits until a machine runs our commands, and pins its certificate if
// nobody vouches for it.
func (s Connect) winrm(ctx context.Context, e *Env, t *dag.Task, m Machine) (Machine, error) {
	m.WinRM = s.WinRM
	if m.WinRM.Password == "" && s.Login.Set() {
		m.WinRM.Password = dag.Secret(dag.Mark(s.Login.Value().Password))
	}
	if m.WinRM.Host != "" {
		m.Host = m.WinRM.Host
	}
	if m.WinRM.Port != 0 {
		m.Port = m.WinRM.Port
	}
	if m.Port == 0 {
		m.Port = 5985
		if m.WinRM.UseSSL {
			m.Port = 5986
		}
	}
	t.Say("waiting for WinRM at %s", m.address())
	if !m.WinRM.UseSSL && !m.WinRM.UseNTLM && !loopback(m.Host) && m.Tunnel.Name == "" {
		t.Warn("the password and all else go to %s unencrypted: set winrm_use_ssl or winrm_use_ntlm", m.label())
	}
	var cert string
	for {
		var err error
		if cert, err = ready(ctx, &winremote{env: e, t: t, m: m}); err != nil {
			if ctx.Err() != nil {
				return Machine{}, ctx.Err()
			}
			return Machine{}, e.withConsole(ctx, m, fmt.Errorf("cannot connect to %s: %w", m.label(), err))
		}
		if s.Pause <= 0 {
			break
		}
		t.Say("waiting %s before connecting", s.Pause)
		if err := sleep.For(ctx, s.Pause); err != nil {
			return Machine{}, err
		}
		s.Pause = 0
	}
	if m.WinRM.Insecure && m.WinRM.UseSSL && len(m.HostKeys) == 0 && cert != "" {
		t.Warn("nobody vouches for the certificate of %s; trusting %s from now on", m.label(), cert)
		m.HostKeys = []string{cert}
	}
	t.Say("connected")
	return m, nil
}

// ready returns when a script has really run, with the certificate that the
// machine then showed, if it did.
func ready(ctx context.Context, r *winremote) (cert string, err error) {
	p := r.redialer(true)
	for {
		cert, err := r.probe(ctx, p)
		if err == nil {
			return cert, nil
		}
		if err := p.again(ctx, err); err != nil {
			return "", err
		}
	}
}

// probe makes one attempt, for no longer than the redialer has left.
func (r *winremote) probe(ctx context.Context, p *redialer) (cert string, err error) {
	c, err := r.client()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, max(time.Second, p.total-time.Since(p.begun)))
	defer cancel()
	defer hangUp(c)
	if _, err = call(ctx, c, "'{}'", code("{}")); err != nil {
		return "", err
	}
	return c.Certificate(), nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
