package sessionmanager

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
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
	last     int64     // the latest message that was acknowledged
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
	before bool // over an earlier link
	times  int  // since then
}

// oftenSent is how often a message was sent again that has come over an earlier link, if a later
// one is acknowledged and it is not: the agent of AWS says nothing to a message that it has had
// already, so that an acknowledgement which was lost with a link never comes.
const oftenSent = 3

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
	c.pending = append(c.pending, sent{number: m.number, raw: m.encode(), at: now})
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
		c.pending[i].before, c.pending[i].times = true, 0
		c.again(i, c.moved)
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

// again sends a message once more.
func (c *channel) again(i int, now time.Time) {
	s := &c.pending[i]
	s.at = now
	s.times++
	c.link.send(websocket.MessageBinary, s.raw)
}

func (c *channel) acknowledge(number int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = max(c.last, number)
	c.forget(func(s sent) bool { return s.number == number }, time.Now())
}

// forget drops messages that have come.
func (c *channel) forget(come func(sent) bool, now time.Time) {
	before := len(c.pending)
	c.pending = slices.DeleteFunc(c.pending, come)
	if len(c.pending) < before {
		c.moved = now
		c.room.Broadcast()
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
	c.forget(func(s sent) bool { return s.before && s.number < c.last && s.times >= oftenSent }, now)
	idle := now.Sub(c.moved)
	switch {
	case c.link == nil && idle > abandoned:
		return fmt.Errorf("the data channel could not be opened again for %s", abandoned)
	case c.link == nil || len(c.pending) == 0:
	case idle > stalled:
		return fmt.Errorf("the agent of the machine acknowledges nothing for %s", stalled)
	default: // the oldest may be lost, and those that went over an earlier link, too
		for i, s := range c.pending {
			if now.Sub(s.at) > resendAfter && (i == 0 || s.before) {
				c.again(i, now)
			}
		}
	}
	return nil
}
