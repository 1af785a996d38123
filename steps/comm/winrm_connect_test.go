package comm

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/internal/nettest"
	"github.com/imgflow/imgflow/internal/winguest"
	"github.com/imgflow/imgflow/steps/comm/wsman"
)

func (g *guest) connect(t *testing.T, f func(*Connect)) (*win, Machine, error) {
	t.Helper()
	w := newWin(t, g.m)
	s := Connect{WinRM: g.m.WinRM}
	s.WinRM.Timeout = 20 * time.Second
	end := g.m.Endpoint
	if f != nil {
		f(&s)
	}
	if s.WinRM.UseSSL {
		end.Port = g.ports["winrms"]
	}
	s.To = dag.Lit(end).Take()
	m, err := s.Do(t.Context(), w.env, w.task)
	return w, m, err
}

func TestWinRMConnect(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	for name, f := range map[string]func(*Connect){
		"Basic": nil,
		"NTLM":  func(s *Connect) { s.WinRM.UseNTLM = true },
		"pause": func(s *Connect) { s.Pause = 10 * time.Millisecond },
		"login": func(s *Connect) {
			s.WinRM.Password = ""
			s.Login = dag.Lit(Login{Password: "The-Passw0rd"})
		},
		"other host": func(s *Connect) { s.WinRM.Host, s.WinRM.Port = "localhost", g.ports["winrm"] },
	} {
		t.Run(name, func(t *testing.T) {
			if name == "login" {
				g.ChangeAccount("Administrator", func(a *winguest.Account) { a.Password = "secret of The-Passw0rd" })
				defer g.ChangeAccount("Administrator", func(a *winguest.Account) { a.Password = guestPassword })
			}
			w, m, err := g.connect(t, f)
			if err != nil {
				t.Fatal(err)
			}
			b, _ := json.Marshal(m)
			var back Machine
			if err := json.Unmarshal(b, &back); err != nil || strings.Contains(string(b), "secret of") {
				t.Fatalf("%s %v", b, err)
			}
			r, err := w.env.Windows(w.task, back)
			if err != nil {
				t.Fatal(err)
			}
			out, x, err := r.Exec(t.Context(), "echo hi& exit 3", nil)
			if err != nil || x.Code != 3 || string(out) != "hi\r\n" {
				t.Errorf("%q %v %v", out, x, err)
			}
			if n := len(w.sink.texts(dag.Warned)); n != 0 {
				t.Errorf("%q", w.sink.texts(dag.Warned))
			}
		})
	}
	g.clean()
}

// https lets the machine show a certificate of its own, for 127.0.0.1.
func (g *guest) https(t *testing.T) string {
	t.Helper()
	c, err := g.NewCertificate("CN=127.0.0.1", []string{"127.0.0.1"}, time.Now().Add(time.Hour), "")
	if err != nil {
		t.Fatal(err)
	}
	if err := g.AddListener(winguest.Listener{Address: "*", Transport: "HTTPS", Thumbprint: c.Thumbprint}); err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.DER()}))
}

func TestWinRMCertificates(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	file := filepath.Join(t.TempDir(), "ca.pem")
	os.WriteFile(file, []byte(g.https(t)), 0o644)
	ssl := func(f func(*WinRM)) func(*Connect) {
		return func(s *Connect) { s.WinRM.UseSSL = true; f(&s.WinRM) }
	}
	begun := time.Now()
	_, _, err := g.connect(t, ssl(func(*WinRM) {}))
	var ce *wsman.CertificateError
	if !errors.As(err, &ce) || !strings.Contains(err.Error(), "winrm_insecure") && !strings.Contains(err.Error(), "winrm_ca_file") {
		t.Error(err)
	}
	if time.Since(begun) > 10*time.Second {
		t.Error("it waited for a certificate to become better")
	}
	for _, ntlm := range []bool{false, true} {
		if _, _, err := g.connect(t, ssl(func(s *WinRM) { s.CAFile, s.UseNTLM = file, ntlm })); err != nil {
			t.Errorf("NTLM %v, with the certificate: %v", ntlm, err)
		}
	}
	w, m, err := g.connect(t, ssl(func(s *WinRM) { s.Insecure = true }))
	if err != nil {
		t.Fatal(err)
	}
	if len(m.HostKeys) != 1 || !strings.HasPrefix(m.HostKeys[0], "sha256:") {
		t.Errorf("pinned %v", m.HostKeys)
	}
	if ws := w.sink.texts(dag.Warned); len(ws) != 1 || !strings.Contains(ws[0], m.HostKeys[0]) {
		t.Errorf("%q", ws)
	}
	r, _ := w.env.Remote(w.task, m)
	if _, _, err := r.Exec(t.Context(), "ver", nil); err != nil {
		t.Error(err)
	}
	m.HostKeys = []string{"sha256:" + strings.Repeat("0", 64)}
	r, _ = w.env.Remote(w.task, m)
	if _, _, err := r.Exec(t.Context(), "ver", nil); !errors.As(err, &ce) {
		t.Errorf("another certificate: %v", err)
	}
}

// User data may give the machine a new certificate while the template has us wait:
// what is trusted is what it shows then.
func TestWinRMCertificateOfUserData(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	g.https(t)
	w := newWin(t, g.m)
	w.sink.on = func(e dag.Event) {
		if strings.Contains(e.Text, "before connecting") {
			if err := g.RemoveListener("*", "HTTPS"); err != nil {
				t.Error(err)
			}
			g.https(t)
		}
	}
	s := Connect{WinRM: g.m.WinRM, To: dag.Lit(g.m.Endpoint).Take(), Pause: 10 * time.Millisecond}
	s.WinRM.UseSSL, s.WinRM.Insecure, s.WinRM.Port = true, true, g.ports["winrms"]
	m, err := s.Do(t.Context(), w.env, w.task)
	if err != nil {
		t.Fatal(err)
	}
	if ws := w.sink.texts(dag.Warned); len(ws) != 1 || len(m.HostKeys) != 1 || !strings.Contains(ws[0], m.HostKeys[0]) {
		t.Errorf("%q, pinned %v", ws, m.HostKeys)
	}
	r, _ := w.env.Remote(w.task, m)
	if _, _, err := r.Exec(t.Context(), "ver", nil); err != nil {
		t.Error(err)
	}
}

// Each fault is told, in the time that it should take.
func TestWinRMRefused(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	_, _, err := g.connect(t, func(s *Connect) { s.WinRM.Password, s.WinRM.Timeout = "Mi5taken", time.Second })
	if err == nil || !strings.Contains(err.Error(), "user or the password is wrong") || !strings.Contains(err.Error(), "within 1s") || strings.Contains(err.Error(), "Mi5taken") || errcode.Of(err) != errcode.AuthRefused {
		t.Error(err)
	}
	_, _, err = g.connect(t, func(s *Connect) { s.WinRM.Password, s.WinRM.Timeout, s.WinRM.UseNTLM = "Mi5taken", time.Second, true })
	if err == nil || !strings.Contains(err.Error(), "user or the password is wrong") {
		t.Error(err)
	}
	_, _, err = g.connect(t, func(s *Connect) { s.WinRM.Port, s.WinRM.Timeout = nettest.Closed().Port, time.Second })
	if err == nil || !strings.Contains(err.Error(), "within 1s") {
		t.Error(err)
	}
	_, _, err = g.connect(t, func(s *Connect) { s.WinRM.Password = "" })
	if err == nil || !strings.Contains(err.Error(), "winrm_password") {
		t.Error(err)
	}
	if err := g.SetWinRM("service/auth", map[string]string{"Basic": "false"}); err != nil {
		t.Fatal(err)
	}
	_, _, err = g.connect(t, func(s *Connect) { s.WinRM.Timeout = time.Second })
	if err == nil || !strings.Contains(err.Error(), "winrm_use_ntlm") {
		t.Error(err)
	}
	// A port that takes connections and never answers.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
		}
	}()
	_, _, err = g.connect(t, func(s *Connect) { s.WinRM.Port, s.WinRM.Timeout = l.Addr().(*net.TCPAddr).Port, time.Second })
	if err == nil || !strings.Contains(err.Error(), "within 1s") {
		t.Error(err)
	}
}

// A machine that still boots refuses all at first.
func TestWinRMPatience(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	g.ChangeAccount("Administrator", func(a *winguest.Account) { a.Password = "An0ther-one" })
	g.SetWinRM("service/auth", map[string]string{"Basic": "false"})
	w := newWin(t, g.m)
	w.sink.on = func(e dag.Event) {
		switch {
		case e.Type != dag.Detail:
		case strings.Contains(e.Text, "does not allow Basic"):
			g.SetWinRM("service/auth", map[string]string{"Basic": "true"})
		case strings.Contains(e.Text, "the user or the password is wrong"):
			g.ChangeAccount("Administrator", func(a *winguest.Account) { a.Password = guestPassword })
		}
	}
	if _, err := (Connect{WinRM: g.m.WinRM, To: dag.Lit(g.m.Endpoint).Take()}).Do(t.Context(), w.env, w.task); err != nil {
		t.Fatal(err)
	}
	if said := w.sink.texts(dag.Detail); len(said) != 2 {
		t.Errorf("said %q", said)
	}
}

// A machine that refuses logins which it offers is given up after nine of them,
// whatever else happens in between, since the tenth locks the account; and not
// before its user data has had its minutes.
func TestWinRMRefusals(t *testing.T) {
	sink, err := openSink(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	refused := &wsman.AuthError{User: "u", Offers: []string{"Negotiate", "Basic"}}
	closed := &wsman.AuthError{User: "u", Offers: []string{"Negotiate"}}
	away := &wsman.NetError{Why: "away"}
	for what, before := range map[string][]error{ // each for four minutes
		"always":             nil,
		"not set up before":  {closed, closed},
		"restarted":          {refused, away},
		"restarted and open": {refused, closed, away},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &redialer{t: dagTask("t", sink), total: winrmTimeout, first: true, begun: time.Now()}
				logins := 0
				var first time.Time
				try := func(err error) error {
					if err == refused {
						if logins++; logins == 1 {
							first = time.Now()
						}
					}
					return p.again(t.Context(), err)
				}
				for _, err := range before {
					for begun := time.Now(); time.Since(begun) < 4*time.Minute; {
						if err := try(err); err != nil {
							t.Fatalf("gave up after %s: %v", time.Since(p.begun), err)
						}
					}
				}
				var err error
				for err == nil {
					err = try(refused)
				}
				if took := time.Since(first); logins != winrmLogins || took < 8*time.Minute || !strings.Contains(err.Error(), "9 times") {
					t.Errorf("%d logins in %s: %v", logins, took, err)
				}
			})
		})
	}
}

// A connection that times out is a reason of its own; the end of our time is none.
func TestWinRMReasons(t *testing.T) {
	sink, err := openSink(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		p := &redialer{t: dagTask("t", sink), total: time.Second, first: true, begun: time.Now()}
		for _, err := range []error{&wsman.NetError{Why: "refused"}, &wsman.NetError{Why: "silent", Err: context.DeadlineExceeded}, context.DeadlineExceeded} {
			if err := p.again(t.Context(), err); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		if err := p.again(t.Context(), context.DeadlineExceeded); err == nil || !strings.Contains(err.Error(), "silent") {
			t.Error(err)
		}
	})
}

// Loud about what goes in the clear over a network.
func TestWinRMInTheClear(t *testing.T) {
	w := newWin(t, Machine{Endpoint: Endpoint{Protocol: "winrm", Host: "h"}})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	for _, ntlm := range []bool{false, true} {
		s := Connect{WinRM: WinRM{Username: "u", Password: "p", UseNTLM: ntlm}, To: dag.Lit(Endpoint{Protocol: "winrm", Host: "name.invalid"}).Take()}
		if _, err := s.Do(ctx, w.env, w.task); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	}
	if ws := w.sink.texts(dag.Warned); len(ws) != 1 || !strings.Contains(ws[0], "unencrypted") {
		t.Errorf("%q", ws)
	}
}

func TestWindowsExec(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	w := newWin(t, g.m)
	for command, want := range map[string]string{
		"echo one": "one\r\n", "echo äöü": "äöü\r\n", `echo "a b"`: "\"a b\"\r\n", "more": "in\r\n", "cd": `C:\Users\Administrator` + "\r\n",
	} {
		out, x, err := w.Exec(t.Context(), command, strings.NewReader("in\r\n"))
		if err != nil || x != (Exit{}) || string(out) != want {
			t.Errorf("%s: %q %v %v", command, out, x, err)
		}
	}
	if _, x, err := w.Exec(t.Context(), "exit -5", nil); err != nil || x.Code != -5 {
		t.Error(x, err)
	}
}

func TestPowerShell(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	w := newWin(t, g.m)
	args := map[string]any{"text": "a'b\"c`d$e\n%f ä\U0001F600", "list": []int{1, 2, 3}, "n": 7}
	var got struct {
		Text string
		Sum  int
	}
	err := w.PowerShell(t.Context(), `$sum = 0
foreach ($i in $a.list) { $sum += $i }
ConvertTo-Json @{ text = $a.text; sum = $sum + $a.n } -Compress`, args, &got)
	if err != nil || got.Text != args["text"] || got.Sum != 13 {
		t.Errorf("%+v %v", got, err)
	}
	if err := w.PowerShell(t.Context(), "'nothing to see'", nil, nil); err != nil {
		t.Error(err)
	}
	err = w.PowerShell(t.Context(), "throw 'no luck today'", nil, nil)
	if err == nil || !strings.Contains(err.Error(), "no luck today") {
		t.Error(err)
	}
	if err := w.PowerShell(t.Context(), "'no json'", nil, &got); err == nil {
		t.Error("what is not JSON was taken")
	}
	if err := w.PowerShell(t.Context(), "if ($x {", nil, nil); err == nil {
		t.Error("what is not PowerShell was taken")
	}
	g.clean()
}

// A machine whose PowerShell does not start says so in its own words.
func TestPowerShellMissing(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	if err := os.Remove(g.path("Windows/System32/WindowsPowerShell/v1.0/powershell.exe")); err != nil {
		t.Fatal(err)
	}
	w := newWin(t, g.m)
	c, err := w.Windows.(*winremote).client()
	if err != nil {
		t.Fatal(err)
	}
	defer hangUp(c)
	// It takes several requests to say all that, and nobody is there any more.
	_, err = startScript(t.Context(), c, psCall, code(strings.Repeat("x", 1<<20)))
	if err == nil || !strings.Contains(err.Error(), "is not recognized") {
		t.Error(err)
	}
}

// While a machine starts or goes down its WMI does not answer.
func TestPowerShellUp(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	w := newWin(t, g.m)
	const trying = `$tries = @{ n = 0 }
function Get-CimInstance($ClassName) {
	if ($tries.n++ -lt 2) { throw 'A system shutdown is in progress.' }
	@{ LocalDateTime = [DateTime]'2026-01-01 00:01:00'; LastBootUpTime = [DateTime]'2026-01-01 00:00:00' }
}
`
	var ms int
	if err := w.PowerShell(t.Context(), trying+"up", nil, &ms); err != nil || ms != 60000 {
		t.Error(ms, err)
	}
}

// A machine over WinRM is no place for a person's shell, and one over SSH no
// Windows.
func TestWinRMWords(t *testing.T) {
	e := NewEnv(nil)
	task := dagTask("t", nil)
	if _, _, err := e.Session(t.Context(), task, Machine{Endpoint: Endpoint{Protocol: "winrm", Host: "h"}}); err == nil || !strings.Contains(err.Error(), "winrm") {
		t.Error(err)
	}
	if _, err := e.Windows(task, Machine{Endpoint: Endpoint{Protocol: "ssh", Host: "h"}}); err == nil || !strings.Contains(err.Error(), "use winrm") {
		t.Error(err)
	}
	if _, err := e.Windows(task, Machine{Endpoint: Endpoint{Protocol: "none"}}); err == nil {
		t.Error("none is Windows")
	}
}
