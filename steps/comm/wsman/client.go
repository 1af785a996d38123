package wsman

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	operationTime = 20 * time.Second // a quiet Receive ends after it
	sendTime      = time.Minute      // a Send waits until the command has read
	idleTime      = 10 * time.Minute // a shell that nobody uses dies after it

	largeEnvelope = 512000 // of Windows Server 2012 and later
	smallEnvelope = 153600 // of those before, and of some that were configured so
)

// Client is a way into one machine. Its methods may be called at once.
type Client struct {
	o       Options
	address string
	url     string
	proxy   func(*http.Request) (*url.URL, error)
	trust   trust

	idle     time.Duration
	envelope atomic.Int64 // what a whole request may be
	stats    struct{ requests, sent, received atomic.Int64 }
	lines    pool

	making  turn // to make the shell
	mu      sync.Mutex
	shellID string
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9._:%-]+$`)

// New makes a client. Nothing is connected before it is needed.
func New(o Options) (*Client, error) {
	switch {
	case !hostName.MatchString(o.Host):
		return nil, fmt.Errorf("cannot reach the machine: %q is not the name or the address of a host", o.Host)
	case o.Port < 0 || o.Port > 65535:
		return nil, fmt.Errorf("cannot reach %s: there is no port %d", o.Host, o.Port)
	case o.User == "":
		return nil, fmt.Errorf("cannot reach %s: there is no user to log in as; set winrm_username", o.Host)
	case !o.NTLM && strings.Contains(o.User, ":"):
		return nil, fmt.Errorf("cannot reach %s: Basic carries no user name with a colon, as %q has; set winrm_use_ntlm", o.Host, o.User)
	}
	scheme, port := "http", 5985
	if o.TLS {
		scheme, port = "https", 5986
	}
	if o.Port != 0 {
		port = o.Port
	}
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Second
	}
	c := &Client{o: o, idle: idleTime, making: newTurn(), address: net.JoinHostPort(o.Host, strconv.Itoa(port))}
	c.url = (&url.URL{Scheme: scheme, Host: c.address, Path: "/wsman"}).String()
	c.envelope.Store(largeEnvelope)
	if o.Proxy != nil {
		c.proxy = func(r *http.Request) (*url.URL, error) { return o.Proxy(r.URL) }
	}
	if err := c.trust.init(c.address, o); err != nil {
		return nil, err
	}
	return c, nil
}

// Start starts a command of cmd.exe, of one line and at most [MaxCommand]
// characters. It is started at most once, even when an error is returned.
func (c *Client) Start(ctx context.Context, command string) (*Command, error) {
	text, err := commandText(command)
	if err != nil {
		return nil, err
	}
	for again := false; ; again = true {
		shell, err := c.shell(ctx)
		if err != nil {
			return nil, err
		}
		r, err := c.ask(ctx, "start the command", operationTime, c.commandRequest(shell, text))
		switch {
		case isGone(err) && !again:
			c.forget(shell)
			continue
		case err != nil:
			return nil, err
		}
		id, err := r.id("start the command", r.Body.CommandID)
		if err != nil {
			return nil, err
		}
		return newCommand(c, shell, id), nil
	}
}

// shell is the client's shell, which is made if there is none.
func (c *Client) shell(ctx context.Context) (string, error) {
	if err := c.making.take(ctx); err != nil {
		return "", err
	}
	defer c.making.give()
	c.mu.Lock()
	id := c.shellID
	c.mu.Unlock()
	if id != "" {
		return id, nil
	}
	const op = "make a shell on the machine"
	r, err := c.ask(ctx, op, operationTime, c.createRequest())
	if err != nil {
		return "", err
	}
	if id, err = r.id(op, r.shell()); err != nil {
		return "", err
	}
	c.mu.Lock()
	c.shellID = id
	c.mu.Unlock()
	return id, nil
}

func (c *Client) forget(shell string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shellID == shell {
		c.shellID = ""
	}
}

// Close deletes the shell, with what still runs in it, and closes all idle
// connections. The client may be used again.
func (c *Client) Close(ctx context.Context) error {
	defer c.lines.close()
	c.mu.Lock()
	shell := c.shellID
	c.shellID = ""
	c.mu.Unlock()
	if shell == "" {
		return nil
	}
	if _, err := c.ask(ctx, "delete the shell on the machine", operationTime, c.deleteRequest(shell)); err != nil && !isGone(err) {
		return err
	}
	return nil
}

// Certificate is "sha256:<hex>" of the certificate that the machine showed last,
// "" without TLS and before the first connection.
func (c *Client) Certificate() string { return c.trust.shown() }

// Stats counts from the making of the client on.
func (c *Client) Stats() Stats {
	return Stats{Requests: c.stats.requests.Load(), Sent: c.stats.sent.Load(), Received: c.stats.received.Load()}
}

// ask sends one message and reads the answer, which is an error if it is a fault.
func (c *Client) ask(ctx context.Context, op string, wait time.Duration, message []byte) (*reply, error) {
	body, err := c.post(ctx, message, wait)
	if err != nil {
		return nil, err
	}
	r, err := parse(body)
	if err != nil {
		return nil, fmt.Errorf("cannot %s: %s gave an answer that is not WS-Management's: %w", op, c.address, err)
	}
	if r.Body.Fault != nil {
		return nil, r.Body.Fault.err(op, c.clean)
	}
	return r, nil
}

// clean makes a text of the machine's fit for an error.
func (c *Client) clean(text string) string {
	if c.o.Password != "" {
		text = strings.ReplaceAll(text, c.o.Password, "***")
	}
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f }), " ")
	if r := []rune(text); len(r) > 600 {
		text = string(r[:600]) + "…"
	}
	return text
}

func isGone(err error) bool {
	var f *FaultError
	return errors.As(err, &f) && (f.Subcode == "InvalidSelectors" || f.WSMan == codeUnexpectedSelectors || f.WSMan == codeNotFound)
}

func isQuiet(err error) bool {
	var f *FaultError
	return errors.As(err, &f) && (f.Subcode == "TimedOut" || f.WSMan == codeTimedOut)
}

// isTooLarge is a refusal of a message for its size: nothing of it was used.
func isTooLarge(err error) bool {
	var f *FaultError
	if errors.As(err, &f) {
		return f.Subcode == "EncodingLimit" || f.WSMan == codeEncodingLimit || f.WSMan == codeTooLarge
	}
	var h *HTTPError
	return errors.As(err, &h) && h.Status == http.StatusRequestEntityTooLarge
}
