package wsman

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"strings"
	"unicode/utf8"
)

// conn is what a connection has agreed upon. HTTP/1.1 serves its requests one
// after the other, so nothing of it is locked.
type conn struct {
	binding []byte // what channel bindings must be, nil without TLS

	wrap    *spnego
	shake   *handshake
	user    string // who authenticated the connection by Negotiate
	session *session
	sealed  bool   // a sealed message has come
	final   string // what WWW-Authenticate ends the handshake with
}

func (c *conn) reset() { *c = conn{binding: c.binding} }

// challenge is a 401.
type challenge []string

func (c challenge) send(w http.ResponseWriter) {
	for _, v := range c {
		w.Header().Add("WWW-Authenticate", v)
	}
	w.WriteHeader(http.StatusUnauthorized)
}

// unauthorized offers all ways to authenticate.
func unauthorized(svc Service) challenge {
	c := challenge{}
	if svc.Negotiate {
		c = append(c, "Negotiate")
	}
	if svc.Basic {
		c = append(c, `Basic realm="WSMAN"`)
	}
	return c
}

// authenticate finds out who sends a request, or what to answer instead.
func (c *conn) authenticate(r *http.Request, svc Service, b Backend) (user string, refused challenge) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	switch {
	case scheme == "":
		if c.user == "" || !svc.Negotiate {
			return "", unauthorized(svc)
		}
		if c.sealed && !strings.HasPrefix(strings.ToLower(r.Header.Get("Content-Type")), "multipart/encrypted") {
			c.reset() // its keys are for sealed messages: it has to start anew
			return "", unauthorized(svc)
		}
		if _, ok := b.Password(c.user); !ok {
			c.reset() // disabled or removed meanwhile
			return "", unauthorized(svc)
		}
		return c.user, nil
	case strings.EqualFold(scheme, "Basic") && svc.Basic:
		if user, ok := basic(token, svc.Host, b); ok {
			return user, nil
		}
	case strings.EqualFold(scheme, "Negotiate") && svc.Negotiate:
		message, err := base64.StdEncoding.DecodeString(token)
		if err != nil {
			c.reset()
			return "", unauthorized(svc)
		}
		return c.negotiate(message, svc, b)
	}
	return "", unauthorized(svc)
}

// basic checks a name and a password that came as they are.
func basic(token, host string, b Backend) (user string, ok bool) {
	raw, err := base64.StdEncoding.DecodeString(token)
	if err != nil {
		return "", false
	}
	name, given, ok := strings.Cut(latin(raw), ":")
	if !ok {
		return "", false
	}
	user, domain := account(name, "")
	want, known := b.Password(user)
	if domain != "" && domain != "." && !strings.EqualFold(domain, host) {
		known = false
	}
	// The hashes are of one length, so that the time tells nothing.
	a, z := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(want))
	return user, subtle.ConstantTimeCompare(a[:], z[:]) == 1 && known
}

// latin is text that some clients send as UTF-8 and others as ISO 8859-1.
func latin(raw []byte) string {
	if utf8.Valid(raw) {
		return string(raw)
	}
	out := make([]rune, len(raw))
	for i, b := range raw {
		out[i] = rune(b)
	}
	return string(out)
}

// account takes a name apart: HOST\user, user@HOST or a name and a domain that
// came each by itself.
func account(name, domain string) (user, of string) {
	if host, user, ok := strings.Cut(name, `\`); ok {
		return user, host
	}
	if user, host, ok := strings.Cut(name, "@"); ok && domain == "" {
		return user, host
	}
	return name, domain
}
