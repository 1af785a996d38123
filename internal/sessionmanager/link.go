package sessionmanager

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

const (
	maxMessage = 256 << 10 // bytes of one message of a WebSocket
	maxOutbox  = 4096      // messages that wait to be written; what is too much is lost, and sent again
)

// How often a link shows that it is in use, and after what silence it is cut.
var (
	pingEvery   = 10 * time.Second
	silentAfter = 30 * time.Second
)

// A link carries messages until it breaks. Nobody waits for what is written.
type link struct {
	c     *websocket.Conn
	heard atomic.Int64

	mu     sync.Mutex
	outbox []outgoing
	ready  chan struct{} // the outbox has something
	life   context.Context
	end    func()
}

type outgoing struct {
	kind    websocket.MessageType
	payload []byte
}

func newLink(c *websocket.Conn) *link {
	c.SetReadLimit(maxMessage)
	l := &link{c: c, ready: make(chan struct{}, 1)}
	var over context.CancelFunc
	l.life, over = context.WithCancel(context.Background())
	l.end = sync.OnceFunc(func() {
		over()
		c.CloseNow()
	})
	l.heard.Store(time.Now().UnixNano())
	go l.write()
	go l.ping()
	return l
}

// send has a message written. Messages that are too many are dropped.
func (l *link) send(kind websocket.MessageType, payload []byte) {
	l.mu.Lock()
	if len(l.outbox) < maxOutbox {
		l.outbox = append(l.outbox, outgoing{kind, payload})
	}
	l.mu.Unlock()
	select {
	case l.ready <- struct{}{}:
	default:
	}
}

func (l *link) write() {
	defer l.end()
	for {
		select {
		case <-l.life.Done():
			return
		case <-l.ready:
		}
		l.mu.Lock()
		list := l.outbox
		l.outbox = nil
		l.mu.Unlock()
		for _, o := range list {
			if l.c.Write(context.Background(), o.kind, o.payload) != nil {
				return
			}
		}
	}
}

// ping has the other side answer, and cuts the link when nothing comes any more. That the
// answer to one ping is late says nothing where much else comes.
func (l *link) ping() {
	defer l.end()
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for time.Since(time.Unix(0, l.heard.Load())) <= silentAfter {
		select {
		case <-l.life.Done():
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(l.life, pingEvery)
		if l.c.Ping(ctx) == nil {
			l.heard.Store(time.Now().UnixNano())
		}
		cancel()
	}
}

// read is the next message. One that the end of the connection has cut may come without its
// end; that is for the reader to see.
func (l *link) read() (text bool, payload []byte, err error) {
	kind, payload, err := l.c.Read(context.Background())
	if err != nil {
		return false, nil, err
	}
	l.heard.Store(time.Now().UnixNano())
	return kind == websocket.MessageText, payload, nil
}
