package telemetry

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http/httpproxy"

	"github.com/imgflow/imgflow/internal/localfile"
)

// Bounds of what is sent and read.
const (
	defaultTimeout = 10 * time.Second
	mostReply      = 64 << 10 // bytes: a reply says little that counts
	mostPause      = 5 * time.Second
	mostPEM        = 1 << 20
)

// sender sends encoded batches to one target.
type sender struct {
	what    string // traces or metrics
	t       Target
	client  *http.Client
	err     error           // why nothing can be sent
	running context.Context // ends when the program does not wait any more
	closing <-chan struct{} // nothing is tried twice from then on

	mu   sync.Mutex
	lost int   // of what was to be sent
	why  error // the first cause
}

func newSender(running context.Context, closing <-chan struct{}, what string, t Target, getenv func(string) string) *sender {
	s := &sender{what: what, t: t, running: running, closing: closing}
	if s.t.Timeout <= 0 {
		s.t.Timeout = defaultTimeout
	}
	secure, err := t.tls()
	s.err = err
	s.client = &http.Client{
		Transport: &http.Transport{Proxy: proxy(getenv), TLSClientConfig: secure, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute},
		// The headers are for who was named.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return s
}

// proxy is what the environment names for a request.
func proxy(getenv func(string) string) func(*http.Request) (*url.URL, error) {
	if getenv == nil {
		return nil
	}
	first := func(names ...string) string {
		for _, n := range names {
			if v := getenv(n); v != "" {
				return v
			}
		}
		return ""
	}
	c := httpproxy.Config{HTTPProxy: first("HTTP_PROXY", "http_proxy"), HTTPSProxy: first("HTTPS_PROXY", "https_proxy"), NoProxy: first("NO_PROXY", "no_proxy"), CGI: getenv("REQUEST_METHOD") != ""}
	f := c.ProxyFunc()
	return func(r *http.Request) (*url.URL, error) { return f(r.URL) }
}

// tls is made of the files that the target names; nil is what everybody has.
func (t Target) tls() (*tls.Config, error) {
	if t.Authorities == "" && t.Certificate == "" && t.Key == "" {
		return nil, nil
	}
	c := &tls.Config{}
	if t.Authorities != "" {
		pem, err := localfile.Read(t.Authorities, mostPEM)
		if err != nil {
			return nil, err
		}
		if c.RootCAs = x509.NewCertPool(); !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("cannot use %s: there is no certificate in it", t.Authorities)
		}
	}
	if t.Certificate != "" || t.Key != "" {
		cert, err := localfile.Read(t.Certificate, mostPEM)
		if err != nil {
			return nil, err
		}
		key, err := localfile.Read(t.Key, mostPEM)
		if err != nil {
			return nil, err
		}
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("cannot use %s with %s: %w", t.Certificate, t.Key, err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// send sends a batch of n things, again while its time lasts. What cannot be sent is
// counted: nobody is kept waiting for it.
func (s *sender) send(batch []byte, n int) {
	err := s.err
	if err == nil {
		err = s.try(batch)
	}
	if err == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost += n
	if s.why == nil {
		s.why = err
	}
}

func (s *sender) try(batch []byte) error {
	ctx, cancel := context.WithTimeout(s.running, s.t.Timeout)
	defer cancel()
	var failed error
	for pause := time.Second / 4; ; pause = min(2*pause, mostPause) {
		wait, err := s.post(ctx, batch)
		if err == nil {
			return nil
		}
		if failed == nil || ctx.Err() == nil {
			failed = err
		}
		if wait < 0 {
			return failed
		}
		select {
		case <-s.closing:
			return failed
		case <-ctx.Done():
			return failed
		case <-time.After(max(pause, min(wait, mostPause))):
		}
	}
}

// post sends a batch once. After an error wait is how long the collector wants to be
// left alone, at least; below zero it will not take the batch at all.
func (s *sender) post(ctx context.Context, batch []byte) (wait time.Duration, err error) {
	body := batch
	if s.t.Gzip {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		w.Write(batch) // a buffer takes everything
		w.Close()
		body = b.Bytes()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.t.URL, bytes.NewReader(body))
	if err != nil {
		return -1, errors.New("the endpoint is no URL")
	}
	req.Header.Set("User-Agent", "imgflow")
	for name, value := range s.t.Headers {
		req.Header.Set(name, value)
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	if s.t.Gzip {
		req.Header.Set("Content-Encoding", "gzip")
	}
	resp, err := s.client.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // without the URL, which may hold a password
		}
		return 0, err
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, io.LimitReader(resp.Body, mostReply)) // so that the connection can be used again
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return time.Duration(min(max(seconds, 0), 3600)) * time.Second, fmt.Errorf("it answers %d", resp.StatusCode)
	}
	if resp.StatusCode/100 != 2 {
		return -1, fmt.Errorf("it answers %d", resp.StatusCode)
	}
	return 0, nil
}

// loss says what could not be sent; nil if all was.
func (s *sender) loss() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.why == nil {
		return nil
	}
	host := s.t.URL
	if u, err := url.Parse(s.t.URL); err == nil {
		host = u.Host
	}
	hint := ""
	if strings.HasSuffix(host, ":4317") {
		hint = " (that port mostly speaks gRPC; HTTP is at 4318)"
	}
	if s.what == "metrics" {
		return fmt.Errorf("cannot send metrics to %s: %w%s", host, s.why, hint)
	}
	return fmt.Errorf("cannot send %d spans of the trace to %s: %w%s", s.lost, host, s.why, hint)
}
