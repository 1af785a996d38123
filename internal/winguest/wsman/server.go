package wsman

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// connKey and bindingKey are where a request's context has its connection and
// what its listener's certificate is known by.
type (
	connKey    struct{}
	bindingKey struct{}
)

// secure is a listener of HTTPS.
type secure struct {
	net.Listener
	cert tls.Certificate
}

// Server is the WinRM service of one machine.
type Server struct {
	b    Backend
	http *http.Server

	mu         sync.Mutex
	closed     bool
	shells     map[string]*shell
	operations map[string]int // by user
}

// New makes a server that listens nowhere yet.
func New(b Backend) *Server {
	s := &Server{b: b, shells: map[string]*shell{}, operations: map[string]int{}}
	s.http = &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 2 * time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		// A connection's authentication is its own, so nothing is multiplexed.
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
		BaseContext: func(l net.Listener) context.Context {
			var binding []byte
			if l, ok := l.(secure); ok {
				binding = channelBinding(l.cert)
			}
			return context.WithValue(context.Background(), bindingKey{}, binding)
		},
		ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, &conn{binding: ctx.Value(bindingKey{}).([]byte)})
		},
		ErrorLog: log.New(io.Discard, "", 0),
	}
	return s
}

// Serve answers on an HTTP listener until Close, after which it returns nil.
func (s *Server) Serve(l net.Listener) error { return ended(s.http.Serve(l)) }

// ServeTLS answers on an HTTPS listener until Close, after which it returns nil.
func (s *Server) ServeTLS(l net.Listener, cert tls.Certificate) error {
	config := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	return ended(s.http.Serve(secure{tls.NewListener(l, config), cert}))
}

func ended(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Close ends all listeners, connections and shells with their processes, at once
// and without waiting for any.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	shells := s.shells
	s.shells = map[string]*shell{}
	s.mu.Unlock()
	err := s.http.Close()
	for _, sh := range shells {
		sh.close()
	}
	return err
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Server", "Microsoft-HTTPAPI/2.0")
	path := strings.TrimSuffix(strings.ToLower(r.URL.Path), "/")
	switch {
	case path != "/wsman" && path != "/wsman-anon/identify":
		w.WriteHeader(http.StatusNotFound)
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", "POST")
		w.WriteHeader(http.StatusMethodNotAllowed)
	default:
		e := &exchange{s: s, c: r.Context().Value(connKey{}).(*conn), w: w, r: r, svc: filled(s.b.Service()), anonymous: path != "/wsman"}
		e.answer()
	}
}

// filled is a service with the defaults where it says nothing.
func filled(svc Service) Service {
	d := Defaults()
	for _, n := range []struct {
		at  *int
		def int
	}{
		{&svc.MaxEnvelopeSizeKB, d.MaxEnvelopeSizeKB}, {&svc.MaxConcurrentOperationsPerUser, d.MaxConcurrentOperationsPerUser},
		{&svc.MaxShellsPerUser, d.MaxShellsPerUser}, {&svc.MaxProcessesPerShell, d.MaxProcessesPerShell},
	} {
		if *n.at <= 0 {
			*n.at = n.def
		}
	}
	if svc.MaxTimeout <= 0 {
		svc.MaxTimeout = d.MaxTimeout
	}
	if svc.IdleTimeout <= 0 {
		svc.IdleTimeout = d.IdleTimeout
	}
	if svc.Host == "" {
		svc.Host = d.Host
	}
	if svc.Version == "" {
		svc.Version = d.Version
	}
	if svc.CbtHardening == "" {
		svc.CbtHardening = d.CbtHardening
	}
	return svc
}
