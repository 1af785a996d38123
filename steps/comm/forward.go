package comm

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/sleep"
)

// A forward is a tunnel of ssh_local_tunnels or ssh_remote_tunnels: a port at one end of a
// connection that leads to a host at the other.
type forward struct {
	port int
	to   string
}

// parseForward reads port:host:port; the host may be an IPv6 address in brackets.
func parseForward(text string) (forward, error) {
	first, to, _ := strings.Cut(text, ":")
	host, second, err := net.SplitHostPort(to)
	port, portErr := strconv.ParseUint(first, 10, 16)
	last, lastErr := strconv.ParseUint(second, 10, 16)
	if err != nil || host == "" || portErr != nil || lastErr != nil || port == 0 || last == 0 {
		return forward{}, fmt.Errorf("%q is no port:host:port, such as 8080:localhost:80", text)
	}
	return forward{int(port), to}, nil
}

// checkForwards looks at one of the two options.
func checkForwards(r Report, field string, texts []string) {
	var ports []int
	for i, text := range texts {
		at := fmt.Sprintf("%s[%d]", field, i)
		if strings.Contains(text, dag.MarkOpen) {
			continue
		}
		f, err := parseForward(text)
		switch {
		case err != nil:
			r.Add(at, "%v", err)
		case slices.Contains(ports, f.port):
			r.Add(at, "the port %d is given twice", f.port)
		}
		ports = append(ports, f.port)
	}
}

const (
	forwardPatience = 5 * time.Second // for a port that an earlier connection has not yet left
	forwardPause    = time.Second
	maxForwarded    = 100 // connections through one tunnel at once
)

// forward opens the tunnels of a connection, with which they end. A port that is taken fails the
// first connection to a machine. Later it may be an earlier connection that still has it, of
// which the machine has not yet heard that it is lost: then it is tried for as long as the
// connection lives.
func (l *sshConn) forward(ctx context.Context, t *dag.Task, s SSH, first bool) error {
	local := func(f forward) (net.Listener, error) {
		return net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(f.port)))
	}
	remote := func(f forward) (net.Listener, error) {
		return l.client.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(f.port)))
	}
	here := func(to string) (net.Conn, error) { return net.DialTimeout("tcp", to, dialTimeout) }
	there := func(to string) (net.Conn, error) { return l.client.Dial("tcp", to) }
	for _, option := range []struct {
		name   string
		texts  []string
		listen func(forward) (net.Listener, error)
		dial   func(string) (net.Conn, error)
		advice string
	}{
		{"ssh_local_tunnels", s.LocalTunnels, local, there, "choose another port, or end what listens there"},
		{"ssh_remote_tunnels", s.RemoteTunnels, remote, here, "choose another port, or have the machine's sshd allow it (AllowTcpForwarding)"},
	} {
		for _, text := range option.texts {
			f, err := parseForward(text)
			if err != nil {
				return permanent{fmt.Errorf("%s: %w", option.name, err)}
			}
			open := func() (net.Listener, error) { return option.listen(f) }
			ln, err := l.listen(ctx, forwardPatience, open)
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case l.dead():
				return errConnLost
			case err != nil && first:
				return permanent{fmt.Errorf("%s: cannot listen at port %d: %w; %s", option.name, f.port, err, option.advice)}
			case err != nil:
				t.Warn("%s: cannot listen at port %d: %v; trying again while the connection lasts", option.name, f.port, err)
			}
			go func() {
				if ln == nil {
					if ln, _ = l.listen(context.Background(), 0, open); ln == nil {
						return
					}
				}
				l.lead(ln, func() (net.Conn, error) { return option.dial(f.to) })
			}()
		}
	}
	return nil
}

// listen tries to listen until the patience ends, or the connection; with none it goes on.
func (l *sshConn) listen(ctx context.Context, patience time.Duration, open func() (net.Listener, error)) (net.Listener, error) {
	for begun := time.Now(); ; {
		ln, err := open()
		if err == nil || l.dead() || patience > 0 && time.Since(begun) > patience {
			return ln, err
		}
		if err := sleep.For(ctx, forwardPause); err != nil {
			return nil, err
		}
	}
}

// lead joins what connects to a port with what the tunnel leads to.
func (l *sshConn) lead(ln net.Listener, dial func() (net.Conn, error)) {
	go func() { <-l.done; ln.Close() }()
	slots := make(chan struct{}, maxForwarded)
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		select {
		case slots <- struct{}{}:
		default:
			c.Close()
			continue
		}
		go func() {
			defer func() { <-slots }()
			to, err := dial()
			if err != nil {
				c.Close()
				return
			}
			l.join(c, to)
		}()
	}
}

// join passes on what both say, until both have said all or the connection has ended.
func (l *sshConn) join(a, b net.Conn) {
	ended := make(chan struct{})
	go func() {
		select {
		case <-l.done:
		case <-ended:
		}
		a.Close()
		b.Close()
	}()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
		both.Go(func() {
			io.Copy(way[0], way[1])
			if half, ok := way[0].(interface{ CloseWrite() error }); ok {
				half.CloseWrite()
			}
		})
	}
	both.Wait()
	close(ended)
}
