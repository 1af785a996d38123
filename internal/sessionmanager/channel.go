package sessionmanager

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/google/uuid"

	"github.com/imgflow/imgflow/internal/termsafe"
)

const (
	window    = 512     // messages that are sent and not acknowledged yet
	maxHeld   = 4 << 20 // bytes of messages that have come before their turn
	chunkSize = 1024    // bytes of a message, as the other implementations have it
)

var (
	resendAfter = time.Second
	stalled     = 30 * time.Second // without an acknowledgement while there is a link
	abandoned   = time.Minute      // without a link
)

// A channel has what is sent arrive once and in order, over one link after another.
type channel struct {
	sends, takes string // kinds of messages
	// deliver takes the payload of a message in its turn; false: there is no room, and
	// pump will say when there is. It is called by one goroutine at a time.
	deliver func(what uint32, payload []byte) (bool, error)

	turn sync.Mutex // of those who deliver

	mu       sync.Mutex
	room     *sync.Cond // the window moves, or the channel ends
	link     *link      // nil while there is none
	next     int64
	pending  []sent
	moved    time.Time // when the window, or the link, last changed
	expected int64
	held     map[int64]*message
	size     int // bytes held
	err      error
	done     chan struct{}
}

type sent struct {
	number int64
	raw    []byte
	at     time.Time
}

func newChannel(sends, takes string, deliver func(uint32, []byte) (bool, error)) *channel {
	c := &channel{sends: sends, takes: takes, deliver: deliver, held: map[int64]*message{}, moved: time.Now(), done: make(chan struct{})}
	c.room = sync.NewCond(&c.mu)
	go c.watch()
	return c
}

// fail ends the channel.
func (c *channel) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = err
	close(c.done)
	if c.link != nil {
		c.link.end()
	}
	c.room.Broadcast()
}

// post sends a message without waiting for room.
func (c *channel) post(what uint32, payload []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(what, payload)
}

// send sends a message when there is room in the window.
func (c *channel) send(what uint32, payload []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.pending) >= window && c.err == nil {
		c.room.Wait()
	}
	if c.err != nil {
		return c.err
	}
	c.put(what, payload)
	return nil
}

func (c *channel) put(what uint32, payload []byte) {
	m := message{kind: c.sends, number: c.next, id: uuid.New(), what: what, payload: payload}
	c.next++
	now := time.Now()
	if len(c.pending) == 0 {
		c.moved = now
	}
	c.pending = append(c.pending, sent{m.number, m.encode(), now})
	if c.link != nil {
		c.link.send(websocket.MessageBinary, c.pending[len(c.pending)-1].raw)
	}
}

// carry has the channel go over a link until that breaks.
func (c *channel) carry(l *link) error {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		l.end()
		return c.err
	}
	if c.link != nil {
		c.link.end() // the other side has given it up
	}
	c.link, c.moved = l, time.Now()
	for i := range c.pending {
		c.pending[i].at = c.moved
		l.send(websocket.MessageBinary, c.pending[i].raw)
	}
	c.mu.Unlock()
	err := c.read(l)
	l.end()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link == l {
		c.link, c.moved = nil, time.Now()
	}
	return err
}

func (c *channel) read(l *link) error {
	for {
		text, b, err := l.read()
		if err != nil {
			return err
		}
		if text { // nothing of the protocol is
			continue
		}
		m, err := decode(b)
		if err != nil {
			return err
		}
		switch m.kind {
		case c.takes:
			if err := c.take(m); err != nil {
				c.fail(err)
				return err
			}
		case kindAck:
			var a acknowledgement
			if json.Unmarshal(m.payload, &a) != nil {
				return errMessage
			}
			c.acknowledge(a.Number)
		case kindClosed:
			var closed struct{ Output string }
			json.Unmarshal(m.payload, &closed) // why is only for a person
			err := errors.New("the session was ended by the other side")
			if closed.Output != "" {
				err = fmt.Errorf("%w: %s", err, printable(closed.Output))
			}
			c.fail(err)
			return err
		}
	}
}

// printable is some of what the other side says, for an error.
func printable(text string) string {
	return termsafe.Clean(strings.TrimSpace(text[:min(len(text), 300)]), false)
}

// take holds a message until its turn.
func (c *channel) take(m *message) error {
	c.mu.Lock()
	switch {
	case m.number < c.expected: // its acknowledgement was lost
		c.reply(m)
	case c.held[m.number] == nil && (m.number == c.expected || c.size+len(m.payload) <= maxHeld && m.number-c.expected < 4*window):
		c.held[m.number] = m
		c.size += len(m.payload)
	}
	c.mu.Unlock()
	return c.pump()
}

// taken is how many messages were delivered.
func (c *channel) taken() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.expected
}

func (c *channel) reply(m *message) {
	if c.link != nil {
		c.link.send(websocket.MessageBinary, m.acknowledged())
	}
}

// pump delivers what there is room for.
func (c *channel) pump() error {
	c.turn.Lock()
	defer c.turn.Unlock()
	for {
		c.mu.Lock()
		m := c.held[c.expected]
		c.mu.Unlock()
		if m == nil {
			return nil
		}
		if ok, err := c.deliver(m.what, m.payload); err != nil || !ok {
			return err
		}
		c.mu.Lock()
		delete(c.held, m.number)
		c.size -= len(m.payload)
		c.expected++
		c.reply(m)
		c.mu.Unlock()
	}
}

func (c *channel) acknowledge(number int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, s := range c.pending {
		if s.number == number {
			c.pending = append(c.pending[:i], c.pending[i+1:]...)
			c.moved = time.Now()
			c.room.Broadcast()
			return
		}
	}
}

// watch sends again what is not acknowledged, and ends a channel that does not get on.
func (c *channel) watch() {
	tick := time.NewTicker(resendAfter / 4)
	defer tick.Stop()
	for {
		select {
		case <-c.done:
			return
		case <-tick.C:
		}
		if err := c.look(time.Now()); err != nil {
			c.fail(err)
			return
		}
	}
}

func (c *channel) look(now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	idle := now.Sub(c.moved)
	switch {
	case c.link == nil && idle > abandoned:
		return fmt.Errorf("the data channel could not be opened again for %s", abandoned)
	case c.link == nil || len(c.pending) == 0:
	case idle > stalled:
		return fmt.Errorf("the agent of the machine acknowledges nothing for %s", stalled)
	case now.Sub(c.pending[0].at) > resendAfter:
		c.pending[0].at = now
		c.link.send(websocket.MessageBinary, c.pending[0].raw)
	}
	return nil
}
