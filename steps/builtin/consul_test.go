package builtin

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// contextUntil is one that ends when something has happened.
func contextUntil(t *testing.T, happened <-chan struct{}) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		select {
		case <-happened:
		case <-ctx.Done():
		}
		cancel()
	}()
	return ctx, cancel
}

func TestConsul(t *testing.T) {
	var asked *http.Request
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r
		switch r.URL.Path {
		case "/v1/kv/app/port":
			io.WriteString(w, "8443")
		case "/v1/kv/empty":
		case "/v1/kv/binary":
			w.Write([]byte{0xff, 0xfe})
		case "/v1/kv/denied":
			w.WriteHeader(403)
			io.WriteString(w, "ACL not found: "+r.Header.Get("X-Consul-Token"))
		case "/v1/kv/bad":
			w.WriteHeader(400)
			io.WriteString(w, "no\x1b[31m")
		case "/v1/kv/down":
			w.WriteHeader(500)
		default:
			w.WriteHeader(404)
		}
	}))
	defer srv.Close()
	host := strings.TrimPrefix(srv.URL, "http://")
	env, sealed := asking(t, "CONSUL_HTTP_ADDR="+host, "CONSUL_HTTP_TOKEN=tok-123", "CONSUL_NAMESPACE=team", "CONSUL_HTTP_AUTH=me:word")
	for _, key := range []string{"app/port", "/app/port"} {
		if found, err := (Consul{key}).Do(t.Context(), env, task()); err != nil || sealed(found) != "8443" {
			t.Errorf("%s: %+v, %v", key, found, err)
		}
	}
	if user, word, _ := asked.BasicAuth(); asked.Header.Get("X-Consul-Token") != "tok-123" || user != "me" || word != "word" || asked.URL.RawQuery != "ns=team&raw=" {
		t.Errorf("it was asked for %s with %v", asked.URL, asked.Header)
	}
	for _, x := range []struct {
		key, words string
		passes     bool
	}{
		{"none", "cannot read none in Consul: there is no such key", false},
		{"empty", "it is empty", false},
		{"binary", "it is no text in UTF-8", false},
		{"denied", `CONSUL_HTTP_TOKEN may not read it: "ACL not found: …"`, false},
		{"bad", `HTTP 400 Bad Request: "no\x1b[31m"`, false},
		{"down", "HTTP 500", true},
	} {
		_, err := Consul{x.key}.Do(t.Context(), env, task())
		refuses(t, err, x.words, x.passes)
	}
	env, sealed = asking(t, "CONSUL_HTTP_ADDR="+srv.URL)
	if found, err := (Consul{"app/port"}).Do(t.Context(), env, task()); err != nil || sealed(found) != "8443" || asked.Header["X-Consul-Token"] != nil || asked.Header["Authorization"] != nil {
		t.Errorf("%+v, %v, %v", found, err, asked.Header)
	}
	for _, x := range []struct {
		variable, words string
		passes          bool
	}{
		{"CONSUL_HTTP_ADDR=unix:///run/consul", "CONSUL_HTTP_ADDR is no URL", false},
		{"CONSUL_HTTP_SSL=perhaps", "CONSUL_HTTP_SSL is neither", false},
		{"CONSUL_HTTP_SSL_VERIFY=perhaps", "CONSUL_HTTP_SSL_VERIFY is neither", false},
	} {
		env, _ := asking(t, x.variable)
		_, err := Consul{"app/port"}.Do(t.Context(), env, task())
		refuses(t, err, x.words, x.passes)
	}

	tls := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "v") }))
	defer tls.Close()
	env, sealed = asking(t, "CONSUL_HTTP_ADDR="+strings.TrimPrefix(tls.URL, "https://"), "CONSUL_HTTP_SSL=true", "CONSUL_HTTP_SSL_VERIFY=false")
	if found, err := (Consul{"a"}).Do(t.Context(), env, task()); err != nil || sealed(found) != "v" {
		t.Errorf("over TLS: %+v, %v", found, err)
	}
	if f := (&Consul{"a/../b"}).Check(); len(f) != 1 {
		t.Errorf("%v", f)
	}
}
