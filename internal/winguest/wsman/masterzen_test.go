package wsman

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/pem"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/masterzen/winrm"
)

func pemCert(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// ways are how masterzen/winrm authenticates and protects messages.
var ways = map[string]func() winrm.Transporter{
	"basic":  nil,
	"ntlm":   func() winrm.Transporter { return &winrm.ClientNTLM{} },
	"sealed": func() winrm.Transporter { e, _ := winrm.NewEncryption("ntlm"); return e },
}

func (p *place) client(t testing.TB, way string, https bool, user, password string, change ...func(*winrm.Parameters)) *winrm.Client {
	t.Helper()
	at, ca := p.http, []byte(nil)
	if https {
		at, ca = p.https, p.ca
	}
	host, port, _ := net.SplitHostPort(at)
	n, _ := strconv.Atoi(port)
	params := *winrm.DefaultParameters
	params.TransportDecorator = ways[way]
	for _, c := range change {
		c(&params)
	}
	c, err := winrm.NewClientWithParameters(winrm.NewEndpoint(host, n, https, false, ca, nil, nil, 0), user, password, &params)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func run(t testing.TB, c *winrm.Client, command, stdin string) (stdout, stderr string, code int) {
	t.Helper()
	var o, e bytes.Buffer
	var in io.Reader
	if stdin != "" {
		in = strings.NewReader(stdin)
	}
	code, err := c.RunWithContextWithInput(context.Background(), command, &o, &e, in)
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	return o.String(), e.String(), code
}

func TestMasterzen(t *testing.T) {
	for _, way := range []struct {
		name  string
		https bool
	}{{"basic", false}, {"ntlm", false}, {"sealed", false}, {"basic", true}, {"ntlm", true}} {
		scheme := map[bool]string{false: "http", true: "https"}[way.https]
		t.Run(way.name+" over "+scheme, func(t *testing.T) {
			p := start(t, func(s *Service) {
				s.AllowUnencrypted = way.name != "sealed" && !way.https
				s.Basic, s.Negotiate = way.name == "basic", way.name != "basic"
			})
			c := p.client(t, way.name, way.https, toyUser, toyPassword)
			if out, stderr, code := run(t, c, "both", ""); out != "out\r\n" || stderr != "err\r\n" || code != 7 {
				t.Errorf("both: %q, %q, %d", out, stderr, code)
			}
			if out, _, code := run(t, c, `echo ä"<&>' 日本 😀`, ""); out != "ä\"<&>' 日本 😀\r\n" || code != 0 {
				t.Errorf("echo: %q, %d", out, code)
			}
			if _, _, code := run(t, c, "exit -1073741510", ""); code != -1073741510 {
				t.Errorf("exit: %d", code)
			}
			// This client's sealing is not made for sending while it receives.
			if way.name != "sealed" {
				text := strings.Repeat("line ä\r\n", 30000)
				if out, _, code := run(t, c, "cat", text); out != text || code != 0 {
					t.Errorf("cat: %d bytes of %d, %d", len(out), len(text), code)
				}
			}
			out, _, code := run(t, c, "big 500000", "")
			if len(out) != 2000000 || code != 0 {
				t.Fatalf("big: %d bytes, %d", len(out), code)
			}
			for i := range 500000 {
				if n := binary.LittleEndian.Uint32([]byte(out[4*i:])); n != uint32(i) {
					t.Fatalf("big: number %d is %d", i, n)
				}
			}
		})
	}
}

func TestMasterzenWrongPassword(t *testing.T) {
	p := start(t)
	for way := range ways {
		for _, https := range []bool{false, true} {
			if way == "sealed" && https {
				continue // it cannot be told which certificates to trust
			}
			for _, who := range [][2]string{{toyUser, "wrong"}, {"nobody", toyPassword}, {toyUser, ""}} {
				var out bytes.Buffer
				_, err := p.client(t, way, https, who[0], who[1]).RunWithContext(context.Background(), "echo hi", &out, &out)
				if err == nil || out.Len() > 0 {
					t.Errorf("%s https=%v %q: got in: %q", way, https, who, out.String())
				} else if !strings.Contains(err.Error(), "401") {
					t.Errorf("%s https=%v %q: %v", way, https, who, err)
				}
			}
		}
	}
}

func TestUserNames(t *testing.T) {
	p := start(t)
	for way, names := range map[string][]string{
		"basic":  {"vagrant", "VAGRANT", `WIN-TOY\vagrant`, `win-toy\Vagrant`, `.\vagrant`, "vagrant@WIN-TOY"},
		"ntlm":   {"vagrant", "VAGRANT", `WIN-TOY\vagrant`, `win-toy\Vagrant`, `.\vagrant`, "vagrant@WIN-TOY"},
		"sealed": {"vagrant", "VAGRANT", `WIN-TOY\vagrant`, `win-toy\Vagrant`, `.\vagrant`, "vagrant@WIN-TOY"},
	} {
		for _, name := range names {
			if out, _, _ := run(t, p.client(t, way, false, name, toyPassword), "echo hi", ""); out != "hi\r\n" {
				t.Errorf("%s %s: %q", way, name, out)
			}
			if got := p.last().User; !strings.EqualFold(got, toyUser) {
				t.Errorf("%s %s: the program runs as %q", way, name, got)
			}
		}
	}
	var out bytes.Buffer
	if _, err := p.client(t, "basic", false, `ELSEWHERE\vagrant`, toyPassword).RunWithContext(context.Background(), "echo hi", &out, &out); err == nil {
		t.Error("a user of another machine got in")
	}
}
