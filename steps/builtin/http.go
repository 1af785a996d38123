package builtin

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// HTTP makes one request; its answer is what the template sees.
type HTTP struct {
	// The address that is asked.
	URL dag.Text `json:"url,omitempty" option:"required"`
	// The method of the request. Default: `GET`.
	Method string `json:"method,omitempty"`
	// Headers of the request. Default: none.
	Headers map[string]dag.Text `json:"request_headers,omitempty"`
	// What is sent with the request. Default: nothing.
	Body dag.Text `json:"request_body,omitempty"`
	// How long one attempt may take. Default: `1m`.
	Timeout time.Duration `json:"timeout,omitempty"`
}

// Response is what templates see of the answer. Packer calls its headers
// request_headers.
type Response struct {
	URL             string            `json:"url"`
	Body            string            `json:"body"`
	RequestHeaders  map[string]string `json:"request_headers"`
	ResponseHeaders map[string]string `json:"response_headers"`
}

// What is read of an answer at most, in bytes, and how far it may lead.
const (
	maxAnswer        = 10 << 20
	maxAnswerHeaders = 256 << 10
	maxRedirects     = 5
)

var methods = []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"}

// Check says what is wrong with the options.
func (h *HTTP) Check() []steps.OptionError {
	var f steps.OptionErrors
	if h.URL != "" && h.URL.Known() {
		if _, err := address(string(h.URL)); err != nil {
			f.Add("url", "%v", err)
		}
	}
	if h.Method != "" && !slices.Contains(methods, h.Method) {
		f.Add("method", "must be one of %s", strings.Join(methods, ", "))
	}
	if h.Timeout < 0 {
		f.Add("timeout", "cannot be negative")
	}
	for _, name := range slices.Sorted(maps.Keys(h.Headers)) {
		value := h.Headers[name]
		if !headerName(name) || value.Known() && strings.ContainsAny(string(value), "\r\n\x00") {
			f.Add("request_headers", "%q is no header: its name consists of letters, digits and hyphens, and its value is one line", name)
		}
	}
	return f
}

func headerName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return r > 126 || r <= ' ' || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r)
	})
}

// address reads a URL. The error does not show it: there may be a secret in it.
func address(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("it is no URL such as https://example.com/versions.json")
	}
	return u, nil
}

func (*HTTP) Output() any { return Response{} }

// Add adds the step that makes the request.
func (h *HTTP) Add(g *dag.Graph, b dag.Build, name string) dag.Key {
	return dag.Add(g, b, name, *h).Key()
}

func (HTTP) Kind() string    { return "builtin.http" }
func (h HTTP) Title() string { return "ask " + h.shown() }

// shown is the URL for messages, without what is secret of it, and without a query,
// where secrets stand that nobody has marked.
func (h HTTP) shown() string {
	text, _, _ := strings.Cut(h.URL.Literal(), "?")
	if u, err := url.Parse(text); err == nil && u.User != nil {
		u.User = nil
		text = u.String()
	}
	return text
}

// Do makes the request. What may pass is tried again, if trying again does no harm.
func (h HTTP) Do(ctx context.Context, e *comm.Env, t *dag.Task) (Response, error) {
	r, err := h.ask(ctx, e, t)
	if err == nil {
		t.Say("got %d bytes of %s", len(r.body), h.shown())
		return h.response(e, t, r)
	}
	var passes *passingError
	failed := fmt.Errorf("cannot get %s: %w", h.shown(), err)
	if errors.As(err, &passes) && slices.Contains([]string{"", "GET", "HEAD", "OPTIONS", "PUT", "DELETE"}, h.Method) {
		return Response{}, dag.Retry(failed, 0)
	}
	return Response{}, failed
}

// passingError is one that may not be there at the next attempt.
type passingError struct{ error }

func (e *passingError) Unwrap() error { return e.error }

// unreached is an error of a request without an answer. It passes, but for a certificate that is not trusted.
func unreached(err error) error {
	if errors.As(err, new(*tls.CertificateVerificationError)) {
		return err
	}
	return &passingError{err}
}

// answer is what came, with the secrets that it was asked with.
type answer struct {
	body    string
	header  http.Header
	secrets []string
}

func (h HTTP) ask(ctx context.Context, e *comm.Env, t *dag.Task) (answer, error) {
	var a answer
	fill := func(x dag.Text) (string, error) {
		for _, name := range x.Secrets() {
			s, err := t.Reveal(dag.Secret(dag.Mark(name)))
			if err != nil {
				return "", err
			}
			a.secrets = append(a.secrets, s)
		}
		return t.Fill(x, nil)
	}
	to, err := fill(h.URL)
	if err != nil {
		return a, err
	}
	u, err := address(to)
	if err != nil {
		return a, err
	}
	body, err := fill(h.Body)
	if err != nil {
		return a, err
	}
	ctx, cancel := context.WithTimeout(ctx, h.timeout())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, cmp.Or(h.Method, "GET"), u.String(), strings.NewReader(body))
	if err != nil {
		return a, bare(err)
	}
	if body == "" {
		req.Body, req.GetBody = nil, nil
	}
	req.Header.Set("User-Agent", "imgflow")
	for name, x := range h.Headers {
		value, err := fill(x)
		if err != nil {
			return a, err
		}
		if req.Header.Set(name, value); http.CanonicalHeaderKey(name) == "Host" {
			req.Host = value
		}
	}
	transport := transport(e)
	defer transport.CloseIdleConnections()
	r, err := (&http.Client{Transport: transport, CheckRedirect: h.redirect}).Do(req)
	if err != nil {
		var no *redirectError
		if errors.As(err, &no) {
			return a, no
		}
		return a, unreached(h.late(ctx, bare(err)))
	}
	defer r.Body.Close()
	got, err := io.ReadAll(io.LimitReader(r.Body, maxAnswer+1))
	a.body, a.header = string(got), r.Header
	switch {
	case err != nil:
		return a, &passingError{fmt.Errorf("the answer broke off after %d bytes: %w", len(got), h.late(ctx, bare(err)))}
	case r.StatusCode/100 != 2:
		err := fmt.Errorf("HTTP %d %s%s", r.StatusCode, http.StatusText(r.StatusCode), begins(got))
		if passes(r.StatusCode) {
			return a, &passingError{err}
		}
		return a, err
	case len(got) > maxAnswer:
		return a, fmt.Errorf("the answer is longer than %d MiB", maxAnswer>>20)
	case !utf8.Valid(got):
		return a, errors.New("the answer is no text in UTF-8")
	}
	return a, nil
}

// transport makes one request, by the session's proxy.
func transport(e *comm.Env) *http.Transport {
	proxy := e.Proxy()
	return &http.Transport{
		Proxy:             func(r *http.Request) (*url.URL, error) { return proxy(r.URL) },
		DialContext:       (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		DisableKeepAlives: true, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 10 * time.Second, MaxResponseHeaderBytes: maxAnswerHeaders,
	}
}

// passes tells whether what a server is short of now may be there at the next attempt.
func passes(status int) bool {
	return status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout
}

// begins are the first words of a page, for a message.
func begins(page []byte) string {
	text := strings.Join(strings.Fields(strings.ToValidUTF8(string(page[:min(len(page), 200)]), "?")), " ")
	if text == "" {
		return ""
	}
	return fmt.Sprintf(": %q", text)
}

// bare is an error of net/http without the URL, which may hold a secret.
func bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

func (h HTTP) timeout() time.Duration { return cmp.Or(h.Timeout, time.Minute) }

// late says so of an error that is one of time.
func (h HTTP) late(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("it takes longer than timeout, %v", h.timeout())
	}
	return err
}

type redirectError struct{ text string }

func (e *redirectError) Error() string { return e.text }

// redirect lets an answer lead elsewhere. Another server gets neither the headers of
// the template, which may say who asks, nor its body, nor the address.
func (h HTTP) redirect(req *http.Request, before []*http.Request) error {
	first := before[0].URL
	switch foreign := req.URL.Host != first.Host; {
	case len(before) > maxRedirects:
		return &redirectError{fmt.Sprintf("it is redirected more than %d times", maxRedirects)}
	case first.Scheme == "https" && req.URL.Scheme != "https":
		return &redirectError{"it is redirected from https to " + req.URL.Scheme}
	case foreign && req.Body != nil:
		return &redirectError{"request_body would be sent to another server, " + req.URL.Host}
	case foreign:
		req.Header = http.Header{"User-Agent": req.Header["User-Agent"]}
		req.Host = ""
	}
	req.Header.Del("Referer")
	return nil
}

// response is what templates see. An answer that repeats what it was asked with and
// is secret is a secret itself.
func (h HTTP) response(e *comm.Env, t *dag.Task, a answer) (Response, error) {
	seal := func(name, value string) (string, error) {
		if !slices.ContainsFunc(a.secrets, func(s string) bool { return s != "" && strings.Contains(value, s) }) {
			return value, nil
		}
		return steps.Seal(e.Vault(), t.Token, name, value)
	}
	r := Response{RequestHeaders: map[string]string{}}
	to, err := t.Fill(h.URL, nil)
	if err == nil {
		r.URL, err = seal("url", to)
	}
	if err == nil {
		r.Body, err = seal("body", a.body)
	}
	for _, name := range slices.Sorted(maps.Keys(a.header)) {
		if err == nil {
			r.RequestHeaders[name], err = seal("request_headers."+name, strings.ToValidUTF8(strings.Join(a.header[name], ", "), "?"))
		}
	}
	r.ResponseHeaders = r.RequestHeaders
	return r, err
}
