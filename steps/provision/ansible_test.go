package provision

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/sshtest"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// controlNode is this computer with Ansible, and a machine that is this computer, too.
func controlNode(t testing.TB) (*comm.Env, comm.Machine) {
	t.Helper()
	needAnsible(t)
	srv, err := sshtest.Start(t.TempDir())
	if errors.Is(err, sshtest.ErrMissing) && os.Getenv("CI") != "true" {
		t.Skip("NOT TESTED: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	host, err := os.ReadFile(filepath.Join(filepath.Dir(srv.KeyFile), "host.pub"))
	if err != nil {
		t.Fatal(err)
	}
	e := ansibleEnv(t)
	return e, comm.Machine{
		Endpoint: comm.Endpoint{Protocol: "ssh", Host: "127.0.0.1", Port: srv.Port, HostKeys: []string{string(host)}, Vars: map[string]string{"ID": "i-0abc"}},
		SSH:      comm.SSH{Username: srv.User, PrivateKeyFile: srv.KeyFile, Timeout: 20 * time.Second},
	}
}

func ansibleEnv(t testing.TB) *comm.Env {
	e := comm.NewEnv(nil)
	t.Cleanup(func() { e.Close() })
	e.Dir = t.TempDir()
	// What the modules leave in a home is the test's.
	e.Environ = append(os.Environ(), "TMPDIR="+t.TempDir(), "ANSIBLE_REMOTE_TEMP="+t.TempDir(), "ANSIBLE_PYTHON_INTERPRETER=/usr/bin/python3", "NO_COLOR=1")
	return e
}

// play does the step, as the user of a template would have it.
func play(t testing.TB, ctx context.Context, e *comm.Env, m comm.Machine, s Ansible) (*memSink, error) {
	t.Helper()
	if f := s.ResolveFiles(find(e.Dir)); len(f) > 0 {
		t.Fatal(f)
	}
	if f := s.Check(); len(f) > 0 {
		t.Fatal(f)
	}
	sink := &memSink{}
	s.On = dag.Lit(m).Take()
	s.Build = dag.Build{Name: "web", Type: "null"}
	_, err := s.Do(ctx, e, task(sink))
	return sink, err
}

const rolePlaybook = `
- hosts: all
  become: true
  gather_facts: false
  roles: [greet]
`

// role writes a playbook with a role that has a template and a handler.
func role(t testing.TB, dir string) steps.File {
	t.Helper()
	file(t, filepath.Join(dir, "roles/greet/tasks/main.yml"), `
- template: {src: motd.j2, dest: "{{ out }}/motd"}
  notify: told
- shell: echo "$GREETING" >&2
  environment: {GREETING: "{{ lookup('env', 'GREETING') }}"}
  register: said
- debug: {msg: "{{ said.stderr }} from {{ packer_build_name }} {{ packer_builder_type }} {{ group_names }}"}
`)
	file(t, filepath.Join(dir, "roles/greet/handlers/main.yml"), "- name: told\n  copy: {content: \"{{ secret }}\", dest: \"{{ out }}/told\"}\n")
	file(t, filepath.Join(dir, "roles/greet/templates/motd.j2"), "hello {{ whom }}\n")
	return file(t, filepath.Join(dir, "site.yml"), rolePlaybook)
}

func TestAnsible(t *testing.T) {
	e, m := controlNode(t)
	for name, straight := range map[string]bool{"proxy": false, "straight": true} {
		t.Run(name, func(t *testing.T) {
			out := t.TempDir()
			s := Ansible{PlaybookFile: role(t, e.Dir)}
			s.Groups = []dag.Text{"web"}
			s.ExtraArguments = []dag.Text{"--extra-vars", dag.Text("out=" + out + " whom=world secret=" + dag.Mark("key-1")), "-vvvv"}
			s.AnsibleEnvVars = []dag.Text{parsed("GREETING=hi {{ build `ID` }}")}
			if use := false; straight {
				s.UseProxy = &use
			}
			sink, err := play(t, t.Context(), e, m, s)
			if err != nil {
				t.Fatal(err, sink.printed())
			}
			if got := tree(t, out); got != "motd=hello world\n told=PRIVATE" {
				t.Errorf("made %q", got)
			}
			for _, want := range []string{"hi i-0abc from web null ['web']", "ok=4    changed=3", "is known and matches the"} {
				if !strings.Contains(sink.printed(), want) {
					t.Errorf("%q is missing from %s", want, sink.printed())
				}
			}
			if said := sink.said(dag.Said); strings.Contains(said, "PRIVATE") || !strings.Contains(said, "running ansible-playbook") {
				t.Errorf("said %q", said)
			}
			if left, _ := filepath.Glob(filepath.Join(e.TempDir(), "*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

var benchTasks = flag.Int("ansible.tasks", 20, "tasks of BenchmarkAnsible")

// BenchmarkAnsible plays tasks of plain modules through the proxy, and without it over
// OpenSSH with the defaults of Ansible; see docs/performance.md.
func BenchmarkAnsible(b *testing.B) {
	e, m := controlNode(b)
	var tasks strings.Builder
	tasks.WriteString("- hosts: all\n  gather_facts: false\n  tasks:\n")
	for i := range *benchTasks {
		fmt.Fprintf(&tasks, "  - %s\n", []string{"ping:", "command: \"true\"", "file: {path: \"{{ out }}/d\", state: directory}", "copy: {content: x, dest: \"{{ out }}/f" + fmt.Sprint(i) + "\"}"}[i%4])
	}
	playbook := file(b, filepath.Join(e.Dir, "bench.yml"), tasks.String())
	took := map[string]time.Duration{}
	n := 0
	for b.Loop() {
		n++
		for _, straight := range []bool{false, true} {
			s := Ansible{PlaybookFile: playbook}
			s.ExtraArguments = []dag.Text{"-e", dag.Text("out=" + b.TempDir())}
			name, use := "proxy", false
			if straight {
				s.UseProxy, name = &use, "straight"
			}
			begin := time.Now()
			if sink, err := play(b, b.Context(), e, m, s); err != nil {
				b.Fatal(err, sink.printed())
			}
			took[name] += time.Since(begin)
		}
	}
	for name, d := range took {
		b.ReportMetric(d.Seconds()/float64(n), "s/"+name)
	}
	b.ReportMetric(took["proxy"].Seconds()/took["straight"].Seconds(), "proxy/straight")
}

// A connection that ends in the middle is made again, and the playbook played again; one
// that the playbook always ends fails in the end.
func TestAnsibleLosesItsConnection(t *testing.T) {
	e, m := controlNode(t)
	const cut = "p=$$; while [ $(cat /proc/$p/comm) != sshd ]; do p=$(awk '/^PPid/ {print $2}' /proc/$p/status); done; kill -9 $p"
	out := t.TempDir()
	s := Ansible{PlaybookFile: file(t, filepath.Join(e.Dir, "p.yml"), `
- hosts: all
  gather_facts: false
  tasks: [{raw: "echo x >> `+out+`/plays; test $(wc -l < `+out+`/plays) -gt 1 || { `+cut+`; sleep 9; }"}]
`)}
	sink, err := play(t, t.Context(), e, m, s)
	if err != nil || tree(t, out) != "plays=x\nx" || strings.Count(sink.said(dag.Warned), "the playbook is played again (1 of 2)") != 1 {
		t.Errorf("%v, %q, %q, %s", err, tree(t, out), sink.said(dag.Warned), sink.printed())
	}
}

// What ansible-playbook is called with, by a program in its place.
func TestAnsibleCalls(t *testing.T) {
	e := ansibleEnv(t)
	show := file(t, filepath.Join(e.Dir, "show"), `#!/bin/sh
for a; do
	case $a in @*) printf '%s ' "$a"; cat "${a#@}"; echo;; *inventory) cat "$a";; *) printf '[%s]\n' "$a";; esac
done
env | grep ^ANSIBLE_S; ls -ld "$(dirname "$ANSIBLE_LOCAL_TEMP")"
exit $CODE
`)
	os.Chmod(show.Path, 0o700)
	s := Ansible{PlaybookFile: file(t, filepath.Join(e.Dir, "p.yml"), "[]"), Command: "./show", UseSFTP: true}
	s.Groups, s.EmptyGroups, s.HostAlias, s.User = []dag.Text{"g"}, []dag.Text{"none"}, "box", "me"
	s.ExtraArguments = []dag.Text{"-v", "-e", dag.Text(`{"pw": "` + dag.Mark("key-1") + `"}`), "--ssh-common-args", "-o ProxyCommand=none"}
	ssh := comm.Machine{Endpoint: comm.Endpoint{Protocol: "ssh", Host: "192.0.2.1", Port: 2222}}
	win := comm.Machine{Endpoint: comm.Endpoint{Protocol: "winrm", Host: "192.0.2.2", Port: 5986}, WinRM: comm.WinRM{Username: "Administrator", Password: dag.Secret(dag.Mark("key-1")), UseSSL: true, Insecure: true, UseNTLM: true}}
	for _, c := range []struct {
		m    comm.Machine
		want []string
		not  string
	}{
		{ssh, []string{`"packer_build_name":"web","packer_builder_type":"null"}`, `"ansible_ssh_private_key_file":"` + e.TempDir(), `{"pw": "PRIVATE"}`, "ansible_user=me", "[-v]",
			`[g]` + "\nbox ansible_host=127.0.0.1 ", "[none]", "StrictHostKeyChecking=accept-new -o ProxyCommand=none]", "[--ssh-extra-args=-o IdentitiesOnly=yes]",
			"ANSIBLE_SSH_TRANSFER_METHOD=sftp", "drwx------ ", "[" + s.PlaybookFile.Path + "]"}, "ansible_password"},
		{win, []string{"box ansible_host=192.0.2.2 ansible_port=5986 ansible_user=me ansible_connection=winrm ansible_shell_type=powershell ansible_winrm_transport=ntlm ansible_winrm_scheme=https",
			`"ansible_password":"PRIVATE"`, `"ansible_winrm_server_cert_validation":"ignore"`}, "--ssh-extra-args"},
	} {
		e.Environ = append(e.Environ, "CODE=0")
		sink, err := play(t, t.Context(), e, c.m, s)
		if err != nil {
			t.Fatal(err, sink.printed())
		}
		for _, want := range c.want {
			if !strings.Contains(sink.printed(), want) {
				t.Errorf("%q is missing from %s", want, sink.printed())
			}
		}
		if n := strings.Count(sink.printed(), "--ssh-common-args"); n != 1 {
			t.Errorf("--ssh-common-args comes %d times, of which one would count: %s", n, sink.printed())
		}
		if strings.Contains(sink.printed(), c.not) {
			t.Errorf("%q is in %s", c.not, sink.printed())
		}
	}
	e.Environ = append(e.Environ, "CODE=2")
	_, err := play(t, t.Context(), e, ssh, s)
	wantError(t, err, "exited with status 2: tasks have failed")
	s.GalaxyFile, s.GalaxyCommand, s.RolesPath = file(t, filepath.Join(e.Dir, "req.yml"), "- src: x\n"), "./show", "r"
	_, err = play(t, t.Context(), e, ssh, s)
	wantError(t, err, "cannot install what galaxy_file asks for: ./show role install exited with status 2")
}

func TestAnsibleKeepsItsInventory(t *testing.T) {
	e := ansibleEnv(t)
	at := filepath.Join(e.Dir, "inv")
	file(t, filepath.Join(at, "group_vars/all"), "x: 1\n")
	s := Ansible{PlaybookFile: file(t, filepath.Join(e.Dir, "p.yml"), "[]"), Command: "true"}
	s.InventoryDirectory, s.KeepInventoryFile = "inv", true
	s.InventoryTemplate = parsed("{{.HostAlias}} at={{.Host}}:{{.Port}} of={{.User}} id={{ build `ID` }}\n")
	m := comm.Machine{Endpoint: comm.Endpoint{Protocol: "winrm", Host: "h", Port: 1, Vars: map[string]string{"ID": "i-1"}}, WinRM: comm.WinRM{Username: "u"}}
	sink, err := play(t, t.Context(), e, m, s)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := filepath.Glob(filepath.Join(at, "imgflow-*.ini")); len(got) != 1 || !strings.Contains(sink.said(dag.Said), "the inventory stays in inv/imgflow-") {
		t.Fatalf("%v, %s", got, sink.said(dag.Said))
	} else if text, _ := os.ReadFile(got[0]); string(text) != "default at=h:1 of=u id=i-1\n" {
		t.Errorf("%q", text)
	}
}

// An edited role is an edited step; what Galaxy installs is not the user's.
func TestAnsibleKnowsWhatIsBeside(t *testing.T) {
	dir := t.TempDir()
	of := func(edit string) string {
		file(t, filepath.Join(dir, "roles/a/tasks/main.yml"), edit)
		s := Ansible{PlaybookFile: file(t, filepath.Join(dir, "p.yml"), "[]")}
		s.RolesPath = "files"
		file(t, filepath.Join(dir, "files/galaxy"), edit)
		if f := s.ResolveFiles(find(dir)); len(f) > 0 || len(s.Beside) != 1 {
			t.Fatal(f, s.Beside)
		}
		return s.Beside[0].Digest
	}
	if of("[]") == of("[debug]") {
		t.Error("an edited role is not seen")
	}
}

func TestAnsibleCheck(t *testing.T) {
	p, no := steps.File{Path: "/p"}, false
	secret := dag.Text(dag.Mark("key-1"))
	for want, s := range map[string]*Ansible{
		"":                                 {PlaybookFile: p, ExtraArguments: []dag.Text{"-e", "a=" + secret, "--extra-vars=" + secret, "-eb=" + secret, "--private-key", parsed("{{ build `SSHPrivateKeyFile` }}")}},
		"extra_arguments[1]":               {ExtraArguments: []dag.Text{"--user", secret}},
		"extra_arguments[0]":               {ExtraArguments: []dag.Text{parsed("--x={{ .WinRMPassword }}")}},
		"ansible_env_vars[0]":              {AnsibleEnvVars: []dag.Text{"x"}},
		"ansible_proxy_key_type":           {AnsibleProxyKeyType: "DSA"},
		"local_port (idle)":                {UseProxy: &no, LocalPort: 1},
		"roles_path (idle), groups (idle)": {Galaxy: Galaxy{RolesPath: "r"}, Inventory: Inventory{InventoryFile: p, Groups: []dag.Text{"g"}}},
	} {
		if got := fields(s.Check()); got != want {
			t.Errorf("option errors of %q, want %q", got, want)
		}
	}
	if f := (&Ansible{Inventory: Inventory{InventoryDirectory: "none"}}).ResolveFiles(find(t.TempDir())); fields(f) != "inventory_directory" {
		t.Errorf("%v", f)
	}
}

func TestAnsibleIsLookedFor(t *testing.T) {
	dir := t.TempDir()
	file(t, filepath.Join(dir, "ansible-playbook"), "")
	os.Chmod(filepath.Join(dir, "ansible-playbook"), 0o700)
	a := &ansibleHere{env: &comm.Env{Environ: []string{"PATH=" + dir}, Dir: dir}}
	if err := a.Prepare(t.Context()); err != nil {
		t.Error(err)
	}
	a.GalaxyFile = steps.File{Path: "/x"}
	wantError(t, a.Prepare(t.Context()), "there is no ansible-galaxy in PATH")
	a.Command = "./none"
	wantError(t, a.Prepare(t.Context()), "cannot find the program", "none")
}
