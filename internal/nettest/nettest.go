package nettest

import (
	"io"
	"net"
	"testing"
)

// Serve hands each connection to an address of the network to handle, and closes it when that is done. It
// listens until the test ends.
func Serve(t testing.TB, network, addr string, handle func(net.Conn)) net.Addr {
	t.Helper()
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				handle(c)
			}()
		}
	}()
	return l.Addr()
}

// Silent is the address of a server that takes connections, reads what comes and
// never says a word. It listens at addr of the network until the test ends.
func Silent(t testing.TB, network, addr string) net.Addr {
	t.Helper()
	return Serve(t, network, addr, func(c net.Conn) { io.Copy(io.Discard, c) })
}

// Closed is an address on loopback at which nobody listens: no process is given so low a
// port by chance, while one that was free a moment ago may be another test's server now.
func Closed() *net.TCPAddr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }
