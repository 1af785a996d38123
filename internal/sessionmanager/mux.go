package sessionmanager

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"sync"
	"time"

	"github.com/xtaci/smux"
)

const (
	maxUnread  = 4 << 20 // bytes of all streams
	maxWaiting = 1 << 20 // bytes that smux has not taken yet
	maxStreams = 64
	muxHeader  = 8 // bytes that smux puts before those of a stream
)

// nothingEvery is how often a side shows that it is there: agents of 2020 and 2021 hang up
// after 30 seconds of silence. Later ones say nothing of themselves, so nobody is missed
// for his silence: the link has pings, and the channel its acknowledgements.
var nothingEvery = 10 * time.Second

var errMux = errors.New("what came is no frame of a stream")

// A mux has many streams over one channel.
type mux struct {
	*smux.Session
	wire *wire
}

// newMux makes a mux whose wire needs a channel yet.
func newMux() *mux { return &mux{wire: newWire()} }

// over has the mux use a channel, until one of both ends. The client has nil for opened:
// the other side may open no streams.
func (m *mux) over(ch *channel, opened func(*smux.Stream)) {
	m.wire.ch = ch
	config := &smux.Config{Version: 1, KeepAliveInterval: nothingEvery, KeepAliveTimeout: math.MaxInt64,
		MaxFrameSize: chunkSize - muxHeader, MaxReceiveBuffer: maxUnread, MaxStreamBuffer: maxUnread}
	var err error
	if opened == nil {
		m.Session, err = smux.Client(m.wire, config)
	} else {
		m.Session, err = smux.Server(m.wire, config)
	}
	if err != nil {
		panic(err) // the settings do not fit together
	}
	go func() {
		<-ch.done
		m.Session.Close()
	}()
	go func() {
		for {
			s, err := m.AcceptStream()
			switch {
			case errors.Is(err, smux.ErrInvalidProtocol):
				err = errMux
			case err == nil && opened == nil:
				err = errors.New("the agent of the machine opens streams")
			case err == nil && m.NumStreams() > maxStreams:
				err = errors.New("the other side opens too many streams")
			}
			if err != nil {
				ch.fail(err)
				return
			}
			go opened(s)
		}
	}()
}

// A wire is a channel as smux has it: bytes in their order.
type wire struct {
	ch *channel

	mu      sync.Mutex
	some    *sync.Cond // something has come, or the end
	waiting []byte
	full    bool // something was refused since there was no room
	closed  bool
}

func newWire() *wire {
	w := &wire{}
	w.some = sync.NewCond(&w.mu)
	return w
}

// feed takes what has come; false if there is no room.
func (w *wire) feed(b []byte) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.waiting)+len(b) > maxWaiting {
		w.full = true
		return false
	}
	w.waiting = append(w.waiting, b...)
	w.some.Broadcast()
	return true
}

func (w *wire) Read(b []byte) (int, error) {
	w.mu.Lock()
	for len(w.waiting) == 0 && !w.closed {
		w.some.Wait()
	}
	n := copy(b, w.waiting)
	w.waiting = w.waiting[n:]
	if len(w.waiting) == 0 {
		w.waiting = nil
	}
	again := w.full && len(w.waiting) <= maxWaiting/2
	if again {
		w.full = false
	}
	w.mu.Unlock()
	if again {
		if err := w.ch.pump(); err != nil {
			w.ch.fail(err)
		}
	}
	if n == 0 && len(b) > 0 {
		return 0, net.ErrClosed
	}
	return n, nil
}

// Write sends frames, each of which fits into one message.
func (w *wire) Write(b []byte) (int, error) {
	if len(b) > chunkSize {
		return 0, fmt.Errorf("a frame has %d bytes", len(b))
	}
	if err := w.ch.send(payloadData, b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Close is smux's: the session is over.
func (w *wire) Close() error {
	w.mu.Lock()
	w.closed = true
	w.some.Broadcast()
	w.mu.Unlock()
	w.ch.fail(net.ErrClosed)
	return nil
}

// ended is why the channel has, or nil.
func (c *channel) ended() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// join copies between a stream and a connection until one of them ends. The end of a stream
// waits until it is on its way.
func join(s *smux.Stream, c net.Conn) {
	end := sync.OnceFunc(func() { c.Close(); s.Close() })
	go func() {
		io.Copy(s, c)
		end()
	}()
	io.Copy(c, s)
	end()
}
