package wsman

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
)

func sealedOnly(s *Service) { s.AllowUnencrypted = false }

func TestUnencryptedIsRefused(t *testing.T) {
	p := start(t, sealedOnly)
	create := ask{action: "Create", body: fmt.Sprintf(createBody, "")}.String()

	if a := dial(t, p, false).basic(toyUser, toyPassword).soap(create); a.status != 500 || a.body != "" {
		t.Errorf("Basic over HTTP: %d %s", a.status, a.body)
	}
	if a := dial(t, p, false).basic(toyUser, "wrong").soap(create); a.status != 401 {
		t.Errorf("Basic over HTTP with a wrong password: %d", a.status)
	}
	w := dial(t, p, false)
	if a := w.handshake(vagrant); a.status != 200 || a.body != "" {
		t.Fatalf("handshake: %d %s", a.status, a.body)
	}
	if a := w.soap(create); a.status != 500 || a.body != "" {
		t.Errorf("unsealed over HTTP: %d %s", a.status, a.body)
	}
	if a := dial(t, p, true).basic(toyUser, toyPassword).soap(create); a.status != 200 {
		t.Errorf("Basic over HTTPS: %d", a.status)
	}
	p.set(func(s *Service) { s.AllowUnencrypted = true })
	if a := dial(t, p, false).basic(toyUser, toyPassword).soap(create); a.status != 200 {
		t.Errorf("Basic over HTTP where it is allowed: %d", a.status)
	}
	if len(p.s.shells) != 2 {
		t.Errorf("%d shells", len(p.s.shells))
	}
}

func TestSealing(t *testing.T) {
	p := start(t, sealedOnly)
	for name, flags := range map[string]uint32{"": 0, " without key exchange": usualFlags &^ ntlmKeyExchange} {
		n := vagrant
		n.asked = flags
		w := dial(t, p, false)
		if a := w.handshake(n); a.status != 200 {
			t.Fatalf("handshake%s: %d", name, a.status)
		}
		for i := range 3 {
			kind, body := w.wrap(identifyMessage)
			a := w.post(kind, string(body))
			_, sealed, err := splitSealed(sealBoundary, []byte(a.body))
			if a.status != 200 || err != nil || int(binary.LittleEndian.Uint32(sealed[16:])) != 2*i {
				t.Fatalf("answer %d%s: %d %v % x", i, name, a.status, err, sealed)
			}
			if _, err := w.s.unseal(sealed[4:20], sealed[20:]); err != nil {
				t.Fatal(err)
			}
			a = w.sealed(ask{action: "Create", body: fmt.Sprintf(createBody, "")}.String())
			if a.status != 200 || !strings.Contains(a.header.Get("Content-Type"), "multipart/encrypted") || !strings.Contains(a.body, "ShellId") {
				t.Fatalf("sealed%s: %d %s", name, a.status, a.body)
			}
		}
		// A fault is sealed too, and the keys run on behind it.
		if a := w.sealed("garbage"); a.status != 500 || !strings.Contains(a.header.Get("Content-Type"), "multipart/encrypted") {
			t.Errorf("garbage%s: %d %s", name, a.status, a.body)
		}
		if a := w.sealed(identifyMessage); a.status != 200 {
			t.Errorf("behind a fault%s: %d", name, a.status)
		}
		// What is not sealed has no user on this connection any more.
		if a := w.soap(identifyMessage); a.status != 401 || a.header.Get("WWW-Authenticate") != "Negotiate" {
			t.Errorf("unsealed%s: %d %v", name, a.status, a.header)
		}
		if a := w.handshake(n); a.status != 200 {
			t.Errorf("second handshake%s: %d", name, a.status)
		}
		if a := w.sealed(identifyMessage); a.status != 200 {
			t.Errorf("sealed anew%s: %d", name, a.status)
		}
	}
}

func TestBadSeals(t *testing.T) {
	p := start(t, sealedOnly)
	message := ask{action: "Create", body: fmt.Sprintf(createBody, "")}.String()
	replace := func(old, new string) func(w *wire, b []byte) []byte {
		return func(w *wire, b []byte) []byte { return bytes.Replace(b, []byte(old), []byte(new), 1) }
	}
	for name, spoil := range map[string]func(w *wire, b []byte) []byte{
		"a wrong MAC": func(w *wire, b []byte) []byte {
			b[bytes.Index(b, []byte("octet-stream"))+14+4+5] ^= 1
			return b
		},
		"another text":               func(w *wire, b []byte) []byte { b[len(b)-40] ^= 1; return b },
		"a sequence number too high": func(w *wire, _ []byte) []byte { w.s.out.seq++; _, b := w.wrap(message); return b },
		"a wrong length":             replace("Length=", "Length=1"),
		"no length":                  replace("Length=", "Size="),
		"a signature that is long":   replace("octet-stream\r\n\x10", "octet-stream\r\n\x11"),
		"no end":                     func(w *wire, b []byte) []byte { return b[:len(b)-4] },
		"another protocol":           replace(sealProtocol, "application/HTTP-CredSSP-session-encrypted"),
		"nothing in it":              func(w *wire, b []byte) []byte { return []byte("--Encrypted Boundary\r\n--Encrypted Boundary--\r\n") },
	} {
		w := dial(t, p, false)
		if a := w.handshake(vagrant); a.status != 200 {
			t.Fatal(a.status)
		}
		kind, body := w.wrap(message)
		a := w.post(kind, string(spoil(w, body)))
		if a.status != 400 || a.body != "" || !a.closed {
			t.Errorf("%s: %d %q closed=%v", name, a.status, a.body, a.closed)
		}
		if a := w.soap(message); a.status != 401 {
			t.Errorf("%s: after it: %d", name, a.status)
		}
	}

	w := dial(t, p, false)
	w.handshake(vagrant)
	kind, body := w.wrap(identifyMessage)
	if a := w.post(kind, string(body)); a.status != 200 {
		t.Fatal(a.status)
	}
	if a := w.post(kind, string(body)); a.status != 400 {
		t.Errorf("a message for the second time: %d", a.status)
	}
	// Keys belong to one connection.
	w = dial(t, p, false)
	w.handshake(vagrant)
	kind, body = w.wrap(identifyMessage)
	if a := dial(t, p, false).post(kind, string(body)); a.status != 401 {
		t.Errorf("a sealed message on another connection: %d", a.status)
	}
	// Nobody has agreed on keys with Basic, or without the flag.
	if a := dial(t, p, false).basic(toyUser, toyPassword).post(kind, string(body)); a.status != 400 {
		t.Errorf("a sealed message with Basic: %d", a.status)
	}
	n := vagrant
	n.asked = usualFlags &^ ntlmSeal
	w = dial(t, p, false)
	w.handshake(n)
	kind, body = w.wrap(identifyMessage)
	if a := w.post(kind, string(body)); a.status != 400 {
		t.Errorf("a sealed message where none was agreed upon: %d", a.status)
	}
	if n := len(p.s.shells); n != 0 {
		t.Errorf("%d shells were made", n)
	}
}

func TestSealedTooLarge(t *testing.T) {
	p := start(t, sealedOnly, func(s *Service) { s.MaxEnvelopeSizeKB = 32 })
	w := dial(t, p, false)
	w.handshake(vagrant)
	if a := w.sealed(identifyMessage + strings.Repeat(" ", 100<<10)); a.status != 413 {
		t.Errorf("%d", a.status)
	}
}

func TestNTLM(t *testing.T) {
	p := start(t)
	set := func(change func(*ntlm)) ntlm { n := vagrant; change(&n); return n }
	for name, c := range map[string]struct {
		n  ntlm
		ok bool
	}{
		"usual":                       {vagrant, true},
		"without a MIC":               {set(func(n *ntlm) { n.noMIC = true }), true},
		"with a domain":               {set(func(n *ntlm) { n.domain = "WIN-TOY" }), true},
		"with a workgroup":            {set(func(n *ntlm) { n.domain = "WORKGROUP" }), true},
		"in another case":             {set(func(n *ntlm) { n.user = "vAgRaNt" }), true},
		"without signing and sealing": {set(func(n *ntlm) { n.asked = ntlmNeeded }), true},

		"a wrong MIC":             {set(func(n *ntlm) { n.badMIC = true }), false},
		"a wrong password":        {set(func(n *ntlm) { n.password = "x" }), false},
		"a wrong password alone":  {set(func(n *ntlm) { n.password, n.noMIC = "x", true }), false},
		"no such user alone":      {set(func(n *ntlm) { n.user, n.noMIC = "nobody", true }), false},
		"no such user":            {set(func(n *ntlm) { n.user = "nobody" }), false},
		"nobody":                  {set(func(n *ntlm) { n.user = "" }), false},
		"NTLMv1":                  {set(func(n *ntlm) { n.v1 = true }), false},
		"56 bits":                 {set(func(n *ntlm) { n.asked = usualFlags &^ ntlm128 }), false},
		"without extension":       {set(func(n *ntlm) { n.asked = usualFlags &^ ntlmExtended }), false},
		"a field beyond the end":  {set(func(n *ntlm) { n.spoil = func(m []byte) { m[24], m[25] = 0xff, 0xff } }), false},
		"a field in the header":   {set(func(n *ntlm) { n.spoil = func(m []byte) { m[24], m[25] = 8, 0 } }), false},
		"an offset that wraps":    {set(func(n *ntlm) { n.spoil = func(m []byte) { copy(m[24:], "\xf0\xff\xff\xff") } }), false},
		"a key of another length": {set(func(n *ntlm) { n.spoil = func(m []byte) { m[52] = 8 } }), false},
		"no key":                  {set(func(n *ntlm) { n.spoil = func(m []byte) { m[52], m[54] = 0, 0 } }), false},
		"other flags":             {set(func(n *ntlm) { n.spoil = func(m []byte) { m[62] &^= 0x08 } }), false},
		"the client's challenge":  {set(func(n *ntlm) { n.spoil = func(m []byte) { m[88+24+16] = 2 } }), false},
	} {
		w := dial(t, p, false)
		a := w.handshake(c.n)
		if ok := a.status == 200; ok != c.ok || !ok && a.status != 401 {
			t.Errorf("%s: %d", name, a.status)
		}
		if a := w.soap(identifyMessage); (a.status == 200) != c.ok {
			t.Errorf("%s: the connection after it: %d", name, a.status)
		}
	}

	w := dial(t, p, false)
	for _, token := range []string{"", "!", "TlRMTVNTUAA=", "TlRMTVNTUAADAAAA", base64.StdEncoding.EncodeToString([]byte("NTLMSSP\x00\x02\x00\x00\x00")), "YIIBAAYGKwYBBQUC"} {
		if a := w.post(plainType, "", "Authorization", "Negotiate "+token); a.status != 401 || a.header.Get("WWW-Authenticate") != "Negotiate" {
			t.Errorf("token %q: %d %v", token, a.status, a.header)
		}
	}
	if a := w.post(plainType, identifyMessage, "Authorization", "NTLM "+base64.StdEncoding.EncodeToString(vagrant.negotiate())); a.status != 401 || strings.Contains(strings.Join(a.header.Values("WWW-Authenticate"), " "), "NTLM") {
		t.Errorf("the scheme NTLM: %d %v", a.status, a.header)
	}
	p.set(func(s *Service) { s.Negotiate = false })
	if a := w.handshake(vagrant); a.status != 401 || a.header.Get("WWW-Authenticate") != `Basic realm="WSMAN"` {
		t.Errorf("where Negotiate is off: %d %v", a.status, a.header)
	}
	p.set(func(s *Service) { s.Basic = false })
	if a := w.basic(toyUser, toyPassword).soap(identifyMessage); a.status != 401 || len(a.header.Values("WWW-Authenticate")) != 0 {
		t.Errorf("where Basic is off: %d %v", a.status, a.header)
	}
}

// A message of one handshake is worth nothing in another.
func TestNTLMReplay(t *testing.T) {
	p := start(t)
	w := dial(t, p, false)
	first := vagrant.negotiate()
	a := w.post(plainType, "", "Authorization", negotiateHeader(first))
	challenge, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(a.header.Get("WWW-Authenticate"), "Negotiate "))
	last, _ := vagrant.authenticate(t, first, challenge)
	if a := w.post(plainType, "", "Authorization", negotiateHeader(last)); a.status != 200 {
		t.Fatal(a.status)
	}
	if a := w.post(plainType, "", "Authorization", negotiateHeader(last)); a.status != 401 {
		t.Errorf("twice on its connection: %d", a.status)
	}
	other := dial(t, p, false)
	other.post(plainType, "", "Authorization", negotiateHeader(first))
	if a := other.post(plainType, "", "Authorization", negotiateHeader(last)); a.status != 401 {
		t.Errorf("on another connection: %d", a.status)
	}
}

// What is taken away ends at once, also on connections that were authenticated.
func TestTakenAway(t *testing.T) {
	for name, take := range map[string]func(p *place){
		"the account": func(p *place) { p.mu.Lock(); defer p.mu.Unlock(); p.disabled = true },
		"Negotiate":   func(p *place) { p.set(func(s *Service) { s.Negotiate = false }) },
	} {
		p := start(t)
		w := dial(t, p, false)
		w.handshake(vagrant)
		if a := w.soap(identifyMessage); a.status != 200 {
			t.Fatal(a.status)
		}
		take(p)
		if a := w.soap(identifyMessage); a.status != 401 {
			t.Errorf("%s: %d", name, a.status)
		}
	}
}

func TestOldTLS(t *testing.T) {
	p := start(t)
	for version, want := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		c, err := tls.Dial("tcp", p.https, &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version, NextProtos: []string{"h2", "http/1.1"}})
		if (err == nil) != want {
			t.Errorf("%x: %v", version, err)
		}
		if err == nil {
			if got := c.ConnectionState().NegotiatedProtocol; got != "http/1.1" {
				t.Errorf("%x: %s", version, got)
			}
			c.Close()
		}
	}
}

func TestChannelBinding(t *testing.T) {
	p := start(t)
	right, none, wrong := channelBinding(p.cert), make([]byte, 16), channelBinding(tls.Certificate{Certificate: [][]byte{{1}}})
	for _, c := range []struct {
		hardening string
		https     bool
		binding   []byte
		ok        bool
	}{
		{CbtRelaxed, true, nil, true}, {CbtRelaxed, true, none, true}, {CbtRelaxed, true, right, true}, {CbtRelaxed, true, wrong, false},
		{CbtStrict, true, nil, false}, {CbtStrict, true, none, false}, {"strict", true, right, true}, {CbtStrict, true, wrong, false},
		{CbtNone, true, nil, true}, {CbtNone, true, wrong, true},
		{CbtStrict, false, nil, true}, {CbtStrict, false, wrong, true},
	} {
		p.set(func(s *Service) { s.CbtHardening = c.hardening })
		n := vagrant
		n.binding = c.binding
		if a := dial(t, p, c.https).handshake(n); (a.status == 200) != c.ok {
			t.Errorf("%+v: %d", c, a.status)
		}
	}
}

var (
	oidKerberos = []byte{0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02}
	ntlmFirst   = [][]byte{oidNTLM, oidKerberos}
)

func initToken(inner []byte, offers ...[]byte) []byte {
	parts := [][]byte{der(0xa0, der(0x30, offers...))}
	if inner != nil {
		parts = append(parts, der(0xa2, der(0x04, inner)))
	}
	return der(0x60, oidSPNEGO, der(0xa0, der(0x30, parts...)))
}

func respToken(inner, mic []byte) []byte {
	var parts [][]byte
	if inner != nil {
		parts = append(parts, der(0xa2, der(0x04, inner)))
	}
	if mic != nil {
		parts = append(parts, der(0xa3, der(0x04, mic)))
	}
	return der(0xa1, der(0x30, parts...))
}

func TestSPNEGO(t *testing.T) {
	p := start(t, sealedOnly)
	say := func(w *wire, m []byte) (answer, token) {
		a := w.post(plainType, "", "Authorization", negotiateHeader(m))
		data, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(a.header.Get("WWW-Authenticate"), "Negotiate "))
		got, _ := readToken(data)
		return a, got
	}
	for name, c := range map[string]struct {
		offers [][]byte
		mic    string // right, wrong or none
		ok     bool
	}{
		"NTLM first":                        {ntlmFirst, "none", true},
		"NTLM first, proven":                {ntlmFirst, "right", true},
		"NTLM first, wrongly proven":        {ntlmFirst, "wrong", false},
		"Kerberos first, proven":            {[][]byte{oidKerberos, oidNTLM}, "right", true},
		"Kerberos first, wrongly proven":    {[][]byte{oidKerberos, oidNTLM}, "wrong", false},
		"Kerberos first, the list unproven": {[][]byte{oidKerberos, oidNTLM}, "none", false},
	} {
		w := dial(t, p, false)
		first := vagrant.negotiate()
		inner := first
		if &c.offers[0][0] == &oidKerberos[0] {
			inner = []byte("a ticket")
		}
		a, got := say(w, initToken(inner, c.offers...))
		if a.status == 401 && got.inner == nil {
			a, got = say(w, respToken(first, nil))
		}
		if a.status != 401 {
			t.Fatalf("%s: %d", name, a.status)
		}
		last, s := vagrant.authenticate(t, first, got.inner)
		list := der(0x30, c.offers...)
		var mic []byte
		if c.mic != "none" {
			mic = s.mac(&s.out, list)
			s.out.rewind()
		}
		if c.mic == "wrong" {
			mic[4] ^= 1
		}
		a, got = say(w, respToken(last, mic))
		if ok := a.status == 200; ok != c.ok {
			t.Errorf("%s: %d", name, a.status)
		}
		if !c.ok {
			continue
		}
		if (got.mic != nil) != (mic != nil) || mic != nil && !bytes.Equal(got.mic, s.mac(&s.in, list)) {
			t.Errorf("%s: the server's proof is %x", name, got.mic)
		}
		if mic != nil {
			s.in.rewind()
		}
		w.s = s
		if a := w.sealed(identifyMessage); a.status != 200 || !strings.Contains(a.body, "IdentifyResponse") {
			t.Errorf("%s: sealed: %d %s", name, a.status, a.body)
		}
	}
	w := dial(t, p, false)
	if a, _ := say(w, initToken([]byte("a ticket"), oidKerberos)); a.status != 401 || a.header.Get("WWW-Authenticate") != "Negotiate" {
		t.Errorf("Kerberos alone: %d %v", a.status, a.header)
	}
	first := vagrant.negotiate()
	a, got := say(w, initToken(first, oidNTLM))
	last, _ := vagrant.authenticate(t, first, got.inner)
	if a = w.post(plainType, "", "Authorization", negotiateHeader(last)); a.status != 401 {
		t.Errorf("half a negotiation with NTLM by itself behind it: %d", a.status)
	}
}
