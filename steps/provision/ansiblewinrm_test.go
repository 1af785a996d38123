package provision

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
)

// needAnsible skips where Ansible, or what it needs besides, is missing.
func needAnsible(t testing.TB, more ...string) {
	t.Helper()
	_, err := exec.LookPath("ansible-playbook")
	for _, module := range more {
		if err == nil {
			err = exec.Command("/usr/bin/python3", "-c", "import "+module).Run()
		}
	}
	if err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("Ansible is missing, or %v: %v", more, err)
	}
	t.Skipf("NOT TESTED: Ansible is missing, or %v", more)
}

// Ansible reaches a Windows machine by pywinrm with our login. Its modules need more of
// .NET than the machine of these tests has; raw takes the same way.
func TestAnsibleOverWinRM(t *testing.T) {
	needAnsible(t, "winrm")
	g := newGuest(t)
	e := ansibleEnv(t)
	g.env.Environ, g.env.Dir = e.Environ, e.Dir
	s := Ansible{PlaybookFile: file(t, filepath.Join(e.Dir, "p.yml"), `
- hosts: all
  gather_facts: false
  tasks:
  - raw: "Write-Output \"$env:COMPUTERNAME and 6*7 is $(6*7)\""
    register: said
  - debug: {var: said.stdout_lines}
`)}
	sink, err := play(t, t.Context(), g.env, g.m, s)
	if err != nil || !strings.Contains(sink.printed(), "TESTER and 6*7 is 42") {
		t.Errorf("%v, %s", err, sink.printed())
	}
	if said := sink.said(dag.Said); strings.Contains(said, "w0rd") {
		t.Errorf("the password is shown: %s", said)
	}
}
