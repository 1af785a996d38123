package provision

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// winMachine is a Windows machine as steps know it.
func winMachine() comm.Machine {
	return comm.Machine{
		Endpoint: comm.Endpoint{Protocol: "winrm", Host: "h", Port: 5985, Vars: map[string]string{"ID": "i-0abc"}},
		WinRM:    comm.WinRM{Username: "Administrator", Password: dag.Secret(dag.Mark("key-1"))},
	}
}

// fakeWindows is a Windows machine whose behaviour a test scripts.
type fakeWindows struct {
	comm.Windows
	run      func(ctx context.Context, j comm.Job) (comm.Exit, error)
	power    func(ctx context.Context, script string, args, result any) error
	exec     func(command string) (comm.Exit, error)
	ran      []comm.Job
	uploaded map[string]string
	removed  []string
	canceled []string
	stopped  bool // it answers nothing but runs
}

func (r *fakeWindows) Run(ctx context.Context, j comm.Job) (comm.Exit, error) {
	r.ran = append(r.ran, j)
	return r.run(ctx, j)
}

func (r *fakeWindows) Cancel(_ context.Context, j comm.Job) error {
	r.canceled = append(r.canceled, j.Token)
	return nil
}

func (r *fakeWindows) Upload(_ context.Context, path string, from io.Reader, size int64, _ fs.FileMode) error {
	if r.stopped {
		_, err := is(comm.Stopped)(nil, comm.Job{})
		return err
	}
	b, err := io.ReadAll(from)
	if r.uploaded == nil {
		r.uploaded = map[string]string{}
	}
	r.uploaded[path] = string(b)
	return err
}

func (r *fakeWindows) UploadDir(ctx context.Context, dst, src string) error {
	return r.Upload(ctx, dst+"/", strings.NewReader(src), -1, 0)
}

func (r *fakeWindows) PowerShell(ctx context.Context, script string, args, result any) error {
	if script == psRemove {
		paths := args.(map[string]any)["paths"].([]string)
		r.removed = append(r.removed, paths...)
		return nil
	}
	return r.power(ctx, script, args, result)
}

func (r *fakeWindows) Exec(_ context.Context, command string, _ io.Reader) ([]byte, comm.Exit, error) {
	if r.stopped {
		x, err := is(comm.Stopped)(nil, comm.Job{})
		return nil, x, err
	}
	if command == "ver" {
		return nil, comm.Exit{}, nil
	}
	x, err := r.exec(command)
	return nil, x, err
}

// runs has a provisioner's scripts run by the fake, and gives back its jobs.
func runs(t *testing.T, r *fakeWindows, s interface {
	run(ctx context.Context, r comm.Windows, v values, try int) error
}) ([]comm.Job, error) {
	t.Helper()
	if r.run == nil {
		r.run = exits(0)
	}
	err := s.run(t.Context(), r, values{task(&memSink{}), winMachine(), ""}, 0)
	return r.ran, err
}

func inline(lines ...dag.Text) Scripts { return Scripts{Inline: lines} }

// What begins at another step's machine must not begin at all.
func TestTheOtherKindOfMachine(t *testing.T) {
	e := comm.NewEnv(nil)
	defer e.Close()
	linux := comm.Machine{Endpoint: comm.Endpoint{Protocol: "ssh", Host: "h", Port: 22}}
	_, err := Shell{On: dag.Lit(winMachine()).Take()}.Do(t.Context(), e, task(nil))
	wantError(t, err, "Windows", "powershell", "windows-shell")
	_, err = PowerShell{On: dag.Lit(linux).Take()}.Do(t.Context(), e, task(nil))
	wantError(t, err, "winrm")
	_, err = WindowsShell{On: dag.Lit(linux).Take()}.Do(t.Context(), e, task(nil))
	wantError(t, err, "winrm")
	_, err = WindowsRestart{On: dag.Lit(linux).Take()}.Do(t.Context(), e, task(nil))
	wantError(t, err, "winrm")
}

func TestBuildValuesOfWindows(t *testing.T) {
	v := values{task(nil), winMachine(), ""}
	for name, want := range map[string]string{"Password": "PRIVATE", "WinRMPassword": "PRIVATE", "User": "Administrator", "ConnType": "winrm", "Port": "5985", "SSHPrivateKey": ""} {
		if got, err := v.of().Value(name); err != nil || got != want {
			t.Errorf("%s is %q, want %q, %v", name, got, want, err)
		}
	}
}

// TestBuildValuesAsFields: templates of old write them so.
func TestBuildValuesAsFields(t *testing.T) {
	v := values{task(nil), winMachine(), ""}
	text := parsed("{{ .WinRMPassword }} {{ .User }} {{ .Path }} {{ if $.ID }}{{ build `ID` }}{{ end }}")
	if got, err := v.render("inline", text, map[string]any{"Path": "p", "User": "own"}); err != nil || got != "PRIVATE own p i-0abc" {
		t.Errorf("%q, %v", got, err)
	}
	_, err := v.render("inline", parsed("{{ .WinRMPasword }}"), nil)
	wantError(t, err, "cannot evaluate inline", `did you mean "WinRMPassword"?`)
}

// TestWindowsEnvironment: names that differ by case alone are one variable there.
func TestWindowsEnvironment(t *testing.T) {
	s := Scripts{EnvironmentVars: []dag.Text{"Path=1", "PATH=2", "b=x"}, Env: map[string]dag.Text{"B": "3", "packer_build_name": "mine"}}
	env, err := s.environ(values{task(nil), winMachine(), ""}, dag.Build{Name: "web", Type: "amazon-ebs"}, true)
	if err != nil {
		t.Fatal(err)
	}
	want := [][2]string{{"B", "3"}, {"PACKER_BUILDER_TYPE", "amazon-ebs"}, {"packer_build_name", "mine"}, {"PATH", "2"}}
	if !slices.Equal(env, want) {
		t.Errorf("%v, want %v", env, want)
	}
}

// TestWindowsExits covers what a run can come to.
func TestWindowsExits(t *testing.T) {
	lost := func(context.Context, comm.Job) (comm.Exit, error) { return comm.Exit{}, &comm.LostError{Why: "gone"} }
	rebooted := func(context.Context, comm.Job) (comm.Exit, error) { return comm.Exit{Rebooted: true}, nil }
	for _, c := range []struct {
		name  string
		codes []int
		run   func(context.Context, comm.Job) (comm.Exit, error)
		want  []string // what the error says; nil: none
	}{
		{"zero", nil, exits(0), nil},
		{"one", nil, exits(1), []string{"exited with status 1: the inline script"}},
		{"accepted", []int{0, 3010}, exits(3010), nil},
		{"not accepted any more", []int{3010}, exits(0), []string{"status 0"}},
		{"accepted without a sign", []int{0xC0000005}, exits(-1073741819), nil},
		{"accepted with a sign", []int{-1073741819}, exits(-1073741819), nil},
		{"a crash", nil, exits(-1073741819), []string{"-1073741819 (0xC0000005)"}},
		{"a restart", nil, rebooted, []string{"the machine rebooted while the inline script ran", "windows-restart", "2300218"}},
		{"a wanted restart", []int{0, lostCode}, rebooted, nil},
		{"a wanted restart, by the number of WinRM", []int{0, 16001}, rebooted, nil},
		{"lost", nil, lost, []string{"cannot tell how the inline script ended", "gone"}},
		{"wanted to be lost", []int{0, lostCode}, lost, nil},
		{"stops", []int{0, lostCode}, is(comm.Stopped), nil},
		{"stops, not expected", nil, is(comm.Stopped), []string{"it is stopped (by itself)", "accept 2300218"}},
		{"is terminated", []int{0, lostCode}, is(comm.Terminated), []string{"it is terminated (by itself)"}},
	} {
		s := PowerShell{Scripts: inline("x")}
		s.ValidExitCodes = c.codes
		if f := s.Check(); len(f) > 0 {
			t.Errorf("%s: %v", c.name, f)
		}
		_, err := runs(t, &fakeWindows{run: c.run}, s)
		if c.want == nil && err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if c.want != nil {
			wantError(t, err, c.want...)
		}
	}
}

// A token names one script of one try for good: what was interrupted goes on.
func TestWindowsTokens(t *testing.T) {
	dir := t.TempDir()
	s := PowerShell{}
	s.Scripts.Scripts = []steps.File{file(t, dir+"/a.ps1", "a"), file(t, dir+"/b.ps1", "b")}
	sink := &memSink{}
	one := task(sink)
	seen := map[string]bool{}
	do := func(tk *dag.Task, try int) []string {
		r := &fakeWindows{run: exits(0)}
		if err := s.run(t.Context(), r, values{tk, winMachine(), ""}, try); err != nil {
			t.Fatal(err)
		}
		var tokens []string
		for _, j := range r.ran {
			tokens = append(tokens, j.Token)
		}
		return tokens
	}
	first := do(one, 0)
	for _, token := range slices.Concat(first, do(one, 1)) {
		if seen[token] || !strings.HasPrefix(token, one.Token+"-") {
			t.Errorf("the token %s", token)
		}
		seen[token] = true
	}
	if next := do(again(one, sink), 0); !slices.Equal(first, next) {
		t.Errorf("after an interruption %v, before %v", next, first)
	}
}

func TestWindowsTimeoutStopsTheScript(t *testing.T) {
	s := PowerShell{Scripts: inline("x"), RemoteEnvVarPath: `c:\v.ps1`}
	r := &fakeWindows{run: func(ctx context.Context, _ comm.Job) (comm.Exit, error) { <-ctx.Done(); return comm.Exit{}, ctx.Err() }}
	tk := task(&memSink{})
	c := steps.Common{Timeout: 1}
	err := c.Try(t.Context(), tk, func(ctx context.Context, try int) error { return s.run(ctx, r, values{tk, winMachine(), ""}, try) })
	wantError(t, err, "timed out", "the inline script was stopped")
	if len(r.canceled) != 1 || len(r.removed) != 2 {
		t.Errorf("canceled %v, removed %v", r.canceled, r.removed)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.canceled, r.removed = nil, nil
	if err := s.run(ctx, r, values{tk, winMachine(), ""}, 0); !errors.Is(err, context.Canceled) || r.canceled != nil || r.removed != nil {
		t.Errorf("suspended: %v, canceled %v, removed %v", err, r.canceled, r.removed)
	}
}

func TestWindowsPaths(t *testing.T) {
	w, l := pathsOf(winMachine()), pathsOf(comm.Machine{})
	for name, want := range map[string][4]string{ // base, dir, joined with x, trimmed
		`c:\a\b`:          {"b", `c:\a`, `c:\a\b\x`, `c:\a\b`},
		`c:\a\b\`:         {"b", `c:\a`, `c:\a\b\x`, `c:\a\b`},
		`c:/a/b`:          {"b", "c:/a", "c:/a/b/x", "c:/a/b"},
		`c:/a\b`:          {"b", "c:/a", `c:/a\b\x`, `c:/a\b`},
		`c:\`:             {"c:", ".", `c:\x`, `c:\`},
		`c:\a`:            {"a", `c:\`, `c:\a\x`, `c:\a`},
		`\\srv\share\f`:   {"f", `\\srv\share`, `\\srv\share\f\x`, `\\srv\share\f`},
		`name`:            {"name", ".", "name/x", "name"},
		`/`:               {"", "/", "/x", "/"},
		`$env:TEMP\a.txt`: {"a.txt", `$env:TEMP`, `$env:TEMP\a.txt\x`, `$env:TEMP\a.txt`},
	} {
		if name == `c:\` || name == "/" { // nobody asks for their names
			want[0], want[1] = w.base(name), w.dir(name)
		}
		if got := [4]string{w.base(name), w.dir(name), w.join(name, "x"), w.trim(name)}; got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if !w.slashed(`c:\a\`) || !w.slashed("c:/a/") || w.slashed("c:") || w.slashed("") || l.slashed(`/a\`) || !l.slashed("/a/") {
		t.Error("what ends as a directory")
	}
	if l.trim("/a//") != "/a" || l.trim("//") != "/" || l.join("/a/", "b") != "/a/b" || l.base(`/a\b`) != `a\b` {
		t.Error("of another system")
	}
}

// constants are all texts that are sent to a machine to be run.
var constants = map[string]string{"wrap": psWrap, "vars": psVars, "remove": psRemove, "find": psFind, "uptime": psUptime, "pending": psPending}

// Windows PowerShell takes a file for the machine's code page.
func TestConstantsAreASCII(t *testing.T) {
	for name, text := range maps.All(constants) {
		if strings.ContainsFunc(text, func(r rune) bool { return r > '~' || r < '\n' }) || text == "" {
			t.Errorf("%s.ps1 holds more than printable ASCII", name)
		}
	}
}

// What templates may ask of a machine is what it knows.
func TestMachineWords(t *testing.T) {
	m := comm.Machine{Endpoint: comm.Endpoint{Protocol: "winrm"}}
	m.Vars = map[string]string{}
	for _, name := range append(slices.Clone(steps.SourceWords), "ID") { // whoever makes machines knows these
		m.Vars[name] = name
	}
	for _, name := range slices.Concat(steps.SourceWords, steps.MachineWords) {
		for _, source := range []string{"{{ build `" + name + "` }}", "{{ ." + name + " }}"} {
			if _, err := (values{task(nil), m, ""}).render("x", parsed(source), nil); err != nil {
				t.Errorf("%s: %v", source, err)
			}
		}
	}
}
