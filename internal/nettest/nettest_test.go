package nettest

import (
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

func TestAddresses(t *testing.T) {
	if c, err := net.Dial("tcp", Closed().String()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Error(c, err)
	}
	a := Silent(t, "tcp", "127.0.0.1:0")
	c, err := net.Dial(a.Network(), a.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Error(err)
	}
	c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(n, err)
	}
}
