package provision

import (
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
)

func TestWindowsShell(t *testing.T) {
	s := WindowsShell{Scripts: inline("echo %A%\r", "exit /b 3")}
	s.EnvironmentVars = []dag.Text{"A=" + nasty}
	s.Build.Name = "web"
	jobs, err := runs(t, &fakeWindows{}, s)
	if err != nil {
		t.Fatal(err)
	}
	j := jobs[0]
	if j.Command != `"{{.Path}}"` || string(j.Script) != "echo %A%\r\nexit /b 3\r\n" || j.Ext != ".bat" || j.Path != "" || j.Env["A"] != nasty || j.Env["PACKER_BUILD_NAME"] != "web" {
		t.Errorf("%+v", j)
	}
	s.Binary = true
	if jobs, _ := runs(t, &fakeWindows{}, s); string(jobs[0].Script) != "echo %A%\r\nexit /b 3\n" {
		t.Errorf("binary: %q", jobs[0].Script)
	}
	s.ExecuteCommand = parsed(`cmd /c "{{.Path}}"`)
	if jobs, err := runs(t, &fakeWindows{}, s); err != nil || jobs[0].Command != s.ExecuteCommand.String() || jobs[0].Env["A"] != nasty {
		t.Errorf("%v, %+v", err, jobs)
	}
}

func TestWindowsShellVariablesInTheCommand(t *testing.T) {
	s := WindowsShell{Scripts: inline("x"), ExecuteCommand: parsed(`{{ .Vars }}call "{{ .Path }}"`), RemotePath: `c:\x\`}
	s.EnvironmentVars = []dag.Text{`PATH=%PATH%;c:\my tools & more`}
	s.Env = map[string]dag.Text{"PACKER_BUILD_NAME": "b", "PACKER_BUILDER_TYPE": "t"}
	jobs, err := runs(t, &fakeWindows{}, s)
	want := `set "PACKER_BUILDER_TYPE=t" && set "PACKER_BUILD_NAME=b" && set "PATH=%PATH%;c:\my tools & more" && call "{{.Path}}"`
	if err != nil || jobs[0].Command != want || jobs[0].Env != nil || jobs[0].Path != `c:\x\script-`+jobs[0].Token+".bat" {
		t.Errorf("%v, %+v", err, jobs)
	}
	s.ExecuteCommand, s.EnvVarFormat = "", "set %s=%s&"
	if jobs, err := runs(t, &fakeWindows{}, s); err != nil || !strings.HasPrefix(jobs[0].Command, "set PACKER_BUILDER_TYPE=t&set ") || !strings.HasSuffix(jobs[0].Command, `&"{{.Path}}"`) {
		t.Errorf("%v, %+v", err, jobs)
	}
	for _, value := range []string{`a"b`, "a\nb"} {
		s.EnvironmentVars = []dag.Text{dag.Text("A=" + value)}
		_, err = runs(t, &fakeWindows{}, s)
		wantError(t, err, "cannot write A into the command", "{{.Vars}}")
	}
	s.EnvironmentVars = []dag.Text{dag.Text("A=" + strings.Repeat("x", 8192))}
	_, err = runs(t, &fakeWindows{}, s)
	wantError(t, err, "cmd.exe takes 8000")
	s.EnvVarFormat = ""
	if _, err = runs(t, &fakeWindows{}, s); err != nil {
		t.Errorf("a long value as data: %v", err)
	}
}

func TestWindowsShellCheck(t *testing.T) {
	for _, c := range []struct {
		want string
		s    WindowsShell
	}{
		{"", WindowsShell{}},
		{"env_var_format", WindowsShell{EnvVarFormat: "set"}},
		{"env_var_format (idle)", WindowsShell{EnvVarFormat: "%s%s", ExecuteCommand: parsed("x {{.Path}}")}},
		{"", WindowsShell{EnvVarFormat: "%s%s", ExecuteCommand: parsed("x {{.Vars}} {{.Path}}")}},
		{"remote_path", WindowsShell{RemotePath: "c:/x.ps1"}},
		{"", WindowsShell{RemotePath: "c:/x.CMD"}},
		{"start_retry_timeout", WindowsShell{StartRetryTimeout: -1}},
		{"valid_exit_codes[0]", WindowsShell{Scripts: Scripts{ValidExitCodes: []int{-1 << 33}}}},
	} {
		c.s.Inline = []dag.Text{"x"}
		if got := fields(c.s.Check()); got != c.want {
			t.Errorf("%+v: option errors of %q, want %q", c.s, got, c.want)
		}
	}
}
