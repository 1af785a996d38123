package comm

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/imgflow/imgflow/internal/cputime"
)

// What the manual says about the number of requests.
func TestCostOfWindows(t *testing.T) {
	t.Parallel()
	cputime.Measures(t)
	g := newGuest(t)
	to, err := url.Parse("http://" + g.m.address())
	if err != nil {
		t.Fatal(err)
	}
	var n atomic.Int64
	proxy := httputil.NewSingleHostReverseProxy(to)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	m := g.m
	at, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	m.Host, m.Port = at.Hostname(), 0
	if m.Port, err = strconv.Atoi(at.Port()); err != nil {
		t.Fatal(err)
	}
	w := newWin(t, m)
	if _, _, err := w.Exec(t.Context(), "ver", nil); err != nil { // makes the shell
		t.Fatal(err)
	}
	large := noise(8 << 20)
	for what, c := range map[string]struct {
		do   func() error
		most int64
	}{
		"Exec":       {func() error { _, _, err := w.Exec(t.Context(), "ver", nil); return err }, 5},
		"PowerShell": {func() error { return w.PowerShell(t.Context(), "'{}'", nil, nil) }, 5},
		"Upload":     {func() error { return w.Upload(t.Context(), `C:\small`, bytes.NewReader(large[:1000]), -1, 0) }, 8},
		"8 MiB":      {func() error { return w.Upload(t.Context(), `C:\large`, bytes.NewReader(large), -1, 0) }, 8 + 4*8 + 1},
		"Run": {func() error {
			_, err := w.Run(t.Context(), Job{Token: w.task.Token, Command: "echo hi"})
			return err
		}, 12},
	} {
		before := n.Load()
		if err := c.do(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if got := n.Load() - before; got > c.most {
			t.Errorf("%s took %d requests, want at most %d", what, got, c.most)
		} else {
			t.Logf("%s: %d requests", what, got)
		}
	}
}
