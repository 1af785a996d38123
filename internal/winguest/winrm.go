package winguest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/imgflow/imgflow/internal/winguest/wsman"
)

// Listener is where WinRM listens.
type Listener struct {
	Address    string `json:"address"`   // * or IP:...
	Transport  string `json:"transport"` // HTTP or HTTPS
	Port       int    `json:"port"`
	Hostname   string `json:"hostname,omitempty"`
	Off        bool   `json:"off,omitempty"`
	URLPrefix  string `json:"url_prefix"`
	Thumbprint string `json:"thumbprint,omitempty"`
}

// setting is a value of WinRM's configuration: its path as winrm writes it, its
// type and what it is on a fresh machine.
type setting struct {
	path, kind, value string
	min, max          uint64
}

// winrmSettings are in the order in which winrm prints them.
var winrmSettings = []setting{
	{"MaxEnvelopeSizekb", "uint", "500", 32, 4294967295},
	{"MaxTimeoutms", "uint", "60000", 500, 4294967295},
	{"MaxBatchItems", "uint", "32000", 1, 4294967295},
	{"MaxProviderRequests", "fixed", "4294967295", 0, 0},
	{"Client/NetworkDelayms", "uint", "5000", 500, 4294967295},
	{"Client/URLPrefix", "text", "wsman", 0, 0},
	{"Client/AllowUnencrypted", "bool", "false", 0, 0},
	{"Client/Auth/Basic", "bool", "true", 0, 0},
	{"Client/Auth/Digest", "bool", "true", 0, 0},
	{"Client/Auth/Kerberos", "bool", "true", 0, 0},
	{"Client/Auth/Negotiate", "bool", "true", 0, 0},
	{"Client/Auth/Certificate", "bool", "true", 0, 0},
	{"Client/Auth/CredSSP", "bool", "false", 0, 0},
	{"Client/DefaultPorts/HTTP", "uint", "5985", 1, 65535},
	{"Client/DefaultPorts/HTTPS", "uint", "5986", 1, 65535},
	{"Client/TrustedHosts", "text", "", 0, 0},
	{"Service/RootSDDL", "text", "O:NSG:BAD:P(A;;GA;;;BA)(A;;GR;;;IU)S:P(AU;FA;GA;;;WD)(AU;SA;GXGW;;;WD)", 0, 0},
	{"Service/MaxConcurrentOperations", "fixed", "4294967295", 0, 0},
	{"Service/MaxConcurrentOperationsPerUser", "uint", "1500", 1, 4294967295},
	{"Service/EnumerationTimeoutms", "uint", "240000", 500, 4294967295},
	{"Service/MaxConnections", "uint", "300", 1, 4294967295},
	{"Service/MaxPacketRetrievalTimeSeconds", "uint", "120", 1, 4294967295},
	{"Service/AllowUnencrypted", "bool", "false", 0, 0},
	{"Service/Auth/Basic", "bool", "false", 0, 0},
	{"Service/Auth/Kerberos", "bool", "true", 0, 0},
	{"Service/Auth/Negotiate", "bool", "true", 0, 0},
	{"Service/Auth/Certificate", "bool", "false", 0, 0},
	{"Service/Auth/CredSSP", "bool", "false", 0, 0},
	{"Service/Auth/CbtHardeningLevel", "word", "Relaxed", 0, 0},
	{"Service/DefaultPorts/HTTP", "uint", "5985", 1, 65535},
	{"Service/DefaultPorts/HTTPS", "uint", "5986", 1, 65535},
	{"Service/IPv4Filter", "text", "*", 0, 0},
	{"Service/IPv6Filter", "text", "*", 0, 0},
	{"Service/EnableCompatibilityHttpListener", "bool", "false", 0, 0},
	{"Service/EnableCompatibilityHttpsListener", "bool", "false", 0, 0},
	{"Service/CertificateThumbprint", "text", "", 0, 0},
	{"Service/AllowRemoteAccess", "bool", "true", 0, 0},
	{"Winrs/AllowRemoteShellAccess", "bool", "true", 0, 0},
	{"Winrs/IdleTimeout", "uint", "7200000", 60000, 2147483647},
	{"Winrs/MaxConcurrentUsers", "uint", "2147483647", 1, 2147483647},
	{"Winrs/MaxShellRunTime", "uint", "2147483647", 0, 2147483647},
	{"Winrs/MaxProcessesPerShell", "uint", "2147483647", 0, 2147483647},
	{"Winrs/MaxMemoryPerShellMB", "uint", "2147483647", 0, 2147483647},
	{"Winrs/MaxShellsPerUser", "uint", "2147483647", 0, 2147483647},
}

// policies are the values by which group policy overrules the configuration.
var policies = map[string][2]string{
	"service/auth/basic":           {`HKLM\SOFTWARE\Policies\Microsoft\Windows\WinRM\Service`, "AllowBasic"},
	"service/allowunencrypted":     {`HKLM\SOFTWARE\Policies\Microsoft\Windows\WinRM\Service`, "AllowUnencryptedTraffic"},
	"client/auth/basic":            {`HKLM\SOFTWARE\Policies\Microsoft\Windows\WinRM\Client`, "AllowBasic"},
	"client/allowunencrypted":      {`HKLM\SOFTWARE\Policies\Microsoft\Windows\WinRM\Client`, "AllowUnencryptedTraffic"},
	"winrs/allowremoteshellaccess": {`HKLM\SOFTWARE\Policies\Microsoft\Windows\WinRM\Service\WinRS`, "AllowRemoteShellAccess"},
}

// Setting is a value of WinRM's configuration as it is now.
type Setting struct {
	Path   string // Service/Auth/Basic
	Value  string
	Policy bool // set by group policy
}

// WinRMSettings are those below a path ("" for all, service, service/auth,
// winrs ...), in the order in which winrm prints them.
func (m *Machine) WinRMSettings(below string) (list []Setting) {
	below = strings.ToLower(strings.Trim(strings.ReplaceAll(below, `\`, "/"), "/"))
	for _, s := range winrmSettings {
		low := strings.ToLower(s.path)
		if below == "" || low == below || strings.HasPrefix(low, below+"/") {
			v, byPolicy := m.winrmValue(s)
			list = append(list, Setting{s.path, v, byPolicy})
		}
	}
	return list
}

func (m *Machine) winrmValue(s setting) (value string, byPolicy bool) {
	low := strings.ToLower(s.path)
	if p, ok := policies[low]; ok {
		if v, err := m.Registry(Login{User: "SYSTEM"}).Get(p[0], p[1]); err == nil && v.Kind == DWord {
			return strconv.FormatBool(v.Number != 0), true
		}
	}
	m.read(func(st *state) {
		var ok bool
		if value, ok = st.WinRM[low]; !ok {
			value = s.value
		}
	})
	return value, false
}

// SetWinRM changes values of WinRM's configuration below a path, by their names
// in it, in any case: all of them or, with an error, none. The error says which
// name or value is wrong.
func (m *Machine) SetWinRM(below string, values map[string]string) error {
	below = strings.Trim(strings.ReplaceAll(below, `\`, "/"), "/")
	set := map[string]string{}
	for name, v := range values {
		path := strings.ToLower(strings.Trim(below+"/"+strings.ReplaceAll(name, `\`, "/"), "/"))
		i := slices.IndexFunc(winrmSettings, func(s setting) bool { return strings.ToLower(s.path) == path })
		if i < 0 {
			return fmt.Errorf("cannot set %s: WinRM's configuration has no such value", strings.Trim(below+"/"+name, "/"))
		}
		s := winrmSettings[i]
		if _, byPolicy := m.winrmValue(s); byPolicy {
			return fmt.Errorf("cannot set %s: it is set by group policy (%s, value %s)", s.path, policies[path][0], policies[path][1])
		}
		w, err := s.check(v)
		if err != nil {
			return err
		}
		set[path] = w
	}
	err := m.change(func(st *state) error {
		if st.WinRM == nil {
			st.WinRM = map[string]string{}
		}
		for k, v := range set {
			st.WinRM[k] = v
		}
		return nil
	})
	m.listen()
	return err
}

func (s setting) check(v string) (string, error) {
	v = strings.TrimSpace(v)
	switch s.kind {
	case "bool":
		switch low := strings.ToLower(v); low {
		case "true", "false":
			return low, nil
		case "1", "$true":
			return "true", nil
		case "0", "$false":
			return "false", nil
		}
		return "", fmt.Errorf("cannot set %s to %q: it is true or false", s.path, v)
	case "uint":
		n, err := strconv.ParseUint(v, 10, 64)
		// A 0 is no limit, as for the memory of a shell.
		if err != nil || n > s.max || n < s.min {
			return "", fmt.Errorf("cannot set %s to %q: it is a number from %d to %d", s.path, v, s.min, s.max)
		}
	case "word":
		for _, w := range []string{wsman.CbtNone, wsman.CbtRelaxed, wsman.CbtStrict} {
			if strings.EqualFold(v, w) {
				return w, nil
			}
		}
		return "", fmt.Errorf("cannot set %s to %q: it is None, Relaxed or Strict", s.path, v)
	case "fixed":
		return "", fmt.Errorf("cannot set %s: it is no longer a setting of Windows", s.path)
	}
	return v, nil
}

// Errors of listeners.
var (
	ErrListenerExists = errors.New("the WS-Management listener exists already")
	ErrNoListener     = errors.New("there is no such WS-Management listener")
)

// Listeners are those of WinRM.
func (m *Machine) Listeners() (list []Listener) {
	m.read(func(st *state) { list = slices.Clone(st.Listeners) })
	return list
}

// AddListener makes a listener: Address * if it has none, the usual port if it
// has none. One for HTTPS needs the thumbprint of a certificate of the machine:
// CertNotFound.
func (m *Machine) AddListener(l Listener) error {
	if err := m.completeListener(&l); err != nil {
		return err
	}
	err := m.change(func(st *state) error {
		if st.listener(l.Address, l.Transport) != nil {
			return ErrListenerExists
		}
		st.Listeners = append(st.Listeners, l)
		return nil
	})
	m.listen()
	return err
}

func (m *Machine) completeListener(l *Listener) error {
	l.Transport = strings.ToUpper(l.Transport)
	if l.Transport != "HTTP" && l.Transport != "HTTPS" {
		return fmt.Errorf("cannot make a listener with the transport %q: it is HTTP or HTTPS", l.Transport)
	}
	if l.Address == "" {
		l.Address = "*"
	}
	if l.URLPrefix == "" {
		l.URLPrefix = "wsman"
	}
	if l.Port == 0 {
		l.Port = 5985
		if l.Transport == "HTTPS" {
			l.Port = 5986
		}
	}
	if l.Port < 1 || l.Port > 65535 {
		return fmt.Errorf("cannot make a listener on port %d: ports are from 1 to 65535", l.Port)
	}
	l.Thumbprint = strings.ToUpper(strings.ReplaceAll(l.Thumbprint, " ", ""))
	if l.Transport != "HTTPS" {
		return nil
	}
	if l.Thumbprint == "" { // as quickconfig: one whose name is the machine's
		for _, c := range m.Certificates() {
			if strings.EqualFold(c.Subject, "CN="+m.ComputerName()) {
				l.Thumbprint = c.Thumbprint
			}
		}
	}
	if _, ok := m.Certificate(l.Thumbprint); !ok {
		return CertNotFound
	}
	return nil
}

// set changes values of a listener by their names in any case.
func (l *Listener) set(values map[string]string) error {
	for name, v := range values {
		switch strings.ToLower(name) {
		case "port":
			n, err := strconv.Atoi(v)
			if err != nil || n < 1 || n > 65535 {
				return fmt.Errorf("cannot set the port of a listener to %q: ports are from 1 to 65535", v)
			}
			l.Port = n
		case "hostname":
			l.Hostname = v
		case "enabled":
			on, err := strconv.ParseBool(strings.ToLower(v))
			if err != nil {
				return fmt.Errorf("cannot set Enabled of a listener to %q: it is true or false", v)
			}
			l.Off = !on
		case "urlprefix":
			if !strings.EqualFold(strings.Trim(v, "/"), "wsman") {
				return fmt.Errorf("cannot set URLPrefix of a listener to %q: here it is wsman always", v)
			}
		case "certificatethumbprint":
			l.Thumbprint = v
		default:
			return fmt.Errorf("cannot set %s of a listener: it has Port, Hostname, Enabled, URLPrefix and CertificateThumbprint", name)
		}
	}
	return nil
}

// NewListener makes a listener from values by their names.
func NewListener(address, transport string, values map[string]string) (Listener, error) {
	l := Listener{Address: address, Transport: transport}
	return l, l.set(values)
}

// SetListener changes values of a listener by their names.
func (m *Machine) SetListener(address, transport string, values map[string]string) error {
	return m.changeListener(address, transport, func(l *Listener) error { return l.set(values) })
}

func (st *state) listener(address, transport string) *Listener {
	for i, l := range st.Listeners {
		if strings.EqualFold(l.Address, address) && strings.EqualFold(l.Transport, transport) {
			return &st.Listeners[i]
		}
	}
	return nil
}

func (m *Machine) changeListener(address, transport string, f func(*Listener) error) error {
	var l *Listener
	m.read(func(st *state) {
		if p := st.listener(address, transport); p != nil {
			c := *p
			l = &c
		}
	})
	if l == nil {
		return ErrNoListener
	}
	if err := f(l); err != nil {
		return err
	}
	l.Address, l.Transport = address, transport
	if err := m.completeListener(l); err != nil {
		return err
	}
	err := m.change(func(st *state) error {
		p := st.listener(address, transport)
		if p == nil {
			return ErrNoListener
		}
		l.Address, l.Transport = p.Address, p.Transport
		*p = *l
		return nil
	})
	m.listen()
	return err
}

// RemoveListener deletes a listener.
func (m *Machine) RemoveListener(address, transport string) error {
	err := m.change(func(st *state) error {
		p := st.listener(address, transport)
		if p == nil {
			return ErrNoListener
		}
		l := *p
		st.Listeners = slices.DeleteFunc(st.Listeners, func(o Listener) bool { return o == l })
		return nil
	})
	m.listen()
	return err
}

// QuickConfig is what winrm quickconfig does: the service starts by itself and
// now, there is a listener, the firewall's rules for it are on. For the public
// network those admit the machine's own subnet only, as on a real machine.
// changed is what was not so before, in words.
func (m *Machine) QuickConfig(transport string) (changed []string, err error) {
	s, err := m.Service("WinRM")
	if err != nil {
		return nil, err
	}
	if s.Start != AutoStart && s.Start != DelayedStart {
		if err := m.ChangeService("WinRM", func(s *Service) { s.Start = DelayedStart }); err != nil {
			return changed, err
		}
		changed = append(changed, "the WinRM service starts with the machine")
	}
	if !s.Running {
		if err := m.StartService("WinRM"); err != nil {
			return changed, err
		}
		changed = append(changed, "the WinRM service was started")
	}
	var have bool
	m.read(func(st *state) { have = st.listener("*", transport) != nil })
	if !have {
		if err := m.AddListener(Listener{Transport: transport}); err != nil {
			return changed, err
		}
		changed = append(changed, "a listener for "+transport+" on every address was made")
	}
	if n, err := m.ChangeFirewallRules(func(r Rule) bool { return r.Group == winrmGroup && !r.Enabled }, func(r *Rule) { r.Enabled = true }); err != nil {
		return changed, err
	} else if n > 0 {
		changed = append(changed, "the firewall's rules for WinRM were turned on")
	}
	r := m.Registry(Login{User: "SYSTEM"})
	if v, err := r.Get(systemPolicies, "LocalAccountTokenFilterPolicy"); err != nil || v.Number != 1 {
		if err := r.Set(systemPolicies, number("LocalAccountTokenFilterPolicy", 1)); err != nil {
			return changed, err
		}
		changed = append(changed, "local users have the rights of administrators remotely (LocalAccountTokenFilterPolicy)")
	}
	return changed, nil
}

// backend is the machine as its WinRM service sees it.
type backend struct{ m *Machine }

var _ wsman.Guard = backend{}

func (b backend) Password(user string) (string, bool) {
	a, ok := b.m.Account(user)
	return a.Password, ok && !a.Disabled && a.Password != ""
}

func (b backend) Service() wsman.Service {
	v := map[string]string{}
	for _, s := range b.m.WinRMSettings("") {
		v[s.Path] = s.Value
	}
	on := func(path string) bool { return v[path] == "true" }
	n := func(path string) int {
		i, _ := strconv.Atoi(v[path])
		return i
	}
	return wsman.Service{
		Host: b.m.ComputerName(), Version: b.m.spec.Release.Version,
		AllowUnencrypted: on("Service/AllowUnencrypted"), Basic: on("Service/Auth/Basic"), Negotiate: on("Service/Auth/Negotiate"),
		CbtHardening: v["Service/Auth/CbtHardeningLevel"], MaxEnvelopeSizeKB: n("MaxEnvelopeSizekb"),
		MaxTimeout: time.Duration(n("MaxTimeoutms")) * time.Millisecond, MaxConcurrentOperationsPerUser: n("Service/MaxConcurrentOperationsPerUser"),
		AllowRemoteShellAccess: on("Winrs/AllowRemoteShellAccess"), IdleTimeout: time.Duration(n("Winrs/IdleTimeout")) * time.Millisecond,
		MaxShellsPerUser: n("Winrs/MaxShellsPerUser"), MaxProcessesPerShell: n("Winrs/MaxProcessesPerShell"),
	}
}

// session is who an account is in a remote shell, and whether it may have one:
// administrators, with all their rights if they are the built-in one or
// LocalAccountTokenFilterPolicy says so, and members of the group that is there
// for it.
func (b backend) session(user string) (l Login, ok bool) {
	policy, _ := b.m.Registry(Login{User: "SYSTEM"}).Get(systemPolicies, "LocalAccountTokenFilterPolicy")
	l = b.m.login(user, policy.Number == 1)
	b.m.read(func(st *state) { ok = l.Elevated || st.member(RemoteUsers, l.User) })
	return l, ok
}

func (b backend) MayUse(user string) bool {
	_, ok := b.session(user)
	return ok
}

func (b backend) Start(ctx context.Context, p wsman.Program) (wsman.Process, error) {
	m := b.m
	l, ok := b.session(p.User)
	if !ok {
		return nil, AccessDenied
	}
	if err := m.profile(l.User); err != nil {
		return nil, err
	}
	env := m.SessionEnv(l)
	for k, v := range p.Env {
		env = append(env, k+"="+v)
	}
	line := p.Line
	if !p.SkipCmd {
		line = System32 + `\cmd.exe /C "` + p.Line + `"`
	}
	x, err := m.Start(Launch{
		Line: line, Env: env, Dir: p.Dir, Login: l, Job: p.Job, Codepage: p.Codepage,
		Stdin: p.Stdin, Console: p.ConsoleStdin, Stdout: p.Stdout, Stderr: p.Stderr,
	})
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { m.EndJob(p.Job) })
	return shellProcess{x}, nil
}

// shellProcess is a process of a remote shell.
type shellProcess struct{ p *Process }

func (s shellProcess) Wait() int { return s.p.Wait() }
func (s shellProcess) Kill()     { s.p.KillTree(1) }
