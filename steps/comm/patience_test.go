package comm

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/internal/nettest"
)

// A user's timeout is the timeout, whoever on the way stays silent.
func TestSilent(t *testing.T) {
	s := sshd(t, "dash")
	port := nettest.Silent(t, "tcp", "127.0.0.1:0").(*net.TCPAddr).Port
	const patience = 2 * time.Second
	base := Machine{Endpoint: Endpoint{Protocol: "ssh", Host: "127.0.0.1", Port: port}, SSH: SSH{Username: user(), PrivateKeyFile: s.key, Timeout: patience}}
	for name, f := range map[string]func(m *Machine){
		"machine":                func(m *Machine) {},
		"machine, with attempts": func(m *Machine) { m.SSH.HandshakeAttempts = 3 },
		"bastion": func(m *Machine) {
			m.Port, m.SSH.BastionHost, m.SSH.BastionPort, m.SSH.BastionUsername = s.port, "127.0.0.1", port, user()
		},
		"machine behind a bastion": func(m *Machine) {
			m.SSH.BastionHost, m.SSH.BastionPort, m.SSH.BastionUsername = "127.0.0.1", s.port, user()
		},
		"proxy": func(m *Machine) { m.Port, m.SSH.ProxyHost, m.SSH.ProxyPort = s.port, "127.0.0.1", port },
		"winrm": func(m *Machine) {
			m.Protocol, m.WinRM = "winrm", WinRM{Username: "u", Password: "x", Timeout: patience}
		},
		"winrm over TLS": func(m *Machine) {
			m.Protocol, m.WinRM = "winrm", WinRM{Username: "u", Password: "x", Timeout: patience, UseSSL: true, Insecure: true}
		},
		"winrm with NTLM": func(m *Machine) {
			m.Protocol, m.WinRM = "winrm", WinRM{Username: "u", Password: "x", Timeout: patience, UseNTLM: true}
		},
	} {
		for _, first := range []bool{true, false} {
			if !first && strings.HasPrefix(name, "winrm") {
				continue // a command that is asked for may take the machine 20 s
			}
			t.Run(fmt.Sprintf("%s, first %v", name, first), func(t *testing.T) {
				m := base
				f(&m)
				l := newLab(t, m)
				ctx, cancel := context.WithTimeout(t.Context(), 10*patience) // far below a handshake's minute
				defer cancel()
				var err error
				if first {
					_, err = Connect{To: dag.Lit(m.Endpoint).Take(), SSH: m.SSH, WinRM: m.WinRM}.Do(ctx, l.env, l.task)
				} else {
					_, _, err = l.remote.Exec(ctx, "exit 0", nil)
				}
				if ctx.Err() != nil || err == nil || !strings.Contains(err.Error(), "within 2s") || errcode.Of(err) != errcode.ConnectTimeout {
					t.Error(err)
				}
			})
		}
	}
}

// An agent that hangs is not waited for without an end.
func TestSilentAgent(t *testing.T) {
	s := sshd(t, "dash")
	path := filepath.Join(t.TempDir(), "agent")
	nettest.Silent(t, "unix", path)
	defer func(d time.Duration) { agentTimeout = d }(agentTimeout)
	agentTimeout = time.Second
	m := s.machine()
	m.SSH.PrivateKeyFile, m.SSH.AgentAuth = "", true
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, _, err := newLab(t, m).asking(path).remote.Exec(ctx, "exit 0", nil); err == nil || !strings.Contains(err.Error(), "cannot read the keys of the SSH agent") {
		t.Error(err)
	}
}
