package wsman

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"net"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	toyUser     = "Vagrant"
	toyPassword = "pässw0rd: \"<&>'€"
	otherUser   = "other"
)

// toy is a machine of a few commands.
type toy struct {
	mu      sync.Mutex
	svc     Service
	started []Program
	alive   int
	secret  string

	disabled bool
	barred   string // may not use WinRM
}

func (b *toy) Password(user string) (string, bool) {
	if strings.EqualFold(user, toyUser) || strings.EqualFold(user, otherUser) {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.secret, !b.disabled
	}
	return "", false
}

func (b *toy) MayUse(user string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !strings.EqualFold(user, b.barred)
}

func (b *toy) Service() Service {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.svc
}

func (b *toy) set(change func(*Service)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(&b.svc)
}

func (b *toy) password(p string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.secret = p
}

func (b *toy) running() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.alive
}

func (b *toy) last() Program {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.started[len(b.started)-1]
}

type toyProcess struct {
	done   chan struct{}
	code   int
	cancel context.CancelFunc
}

func (p *toyProcess) Wait() int { <-p.done; return p.code }
func (p *toyProcess) Kill()     { p.cancel() }

func (b *toy) Start(ctx context.Context, p Program) (Process, error) {
	word, rest, _ := strings.Cut(p.Line, " ")
	run := toyCommands[word]
	if run == nil {
		return nil, fmt.Errorf("cannot run %s: %w", word, fs.ErrNotExist)
	}
	ctx, cancel := context.WithCancel(ctx)
	t := &toyProcess{done: make(chan struct{}), cancel: cancel}
	b.mu.Lock()
	b.started = append(b.started, p)
	b.alive++
	b.mu.Unlock()
	go func() {
		defer close(t.done)
		t.code = run(ctx, p, rest)
		b.mu.Lock()
		b.alive--
		b.mu.Unlock()
	}()
	return t, nil
}

var toyCommands = map[string]func(ctx context.Context, p Program, arg string) int{
	"echo": func(_ context.Context, p Program, arg string) int {
		fmt.Fprintf(p.Stdout, "%s\r\n", arg)
		return 0
	},
	"err": func(_ context.Context, p Program, arg string) int {
		fmt.Fprintf(p.Stderr, "%s\r\n", arg)
		return 1
	},
	"both": func(_ context.Context, p Program, arg string) int {
		fmt.Fprint(p.Stdout, "out\r\n")
		fmt.Fprint(p.Stderr, "err\r\n")
		return 7
	},
	"exit": func(_ context.Context, p Program, arg string) int {
		n, _ := strconv.Atoi(arg)
		return n
	},
	"cat": func(_ context.Context, p Program, arg string) int {
		if _, err := io.Copy(p.Stdout, p.Stdin); err != nil {
			return 1
		}
		return 0
	},
	"wc": func(_ context.Context, p Program, arg string) int {
		n, _ := io.Copy(io.Discard, p.Stdin)
		fmt.Fprintf(p.Stdout, "%d", n)
		return 0
	},
	"powershell.exe": func(_ context.Context, p Program, arg string) int { return 0 },
	"sleep": func(ctx context.Context, p Program, arg string) int {
		d, _ := time.ParseDuration(arg)
		select {
		case <-ctx.Done():
			return 1
		case <-time.After(d):
			fmt.Fprint(p.Stdout, "slept")
			return 0
		}
	},
	// Like any program of Windows: it goes on until it is killed or its output breaks.
	"big": func(ctx context.Context, p Program, arg string) int {
		n, _ := strconv.Atoi(arg)
		w := bufio.NewWriterSize(p.Stdout, 5000)
		for i := range n {
			if _, err := w.Write([]byte{byte(i), byte(i >> 8), byte(i >> 16), byte(i >> 24)}); err != nil {
				return 1
			}
		}
		if w.Flush() != nil {
			return 1
		}
		return 0
	},
	"env": func(_ context.Context, p Program, arg string) int {
		var lines []string
		for k, v := range p.Env {
			lines = append(lines, k+"="+v)
		}
		sort.Strings(lines)
		fmt.Fprintf(p.Stdout, "%s\n%s", strings.Join(lines, "\n"), p.Dir)
		return 0
	},
}

func missing(t testing.TB, format string, a ...any) {
	t.Helper()
	msg := "NOT TESTED: " + fmt.Sprintf(format, a...)
	if os.Getenv("CI") == "true" {
		t.Fatal(msg)
	}
	t.Skip(msg)
}

// place is a server with both of its listeners.
type place struct {
	*toy
	s           *Server
	http, https string // host:port
	cert        tls.Certificate
	ca          []byte // PEM
}

func start(t testing.TB, change ...func(*Service)) *place {
	t.Helper()
	b := &toy{svc: Defaults(), secret: toyPassword}
	b.svc.Host = "WIN-TOY"
	b.svc.AllowUnencrypted, b.svc.Basic = true, true
	for _, c := range change {
		c(&b.svc)
	}
	p := &place{toy: b, s: New(b)}
	p.cert, p.ca = certificate(t)
	var wg sync.WaitGroup
	for _, l := range []struct {
		at  *string
		run func(net.Listener) error
	}{{&p.http, p.s.Serve}, {&p.https, func(l net.Listener) error { return p.s.ServeTLS(l, p.cert) }}} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		*l.at = listener.Addr().String()
		wg.Go(func() {
			if err := l.run(listener); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() {
		p.s.Close()
		wg.Wait()
		soon(t, "every process ended with the server", func() bool { return b.running() == 0 })
	})
	return p
}

// soon waits for what must come to be.
func soon(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func certificate(t testing.TB) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "WIN-TOY"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pemCert(der)
}
