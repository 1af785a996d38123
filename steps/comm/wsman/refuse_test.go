package wsman

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/internal/nettest"
	server "github.com/imgflow/imgflow/internal/winguest/wsman"
)

// says checks what an error says, and that it gives nothing away.
func says(t *testing.T, what string, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error", what)
		return
	}
	if !strings.HasPrefix(err.Error(), "cannot ") {
		t.Errorf("%s: %v does not say what cannot be done", what, err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%s: %v\ndoes not say %q", what, err, w)
		}
	}
	for _, secret := range []string{toyPassword, base64.StdEncoding.EncodeToString([]byte(toyUser + ":" + toyPassword))} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error gives the password away: %v", what, err)
		}
	}
}

func TestLoginRefused(t *testing.T) {
	p := start(t)
	for _, way := range ways {
		for what, change := range map[string]func(*Options){
			"wrong password": func(o *Options) { o.Password = "wrong" },
			"wrong user":     func(o *Options) { o.User = "nobody" },
			"domain":         func(o *Options) { o.User = `ELSEWHERE\nobody` },
		} {
			c := p.client(t, way.ntlm, way.tls, change)
			_, err := c.Start(t.Context(), "echo")
			says(t, way.name+", "+what, err, "cannot log in", "the user or the password is wrong")
			var a *AuthError
			if !errors.As(err, &a) || a.User != c.o.User || !a.offers("Basic") || !a.offers("Negotiate") || a.NTLM != way.ntlm || a.TLS != way.tls {
				t.Errorf("%s: %+v", way.name, a)
			}
		}
	}
	_, err := p.client(t, false, false, func(o *Options) { o.User = "someone@example.com" }).Start(t.Context(), "echo")
	says(t, "Basic for a domain", err, "winrm_use_ntlm")

	p = start(t, func(s *server.Service) { s.Basic = false })
	for _, tls := range []bool{false, true} {
		_, err = p.client(t, false, tls).Start(t.Context(), "echo")
		says(t, "without Basic", err, "does not allow Basic", "winrm_use_ntlm", "it offers Negotiate")
	}
	p = start(t, func(s *server.Service) { s.Negotiate = false })
	for _, tls := range []bool{false, true} {
		_, err = p.client(t, true, tls).Start(t.Context(), "echo")
		says(t, "without Negotiate", err, "does not allow Negotiate", "it offers Basic")
	}
	p = start(t, func(s *server.Service) { s.AllowUnencrypted = false })
	_, err = p.client(t, false, false).Start(t.Context(), "echo")
	says(t, "nothing unencrypted", err, "AllowUnencrypted", "winrm_use_ntlm", "winrm_use_ssl")
}

func TestOptions(t *testing.T) {
	for what, o := range map[string]Options{
		"is not the name":     {Host: "a b", User: "x"},
		`"" is not the name`:  {User: "x"},
		"no port":             {Host: "x", Port: 70000, User: "x"},
		"no user":             {Host: "x"},
		"winrm_use_ntlm":      {Host: "x", User: "a:b"},
		"pinned certificate":  {Host: "x", User: "x", TLS: true, Pins: []string{"sha256:12"}},
		"no certificate in P": {Host: "x", User: "x", TLS: true, CAs: []byte("rubbish")},
		"cannot be read":      {Host: "x", User: "x", TLS: true, CAs: []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")},
	} {
		_, err := New(o)
		says(t, what, err, what)
	}
}

// answering is a listener that answers the first byte of every connection.
func answering(t *testing.T, answer string) string {
	return nettest.Serve(t, "tcp", "127.0.0.1:0", func(c net.Conn) {
		bufio.NewReader(c).ReadByte()
		io.WriteString(c, answer)
		c.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, c)
	}).String()
}

func TestNobodyThere(t *testing.T) {
	p := start(t)
	closed := nettest.Closed().String()
	quick := Options{Timeout: 50 * time.Millisecond}
	for _, way := range ways {
		o := Options{NTLM: way.ntlm, TLS: way.tls, Insecure: true}
		_, err := dial(t, closed, o).Start(t.Context(), "echo")
		says(t, "closed port", err, "the connection is refused")
		if ne := (*NetError)(nil); !errors.As(err, &ne) || !ne.Refused {
			t.Errorf("%+v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if _, err := dial(t, nettest.Silent(t, "tcp", "127.0.0.1:0").String(), o).Start(ctx, "echo"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s, a silent machine: %v", way.name, err)
		}
		cancel()
	}
	o := Options{Insecure: true}
	_, err := dial(t, p.https, o).Start(t.Context(), "echo")
	says(t, "plain on a TLS port", err, "winrm_use_ssl")
	_, err = dial(t, answering(t, "\x15\x03\x01\x00\x02\x02\x16"), o).Start(t.Context(), "echo")
	says(t, "plain on another TLS port", err, "does not speak HTTP", "winrm_use_ssl")
	_, err = dial(t, answering(t, ""), o).Start(t.Context(), "echo")
	says(t, "plain on a TLS port that hangs up", err, "closed the connection without an answer", "winrm_use_ssl")
	o.TLS = true
	_, err = dial(t, p.http, o).Start(t.Context(), "echo")
	says(t, "TLS on a plain port", err, "does not speak TLS", "winrm_use_ssl")
	_, err = dial(t, answering(t, ""), o).Start(t.Context(), "echo")
	says(t, "TLS that hangs up", err, "the connection broke")
	quick.TLS, quick.Insecure = true, true
	_, err = dial(t, nettest.Silent(t, "tcp", "127.0.0.1:0").String(), quick).Start(t.Context(), "echo")
	says(t, "no handshake", err, "it did not answer within")
	quick.TLS = false
	_, err = dial(t, nettest.Silent(t, "tcp", "127.0.0.1:0").String(), quick).post(t.Context(), []byte("x"), 50*time.Millisecond)
	says(t, "no answer", err, "it did not answer within 100ms")
	o = Options{Host: "no-such-host.invalid"}
	_, err = dial(t, closed, o).Start(t.Context(), "echo")
	says(t, "no such name", err, "no-such-host.invalid", "cannot be looked up")
}

func TestHTTPAnswers(t *testing.T) {
	for status, words := range map[int]string{
		400: "if the port is one for HTTPS", 403: "forbids", 404: "no WinRM", 407: "winrm_no_proxy", 413: "MaxEnvelopeSizekb",
		302: "found", 503: "not running", 418: "teapot", 500: "AllowUnencrypted", 200: "not one of WinRM",
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(status) }))
		for _, ntlm := range []bool{false, true} {
			_, err := dial(t, s.Listener.Addr().String(), Options{NTLM: ntlm}).Start(t.Context(), "echo")
			if ntlm && status == 200 {
				says(t, "no login", err, "asks for no login")
			} else if ntlm && status == 500 {
				says(t, "failed", err, "HTTP 500")
			} else {
				says(t, fmt.Sprint("HTTP ", status), err, fmt.Sprint("HTTP ", status), words)
			}
		}
		s.Close()
	}
}

// The machine may send what it wants.
func TestGarbage(t *testing.T) {
	for what, answer := range map[string]string{
		"is not one of WinRM":               "text/html|<html>hello</html>",
		"no SOAP envelope that can be read": soapType + "|garbage",
		"that can be read":                  soapType + "|<a></a>",
		"what it is called":                 soapType + `|<s:Envelope xmlns:s="x"><s:Body/></s:Envelope>`,
		"more than 1 MiB":                   soapType + "|" + strings.Repeat("x", maxReply+1),
		"the machine does not say why":      soapType + `|<Envelope><Body><Fault></Fault></Body></Envelope>`,
		"a quota of *** *** (QuotaLimit 2150859173)": soapType + `|<Envelope><Body><Fault><Code><Value>s:Receiver</Value><Subcode><Value>w:QuotaLimit</Value></Subcode></Code>` +
			`<Reason><Text>outer</Text></Reason><Detail><WSManFault Code="2150859173"><Message>a  quota of ` + "pw\n pw" + `</Message></WSManFault></Detail></Fault></Body></Envelope>`,
		"deep (InternalError 2147943418)": soapType + `|<Envelope><Body><Fault><Code><Value>s:Receiver</Value><Subcode><Value>w:InternalError</Value></Subcode></Code>` +
			`<Detail><WSManFault Code="2147943418"><Message><ProviderFault provider="x"><WSManFault Code="1"><Message>deep</Message></WSManFault></ProviderFault></Message></WSManFault></Detail></Fault></Body></Envelope>`,
		"called": soapType + `|<Envelope><Body><Shell><ShellId>&lt;evil/&gt;</ShellId></Shell></Body></Envelope>`,
	} {
		kind, body, _ := strings.Cut(answer, "|")
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", kind)
			io.WriteString(w, body)
		}))
		_, err := dial(t, s.Listener.Addr().String(), Options{Password: "pw"}).Start(t.Context(), "echo")
		says(t, what, err, what)
		s.Close()
	}
}

// A connection that is cut leaves it open what arrived: nothing is sent again.
func TestCut(t *testing.T) {
	for _, way := range ways[:2] {
		for _, op := range []string{"command", "send", "receive"} {
			p := start(t)
			var requests, cut atomic.Int64
			w := between(t, p.http, &wire{response: func(r *http.Response, body []byte) ([]byte, bool) {
				if r.StatusCode == http.StatusUnauthorized || len(body) == 0 {
					return body, true // the handshake
				}
				return body, requests.Add(1) != cut.Load()
			}})
			c := dial(t, w.address, Options{NTLM: way.ntlm})
			fail := func(err error) {
				t.Helper()
				says(t, way.name+", "+op, err, "the connection broke")
				if ne := (*NetError)(nil); !errors.As(err, &ne) || ne.Refused {
					t.Errorf("%+v", err)
				}
			}
			if op == "command" {
				cut.Store(2)
				_, err := c.Start(t.Context(), "cat")
				fail(err)
				if n := len(p.started()); n != 1 {
					t.Errorf("started %d times", n)
				}
				continue
			}
			k, err := c.Start(t.Context(), "cat")
			if err != nil {
				t.Fatal(err)
			}
			cut.Store(3)
			switch op {
			case "send":
				fail(k.Send(t.Context(), make([]byte, 1000000), true))
				fail(k.Send(t.Context(), nil, true))
			case "receive":
				cut.Store(4)
				if err := k.Send(t.Context(), []byte("x"), false); err != nil {
					t.Fatal(err)
				}
				_, err := k.Receive(t.Context())
				fail(err)
				_, err = k.Receive(t.Context())
				fail(err)
			}
			if o, _, _ := mustRun(t, c, "echo after", ""); o != "after" {
				t.Errorf("after it: %q", o)
			}
		}
	}
}

func TestCertificates(t *testing.T) {
	p := start(t)
	_, err := p.client(t, false, true, func(o *Options) { o.CAs = nil }).Start(t.Context(), "echo")
	says(t, "unknown", err, "cannot trust "+p.https, "sha256:", "CN=WIN-TOY, signed by itself", "nobody whom this computer trusts", "winrm_ca_file", "winrm_insecure")
	var e *CertificateError
	if !errors.As(err, &e) || e.Changed || errcode.Of(err) != errcode.CertUntrusted {
		t.Fatalf("%v", err)
	}
	shown := e.Fingerprint
	pinned := p.client(t, false, true, func(o *Options) {
		o.CAs, o.Pins = nil, []string{strings.ToUpper(shown[:7]) + strings.ToUpper(shown[7:])}
	})
	mustRun(t, pinned, "echo", "")
	if pinned.Certificate() != shown {
		t.Errorf("%s, then %s", shown, pinned.Certificate())
	}
	first := p.client(t, true, true, func(o *Options) { o.CAs, o.Insecure = nil, true })
	mustRun(t, first, "echo", "")
	if first.Certificate() != shown {
		t.Errorf("%s, then %s", shown, first.Certificate())
	}

	// Another machine behind the same address.
	p.s.Close()
	p.cert, p.ca = certificate(t, "OTHER", time.Hour)
	p.boot(t, p.http, p.https)
	for what, c := range map[string]*Client{"pinned": pinned, "seen first": first} {
		var err error
		for range 2 { // the first may be the end of the connection
			if _, err = c.Start(t.Context(), "echo"); errors.As(err, &e) {
				break
			}
		}
		says(t, what, err, "another one than before", shown, "CN=OTHER")
		if !errors.As(err, &e) || !e.Changed {
			t.Errorf("%s: %v", what, err)
		}
	}
	// The certificate itself is trusted whatever its names.
	mustRun(t, p.client(t, false, true), "echo", "")

	again := func(cert tls.Certificate) {
		p.s.Close()
		p.cert = cert
		p.boot(t, p.http, p.https)
	}
	authority, pem := certificate(t, "AUTHORITY", time.Hour)
	good, _ := signed(t, &authority, "GOOD", time.Hour, net.IPv4(127, 0, 0, 1))
	again(good)
	trusts := func(o *Options) { o.CAs = append(p.ca, pem...) }
	mustRun(t, p.client(t, false, true, trusts), "echo", "")
	_, err = p.client(t, false, true).Start(t.Context(), "echo")
	says(t, "unknown authority", err, "CN=GOOD, signed by CN=AUTHORITY", "nobody whom this computer trusts signed it")
	elsewhere, _ := signed(t, &authority, "ELSEWHERE", time.Hour, net.IPv4(10, 1, 2, 3))
	again(elsewhere)
	_, err = p.client(t, false, true, trusts).Start(t.Context(), "echo")
	says(t, "another's", err, "it is for ELSEWHERE, 10.1.2.3 and not for 127.0.0.1")
	old, _ := signed(t, &authority, "OLD", -time.Hour, net.IPv4(127, 0, 0, 1))
	again(old)
	_, err = p.client(t, false, true, trusts).Start(t.Context(), "echo")
	says(t, "old", err, "it ran out on")
}

// A proxy of the environment is used, unless it is not wanted.
func TestProxy(t *testing.T) {
	p := start(t)
	var seen []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Method+" "+r.Host)
		if r.Method != http.MethodConnect {
			http.Error(w, "login", http.StatusProxyAuthRequired)
			return
		}
		far, err := net.Dial("tcp", p.https)
		if err != nil {
			t.Error(err)
			return
		}
		near, rest, _ := w.(http.Hijacker).Hijack()
		io.WriteString(near, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { io.Copy(far, rest); far.Close() }()
		go func() { io.Copy(near, far); near.Close() }()
	}))
	defer proxy.Close()
	through := func(*url.URL) (*url.URL, error) { return url.Parse(proxy.URL) }
	for _, ntlm := range []bool{false, true} {
		mustRun(t, dial(t, p.https, Options{Host: "machine.invalid", TLS: true, NTLM: ntlm, CAs: p.ca, Proxy: through}), "echo", "")
	}
	_, err := dial(t, p.http, Options{Host: "machine.invalid", Proxy: through}).Start(t.Context(), "echo")
	says(t, "a proxy that wants a login", err, "winrm_no_proxy")
	n := len(seen)
	if n < 3 || !strings.HasPrefix(seen[0], "CONNECT machine.invalid:") {
		t.Errorf("%q", seen)
	}
	_, err = dial(t, p.http, Options{Host: "machine.invalid"}).Start(t.Context(), "echo")
	says(t, "without the proxy", err, "cannot be looked up")
	if len(seen) != n {
		t.Errorf("%q", seen[n:])
	}
}
