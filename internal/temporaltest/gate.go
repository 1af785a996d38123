package temporaltest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Authority makes certificates.
type Authority struct {
	Path string // its own, in PEM
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewAuthority makes one for a test.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{t: t, Path: filepath.Join(t.TempDir(), "ca.pem")}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority of a test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &a.key.PublicKey, a.key)
	if err == nil {
		a.cert, err = x509.ParseCertificate(der)
	}
	if err == nil {
		err = os.WriteFile(a.Path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Issue makes a certificate of a name, or of 127.0.0.1 if that is "", until some time, and returns the
// files of it and of its key.
func (a *Authority) Issue(name string, until time.Time) (cert, key string) {
	a.t.Helper()
	form := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: until.Add(-2 * time.Hour), NotAfter: until, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	if name == "" {
		form.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	} else {
		form.DNSNames = []string{name}
	}
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, form, a.cert, &own.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		a.t.Fatal(err)
	}
	dir := a.t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, b := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(b), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	return cert, key
}

// Gate is what stands before a server and lets in who has a right to it.
type Gate struct {
	Cert, Key string     // files of its own certificate
	Clients   *Authority // of the certificates that clients have to have; nil: they need none
	APIKey    string     // that calls have to have; "": they need none

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
		config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		config.ClientCAs.AddCert(g.Clients.cert)
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
