package sessionmanager

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// The kinds of frames of a WebSocket.
const (
	opContinue = 0
	opText     = 1
	opBinary   = 2
	opClose    = 8
	opPing     = 9
	opPong     = 10
)

const (
	maxFrame  = 256 << 10 // bytes of one message
	maxOutbox = 4096      // frames that wait to be written; what is too much is lost, and sent again
)

// How often a link shows that it is in use, and after what silence it is cut.
var (
	pingEvery   = 10 * time.Second
	silentAfter = 30 * time.Second
)

// A link carries messages until it breaks. Nobody waits for what is written.
type link struct {
	c     io.ReadWriteCloser
	r     *bufio.Reader
	mask  bool // the client's frames are
	heard atomic.Int64

	mu     sync.Mutex
	outbox [][]byte
	ready  chan struct{} // the outbox has something
	done   chan struct{}
	end    func()
}

func newLink(c io.ReadWriteCloser, r *bufio.Reader, client bool) *link {
	l := &link{c: c, r: r, mask: client, ready: make(chan struct{}, 1), done: make(chan struct{})}
	l.end = sync.OnceFunc(func() { close(l.done); c.Close() })
	l.heard.Store(time.Now().UnixNano())
	go l.write()
	return l
}

// send has a frame written. Frames that are too many are dropped.
func (l *link) send(op byte, payload []byte) {
	f := l.frame(op, payload)
	l.mu.Lock()
	if len(l.outbox) < maxOutbox {
		l.outbox = append(l.outbox, f)
	}
	l.mu.Unlock()
	select {
	case l.ready <- struct{}{}:
	default:
	}
}

func (l *link) frame(op byte, payload []byte) []byte {
	f := []byte{0x80 | op}
	bit := byte(0)
	if l.mask {
		bit = 0x80
	}
	switch n := len(payload); {
	case n < 126:
		f = append(f, bit|byte(n))
	case n < 1<<16:
		f = binary.BigEndian.AppendUint16(append(f, bit|126), uint16(n))
	default:
		f = binary.BigEndian.AppendUint64(append(f, bit|127), uint64(n))
	}
	if !l.mask {
		return append(f, payload...)
	}
	var key [4]byte
	rand.Read(key[:])
	f = append(f, key[:]...)
	n := len(f)
	f = append(f, payload...)
	for i := range payload {
		f[n+i] ^= key[i%4]
	}
	return f
}

func (l *link) write() {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	defer l.end()
	for {
		select {
		case <-l.done:
			return
		case <-tick.C:
			if time.Since(time.Unix(0, l.heard.Load())) > silentAfter {
				return
			}
			l.send(opPing, nil)
		case <-l.ready:
		}
		l.mu.Lock()
		frames := l.outbox
		l.outbox = nil
		l.mu.Unlock()
		if len(frames) == 0 {
			continue
		}
		if _, err := (*joined)(&frames).WriteTo(l.c); err != nil {
			return
		}
	}
}

// joined are frames that are written together, as few writes as there can be.
type joined [][]byte

func (j *joined) WriteTo(w io.Writer) (n int64, err error) {
	b := bufio.NewWriterSize(w, 32<<10)
	for _, f := range *j {
		b.Write(f) // its error is that of Flush
	}
	return 0, b.Flush()
}

var errFrame = errors.New("what came is no frame of a WebSocket")

// read is the next message.
func (l *link) read() (text bool, payload []byte, err error) {
	began := false
	for {
		final, op, part, err := l.readFrame(maxFrame - len(payload))
		if err != nil {
			return false, nil, err
		}
		l.heard.Store(time.Now().UnixNano())
		switch op {
		case opPing:
			l.send(opPong, part)
			continue
		case opPong:
			continue
		case opClose:
			return false, nil, io.EOF
		case opText, opBinary:
			if began {
				return false, nil, errFrame
			}
			began, text = true, op == opText
		case opContinue:
			if !began {
				return false, nil, errFrame
			}
		default:
			return false, nil, errFrame
		}
		payload = append(payload, part...)
		if final {
			return text, payload, nil
		}
	}
}

func (l *link) readFrame(room int) (final bool, op byte, payload []byte, err error) {
	var head [2]byte
	if _, err := io.ReadFull(l.r, head[:]); err != nil {
		return false, 0, nil, err
	}
	final, op = head[0]&0x80 != 0, head[0]&0x0f
	masked, n := head[1]&0x80 != 0, uint64(head[1]&0x7f)
	if head[0]&0x70 != 0 || masked == l.mask || op >= opClose && (!final || n > 125) {
		return false, 0, nil, errFrame
	}
	var long [8]byte
	switch n {
	case 126:
		_, err = io.ReadFull(l.r, long[6:])
		n = binary.BigEndian.Uint64(long[:])
	case 127:
		_, err = io.ReadFull(l.r, long[:])
		n = binary.BigEndian.Uint64(long[:])
	}
	if err != nil {
		return false, 0, nil, err
	}
	if n > uint64(room) {
		return false, 0, nil, fmt.Errorf("a message is longer than %d KiB", maxFrame>>10)
	}
	var key [4]byte
	if masked {
		if _, err := io.ReadFull(l.r, key[:]); err != nil {
			return false, 0, nil, err
		}
	}
	payload = make([]byte, n)
	if _, err := io.ReadFull(l.r, payload); err != nil {
		return false, 0, nil, err
	}
	if masked {
		for i := range payload {
			payload[i] ^= key[i%4]
		}
	}
	return final, op, payload, nil
}

// HTTP makes the request that becomes a WebSocket.
type HTTP interface {
	Do(*http.Request) (*http.Response, error)
}

// acceptance proves that the other side speaks WebSocket.
func acceptance(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// dialLink opens a WebSocket at an address that begins with wss:, or with ws: if it is on
// this machine.
func dialLink(ctx context.Context, h HTTP, address string) (*link, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("the address of the data channel is none")
	}
	switch ip := net.ParseIP(u.Hostname()); {
	case u.Scheme == "wss":
		u.Scheme = "https"
	case u.Scheme == "ws" && ip != nil && ip.IsLoopback():
		u.Scheme = "http"
	default:
		return nil, errors.New("the address of the data channel is none that begins with wss: or of this machine")
	}
	nonce := make([]byte, 16)
	rand.Read(nonce)
	key := base64.StdEncoding.EncodeToString(nonce)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	r.Header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {key}}
	reply, err := h.Do(r)
	if err != nil {
		return nil, err
	}
	c, ok := reply.Body.(io.ReadWriteCloser)
	if reply.StatusCode != http.StatusSwitchingProtocols || !ok || reply.Header.Get("Sec-Websocket-Accept") != acceptance(key) {
		reply.Body.Close()
		return nil, fmt.Errorf("the data channel was not opened: status %d", reply.StatusCode)
	}
	return newLink(c, bufio.NewReaderSize(c, 32<<10), true), nil
}

// acceptLink makes a WebSocket of a request, or answers that it is none.
func acceptLink(w http.ResponseWriter, r *http.Request) (*link, error) {
	key := r.Header.Get("Sec-Websocket-Key")
	if r.Method != http.MethodGet || !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") || r.Header.Get("Sec-Websocket-Version") != "13" || key == "" {
		http.Error(w, "want a WebSocket", http.StatusBadRequest)
		return nil, errors.New("the request is for no WebSocket")
	}
	c, both, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, "no WebSocket", http.StatusInternalServerError)
		return nil, err
	}
	c.SetDeadline(time.Time{})
	fmt.Fprintf(both, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", acceptance(key))
	if err := both.Flush(); err != nil {
		c.Close()
		return nil, err
	}
	return newLink(c, both.Reader, false), nil
}
