package provision

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/winguest"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// guest is a Windows machine of the embedded EC2.
type guest struct {
	*winguest.Machine
	t    *testing.T
	env  *comm.Env
	m    comm.Machine
	dir  string
	sink *memSink
}

const guestPassword = "p$a\"s's`w0rd %TEMP%"

func newGuest(t *testing.T) *guest {
	t.Helper()
	t.Parallel()
	g := &guest{t: t, dir: t.TempDir(), env: comm.NewEnv(nil)}
	var err error
	if g.Machine, err = winguest.Open(g.dir, winguest.Spec{Release: winguest.ReleaseOf("2022"), Name: "TESTER", Addr: "127.0.0.1"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.env.Close(); g.Close() })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	ports, err := g.TakePorts(map[string]int{"winrm": port})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		g.ChangeAccount("Administrator", func(a *winguest.Account) { a.Password = guestPassword }),
		g.SetFirewall("Public", false),
		g.boot(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	g.m = comm.Machine{
		Endpoint: comm.Endpoint{Protocol: "winrm", Host: "127.0.0.1", Port: ports["winrm"], Thing: "i-1"},
		WinRM:    comm.WinRM{Username: "Administrator", Password: guestPassword, UseNTLM: true, Timeout: time.Minute},
	}
	return g
}

func (g *guest) boot() error {
	return g.Boot(winguest.Boot{Exited: func(reboot bool) {
		if reboot {
			go g.boot()
		}
	}})
}

// do runs a step on the machine and returns what it printed.
func (g *guest) do(s interface {
	Do(context.Context, *comm.Env, *dag.Task) (comm.Machine, error)
}) (string, error) {
	g.t.Helper()
	g.sink = &memSink{}
	_, err := s.Do(g.t.Context(), g.env, task(g.sink))
	return g.sink.printed(), err
}

func (g *guest) powershell(s PowerShell, lines ...dag.Text) (string, error) {
	g.t.Helper()
	s.On, s.Inline = dag.Lit(g.m).Take(), lines
	if f := s.Check(); len(f) > 0 {
		g.t.Fatal(f)
	}
	return g.do(s)
}

func (g *guest) path(p string) string { return filepath.Join(g.dir, "c", filepath.FromSlash(p)) }

// clean insists that nothing of the runs is left.
func (g *guest) clean() {
	g.t.Helper()
	if left, _ := filepath.Glob(g.path("Windows/Temp/*")); left != nil {
		g.t.Errorf("left on the machine: %v", left)
	}
}

// awkward are values that some quoting would spoil.
func awkward() (values []string) {
	ascii := ""
	for c := ' '; c <= '~'; c++ {
		ascii += string(c)
		values = append(values, string(c)+"x", "x"+string(c)+"x", "x"+string(c))
	}
	return append(values, ascii, nasty, "a\nb", "a\r\nb\n", "\u201cx\u201d\u201e\u2018", "\u00e4\u00f6\u00fc\u00df", "\U0001f600", "2026-01-02T03:04:05Z", "/Date(1)/", "true", "null", strings.Repeat("8k $`\"", 1365))
}

// TestEnvironmentOfAGuest: whatever way they take, the values arrive byte for byte.
func TestEnvironmentOfAGuest(t *testing.T) {
	g := newGuest(t)
	env := map[string]dag.Text{}
	values := awkward()
	for i, v := range values {
		env[fmt.Sprintf("V%d", i)] = dag.Text(v)
	}
	show := fmt.Sprintf(`for ($i = 0; $i -lt %d; $i++) { [Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes([Environment]::GetEnvironmentVariable("V$i"))) }`, len(values))
	for name, s := range map[string]PowerShell{
		"by default":           {},
		"elevated":             {ElevatedUser: "Administrator", ElevatedPassword: guestPassword},
		"as a service":         {ElevatedUser: "SYSTEM"},
		"in a command":         {ExecuteCommand: parsed(`powershell -NoProfile -Command ". '{{ .Vars }}'; & '{{ .Path }}'"`)},
		"at a place":           {RemoteEnvVarPath: "c:/Windows/Temp/vars.ps1"},
		"at a place by name":   {RemoteEnvVarPath: "${env:SystemRoot}/Temp/vars.ps1", RemotePath: `$env:SystemRoot\Temp\the script.ps1`},
		"in a format":          {EnvVarFormat: "$env:%s = \"%s\"\n"},
		"in another format":    {EnvVarFormat: "[Environment]::SetEnvironmentVariable(\"%s\", \"%s\")\n"},
		"elevated in a format": {ElevatedUser: "SYSTEM", ElevatedEnvVarFormat: "$env:%s=\"%s\"; "},
	} {
		s.Env = env
		out, err := g.powershell(s, dag.Text(show))
		got := strings.Fields(out)
		if err != nil || len(got) != len(values) {
			t.Errorf("%s: %v, %d values of %d\n%.2000s", name, err, len(got), len(values), out)
			continue
		}
		for i, want := range values {
			if b, err := base64.StdEncoding.DecodeString(got[i]); err != nil || string(b) != want {
				t.Errorf("%s: %.100q arrived as %.100q, %v", name, want, b, err)
			}
		}
	}
	g.clean()
}

// TestEndsOfPowerShell: every way in which a script fails is the step's failure.
func TestEndsOfPowerShell(t *testing.T) {
	g := newGuest(t)
	for _, c := range []struct {
		lines  []dag.Text
		status string // "" for none
		out    string // what is printed, in part
	}{
		{[]dag.Text{"Write-Output '\u00e4\u20ac'"}, "", "\u00e4\u20ac\n"},
		{[]dag.Text{"exit 3"}, "3", ""},
		{[]dag.Text{"exit 3010"}, "3010", ""},
		{[]dag.Text{"exit -1073741819"}, "-1073741819 (0xC0000005)", ""},
		{[]dag.Text{"cmd /c exit 7"}, "7", ""},
		{[]dag.Text{"cmd /c exit 7", "Write-Output on"}, "7", "on"},
		{[]dag.Text{"cmd /c exit 7", "exit 0"}, "", ""},
		{[]dag.Text{"cmd /c exit 7", "cmd /c exit 0"}, "", ""},
		{[]dag.Text{"throw 'cannot do it'", "Write-Output on"}, "1", "cannot do it\n"},
		{[]dag.Text{"Write-Output one", "Get-Item C:\\nowhere -ErrorAction Stop", "Write-Output two"}, "1", "one\n"},
		{[]dag.Text{"try { throw 'x' } catch { Write-Output caught }"}, "", "caught\n"},
		{[]dag.Text{"no-such-command"}, "1", "no-such-command"},
		{[]dag.Text{"if ("}, "1", ""},
		{[]dag.Text{"Write-Output $PSScriptRoot.Length", "$x = $imgflowPolicy", "exit [int](Test-Path variable:x)"}, "1", ""},
	} {
		out, err := g.powershell(PowerShell{}, c.lines...)
		switch {
		case c.status == "" && err != nil:
			t.Errorf("%q: %v\n%s", c.lines, err, out)
		case c.status != "":
			wantError(t, err, "exited with status "+c.status+": the inline script")
		}
		if !strings.Contains(out, c.out) || strings.Contains(out, "two") {
			t.Errorf("%q printed %q", c.lines, out)
		}
	}
	if out, err := g.powershell(PowerShell{ExecutionPolicy: "none"}, "Get-ExecutionPolicy -Scope Process"); err != nil || !strings.EqualFold(out, "Undefined\n") {
		t.Errorf("a policy of none is %q, %v", out, err)
	}
	g.clean()
}

func TestScriptsStayOnAGuest(t *testing.T) {
	g := newGuest(t)
	for i, s := range []PowerShell{{}, {RemotePath: `C:\put\here.ps1`}, {RemotePath: "C:/put/kept.ps1", SkipClean: true}, {RemotePath: "c:/put/", SkipClean: true, ElevatedUser: "SYSTEM"}} {
		os.MkdirAll(g.path("put"), 0o755)
		if out, err := g.powershell(s, "Write-Output $PSCommandPath"); err != nil || strings.Contains(out, "put") != (i > 0) {
			t.Errorf("%d: %q, %v", i, out, err)
		}
	}
	found, _ := filepath.Glob(g.path("put/*"))
	if len(found) != 2 || filepath.Base(found[0]) != "kept.ps1" {
		t.Errorf("kept: %v", found)
	}
	g.clean()
}

func TestBatchOnAGuest(t *testing.T) {
	g := newGuest(t)
	s := WindowsShell{On: dag.Lit(g.m).Take(), Scripts: inline("@echo off", "echo [%A%]", "goto on", "echo not", ":on", "set ZZ", "exit /b 4")}
	s.EnvironmentVars = []dag.Text{"A=x y", "ZZ=1"}
	out, err := g.do(s)
	wantError(t, err, "exited with status 4")
	if out != "[x y]\nZZ=1\n" {
		t.Errorf("printed %q", out)
	}
	s.ValidExitCodes = []int{4}
	s.ExecuteCommand = parsed(`{{ .Vars }}call "{{ .Path }}"`)
	s.RemotePath = `C:\new\too\x.bat`
	if out, err = g.do(s); err != nil || !strings.HasPrefix(out, "[x y]\n") {
		t.Errorf("%q, %v", out, err)
	}
	g.clean()
}

func TestRestartOfAGuest(t *testing.T) {
	g := newGuest(t)
	before := g.Booted()
	if _, err := g.do(WindowsRestart{On: dag.Lit(g.m).Take(), RestartCheckCommand: "ver", CheckRegistry: true, RegistryKeys: []string{`HKLM:SOFTWARE\Nothing`}}); err != nil {
		t.Fatal(err)
	}
	if !g.Booted().After(before) || !strings.Contains(g.sink.said(dag.Said), "the machine is back") {
		t.Errorf("booted %s and %s, said %q", before, g.Booted(), g.sink.said(dag.Said))
	}
	if _, err := g.powershell(PowerShell{}, `New-Item -Path HKLM:SOFTWARE\Pending -Force | Out-Null`); err != nil {
		t.Fatal(err)
	}
	_, err := g.do(WindowsRestart{On: dag.Lit(g.m).Take(), RestartTimeout: 6 * time.Second, CheckRegistry: true, RegistryKeys: []string{`HKLM:SOFTWARE\Pending`}})
	wantError(t, err, `HKLM:SOFTWARE\Pending`, "one more restart")
	_, err = g.do(WindowsRestart{On: dag.Lit(g.m).Take(), RestartCommand: "exit 5"})
	wantError(t, err, "restart_command exited with status 5")
}

// While a machine starts or goes down its WMI does not answer.
func TestUptimeOfAGuest(t *testing.T) {
	g := newGuest(t)
	r, err := g.env.Windows(taskOf("token", &memSink{}), g.m)
	if err != nil {
		t.Fatal(err)
	}
	const trying = `$tries = @{ n = 0 }
function Get-CimInstance($ClassName) {
	if ($tries.n++ -lt 2) { throw 'A system shutdown is in progress.' }
	@{ LocalDateTime = [DateTime]'2026-01-01 00:01:00'; LastBootUpTime = [DateTime]'2026-01-01 00:00:00' }
}
`
	var ms int
	if err := r.PowerShell(t.Context(), trying+psUptime, nil, &ms); err != nil || ms != 60000 {
		t.Error(ms, err)
	}
}

func TestFilesOfAGuest(t *testing.T) {
	g := newGuest(t)
	src, dst := t.TempDir(), t.TempDir()
	file(t, filepath.Join(src, "a.txt"), "A")
	file(t, filepath.Join(src, "b.txt"), "B")
	file(t, filepath.Join(src, "d", "\u00e4 [1].txt"), "D")
	os.MkdirAll(g.path("to"), 0o755)
	do := func(s FileCopy) error {
		t.Helper()
		s.On, g.env.Dir = dag.Lit(g.m).Take(), src
		if f := s.ResolveFiles(find(src)); len(f) > 0 {
			t.Fatal(f)
		}
		if f := s.Check(); len(f) > 0 {
			t.Fatal(f)
		}
		_, err := g.do(s)
		return err
	}
	for _, c := range []struct {
		want string
		s    FileCopy
	}{
		{"n.txt=A", FileCopy{Source: "a.txt", Destination: `C:\to\n.txt`}},
		{"a.txt=A", FileCopy{Source: "a.txt", Destination: `C:\to\`}},
		{"a.txt=A b.txt=B", FileCopy{Sources: []dag.Text{"a.txt", "b.txt"}, Destination: `C:\to\`}},
		{"a.txt=A", FileCopy{Source: "a.txt", Destination: "c:/to/"}},
		{"d/\u00e4 [1].txt=D", FileCopy{Source: "d", Destination: `C:\to`}},
		{"\u00e4 [1].txt=D", FileCopy{Source: "d/", Destination: `C:\to\`}},
		{"new/\u00e4 [1].txt=D", FileCopy{Source: "d/", Destination: "C:/to/new"}},
		{"new/too/n.txt=A", FileCopy{Source: "a.txt", Destination: `C:\to\new\too\n.txt`}},
		{"new/a.txt=A", FileCopy{Source: "a.txt", Destination: `C:\to\new\`}},
		{"n.txt=A", FileCopy{Source: "a.txt", Destination: `$env:SystemRoot\..\to\n.txt`}},
		{"a.txt=A", FileCopy{Source: "a.txt", Destination: "${Env:SYSTEMDRIVE}/to/"}},
		{"${x}/$y=A", FileCopy{Source: "a.txt", Destination: `C:\to\${x}\$y`}},
		{"new/d/\u00e4 [1].txt=D", FileCopy{Source: "d", Destination: `C:\to\new`}},
		{"c.txt=text", FileCopy{Content: "text", Destination: `C:\to\c.txt`}},
	} {
		os.RemoveAll(g.path("to"))
		os.MkdirAll(g.path("to"), 0o755)
		if err := do(c.s); err != nil || tree(t, g.path("to")) != c.want {
			t.Errorf("%s: %v, %q, want %q", c.s.Destination, err, tree(t, g.path("to")), c.want)
		}
	}
	wantError(t, do(FileCopy{Source: "a.txt", Destination: `C:\to`}), "end the destination with a slash")

	os.RemoveAll(g.path("to"))
	for name, text := range map[string]string{"to/a.log": "A", "to/b.log": "B", "to/c.txt": "C", "to/d/x": "X"} {
		os.MkdirAll(filepath.Dir(g.path(name)), 0o755)
		os.WriteFile(g.path(name), []byte(text), 0o644)
	}
	for _, c := range []struct {
		want string
		s    FileCopy
	}{
		{"n=A", FileCopy{Source: `C:\to\a.log`, Destination: "n"}},
		{"a.log=A", FileCopy{Source: `C:\to\a.log`, Destination: "./"}},
		{"a.log=A b.log=B", FileCopy{Source: `C:\to\*.log`, Destination: "./"}},
		{"a.log=A b.log=B", FileCopy{Source: `$env:SystemDrive\to\*.log`, Destination: "./"}},
		{"a.log=A", FileCopy{Source: "${env:SystemDrive}/to/a.log", Destination: "./"}},
		{"a.log=A", FileCopy{Source: `C:/to/[a]*`, Destination: "./"}},
		{"d/x=X", FileCopy{Source: `C:\to\d`, Destination: "./"}},
		{"x=X", FileCopy{Source: `C:\to\d\`, Destination: "./"}},
	} {
		os.RemoveAll(dst)
		os.MkdirAll(dst, 0o755)
		c.s.Direction, c.s.Destination = "download", dag.Text(filepath.Join(dst, string(c.s.Destination))+strings.Repeat("/", strings.Count(string(c.s.Destination), "/")))
		if err := do(c.s); err != nil || tree(t, dst) != c.want {
			t.Errorf("%s: %v, %q, want %q", c.s.Source, err, tree(t, dst), c.want)
		}
	}
	wantError(t, do(FileCopy{Source: `C:\to\nothing*`, Direction: "download", Destination: dag.Text(dst + "/")}), "nothing on the machine matches")
	wantError(t, do(FileCopy{Source: `C:\to\none`, Direction: "download", Destination: dag.Text(dst + "/")}), "it is not on the machine")
	g.clean()
}

// TestPowerShellResume suspends a step while its second script runs, as the end
// of the process does, and goes on with it.
func TestPowerShellResume(t *testing.T) {
	g := newGuest(t)
	dir := t.TempDir()
	s := PowerShell{On: dag.Lit(g.m).Take()}
	s.Scripts.Scripts = []steps.File{
		file(t, filepath.Join(dir, "a.ps1"), "Add-Content -Path C:\\ran.txt -Value a\nWrite-Host one\n"),
		file(t, filepath.Join(dir, "b.ps1"), "Add-Content -Path C:\\ran.txt -Value b\nWrite-Host two\nfor ($i = 0; $i -lt 300 -and -not (Test-Path C:\\go); $i++) { Start-Sleep -Milliseconds 50 }\nWrite-Host three\nexit 3010\n"),
	}
	s.ValidExitCodes = []int{0, 3010}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	sink := &memSink{}
	sink.on = func(ev dag.Event) {
		if ev.Text == "two" {
			cancel()
		}
	}
	first := task(sink)
	if _, err := s.Do(ctx, g.env, first); !errors.Is(err, context.Canceled) {
		t.Fatalf("suspended: %v", err)
	}
	os.WriteFile(g.path("go"), nil, 0o644)
	other := comm.NewEnv(nil)
	defer other.Close()
	if _, err := s.Do(t.Context(), other, again(first, sink)); err != nil {
		t.Fatal(err)
	}
	if sink.printed() != "one\ntwo\nthree\n" {
		t.Errorf("printed %q", sink.printed())
	}
	if ran, _ := os.ReadFile(g.path("ran.txt")); !slices.Equal(strings.Fields(string(ran)), []string{"a", "b"}) {
		t.Errorf("ran %q", ran)
	}
	g.clean()
}
