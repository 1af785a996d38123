package winguest

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/imgflow/imgflow/internal/winguest/wsman"
)

// netState is what of WinRM is open.
type netState struct {
	mu     sync.Mutex
	up     bool // the machine has come so far in its boot
	server *wsman.Server
	open   map[Listener]*gate
	ports  map[string]int // where the usual ports are: winrm, winrms
	work   sync.WaitGroup
	log    func(format string, a ...any)
}

// gate is a listener that closes with its connections, as a firewall cuts them.
type gate struct {
	net.Listener
	mu    sync.Mutex
	conns map[net.Conn]bool
	shut  bool
}

type gateConn struct {
	net.Conn
	g *gate
}

func (g *gate) Accept() (net.Conn, error) {
	c, err := g.Listener.Accept()
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		c.Close()
		return nil, net.ErrClosed
	}
	gc := &gateConn{c, g}
	g.conns[gc] = true
	return gc, nil
}

func (c *gateConn) Close() error {
	c.g.mu.Lock()
	delete(c.g.conns, c)
	c.g.mu.Unlock()
	return c.Conn.Close()
}

func (g *gate) cut() {
	g.Listener.Close()
	g.mu.Lock()
	g.shut = true
	conns := g.conns
	g.conns = map[net.Conn]bool{}
	g.mu.Unlock()
	for c := range conns {
		c.(*gateConn).Conn.Close()
	}
}

// TakePorts finds out where the machine can serve WinRM: at the ports that it
// had, else at the usual ones, else at any. It is called before the first boot of
// a server's life.
func (m *Machine) TakePorts(had map[string]int) (map[string]int, error) {
	ports := map[string]int{}
	for name, usual := range map[string]int{"winrm": 5985, "winrms": 5986} {
		wanted := []int{usual}
		if p := had[name]; p != 0 {
			wanted = []int{p, usual}
		}
		p, err := freePort(m.spec.Addr, wanted...)
		if err != nil {
			return nil, fmt.Errorf("cannot serve WinRM on %s: %w", m.spec.Addr, err)
		}
		ports[name] = p
	}
	m.net.mu.Lock()
	m.net.ports = ports
	m.net.mu.Unlock()
	return ports, nil
}

func (n *netState) port(p int) int {
	switch {
	case p == 5985 && n.ports["winrm"] != 0:
		return n.ports["winrm"]
	case p == 5986 && n.ports["winrms"] != 0:
		return n.ports["winrms"]
	}
	return p
}

// openNet lets connections in from now on.
func (m *Machine) openNet(log func(format string, a ...any)) {
	m.net.mu.Lock()
	m.net.up, m.net.log, m.net.open = true, log, map[Listener]*gate{}
	m.net.mu.Unlock()
	m.listen()
}

func (n *netState) close() {
	n.mu.Lock()
	n.up = false
	server := n.shut()
	n.mu.Unlock()
	if server != nil {
		server.Close()
	}
	n.work.Wait()
}

// shut closes all listeners and takes the server away, for its caller to close.
func (n *netState) shut() *wsman.Server {
	for l, g := range n.open {
		g.cut()
		delete(n.open, l)
	}
	server := n.server
	n.server = nil
	return server
}

// listen makes what is open what the configuration says: after every change of
// it.
func (m *Machine) listen() {
	n := &m.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.up {
		return
	}
	var want []Listener
	running := false
	m.read(func(st *state) {
		s := st.service("WinRM")
		running = s != nil && s.Running
		for _, l := range st.Listeners {
			if running && !l.Off && st.WinRM["service/allowremoteaccess"] != "false" && st.admits(l.Port) {
				want = append(want, l)
			}
		}
	})
	if !running {
		if server := n.shut(); server != nil {
			// Who stops the service may be one of its own shells.
			n.work.Go(func() { server.Close() })
		}
		return
	}
	if n.server == nil {
		n.server = wsman.New(backend{m})
	}
	for l, g := range n.open {
		keep := false
		for _, w := range want {
			keep = keep || w == l
		}
		if !keep {
			g.cut()
			delete(n.open, l)
		}
	}
	for _, l := range want {
		if n.open[l] != nil {
			continue
		}
		if err := m.serve(l); err != nil && n.log != nil {
			n.log("WinRM cannot listen on port %d: %v", l.Port, err)
		}
	}
}

// serve opens a listener.
func (m *Machine) serve(l Listener) error {
	n := &m.net
	var pair tls.Certificate
	if l.Transport == "HTTPS" {
		c, ok := m.Certificate(l.Thumbprint)
		if !ok {
			return CertNotFound
		}
		var err error
		if pair, err = c.pair(); err != nil {
			return err
		}
	}
	var s net.Listener
	var err error
	for range 20 { // a port that was just closed may take a moment
		if s, err = net.Listen("tcp", net.JoinHostPort(m.spec.Addr, itoa(n.port(l.Port)))); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		return err
	}
	g := &gate{Listener: s, conns: map[net.Conn]bool{}}
	n.open[l] = g
	server := n.server
	n.work.Go(func() {
		var err error
		if l.Transport == "HTTPS" {
			err = server.ServeTLS(g, pair)
		} else {
			err = server.Serve(g)
		}
		if err != nil && !errors.Is(err, net.ErrClosed) && n.log != nil {
			n.log("WinRM on port %d: %v", l.Port, err)
		}
	})
	return nil
}
