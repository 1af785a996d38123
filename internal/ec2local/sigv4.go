package ec2local

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Key is what signs requests: an id, which is sent, and a secret, which never
// is.
type Key struct{ ID, Secret string }

// A signature is one of version 4 as a request carries it, in its Authorization
// header or, if it was made beforehand, in its query.
type signature struct {
	keyID, date, region, service string   // the scope; date is 20060102
	headers                      []string // names of those that are signed
	sum                          string   // hexadecimal
	stamp                        string   // 20060102T150405Z
	lives                        time.Duration
	token                        string // of a session
	inQuery                      bool
}

var (
	credential   = patternOf(`^([A-Za-z0-9_]{1,128})/([0-9]{8})/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request$`)
	signatureSum = patternOf(`^[0-9a-f]{64}$`)
)

const (
	algorithm   = "AWS4-HMAC-SHA256"
	stampLayout = "20060102T150405Z"
	// clockSkew is how far a client's clock may be from ours.
	clockSkew = 15 * time.Minute
	// longestLife is how long a signature in a query may be good for.
	longestLife = 7 * 24 * time.Hour
)

// readSignature takes the signature of a request apart; nil if it has none that
// is well formed.
func readSignature(r *message) *signature {
	s := &signature{lives: clockSkew}
	var cred, signed string
	switch auth := r.Header.Values("Authorization"); len(auth) {
	case 1:
		rest, ok := strings.CutPrefix(auth[0], algorithm+" ")
		if !ok {
			return nil
		}
		for part := range strings.SplitSeq(rest, ",") {
			k, v, _ := strings.Cut(strings.TrimSpace(part), "=")
			switch k {
			case "Credential":
				cred = v
			case "Signature":
				s.sum = v
			case "SignedHeaders":
				signed = v
			}
		}
		s.stamp, s.token = r.Header.Get("X-Amz-Date"), r.Header.Get("X-Amz-Security-Token")
	case 0:
		if r.query.Get("X-Amz-Algorithm") != algorithm {
			return nil
		}
		cred, s.sum, signed = r.query.Get("X-Amz-Credential"), r.query.Get("X-Amz-Signature"), r.query.Get("X-Amz-SignedHeaders")
		s.stamp, s.token, s.inQuery = r.query.Get("X-Amz-Date"), r.query.Get("X-Amz-Security-Token"), true
		n, err := strconv.Atoi(r.query.Get("X-Amz-Expires"))
		if s.lives = time.Duration(n) * time.Second; err != nil || n < 1 || s.lives > longestLife {
			return nil
		}
	default:
		return nil
	}
	m := credential.FindStringSubmatch(cred)
	if m == nil || !signatureSum.MatchString(s.sum) || signed == "" {
		return nil
	}
	s.keyID, s.date, s.region, s.service = m[1], m[2], m[3], m[4]
	s.headers = strings.Split(signed, ";")
	return s
}

// timely tells whether the signature is of about this time.
func (s *signature) timely(now time.Time) bool {
	at, err := time.Parse(stampLayout, s.stamp)
	return err == nil && at.Format("20060102") == s.date && now.After(at.Add(-clockSkew)) && now.Before(at.Add(s.lives))
}

// covers tells whether all is signed that has to be: the host, and whatever
// means something to the service. The names are in order, each once.
func (s *signature) covers(r *message) bool {
	if !slices.IsSorted(s.headers) || !slices.Contains(s.headers, "host") {
		return false
	}
	for name := range r.Header {
		name = strings.ToLower(name)
		if strings.HasPrefix(name, "x-amz-") && !slices.Contains(s.headers, name) {
			return false
		}
	}
	return s.inQuery || slices.Contains(s.headers, "x-amz-date")
}

// verify tells whether the secret made the signature of this request.
func (s *signature) verify(r *message, k Key) bool {
	canonical := s.canonical(r)
	digest := sha256.Sum256([]byte(canonical))
	scope := strings.Join([]string{s.date, s.region, s.service, "aws4_request"}, "/")
	key := []byte("AWS4" + k.Secret)
	for _, part := range []string{s.date, s.region, s.service, "aws4_request"} {
		key = mac(key, part)
	}
	want := mac(key, strings.Join([]string{algorithm, s.stamp, scope, hex.EncodeToString(digest[:])}, "\n"))
	got, err := hex.DecodeString(s.sum)
	// Both are compared, whatever the first says: the time tells nothing.
	same := subtle.ConstantTimeCompare([]byte(s.keyID), []byte(k.ID))
	return err == nil && subtle.ConstantTimeCompare(got, want)&same == 1
}

// canonical is the one form of a request that both sides sign. The digest of the
// body is our own: one that the request states is signed as a header. Of S3, whose
// bodies are long, it is the one that is stated, and the body is held against it later.
func (s *signature) canonical(r *message) string {
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	var pairs []string
	for k, vs := range r.query {
		if s.inQuery && k == "X-Amz-Signature" {
			continue
		}
		for _, v := range vs {
			pairs = append(pairs, escape(k)+"="+escape(v))
		}
	}
	slices.Sort(pairs)
	lines := []string{r.Method, path, strings.Join(pairs, "&")}
	for _, name := range s.headers {
		lines = append(lines, name+":"+signedValue(r, name))
	}
	payload := r.payload
	if payload == "" {
		digest := sha256.Sum256(r.body)
		payload = hex.EncodeToString(digest[:])
	}
	return strings.Join(append(lines, "", strings.Join(s.headers, ";"), payload), "\n")
}

// signedValue is a header's value as it is signed: its values with single
// blanks, joined by commas. net/http keeps two of them elsewhere.
func signedValue(r *message, name string) string {
	switch name {
	case "host":
		return r.Host
	case "content-length":
		return strconv.FormatInt(r.ContentLength, 10)
	}
	var out []string
	for _, v := range r.Header.Values(name) {
		out = append(out, strings.Join(strings.Fields(v), " "))
	}
	return strings.Join(out, ",")
}

// escape writes a text of a query as signatures want it.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
