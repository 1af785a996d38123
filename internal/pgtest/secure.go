package pgtest

import (
	"errors"
	"net"
	"net/url"
	"os"
	"strconv"
	"testing"
)

// Secure returns the URL of an empty database in a server of its own that speaks TLS, with the certificate and
// the key of these files. How the server is to be verified is left to whoever completes the URL.
func Secure(t testing.TB, cert, key string) *url.URL {
	t.Helper()
	own, err := os.ReadFile(cert)
	secret, kerr := os.ReadFile(key)
	if err := errors.Join(err, kerr); err != nil {
		t.Fatal(err)
	}
	s, err := run(string(own), string(secret), []string{"ssl=on"})
	need(t, err)
	t.Cleanup(s.Close)
	if _, err := s.Create(); err != nil {
		t.Fatal(err)
	}
	return &url.URL{Scheme: "postgres", User: url.UserPassword(user, s.password), Host: net.JoinHostPort(host, strconv.Itoa(s.port)), Path: databaseName(1)}
}
