package ec2local

import (
	"crypto/hmac"
	"encoding/base64"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"time"
)

// A caller is who a request comes from and where it belongs.
type caller struct {
	region, service string   // region is a place
	host            string   // by which the caller reaches this endpoint
	session         *session // nil for the holder of the key itself
	signature       string
}

// stranger says why a request cannot come from a program of this machine that
// means this endpoint; "" if it can. The pages of a browser reach loopback, too,
// and a name of theirs may lead to it, but they cannot hide whose they are.
func stranger(r *http.Request) string {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	switch site := r.Header.Get("Sec-Fetch-Site"); {
	case host != "localhost" && (ip == nil || !ip.IsLoopback()):
		return "it is addressed to another host: use 127.0.0.1"
	case len(r.Header.Values("Origin")) > 0, site != "" && site != "none":
		return "it comes from a page in a browser"
	}
	return ""
}

// authenticate tells who sent a request, or refuses it as the service would that
// it is meant for. With AnyKey a signature only has to be well formed.
func (s *Server) authenticate(r *message) (caller, error) {
	sig := readSignature(r)
	if sig == nil {
		return caller{service: "ec2"}, authFailure()
	}
	c := caller{region: sig.region, service: sig.service, host: r.Host, signature: sig.sum}
	if !knownRegion(c.region) {
		return c, fail("AuthFailure", "Credential should be scoped to a valid region.")
	}
	if svc, _ := services(c.service); svc == nil && jsonServices[c.service].operations == nil && c.service != "s3" && (c.service != connectService || r.URL.Path != openTunnelPath) {
		c.service = "ec2"
		return c, fail("AuthFailure", "Credential should be scoped to correct service: this endpoint serves ec2, sts, iam, ssm, secretsmanager and s3.")
	}
	key := s.key
	if sig.token != "" {
		if c.session = s.readSession(sig.token); c.session != nil {
			key = c.session.key(s.key)
		}
	}
	if c.session == nil && accountID.MatchString(sig.keyID) {
		key.ID = sig.keyID
	}
	switch {
	case s.anyKey:
	case sig.token != "" && c.session == nil, !sig.covers(r), !sig.verify(r, key):
		return c, refusal(c.service, "AuthFailure", "SignatureDoesNotMatch", "AWS was not able to validate the provided access credentials: this endpoint takes its own key only, with which it was started or which it printed then")
	case !sig.timely(s.now()):
		return c, refusal(c.service, "RequestExpired", "SignatureDoesNotMatch", "Request has expired.")
	case c.session != nil && !s.now().Before(c.session.Until):
		return c, refusal(c.service, "RequestExpired", "ExpiredToken", "The security token included in the request is expired")
	}
	c.region = placeIn(c.region, accountOfKey(sig.keyID, c.session))
	return c, s.inhabit(c.region)
}

// refusal is an error whose code differs between EC2 and the other services.
func refusal(service, ec2, others, message string) error {
	if service == "ec2" {
		return fail(ec2, "%s", message)
	}
	return fail(others, "%s", message)
}

func authFailure() error {
	return fail("AuthFailure", "AWS was not able to validate the provided access credentials")
}

// A session is what a taken role is called by. Its token holds all of it, sealed
// by the endpoint's secret, so that it is good for every later server, too.
type session struct {
	KeyID   string    `json:"key"`
	User    string    `json:"user"`
	ARN     string    `json:"arn"`
	Account string    `json:"account"`
	Until   time.Time `json:"until"`
}

// key is what signs the requests of a session.
func (s *session) key(of Key) Key {
	raw, _ := json.Marshal(s) // plain data always marshals
	return Key{s.KeyID, base64.RawURLEncoding.EncodeToString(mac([]byte(of.Secret), "session "+string(raw)))[:40]}
}

// token names the session to the endpoint.
func (s *session) token(of Key) string {
	raw, _ := json.Marshal(s)
	e := base64.RawURLEncoding
	return e.EncodeToString(raw) + "." + e.EncodeToString(mac([]byte(of.Secret), "token "+string(raw)))
}

// readSession takes a token that this endpoint made; nil for any other.
func (s *Server) readSession(token string) *session {
	text, _, _ := strings.Cut(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(text)
	var x session
	if err != nil || json.Unmarshal(raw, &x) != nil || !hmac.Equal([]byte(x.token(s.key)), []byte(token)) {
		return nil
	}
	return &x
}
