package sessionmanager

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/uuid"
)

// collected gathers what a channel delivers.
func collecting(into *[]byte) func(uint32, []byte) (bool, error) {
	return func(_ uint32, p []byte) (bool, error) {
		*into = append(*into, p...)
		return true, nil
	}
}

func numbered(n int64, text string) *message {
	return &message{kind: kindInput, number: n, id: uuid.New(), what: payloadData, payload: []byte(text)}
}

// Messages come in any order, twice, and some far too early.
func TestWhatComesIsPutInOrder(t *testing.T) {
	var got []byte
	c := newChannel(kindOutput, kindInput, collecting(&got))
	defer c.fail(errMessage)
	for _, n := range []int64{2, 1, 1, 0, 0, 9_000_000, -5, 3, 2} {
		if err := c.take(numbered(n, string(rune('a'+n%26&15)))); err != nil {
			t.Fatal(err)
		}
	}
	if string(got) != "abcd" || len(c.held) != 0 || c.size != 0 {
		t.Errorf("%q, and %d held with %d bytes", got, len(c.held), c.size)
	}
}

// What comes before its turn takes a bounded place.
func TestWhatIsHeldIsBounded(t *testing.T) {
	var got []byte
	c := newChannel(kindOutput, kindInput, collecting(&got))
	defer c.fail(errMessage)
	big := string(bytes.Repeat([]byte("x"), maxHeld/8))
	for n := int64(1); n < 50; n++ {
		c.take(numbered(n, big))
	}
	if c.size > maxHeld {
		t.Errorf("%d bytes are held", c.size)
	}
}

// A side that does not answer ends the session, and one that has no link does later.
func TestAChannelThatDoesNotGetOn(t *testing.T) {
	c := newChannel(kindOutput, kindInput, collecting(new([]byte)))
	defer c.fail(errMessage)
	near, _ := pipeLinks(t)
	c.post(payloadData, []byte("hello"))
	now := time.Now()
	if err := c.look(now.Add(stalled + time.Second)); err != nil {
		t.Errorf("without a link: %v", err)
	}
	if err := c.look(now.Add(abandoned + time.Second)); err == nil {
		t.Error("without a link for ever")
	}
	c.link = near
	if err := c.look(now.Add(stalled - time.Second)); err != nil {
		t.Errorf("a moment ago: %v", err)
	}
	if err := c.look(now.Add(stalled + time.Second)); err == nil {
		t.Error("goes on though nothing is acknowledged")
	}
}

// A message that was lost is sent again.
func TestWhatIsLostIsSentAgain(t *testing.T) {
	c := newChannel(kindOutput, kindInput, collecting(new([]byte)))
	defer c.fail(errMessage)
	c.post(payloadData, []byte("hello"))
	near, far := pipeLinks(t)
	go c.carry(near)
	for range 2 {
		_, b, err := far.read()
		if err != nil {
			t.Fatal(err)
		}
		if m, err := decode(b); err != nil || string(m.payload) != "hello" || m.number != 0 {
			t.Errorf("%+v %v", m, err)
		}
	}
}

// laconic is the agent of AWS as it takes messages: what it has had it does not acknowledge.
type laconic struct {
	expected int64
	had      []byte
	mute     bool // acknowledgements are lost
}

func (a *laconic) take(l *link) error {
	for {
		_, b, err := l.read()
		if err != nil {
			return err
		}
		m, err := decode(b)
		if err != nil {
			return err
		}
		if m.number == a.expected { // nothing comes before its turn here
			a.expected++
			a.had = append(a.had, m.payload...)
			if !a.mute {
				l.send(websocket.MessageBinary, m.acknowledged())
			}
		}
	}
}

// Messages whose acknowledgements were lost with a link do not keep their places in the window.
func TestWhatIsNeverAcknowledgedAgain(t *testing.T) {
	again := resendAfter
	resendAfter = 20 * time.Millisecond
	defer func() { resendAfter = again }()
	c := newChannel(kindInput, kindOutput, collecting(new([]byte)))
	defer c.fail(errMessage)
	agent := &laconic{mute: true}
	near, far := pipeLinks(t)
	carried := make(chan error, 1)
	go func() { carried <- c.carry(near) }()
	for range window {
		if err := c.send(payloadData, []byte("a")); err != nil {
			t.Fatal(err)
		}
	}
	go func() {
		for agent.expected < window {
			time.Sleep(time.Millisecond)
		}
		far.end()
	}()
	agent.take(far)
	<-carried
	agent.mute = false
	near, far = pipeLinks(t)
	go c.carry(near)
	go agent.take(far)
	c.post(payloadData, []byte("b")) // as smux does from time to time
	sent := make(chan error, 1)
	go func() { sent <- c.send(payloadData, []byte("c")) }()
	select {
	case err := <-sent:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("the window stays full")
	}
	until(t, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.pending) == 0
	})
	if want := strings.Repeat("a", window) + "bc"; string(agent.had) != want {
		t.Errorf("%d bytes, not %d", len(agent.had), len(want))
	}
}
