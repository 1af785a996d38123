package wsman

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bodgit/ntlmssp"
)

const (
	maxReply = 1 << 20 // twice what we tell the machine to send at most
	maxIdle  = 16

	// A connection that was not used for so long is made anew. Windows closes
	// them after two minutes, and what is sent meanwhile may be lost.
	keepTime = time.Minute
)

var errDropped = errors.New("the connection that was logged in is gone")

// pool keeps the connections that are not in use.
type pool struct {
	mu   sync.Mutex
	idle []*pooledConn
}

func (p *pool) take() *pooledConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	l := p.idle[n-1]
	p.idle = p.idle[:n-1]
	return l
}

func (p *pool) put(l *pooledConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) >= maxIdle {
		l.http.CloseIdleConnections()
		return
	}
	p.idle = append(p.idle, l)
}

func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.idle {
		l.http.CloseIdleConnections()
	}
	p.idle = nil
}

// pooledConn is one connection: NTLM logs in connections, and its keys are one's own.
type pooledConn struct {
	c       *Client
	http    *http.Transport
	used    bool // it has answered to us
	login   atomic.Bool
	session *ntlmssp.SecuritySession // for sealing, nil without
}

func (c *Client) newConn() *pooledConn {
	l := &pooledConn{c: c}
	dialer := &net.Dialer{
		Timeout:         c.o.Timeout,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 4},
	}
	l.http = &http.Transport{
		Proxy: c.proxy,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if l.login.Load() {
				return nil, errDropped
			}
			var conn net.Conn
			var err error
			if c.o.Dial != nil {
				conn, err = c.o.Dial(ctx)
			} else {
				conn, err = dialer.DialContext(ctx, network, address)
			}
			if err != nil {
				return nil, err
			}
			return &counted{Conn: conn, c: c}, nil
		},
		TLSClientConfig:        c.trust.config(),
		TLSHandshakeTimeout:    c.o.Timeout,
		MaxConnsPerHost:        1,
		IdleConnTimeout:        keepTime,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true,
	}
	return l
}

// counted is a connection whose bytes are counted.
type counted struct {
	net.Conn
	c *Client
}

func (n *counted) Read(p []byte) (int, error) {
	k, err := n.Conn.Read(p)
	n.c.stats.received.Add(int64(k))
	return k, err
}

func (n *counted) Write(p []byte) (int, error) {
	k, err := n.Conn.Write(p)
	n.c.stats.sent.Add(int64(k))
	return k, err
}

// post sends a message and returns the envelope that came back, be it a fault.
// The message is sent again only when it is sure that it was not looked at.
func (c *Client) post(ctx context.Context, message []byte, wait time.Duration) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	limit := wait + c.o.Timeout
	timed, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		l := c.lines.take()
		fresh := l == nil
		if fresh {
			l = c.newConn()
		}
		body, err := l.post(timed, message)
		if err == nil {
			c.lines.put(l)
			return body, nil
		}
		l.http.CloseIdleConnections()
		// Logins end with their connections, and machines end logins: neither
		// has anything to do with the message.
		if auth := (*AuthError)(nil); !fresh && c.o.NTLM && (errors.Is(err, errDropped) || errors.As(err, &auth)) {
			continue
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if broken := (brokenError{}); errors.As(err, &broken) {
			err = c.explain(broken.error, limit, l.used)
		}
		return nil, err
	}
}

// post sends one message over one connection. If it fails, the connection is of
// no use any more.
func (l *pooledConn) post(ctx context.Context, message []byte) ([]byte, error) {
	c := l.c
	if c.o.NTLM && !l.login.Load() {
		if err := l.logIn(ctx); err != nil {
			return nil, err
		}
	}
	kind := soapType
	sealed := c.o.NTLM && !c.o.TLS
	if sealed {
		var err error
		if message, err = seal(l.session, message); err != nil {
			return nil, fmt.Errorf("cannot send anything to %s: %w", c.address, err)
		}
		kind = sealType
	}
	var head http.Header
	if !c.o.NTLM {
		head = http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(c.o.User+":"+c.o.Password))}}
	}
	r, body, err := l.do(ctx, head, kind, message)
	if err != nil {
		return nil, err
	}
	if r.StatusCode != http.StatusOK && r.StatusCode != http.StatusInternalServerError {
		return nil, c.refused(r, body)
	}
	if sealed {
		switch {
		case r.StatusCode == http.StatusInternalServerError && len(body) == 0:
			return nil, c.refused(r, body) // there is nothing in it to be sealed or trusted
		case !isSealed(r.Header.Get("Content-Type")):
			return nil, c.unencrypted("it answered a sealed message with one that is not sealed (HTTP %d, %s)", r.StatusCode, kindOf(r))
		}
		if body, err = unseal(l.session, body); err != nil {
			return nil, c.unencrypted("its answer cannot be trusted: %v", err)
		}
	} else if len(body) == 0 || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/soap+xml") {
		return nil, c.refused(r, body)
	}
	c.trust.answered(r.TLS)
	return body, nil
}

// logIn makes the NTLM handshake, with requests that carry nothing else.
func (l *pooledConn) logIn(ctx context.Context) error {
	c := l.c
	sealed := !c.o.TLS
	side, err := c.ntlm()
	if err != nil {
		return fmt.Errorf("cannot log in to %s: %w", c.address, err)
	}
	token, err := side.Authenticate(nil, nil)
	if err != nil {
		return fmt.Errorf("cannot log in to %s: %w", c.address, err)
	}
	r, body, err := l.negotiate(ctx, token)
	if err != nil {
		return err
	}
	challenge, ok := challengeOf(r)
	switch {
	case r.StatusCode == http.StatusOK:
		return c.unencrypted("it asks for no login, so there are no keys to seal anything with")
	case r.StatusCode != http.StatusUnauthorized || !ok:
		return c.refused(r, body)
	}
	l.login.Store(true) // from here on another connection would be another login
	if err := checkChallenge(challenge); err != nil {
		return fmt.Errorf("cannot log in to %s: %w", c.address, err)
	}
	if sealed && !canSeal(challenge) {
		return c.unencrypted("it does not agree to seal messages with keys of 128 bits (flags %08x)", challengeFlags(challenge))
	}
	var bound *ntlmssp.ChannelBindings
	if r.TLS != nil {
		bound = bindings(r.TLS.PeerCertificates[0])
	}
	if token, err = side.Authenticate(challenge, bound); err != nil {
		return fmt.Errorf("cannot log in to %s: its NTLM challenge cannot be used: %w", c.address, err)
	}
	if r, body, err = l.negotiate(ctx, token); err != nil {
		return err
	}
	if r.StatusCode != http.StatusOK {
		return c.refused(r, body)
	}
	if sealed {
		l.session = side.SecuritySession()
	}
	return nil
}

func (l *pooledConn) negotiate(ctx context.Context, token []byte) (*http.Response, []byte, error) {
	return l.do(ctx, http.Header{"Authorization": {"Negotiate " + base64.StdEncoding.EncodeToString(token)}}, soapType, nil)
}

// challengeOf is the token that a 401 brings.
func challengeOf(r *http.Response) ([]byte, bool) {
	for _, v := range r.Header.Values("WWW-Authenticate") {
		scheme, token, _ := strings.Cut(v, " ")
		if raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(token)); strings.EqualFold(scheme, "Negotiate") && err == nil && len(raw) > 0 {
			return raw, true
		}
	}
	return nil, false
}

// do makes one HTTP request and reads the answer whole.
func (l *pooledConn) do(ctx context.Context, head http.Header, kind string, body []byte) (*http.Response, []byte, error) {
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { l.c.stats.requests.Add(1) }})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.c.url, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	if head != nil {
		req.Header = head
	}
	req.Header.Set("Content-Type", kind)
	req.Header.Set("User-Agent", "imgflow")
	r, err := l.http.RoundTrip(req)
	if err != nil {
		return nil, nil, brokenError{err}
	}
	defer r.Body.Close()
	got, err := io.ReadAll(io.LimitReader(r.Body, maxReply+1))
	if err != nil {
		return nil, nil, brokenError{err}
	}
	if len(got) > maxReply {
		return nil, nil, brokenError{errLarge}
	}
	l.used = true
	return r, got, nil
}
