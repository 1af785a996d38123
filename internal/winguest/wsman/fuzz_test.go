package wsman

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// FuzzMessage: whatever an authenticated client says, it is answered by SOAP, in
// time, and within the size that any client accepts.
func FuzzMessage(f *testing.F) {
	shell, command := "11111111-2222-4333-8444-555555555555", "22222222-2222-4333-8444-555555555555"
	f.Add([]byte(identifyMessage))
	for _, a := range []ask{
		{action: "Create", body: fmt.Sprintf(createBody, `<rsp:IdleTimeOut>PT1M</rsp:IdleTimeOut><rsp:Environment><rsp:Variable Name="a">b</rsp:Variable></rsp:Environment>`)},
		{action: "Command", shell: shell, body: `<rsp:CommandLine><rsp:Command>echo</rsp:Command><rsp:Arguments><![CDATA[hi]]></rsp:Arguments></rsp:CommandLine>`},
		receiveAsk(shell, command), sendAsk(shell, command, "hi", "true"), signalAsk(shell, command, "terminate"),
		{action: "Get", resource: nsConfig}, {action: "Get", shell: shell}, {action: "Delete", shell: shell},
		{action: "Create", headers: `<w:OptionSet><w:Option Name="WINRS_CODEPAGE" MustComply="true">65001</w:Option></w:OptionSet>`, timeout: "P1DT2H3M4.5S"},
	} {
		f.Add([]byte(a.String()))
		f.Add(encodeUTF16(a.String()))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		b := &toy{svc: Defaults(), secret: toyPassword}
		b.svc.Basic, b.svc.AllowUnencrypted, b.svc.MaxTimeout = true, true, 10*time.Millisecond
		s := New(b)
		defer s.Close()
		post := func(message []byte) *httptest.ResponseRecorder {
			r := httptest.NewRequest("POST", "/wsman", bytes.NewReader(message))
			r = r.WithContext(context.WithValue(r.Context(), connKey{}, &conn{}))
			r.Header.Set("Content-Type", plainType)
			r.SetBasicAuth(toyUser, toyPassword)
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			return w
		}
		made := strings.Replace(ask{action: "Create", body: fmt.Sprintf(createBody, "")}.String(), "<rsp:Shell>", `<rsp:Shell ShellId="`+shell+`">`, 1)
		if w := post([]byte(made)); w.Code != 200 {
			t.Fatal(w.Body)
		}
		if w := post([]byte(ask{action: "Command", shell: shell, body: `<rsp:CommandLine CommandId="` + command + `"><rsp:Command>cat</rsp:Command></rsp:CommandLine>`}.String())); w.Code != 200 {
			t.Fatal(w.Body)
		}
		w := post(message)
		switch {
		case len(message) == 0 && w.Code == http.StatusOK:
		case w.Code != http.StatusOK && w.Code != http.StatusInternalServerError:
			t.Fatalf("status %d", w.Code)
		default:
			if _, err := parse(w.Body.Bytes()); err != nil {
				t.Fatalf("%v: %q", err, w.Body)
			}
		}
	})
}

// FuzzNegotiate: no token does anything but fail, as nobody knows the password.
func FuzzNegotiate(f *testing.F) {
	svc := Defaults()
	first := vagrant.negotiate()
	svc.Host = "WIN-TOY"
	h, err := challengeNTLM(first, svc)
	if err != nil {
		f.Fatal(err)
	}
	n := vagrant
	n.password = "another"
	last, _ := n.authenticate(f, first, h.challenge)
	for _, m := range [][]byte{first, last, initToken(first, ntlmFirst...), initToken(nil, oidKerberos, oidNTLM), respToken(last, []byte("sixteen bytes: y")), h.challenge} {
		f.Add(m, last)
		f.Add(m, respToken(last, nil))
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		c := &conn{binding: make([]byte, 16)}
		for _, m := range [][]byte{a, b} {
			r := httptest.NewRequest("POST", "/wsman", nil)
			r.Header.Set("Authorization", "Negotiate "+base64.StdEncoding.EncodeToString(m))
			if user, refused := c.authenticate(r, svc, &toy{secret: toyPassword}); user != "" || refused == nil {
				t.Fatalf("%q got in", user)
			}
		}
	})
}

// FuzzSealed: a body that was not sealed with the keys is refused.
func FuzzSealed(f *testing.F) {
	kind, body := (&conn{session: mustSession(f)}).seal(plainType, []byte(identifyMessage))
	f.Add(kind, body)
	f.Add(strings.ReplaceAll(kind, "Encrypted", "Other"), bytes.ReplaceAll(body, []byte("--Encrypted"), []byte("-- Encrypted")))
	f.Fuzz(func(t *testing.T, boundary string, body []byte) {
		s := mustSession(t)
		c := &conn{session: s}
		if plain, err := c.open(map[string]string{"protocol": sealProtocol, "boundary": boundary}, body); err == nil {
			t.Fatalf("%q was opened", plain)
		}
	})
}

func mustSession(t testing.TB) *session {
	t.Helper()
	s, err := newSession([]byte("sixteen bytes: x"), usualFlags)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func FuzzDuration(f *testing.F) {
	for text, want := range map[string]time.Duration{
		"PT60S": time.Minute, "PT0.5S": time.Second / 2, "P1DT2H3M4S": 26*time.Hour + 3*time.Minute + 4*time.Second, "P2D": 48 * time.Hour,
		"PT7200.000S": 2 * time.Hour, "PT1M": time.Minute, "P0DT0H1M0S": time.Minute,
		"": -1, "P": -1, "PT": -1, "60": -1, "PT60": -1, "-PT1S": -1, "PT-1S": -1, "P1Y": -1, "P1M": -1, "PT1S1M": -1, "PT1S1S": -1,
		"PTS": -1, "PT1.5M": -1, "P1DT": -1, "PT1e9S": -1, "PT99999999999999S": -1, "PT1..5S": -1, "PTNaNS": -1, "PT1S ": -1, "pt1s": -1,
	} {
		f.Add(text)
		got, ok := parseDuration(text)
		if ok != (want >= 0) || ok && got != want {
			f.Errorf("%q: %v, %v", text, got, ok)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		if d, ok := parseDuration(text); ok && d < 0 {
			t.Errorf("%v", d)
		}
	})
}
