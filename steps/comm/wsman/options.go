package wsman

import (
	"context"
	"net"
	"net/url"
	"time"
)

// Options say how a machine is reached.
type Options struct {
	Host     string
	Port     int                                     // 0: 5985, or 5986 with TLS
	TLS      bool                                    // HTTPS
	Insecure bool                                    // any certificate; Client.Certificate says which it was
	CAs      []byte                                  // PEM: who may sign the certificate, or the certificate itself, whatever its names; none: the system's authorities
	Pins     []string                                // "sha256:<hex>" of the certificates that are trusted, and no others
	NTLM     bool                                    // NTLM, sealed without TLS; false: Basic
	Proxy    func(*url.URL) (*url.URL, error)        // the proxy on the way to an address; nil: straight to the machine
	Dial     func(context.Context) (net.Conn, error) // connects to the machine; nil: by TCP
	User     string                                  // `user`, `DOMAIN\user`, `user@domain`
	Password string                                  //
	Timeout  time.Duration                           // of one request, beyond the time that the machine may take itself; 0: 30 s
}

// Stats count what went over the wire.
type Stats struct {
	Requests int64 // HTTP requests, handshakes included
	Sent     int64 // bytes, with HTTP's and TLS's own
	Received int64
}

// Output is what a command printed since the last look.
type Output struct {
	Stdout, Stderr []byte
	Done           bool
	Code           int // exit code once Done: signed 32 bits, as cmd.exe shows it
}
