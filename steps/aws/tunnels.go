package aws

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/imgflow/imgflow/internal/sessionmanager"
	"github.com/imgflow/imgflow/steps/comm"
)

// tunnels are the sessions of Session Manager that this process has: one for each machine
// and port, begun when it is first needed, and again when it has ended.
type tunnels struct {
	mu   sync.Mutex
	open map[string]*tunnel
}

type tunnel struct {
	turn     chan struct{} // of those who need the client
	name     string
	instance string

	client *sessionmanager.Client
	listen net.Listener // a port of this computer that leads there
}

// sessionOpens is what a session may take to open, once AWS has begun it.
const sessionOpens = 30 * time.Second

// of is the place of a session.
func (t *tunnels) of(e comm.Endpoint) *tunnel {
	t.mu.Lock()
	defer t.mu.Unlock()
	id := fmt.Sprint(e.Tunnel.Name, " ", e.Thing, " ", e.Port)
	x := t.open[id]
	if x == nil {
		x = &tunnel{turn: make(chan struct{}, 1), name: e.Tunnel.Name, instance: e.Thing}
		if t.open == nil {
			t.open = map[string]*tunnel{}
		}
		t.open[id] = x
	}
	return x
}

// close ends the sessions of a name; of all if it is "".
func (t *tunnels) close(name string) {
	t.mu.Lock()
	var list []*tunnel
	for id, x := range t.open {
		if name == "" || x.name == name {
			list = append(list, x)
			delete(t.open, id)
		}
	}
	t.mu.Unlock()
	for _, x := range list {
		x.turn <- struct{}{}
		if x.client != nil {
			x.client.Close()
		}
		if x.listen != nil {
			x.listen.Close()
		}
		<-x.turn
	}
}

// Close ends what this process has open at AWS.
func (c *Cloud) Close() { c.tunnels.close("") }

// Tunnel connects to the port of an instance through a session of Session Manager, or an EC2
// Instance Connect Endpoint.
func (c *Cloud) Tunnel(ctx context.Context, e comm.Endpoint) (net.Conn, error) {
	if e.Tunnel.At != "" {
		return c.openTunnel(ctx, e)
	}
	x, err := c.tunnel(ctx, e)
	if err != nil {
		return nil, err
	}
	x.turn <- struct{}{}
	client := x.client
	<-x.turn
	return client.Dial(ctx)
}

// tunnel is the session to an endpoint, which is begun if there is none.
func (c *Cloud) tunnel(ctx context.Context, e comm.Endpoint) (*tunnel, error) {
	x := c.tunnels.of(e)
	select {
	case x.turn <- struct{}{}:
		defer func() { <-x.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if x.client != nil {
		select {
		case <-x.client.Done():
		default:
			return x, nil
		}
	}
	at, err := c.at(ctx, placeOf(e.Place))
	if err != nil {
		return nil, err
	}
	var s sessionmanager.Session
	in := map[string]any{
		"Target": e.Thing, "DocumentName": "AWS-StartPortForwardingSession", "Reason": sessionReason(e.Tunnel.Name),
		"Parameters": map[string][]string{"portNumber": {strconv.Itoa(e.Port)}},
	}
	if err := c.callJSON(ctx, at.Place, parameterStore, "StartSession", in, &s); err != nil {
		return nil, wrapAPI("begin a session to "+e.Thing, "StartSession", old, err)
	}
	opening, cancel := context.WithTimeout(ctx, sessionOpens)
	defer cancel()
	client, err := sessionmanager.Open(opening, s, sessionmanager.Dialer{HTTP: signing{at}, Resume: func(ctx context.Context) (sessionmanager.Session, error) {
		var again sessionmanager.Session
		err := c.callJSON(ctx, at.Place, parameterStore, "ResumeSession", map[string]string{"SessionId": s.ID}, &again)
		if err == nil {
			return again, nil
		}
		if c := classify("ResumeSession", old, err).class; c == notFound || c == unauthorized {
			err = &sessionmanager.GoneError{Err: err}
		}
		return again, err
	}})
	if err != nil {
		return nil, fmt.Errorf("cannot open the session %s to %s: %w", s.ID, e.Thing, err)
	}
	if e.Tunnel.Listen != 0 && x.listen == nil {
		if x.listen, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(e.Tunnel.Listen))); err != nil {
			client.Close()
			return nil, fmt.Errorf("cannot have the port session_manager_port leads from: %w", err)
		}
		go c.lead(x.listen, e)
	}
	x.client = client
	return x, nil
}

// lead has connections to a port of this computer go to the machine.
func (c *Cloud) lead(l net.Listener, e comm.Endpoint) {
	for {
		near, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(100 * time.Millisecond) // too many files are open
			continue
		}
		go func() {
			defer near.Close()
			ctx, cancel := context.WithTimeout(context.Background(), sessionOpens)
			far, err := c.Tunnel(ctx, e)
			cancel()
			if err != nil {
				return
			}
			defer far.Close()
			go func() {
				io.Copy(far, near)
				far.Close()
			}()
			io.Copy(near, far)
		}()
	}
}

// signing signs the requests for data channels, which AWS looks at where a policy is about
// ssmmessages:OpenDataChannel.
type signing struct{ at *site }

func (s signing) Do(r *http.Request) (*http.Response, error) {
	keys, err := s.at.options.Credentials.Retrieve(r.Context())
	if err != nil {
		return nil, fmt.Errorf("get identity: %w", err)
	}
	bare := r.Clone(r.Context())
	bare.Header = http.Header{}
	sum := sha256.Sum256(nil)
	if err := v4.NewSigner().SignHTTP(r.Context(), keys, bare, hex.EncodeToString(sum[:]), "ssmmessages", s.at.Region, s.at.clock.now()); err != nil {
		return nil, err
	}
	for name, value := range bare.Header {
		r.Header[name] = value
	}
	return s.at.bulk.Do(r)
}
