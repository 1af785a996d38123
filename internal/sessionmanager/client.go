package sessionmanager

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"
	"github.com/google/uuid"

	"github.com/imgflow/imgflow/internal/sleep"
	"github.com/imgflow/imgflow/internal/websock"
)

// A Session is what StartSession and ResumeSession answer.
type Session struct {
	ID    string `json:"SessionId"`
	URL   string `json:"StreamUrl"`
	Token string `json:"TokenValue"`
}

// A Dialer is how a client gets to its data channel.
type Dialer struct {
	HTTP websock.HTTP
	// Resume makes the call ResumeSession. A *GoneError says that there is no such session
	// any more; any other error may pass.
	Resume func(context.Context) (Session, error)
}

// GoneError says that a session has ended.
type GoneError struct{ Err error }

func (e *GoneError) Error() string { return e.Err.Error() }
func (e *GoneError) Unwrap() error { return e.Err }

// A Client is the side of a session that opens connections. Its link is replaced when it
// breaks.
type Client struct {
	ch     *channel
	mux    *mux
	ready  chan struct{} // closed when the handshake is over
	cancel context.CancelFunc
}

// version is what we are to agents: one that knows streams.
const version = "1.3.0.0"

// oldestAgent knows streams.
var oldestAgent = []int{3, 0, 196, 0}

// Open opens the data channel of a session, and returns when both sides have said what the
// other has to know. The session lasts until Close, or until it ends by itself.
func Open(ctx context.Context, s Session, d Dialer) (*Client, error) {
	c := &Client{mux: newMux(), ready: make(chan struct{})}
	c.ch = newChannel(kindInput, kindOutput, c.deliver)
	c.mux.over(c.ch, nil)
	l, err := c.link(ctx, s, d)
	if err != nil {
		c.ch.fail(err)
		return nil, err
	}
	var life context.Context
	life, c.cancel = context.WithCancel(context.Background())
	go c.run(life, l, d)
	select {
	case <-c.ready:
		return c, nil
	case <-c.ch.done:
		return nil, c.ch.ended()
	case <-ctx.Done():
		c.Close()
		return nil, ctx.Err()
	}
}

// Dial opens a connection to the port of the machine.
func (c *Client) Dial(context.Context) (net.Conn, error) {
	s, err := c.mux.OpenStream()
	if err != nil {
		return nil, cmp.Or(c.ch.ended(), err)
	}
	near, far := net.Pipe()
	go join(s, far)
	return near, nil
}

// Done is closed when the session has ended.
func (c *Client) Done() <-chan struct{} { return c.ch.done }

// Close ends the session, as far as the other side can be told.
func (c *Client) Close() {
	c.ch.post(payloadFlag, []byte{0, 0, 0, flagTerminate})
	c.cancel()
	time.AfterFunc(100*time.Millisecond, func() { c.ch.fail(net.ErrClosed) }) // what was posted is on its way
}

// link opens a link, over which nothing has gone yet but who we are.
func (c *Client) link(ctx context.Context, s Session, d Dialer) (*link, error) {
	w, err := websock.Dial(ctx, d.HTTP, s.URL)
	if err != nil {
		return nil, err
	}
	l := newLink(w)
	hello, _ := json.Marshal(opening{"1.0", uuid.NewString(), s.Token, uuid.NewString(), version}) // plain data always marshals
	l.send(websocket.MessageText, hello)
	return l, nil
}

// run carries the channel, and replaces its link.
func (c *Client) run(ctx context.Context, l *link, d Dialer) {
	wait := 100 * time.Millisecond
	for {
		had := c.ch.taken()
		c.ch.carry(l)
		if c.ch.taken() > had { // it was of use
			wait = 100 * time.Millisecond
		}
		for l = nil; l == nil; {
			if sleep.For(ctx, wait) != nil || c.ch.ended() != nil {
				return
			}
			wait = min(2*wait, 5*time.Second)
			s, err := d.Resume(ctx)
			if err == nil {
				l, err = c.link(ctx, s, d)
			}
			if gone := (*GoneError)(nil); errors.As(err, &gone) {
				c.ch.fail(err)
				return
			}
		}
	}
}

// deliver takes what the agent has sent.
func (c *Client) deliver(what uint32, payload []byte) (bool, error) {
	switch what {
	case payloadData:
		return c.mux.wire.feed(payload), nil
	case payloadHandshakeRequest:
		return true, c.handshake(payload)
	case payloadHandshakeComplete:
		select {
		case <-c.ready:
		default:
			close(c.ready)
		}
	}
	return true, nil // that the port refuses a connection is told by the end of its stream
}

// handshake answers what the agent asks.
func (c *Client) handshake(payload []byte) error {
	var q handshakeRequest
	if json.Unmarshal(payload, &q) != nil {
		return errMessage
	}
	if !since(q.AgentVersion, oldestAgent) {
		return fmt.Errorf("the agent of the machine (amazon-ssm-agent) has version %q, and must have 3.0.196.0 or later: build from an image with a newer one", printable(q.AgentVersion))
	}
	reply := handshakeResponse{ClientVersion: version, Processed: []processedAction{}, Errors: []string{}}
	for _, a := range q.Actions {
		var t sessionType
		switch {
		case a.Type == actionEncrypt:
			return errors.New("the sessions of this account are encrypted by a key of KMS, which imgflow does not do: turn that off in the preferences of Session Manager (they are encrypted by TLS all the same)")
		case a.Type != actionSession || json.Unmarshal(a.Parameters, &t) != nil || t.Type != "Port":
			return fmt.Errorf("the agent of the machine asks for %q, which is no part of port forwarding", printable(a.Type+" "+t.Type))
		}
		reply.Processed = append(reply.Processed, processedAction{Type: a.Type, Status: 1})
	}
	p, _ := json.Marshal(reply) // plain data always marshals
	c.ch.post(payloadHandshakeResponse, p)
	return nil
}

// since reports whether a version is another one or a later one.
func since(text string, than []int) bool {
	var v []int
	for _, part := range strings.Split(text, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			return false
		}
		v = append(v, n)
	}
	return slices.Compare(v, than) >= 0
}
