package websock

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func serve(t *testing.T, f http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return "ws" + strings.TrimPrefix(s.URL, "http")
}

// echoing says what it is told.
func echoing(t *testing.T) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := Accept(w, r)
		if err != nil {
			return
		}
		s := Stream(c)
		io.Copy(s, s)
		s.Close()
	}
}

func TestStream(t *testing.T) {
	c, err := Dial(t.Context(), &http.Client{}, serve(t, echoing(t)))
	if err != nil {
		t.Fatal(err)
	}
	s := Stream(c)
	defer s.Close()
	data := bytes.Repeat([]byte("0123456789abcdef"), 100_000)
	go s.Write(data)
	s.SetReadDeadline(time.Now().Add(20 * time.Second))
	got := make([]byte, len(data))
	if n, err := io.ReadFull(s, got); err != nil || !bytes.Equal(got, data) {
		t.Errorf("after %d bytes: %v", n, err)
	}
}

// A stream whose other side does not answer ends.
func TestASilentStreamEnds(t *testing.T) {
	every, within := pingEvery, pingWithin
	pingEvery, pingWithin = 20*time.Millisecond, 50*time.Millisecond
	defer func() { pingEvery, pingWithin = every, within }()
	release := make(chan struct{})
	c, err := Dial(t.Context(), &http.Client{}, serve(t, func(w http.ResponseWriter, r *http.Request) {
		if c, err := Accept(w, r); err == nil { // and never reads, so that no ping is answered
			<-release
			c.CloseNow()
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer close(release)
	s := Stream(c)
	s.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := s.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	s.Close()
}

// Nothing is opened without TLS but on this machine, nobody is led elsewhere, and no error
// shows an address, which may be signed.
func TestWhatIsNotOpened(t *testing.T) {
	other := serve(t, echoing(t))
	led := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http"+strings.TrimPrefix(other, "ws"), http.StatusFound)
	})
	denied := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", http.StatusForbidden) })
	for address, words := range map[string]string{
		"ws://192.0.2.1/":           "begins with wss:",
		"ws://localhost/":           "begins with wss:", // whoever answers for that name
		"http://127.0.0.1/":         "begins with wss:",
		"wss":                       "begins with wss:",
		"%":                         "is none",
		led + "?sig=hush":           "led elsewhere",
		"ws://127.0.0.1:1?sig=hush": "refused",
	} {
		c, err := Dial(t.Context(), &http.Client{}, address)
		if err == nil {
			c.CloseNow()
		}
		if err == nil || !strings.Contains(err.Error(), words) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v", address, err)
		}
	}
	var status *StatusError
	if _, err := Dial(t.Context(), &http.Client{}, denied); !errors.As(err, &status) || status.Status != 403 {
		t.Error(err)
	}
	r, err := http.Get("http" + strings.TrimPrefix(other, "ws"))
	if err != nil || r.StatusCode < 400 {
		t.Errorf("a request that is for no WebSocket: %v, %v", r, err)
	}
}
