package websock

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"

	"github.com/coder/websocket"
)

// HTTP makes the request that becomes a WebSocket.
type HTTP interface {
	Do(*http.Request) (*http.Response, error)
}

// transport is how the library gets to it.
type transport struct{ HTTP }

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	reply, err := t.Do(r.Clone(r.Context()))
	if err == nil && reply.Request != nil && reply.Request.URL.Host != r.URL.Host {
		reply.Body.Close()
		return nil, errors.New("the request for a WebSocket was led elsewhere")
	}
	return reply, err
}

// A StatusError says that the other side has answered with something else than a WebSocket.
type StatusError struct{ Status int }

func (e *StatusError) Error() string {
	return fmt.Sprintf("the WebSocket was not opened: status %d", e.Status)
}

// Dial opens a WebSocket at an address that begins with wss:, or with ws: if it is on
// this machine.
func Dial(ctx context.Context, h HTTP, address string) (*websocket.Conn, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("the address of the WebSocket is none") // it may have a signature, which url shows
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme != "wss" && (u.Scheme != "ws" || ip == nil || !ip.IsLoopback()) {
		return nil, errors.New("the address of the WebSocket is none that begins with wss: or of this machine")
	}
	client := &http.Client{Transport: transport{h}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	c, reply, err := websocket.Dial(ctx, u.String(), &websocket.DialOptions{HTTPClient: client})
	if err != nil && reply != nil && reply.StatusCode != http.StatusSwitchingProtocols {
		return nil, &StatusError{reply.StatusCode}
	}
	for failed := (*url.Error)(nil); errors.As(err, &failed); { // it shows the address
		err = failed.Err
	}
	return c, err
}

// Accept makes a WebSocket of a request, or answers that it is none.
func Accept(w http.ResponseWriter, r *http.Request) (*websocket.Conn, error) {
	return websocket.Accept(w, r, nil)
}
