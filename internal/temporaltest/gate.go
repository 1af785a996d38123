package temporaltest

import (
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/internal/tlstest"
)

// Gate is what stands before a server and lets in who has a right to it.
type Gate struct {
	Cert, Key string             // files of its own certificate
	Clients   *tlstest.Authority // of the certificates that clients have to have; nil: they need none
	APIKey    string             // that calls have to have; "": they need none

	Deny string // calls of a service with this in its name are refused, as to one who has no right to them; "": none

	front *httptest.Server
}

// URL starts the gate before a server, and returns where it is. It ends with the test.
func (g *Gate) URL(t testing.TB, s *Server) string {
	t.Helper()
	own, err := tls.LoadX509KeyPair(g.Cert, g.Key)
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{own}}
	if g.Clients != nil {
		config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, g.Clients.Pool()
	}
	plain := new(http.Protocols)
	plain.SetUnencryptedHTTP2(true)
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: s.Address})
	proxy.Transport = &http.Transport{Protocols: plain}
	proxy.ModifyResponse = func(r *http.Response) error {
		if r.Body == http.NoBody { // its status is in the headers, which have to be the end
			r.ContentLength = 0
		}
		return nil
	}
	proxy.ErrorLog = log.New(io.Discard, "", 0) // of clients that have gone
	g.front = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status := ""
		switch {
		case g.APIKey != "" && r.Header.Get("Authorization") != "Bearer "+g.APIKey:
			status = "16"
		case g.Deny != "" && strings.Contains(r.URL.Path, g.Deny):
			status = "7"
		default:
			proxy.ServeHTTP(w, r)
			return
		}
		for name, value := range map[string]string{"Content-Type": "application/grpc", "Grpc-Status": status, "Grpc-Message": "Request unauthorized."} {
			w.Header().Set(name, value)
		}
	}))
	g.front.TLS, g.front.EnableHTTP2 = config, true
	g.front.Config.ErrorLog = proxy.ErrorLog
	g.front.StartTLS()
	t.Cleanup(func() { g.Drop(); g.front.Close() })
	return "temporals://" + g.front.Listener.Addr().String() + "/" + Namespace
}

// Drop ends all connections that were let in.
func (g *Gate) Drop() { g.front.CloseClientConnections() }
