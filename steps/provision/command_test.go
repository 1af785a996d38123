package provision

import (
	"context"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// A command of the user's own that leaves out the script or its variables is
// allowed, and told.
func TestCommandDropsTheScript(t *testing.T) {
	vars := Scripts{Inline: []dag.Text{"x"}, EnvironmentVars: []dag.Text{"A=1"}}
	const never = "it has no {{.Path}}, so the script never runs"
	const lacks = "so the script does not get its environment variables"
	for _, c := range []struct {
		of   interface{ Check() []steps.OptionError }
		want []string // "option: what it says"
	}{
		{&Shell{Scripts: inline("x"), ExecuteCommand: parsed("sudo sh {{ .Path }}")}, nil},
		{&Shell{Scripts: inline("x"), ExecuteCommand: "sudo reboot"}, []string{"execute_command: " + never}},
		{&Shell{Scripts: inline("x"), ExecuteCommand: "sh /tmp/mine.sh", RemotePath: "/tmp/mine.sh"}, nil},
		{&Shell{Scripts: vars, ExecuteCommand: parsed("{{.Vars}} sh {{.Path}}")}, nil},
		{&Shell{Scripts: vars, ExecuteCommand: parsed("sudo sh {{.Path}}")}, []string{"execute_command: it has no {{.Vars}}, " + lacks}},
		{&Shell{Scripts: vars, ExecuteCommand: parsed("{{.Vars}} sh {{.Path}}"), UseEnvVarFile: true}, []string{"execute_command: it has no {{.EnvVarFile}}, " + lacks}},
		{&Shell{Scripts: vars, ExecuteCommand: parsed(". {{.EnvVarFile}}; sh {{.Path}}"), UseEnvVarFile: true}, nil},
		{&ShellLocal{LocalScriptOptions: LocalScriptOptions{Scripts: inline("x"), ExecuteCommand: []dag.Text{"/bin/sh", "-c", "true"}}}, []string{"execute_command: it has no {{.Script}}, so the script never runs"}},
		{&ShellLocal{LocalScriptOptions: LocalScriptOptions{Scripts: inline("x"), ExecuteCommand: []dag.Text{"/bin/sh", parsed("{{.Script}}")}}}, nil},
		{&WindowsShell{Scripts: vars, ExecuteCommand: parsed("{{.Vars}} cmd /c dir")}, []string{"execute_command: " + never}},
		{&WindowsShell{Scripts: vars, ExecuteCommand: parsed(`cmd /c "{{.Path}}"`)}, nil}, // the environment is set anyway
		{&PowerShell{Scripts: vars, ExecuteCommand: "powershell -Command exit"}, []string{"execute_command: " + never}},
		{&PowerShell{Scripts: vars, ElevatedUser: "SYSTEM", ElevatedExecuteCommand: "powershell"}, []string{"elevated_execute_command: " + never}},
		{&PowerShell{Scripts: vars, ExecuteCommand: parsed("powershell -File {{.Path}}")}, nil},
	} {
		var got []string
		for _, f := range c.of.Check() {
			if !f.Doubtful || !f.Harmless {
				t.Errorf("%+v: %+v", c.of, f)
			}
			got = append(got, f.Field+": "+f.Text)
		}
		if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("%+v: %q, want %q", c.of, got, c.want)
		}
	}
}

// A script that its command did not run is a failure, whatever the command says.
func TestScriptNeverRan(t *testing.T) {
	unread := func(context.Context, comm.Job) (comm.Exit, error) { return comm.Exit{Unread: true}, nil }
	s := Shell{Scripts: inline("x"), ExecuteCommand: parsed("sh -c '{{.Vars}} {{.Path}}'")}
	err := s.run(t.Context(), &fakeRemote{run: unread}, values{t: task(&memSink{})}, 0)
	wantError(t, err, "the inline script never ran", "quotes")
}
