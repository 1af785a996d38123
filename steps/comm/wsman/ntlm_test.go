package wsman

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand"
	"net/http"
	"strings"
	"testing"

	"github.com/bodgit/ntlmssp"

	server "github.com/imgflow/imgflow/internal/winguest/wsman"
)

// plain says what of a message can be read on the wire.
func plain(t *testing.T, went []byte) {
	t.Helper()
	if len(went) == 0 {
		t.Error("nothing was recorded")
	}
	lower := bytes.ToLower(went)
	for _, word := range []string{"envelope", "soap-envelope", "commandline", "secret-word", "basic ", toyPassword} {
		if bytes.Contains(lower, bytes.ToLower([]byte(word))) {
			t.Errorf("%q went over the wire in the clear", word)
		}
	}
	if encoded := base64.StdEncoding.EncodeToString([]byte("secret-word")); bytes.Contains(went, []byte(encoded)) {
		t.Error("input went over the wire in the clear")
	}
}

// With NTLM over HTTP no message leaves unless it is sealed, whatever the other
// side answers: the wire is recorded.
func TestNoFallback(t *testing.T) {
	t.Run("all is well", func(t *testing.T) {
		p := start(t)
		w := between(t, p.http, &wire{})
		c := dial(t, w.address, Options{NTLM: true})
		if o, _, _ := mustRun(t, c, "cat secret-word", "secret-word"); o != "secret-word" {
			t.Errorf("%q", o)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
		plain(t, w.went())
		if n := bytes.Count(w.went(), []byte("HTTP-SPNEGO-session-encrypted\"")); n < 5 {
			t.Errorf("%d sealed messages went over the wire", n)
		}
	})
	challenge := func(change func(m []byte) []byte) func(*http.Response, []byte) ([]byte, bool) {
		return func(r *http.Response, body []byte) ([]byte, bool) {
			if m, ok := challengeOf(r); ok {
				r.Header.Set("WWW-Authenticate", "Negotiate "+base64.StdEncoding.EncodeToString(change(m)))
			}
			return body, true
		}
	}
	without := func(flag uint32) func(*http.Response, []byte) ([]byte, bool) {
		return challenge(func(m []byte) []byte {
			binary.LittleEndian.PutUint32(m[20:], binary.LittleEndian.Uint32(m[20:])&^flag)
			return m
		})
	}
	sealed := func(change func(r *http.Response, body []byte) []byte) func(*http.Response, []byte) ([]byte, bool) {
		return func(r *http.Response, body []byte) ([]byte, bool) {
			if isSealed(r.Header.Get("Content-Type")) {
				body = change(r, body)
			}
			return body, true
		}
	}
	const answer = `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><Shell><ShellId>AAAA</ShellId></Shell></s:Body></s:Envelope>`
	for _, c := range []struct {
		what  string
		clear bool // it is ErrUnencrypted
		wire  *wire
	}{
		{"no sealing is offered", true, &wire{response: without(ntlmSeal)}},
		{"no signing is offered", true, &wire{response: without(ntlmSign)}},
		{"neither is offered", true, &wire{response: without(ntlmSeal | ntlmSign)}},
		{"weak keys are offered", true, &wire{response: without(ntlm128)}},
		{"no key exchange is offered", true, &wire{response: without(ntlmKeyExchange)}},
		{"the first NTLM is offered", false, &wire{response: without(ntlmExtended | ntlmTargetInfo)}},
		{"no challenge can be read", false, &wire{response: challenge(func(m []byte) []byte { return m[:30] })}},
		{"no login is asked for", true, &wire{response: func(r *http.Response, _ []byte) ([]byte, bool) {
			r.StatusCode, r.Status = http.StatusOK, ""
			return nil, true
		}}},
		{"the login is let in without a check", true, &wire{
			request: func(r *http.Request, body []byte) ([]byte, bool) { return body, true },
			response: func(r *http.Response, body []byte) ([]byte, bool) {
				if _, ok := challengeOf(r); !ok {
					r.StatusCode, r.Status = http.StatusOK, ""
					r.Header.Set("Content-Type", soapType)
					return []byte(answer), true
				}
				return body, true
			}}},
		{"an unsealed answer", true, &wire{response: sealed(func(r *http.Response, _ []byte) []byte {
			r.Header.Set("Content-Type", soapType)
			return []byte(answer)
		})}},
		{"an unsealed fault", true, &wire{response: sealed(func(r *http.Response, _ []byte) []byte {
			r.StatusCode, r.Status = http.StatusInternalServerError, ""
			r.Header.Set("Content-Type", soapType)
			return []byte(`<Envelope><Body><Fault><Code><Subcode><Value>w:TimedOut</Value></Subcode></Code></Fault></Body></Envelope>`)
		})}},
		{"an answer without type", true, &wire{response: sealed(func(r *http.Response, _ []byte) []byte { r.Header.Del("Content-Type"); return []byte(answer) })}},
		{"an answer that only says that it is sealed", true, &wire{response: sealed(func(*http.Response, []byte) []byte { return []byte(answer) })}},
		{"an answer of another's keys", true, &wire{response: sealed(func(_ *http.Response, body []byte) []byte {
			return sealedBy(make([]byte, signSize), []byte(answer))
		})}},
		{"a changed answer", true, &wire{response: sealed(func(_ *http.Response, body []byte) []byte {
			body[len(body)-40] ^= 1
			return body
		})}},
		{"an answer that is cut off", true, &wire{response: sealed(func(_ *http.Response, body []byte) []byte { return body[:len(body)/2] })}},
		{"the login is refused for the message", false, &wire{response: sealed(func(r *http.Response, _ []byte) []byte {
			r.StatusCode, r.Status = http.StatusUnauthorized, ""
			r.Header.Set("WWW-Authenticate", `Basic realm="WSMAN"`)
			return nil
		})}},
		{"a failure without a word", false, &wire{response: sealed(func(r *http.Response, _ []byte) []byte {
			r.StatusCode, r.Status = http.StatusInternalServerError, ""
			r.Header.Del("Content-Type")
			return nil
		})}},
		{"the message is not wanted", false, &wire{response: sealed(func(r *http.Response, _ []byte) []byte {
			r.StatusCode, r.Status = http.StatusUnsupportedMediaType, ""
			return nil
		})}},
	} {
		t.Run(c.what, func(t *testing.T) {
			p := start(t)
			w := between(t, p.http, c.wire)
			client := dial(t, w.address, Options{NTLM: true})
			for range 3 {
				_, err := client.Start(t.Context(), "echo secret-word")
				says(t, c.what, err)
				if errors.Is(err, ErrUnencrypted) != c.clear {
					t.Errorf("%v", err)
				}
			}
			if got := p.started(); len(got) != 0 {
				t.Errorf("started: %q", got)
			}
			plain(t, w.went())
		})
	}
	// Nor is a message sent to a machine that would take anything.
	t.Run("Negotiate is off", func(t *testing.T) {
		p := start(t, func(s *server.Service) { s.Negotiate = false })
		w := between(t, p.http, &wire{})
		_, err := dial(t, w.address, Options{NTLM: true}).Start(t.Context(), "echo secret-word")
		says(t, "off", err, "does not allow Negotiate")
		plain(t, w.went())
	})
}

// sealedBy is a message in the form of a sealed one.
func sealedBy(sign, message []byte) []byte {
	return fmt.Appendf(nil, "%[1]s\r\n\tContent-Type: %[2]s\r\n\tOriginalContent: type=%[3]s;Length=%[4]d\r\n%[1]s\r\n\tContent-Type: application/octet-stream\r\n\x10\x00\x00\x00%[5]s%[6]s%[1]s--\r\n",
		sealBoundary, sealProtocol, soapType, len(message), sign, message)
}

func TestAccount(t *testing.T) {
	for user, want := range map[string][2]string{
		"bob": {"", "bob"}, `CORP\bob`: {"CORP", "bob"}, `.\bob`: {"", "bob"}, "bob@corp.example.com": {"", "bob@corp.example.com"}, `a\b@c`: {"a", "b@c"},
	} {
		if d, n := account(user); d != want[0] || n != want[1] {
			t.Errorf("%s: %q, %q", user, d, n)
		}
	}
}

func challengeMessage(info []byte) []byte {
	m := append([]byte("NTLMSSP\x00"), make([]byte, 48)...)
	m[8] = 2
	binary.LittleEndian.PutUint32(m[20:], ntlmMust|ntlmSealed)
	binary.LittleEndian.PutUint16(m[40:], uint16(len(info)))
	binary.LittleEndian.PutUint16(m[42:], uint16(len(info)))
	binary.LittleEndian.PutUint32(m[44:], 56)
	return append(m, info...)
}

// What passes the check does not bring the library down.
func FuzzChallenge(f *testing.F) {
	name := []byte{2, 0, 2, 0, 'A', 0}
	end := []byte{0, 0, 0, 0}
	for _, info := range [][]byte{nil, end, append(name, end...), append(bytes.Clone(name), append([]byte{6, 0, 1, 0, 1}, end...)...),
		append(bytes.Clone(name), append([]byte{7, 0, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8}, end...)...), append(bytes.Clone(name), 6, 0, 4, 0), name} {
		f.Add(challengeMessage(info))
	}
	f.Add([]byte("NTLMSSP\x00"))
	f.Fuzz(func(t *testing.T, m []byte) {
		for _, sealed := range []bool{false, true} {
			if checkChallenge(m) != nil || sealed && !canSeal(m) {
				continue
			}
			for _, b := range []*ntlmssp.ChannelBindings{nil, {ApplicationData: []byte("x")}} {
				side, err := ntlmssp.NewClient(ntlmssp.SetUserInfo("u", "p"))
				if err != nil {
					t.Fatal(err)
				}
				if _, err := side.Authenticate(nil, nil); err != nil {
					t.Fatal(err)
				}
				if _, err := side.Authenticate(bytes.Clone(m), b); err != nil || !sealed {
					continue
				}
				s := side.SecuritySession()
				if s == nil {
					t.Fatal("there are no keys")
				}
				text := []byte(strings.Repeat("plain ", 10))
				body, err := seal(s, text)
				if err != nil || bytes.Contains(body, []byte("plain ")) {
					t.Fatalf("it was not sealed: %v %q", err, body)
				}
			}
		}
	})
}

func FuzzSealed(f *testing.F) {
	f.Add(sealedBy(make([]byte, signSize), []byte("hello")))
	f.Add([]byte(sealBoundary + "\r\n\tOriginalContent: Length=-1\r\n" + sealBoundary + "\r\nContent-Type: application/octet-stream\r\n" + sealBoundary + "--"))
	f.Fuzz(func(t *testing.T, body []byte) {
		size, sealed, err := splitSealed(body)
		if err == nil && len(sealed) != 4+signSize+size {
			t.Fatalf("%d bytes for %d", len(sealed), size)
		}
	})
}

func TestSplitSealed(t *testing.T) {
	for _, n := range []int{0, 1, 1000} {
		message := make([]byte, n)
		rand.New(rand.NewSource(int64(n))).Read(message)
		size, sealed, err := splitSealed(sealedBy(make([]byte, signSize), message))
		if err != nil || size != n || !bytes.Equal(sealed[4+signSize:], message) {
			t.Errorf("%d: %d, %v", n, size, err)
		}
	}
}
