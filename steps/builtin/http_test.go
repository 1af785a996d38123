package builtin

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

type memVault struct{ sync.Map }

func (v *memVault) Get(name string) ([]byte, error) {
	if b, ok := v.Load(name); ok {
		return b.([]byte), nil
	}
	return nil, fs.ErrNotExist
}

func (v *memVault) Put(name string, b []byte) error { v.Store(name, b); return nil }

func TestHTTP(t *testing.T) {
	var elsewhere http.Header
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		elsewhere = r.Header
		io.WriteString(w, "elsewhere")
	}))
	defer other.Close()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch r.URL.Path {
		case "/echo":
			w.Header().Add("X-Two", "a")
			w.Header().Add("X-Two", "b")
			w.Header().Set("X-Echo", r.Header.Get("X-Token"))
			io.WriteString(w, strings.Join([]string{r.Method, r.Host, r.UserAgent(), r.Header.Get("X-Token"), r.URL.RawQuery, string(body)}, "|"))
		case "/gone":
			http.Error(w, "no \x1b[31msuch\nthing "+strings.Repeat("x", 500), 404)
		case "/busy":
			w.WriteHeader(503)
		case "/long":
			for range maxAnswer>>20 + 1 {
				w.Write(make([]byte, 1<<20))
			}
		case "/zip":
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			for range maxAnswer>>20 + 1 {
				z.Write(make([]byte, 1<<20))
			}
			z.Close()
		case "/binary":
			w.Write([]byte{0xff, 0xfe})
		case "/half":
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "half")
		case "/slow":
			<-r.Context().Done()
		case "/round":
			http.Redirect(w, r, "/round", http.StatusFound)
		case "/away":
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		case "/near":
			http.Redirect(w, r, "/echo", http.StatusFound)
		}
	}))
	defer srv.Close()
	host := strings.TrimPrefix(srv.URL, "http://")
	vault := &memVault{}
	env := comm.NewEnv(vault)
	defer env.Close()
	task := dag.NewTask("r", "data.http.x", "token", nil, func(name string) (string, error) {
		if name != "key" {
			return "", errors.New("no secret " + name)
		}
		return "swordfish", nil
	})
	do := func(h HTTP) (Response, error) {
		h.URL = dag.Text(srv.URL) + h.URL
		if f := h.Check(); len(f) > 0 {
			t.Errorf("%+v: %v", h, f)
		}
		return h.Do(t.Context(), env, task)
	}

	r, err := do(HTTP{URL: "/echo?a=b"})
	if err != nil || r.Body != "GET|"+host+"|imgflow||a=b|" || r.URL != srv.URL+"/echo?a=b" || r.ResponseHeaders["X-Two"] != "a, b" || r.RequestHeaders["X-Two"] != "a, b" {
		t.Errorf("%+v, %v", r, err)
	}
	r, err = do(HTTP{URL: "/echo", Method: "POST", Body: "text", Headers: map[string]dag.Text{"x-token": "t", "Host": "other", "user-agent": "mine"}})
	if err != nil || r.Body != "POST|other|mine|t||text" {
		t.Errorf("%+v, %v", r, err)
	}

	// What is secret stays so, and what repeats it is, too.
	secret := dag.Text(dag.Mark("key"))
	r, err = do(HTTP{URL: "/echo?k=" + secret, Headers: map[string]dag.Text{"X-Token": secret}})
	sealed := func(name string) string {
		b, _ := vault.Get(steps.SealedName("token", name))
		return string(b)
	}
	if err != nil || r.URL != dag.Mark(steps.SealedName("token", "url")) || r.Body != dag.Mark(steps.SealedName("token", "body")) || r.ResponseHeaders["X-Echo"] != dag.Mark(steps.SealedName("token", "request_headers.X-Echo")) || r.ResponseHeaders["X-Two"] != "a, b" {
		t.Errorf("%+v, %v", r, err)
	}
	if sealed("url") != srv.URL+"/echo?k=swordfish" || !strings.Contains(sealed("body"), "|swordfish|") || sealed("request_headers.X-Echo") != "swordfish" {
		t.Errorf("%q %q", sealed("url"), sealed("body"))
	}
	g := dag.NewGraph(nil)
	h := &HTTP{URL: "https://example.com/x?k=" + secret, Headers: map[string]dag.Text{"X-Token": secret}}
	if h.Add(g, dag.Build{Name: "b"}, "x"); strings.Contains(string(g.Nodes[0].Spec), "swordfish") || g.Nodes[0].Title != "ask https://example.com/x" {
		t.Errorf("%s %s", g.Nodes[0].Spec, g.Nodes[0].Title)
	}

	// Redirects.
	if r, err = do(HTTP{URL: "/near", Headers: map[string]dag.Text{"X-Token": "t"}}); err != nil || !strings.Contains(r.Body, "|t|") {
		t.Errorf("on the same server: %+v, %v", r, err)
	}
	r, err = do(HTTP{URL: "/away?k=" + secret, Headers: map[string]dag.Text{"X-Token": secret, "Accept": "x"}})
	if err != nil || r.Body != "elsewhere" || elsewhere.Get("X-Token") != "" || elsewhere.Get("Accept") != "" || elsewhere.Get("Referer") != "" || elsewhere.Get("User-Agent") != "imgflow" {
		t.Errorf("another server got %v: %+v, %v", elsewhere, r, err)
	}

	for _, x := range []struct {
		h      HTTP
		words  string
		passes bool
	}{
		{HTTP{URL: "/gone?k=" + secret}, "cannot get " + srv.URL + `/gone: HTTP 404 Not Found: "no \x1b[31msuch thing xxx`, false},
		{HTTP{URL: "/busy"}, "HTTP 503 Service Unavailable", true},
		{HTTP{URL: "/busy", Method: "PUT"}, "HTTP 503", true},
		{HTTP{URL: "/busy", Method: "POST"}, "HTTP 503", false},
		{HTTP{URL: "/long"}, "longer than 10 MiB", false},
		{HTTP{URL: "/zip"}, "longer than 10 MiB", false},
		{HTTP{URL: "/binary"}, "no text in UTF-8", false},
		{HTTP{URL: "/half"}, "broke off after 4 bytes", true},
		{HTTP{URL: "/slow?k=" + secret, Timeout: 50 * time.Millisecond}, "takes longer than timeout, 50ms", true},
		{HTTP{URL: "/round"}, "redirected more than 5 times", false},
		{HTTP{URL: "/away", Method: "POST", Body: "x"}, "request_body would be sent to another server", false},
		{HTTP{URL: "/echo", Body: dag.Text(dag.Mark("lost"))}, "no secret lost", false},
	} {
		_, err := do(x.h)
		var retry *dag.RetryError
		if err == nil || !strings.Contains(err.Error(), x.words) || errors.As(err, &retry) != x.passes || strings.Contains(err.Error(), "swordfish") || len(err.Error()) > 500 {
			t.Errorf("%+v: %v; want %q, retried %v", x.h, err, x.words, x.passes)
		}
	}
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	var again *dag.RetryError
	if _, err := (HTTP{URL: dag.Text(secure.URL)}).Do(t.Context(), env, task); err == nil || !strings.Contains(err.Error(), "unknown authority") || errors.As(err, &again) {
		t.Errorf("a certificate that nobody knows: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (HTTP{URL: dag.Text(srv.URL + "/echo")}).Do(ctx, env, task); !errors.Is(err, context.Canceled) {
		t.Errorf("when it was cancelled: %v", err)
	}

	// The proxy is the session's.
	env.Environ = []string{"HTTP_PROXY=" + other.URL}
	if r, err := (HTTP{URL: "http://nowhere.example/x"}).Do(t.Context(), env, task); err != nil || r.Body != "elsewhere" {
		t.Errorf("%+v, %v", r, err)
	}

	for field, h := range map[string]*HTTP{
		"url":             {URL: "example.com"},
		"method":          {URL: "http://x", Method: "get"},
		"timeout":         {URL: "http://x", Timeout: -1},
		"request_headers": {URL: "http://x", Headers: map[string]dag.Text{"a b": "c"}},
	} {
		if f := h.Check(); len(f) != 1 || f[0].Field != field {
			t.Errorf("%s: %v", field, f)
		}
	}
	if f := (&HTTP{URL: "http://x", Headers: map[string]dag.Text{"a": "b\r\nc: d"}}).Check(); len(f) != 1 {
		t.Errorf("two lines: %v", f)
	}
}
