package websock

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// How often a stream asks whether the other side is there, and how long that may take to
// answer. What stands between may close what is silent.
var (
	pingEvery  = 30 * time.Second
	pingWithin = 30 * time.Second
)

// Stream is a WebSocket whose messages are the bytes of a connection. It ends when the other
// side does not answer any more.
func Stream(c *websocket.Conn) net.Conn {
	ctx, cancel := context.WithCancel(context.Background())
	s := &stream{Conn: websocket.NetConn(ctx, c, websocket.MessageBinary), c: c, cancel: cancel}
	go s.ping(ctx)
	return s
}

type stream struct {
	net.Conn
	c      *websocket.Conn
	cancel context.CancelFunc
	once   sync.Once
}

func (s *stream) ping(ctx context.Context) {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		within, cancel := context.WithTimeout(ctx, pingWithin)
		err := s.c.Ping(within)
		cancel()
		if err != nil {
			s.c.CloseNow()
			return
		}
	}
}

// Close says goodbye, so that what was written arrives, and does not wait for the answer.
func (s *stream) Close() error {
	s.once.Do(func() {
		go func() {
			s.c.Close(websocket.StatusNormalClosure, "")
			s.cancel()
		}()
	})
	return nil
}
