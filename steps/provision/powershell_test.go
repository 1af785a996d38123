package provision

import (
	"encoding/base64"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

const nasty = "it's $5 `each` \"%PATH%\" !x! ^&|<>\n\u00e4\u4e16\U0001f600"

func TestPowerShellByDefault(t *testing.T) {
	s := PowerShell{Scripts: inline(`Write-Host "$Env:A"`, parsed("{{ build `ID` }}")), Build: dag.Build{Name: "web", Type: "amazon-ebs"}}
	s.EnvironmentVars = []dag.Text{"A=" + nasty}
	jobs, err := runs(t, &fakeWindows{}, s)
	if err != nil {
		t.Fatal(err)
	}
	j := jobs[0]
	if want := `powershell -NonInteractive -ExecutionPolicy Bypass -File "{{.Dir}}\wrap.ps1" -imgflowScript "{{.Path}}"`; j.Command != want {
		t.Errorf("command %s, want %s", j.Command, want)
	}
	if string(j.Script) != "Write-Host \"$Env:A\"\ni-0abc\n" || string(j.Files["wrap.ps1"]) != psWrap || len(j.Files) != 1 || j.Ext != ".ps1" || j.Path != "" || j.Keep || j.Elevate != nil {
		t.Errorf("%+v", j)
	}
	if j.Env["A"] != nasty || j.Env["PACKER_BUILD_NAME"] != "web" || j.Env["PACKER_BUILDER_TYPE"] != "amazon-ebs" || len(j.Env) != 3 {
		t.Errorf("environment %q", j.Env)
	}
}

func TestPowerShellOptions(t *testing.T) {
	const head, script = `powershell -NonInteractive -ExecutionPolicy Bypass -File "{{.Dir}}\wrap.ps1" `, `-imgflowScript "{{.Path}}"`
	data := base64.StdEncoding.EncodeToString([]byte("A")) + " " + base64.StdEncoding.EncodeToString([]byte(nasty)) + "\r\n"
	dir := t.TempDir()
	named := Scripts{Script: file(t, filepath.Join(dir, "setup.ps1"), "x")}
	for _, c := range []struct {
		name   string
		s      PowerShell
		wanted func(j comm.Job, r *fakeWindows) bool
	}{
		{"policy", PowerShell{ExecutionPolicy: "RemoteSigned"}, func(j comm.Job, _ *fakeWindows) bool { return j.Command == head+script+" -imgflowPolicy remotesigned" }},
		{"bypass", PowerShell{ExecutionPolicy: "Bypass"}, func(j comm.Job, _ *fakeWindows) bool { return j.Command == head+script }},
		{"no policy", PowerShell{ExecutionPolicy: "none"}, func(j comm.Job, _ *fakeWindows) bool { return j.Command == head+script+" -imgflowPolicy undefined" }},
		{"trace", PowerShell{DebugMode: 2}, func(j comm.Job, _ *fakeWindows) bool { return j.Command == head+script+" -imgflowTrace 2" }},
		{"pwsh", PowerShell{UsePwsh: true}, func(j comm.Job, _ *fakeWindows) bool { return strings.HasPrefix(j.Command, "pwsh -NonInteractive ") }},
		{"remote_path", PowerShell{RemotePath: parsed("c:/x/{{ build `ID` }}.ps1")}, func(j comm.Job, _ *fakeWindows) bool { return j.Path == "c:/x/i-0abc.ps1" && !j.Keep }},
		{"remote_path of a directory", PowerShell{RemotePath: `c:\x\`}, func(j comm.Job, _ *fakeWindows) bool { return j.Path == `c:\x\script-`+j.Token+".ps1" }},
		{"remote_path of a directory for a file", PowerShell{Scripts: named, RemotePath: "c:/x/"}, func(j comm.Job, _ *fakeWindows) bool { return j.Path == "c:/x/setup.ps1" }},
		{"skip_clean", PowerShell{SkipClean: true}, func(j comm.Job, _ *fakeWindows) bool {
			return j.Path == "c:/Windows/Temp/script-"+j.Token+".ps1" && j.Keep
		}},
		{"a command of its own", PowerShell{ExecuteCommand: parsed(`powershell -File "{{.Path}}" {{ build ` + "`User`" + ` }}`)}, func(j comm.Job, _ *fakeWindows) bool {
			return j.Command == `powershell -File "{{.Path}}" Administrator` && len(j.Files) == 0 && j.Env["A"] == nasty
		}},
		{"a command with variables", PowerShell{ExecuteCommand: parsed(`powershell "& { . '{{ .Vars }}'; & '{{ .Path }}' }"`)}, func(j comm.Job, _ *fakeWindows) bool {
			return j.Command == `powershell "& { . '{{.Dir}}\vars.ps1'; & '{{.Path}}' }"` && string(j.Files["vars.ps1"]) == psVars && strings.Contains(string(j.Files["vars.ps1.txt"]), data) && j.Env == nil
		}},
		{"variables at a place of their own", PowerShell{RemoteEnvVarPath: "c:/v.ps1"}, func(j comm.Job, r *fakeWindows) bool {
			return j.Command == head+script+` -imgflowVars "c:/v.ps1"` && r.uploaded["c:/v.ps1"] == psVars && strings.Contains(r.uploaded["c:/v.ps1.txt"], data) && len(r.removed) == 2 && j.Env == nil
		}},
		{"variables in a directory", PowerShell{RemoteEnvVarPath: `c:\d\`}, func(j comm.Job, r *fakeWindows) bool {
			return strings.HasSuffix(j.Command, ` -imgflowVars "c:\d\vars-`+j.Token+`.ps1"`) && len(r.uploaded) == 2
		}},
		{"a format", PowerShell{EnvVarFormat: `[Environment]::SetEnvironmentVariable("%s", "%s", "Machine")` + "\n"}, func(j comm.Job, _ *fakeWindows) bool {
			text := string(j.Files["vars.ps1"])
			return strings.HasPrefix(text, "\xef\xbb\xbf") && strings.Contains(text, "\"A\", \"it`'s `$5 ``each`` `\"%PATH%`\" !x!") && strings.HasSuffix(j.Command, ` -imgflowVars "{{.Dir}}\vars.ps1"`) && j.Files["vars.ps1.txt"] == nil && j.Env == nil
		}},
		{"elevated", PowerShell{ElevatedUser: parsed("{{ build `User` }}"), ElevatedPassword: dag.Secret(parsed("{{ build `Password` }}"))}, func(j comm.Job, _ *fakeWindows) bool {
			return *j.Elevate == comm.Elevate{User: "Administrator", Password: "PRIVATE"} && j.Command == head+script && j.Env["A"] == nasty
		}},
		{"elevated, a sealed password", PowerShell{ElevatedUser: "me", ElevatedPassword: dag.Secret(dag.Mark("key-1"))}, func(j comm.Job, _ *fakeWindows) bool {
			return *j.Elevate == comm.Elevate{User: "me", Password: "PRIVATE"}
		}},
		{"elevated, a service account", PowerShell{ElevatedUser: "SYSTEM"}, func(j comm.Job, _ *fakeWindows) bool { return *j.Elevate == comm.Elevate{User: "SYSTEM"} }},
		{"elevated, by a command", PowerShell{ElevatedUser: "me", ElevatedExecuteCommand: parsed("x {{.Path}} {{.Vars}}"), ElevatedEnvVarFormat: "$env:%s = \"%s\"\n"}, func(j comm.Job, _ *fakeWindows) bool {
			return j.Command == `x {{.Path}} {{.Dir}}\vars.ps1` && strings.Contains(string(j.Files["vars.ps1"]), "$env:A = \"it`'s")
		}},
	} {
		if len(c.s.Inline) == 0 && c.s.Script == (steps.File{}) {
			c.s.Inline = []dag.Text{"x"}
		}
		c.s.EnvironmentVars = []dag.Text{"A=" + nasty}
		if f := c.s.Check(); len(f) > 0 {
			t.Errorf("%s: %v", c.name, f)
		}
		r := &fakeWindows{}
		jobs, err := runs(t, r, c.s)
		if err != nil || len(jobs) != 1 || !c.wanted(jobs[0], r) {
			t.Errorf("%s: %v, %+v, uploaded %q, removed %q", c.name, err, jobs, r.uploaded, r.removed)
		}
	}
	// A command that asks for no variables has them all the same, however they are to be written.
	idle := PowerShell{Scripts: inline("x"), ExecuteCommand: parsed("powershell -File {{.Path}}"), EnvVarFormat: "%s=%s", RemoteEnvVarPath: "c:/v.ps1"}
	idle.EnvironmentVars = []dag.Text{"A=" + nasty}
	r := &fakeWindows{}
	if jobs, err := runs(t, r, idle); err != nil || jobs[0].Env["A"] != nasty || len(jobs[0].Files)+len(r.uploaded) > 0 {
		t.Errorf("%v, %+v", err, jobs)
	}
	_, err := runs(t, &fakeWindows{}, PowerShell{Scripts: inline("x"), ElevatedUser: parsed("{{ build `SSHPrivateKeyFile` }}")})
	wantError(t, err, "elevated_user is empty")
}

func TestPowerShellText(t *testing.T) {
	for text, want := range map[string]string{
		"a\nb\r\nc":          "a\nb\r\nc",
		"Write-Host \u00e4":  "\xef\xbb\xbfWrite-Host \u00e4",
		"\xef\xbb\xbf\u00e4": "\xef\xbb\xbf\u00e4",
		"\xff\xfea\x00":      "\xff\xfea\x00",
		"\xe4 in latin 1":    "\xe4 in latin 1",
	} {
		s := PowerShell{}
		s.Script = file(t, filepath.Join(t.TempDir(), "a.ps1"), text)
		jobs, err := runs(t, &fakeWindows{}, s)
		if err != nil || string(jobs[0].Script) != want {
			t.Errorf("%q became %q, %v", text, jobs[0].Script, err)
		}
		s.Binary = true
		if jobs, _ := runs(t, &fakeWindows{}, s); string(jobs[0].Script) != text {
			t.Errorf("binary: %q became %q", text, jobs[0].Script)
		}
	}
}

func TestPowerShellCheck(t *testing.T) {
	for _, c := range []struct {
		want string
		s    PowerShell
	}{
		{"", PowerShell{ExecutionPolicy: "RemoteSigned"}},
		{"elevated_user", PowerShell{ElevatedPassword: "x"}},
		{"execution_policy", PowerShell{ExecutionPolicy: "maybe"}},
		{"debug_mode", PowerShell{DebugMode: 3}},
		{"env_var_format", PowerShell{EnvVarFormat: "set"}},
		{"elevated_env_var_format", PowerShell{ElevatedUser: "x", ElevatedEnvVarFormat: "set"}},
		{"elevated_env_var_format (idle)", PowerShell{ElevatedEnvVarFormat: "%s%s"}},
		{"elevated_execute_command (idle)", PowerShell{ElevatedExecuteCommand: parsed("x {{.Path}}")}},
		{"execute_command (idle)", PowerShell{ElevatedUser: "x", ExecuteCommand: parsed("x {{.Path}}")}},
		{"env_var_format (idle)", PowerShell{ElevatedUser: "x", EnvVarFormat: "%s%s"}},
		{"execution_policy (idle)", PowerShell{ExecuteCommand: parsed("x {{.Path}}"), ExecutionPolicy: "bypass"}},
		{"debug_mode (idle)", PowerShell{ExecuteCommand: parsed("x {{.Path}}"), DebugMode: 1}},
		{"use_pwsh (idle)", PowerShell{ElevatedUser: "x", ElevatedExecuteCommand: parsed("x {{.Path}}"), UsePwsh: true}},
		{"env_var_format (idle)", PowerShell{ExecuteCommand: parsed("x {{.Path}}"), EnvVarFormat: "%s%s"}},
		{"remote_env_var_path (idle)", PowerShell{ExecuteCommand: parsed("x {{.Path}}"), RemoteEnvVarPath: "c:/x.ps1"}},
		{"", PowerShell{ExecuteCommand: parsed("x {{.Vars}} {{.Path}}"), RemoteEnvVarPath: "c:/x.ps1", EnvVarFormat: "%s%s"}},
		{"remote_path", PowerShell{RemotePath: "c:/x.txt"}},
		{"", PowerShell{RemotePath: `c:\x\`}},
		{"", PowerShell{RemotePath: `C:\x.PS1`}},
		{"", PowerShell{RemotePath: "c:/x.txt", ExecuteCommand: parsed("x {{.Path}}")}},
		{"remote_env_var_path", PowerShell{RemoteEnvVarPath: "c:/x"}},
		{"start_retry_timeout", PowerShell{StartRetryTimeout: -1}},
		{"pause_after", PowerShell{PauseAfter: -1}},
		{"valid_exit_codes[1]", PowerShell{Scripts: Scripts{ValidExitCodes: []int{3010, 1 << 32}}}},
	} {
		c.s.Inline = []dag.Text{"x"}
		if got := fields(c.s.Check()); got != c.want {
			t.Errorf("%+v: option errors of %q, want %q", c.s, got, c.want)
		}
	}
}

func TestPowerShellPausesAlsoWithSkipClean(t *testing.T) {
	s := PowerShell{Scripts: inline("x"), SkipClean: true, PauseAfter: time.Millisecond}
	sink := &memSink{}
	if err := s.run(t.Context(), &fakeWindows{run: exits(0)}, values{task(sink), winMachine(), ""}, 0); err != nil || !strings.Contains(sink.said(dag.Said), "pausing 1ms") {
		t.Errorf("%v, said %q", err, sink.said(dag.Said))
	}
}
