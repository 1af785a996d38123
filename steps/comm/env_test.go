package comm

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/imgflow/imgflow/dag"
)

// A machine is reached by the proxy of the session's environment, and not by that of
// the process, which may be another session's.
func TestProxyIsThatOfTheSession(t *testing.T) {
	proxy := func() (*httptest.Server, *atomic.Int32) {
		asked := new(atomic.Int32)
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			http.Error(w, "login", http.StatusProxyAuthRequired)
		}))
		t.Cleanup(s.Close)
		return s, asked
	}
	own, asked := proxy()
	process, strayed := proxy()
	t.Setenv("HTTP_PROXY", process.URL)
	t.Setenv("NO_PROXY", "")
	for _, c := range []struct {
		environ  []string
		straight bool
		says     string
		asked    int32
	}{
		{[]string{"http_proxy=" + own.URL}, false, "the proxy wants a login", 1},
		{[]string{"HTTP_PROXY=" + own.URL, "NO_PROXY=.invalid"}, false, "cannot be looked up", 0},
		{[]string{"HTTP_PROXY=" + own.URL}, true, "cannot be looked up", 0},
		{nil, false, "cannot be looked up", 0},
	} {
		e := NewEnv(nil)
		e.Environ = c.environ
		r := &winremote{env: e, t: &dag.Task{}, m: Machine{Endpoint: Endpoint{Protocol: "winrm", Host: "machine.invalid"}, WinRM: WinRM{Username: "u", Password: "p", NoProxy: c.straight}}}
		client, err := r.client()
		if err != nil {
			t.Fatal(err)
		}
		asked.Store(0)
		if _, err = client.Start(t.Context(), "echo"); err == nil || !strings.Contains(err.Error(), c.says) || asked.Load() != c.asked {
			t.Errorf("with %q, straight %v, it says %v and asks the proxy %d times", c.environ, c.straight, err, asked.Load())
		}
	}
	if n := strayed.Load(); n != 0 {
		t.Errorf("the proxy of the process was asked %d times", n)
	}
}

// What steps look for in the environment is looked for in that of their session: the
// process may be in another one, or in none.
func TestEnvironmentOfTheSession(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("NOT TESTED: the paths here are those of Unix")
	}
	e := NewEnv(nil)
	e.Environ = []string{"HOME=/home/session", "HTTP_PROXY=http://proxy:1", "https_proxy=http://proxy:2", "NO_PROXY=straight", "TMPDIR=/session/tmp", "PATH=.:/bin:/usr/bin"}
	for _, name := range []string{"HOME", "HTTP_PROXY", "HTTPS_PROXY", "TMPDIR", "PATH"} {
		t.Setenv(name, "/of/the/process")
	}
	for path, want := range map[string]string{"~/.ssh/id": "/home/session/.ssh/id", "~": "/home/session", "~other/x": "~other/x", "/a/~": "/a/~"} {
		if got := e.home(path); got != want {
			t.Errorf("%s is %s", path, got)
		}
	}
	for at, want := range map[string]string{"http://m:5985/wsman": "http://proxy:1", "https://m:5986/wsman": "http://proxy:2", "http://straight:5985/": ""} {
		u, err := url.Parse(at)
		if err != nil {
			t.Fatal(err)
		}
		got, err := e.Proxy()(u)
		if err != nil || want == "" && got != nil || want != "" && (got == nil || got.String() != want) {
			t.Errorf("%s goes by %v, %v", at, got, err)
		}
	}
	if got := e.TempDir(); got != "/session/tmp" {
		t.Errorf("files for a while are in %s", got)
	}
	if got := e.LookPath("sh"); got != "/bin/sh" && got != "/usr/bin/sh" {
		t.Errorf("sh is %s", got)
	}
	if got := e.LookPath("env_test.go"); got != "env_test.go" {
		t.Errorf("a file of the working directory is %s", got)
	}
}
