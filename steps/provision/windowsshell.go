package provision

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// WindowsShell runs batch files on a Windows machine, one after the other. Their
// environment is set before cmd.exe starts, unless the user wants it written into
// the command.
type WindowsShell struct {
	On           dag.Take[comm.Machine] `json:"on"`
	Build        dag.Build              `json:"build,omitzero" option:"-"`
	steps.Common `option:"-"`
	Scripts

	// Where the script lies on the machine while it runs. Default: a directory of the run's own.
	RemotePath dag.Text `json:"remote_path,omitempty" option:"late=build"`
	// The command that runs the script. Default: the variables, then the script's path.
	ExecuteCommand dag.Text `json:"execute_command,omitempty" option:"late=Path+Vars+build"`
	// How one variable is written into the command: a format with two %s, for name and value. Default: they are set
	// before cmd.exe starts.
	EnvVarFormat string `json:"env_var_format,omitempty"`
	// For how long to try to start a script, beyond the time that `winrm_timeout` has a connection tried. Default:
	// none.
	StartRetryTimeout time.Duration `json:"start_retry_timeout,omitempty" key:"-"`
}

func (WindowsShell) Kind() string { return "provision.windows-shell" }

// Title names what is run.
func (s WindowsShell) Title() string { return s.Scripts.title("batch script") }

// Check says what is wrong with the options.
func (s *WindowsShell) Check() []steps.OptionError {
	var f steps.OptionErrors
	s.Scripts.check(&f)
	s.Scripts.checkWindowsCodes(&f)
	checkFormat(&f, "env_var_format", s.EnvVarFormat)
	if s.ExecuteCommand == "" {
		checkEnd(&f, "remote_path", s.RemotePath, ".bat", ".cmd")
	} else if s.EnvVarFormat != "" && !uses(s.ExecuteCommand, "Vars") {
		f.Idle("env_var_format", "the command is your own and has no {{.Vars}}; the environment is set anyway")
	}
	mustRun(&f, "execute_command", s.ExecuteCommand, "Path", s.RemotePath)
	notNegative(&f, "start_retry_timeout", s.StartRetryTimeout)
	return f
}

// Communicators is the one of Windows.
func (*WindowsShell) Communicators() []string { return []string{"winrm"} }

// Add adds the step to the graph.
func (s *WindowsShell) Add(g *dag.Graph, b dag.Build, name string, on dag.Out[comm.Machine]) dag.Out[comm.Machine] {
	step := *s
	step.On, step.Build = on.Take(), b.Labelled()
	return dag.Add(g, b, name, step)
}

// Do runs the scripts that have not been run by an earlier process.
func (s WindowsShell) Do(ctx context.Context, e *comm.Env, t *dag.Task) (comm.Machine, error) {
	return onWindows(ctx, e, t, s.On.Value(), s.Common, s.run)
}

func (s WindowsShell) run(ctx context.Context, r comm.Windows, v values, try int) error {
	env, err := s.environ(v, s.Build, true)
	if err != nil {
		return err
	}
	scripts, err := s.load(v, func(text []byte, _ bool) []byte {
		if s.Binary {
			return text
		}
		// Labels are not always found in files with line ends of another system.
		text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
		return bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))
	})
	if err != nil {
		return err
	}
	w := winScripts{Scripts: s.Scripts, word: "batch", start: s.StartRetryTimeout, remote: r, v: v,
		job: func(token string, script source) (winJob, error) { return s.job(v, token, script, env) }}
	return w.run(ctx, try, scripts)
}

// maxCommand is what cmd.exe takes, in characters, less what is put around it.
const maxCommand = 8000

// job is how one script runs.
func (s WindowsShell) job(v values, token string, script source, env [][2]string) (j winJob, err error) {
	if j.Path, err = winPath(v, s.RemotePath, script, token, ".bat", false); err != nil {
		return j, err
	}
	j.Ext = ".bat"
	command := s.ExecuteCommand
	if command == "" {
		command = `"` + scriptPath + `"`
		if s.EnvVarFormat != "" {
			command = envVars + command
		}
	}
	vars := ""
	if uses(command, "Vars") {
		if vars, err = s.vars(env); err != nil {
			return j, err
		}
	} else {
		j.Env = envMap(env)
	}
	if j.Command, err = v.render("execute_command", command, map[string]any{"Path": "{{.Path}}", "Vars": vars}); err != nil {
		return j, err
	}
	if n := len(j.Command); n > maxCommand {
		return j, fmt.Errorf("cannot use execute_command: with its variables it has %d characters, and cmd.exe takes %d; leave {{.Vars}} out: the environment is set anyway", n, maxCommand)
	}
	return j, nil
}

// vars is the environment as text of a command.
func (s WindowsShell) vars(env [][2]string) (string, error) {
	format := s.EnvVarFormat
	if format == "" {
		format = `set "%s=%s" && `
	}
	for _, kv := range env {
		if strings.ContainsAny(kv[1], "\"\r\n") {
			return "", fmt.Errorf("cannot write %s into the command: its value holds a quote or a line end, which nothing keeps there; leave {{.Vars}} and env_var_format out: the environment is set anyway", kv[0])
		}
	}
	return assignments(env, format, func(value string) string { return value }), nil
}
