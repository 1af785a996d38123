package builtin

import (
	"context"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/nettest"
	"github.com/imgflow/imgflow/internal/winguest"
	"github.com/imgflow/imgflow/steps/comm"
	"github.com/imgflow/imgflow/steps/provision"
)

func TestNullOptions(t *testing.T) {
	key := comm.SSH{Host: "h", Username: "u", Password: "p"}
	for _, c := range []struct {
		b    Null
		want string // of each refusal, the beginning
	}{
		{Null{SSH: key}, ""},
		{Null{Communicator: "none"}, ""},
		{Null{}, "ssh_host: must be set|there is nothing to log in with|ssh_username: must be set"},
		{Null{SSH: comm.SSH{Host: "h", Username: "u", HostKey: "console", AgentAuth: true}}, "ssh_host_key: \"console\" needs a machine that is made here"},
		{Null{Communicator: "winrm"}, "winrm_host: must be set|winrm_password: must be set|winrm_username: must be set"},
		{Null{Communicator: "telnet", Pause: -1}, "pause_before_connecting: cannot be negative|communicator: \"telnet\" is not known"},
	} {
		got, want := refusals(c.b.Check()), strings.Split(c.want, "|")
		if c.want == "" {
			want = nil
		}
		if !slices.EqualFunc(got, want, strings.HasPrefix) {
			t.Errorf("%+v: %q", c.b, got)
		}
	}
	idle := Null{SSH: key}
	idle.ClearAuthorizedKeys = true
	if errs := idle.Check(); len(errs) != 1 || !errs[0].Harmless {
		t.Errorf("%v", errs)
	}
}

// Without a communicator nothing is reached, and local scripts run.
func TestNullWithoutCommunicator(t *testing.T) {
	dir := t.TempDir()
	r := &run{t: t, dir: dir}
	local := &provision.ShellLocal{}
	local.Inline = []dag.Text{"echo here > log"}
	r.good(graph(t, &Null{Communicator: "none"}, local))
	if got := read(t, dir, "log"); got != "here\n" {
		t.Errorf("%q", got)
	}
}

// A Windows machine that is there already.
func TestNullOverWinRM(t *testing.T) {
	const password = "Secret-1"
	g, err := winguest.Open(t.TempDir(), winguest.Spec{Release: winguest.ReleaseOf("2022"), Name: "TESTER", Addr: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	ports, err := g.TakePorts(map[string]int{"winrm": freePort(t), "winrms": freePort(t)})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		g.ChangeAccount("Administrator", func(a *winguest.Account) { a.Password = password }),
		g.SetWinRM("service", map[string]string{"AllowUnencrypted": "true"}),
		g.SetWinRM("service/auth", map[string]string{"Basic": "true"}),
		g.SetFirewall("Public", false),
		g.Boot(winguest.Boot{}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	b := &Null{Communicator: "winrm"}
	b.WinRM = comm.WinRM{Host: "127.0.0.1", Port: ports["winrm"], Username: "Administrator", Password: dag.Secret(dag.Mark("pw")), Timeout: time.Minute}
	r := &run{t: t, dir: t.TempDir(), secrets: map[string]string{"pw": password}}
	script := &provision.PowerShell{}
	script.Inline = []dag.Text{`Write-Output "I am $env:COMPUTERNAME"`}
	r.good(graph(t, b, script))
	r.good(graph(t, b, script))
	if got := r.sink.texts(dag.Printed); len(got) != 1 || got[0] != "I am TESTER" {
		t.Errorf("%q", got)
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// A machine that does not answer is waited for, and nothing of it is looked up.
func TestNullThatDoesNotAnswer(t *testing.T) {
	b := &Null{SSH: comm.SSH{Host: "127.0.0.1", Port: nettest.Closed().Port, Username: "u", Password: "p", Timeout: time.Second}}
	r := &run{t: t, dir: filepath.Join(t.TempDir())}
	rep := r.solve(context.Background(), graph(t, b))
	if len(rep.Failed) != 1 || !strings.Contains(rep.Failed[0].Err.Error(), "the connection is refused") {
		t.Errorf("%+v", rep)
	}
}
