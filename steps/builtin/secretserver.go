package builtin

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/localfile"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// FoundSecret is what templates see of a secret.
type FoundSecret struct {
	Value string `json:"value"`
}

// maxSecret is what is read of an answer with secrets at most, in bytes: Vault keeps no more than 1 MiB at a path, and
// Consul 512 KiB.
const maxSecret = 4 << 20

// secretServer is a server of secrets, as the environment names it.
type secretServer struct {
	variable string // that has the address
	base     *url.URL
	header   http.Header
	tls      *tls.Config
}

// newSecretServer is the one at the address that a variable has. What the headers say is left out where it is empty; the
// variable authority may name a file of certificates.
func newSecretServer(e *comm.Env, variable, address, authority string, unverified bool, header http.Header) (*secretServer, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%s is no URL such as https://example.com:8200", variable)
	}
	s := &secretServer{variable, u, header, &tls.Config{InsecureSkipVerify: unverified}}
	for name, values := range header {
		if strings.ContainsAny(values[0], "\r\n\x00") {
			return nil, fmt.Errorf("what the environment has for the header %s is more than one line", name)
		}
		if values[0] == "" {
			delete(header, name)
		}
	}
	if path := e.Getenv(authority); path != "" {
		if !filepath.IsAbs(path) {
			path = filepath.Join(e.Dir, path)
		}
		pem, err := localfile.Read(path, 1<<20)
		if err != nil {
			return nil, fmt.Errorf("cannot read %s: %w", authority, err)
		}
		s.tls.RootCAs = x509.NewCertPool()
		if !s.tls.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("cannot use %s: there is no certificate in %s", authority, path)
		}
	}
	return s, nil
}

// get asks for a path. The answer may be one that refuses. The token goes nowhere else: no redirect is followed.
func (s *secretServer) get(ctx context.Context, e *comm.Env, path, query string) (status int, body []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	u := *s.base
	u.Path, u.RawPath, u.RawQuery = strings.TrimSuffix(u.Path, "/")+"/"+path, "", query
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return 0, nil, bare(err)
	}
	req.Header = s.header
	transport := transport(e)
	transport.TLSClientConfig = s.tls
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	r, err := client.Do(req)
	if err != nil {
		return 0, nil, unreached(fmt.Errorf("cannot reach %s, which %s names: %w", s.base.Host, s.variable, bare(err)))
	}
	defer r.Body.Close()
	body, err = io.ReadAll(io.LimitReader(r.Body, maxSecret+1))
	if r.StatusCode != http.StatusOK { // it may be shown, and repeat who asks
		for _, values := range s.header {
			body = bytes.ReplaceAll(body, []byte(values[0]), []byte("…"))
		}
	}
	switch {
	case err != nil:
		return 0, nil, &passingError{fmt.Errorf("the answer broke off after %d bytes: %w", len(body), bare(err))}
	case len(body) > maxSecret:
		return 0, nil, fmt.Errorf("the answer is longer than %d MiB", maxSecret>>20)
	case r.StatusCode/100 == 3:
		return 0, nil, fmt.Errorf("the server is another: it answers %d and names %.100q; set %s to that", r.StatusCode, r.Header.Get("Location"), s.variable)
	case passes(r.StatusCode):
		return 0, nil, &passingError{s.refusal(r.StatusCode, body)}
	}
	return r.StatusCode, body, nil
}

// refusal is an answer without a secret.
func (s *secretServer) refusal(status int, body []byte) error {
	return fmt.Errorf("HTTP %d %s%s", status, http.StatusText(status), begins(body))
}

// keep seals a secret that was found.
func keep(e *comm.Env, t *dag.Task, value string) (found FoundSecret, err error) {
	switch {
	case value == "":
		return found, errors.New("it is empty")
	case !utf8.ValidString(value):
		return found, errors.New("it is no text in UTF-8")
	}
	found.Value, err = steps.Seal(e.Vault(), t.Token, "value", value)
	return found, err
}

// failed is an error of a lookup: what may pass is tried again.
func failed(what string, err error) error {
	var passes *passingError
	err = fmt.Errorf("cannot read %s: %w", what, err)
	if errors.As(err, &passes) {
		return dag.Retry(err, 0)
	}
	return err
}

// is tells whether a variable of the environment says yes, or the opposite of what it is by default.
func is(e *comm.Env, name string, otherwise bool) (bool, error) {
	text := cmp.Or(e.Getenv(name), strconv.FormatBool(otherwise))
	b, err := strconv.ParseBool(text)
	if err != nil {
		return false, fmt.Errorf("%s is neither true nor false", name)
	}
	return b, nil
}
