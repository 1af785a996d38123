package builtin

import (
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// asking is an environment with these variables, and what it has sealed.
func asking(t *testing.T, environ ...string) (*comm.Env, func(FoundSecret) string) {
	vault := &memVault{}
	env := comm.NewEnv(vault)
	env.Environ = environ
	t.Cleanup(func() { env.Close() })
	return env, func(found FoundSecret) string {
		name := steps.SealedName("token", "value")
		if found.Value != dag.Mark(name) {
			t.Errorf("%q is no secret", found.Value)
		}
		b, _ := vault.Get(name)
		return string(b)
	}
}

func task() *dag.Task { return dag.NewTask("r", "data.vault.x", "token", nil, nil) }

// refuses holds that a lookup fails with these words, and whether it is tried again.
func refuses(t *testing.T, err error, words string, passes bool) {
	t.Helper()
	var again *dag.RetryError
	if err == nil || !strings.Contains(err.Error(), words) || errors.As(err, &again) != passes {
		t.Errorf("%v, tried again: %v; not %q", err, errors.As(err, &again), words)
	}
	if err != nil && strings.Contains(err.Error(), "tok-123") {
		t.Errorf("the error tells the token: %v", err)
	}
}

func TestVault(t *testing.T) {
	var asked *http.Request
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r
		switch r.URL.Path {
		case "/v1/secret/data/app":
			io.WriteString(w, `{"data": {"data": {"password": "swordfish", "port": 8443, "none": null, "data": "inner"}, "metadata": {"version": 3}}}`)
		case "/v1/kv/app", "/base/v1/kv/app":
			io.WriteString(w, `{"data": {"password": "marlin", "data": "plain", "deep": {"a": [1]}}}`)
		case "/v1/kv/odd":
			io.WriteString(w, `{"data": {"password": "tern", "data": {"a": "b"}}}`)
		case "/v1/odd name/x?y%z":
			io.WriteString(w, `{"data": {"k": "odd"}}`)
		case "/v1/wrong":
			w.WriteHeader(404)
			io.WriteString(w, `{"warnings": ["Invalid path for a versioned K/V secrets engine"]}`)
		case "/v1/denied":
			w.WriteHeader(403)
			io.WriteString(w, `{"errors": ["permission \u001b[31mdenied for `+r.Header.Get("X-Vault-Token")+`"]}`)
		case "/v1/sealed":
			w.WriteHeader(503)
		case "/v1/teapot":
			w.WriteHeader(418)
		case "/v1/page":
			io.WriteString(w, "<html>")
		case "/v1/moved":
			http.Redirect(w, r, "http://127.0.0.1:1/elsewhere", http.StatusTemporaryRedirect)
		case "/v1/long":
			for range maxSecret>>20 + 1 {
				w.Write(make([]byte, 1<<20))
			}
		case "/v1/half":
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "half")
		default:
			w.WriteHeader(404)
			io.WriteString(w, `{"errors": []}`)
		}
	}))
	defer srv.Close()
	env, sealed := asking(t, "VAULT_ADDR="+srv.URL, "VAULT_TOKEN=tok-123", "VAULT_NAMESPACE=team")

	for _, x := range [][3]string{
		{"secret/data/app", "password", "swordfish"}, {"/secret/data/app", "port", "8443"}, {"secret/data/app", "data", "inner"},
		{"kv/app", "password", "marlin"}, {"kv/app", "data", "plain"}, {"kv/odd", "password", "tern"}, {"kv/app", "deep", `{"a":[1]}`}, {"odd name/x?y%z", "k", "odd"},
	} {
		found, err := Vault{x[0], x[1]}.Do(t.Context(), env, task())
		if err != nil || sealed(found) != x[2] {
			t.Errorf("%v: %q, %v", x, sealed(found), err)
		}
	}
	if h := asked.Header; h.Get("X-Vault-Token") != "tok-123" || h.Get("X-Vault-Namespace") != "team" || h.Get("X-Vault-Request") != "true" {
		t.Errorf("it was asked with %v", h)
	}
	for _, x := range []struct {
		path, key, words string
		passes           bool
	}{
		{"secret/data/app", "user", `cannot read "user" of secret/data/app in Vault: the secret has no such key`, false},
		{"secret/data/app", "none", "it is empty", false},
		{"wrong", "k", `there is no secret at that path: "Invalid path for a versioned K/V secrets engine"`, false},
		{"none", "k", "there is no secret at that path", false},
		{"denied", "k", `VAULT_TOKEN may not read it, or has expired: "permission \x1b[31mdenied for …"`, false},
		{"sealed", "k", "HTTP 503 Service Unavailable", true},
		{"teapot", "k", "HTTP 418", false},
		{"page", "k", "the answer is none of Vault: look at VAULT_ADDR", false},
		{"moved", "k", `it answers 307 and names "http://127.0.0.1:1/elsewhere"; set VAULT_ADDR to that`, false},
		{"long", "k", "the answer is longer than 4 MiB", false},
		{"half", "k", "the answer broke off after 4 bytes", true},
	} {
		_, err := Vault{x.path, x.key}.Do(t.Context(), env, task())
		refuses(t, err, x.words, x.passes)
	}

	for _, x := range []struct {
		environ []string
		words   string
		passes  bool
	}{
		{nil, "no token is known: set VAULT_TOKEN", false},
		{[]string{"VAULT_TOKEN=tok-123", "VAULT_ADDR=vault:8200"}, "VAULT_ADDR is no URL such as https://example.com:8200", false},
		{[]string{"VAULT_TOKEN=tok-123\nx", "VAULT_ADDR=" + srv.URL}, "X-Vault-Token is more than one line", false},
		{[]string{"VAULT_TOKEN=tok-123", "VAULT_SKIP_VERIFY=maybe"}, "VAULT_SKIP_VERIFY is neither true nor false", false},
		{[]string{"VAULT_TOKEN=tok-123", "VAULT_ADDR=http://127.0.0.1:1"}, "cannot reach 127.0.0.1:1, which VAULT_ADDR names", true},
		{[]string{"VAULT_TOKEN=tok-123", "VAULT_CACERT=/none"}, "cannot read VAULT_CACERT", false},
		{[]string{"VAULT_TOKEN=tok-123", "VAULT_CACERT=/dev/zero"}, "cannot read VAULT_CACERT", false},
	} {
		env, _ := asking(t, x.environ...)
		_, err := Vault{"kv/app", "password"}.Do(t.Context(), env, task())
		refuses(t, err, x.words, x.passes)
	}

	env, sealed = asking(t, "VAULT_ADDR="+srv.URL+"/base/", "VAULT_TOKEN=tok-123")
	if found, err := (Vault{"kv/app", "password"}).Do(t.Context(), env, task()); err != nil || sealed(found) != "marlin" || asked.Header["X-Vault-Namespace"] != nil {
		t.Errorf("below a path: %+v, %v", found, err)
	}

	for path, wrong := range map[string]int{"a/b": 0, "a/../b": 1, "a/.": 1, "a..b": 0} {
		if f := (&Vault{path, "k"}).Check(); len(f) != wrong {
			t.Errorf("%s: %v", path, f)
		}
	}
}

func TestVaultTLS(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, `{"data": {"k": "v"}}`) }))
	defer srv.Close()
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	dir := t.TempDir()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	for name, text := range map[string]string{"ca.pem": string(ca), "empty.pem": "none"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, x := range []struct{ variable, words string }{
		{"VAULT_CACERT=ca.pem", ""}, {"VAULT_CACERT=" + dir + "/ca.pem", ""}, {"VAULT_SKIP_VERIFY=1", ""},
		{"VAULT_CACERT=empty.pem", "there is no certificate in"}, {"X=1", "certificate signed by unknown authority"},
	} {
		env, sealed := asking(t, "VAULT_ADDR="+srv.URL, "VAULT_TOKEN=tok-123", x.variable)
		env.Dir = dir
		found, err := Vault{"a", "k"}.Do(t.Context(), env, task())
		if x.words != "" {
			refuses(t, err, x.words, false)
		} else if err != nil || sealed(found) != "v" {
			t.Errorf("%s: %v", x.variable, err)
		}
	}
}

// TestSecretServerIsSlow holds that whoever interrupts a lookup does not wait for the server.
func TestSecretServerIsSlow(t *testing.T) {
	came := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(came)
		select {
		case <-r.Context().Done():
		case <-time.After(time.Minute):
			t.Error("nobody has gone")
		}
	}))
	defer srv.Close()
	env, _ := asking(t, "VAULT_ADDR="+srv.URL, "VAULT_TOKEN=tok-123")
	ctx, cancel := contextUntil(t, came)
	defer cancel()
	_, err := Vault{"a", "k"}.Do(ctx, env, task())
	refuses(t, err, "cannot reach", true)
}
