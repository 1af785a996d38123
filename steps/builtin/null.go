package builtin

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// Null reaches a machine that is there already, and has it provisioned; nothing is made or removed.
type Null struct {
	// How the machine is reached: `ssh`, `winrm`, or `none` for no machine at all. Default: `ssh`.
	Communicator string `json:"communicator,omitempty"`
	// How long to wait after the first connection, before a second one is used. Default: none.
	Pause time.Duration `json:"pause_before_connecting,omitempty"`
	comm.SSH
	comm.WinRM
}

func (b *Null) protocol() string { return cmp.Or(b.Communicator, "ssh") }

// Check reports everything that is wrong with the options by themselves.
func (b *Null) Check() []steps.OptionError {
	var f steps.OptionErrors
	if b.Pause < 0 {
		f.Add("pause_before_connecting", "cannot be negative")
	}
	switch b.protocol() {
	case "none":
	case "ssh":
		b.checkSSH(&f)
	case "winrm":
		if b.WinRM.Host == "" {
			f.Add("winrm_host", "must be set: the machine is not made here, so its address is not known")
		}
		if b.WinRM.Password == "" {
			f.Add("winrm_password", "must be set: nobody else knows the password of a machine that is not made here")
		}
		b.WinRM.Check(&f)
	default:
		f.Add("communicator", "%q is not known; use ssh, winrm or none", b.Communicator)
	}
	comm.CheckUnused(&f, b.protocol(), b.SSH, b.WinRM)
	if b.Pause > 0 && b.protocol() == "none" {
		f.Idle("pause_before_connecting", "with the communicator none nobody connects")
	}
	return f
}

func (b *Null) checkSSH(f *steps.OptionErrors) {
	if b.SSH.Host == "" {
		f.Add("ssh_host", "must be set: the machine is not made here, so its address is not known")
	}
	if b.SSH.Password == "" && b.PrivateKeyFile == "" && !b.AgentAuth {
		f.Lacks("there is nothing to log in with: set ssh_private_key_file, ssh_password or ssh_agent_auth",
			"ssh_private_key_file", "ssh_password", "ssh_agent_auth")
	}
	if slices.Contains([]string{"preset", "console"}, b.HostKey) {
		f.Add("ssh_host_key", "%q needs a machine that is made here; leave it out, and the first key that is seen counts", b.HostKey)
	}
	if b.ClearAuthorizedKeys {
		f.Idle("ssh_clear_authorized_keys", "no temporary key was put on the machine")
	}
	b.SSH.Check(f)
}

// Claims is empty: what several builds do to one machine is the user's affair.
func (*Null) Claims() []steps.Claim { return nil }

// Prepare has nothing to find out.
func (*Null) Prepare(context.Context) error { return nil }

// Wire adds the steps of the build. It has no artifact; its goal is that the machine
// is provisioned.
func (b *Null) Wire(g *dag.Graph, build dag.Build, provision func(dag.Out[comm.Machine]) dag.Out[comm.Machine]) steps.Made {
	there := Machine{Build: build.Own(), Protocol: b.protocol()}
	connect := comm.Connect{Pause: b.Pause}
	switch there.Protocol {
	case "ssh":
		there.Host, there.Port = b.SSH.Host, cmp.Or(b.SSH.Port, 22)
		connect.SSH = b.SSH
	case "winrm":
		port := 5985
		if b.UseSSL {
			port = 5986
		}
		there.Host, there.Port = b.WinRM.Host, cmp.Or(b.WinRM.Port, port)
		connect.WinRM = b.WinRM
	}
	connect.To = dag.As[comm.Endpoint](dag.Add(g, build, "machine", there)).Take()
	m := provision(dag.Add(g, build, "connect", connect))
	dag.Goal(g, m)
	return steps.Made{Product: func() dag.Out[steps.Product] { return dag.Add(g, build, "product", Product{Machine: m}) }}
}
