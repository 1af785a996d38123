package wsman

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	server "github.com/imgflow/imgflow/internal/winguest/wsman"
)

func TestWays(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			p := start(t, func(s *server.Service) {
				s.Basic, s.Negotiate = !way.ntlm, way.ntlm
				s.AllowUnencrypted = !way.ntlm && !way.tls
				s.CbtHardening = server.CbtStrict
			})
			c := p.client(t, way.ntlm, way.tls)
			if o, e, code := mustRun(t, c, "both", ""); o != "out" || e != "err" || code != 7 {
				t.Errorf("both: %q, %q, %d", o, e, code)
			}
			const odd = `ä"<&>' ]]> 日本 😀 $x %PATH% &amp;`
			if o, _, _ := mustRun(t, c, "echo "+odd, ""); o != odd {
				t.Errorf("echo: %q", o)
			}
			for _, n := range []int{0, 1, 255, 3010, -1, -1073741510} {
				if _, _, code := mustRun(t, c, fmt.Sprint("exit ", n), ""); code != n {
					t.Errorf("exit %d: %d", n, code)
				}
			}
			data := make([]byte, 1500000)
			rand.New(rand.NewSource(1)).Read(data)
			if o, _, _ := mustRun(t, c, "cat", string(data)); o != string(data) {
				t.Errorf("cat: %d bytes of %d, or others", len(o), len(data))
			}
			if o, _, _ := mustRun(t, c, "echo "+strings.Repeat("x", MaxCommand-5), ""); len(o) != MaxCommand-5 {
				t.Errorf("a long command printed %d bytes", len(o))
			}
			if way.tls != (c.Certificate() != "") {
				t.Errorf("the certificate is %q", c.Certificate())
			}
			if err := c.Close(t.Context()); err != nil {
				t.Error(err)
			}
			if o, _, _ := mustRun(t, c, "echo again", ""); o != "again" {
				t.Errorf("after Close: %q", o)
			}
		})
	}
}

func TestUserNames(t *testing.T) {
	p := start(t)
	for _, way := range ways {
		for _, name := range []string{"administrator", `WIN-TOY\Administrator`, `.\Administrator`, "Administrator@WIN-TOY"} {
			c := p.client(t, way.ntlm, way.tls, func(o *Options) { o.User = name })
			if o, _, _ := mustRun(t, c, "echo hi", ""); o != "hi" {
				t.Errorf("%s as %s: %q", way.name, name, o)
			}
		}
	}
}

// The numbers of doc.go.
func TestCost(t *testing.T) {
	for _, way := range ways {
		p := start(t)
		c := p.client(t, way.ntlm, way.tls)
		before := int64(1) // Create
		if way.ntlm {
			before += 2
		}
		for range 3 {
			k, err := c.Start(t.Context(), "cat")
			if err != nil {
				t.Fatal(err)
			}
			if err := k.Send(t.Context(), make([]byte, 1<<20), true); err != nil {
				t.Fatal(err)
			}
			receives, got := int64(0), 0
			for done := false; !done; receives++ {
				out, err := k.Receive(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				got, done = got+len(out.Stdout), out.Done
			}
			if err := k.Close(t.Context()); err != nil || got != 1<<20 {
				t.Fatal(got, err)
			}
			before += 1 + 3 + receives + 1
			if n := c.Stats().Requests; n != before {
				t.Errorf("%s: %d requests, want %d", way.name, n, before)
			}
			if receives > 7 {
				t.Errorf("%s: %d requests for 1 MiB of output", way.name, receives)
			}
		}
		s := c.Stats()
		if most := int64(3<<20) * 136 / 100; s.Sent < 3<<20 || s.Sent > most || s.Received < 3<<20 || s.Received > most {
			t.Errorf("%s: %+v, want at most %d bytes each way", way.name, s, most)
		}
	}
}

func TestQuiet(t *testing.T) {
	p := start(t, func(s *server.Service) { s.MaxTimeout = 50 * time.Millisecond })
	for _, way := range ways {
		k, err := p.client(t, way.ntlm, way.tls).Start(t.Context(), "nap 300ms")
		if err != nil {
			t.Fatal(err)
		}
		quiet := 0
		for {
			out, err := k.Receive(t.Context())
			if err != nil {
				t.Fatalf("%s: %v", way.name, err)
			}
			if out.Done {
				break
			}
			quiet++
		}
		if quiet == 0 {
			t.Errorf("%s: no Receive was quiet", way.name)
		}
		if out, err := k.Receive(t.Context()); err != nil || !out.Done {
			t.Errorf("%s: after the end: %+v, %v", way.name, out, err)
		}
	}
}

func TestSmallEnvelopes(t *testing.T) {
	p := start(t, func(s *server.Service) { s.MaxEnvelopeSizeKB = 150 })
	for _, way := range ways {
		c := p.client(t, way.ntlm, way.tls)
		data := strings.Repeat("0123456789abcdef", 50000)
		if o, _, _ := mustRun(t, c, "cat", data); o != data {
			t.Errorf("%s: %d bytes of %d", way.name, len(o), len(data))
		}
		if c.envelope.Load() != smallEnvelope {
			t.Errorf("%s: the size is not remembered", way.name)
		}
	}
	tiny := start(t, func(s *server.Service) { s.MaxEnvelopeSizeKB = 40 })
	k, err := tiny.client(t, false, false).Start(t.Context(), "cat")
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Send(t.Context(), make([]byte, 100000), true); !isTooLarge(err) {
		t.Errorf("a machine of 40 KB: %v", err)
	}
	if again := k.Send(t.Context(), nil, true); again == nil {
		t.Error("input goes on behind a hole")
	}
}

// A shell that was idle for too long is made anew, and the command is started
// once.
func TestIdleShell(t *testing.T) {
	p := start(t)
	c := p.client(t, true, false)
	c.idle = time.Second // on a busy computer a command takes a while, too
	mustRun(t, c, "echo 1", "")
	first := c.shellID
	time.Sleep(2500 * time.Millisecond)
	if o, _, _ := mustRun(t, c, "echo 2", ""); o != "2" || c.shellID == first {
		t.Errorf("%q in %s after %s", o, c.shellID, first)
	}
	if got := p.started(); len(got) != 2 {
		t.Errorf("started: %q", got)
	}
	time.Sleep(2500 * time.Millisecond)
	if err := c.Close(t.Context()); err != nil {
		t.Errorf("deleting a shell that is gone: %v", err)
	}
}

// A machine that starts again knows neither shell nor login.
func TestReboot(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			p := start(t)
			c := p.client(t, way.ntlm, way.tls)
			k, err := c.Start(t.Context(), "hold")
			if err != nil {
				t.Fatal(err)
			}
			down := make(chan error, 1)
			go func() {
				_, err := k.Receive(t.Context())
				down <- err
			}()
			for c.Stats().Requests < 3 {
				time.Sleep(time.Millisecond)
			}
			time.Sleep(20 * time.Millisecond)
			p.s.Close()
			var ne *NetError
			if err := <-down; !errors.As(err, &ne) || ne.Refused {
				t.Errorf("while it goes down: %v", err)
			}
			if _, err := c.Start(t.Context(), "echo x"); !errors.As(err, &ne) || !ne.Refused {
				t.Errorf("while it is down: %v", err)
			}
			p.boot(t, p.http, p.https)
			if o, _, _ := mustRun(t, c, "echo up", ""); o != "up" {
				t.Errorf("after it: %q", o)
			}
			if err := k.Close(t.Context()); err != nil {
				t.Errorf("closing what is gone: %v", err)
			}
		})
	}
}

// The machine may close connections that are idle, and forget logins: nothing of
// a message was looked at then.
func TestLoginsEnd(t *testing.T) {
	p := start(t)
	var forget atomic.Bool
	var logins atomic.Int32 // messages of handshakes
	w := between(t, p.http, &wire{request: func(r *http.Request, body []byte) ([]byte, bool) {
		if r.Header.Get("Authorization") != "" {
			logins.Add(1)
		}
		if r.Header.Get("Authorization") == "" && forget.CompareAndSwap(true, false) {
			r.Header.Set("Content-Type", soapType) // that ends the login
		}
		return body, true
	}})
	c := dial(t, w.address, Options{NTLM: true})
	mustRun(t, c, "echo 1", "")
	for _, l := range c.lines.idle {
		l.http.CloseIdleConnections()
	}
	before := logins.Load()
	mustRun(t, c, "echo 2", "") // its other messages are three, or four on a busy machine
	if n := logins.Load() - before; n != 2 {
		t.Errorf("a handshake is %d requests", n)
	}
	forget.Store(true)
	mustRun(t, c, "echo 3", "")
	if forget.Load() || len(p.started()) != 3 {
		t.Errorf("started: %q", p.started())
	}
	p.mu.Lock()
	p.password = "another"
	p.mu.Unlock()
	c.lines.idle = c.lines.idle[:1] // others are still logged in
	forget.Store(true)
	if _, err := c.Start(t.Context(), "echo 4"); !errors.As(err, new(*AuthError)) {
		t.Errorf("with another password: %v", err)
	}
}

// A command need not read its input, and may end before it was told that there is
// none.
func TestInputClosed(t *testing.T) {
	p := start(t)
	for _, way := range ways {
		c := p.client(t, way.ntlm, way.tls)
		for _, data := range []string{"", "data"} {
			k, err := c.Start(t.Context(), "echo hi")
			if err != nil {
				t.Fatal(err)
			}
			for p.running() > 0 {
				time.Sleep(time.Millisecond)
			}
			err = k.Send(t.Context(), []byte(data), true)
			for data != "" && err == nil { // it may just have been there to read it
				err = k.Send(t.Context(), []byte(data), false)
			}
			if data == "" && err != nil || data != "" && !errors.Is(err, ErrInputClosed) {
				t.Errorf("%s, input %q: %v", way.name, data, err)
			}
			var got []byte
			for done := false; !done; {
				out, err := k.Receive(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				got, done = append(got, out.Stdout...), out.Done
			}
			if string(got) != "hi" {
				t.Errorf("%s, input %q: output %q", way.name, data, got)
			}
		}
	}
}

func TestMany(t *testing.T) {
	for _, way := range ways {
		p := start(t)
		c := p.client(t, way.ntlm, way.tls)
		var wg sync.WaitGroup
		for n := range 8 {
			wg.Go(func() {
				text := strings.Repeat(fmt.Sprint("line of ", n, "\n"), 60000)
				o, _, code, err := run(t.Context(), c, "cat", text)
				if err != nil || o != text || code != 0 {
					t.Errorf("%s, command %d: %d bytes of %d, %d, %v", way.name, n, len(o), len(text), code, err)
				}
			})
		}
		wg.Wait()
		if n := len(c.lines.idle); n > maxIdle {
			t.Errorf("%s: %d connections are kept", way.name, n)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if n := len(c.lines.idle); n != 0 {
			t.Errorf("%s: %d connections are kept after Close", way.name, n)
		}
	}
}

func TestCancel(t *testing.T) {
	p := start(t)
	for _, way := range ways {
		c := p.client(t, way.ntlm, way.tls)
		k, err := c.Start(t.Context(), "hold")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		before := c.Stats().Requests
		go func() {
			for c.Stats().Requests == before {
				time.Sleep(time.Millisecond)
			}
			cancel()
		}()
		began := time.Now()
		if _, err := k.Receive(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", way.name, err)
		}
		if d := time.Since(began); d > operationTime/2 {
			t.Errorf("%s: it took %v", way.name, d)
		}
		if _, err := k.Receive(t.Context()); err == nil {
			t.Errorf("%s: output that may be missing is passed over", way.name)
		}
		if err := k.Send(ctx, nil, true); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: Send: %v", way.name, err)
		}
		if _, err := c.Start(ctx, "echo"); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: Start: %v", way.name, err)
		}
		if err := k.Close(t.Context()); err != nil {
			t.Errorf("%s: %v", way.name, err)
		}
	}
}

func TestCommandText(t *testing.T) {
	p := start(t)
	c := p.client(t, false, false)
	for command, want := range map[string]string{
		"":                                  "it is empty",
		"echo a\nb":                         "U+000A",
		"echo \x00":                         "U+0000",
		"echo \xff":                         "not UTF-8",
		"echo " + strings.Repeat("x", 9000): "9005 characters",
		"echo " + strings.Repeat("😀", 4080): "8165 characters",
		"nothing":                           "cannot find the file",
	} {
		_, err := c.Start(t.Context(), command)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "cannot start the command: ") {
			t.Errorf("%.20q: %v, want %q", command, err, want)
		}
	}
	var f *FaultError
	if _, err := c.Start(t.Context(), "nothing"); !errors.As(err, &f) || f.WSMan == 0 || f.Code != "Receiver" {
		t.Errorf("%+v", f)
	}
}
