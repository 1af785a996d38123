package winguest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/masterzen/winrm"
)

const secretWord = "SuperS3cr3t!!!!"

// opened is a machine that the administrator can reach in all ways.
func opened(t *testing.T) *Machine {
	t.Helper()
	m := booted(t, Boot{})
	m.open(t)
	return m
}

func (m *Machine) open(t *testing.T) {
	t.Helper()
	for _, err := range []error{
		m.ChangeAccount("Administrator", func(a *Account) { a.Password = secretWord }),
		m.SetWinRM("service", map[string]string{"allowunencrypted": "true"}),
		m.SetWinRM("service/auth", map[string]string{"Basic": "true"}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if n, err := m.ChangeFirewallRules(func(r Rule) bool { return r.Display == "Windows Remote Management (HTTP-In)" }, func(r *Rule) { r.RemoteAddr = "any" }); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	until(t, "WinRM answers", func() bool { return m.reachable("winrm") })
}

func (m *Machine) reachable(name string) bool {
	c, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.1", itoa(m.net.ports[name])), time.Second)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

func (m *Machine) client(t *testing.T, user, password, way string) *winrm.Client {
	t.Helper()
	port, tls := m.net.ports["winrm"], false
	if way == "https" {
		port, tls = m.net.ports["winrms"], true
	}
	p := *winrm.DefaultParameters
	switch way {
	case "ntlm":
		p.TransportDecorator = func() winrm.Transporter { return &winrm.ClientNTLM{} }
	case "sealed":
		p.TransportDecorator = func() winrm.Transporter { e, _ := winrm.NewEncryption("ntlm"); return e }
	}
	c, err := winrm.NewClientWithParameters(winrm.NewEndpoint("127.0.0.1", port, tls, true, nil, nil, nil, 0), user, password, &p)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func run(t *testing.T, c *winrm.Client, line string) (stdout, stderr string, code int, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var o, e bytes.Buffer
	code, err = c.RunWithContext(ctx, line, &o, &e)
	return o.String(), e.String(), code, err
}

func TestRemoteCommands(t *testing.T) {
	m := opened(t)
	for _, way := range []string{"basic", "ntlm", "sealed"} {
		out, stderr, code, err := run(t, m.client(t, "administrator", secretWord, way), `echo hello %COMPUTERNAME%& echo wrong 1>&2& exit 7`)
		if err != nil || strings.TrimSpace(out) != "hello TESTER" || strings.TrimSpace(stderr) != "wrong" || code != 7 {
			t.Errorf("%s: %q %q %d %v", way, out, stderr, code, err)
		}
	}
	if _, _, _, err := run(t, m.client(t, "Administrator", "wrong", "basic"), "echo x"); err == nil {
		t.Error("a wrong password was taken")
	}
	if err := m.ChangeAccount("Administrator", func(a *Account) { a.Disabled = true }); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := run(t, m.client(t, "Administrator", secretWord, "basic"), "echo x"); err == nil {
		t.Error("a disabled account was let in")
	}
	if err := m.ChangeAccount("Administrator", func(a *Account) { a.Disabled = false }); err != nil {
		t.Fatal(err)
	}
	if err := m.SetWinRM("service", map[string]string{"AllowUnencrypted": "false"}); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := run(t, m.client(t, "Administrator", secretWord, "basic"), "echo x"); err == nil {
		t.Error("an unencrypted message was taken")
	}
	if out, _, _, err := run(t, m.client(t, "Administrator", secretWord, "sealed"), "echo x"); err != nil || !strings.HasPrefix(out, "x") {
		t.Errorf("sealed: %q %v", out, err)
	}

	// HTTPS, with a certificate of the machine.
	cert, err := m.NewCertificate("", []string{"TESTER"}, time.Time{}, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := m.AddListener(Listener{Transport: "https", Thumbprint: "nonsense"}); !errors.Is(err, CertNotFound) {
		t.Error(err)
	}
	if err := m.AddListener(Listener{Transport: "https", Thumbprint: strings.ToLower(cert.Thumbprint)}); err != nil {
		t.Fatal(err)
	}
	if m.reachable("winrms") {
		t.Error("HTTPS is reachable through the firewall")
	}
	if err := m.AddFirewallRule(Rule{Name: "https", Display: "https", Enabled: true, Protocol: "tcp", LocalPort: "5986", RemoteAddr: "any"}); err != nil {
		t.Fatal(err)
	}
	until(t, "HTTPS answers", func() bool { return m.reachable("winrms") })
	if out, _, _, err := run(t, m.client(t, "Administrator", secretWord, "https"), "echo x"); err != nil || !strings.HasPrefix(out, "x") {
		t.Errorf("https: %q %v", out, err)
	}
}

// Who is not the built-in administrator needs the policy, or the group.
func TestWhoMayRun(t *testing.T) {
	m := opened(t)
	for _, n := range []string{"bob", "eve", "ann"} {
		if err := m.AddAccount(Account{Name: n, Password: secretWord}); err != nil {
			t.Fatal(err)
		}
	}
	for g, n := range map[string]string{Administrators: "bob", RemoteUsers: "eve"} {
		if err := m.Join(g, n); err != nil {
			t.Fatal(err)
		}
	}
	allowed := func(user string) bool {
		_, _, _, err := run(t, m.client(t, user, secretWord, "basic"), "echo x")
		return err == nil
	}
	if allowed("bob") || !allowed("eve") || allowed("ann") {
		t.Error("without the policy: bob no, eve yes, ann no")
	}
	r := m.Registry(Login{User: "SYSTEM"})
	if err := r.Set(systemPolicies, number("LocalAccountTokenFilterPolicy", 1)); err != nil {
		t.Fatal(err)
	}
	if !allowed("bob") || allowed("ann") {
		t.Error("with the policy: bob yes, ann no")
	}
}

// A shell's processes die with it, a process made by WMI does not.
func TestShellEnds(t *testing.T) {
	m := opened(t)
	var in, out atomic.Int32
	m.plant(t, "sleeper", func(ctx context.Context, p *Proc) int {
		n := &in
		if len(p.Args) > 0 {
			n = &out
		}
		n.Add(1)
		<-ctx.Done()
		n.Add(-1)
		return 0
	})
	m.plant(t, "starter", func(ctx context.Context, p *Proc) int {
		if code, _ := p.CreateProcess("sleeper outside", "", nil); code != 0 {
			t.Error("Create:", code)
		}
		if _, err := p.Start(Launch{Line: "sleeper"}); err != nil {
			t.Error(err)
		}
		return 0
	})
	c := m.client(t, "Administrator", secretWord, "basic")
	s, err := c.CreateShell()
	if err != nil {
		t.Fatal(err)
	}
	k, err := s.ExecuteWithContext(context.Background(), "starter")
	if err != nil {
		t.Fatal(err)
	}
	go io.Copy(io.Discard, k.Stdout)
	go io.Copy(io.Discard, k.Stderr)
	k.Wait()
	until(t, "both sleepers run", func() bool { return in.Load() == 1 && out.Load() == 1 })
	k.Close()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	until(t, "the shell's process is gone", func() bool { return in.Load() == 0 })
	if out.Load() != 1 {
		t.Error("the process outside is gone, too")
	}
	if err := m.StopService("WinRM", false); err != nil {
		t.Fatal(err)
	}
	if m.reachable("winrm") || out.Load() != 1 {
		t.Error("after the service was stopped")
	}
	if err := m.StartService("WinRM"); err != nil {
		t.Fatal(err)
	}
	until(t, "WinRM answers again", func() bool { return m.reachable("winrm") })
	if err := m.Stop(); err != nil {
		t.Fatal(err)
	}
	if out.Load() != 0 {
		t.Error("a process outlived the machine")
	}
}

func TestFirewall(t *testing.T) {
	m := booted(t, Boot{})
	time.Sleep(50 * time.Millisecond)
	if m.reachable("winrm") {
		t.Error("a fresh machine lets those in who are not in its subnet")
	}
	rule := func(f func(*Rule)) {
		t.Helper()
		if _, err := m.ChangeFirewallRules(func(r Rule) bool { return strings.HasPrefix(r.Name, "WINRM-HTTP-In") }, f); err != nil {
			t.Fatal(err)
		}
	}
	rule(func(r *Rule) { r.RemoteAddr = "Any" })
	until(t, "WinRM answers", func() bool { return m.reachable("winrm") })
	held, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", itoa(m.net.ports["winrm"])))
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	rule(func(r *Rule) { r.Block = true })
	if m.reachable("winrm") {
		t.Error("a blocked port answers")
	}
	held.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := held.Read(make([]byte, 1)); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("an open connection goes on: %v", err)
	}
	rule(func(r *Rule) { r.Block = false })
	if !m.reachable("winrm") {
		t.Error("an allowed port does not answer")
	}
	if err := m.SetNetworkCategory("Private"); err != nil {
		t.Fatal(err)
	}
	rule(func(r *Rule) { r.Enabled = r.Name == "WINRM-HTTP-In-TCP" })
	if !m.reachable("winrm") {
		t.Error("the rule for private networks does not count in one")
	}
	rule(func(r *Rule) { r.Enabled = false })
	if m.reachable("winrm") {
		t.Error("without a rule the port is open")
	}
	if err := m.SetFirewall("Private", false); err != nil {
		t.Fatal(err)
	}
	if !m.reachable("winrm") {
		t.Error("without a firewall the port is closed")
	}
}

func TestWinRMSettings(t *testing.T) {
	m := fresh(t)
	for _, c := range []struct {
		below string
		set   map[string]string
		wrong string
	}{
		{"winrs", map[string]string{"MaxMemoryPerShellMB": "0"}, ""},
		{"", map[string]string{"MaxTimeoutms": "7200000"}, ""},
		{"service", map[string]string{"allowunencrypted": "True", "MaxConcurrentOperationsPerUser": "12000"}, ""},
		{"service/auth", map[string]string{"Basic": "maybe"}, "true or false"},
		{"service", map[string]string{"Auth/Basic": "true", "MaxConnections": "0"}, "a number from"},
		{"service", map[string]string{"NoSuch": "1"}, "no such value"},
		{"service", map[string]string{"MaxConcurrentOperations": "1"}, "no longer"},
	} {
		err := m.SetWinRM(c.below, c.set)
		if c.wrong == "" && err != nil || c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)) {
			t.Errorf("%s %v: %v", c.below, c.set, err)
		}
	}
	s := (backend{m}).Service()
	if s.Basic || !s.AllowUnencrypted || s.MaxTimeout != 2*time.Hour || s.MaxEnvelopeSizeKB != 500 || s.Host != "TESTER" {
		t.Errorf("%+v", s)
	}
	r := m.Registry(Login{User: "SYSTEM"})
	for path, v := range map[string]uint64{"service/auth/basic": 1, "service/allowunencrypted": 0} {
		p := policies[path]
		r.Make(p[0])
		if err := r.Set(p[0], number(p[1], v)); err != nil {
			t.Fatal(err)
		}
	}
	if s := (backend{m}).Service(); !s.Basic || s.AllowUnencrypted {
		t.Errorf("policy does not count: %+v", s)
	}
	if err := m.SetWinRM("service", map[string]string{"AllowUnencrypted": "true"}); err == nil || !strings.Contains(err.Error(), "group policy") {
		t.Error(err)
	}
}

func TestPower(t *testing.T) {
	ended := make(chan bool, 1)
	m := opened(t)
	m.Stop()
	if err := m.Boot(Boot{Exited: func(reboot bool) { ended <- reboot }}); err != nil {
		t.Fatal(err)
	}
	if m.reachable("winrm") {
		t.Error("WinRM answers at once after a boot")
	}
	until(t, "WinRM answers", func() bool { return m.reachable("winrm") })
	wantCode(t, m.CallOff(), NoShutdown)
	if err := m.PowerOff(true, time.Hour, "later"); err != nil {
		t.Fatal(err)
	}
	wantCode(t, m.PowerOff(true, 0, ""), ShutdownScheduled)
	if err := m.CallOff(); err != nil {
		t.Fatal(err)
	}
	wantCode(t, m.CallOff(), NoShutdown)
	before := m.Booted()
	if err := m.PowerOff(true, 0, ""); err != nil {
		t.Fatal(err)
	}
	wantCode(t, m.PowerOff(false, 0, ""), ShutdownInProgress)
	wantCode(t, m.CallOff(), ShutdownInProgress)
	if !<-ended {
		t.Error("it was no reboot")
	}
	if m.Running() {
		t.Error("it runs")
	}
	if err := m.Boot(Boot{Exited: func(reboot bool) { ended <- reboot }}); err != nil {
		t.Fatal(err)
	}
	_, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", itoa(m.net.ports["winrm"])))
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a moment after the boot: %v", err)
	}
	until(t, "WinRM answers again", func() bool { return m.reachable("winrm") })
	if !m.Booted().After(before) {
		t.Error("the boot time is not new")
	}
	out, _, _, err := run(t, m.client(t, "Administrator", secretWord, "basic"), "echo again")
	if err != nil || !strings.HasPrefix(out, "again") {
		t.Errorf("%q %v", out, err)
	}
	if err := m.PowerOff(false, 10*time.Millisecond, ""); err != nil {
		t.Fatal(err)
	}
	if <-ended {
		t.Error("it was a reboot")
	}
}
