package sessionmanager

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// world is an agent whose port echoes, and what a client needs to reach it.
type world struct {
	agent   *Agent
	url     string
	resumed atomic.Int64
	gone    atomic.Bool
}

func newWorld(t *testing.T, dial func(context.Context) (net.Conn, error)) *world {
	t.Helper()
	w := &world{agent: NewAgent(22, dial)}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.agent.Serve(rw, r, func(token string) bool { return token == "good" })
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { w.agent.ch.fail(net.ErrClosed) })
	w.url = "ws" + strings.TrimPrefix(server.URL, "http")
	return w
}

func (w *world) session() Session { return Session{"s-1", w.url, "good"} }

func (w *world) dialer() Dialer {
	return Dialer{HTTP: &http.Client{}, Resume: func(context.Context) (Session, error) {
		w.resumed.Add(1)
		if w.gone.Load() {
			return Session{}, &GoneError{errors.New("no such session")}
		}
		return w.session(), nil
	}}
}

func (w *world) open(t *testing.T) *Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c, err := Open(ctx, w.session(), w.dialer())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// echo is a port that says what it is told.
func echo(context.Context) (net.Conn, error) {
	near, far := net.Pipe()
	go func() {
		defer far.Close()
		pr, pw := io.Pipe() // so that a reader that is slow holds up nobody but itself
		go func() {
			io.Copy(pw, far)
			pw.Close()
		}()
		io.Copy(far, pr)
	}()
	return near, nil
}

// exchange sends data and wants it back.
func exchange(t *testing.T, c *Client, data []byte) {
	conn, err := c.Dial(t.Context())
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	go conn.Write(data)
	got := make([]byte, len(data))
	if n, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, data) {
		t.Errorf("after %d of %d bytes: %v", n, len(data), err)
	}
}

// until waits for something that must come.
func until(t *testing.T, happens func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !happens(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it never happens")
		}
	}
}

func noise(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

func TestStreamsGoSideBySide(t *testing.T) {
	c := newWorld(t, echo).open(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { exchange(t, c, noise(300_000)) })
	}
	all.Wait()
}

// Whatever is on its way when the link breaks arrives, once and in order.
func TestALinkIsReplaced(t *testing.T) {
	w := newWorld(t, echo)
	c := w.open(t)
	for cut := range int64(4) {
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() { exchange(t, c, noise(1_000_000)) })
		}
		until(t, func() bool { return c.ch.taken() > 500*(1+6*cut) })
		w.agent.Cut()
		all.Wait()
		if w.resumed.Load() != cut+1 {
			t.Errorf("resumed %d times", w.resumed.Load())
		}
	}
}

// A client learns that its session is gone, and so do those who use it.
func TestASessionEnds(t *testing.T) {
	for name, end := range map[string]func(*world){
		"by the agent":        func(w *world) { w.agent.Close("the machine stops") },
		"while it is resumed": func(w *world) { w.gone.Store(true); w.agent.Cut() },
		"by frames of no use": func(w *world) {
			w.agent.ch.post(payloadData, []byte("nothing that smux would send"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, echo)
			c := w.open(t)
			conn, err := c.Dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			end(w)
			conn.SetDeadline(time.Now().Add(10 * time.Second))
			if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("read: %v", err)
			}
			select {
			case <-c.Done():
			case <-time.After(10 * time.Second):
				t.Fatal("it goes on")
			}
			if _, err := c.Dial(t.Context()); err == nil {
				t.Error("dialed in a session that has ended")
			}
		})
	}
}

// A client that ends the session says so.
func TestCloseEndsTheSession(t *testing.T) {
	w := newWorld(t, echo)
	w.open(t).Close()
	select {
	case <-w.agent.Done():
	case <-time.After(10 * time.Second):
		t.Error("the agent goes on")
	}
}

// A port that nobody serves ends the stream, and only that.
func TestARefusedPort(t *testing.T) {
	var serves atomic.Bool
	w := newWorld(t, func(ctx context.Context) (net.Conn, error) {
		if serves.Load() {
			return echo(ctx)
		}
		return nil, errors.New("connection refused")
	})
	c := w.open(t)
	conn, err := c.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("read: %v", err)
	}
	serves.Store(true)
	exchange(t, c, noise(1000))
}

// What nobody reads takes a bounded place, holds up nothing else's acknowledgements for
// ever, and comes when it is read.
func TestASlowReader(t *testing.T) {
	data := noise(3 * maxUnread)
	w := newWorld(t, func(context.Context) (net.Conn, error) {
		near, far := net.Pipe()
		go func() {
			far.Write(data)
			far.Close()
		}()
		return near, nil
	})
	c := w.open(t)
	conn, err := c.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	full := func() bool {
		c.mux.wire.mu.Lock()
		defer c.mux.wire.mu.Unlock()
		if n := len(c.mux.wire.waiting); n > maxWaiting {
			t.Fatalf("%d bytes wait to be read", n)
		}
		return c.mux.wire.full
	}
	until(t, full)
	if n := c.ch.taken() * chunkSize; n > maxUnread+2*maxWaiting {
		t.Errorf("%d bytes were taken", n)
	}
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	if got, err := io.ReadAll(conn); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d of %d bytes: %v", len(got), len(data), err)
	}
}

func TestHandshakesThatCannotBe(t *testing.T) {
	action := func(kind, session string) handshakeAction {
		p, _ := json.Marshal(sessionType{Type: session})
		return handshakeAction{kind, p}
	}
	for name, x := range map[string]struct {
		q    handshakeRequest
		want string
	}{
		"an old agent":      {handshakeRequest{"2.3.978.0", []handshakeAction{action(actionSession, "Port")}}, "3.0.196.0"},
		"no version":        {handshakeRequest{"\x1b[2Jnew", nil}, "3.0.196.0"},
		"encryption":        {handshakeRequest{agentVersion, []handshakeAction{action(actionEncrypt, "")}}, "KMS"},
		"another session":   {handshakeRequest{agentVersion, []handshakeAction{action(actionSession, "Standard_Stream")}}, "Standard_Stream"},
		"an unknown action": {handshakeRequest{agentVersion, []handshakeAction{action("Dance", "Port")}}, "Dance"},
	} {
		t.Run(name, func(t *testing.T) {
			c := &Client{}
			p, _ := json.Marshal(x.q)
			err := c.handshake(p)
			if err == nil || !strings.Contains(err.Error(), x.want) || strings.Contains(err.Error(), "\x1b") {
				t.Errorf("%v", err)
			}
		})
	}
}

// A token that is not the session's opens nothing, and neither does a host that is not AWS.
func TestStrangersAreRefused(t *testing.T) {
	w := newWorld(t, echo)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	s, d := w.session(), w.dialer()
	s.Token = "bad"
	d.Resume = func(context.Context) (Session, error) { return s, nil }
	if _, err := Open(ctx, s, d); err == nil {
		t.Error("opened with another token")
	}
	for _, url := range []string{"ws://192.0.2.1/", "http://127.0.0.1/", "wss", "%"} {
		if _, err := Open(t.Context(), Session{URL: url}, w.dialer()); err == nil || !strings.Contains(err.Error(), "address") {
			t.Errorf("%s: %v", url, err)
		}
	}
}
