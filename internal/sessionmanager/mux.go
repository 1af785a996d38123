package sessionmanager

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// The frames of smux, version 1: the version, the command, two bytes of length and four
// of the stream's number, both with their lowest byte first, and the bytes.
const (
	muxVersion = 1
	muxOpen    = 0 // SYN
	muxEnd     = 1 // FIN
	muxData    = 2 // PSH
	muxNothing = 3 // NOP

	muxHeader = 8
)

const (
	maxUnread  = 4 << 20 // bytes of all streams
	maxStreams = 64
)

// nothingEvery is how often a side shows that it is there: agents of 2020 and 2021 hang up
// after 30 seconds of silence.
var nothingEvery = 10 * time.Second

// A mux has many streams over one channel.
type mux struct {
	ch     *channel
	opened func(*stream) // by the other side; nil: it may not

	mu      sync.Mutex
	some    *sync.Cond // something has come, or the end
	streams map[uint32]*stream
	last    uint32
	partial []byte // of a frame
	unread  int
	full    bool // something was refused since there was no room
}

// A stream is one connection.
type stream struct {
	m      *mux
	number uint32
	unread []byte
	ended  bool // by the other side
	closed bool // by this one
}

func newMux(opened func(*stream)) *mux {
	m := &mux{opened: opened, streams: map[uint32]*stream{}, last: 1}
	m.some = sync.NewCond(&m.mu)
	return m
}

// over has the mux use a channel, until that ends.
func (m *mux) over(ch *channel) {
	m.ch = ch
	go func() {
		tick := time.NewTicker(nothingEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				ch.post(payloadData, muxFrame(muxNothing, 0, nil))
			case <-ch.done:
				m.mu.Lock()
				m.some.Broadcast()
				m.mu.Unlock()
				return
			}
		}
	}()
}

func muxFrame(command byte, number uint32, data []byte) []byte {
	f := binary.LittleEndian.AppendUint16([]byte{muxVersion, command}, uint16(len(data)))
	return append(binary.LittleEndian.AppendUint32(f, number), data...)
}

var errMux = errors.New("what came is no frame of a stream")

// feed takes what has come; false if there is no room.
func (m *mux) feed(b []byte) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.unread+len(b) > maxUnread {
		m.full = true
		return false, nil
	}
	m.partial = append(m.partial, b...)
	for len(m.partial) >= muxHeader {
		n := muxHeader + int(binary.LittleEndian.Uint16(m.partial[2:]))
		if m.partial[0] != muxVersion || m.partial[1] > muxNothing {
			return false, errMux
		}
		if len(m.partial) < n {
			break
		}
		if err := m.frame(m.partial[1], binary.LittleEndian.Uint32(m.partial[4:]), m.partial[muxHeader:n]); err != nil {
			return false, err
		}
		m.partial = m.partial[n:]
	}
	if len(m.partial) == 0 {
		m.partial = nil
	}
	m.some.Broadcast()
	return true, nil
}

func (m *mux) frame(command byte, number uint32, data []byte) error {
	s := m.streams[number]
	switch {
	case command == muxOpen && s == nil && m.opened != nil:
		if len(m.streams) >= maxStreams {
			return errors.New("the other side opens too many streams")
		}
		s = &stream{m: m, number: number}
		m.streams[number] = s
		go m.opened(s)
	case s == nil: // it was closed here, and the other side does not know yet
	case command == muxEnd:
		s.ended = true
	case command == muxData:
		s.unread = append(s.unread, data...)
		m.unread += len(data)
	}
	return nil
}

// open makes a new stream.
func (m *mux) open() (*stream, error) {
	m.mu.Lock()
	m.last += 2
	s := &stream{m: m, number: m.last}
	m.streams[s.number] = s
	m.mu.Unlock()
	if err := m.ch.send(payloadData, muxFrame(muxOpen, s.number, nil)); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *stream) Read(b []byte) (int, error) {
	m := s.m
	m.mu.Lock()
	for len(s.unread) == 0 && !s.ended && !s.closed && m.ch.ended() == nil {
		m.some.Wait()
	}
	n := copy(b, s.unread)
	s.unread = s.unread[n:]
	if len(s.unread) == 0 {
		s.unread = nil
	}
	closed := s.closed
	again := m.drop(n)
	m.mu.Unlock()
	if again {
		if err := m.ch.pump(); err != nil {
			m.ch.fail(err)
		}
	}
	switch {
	case n > 0 || len(b) == 0:
		return n, nil
	case closed:
		return 0, net.ErrClosed
	case m.ch.ended() != nil:
		return 0, m.ch.ended()
	}
	return 0, io.EOF
}

// drop notes that bytes were read, and reports whether there is room for what was refused.
func (m *mux) drop(n int) bool {
	m.unread -= n
	if !m.full || m.unread > maxUnread/2 {
		return false
	}
	m.full = false
	return true
}

func (s *stream) Write(b []byte) (n int, err error) {
	for n < len(b) {
		s.m.mu.Lock()
		over := s.closed || s.ended
		s.m.mu.Unlock()
		if over {
			return n, net.ErrClosed
		}
		part := b[n:min(len(b), n+chunkSize-muxHeader)]
		if err := s.m.ch.send(payloadData, muxFrame(muxData, s.number, part)); err != nil {
			return n, err
		}
		n += len(part)
	}
	return n, nil
}

// Close ends the stream in both directions.
func (s *stream) Close() error {
	m := s.m
	m.mu.Lock()
	if s.closed {
		m.mu.Unlock()
		return nil
	}
	s.closed = true
	delete(m.streams, s.number)
	again := m.drop(len(s.unread))
	s.unread = nil
	m.some.Broadcast()
	m.mu.Unlock()
	m.ch.post(payloadData, muxFrame(muxEnd, s.number, nil))
	if again {
		return m.ch.pump()
	}
	return nil
}

// ended is why the channel has, or nil.
func (c *channel) ended() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// join copies between a stream and a connection until one of them ends.
func join(s *stream, c net.Conn) {
	end := sync.OnceFunc(func() { s.Close(); c.Close() })
	go func() {
		io.Copy(s, c)
		end()
	}()
	io.Copy(c, s)
	end()
}
