package sessionmanager

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/coder/websocket"
	"github.com/google/uuid"
	"github.com/xtaci/smux"

	"github.com/imgflow/imgflow/internal/websock"
)

// An Agent is the side of a session that has the port. It is made when the session is, and
// serves one link after another.
type Agent struct {
	ch    *channel
	began time.Time
}

// openingTime is what a client has to say who it is.
const openingTime = 10 * time.Second

// agentVersion is what the agent says that it is.
const agentVersion = "3.3.987.0"

// NewAgent begins a session whose connections dial makes.
func NewAgent(port int, dial func(context.Context) (net.Conn, error)) *Agent {
	a := &Agent{began: time.Now()}
	m := newMux()
	a.ch = newChannel(kindOutput, kindInput, func(what uint32, payload []byte) (bool, error) {
		switch what {
		case payloadData:
			return m.wire.feed(payload), nil
		case payloadHandshakeResponse:
			return true, a.respond(payload)
		case payloadFlag:
			if len(payload) == 4 && payload[3] == flagTerminate {
				return true, errors.New("the client has ended the session")
			}
		}
		return true, nil
	})
	m.over(a.ch, func(s *smux.Stream) {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		c, err := dial(ctx)
		if err != nil {
			a.ch.post(payloadFlag, []byte{0, 0, 0, flagConnectError})
			s.Close()
			return
		}
		join(s, c)
	})
	properties, _ := json.Marshal(map[string]string{"portNumber": strconv.Itoa(port), "type": "LocalPortForwarding"})
	parameters, _ := json.Marshal(sessionType{"Port", properties})
	request, _ := json.Marshal(handshakeRequest{agentVersion, []handshakeAction{{actionSession, parameters}}}) // plain data always marshals
	a.ch.post(payloadHandshakeRequest, request)
	return a
}

func (a *Agent) respond(payload []byte) error {
	var r handshakeResponse
	if json.Unmarshal(payload, &r) != nil || len(r.Errors) > 0 {
		return errors.New("the client does not take the session")
	}
	done, _ := json.Marshal(map[string]any{"HandshakeTimeToComplete": time.Since(a.began), "CustomerMessage": ""}) // plain data always marshals
	a.ch.post(payloadHandshakeComplete, done)
	return nil
}

// Serve makes a link of a request, until it breaks. Admit looks at the token that the client
// shows.
func (a *Agent) Serve(w http.ResponseWriter, r *http.Request, admit func(token string) bool) {
	c, err := websock.Accept(w, r)
	if err != nil {
		return
	}
	l := newLink(c)
	late := time.AfterFunc(openingTime, l.end)
	var o opening
	text, b, err := l.read()
	if err != nil || !late.Stop() || !text || json.Unmarshal(b, &o) != nil || !admit(o.Token) {
		l.end()
		return
	}
	a.ch.carry(l)
}

// Cut breaks the link that there is.
func (a *Agent) Cut() {
	a.ch.mu.Lock()
	defer a.ch.mu.Unlock()
	if a.ch.link != nil {
		a.ch.link.end()
	}
}

// Done is closed when the session has ended.
func (a *Agent) Done() <-chan struct{} { return a.ch.done }

// Close ends the session and tells the client why.
func (a *Agent) Close(why string) {
	p, _ := json.Marshal(map[string]string{"Output": why}) // plain data always marshals
	a.ch.mu.Lock()
	if a.ch.link != nil {
		a.ch.link.send(websocket.MessageBinary, (&message{kind: kindClosed, id: uuid.New(), payload: p}).encode())
	}
	a.ch.mu.Unlock()
	time.AfterFunc(100*time.Millisecond, func() { a.ch.fail(errors.New(why)) }) // what was sent is on its way
}
