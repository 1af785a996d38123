package provision

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// inspecSays is an InSpec that tells how it was called and what it was given, and looks at the machine if
// it has a key.
const inspecSays = `for a; do case $a in */key) a=KEY; esac; printf '[%s]' "$a"; done; echo
env | grep -E '^(PACKER_BUILD|CHEF)' | sort
while [ $# -gt 0 ]; do
	case $1 in
	--port) port=$2;;
	--user) user=$2;;
	--config) ls -l "$2" | cut -c1-10; cat "$2"; echo;;
	--key-files) ls -l "$2" | cut -c1-10; key=$2;;
	*.yml) ls -l "$1" | cut -c1-10; cat "$1";;
	esac
	shift
done
[ -z "$key" ] || ssh -F none -i "$key" -p $port -o IdentitiesOnly=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR $user@127.0.0.1 "$LOOK"
exit ${CODE:-0}`

// inspecEnv are a computer that has such an InSpec, and a machine.
func inspecEnv(t testing.TB) (*comm.Env, comm.Machine) {
	t.Helper()
	e, m := machine(t)
	e.Dir = t.TempDir()
	e.Environ = []string{"TMPDIR=" + t.TempDir(), "PATH=" + standIn(t, "inspec", inspecSays) + ":" + os.Getenv("PATH"), "USER=me", "LOOK=echo machine: $((6*7))"}
	return e, m
}

// inspect does the step, as the user of a template would have it.
func inspect(t testing.TB, ctx context.Context, e *comm.Env, k *dag.Task, m comm.Machine, s InSpec) error {
	t.Helper()
	if f := s.ResolveFiles(find(e.Dir)); len(f) > 0 {
		t.Fatal(f)
	}
	if f := s.Check(); len(f) > 0 {
		t.Fatal(f)
	}
	s.On, s.Build = dag.Lit(m).Take(), dag.Build{Name: "web", Type: "null"}
	_, err := s.Do(ctx, e, k)
	return err
}

func TestInSpec(t *testing.T) {
	e, m := inspecEnv(t)
	file(t, filepath.Join(e.Dir, "base/inspec.yml"), "name: base\n")
	os.Mkdir(filepath.Join(e.Dir, "inputs"), 0o755)
	s := InSpec{Profile: "base", AttributesDirectory: "inputs", Attributes: []steps.File{file(t, filepath.Join(e.Dir, "in.yml"), "port: 80\n")},
		InspecEnvVars: []dag.Text{"CHEF_LICENSE=accept", "CHEF_TOKEN=" + dag.Text(dag.Mark("key-1"))}, ExtraArguments: []dag.Text{"--sudo", parsed("--tags={{ build `ID` }}")}}
	sink := &memSink{}
	if err := inspect(t, t.Context(), e, task(sink), m, s); err != nil {
		t.Fatal(err, sink.printed())
	}
	args, rest, _ := strings.Cut(sink.printed(), "\n")
	head, tail, _ := strings.Cut(args, "[--port]")
	port, tail, _ := strings.Cut(tail, "[--user]")
	inputs := e.Dir + "/inputs/imgflow-"
	if head != "[exec]["+e.Dir+"/base][--backend][ssh][--host][127.0.0.1]" || port == "[22]" ||
		!strings.HasPrefix(tail, "[me][--key-files][KEY][--no-create-lockfile][--input-file]["+e.Dir+"/in.yml]["+inputs) || !strings.HasSuffix(tail, ".yml][--sudo][--tags=i-0abc]") {
		t.Errorf("called with %s", args)
	}
	const want = `CHEF_LICENSE=accept
CHEF_TOKEN=PRIVATE
PACKER_BUILDER_TYPE=null
PACKER_BUILD_NAME=web
-rw-------
-rw-r--r--
port: 80
-rw-------
{"packer_build_name":"web","packer_builder_type":"null"}
machine: 42
`
	if rest != want {
		t.Errorf("it was given\n%s", rest)
	}
	if said := sink.said(dag.Said); strings.Contains(said, "PRIVATE") || !strings.Contains(said, "running inspec exec ") {
		t.Errorf("said %q", said)
	}
	for _, dir := range []string{e.TempDir(), e.Dir + "/inputs"} {
		if left, _ := filepath.Glob(dir + "/*"); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}

	// What is not a directory here needs no protection from what InSpec writes into one.
	s = InSpec{Profile: "https://example.org/profile.tar.gz", Host: "gateway", User: "you", ExtraArguments: []dag.Text{"-l"}}
	sink = &memSink{}
	inspect(t, t.Context(), e, task(sink), m, s)
	if got := sink.printed(); !strings.HasPrefix(got, "[exec][https://example.org/profile.tar.gz][--backend][ssh][--host][gateway][--port][") ||
		!strings.Contains(got, "][--user][you][--key-files][KEY][--input-file][") || !strings.Contains(got, "machine: 42") {
		t.Errorf("printed %s", got)
	}
}

// TestInSpecEnds: what its exit status means.
func TestInSpecEnds(t *testing.T) {
	e, m := inspecEnv(t)
	environ := e.Environ
	for _, c := range []struct {
		code, want string
		valid      []int
	}{
		{"101", "", nil}, {"100", "", []int{100}},
		{"100", "inspec exited with status 100: tests have failed", nil},
		{"101", "inspec exited with status 101: tests were skipped", []int{0}},
		{"172", "CHEF_LICENSE=accept", nil}, {"1", "could not run the profile", nil}, {"7", "its output says why", nil},
	} {
		e.Environ = append(environ, "CODE="+c.code)
		err := inspect(t, t.Context(), e, task(nil), m, InSpec{Profile: "https://example.org/x", ValidExitCodes: c.valid})
		if c.want != "" {
			wantError(t, err, c.want)
		} else if err != nil {
			t.Errorf("status %s: %v", c.code, err)
		}
	}
}

// TestInSpecOverWinRM: the password stands in a private file, and in no argument.
func TestInSpecOverWinRM(t *testing.T) {
	e, _ := inspecEnv(t)
	m := winMachine()
	for _, c := range []struct {
		with                 func(o *comm.WinRM)
		host, args, password string
	}{
		{func(*comm.WinRM) {}, "", "[--host][h][--port][5985][--user][Administrator][--config]", `{"password":"PRIVATE"}`},
		{func(o *comm.WinRM) { o.UseSSL, o.Insecure = true, true }, "gw", "[--host][gw][--port][5985][--user][Administrator][--ssl][--self-signed][--config]", `{"password":"PRIVATE"}`},
		{func(o *comm.WinRM) { o.UseSSL, o.CAFile = true, "/ca.pem" }, "", "[--host][h][--port][5985][--user][Administrator][--ssl][--config]", `{"ca_trust_file":"/ca.pem","password":"PRIVATE"}`},
	} {
		with, sink := m, &memSink{}
		c.with(&with.WinRM)
		if err := inspect(t, t.Context(), e, task(sink), with, InSpec{Profile: "https://example.org/x", Backend: "winrm", Host: dag.Text(c.host)}); err != nil {
			t.Fatal(err)
		}
		args, rest, _ := strings.Cut(sink.printed(), "\n")
		if !strings.HasPrefix(args, "[exec][https://example.org/x][--backend][winrm]"+c.args) || strings.Contains(args, "PRIVATE") ||
			!strings.Contains(rest, "-rw-------\n"+`{"cli_options":`+c.password+`,"version":"1.1"}`) {
			t.Errorf("%s\n%s", args, rest)
		}
		if left, _ := filepath.Glob(e.TempDir() + "/*"); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}

// TestInSpecLosesItsConnection: what was seen until then proves nothing, and it looks again; a profile that
// always ends its own connection fails.
func TestInSpecLosesItsConnection(t *testing.T) {
	e, m := inspecEnv(t)
	const cut = `p=$$; while [ $(cat /proc/$p/comm) != sshd ]; do p=$(awk '/^PPid/ {print $2}' /proc/$p/status); done; kill -9 $p; sleep 9`
	out := t.TempDir() + "/looks"
	e.Environ = append(e.Environ, "CODE=100", "LOOK=echo x >>"+out+"; [ $(wc -l <"+out+") -gt 1 ] || { "+cut+"; }")
	sink := &memSink{}
	s := InSpec{Profile: "https://example.org/x", ValidExitCodes: []int{100}}
	if err := inspect(t, t.Context(), e, task(sink), m, s); err != nil || text(t, out) != "x\nx\n" || !strings.Contains(sink.said(dag.Warned), "the profile is run again (1 of 2)") {
		t.Errorf("%v, looked %q, warned %q", err, text(t, out), sink.said(dag.Warned))
	}
	e.Environ = append(e.Environ, "LOOK="+cut)
	wantError(t, inspect(t, t.Context(), e, task(nil), m, s), "inspec exited with status 100")
}

// TestInSpecAgain: what was interrupted is run again on the same machine.
func TestInSpecAgain(t *testing.T) {
	e, m := inspecEnv(t)
	e.Environ = append(e.Environ, "LOOK=echo begun; sleep 60")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	sink := &memSink{on: func(ev dag.Event) {
		if ev.Text == "begun" {
			cancel()
		}
	}}
	first, s := task(sink), InSpec{Profile: "https://example.org/x"}
	if err := inspect(t, ctx, e, first, m, s); err != context.Canceled {
		t.Fatalf("suspended: %v", err)
	}
	e.Environ = append(e.Environ, "LOOK=echo well")
	if err := inspect(t, t.Context(), e, again(first, sink), m, s); err != nil || !strings.HasSuffix(sink.printed(), "\nwell\n") || !strings.Contains(sink.said(dag.Said), "it is run again, since it only looks") {
		t.Errorf("%v, printed %q", err, sink.printed())
	}
}

// TestInSpecKnowsItsProfile: an edited profile is an edited step; what changes in the middle is refused.
func TestInSpecKnowsItsProfile(t *testing.T) {
	dir := t.TempDir()
	key := func(edit string, change func(*InSpec)) dag.Key {
		file(t, filepath.Join(dir, "base/controls/a.rb"), edit)
		s := &InSpec{Profile: "base"}
		change(s)
		if f := s.ResolveFiles(find(dir)); len(f) > 0 {
			t.Fatal(f)
		}
		return s.Add(dag.NewGraph(func(string) string { return "" }), dag.Build{Name: "web"}, "inspec", dag.Lit(comm.Machine{})).Key()
	}
	base := key("a", func(*InSpec) {})
	if key("b", func(*InSpec) {}) == base {
		t.Error("an edited profile is not seen")
	}
	if key("a", func(s *InSpec) { s.Attributes = []steps.File{file(t, filepath.Join(dir, "in.yml"), "x: 1")} }) == base {
		t.Error("a file of inputs is not seen")
	}
	if key("a", func(s *InSpec) { s.LocalPort, s.Command, s.AttributesDirectory = 1, "x", "base" }) != base {
		t.Error("how it is called here is part of the key")
	}
	e, m := inspecEnv(t)
	profile := directory(t, map[string]string{"a.rb": "a"})
	file(t, profile.Path+"/a.rb", "b")
	s := InSpec{Local: profile, On: dag.Lit(m).Take()}
	_, err := s.Do(t.Context(), e, task(nil))
	wantError(t, err, "it has changed since the run was planned")
}

func TestInSpecCheck(t *testing.T) {
	some, secret := steps.File{Path: "/p"}, dag.Text(dag.Mark("key-1"))
	for want, s := range map[string]*InSpec{
		"":                    {Local: some, InspecEnvVars: []dag.Text{"A=" + secret}},
		"profile":             {},
		"backend":             {Local: some, Backend: "docker"},
		"extra_arguments[1]":  {Local: some, ExtraArguments: []dag.Text{"--password", secret}},
		"extra_arguments[0]":  {Local: some, ExtraArguments: []dag.Text{parsed("--password={{ .WinRMPassword }}")}},
		"inspec_env_vars[0]":  {Local: some, InspecEnvVars: []dag.Text{"A"}},
		"valid_exit_codes[1]": {Local: some, ValidExitCodes: []int{0, 256}},
		"local_port (idle)":   {Local: some, Backend: "winrm", LocalPort: 1},
	} {
		if got := fields(s.Check()); got != want {
			t.Errorf("option errors of %q, want %q: %v", got, want, s.Check())
		}
	}
	if got := fields((&InSpec{Profile: "https://" + dag.Mark("x") + "@example.org/x"}).Check()); got != "profile" {
		t.Errorf("of a secret in the address: %q", got)
	}
	s := &InSpec{Profile: "nowhere", AttributesDirectory: "none"}
	if got := fields(s.ResolveFiles(find(t.TempDir()))); got != "attributes_directory, profile" {
		t.Errorf("of files: %q", got)
	}
	for profile, local := range map[string]bool{"git@github.com:a/b": false, "supermarket://a/b": false, "https://x": false, "a@b": true} {
		s := &InSpec{Profile: profile}
		if f := s.ResolveFiles(find(t.TempDir())); len(f) > 0 != local {
			t.Errorf("%s is looked for: %v", profile, len(f) > 0)
		}
	}
	if got := strings.Join((&InSpec{Backend: "winrm"}).Communicators(), " "); got != "winrm" {
		t.Errorf("communicators of winrm: %s", got)
	}
}

func TestInSpecIsLookedFor(t *testing.T) {
	e, _ := inspecEnv(t)
	a := &inspecHere{env: e}
	if err := a.Prepare(t.Context()); err != nil {
		t.Error(err)
	}
	a.Command = "inspec-of-nobody"
	wantError(t, a.Prepare(t.Context()), "there is no inspec-of-nobody in PATH: install Chef InSpec")
}
