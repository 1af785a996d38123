package web

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"strings"

	"github.com/imgflow/imgflow/internal/self"
)

// door says who may come in.
type door struct {
	hosts   map[string]bool // what a request may call us
	cookie  string          // its name: a browser keeps one for all ports of a host
	token   string          // in the address that is printed
	session string          // in the cookie, before a name for the browser
	csrf    string          // in our forms
}

func newDoor(addr string) *door {
	_, port, _ := net.SplitHostPort(addr)
	return &door{hosts: map[string]bool{addr: true, "localhost:" + port: true}, cookie: "imgflow-" + port, token: rand.Text(), session: rand.Text(), csrf: rand.Text()}
}

func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b)) // no matter how long they are
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// refuse says why a request may not come in, "" if it may.
func (d *door) refuse(r *http.Request) string {
	if !d.hosts[r.Host] {
		return "it is called by another name than the address that it serves"
	}
	if from := r.Header.Get("Sec-Fetch-Site"); from != "" && from != "same-origin" && from != "none" {
		return "another page has asked for it"
	}
	if r.URL.Path == enterPath {
		return ""
	}
	session, _, _ := strings.Cut(d.browser(r), ".")
	if !same(session, d.session) {
		return self.Text("open the address that `imgflow ui` has printed: it holds the key")
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		if r.Header.Get("Origin") != "http://"+r.Host {
			return "it does not come from this page"
		}
		if !same(r.PostFormValue("csrf"), d.csrf) {
			return self.Text("the page is of an earlier `imgflow ui`: load it again")
		}
	}
	return ""
}

// browser is what the cookie of a request says: another one for each that has entered.
func (d *door) browser(r *http.Request) string {
	c, err := r.Cookie(d.cookie)
	if err != nil {
		return ""
	}
	return c.Value
}

const enterPath = "/enter"

// enter gives the cookie to whoever has the token, and leaves the address that holds it.
func (d *door) enter(w http.ResponseWriter, r *http.Request) {
	if !same(r.URL.Query().Get("token"), d.token) {
		refused(w, self.Text("the token in the address is not the one that `imgflow ui` has printed"))
		return
	}
	http.SetCookie(w, &http.Cookie{Name: d.cookie, Value: d.session + "." + rand.Text(), Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func refused(w http.ResponseWriter, why string) {
	http.Error(w, "cannot show this page: "+why, http.StatusForbidden)
}

// The page may load what it is made of from here, and nothing else; no page may hold it.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// protect sets the headers of every answer.
func protect(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin") // with none, a browser does not tell the origin of our own forms
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}
