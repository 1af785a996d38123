package comm

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
	"golang.org/x/net/proxy"
)

const (
	dialTimeout       = 5 * time.Second // for one TCP connection: a booting machine drops what comes too early
	handshakeTimeout  = time.Minute
	answerTimeout     = 2 * time.Minute // where a person answers; OpenSSH hangs up then
	keepAliveInterval = 5 * time.Second
	maxSessions       = 8 // OpenSSH allows 10 on a connection unless told otherwise
)

// sshConn is one live SSH connection.
type sshConn struct {
	client  *ssh.Client
	conn    *quietConn
	hostKey string        // what the server showed
	done    chan struct{} // closed when the connection has ended
	slots   chan struct{}

	mu     sync.Mutex
	files  *sftp.Client
	noSFTP bool // the server has no such subsystem
}

func (l *sshConn) dead() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

// broke reports whether the connection is the reason why something failed. A
// channel learns of it a moment before the connection does.
func (l *sshConn) broke() bool {
	select {
	case <-l.done:
		return true
	case <-time.After(50 * time.Millisecond):
		return false
	}
}

func (l *sshConn) close() {
	l.conn.Close() // first: closing in good order waits for a peer that may be gone
	l.client.Close()
}

// session opens one session. Release must be called when it is not used any more.
func (l *sshConn) session(ctx context.Context) (s *ssh.Session, release func(), err error) {
	return opened(ctx, l, l.client.NewSession)
}

// opened takes a channel that open opens, when there is room for one.
func opened[T io.Closer](ctx context.Context, l *sshConn, open func() (T, error)) (ch T, release func(), err error) {
	var none T
	select {
	case l.slots <- struct{}{}:
	case <-l.done:
		return none, nil, errConnLost
	case <-ctx.Done():
		return none, nil, ctx.Err()
	}
	type result struct {
		ch  T
		err error
	}
	c := make(chan result, 1)
	go func() {
		ch, err := open()
		c <- result{ch, err}
	}()
	free := func() { <-l.slots }
	select {
	case o := <-c:
		if o.err != nil {
			free()
			return none, nil, o.err
		}
		return o.ch, sync.OnceFunc(func() { o.ch.Close(); free() }), nil
	case <-l.done: // one that is asked for while the connection ends may never be answered
		return none, nil, errConnLost
	case <-ctx.Done():
		go func() {
			if o := <-c; o.err == nil {
				o.ch.Close()
			}
			free()
		}()
		return none, nil, ctx.Err()
	}
}

var errConnLost = errors.New("the connection is lost")

// quietConn remembers when the peer was last heard of.
type quietConn struct {
	net.Conn
	heard atomic.Int64 // Unix nanoseconds
	idle  atomic.Int64 // nanoseconds that each read and write may take, 0 for any
}

func (c *quietConn) Read(b []byte) (int, error) {
	if d := c.idle.Load(); d > 0 {
		c.SetReadDeadline(time.Now().Add(time.Duration(d)))
	}
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.heard.Store(time.Now().UnixNano())
	}
	return n, err
}

func (c *quietConn) Write(b []byte) (int, error) {
	if d := c.idle.Load(); d > 0 {
		c.SetWriteDeadline(time.Now().Add(time.Duration(d)))
	}
	return c.Conn.Write(b)
}

// bufferedConn reads as much as there is. The library would ask for 4 KiB and then
// for the rest of each packet.
type bufferedConn struct {
	net.Conn
	r *bufio.Reader
}

func (c bufferedConn) Read(b []byte) (int, error) { return c.r.Read(b) }

func (c *quietConn) quiet() time.Duration {
	return time.Since(time.Unix(0, c.heard.Load()))
}

// keepAlive asks a silent peer for a sign of life and closes the connection when
// there is none: one that is only half open would never tell.
func (l *sshConn) keepAlive(interval time.Duration) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	asking := make(chan struct{}, 1)
	for {
		select {
		case <-l.done:
			return
		case <-tick.C:
		}
		switch q := l.conn.quiet(); {
		case q > 3*interval:
			l.close()
			return
		case q > interval/2:
			select {
			case asking <- struct{}{}:
				go func() {
					l.client.SendRequest("keepalive@openssh.com", true, nil)
					<-asking
				}()
			default: // the last question is still open
			}
		}
	}
}

// dial makes one connection to the machine, without patience.
func (e *Env) dial(ctx context.Context, t *dag.Task, m Machine) (*sshConn, error) {
	var via *sshConn
	connect := (&net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}).DialContext
	switch s := m.SSH; {
	case m.Tunnel.Name != "":
		connect = func(ctx context.Context, _, _ string) (net.Conn, error) { return e.Tunnel(ctx, m.Endpoint) }
	case s.BastionHost != "":
		b, err := e.bastion(ctx, t, m)
		if err != nil {
			return nil, err
		}
		via, connect = b, b.client.DialContext
	case s.ProxyHost != "":
		p, err := socks(t, s)
		if err != nil {
			return nil, err
		}
		connect = p.DialContext
	}
	l, err := e.handshake(ctx, t, connect, m.address(), m.SSH.login(), m.HostKeys, m.SSH)
	if err != nil {
		if via != nil {
			via.close()
		}
		return nil, err
	}
	if via != nil {
		go func() { <-l.done; via.close() }()
	}
	return l, nil
}

// bastion is the jump host as a machine.
func (s SSH) bastion() Machine {
	port := s.BastionPort
	if port == 0 {
		port = 22
	}
	return Machine{Endpoint: Endpoint{Host: s.BastionHost, Port: port}, SSH: SSH{Username: s.BastionUsername}}
}

// bastion connects to the jump host. A key that is not known is pinned.
func (e *Env) bastion(ctx context.Context, t *dag.Task, m Machine) (*sshConn, error) {
	s, b := m.SSH, m.SSH.bastion()
	slot, err := e.slot(b)
	if err != nil {
		return nil, err
	}
	keys := s.BastionHostKeys
	if len(keys) == 0 {
		keys = slot.pinned()
	}
	d := &net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}
	l, err := e.handshake(ctx, t, d.DialContext, b.address(), s.bastionLogin(), keys, s)
	if err != nil {
		if refused(err) {
			e.forget(s.BastionHost)
		}
		return nil, &bastionError{s.BastionHost, s.bastionLogin(), err}
	}
	if len(keys) == 0 {
		t.Warn("the host key of the bastion %s is not known; trusting %s from now on", s.BastionHost, fingerprint(l.hostKey))
		slot.pin(l.hostKey)
	}
	return l, nil
}

// bastionError is a failure on the way, not at the machine.
type bastionError struct {
	host string
	who  login
	err  error
}

func (e *bastionError) Error() string {
	return "the bastion " + e.host + " cannot be reached: " + explain(e.err, e.who)
}
func (e *bastionError) Unwrap() error { return e.err }

func socks(t *dag.Task, s SSH) (proxy.ContextDialer, error) {
	port := s.ProxyPort
	if port == 0 {
		port = 1080
	}
	var auth *proxy.Auth
	if s.ProxyUsername != "" {
		pw, err := t.Reveal(s.ProxyPassword)
		if err != nil {
			return nil, permanent{err}
		}
		auth = &proxy.Auth{User: s.ProxyUsername, Password: pw}
	}
	d, err := proxy.SOCKS5("tcp", net.JoinHostPort(s.ProxyHost, strconv.Itoa(port)), auth, &net.Dialer{Timeout: dialTimeout})
	if err != nil {
		return nil, err
	}
	return d.(proxy.ContextDialer), nil
}

func (e *Env) handshake(ctx context.Context, t *dag.Task, connect func(context.Context, string, string) (net.Conn, error), addr string, who login, known []string, s SSH) (*sshConn, error) {
	// A server bears a few wrong keys on a connection (OpenSSH 6) and then hangs up.
	// The agent's other keys are shown on the next ones.
	for o := (&shownKeys{}); ; o.skip = o.last {
		l, err := e.dialOnce(ctx, t, connect, addr, who, o, known, s)
		if err == nil || ctx.Err() != nil || o.last == o.skip || !hungUp(err) {
			return l, err
		}
	}
}

// hungUp reports whether the server has ended the connection.
func hungUp(err error) bool {
	return strings.Contains(err.Error(), "ssh: disconnect") || errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// dialOnce makes one connection.
func (e *Env) dialOnce(ctx context.Context, t *dag.Task, connect func(context.Context, string, string) (net.Conn, error), addr string, who login, o *shownKeys, known []string, s SSH) (*sshConn, error) {
	l := &sshConn{done: make(chan struct{}), slots: make(chan struct{}, maxSessions)}
	check, algos, err := verifier(addr, known, &l.hostKey)
	if err != nil {
		return nil, permanent{err}
	}
	tc, err := connect(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	// Keys and agent are only asked for when somebody answers.
	auth, authDone, err := e.methods(ctx, t, who, o)
	if err != nil {
		tc.Close()
		return nil, permanent{err}
	}
	defer authDone()
	l.conn = &quietConn{Conn: tc}
	l.conn.heard.Store(time.Now().UnixNano())
	conf := &ssh.ClientConfig{
		Config:            ssh.Config{Ciphers: s.Ciphers, KeyExchanges: s.KeyExchanges},
		User:              who.user,
		Auth:              auth,
		HostKeyCallback:   check,
		HostKeyAlgorithms: algos,
		ClientVersion:     "SSH-2.0-imgflow",
	}
	within := handshakeTimeout
	if who.asks != "" {
		within = answerTimeout
	}
	tc.SetDeadline(time.Now().Add(within))
	stop := context.AfterFunc(ctx, func() { tc.Close() })
	c, chans, reqs, err := ssh.NewClientConn(bufferedConn{l.conn, bufio.NewReaderSize(l.conn, 4*block)}, addr, conf)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		tc.Close()
		return nil, err
	}
	tc.SetDeadline(time.Time{})
	if d := s.ReadWriteTimeout; d > 0 {
		l.conn.idle.Store(int64(d))
		tc.SetReadDeadline(time.Now().Add(d)) // a read is under way
	}
	l.client = ssh.NewClient(c, chans, reqs)
	go func() {
		l.client.Wait()
		close(l.done)
	}()
	switch interval := s.KeepAliveInterval; {
	case interval == 0:
		go l.keepAlive(keepAliveInterval)
	case interval > 0:
		go l.keepAlive(interval)
	}
	return l, nil
}
