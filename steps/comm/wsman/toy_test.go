package wsman

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	server "github.com/imgflow/imgflow/internal/winguest/wsman"
)

const (
	toyUser     = "Administrator"
	toyPassword = `pä$$w0rd: "<&>'€`
)

// toy is a machine of a few commands.
type toy struct {
	mu       sync.Mutex
	svc      server.Service
	password string
	commands []string // that were started
	alive    int
}

func (b *toy) Password(user string) (string, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.password, strings.EqualFold(user, toyUser)
}

func (b *toy) Service() server.Service {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.svc
}

func (b *toy) started() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.commands
}

func (b *toy) running() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.alive
}

type toyProcess struct {
	done   chan struct{}
	code   int
	cancel context.CancelFunc
}

func (p *toyProcess) Wait() int { <-p.done; return p.code }
func (p *toyProcess) Kill()     { p.cancel() }

func (b *toy) Start(ctx context.Context, p server.Program) (server.Process, error) {
	word, rest, _ := strings.Cut(p.Line, " ")
	run := toyCommands[word]
	if run == nil || p.ConsoleStdin || p.SkipCmd {
		return nil, fmt.Errorf("cannot run %s: %w", word, fs.ErrNotExist)
	}
	b.mu.Lock()
	b.commands = append(b.commands, p.Line)
	b.alive++
	b.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	t := &toyProcess{done: make(chan struct{}), cancel: cancel}
	go func() {
		defer close(t.done)
		t.code = run(ctx, p, rest)
		b.mu.Lock()
		defer b.mu.Unlock()
		b.alive--
	}()
	return t, nil
}

var toyCommands = map[string]func(ctx context.Context, p server.Program, arg string) int{
	"echo": func(_ context.Context, p server.Program, arg string) int { fmt.Fprint(p.Stdout, arg); return 0 },
	"both": func(_ context.Context, p server.Program, arg string) int {
		fmt.Fprint(p.Stdout, "out")
		fmt.Fprint(p.Stderr, "err")
		return 7
	},
	"exit": func(_ context.Context, p server.Program, arg string) int { n, _ := strconv.Atoi(arg); return n },
	"cat":  func(_ context.Context, p server.Program, arg string) int { io.Copy(p.Stdout, p.Stdin); return 0 },
	"hold": func(ctx context.Context, p server.Program, arg string) int { <-ctx.Done(); return 1 },
	"nap": func(ctx context.Context, p server.Program, arg string) int {
		d, _ := time.ParseDuration(arg)
		select {
		case <-ctx.Done():
		case <-time.After(d):
		}
		return 0
	},
}

// place is a machine with both of its listeners.
type place struct {
	*toy
	s           *server.Server
	http, https string
	cert        tls.Certificate
	ca          []byte
}

func start(t testing.TB, change ...func(*server.Service)) *place {
	t.Helper()
	b := &toy{svc: server.Defaults(), password: toyPassword}
	b.svc.Host = "WIN-TOY"
	b.svc.AllowUnencrypted, b.svc.Basic = true, true
	for _, c := range change {
		c(&b.svc)
	}
	p := &place{toy: b}
	p.cert, p.ca = certificate(t, "WIN-TOY", time.Hour, net.IPv4(127, 0, 0, 1))
	p.boot(t, "127.0.0.1:0", "127.0.0.1:0")
	return p
}

// boot listens until the test or the server ends.
func (p *place) boot(t testing.TB, plain, secure string) {
	t.Helper()
	s := server.New(p.toy)
	p.s = s
	var wg sync.WaitGroup
	for _, l := range []struct {
		at  *string
		on  string
		run func(net.Listener) error
	}{{&p.http, plain, s.Serve}, {&p.https, secure, func(l net.Listener) error { return s.ServeTLS(l, p.cert) }}} {
		listener, err := net.Listen("tcp", l.on)
		if err != nil {
			t.Fatal(err)
		}
		*l.at = listener.Addr().String()
		wg.Go(func() { l.run(listener) })
	}
	t.Cleanup(func() { s.Close(); wg.Wait() })
}

// certificate is one that is signed by itself.
func certificate(t testing.TB, name string, life time.Duration, ips ...net.IP) (tls.Certificate, []byte) {
	t.Helper()
	return signed(t, nil, name, life, ips...)
}

func signed(t testing.TB, by *tls.Certificate, name string, life time.Duration, ips ...net.IP) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(life), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: ips, DNSNames: []string{name},
	}
	parent, signer := template, any(key)
	if by != nil {
		if parent, err = x509.ParseCertificate(by.Certificate[0]); err != nil {
			t.Fatal(err)
		}
		signer = by.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// ways are all there are.
var ways = []struct {
	name      string
	ntlm, tls bool
}{{"Basic", false, false}, {"NTLM, sealed", true, false}, {"Basic over TLS", false, true}, {"NTLM over TLS", true, true}}

func dial(t testing.TB, address string, o Options) *Client {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	if o.Host == "" {
		o.Host = host
	}
	o.Port, _ = strconv.Atoi(port)
	if o.User == "" {
		o.User = toyUser
	}
	if o.Password == "" {
		o.Password = toyPassword
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.lines.close)
	return c
}

func (p *place) client(t testing.TB, ntlm, tls bool, change ...func(*Options)) *Client {
	t.Helper()
	at, o := p.http, Options{NTLM: ntlm, TLS: tls, CAs: p.ca}
	if tls {
		at = p.https
	}
	for _, c := range change {
		c(&o)
	}
	return dial(t, at, o)
}

// run is a whole command.
func run(ctx context.Context, c *Client, command, stdin string) (stdout, stderr string, code int, err error) {
	k, err := c.Start(ctx, command)
	if err != nil {
		return "", "", 0, err
	}
	defer k.Close(ctx)
	sent := make(chan error, 1)
	if sent <- nil; stdin != "" {
		<-sent
		go func() { sent <- k.Send(ctx, []byte(stdin), true) }()
	}
	var o, e bytes.Buffer
	for {
		out, err := k.Receive(ctx)
		if err != nil {
			return "", "", 0, err
		}
		o.Write(out.Stdout)
		e.Write(out.Stderr)
		if out.Done {
			return o.String(), e.String(), out.Code, <-sent
		}
	}
}

func mustRun(t testing.TB, c *Client, command, stdin string) (string, string, int) {
	t.Helper()
	stdout, stderr, code, err := run(t.Context(), c, command, stdin)
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	return stdout, stderr, code
}

// wire is between a client and a machine. It sees each request and each answer
// whole, and may change them or cut the connection by returning false.
type wire struct {
	address  string
	request  func(r *http.Request, body []byte) ([]byte, bool)
	response func(r *http.Response, body []byte) ([]byte, bool)

	mu  sync.Mutex
	log bytes.Buffer // all that went there
}

func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(p)
}

func (w *wire) went() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return bytes.Clone(w.log.Bytes())
}

func between(t testing.TB, machine string, w *wire) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	w.address = l.Addr().String()
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", machine)
			if err != nil {
				near.Close()
				continue
			}
			go w.carry(near, far)
		}
	}()
	return w
}

func (w *wire) carry(near, far net.Conn) {
	defer near.Close()
	defer far.Close()
	in, back := bufio.NewReader(io.TeeReader(near, w)), bufio.NewReader(far)
	for {
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		if w.request != nil {
			var ok bool
			if body, ok = w.request(req, body); !ok {
				return
			}
		}
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		if req.Write(far) != nil {
			return
		}
		resp, err := http.ReadResponse(back, req)
		if err != nil {
			return
		}
		if body, err = io.ReadAll(resp.Body); err != nil {
			return
		}
		if w.response != nil {
			var ok bool
			if body, ok = w.response(resp, body); !ok {
				return
			}
		}
		resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		if resp.Write(near) != nil {
			return
		}
	}
}
