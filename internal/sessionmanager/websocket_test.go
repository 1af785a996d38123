package sessionmanager

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
)

// pipeLinks are the client's side of a link and the other.
func pipeLinks(t *testing.T) (client, server *link) {
	a, b := net.Pipe()
	client, server = newLink(a, bufio.NewReader(a), true), newLink(b, bufio.NewReader(b), false)
	t.Cleanup(client.end)
	t.Cleanup(server.end)
	return client, server
}

func TestMessagesOfAllSizes(t *testing.T) {
	client, server := pipeLinks(t)
	for _, n := range []int{0, 1, 125, 126, 65535, 65536, maxFrame} {
		data := noise(n)
		client.send(opPing, []byte("are you there"))
		client.send(opBinary, data)
		server.send(opBinary, data)
		for _, l := range []*link{client, server} {
			if text, got, err := l.read(); text || err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes: %d, %v", n, len(got), err)
			}
		}
	}
}

// stuck is a connection of which only the reading side matters.
type stuck struct{ io.Reader }

func (stuck) Write(b []byte) (int, error) { return len(b), nil }
func (stuck) Close() error                { return nil }

func reading(b []byte, client bool) *link {
	s := stuck{bytes.NewReader(b)}
	return newLink(s, bufio.NewReader(s), client)
}

func TestFramesThatAreNone(t *testing.T) {
	for name, frame := range map[string]string{
		"too long":             "\x82\x7f\x00\x00\x00\x00\x7f\x00\x00\x00",
		"longer than any":      "\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff",
		"a mask":               "\x82\x81abcdx",
		"a reserved bit":       "\xc2\x00",
		"an unknown kind":      "\x83\x00",
		"a ping in parts":      "\x09\x00",
		"a long ping":          "\x89\x7e\x00\x80",
		"a part of nothing":    "\x80\x00",
		"a message in another": "\x02\x00\x82\x00",
		"pieces too long":      strings.Repeat("\x02\x7e\xff\xff"+strings.Repeat("x", 65535), 1) + strings.Repeat("\x00\x7e\xff\xff"+strings.Repeat("x", 65535), 5),
		"an end":               "\x88\x00",
	} {
		l := reading([]byte(frame), true)
		if _, b, err := l.read(); err == nil {
			t.Errorf("%s: read %d bytes", name, len(b))
		}
		l.end()
	}
}

func FuzzLink(f *testing.F) {
	f.Add([]byte("\x82\x01x"), true)
	f.Add([]byte("\x02\x01x\x80\x01y"), true)
	f.Add([]byte("\x82\x81abcdx"), false)
	f.Fuzz(func(t *testing.T, b []byte, client bool) {
		l := reading(b, client)
		defer l.end()
		for {
			_, p, err := l.read()
			if err != nil {
				return
			}
			if len(p) > maxFrame {
				t.Fatalf("a message of %d bytes", len(p))
			}
		}
	})
}
