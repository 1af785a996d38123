package sessionmanager

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/imgflow/imgflow/internal/websock"
)

// pipeLinks are the client's side of a link and the other.
func pipeLinks(t *testing.T) (client, server *link) {
	t.Helper()
	accepted := make(chan *link, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websock.Accept(w, r)
		if err != nil {
			t.Error(err)
			return
		}
		accepted <- newLink(c)
	}))
	t.Cleanup(s.Close)
	c, err := websock.Dial(t.Context(), &http.Client{}, "ws"+strings.TrimPrefix(s.URL, "http"))
	if err != nil {
		t.Fatal(err)
	}
	client, server = newLink(c), <-accepted
	t.Cleanup(client.end)
	t.Cleanup(server.end)
	return client, server
}

func TestMessagesOfAllSizes(t *testing.T) {
	client, server := pipeLinks(t)
	for _, n := range []int{0, 1, 125, 126, 65535, 65536, maxMessage} {
		data := noise(n)
		client.send(websocket.MessageBinary, data)
		server.send(websocket.MessageBinary, data)
		for _, l := range []*link{client, server} {
			if text, got, err := l.read(); text || err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes: %d, %v", n, len(got), err)
			}
		}
	}
	client.send(websocket.MessageBinary, noise(maxMessage+1))
	if _, b, err := server.read(); err == nil {
		t.Errorf("read %d bytes", len(b))
	}
}

// A link over which nothing comes is cut, and one whose other side answers is not.
func TestASilentLinkIsCut(t *testing.T) {
	every, after := pingEvery, silentAfter
	pingEvery, silentAfter = 20*time.Millisecond, 100*time.Millisecond
	defer func() { pingEvery, silentAfter = every, after }()
	client, server := pipeLinks(t)
	go server.read()
	answered := make(chan error, 1)
	go func() {
		_, _, err := client.read()
		answered <- err
	}()
	select {
	case err := <-answered:
		t.Fatalf("cut though the other side answers: %v", err)
	case <-time.After(500 * time.Millisecond):
	}
	mute := reading(t, nil)
	select {
	case <-mute.life.Done():
	case <-time.After(20 * time.Second):
		t.Error("a silent link goes on")
	}
	client.end()
	server.end()
	<-answered
}

// scripted is a WebSocket's other side that has said all that it will, and then says
// nothing, or ends.
type scripted struct {
	io.Reader
	mute chan struct{}
}

func (s scripted) Read(b []byte) (int, error) {
	if s.Reader == nil {
		<-s.mute
		return 0, net.ErrClosed
	}
	return s.Reader.Read(b)
}
func (scripted) Write(b []byte) (int, error) { return len(b), nil }
func (s scripted) Close() error {
	close(s.mute)
	return nil
}

func (s scripted) Do(r *http.Request) (*http.Response, error) {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-Websocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return &http.Response{StatusCode: http.StatusSwitchingProtocols, Body: s, Header: http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Accept": {base64.StdEncoding.EncodeToString(sum[:])},
	}}, nil
}

// reading is a client's link to which the other side says b.
func reading(t testing.TB, b []byte) *link {
	s := scripted{mute: make(chan struct{})}
	if b != nil {
		s.Reader = bytes.NewReader(b)
	}
	c, err := websock.Dial(context.Background(), s, "ws://127.0.0.1/")
	if err != nil {
		t.Fatal(err)
	}
	return newLink(c)
}

func TestFramesThatAreNone(t *testing.T) {
	for name, frame := range map[string]string{
		"longer than any":      "\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff",
		"a reserved bit":       "\xc2\x00",
		"an unknown kind":      "\x83\x00",
		"a ping in parts":      "\x09\x00",
		"a long ping":          "\x89\x7e\x00\x80",
		"a part of nothing":    "\x80\x00",
		"a message in another": "\x02\x00\x82\x00",
		"pieces too long":      "\x02\x7e\xff\xff" + strings.Repeat("x", 65535) + strings.Repeat("\x00\x7e\xff\xff"+strings.Repeat("x", 65535), 5),
		"an end":               "\x88\x00",
	} {
		l := reading(t, []byte(frame))
		if _, b, err := l.read(); err == nil {
			t.Errorf("%s: read %d bytes", name, len(b))
		}
		l.end()
	}
}

func FuzzLink(f *testing.F) {
	f.Add([]byte("\x82\x01x"))
	f.Add([]byte("\x02\x01x\x80\x01y"))
	f.Add([]byte("\x82\x81abcdx"))
	f.Fuzz(func(t *testing.T, b []byte) {
		l := reading(t, append([]byte{}, b...))
		defer l.end()
		for {
			_, p, err := l.read()
			if err != nil {
				return
			}
			if len(p) > maxMessage {
				t.Fatalf("a message of %d bytes", len(p))
			}
		}
	})
}
