package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// Without the cookie there is nothing, and only the token gives it.
func TestOnlyWhoHasTheTokenComesIn(t *testing.T) {
	x := newSite(t)
	id := x.suspend(x.started("web"))
	stranger := &site{Server: x.Server, Client: &http.Client{}, t: t, home: x.home, url: x.url}
	for _, path := range []string{"/", "/stream", "/runs/" + id, "/runs/" + id + "/stream", "/runs/" + id + "/log", "/runs/" + id + "/report", "/orphans", "/assets/ui.js", "/nosuch",
		"/enter", "/enter?token=", "/enter?token=" + strings.Repeat("A", 26)} {
		if code, body := stranger.get(path); code != http.StatusForbidden || strings.Contains(body, id) {
			t.Errorf("%s is answered with %d: %s", path, code, body)
		}
	}
	for _, path := range []string{"/runs/" + id + "/resume", "/runs/" + id + "/destroy/confirm", "/orphans/confirm"} {
		if code, _ := stranger.post(path); code != http.StatusForbidden {
			t.Errorf("%s of a stranger is answered with %d", path, code)
		}
	}
	if x.actions.of(id) != nil {
		t.Error("a command was begun")
	}
	// The address with the token is left at once, and gives a cookie that no script and no other site can use.
	x.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, _ := x.do(http.MethodGet, x.URL()[len(x.url):], nil)
	c := resp.Cookies()
	if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/" || len(c) != 1 || !c[0].HttpOnly || c[0].SameSite != http.SameSiteStrictMode || c[0].Value == x.door.token {
		t.Errorf("%s to %q with the cookies %v", resp.Status, resp.Header.Get("Location"), c)
	}
}

// A name that leads here (DNS rebinding), and requests that other pages make, are refused, whatever cookie they have.
func TestOtherPagesAreRefused(t *testing.T) {
	x := newSite(t)
	id := x.suspend(x.started("web"))
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	_, port, _ := strings.Cut(x.o.Addr, ":")
	for what, change := range map[string]func(*http.Request){
		"another host":     func(r *http.Request) { r.Host = "evil.example:" + port },
		"another port":     func(r *http.Request) { r.Host = "127.0.0.1:1" },
		"no port":          func(r *http.Request) { r.Host = "127.0.0.1" },
		"another site":     header("Sec-Fetch-Site", "cross-site"),
		"a port beside us": header("Sec-Fetch-Site", "same-site"),
	} {
		if resp, _ := x.do(http.MethodGet, "/", nil, change); resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %s", what, resp.Status)
		}
	}
	form := url.Values{"csrf": {x.door.csrf}}
	for what, change := range map[string]func(*http.Request){
		"another origin":  header("Origin", "http://evil.example"),
		"an origin null":  header("Origin", "null"),
		"no origin":       func(r *http.Request) { r.Header.Del("Origin") },
		"another scheme":  header("Origin", "https://"+x.o.Addr),
		"a page of a tab": header("Sec-Fetch-Site", "cross-site"),
	} {
		if resp, _ := x.do(http.MethodPost, "/runs/"+id+"/resume", form, change); resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %s", what, resp.Status)
		}
	}
	for _, csrf := range []string{"", "x", x.door.session} {
		if resp, body := x.do(http.MethodPost, "/runs/"+id+"/resume", url.Values{"csrf": {csrf}}); resp.StatusCode != http.StatusForbidden || !strings.Contains(body, "load it again") {
			t.Errorf("with the word %q: %s %s", csrf, resp.Status, body)
		}
	}
	if resp, _ := x.do(http.MethodPost, "/runs/"+id+"/resume", url.Values{"csrf": {x.door.csrf}, "x": {strings.Repeat("x", 2*maxBody)}}); resp.StatusCode != http.StatusForbidden {
		t.Errorf("a body without end: %s", resp.Status)
	}
	if x.actions.of(id) != nil {
		t.Error("a command was begun")
	}
	for _, host := range []string{x.o.Addr, "localhost:" + port} {
		if resp, _ := x.do(http.MethodGet, "/", nil, func(r *http.Request) {
			r.Host = host
			r.AddCookie(&http.Cookie{Name: x.door.cookie, Value: x.door.session})
		}); resp.StatusCode != http.StatusOK {
			t.Errorf("as %s: %s", host, resp.Status)
		}
	}
}

// Every answer has the headers, methods are those of a page, and a name is no path.
func TestAnswers(t *testing.T) {
	x := newSite(t)
	id := x.suspend(x.started("web"))
	for _, c := range []struct {
		method, path string
		want         int
	}{
		{"GET", "/", 200}, {"GET", "/runs/" + id, 200}, {"GET", "/runs/" + id + "?build=web", 200}, {"GET", "/runs/" + id + "/log", 200}, {"GET", "/orphans", 200},
		{"GET", "/runs/" + id + "/report", 200}, {"GET", "/assets/ui.css", 200}, {"GET", "/assets/ui.js", 200}, {"GET", "/assets/htmx.min.js", 404},
		{"GET", "/runs/" + id[:8], 404}, {"GET", "/runs/..%2f..%2fetc%2fpasswd", 404}, {"GET", "/runs/%2e%2e/log", 404}, {"GET", "/runs/" + id + "%00/log", 404}, {"GET", "/runs/" + id + "?build=nosuch", 404},
		{"GET", "/assets/../server.go", 404}, {"GET", "/assets/%2e%2e/pages/pages.html", 404}, {"GET", "/nosuch", 404},
		{"GET", "/runs/" + id + "/log/stream", 400}, {"GET", "/runs/" + id + "/log/stream?from=-1", 400},
		{"GET", "/runs/" + id + "/resume", 405}, {"POST", "/", 405}, {"DELETE", "/runs/" + id, 405}, {"PUT", "/orphans", 405},
	} {
		form := url.Values{}
		resp, _ := x.do(c.method, c.path, form, func(r *http.Request) {
			if c.method != "GET" {
				r.Method, r.Body = c.method, http.NoBody
				r.URL.RawQuery = ""
				r.Header.Set("Origin", x.url)
			}
		})
		if c.method != "GET" && resp.StatusCode == http.StatusForbidden {
			continue // the door comes first: it has no word of ours
		}
		if resp.StatusCode != c.want {
			t.Errorf("%s %s is answered with %d, want %d", c.method, c.path, resp.StatusCode, c.want)
		}
		h := resp.Header
		if csp := h.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || !strings.Contains(csp, "frame-ancestors 'none'") {
			t.Errorf("%s has the policy %q", c.path, csp)
		}
		if h.Get("X-Frame-Options") != "DENY" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s has the headers %v", c.path, h)
		}
	}
	// Pages need nothing that the policy forbids.
	for _, path := range []string{"/", "/runs/" + id, "/runs/" + id + "/log", "/orphans"} {
		_, page := x.get(path)
		for _, bad := range []string{" style=", "<style", " onclick", "javascript:", "<script>"} {
			if strings.Contains(page, bad) {
				t.Errorf("%s has %q", path, bad)
			}
		}
	}
}
