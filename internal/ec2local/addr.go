package ec2local

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"syscall"
)

// addresses are the loopback addresses of one endpoint's instances: a block of
// 127.a.b.0/24 drawn from the directory's name, so that two endpoints on one
// machine do not meet. Where the system has 127.0.0.1 only, all instances
// share that, on ports of their own.
type addresses struct {
	a, b int
	one  bool
}

// ipv6Loopback is the one address of IPv6 that there is: instances in a subnet that has no
// IPv4 share it, on ports of their own.
const ipv6Loopback = "::1"

func newAddresses(dir string) addresses {
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	sum := sha256.Sum256([]byte(dir))
	// 127.0 and 127.255 are left to others.
	n := addresses{a: 1 + int(sum[0])%254, b: int(sum[1])}
	l, err := net.Listen("tcp", n.at(0, 2)+":0")
	if err != nil {
		n.one = true
		return n
	}
	l.Close()
	return n
}

func (n addresses) at(block, host int) string {
	if n.one {
		return "127.0.0.1"
	}
	b := n.b + block
	return fmt.Sprintf("127.%d.%d.%d", 1+(n.a-1+b/256)%254, b%256, host)
}

// pick returns an address that is not in use: by an instance of this endpoint,
// nor, on the port of SSH, by another program.
func (n addresses) pick(used func(addr string) bool) string {
	if n.one {
		return n.at(0, 1)
	}
	// A server on every address, such as the host's own sshd, is no reason to
	// pass one by: a guest takes another port then. Host 1 is never given away,
	// so what is busy there is busy everywhere.
	everywhere := busy(n.at(0, 1))
	for block := range 16 {
		for host := 2; host < 255; host++ {
			addr := n.at(block, host)
			if !used(addr) && (everywhere || !busy(addr)) {
				return addr
			}
		}
	}
	return n.at(0, 2)
}

// busy tells whether a program listens for SSH at the address.
func busy(addr string) bool {
	l, err := net.Listen("tcp", addr+":22")
	if err == nil {
		l.Close()
	}
	return errors.Is(err, syscall.EADDRINUSE)
}
