package comm

import (
	"strings"
	"testing"
	"time"
)

// idlers keeps what has no effect, and what is refused.
type idlers struct{ idle, refused []string }

func (r *idlers) Idle(field, _ string, _ ...any) { r.idle = append(r.idle, field) }
func (r *idlers) Add(field, _ string, _ ...any)  { r.refused = append(r.refused, field) }

func TestCheckUnused(t *testing.T) {
	s := SSH{Username: "u", PrivateKeyFile: "k", Timeout: time.Minute, Ciphers: []string{}, KeyName: "ours"}
	w := WinRM{Username: "u", UseSSL: true}
	for protocol, want := range map[string]string{
		"ssh":    "winrm_username winrm_use_ssl",
		"winrm":  "ssh_username ssh_timeout",
		"none":   "ssh_username ssh_timeout winrm_username winrm_use_ssl",
		"telnet": "",
	} {
		var r idlers
		if CheckUnused(&r, protocol, s, w, "ssh_private_key_file"); strings.Join(r.idle, " ") != want {
			t.Errorf("with %s: %s, want %s", protocol, r.idle, want)
		}
	}
}

// Options of a jump host, or of a proxy, want one.
func TestUnusedParts(t *testing.T) {
	var r idlers
	s := SSH{Username: "u", BastionPort: 2222, BastionAgentAuth: true, ProxyUsername: "u", ProxyPassword: "p"}
	if s.Check(&r); strings.Join(r.idle, " ") != "ssh_bastion_port ssh_bastion_agent_auth ssh_proxy_username ssh_proxy_password" || r.refused != nil {
		t.Errorf("%+v", r)
	}
	r = idlers{}
	s.BastionHost, s.BastionUsername, s.ProxyUsername, s.ProxyPassword = "jump", "u", "", ""
	if s.Check(&r); r.idle != nil || r.refused != nil {
		t.Errorf("with a jump host: %+v", r)
	}
}
