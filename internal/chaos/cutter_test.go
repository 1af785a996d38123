package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// cutter is a proxy before the living instance that cuts connections: with a
// reset, and when it is told to.
type cutter struct {
	l    net.Listener
	s    *stage
	name string // of what answers: ssh or winrm
	port int    // where that is if no tag says it

	mu    sync.Mutex
	conns map[*net.TCPConn]bool
	cuts  int
	left  int64         // bytes until a cut, once; negative: no such cut
	stuck chan struct{} // instead of a cut: closed, and nothing passes any more
}

func newCutter(t *testing.T, s *stage) *cutter { return cutterOf(t, s, "ssh", 22) }

func cutterOf(t *testing.T, s *stage, name string, port int) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{l: l, s: s, name: name, port: port, conns: map[*net.TCPConn]bool{}, left: -1}
	t.Cleanup(func() { l.Close(); c.now() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go c.carry(conn.(*net.TCPConn))
		}
	}()
	return c
}

func (c *cutter) at() int { return c.l.Addr().(*net.TCPAddr).Port }

// limit makes the proxy cut, once, after so many bytes to the machine.
func (c *cutter) limit(n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left = n
}

// stall makes a connection hang after so many bytes to the machine, once, and
// returns what is closed then.
func (c *cutter) stall(n int64) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left, c.stuck = n, make(chan struct{})
	return c.stuck
}

// now cuts all connections.
func (c *cutter) now() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.conns {
		conn.SetLinger(0) // a reset, not an orderly end
		conn.Close()
		c.cuts++
	}
	clear(c.conns)
}

func (c *cutter) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cuts
}

func (c *cutter) carry(from *net.TCPConn) {
	defer from.Close()
	addr, err := c.s.address(context.Background(), c.name, c.port)
	if err != nil {
		return // as a port that nobody listens at
	}
	to, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer to.Close()
	c.mu.Lock()
	c.conns[from] = true
	c.mu.Unlock()
	go func() {
		io.Copy(from, to)
		from.Close()
	}()
	io.Copy(to, counting{from, c})
	c.mu.Lock()
	delete(c.conns, from)
	c.mu.Unlock()
}

// counting counts what goes to the machine.
type counting struct {
	r io.Reader
	c *cutter
}

func (r counting) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.c.mu.Lock()
	cut := r.c.left >= 0 && r.c.left < int64(n)
	if r.c.left >= 0 {
		r.c.left -= int64(n) // below zero there is no further cut
	}
	stuck := r.c.stuck
	r.c.mu.Unlock()
	switch {
	case cut && stuck != nil:
		close(stuck)
		io.Copy(io.Discard, r.r) // until the other side is gone
		return 0, io.ErrUnexpectedEOF
	case cut:
		r.c.now()
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

// address is where the living instance answers.
func (e *endpoint) address(ctx context.Context, name string, port int) (string, error) {
	out, err := e.client(region).DescribeInstances(ctx, &ec2.DescribeInstancesInput{})
	if err != nil {
		return "", err
	}
	for _, r := range out.Reservations {
		for _, i := range r.Instances {
			if i.State.Name != "running" || i.PublicIpAddress == nil {
				continue
			}
			for _, t := range i.Tags {
				if *t.Key == "ec2local:"+name+"-port" {
					port, _ = strconv.Atoi(*t.Value)
				}
			}
			return net.JoinHostPort(*i.PublicIpAddress, strconv.Itoa(port)), nil
		}
	}
	return "", fmt.Errorf("no instance runs")
}

// bell lets a script on a machine wait for the test: guests share the network
// with their host.
type bell struct {
	socket *os.File
	addr   string
}

// newBell takes a port, which is closed until it rings, and nobody else's meanwhile.
func newBell(t *testing.T) *bell {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	syscall.CloseOnExec(fd)
	b := &bell{socket: os.NewFile(uintptr(fd), "bell")}
	t.Cleanup(func() { b.socket.Close() })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	at, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	b.addr = fmt.Sprintf("127.0.0.1:%d", at.(*syscall.SockaddrInet4).Port)
	return b
}

// wait are the words of a script that waits for the bell.
func (b *bell) wait() map[string]any {
	host, port, _ := net.SplitHostPort(b.addr)
	return inline("echo napping", fmt.Sprintf(`until bash -c ': > /dev/tcp/%s/%s' 2>/dev/null; do sleep 0.2; done`, host, port), "echo awake")
}

// ring lets the script go on.
func (b *bell) ring(t *testing.T) {
	t.Helper()
	if err := syscall.Listen(int(b.socket.Fd()), 128); err != nil {
		t.Fatal(err)
	}
}
