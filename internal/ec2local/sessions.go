package ec2local

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/imgflow/imgflow/internal/sessionmanager"
)

// A managedSession is one of Session Manager: a way to a port of an instance. It ends with
// the server, with the instance's run, and a minute after its client has gone.
type managedSession struct {
	base
	Target   string    `json:"target"`
	Document string    `json:"document"`
	Port     int       `json:"port"`
	Owner    string    `json:"owner"`
	Reason   string    `json:"reason,omitempty"`
	Ended    time.Time `json:"ended,omitzero"`
}

func (*managedSession) table() string { return "session" }

func (s *managedSession) status() string {
	if s.Ended.IsZero() {
		return "Connected"
	}
	return "Terminated"
}

// agents are the sessions that this server carries, by id.
type agents struct {
	mu   sync.Mutex
	live map[string]*liveSession
}

type liveSession struct {
	agent    *sessionmanager.Agent
	instance string
	token    string // of the last call that gave one
}

func newToken() string {
	b := make([]byte, 32)
	rand.Read(b)
	return hex.EncodeToString(b)
}

// forwarding is the one document that sessions may have.
const forwarding = "AWS-StartPortForwardingSession"

type startSessionRequest struct {
	Target, DocumentName, Reason string
	Parameters                   map[string][]string
}

type sessionResponse struct {
	SessionId, TokenValue, StreamUrl string
}

func startSession(c *call, q *startSessionRequest) (*sessionResponse, error) {
	if q.DocumentName != forwarding {
		return nil, fail("InvalidDocument", "Document with name %s does not exist: this endpoint has %s.", q.DocumentName, forwarding)
	}
	port := 0
	for name, values := range q.Parameters {
		switch {
		case name != "portNumber" && name != "localPortNumber":
			return nil, fail("InvalidParameters", "Parameter %q is not defined in document %s.", name, forwarding)
		case len(values) != 1:
			return nil, fail("InvalidParameters", "Parameter %q takes one value.", name)
		}
		n, err := strconv.Atoi(values[0])
		if err != nil || n < 0 || n > 65535 {
			return nil, fail("InvalidParameters", "Parameter %q is no port number.", name)
		}
		if name == "portNumber" {
			port = n
		}
	}
	if len(q.Reason) > 256 {
		return nil, notValid("reason", "have length less than or equal to 256")
	}
	i := get[instance](c.txn, c.region, q.Target)
	if i == nil || i.State != running || i.Profile == "" || len(i.Ports) == 0 {
		return nil, fail("TargetNotConnected", "%s is not connected.", q.Target)
	}
	at := map[int]string{0: "ssh", 22: "ssh", 5985: "winrm", 5986: "winrms"}
	if served, ok := i.Ports[at[port]]; ok { // a guest that could not have the usual one
		port = served
	}
	s := &managedSession{base: base{ID: "ec2local-" + newID("s")[3:], Region: c.region, Created: c.now.UTC()},
		Target: i.ID, Document: q.DocumentName, Port: port, Owner: globalARN(partitionOf(c.region).name, "iam", "user/ec2local"), Reason: q.Reason}
	put(c.txn, s)
	to := net.JoinHostPort(i.Addr, strconv.Itoa(port))
	token := newToken()
	c.after = append(c.after, func() { c.s.carry(s, to, token) })
	return &sessionResponse{s.ID, token, c.channelURL(s.ID)}, nil
}

// carry has an agent serve a session until that ends.
func (s *Server) carry(m *managedSession, to, token string) {
	agent := sessionmanager.NewAgent(m.Port, func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", to)
	})
	s.agents.mu.Lock()
	if s.agents.live == nil {
		s.agents.live = map[string]*liveSession{}
	}
	s.agents.live[m.ID] = &liveSession{agent, m.Target, token}
	s.agents.mu.Unlock()
	region, id := m.Region, m.ID
	s.logf("%s %s begins, to %s of %s", region, id, to, m.Target)
	s.spawn(func() {
		select {
		case <-agent.Done():
		case <-s.ctx.Done():
			agent.Close("the endpoint stops")
		}
		s.agents.mu.Lock()
		delete(s.agents.live, id)
		s.agents.mu.Unlock()
		err := s.update(func(t *txn) error {
			t.endSession(get[managedSession](t, region, id))
			return nil
		})
		s.logf("%s %s ends", region, id)
		if err != nil && s.ctx.Err() == nil {
			s.logf("%s %s: %v", region, id, err)
		}
	})
}

func (t *txn) endSession(m *managedSession) {
	if m != nil && m.Ended.IsZero() {
		m.Ended = t.now.UTC()
		put(t, m)
	}
}

// endSessions ends those of an earlier server, which nobody carries any more.
func (t *txn) endSessions() {
	for _, m := range all[managedSession](t, "") {
		t.endSession(m)
	}
}

// pruneSessions forgets those that ended a day ago.
func (t *txn) pruneSessions() {
	for _, m := range all[managedSession](t, "") {
		if !m.Ended.IsZero() && m.Ended.Before(t.now.Add(-memory)) {
			drop(t, m)
		}
	}
}

// each calls f for the sessions of an instance; of all if it is "".
func (a *agents) each(instance string, f func(*sessionmanager.Agent)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, l := range a.live {
		if instance == "" || l.instance == instance {
			f(l.agent)
		}
	}
}

// CutSessions breaks the connections of all sessions of Session Manager; those go on when
// their clients have come back.
func (s *Server) CutSessions() { s.agents.each("", (*sessionmanager.Agent).Cut) }

type sessionIDRequest struct{ SessionId string }

// session is one that the caller may resume or end.
func (c *call) managed(id string) (*managedSession, error) {
	if m := get[managedSession](c.txn, c.region, id); m != nil {
		return m, nil
	}
	return nil, fail("DoesNotExistException", "Session %s does not exist.", id)
}

func resumeSession(c *call, q *sessionIDRequest) (*sessionResponse, error) {
	m, err := c.managed(q.SessionId)
	if err != nil {
		return nil, err
	}
	c.s.agents.mu.Lock()
	defer c.s.agents.mu.Unlock()
	l := c.s.agents.live[m.ID]
	if l == nil || !m.Ended.IsZero() {
		return nil, fail("DoesNotExistException", "Session %s is terminated.", m.ID)
	}
	l.token = newToken()
	return &sessionResponse{m.ID, l.token, c.channelURL(m.ID)}, nil
}

type terminateSessionResponse struct{ SessionId string }

func terminateSession(c *call, q *sessionIDRequest) (*terminateSessionResponse, error) {
	m, err := c.managed(q.SessionId)
	if err != nil {
		return nil, err
	}
	c.endSession(m)
	c.after = append(c.after, func() {
		c.s.agents.mu.Lock()
		l := c.s.agents.live[m.ID]
		c.s.agents.mu.Unlock()
		if l != nil {
			l.agent.Close("it was terminated")
		}
	})
	return &terminateSessionResponse{m.ID}, nil
}

type describeSessionsRequest struct {
	jsonPage
	State   string
	Filters []struct{ Key, Value string }
}

type sessionItem struct {
	SessionId, Target, Status string
	StartDate                 epoch
	EndDate                   *epoch `json:",omitempty"`
	DocumentName, Owner       string
	Reason                    string `json:",omitempty"`
}

type describeSessionsResponse struct {
	Sessions  []sessionItem
	NextToken string `json:",omitempty"`
}

func describeSessions(c *call, q *describeSessionsRequest) (*describeSessionsResponse, error) {
	if q.State != "Active" && q.State != "History" {
		return nil, notValid("state", "satisfy enum value set: [Active, History]")
	}
	list := slices.DeleteFunc(all[managedSession](c.txn, c.region), func(m *managedSession) bool {
		return m.Ended.IsZero() != (q.State == "Active")
	})
	for _, f := range q.Filters {
		of := map[string]func(*managedSession) string{
			"Target":    func(m *managedSession) string { return m.Target },
			"Owner":     func(m *managedSession) string { return m.Owner },
			"Status":    (*managedSession).status,
			"SessionId": func(m *managedSession) string { return m.ID },
		}[f.Key]
		if of == nil {
			return nil, fail("InvalidFilterKey", "The specified key isn't valid: this endpoint has Target, Owner, Status and SessionId.")
		}
		list = slices.DeleteFunc(list, func(m *managedSession) bool { return of(m) != f.Value })
	}
	r := &describeSessionsResponse{Sessions: []sessionItem{}}
	var err error
	if list, r.NextToken, err = pageJSON(list, q.jsonPage, 200); err != nil {
		return nil, err
	}
	for _, m := range list {
		i := sessionItem{SessionId: m.ID, Target: m.Target, Status: m.status(), StartDate: epoch(m.Created), DocumentName: m.Document, Owner: m.Owner, Reason: m.Reason}
		if !m.Ended.IsZero() {
			i.EndDate = (*epoch)(&m.Ended)
		}
		r.Sessions = append(r.Sessions, i)
	}
	return r, nil
}

// channelPrefix is where the data channels of sessions are.
const channelPrefix = "/v1/data-channel/"

func (c *call) channelURL(id string) string {
	return "ws://" + c.host + channelPrefix + id + "?role=publish_subscribe"
}

// serveChannel carries a session over one connection. Who may is told by the token that
// comes first.
func (s *Server) serveChannel(w http.ResponseWriter, r *http.Request) error {
	id := strings.TrimPrefix(r.URL.Path, channelPrefix)
	s.agents.mu.Lock()
	l := s.agents.live[id]
	s.agents.mu.Unlock()
	if l == nil {
		http.NotFound(w, r)
		return errors.New("there is no such session")
	}
	l.agent.Serve(w, r, func(token string) bool {
		s.agents.mu.Lock()
		defer s.agents.mu.Unlock()
		return subtle.ConstantTimeCompare([]byte(token), []byte(l.token)) == 1
	})
	return nil
}
