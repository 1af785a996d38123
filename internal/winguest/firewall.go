package winguest

import (
	"slices"
	"strconv"
	"strings"
)

// Rule is a rule of the firewall. Of those, only the ones that concern TCP ports
// of WinRM's listeners have an effect: what nothing listens on is closed anyway.
type Rule struct {
	Name       string `json:"name"`    // of its own: WINRM-HTTP-In-TCP
	Display    string `json:"display"` // what netsh calls name
	Group      string `json:"group,omitempty"`
	Comment    string `json:"comment,omitempty"`
	Enabled    bool   `json:"enabled"`
	Out        bool   `json:"out,omitempty"`
	Block      bool   `json:"block,omitempty"`
	Protocol   string `json:"protocol"`              // TCP, UDP, Any, ICMPv4 ...
	LocalPort  string `json:"local_port,omitempty"`  // Any, 80, 80,443, 5000-5010
	RemotePort string `json:"remote_port,omitempty"` // likewise
	LocalAddr  string `json:"local_addr,omitempty"`  // Any or addresses
	RemoteAddr string `json:"remote_addr,omitempty"` // Any, LocalSubnet or addresses
	Profile    string `json:"profile,omitempty"`     // Any, or of Domain, Private, Public
	Program    string `json:"program,omitempty"`
}

const winrmGroup = "Windows Remote Management"

func newRules() []*Rule {
	rule := func(name, display, group, port, remote, profile string, on bool) *Rule {
		return &Rule{Name: name, Display: display, Group: group, Enabled: on, Protocol: "TCP", LocalPort: port, RemotePort: "Any", LocalAddr: "Any", RemoteAddr: remote, Profile: profile}
	}
	return []*Rule{
		rule("WINRM-HTTP-In-TCP", "Windows Remote Management (HTTP-In)", winrmGroup, "5985", "Any", "Domain,Private", true),
		rule("WINRM-HTTP-In-TCP-PUBLIC", "Windows Remote Management (HTTP-In)", winrmGroup, "5985", "LocalSubnet", "Public", true),
		rule("WINRM-HTTP-Compat-In-TCP", "Windows Remote Management - Compatibility Mode (HTTP-In)", "Windows Remote Management (Compatibility)", "80", "Any", "Any", false),
		rule("RemoteDesktop-UserMode-In-TCP", "Remote Desktop - User Mode (TCP-In)", "Remote Desktop", "3389", "Any", "Any", true),
		rule("FPS-SMB-In-TCP", "File and Printer Sharing (SMB-In)", "File and Printer Sharing", "445", "LocalSubnet", "Private", false),
	}
}

// FirewallRules are all rules, in the order in which they were made.
func (m *Machine) FirewallRules() (list []Rule) {
	m.read(func(st *state) {
		for _, r := range st.Rules {
			list = append(list, *r)
		}
	})
	return list
}

// AddFirewallRule makes a rule. A name that another has is AlreadyExists.
func (m *Machine) AddFirewallRule(r Rule) error {
	if r.LocalPort != "" && !portsOK(r.LocalPort) {
		return InvalidParameter
	}
	err := m.change(func(st *state) error {
		if slices.ContainsFunc(st.Rules, func(o *Rule) bool { return strings.EqualFold(o.Name, r.Name) }) {
			return AlreadyExists
		}
		st.Rules = append(st.Rules, &r)
		return nil
	})
	m.listen()
	return err
}

// ChangeFirewallRules changes those that which chooses by what f does to them,
// and tells how many these were. A nil f removes them.
func (m *Machine) ChangeFirewallRules(which func(Rule) bool, f func(*Rule)) (n int, err error) {
	err = m.change(func(st *state) error {
		var kept []*Rule
		for _, r := range st.Rules {
			if !which(*r) {
				kept = append(kept, r)
				continue
			}
			n++
			if f == nil {
				continue
			}
			c := *r
			f(&c)
			if !portsOK(c.LocalPort) {
				return InvalidParameter
			}
			kept = append(kept, &c)
		}
		st.Rules = kept
		return nil
	})
	m.listen()
	return n, err
}

// SetFirewall turns the firewall of a profile (Domain, Private, Public) on or off.
func (m *Machine) SetFirewall(profile string, on bool) error {
	err := m.change(func(st *state) error {
		st.FirewallOff = slices.DeleteFunc(st.FirewallOff, func(p string) bool { return strings.EqualFold(p, profile) })
		if !on {
			st.FirewallOff = append(st.FirewallOff, profile)
		}
		return nil
	})
	m.listen()
	return err
}

// FirewallOn tells whether the firewall of a profile is on.
func (m *Machine) FirewallOn(profile string) (on bool) {
	m.read(func(st *state) { on = st.firewallOn(profile) })
	return on
}

func (st *state) firewallOn(profile string) bool {
	return !slices.ContainsFunc(st.FirewallOff, func(p string) bool { return strings.EqualFold(p, profile) })
}

// networkProfiles are the sorts of networks.
var networkProfiles = []string{"Domain", "Private", "Public"}

// NetworkCategory is the profile of the machine's only network: Public, as in
// EC2, unless it was changed.
func (m *Machine) NetworkCategory() (profile string) {
	m.read(func(st *state) { profile = st.network() })
	return profile
}

func (st *state) network() string {
	if st.Network == "" {
		return "Public"
	}
	return st.Network
}

// SetNetworkCategory makes the network Private or Public.
func (m *Machine) SetNetworkCategory(profile string) error {
	for _, p := range networkProfiles[1:] {
		if strings.EqualFold(p, profile) {
			err := m.change(func(st *state) error {
				st.Network = p
				return nil
			})
			m.listen()
			return err
		}
	}
	return InvalidParameter
}

// admits tells whether a connection from anywhere to a TCP port gets through.
// The builder is never in the machine's own subnet, as it would not be in EC2.
func (st *state) admits(port int) bool {
	if !st.firewallOn(st.network()) {
		return true
	}
	allowed := false
	for _, r := range st.Rules {
		if !r.Enabled || r.Out || !r.concerns(st.network(), port) {
			continue
		}
		if r.Block {
			return false
		}
		allowed = true
	}
	return allowed
}

func (r *Rule) concerns(network string, port int) bool {
	tcp := strings.EqualFold(r.Protocol, "TCP") || r.Protocol == "6" || strings.EqualFold(r.Protocol, "Any")
	here := anything(r.Profile) || slices.ContainsFunc(strings.Split(r.Profile, ","), func(p string) bool { return strings.EqualFold(strings.TrimSpace(p), network) })
	system := anything(r.Program) || strings.EqualFold(r.Program, "System") // WinRM listens in the kernel
	return tcp && here && system && anything(r.LocalAddr) && anything(r.RemoteAddr) && inPorts(r.LocalPort, port)
}

func anything(s string) bool {
	return s == "" || strings.EqualFold(s, "Any") || s == "*" || s == "0.0.0.0/0"
}

func inPorts(list string, port int) bool {
	if anything(list) {
		return true
	}
	for _, s := range strings.Split(list, ",") {
		lo, hi, ranged := strings.Cut(strings.TrimSpace(s), "-")
		if !ranged {
			hi = lo
		}
		l, err1 := strconv.Atoi(lo)
		h, err2 := strconv.Atoi(hi)
		if err1 == nil && err2 == nil && l <= port && port <= h {
			return true
		}
	}
	return false
}

func portsOK(list string) bool {
	if anything(list) {
		return true
	}
	for _, s := range strings.Split(list, ",") {
		switch strings.ToUpper(strings.TrimSpace(s)) {
		case "RPC", "RPC-EPMAP", "RPCEPMAP", "IPHTTPS", "TEREDO":
			continue
		}
		lo, hi, ranged := strings.Cut(strings.TrimSpace(s), "-")
		if !ranged {
			hi = lo
		}
		l, err1 := strconv.Atoi(lo)
		h, err2 := strconv.Atoi(hi)
		if err1 != nil || err2 != nil || l < 0 || h > 65535 || l > h {
			return false
		}
	}
	return true
}
