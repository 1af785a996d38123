package provision

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/sleep"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// PowerShell runs PowerShell scripts on a Windows machine, one after the other. A
// script fails with what it exits with, with what the last native program ended
// with ($LASTEXITCODE), and with 1 after an exception.
//
// Nothing of the user's becomes part of a script's text, except where the user
// asks for it by env_var_format: the environment is set before PowerShell starts,
// and {{.Vars}} of a command of the user's own is a constant script that reads it
// from a file.
type PowerShell struct {
	On           dag.Take[comm.Machine] `json:"on"`
	Build        dag.Build              `json:"build,omitzero" option:"-"`
	steps.Common `option:"-"`
	Scripts

	// How one variable is written where {{.Vars}} stands: a format with two %s, for name and value. Default: they are
	// set before PowerShell starts.
	EnvVarFormat string `json:"env_var_format,omitempty"`
	// The same as `env_var_format`, for a script that runs elevated. Default: as there.
	ElevatedEnvVarFormat string `json:"elevated_env_var_format,omitempty"`
	// Where the script lies on the machine while it runs. Default: a directory of the run's own.
	RemotePath dag.Text `json:"remote_path,omitempty" option:"late=build"`
	// Where the file of variables lies on the machine. Default: a directory of the run's own.
	RemoteEnvVarPath dag.Text `json:"remote_env_var_path,omitempty" option:"late=build"`
	// The command, for cmd.exe, that runs the script. Default: PowerShell with the script as a file.
	ExecuteCommand dag.Text `json:"execute_command,omitempty" option:"late=Path+Vars+build"`
	// The same as `execute_command`, for a script that runs elevated. Default: as there.
	ElevatedExecuteCommand dag.Text `json:"elevated_execute_command,omitempty" option:"late=Path+Vars+build"`
	// Runs the script as this user with all rights, by a scheduled task. Default: none.
	ElevatedUser dag.Text `json:"elevated_user,omitempty" option:"late=build"`
	// The password of `elevated_user`; a service account such as SYSTEM has none. Default: none.
	ElevatedPassword dag.Secret `json:"elevated_password,omitempty" option:"late=build"`
	// PowerShell's execution policy for the script; none is the machine's own. Default: `bypass`.
	ExecutionPolicy string `json:"execution_policy,omitempty"`
	// How much PowerShell traces, from 0 to 2, as Set-PSDebug -Trace. Default: `0`.
	DebugMode int `json:"debug_mode,omitempty"`
	// Runs pwsh, which is PowerShell 7, in place of Windows PowerShell. Default: `false`.
	UsePwsh bool `json:"use_pwsh,omitempty"`
	// For how long to try to start a script, beyond the time that `winrm_timeout` has a connection tried. Default:
	// none.
	StartRetryTimeout time.Duration `json:"start_retry_timeout,omitempty" key:"-"`
	// Leaves the scripts on the machine. Default: `false`.
	SkipClean bool `json:"skip_clean,omitempty"`
	// How long to wait after the last script. Default: none.
	PauseAfter time.Duration `json:"pause_after,omitempty" key:"-"`
}

var executionPolicies = []string{"bypass", "allsigned", "default", "remotesigned", "restricted", "undefined", "unrestricted", "none"}

func (PowerShell) Kind() string { return "provision.powershell" }

// Title names what is run.
func (s PowerShell) Title() string { return s.Scripts.title("PowerShell script") }

// Check says what is wrong with the options.
func (s *PowerShell) Check() []steps.OptionError {
	var f steps.OptionErrors
	s.Scripts.check(&f)
	s.Scripts.checkWindowsCodes(&f)
	checkFormat(&f, "env_var_format", s.EnvVarFormat)
	checkFormat(&f, "elevated_env_var_format", s.ElevatedEnvVarFormat)
	own := s.ExecuteCommand
	if s.ElevatedUser != "" {
		own = s.ElevatedExecuteCommand
	}
	if own == "" {
		checkEnd(&f, "remote_path", s.RemotePath, ".ps1")
	}
	if s.ElevatedUser != "" {
		mustRun(&f, "elevated_execute_command", s.ElevatedExecuteCommand, "Path", s.RemotePath)
	} else {
		mustRun(&f, "execute_command", s.ExecuteCommand, "Path", s.RemotePath)
	}
	checkEnd(&f, "remote_env_var_path", s.RemoteEnvVarPath, ".ps1")
	checkElevated(&f, s.ElevatedUser, s.ElevatedPassword)
	pointless := func(option string, given, because bool, why string) {
		if given && because {
			f.Idle(option, "%s", why)
		}
	}
	const unelevated = "there is no elevated_user"
	pointless("elevated_execute_command", s.ElevatedExecuteCommand != "", s.ElevatedUser == "", unelevated)
	pointless("elevated_env_var_format", s.ElevatedEnvVarFormat != "", s.ElevatedUser == "", unelevated)
	pointless("execute_command", s.ExecuteCommand != "", s.ElevatedUser != "", "with elevated_user it is elevated_execute_command that counts")
	pointless("env_var_format", s.EnvVarFormat != "", s.ElevatedUser != "", "with elevated_user it is elevated_env_var_format that counts")
	const ruled = "the command is your own: say it there"
	pointless("execution_policy", s.ExecutionPolicy != "", own != "", ruled)
	pointless("debug_mode", s.DebugMode != 0, own != "", ruled)
	pointless("use_pwsh", s.UsePwsh, own != "", ruled)
	for _, format := range []string{"env_var_format", "remote_env_var_path"} {
		given := format == "env_var_format" && s.format() != "" || format == "remote_env_var_path" && s.RemoteEnvVarPath != ""
		if format == "env_var_format" && s.ElevatedUser != "" {
			format = "elevated_env_var_format"
		}
		pointless(format, given, own != "" && !uses(own, "Vars"), "the command is your own and has no {{.Vars}}; the environment is set anyway")
	}
	if s.ExecutionPolicy != "" && !slices.Contains(executionPolicies, strings.ToLower(s.ExecutionPolicy)) {
		f.Add("execution_policy", "%q is not known: it is one of %s", s.ExecutionPolicy, strings.Join(executionPolicies, ", "))
	}
	if s.DebugMode < 0 || s.DebugMode > 2 {
		f.Add("debug_mode", "%d is not a trace level: it is 0, 1 or 2", s.DebugMode)
	}
	notNegative(&f, "start_retry_timeout", s.StartRetryTimeout)
	notNegative(&f, "pause_after", s.PauseAfter)
	return f
}

// format is how the user wants variables to be written, "" for no such wish.
func (s PowerShell) format() string {
	if s.ElevatedUser != "" {
		return s.ElevatedEnvVarFormat
	}
	return s.EnvVarFormat
}

// Communicators is the one of Windows.
func (*PowerShell) Communicators() []string { return []string{"winrm"} }

// Add adds the step to the graph.
func (s *PowerShell) Add(g *dag.Graph, b dag.Build, name string, on dag.Out[comm.Machine]) dag.Out[comm.Machine] {
	step := *s
	step.On, step.Build = on.Take(), b.Labelled()
	return dag.Add(g, b, name, step)
}

// Do runs the scripts that have not been run by an earlier process.
func (s PowerShell) Do(ctx context.Context, e *comm.Env, t *dag.Task) (comm.Machine, error) {
	return onWindows(ctx, e, t, s.On.Value(), s.Common, s.run)
}

func (s PowerShell) run(ctx context.Context, r comm.Windows, v values, try int) error {
	env, err := s.environ(v, s.Build, true)
	if err != nil {
		return err
	}
	scripts, err := s.load(v, func(text []byte, _ bool) []byte {
		if s.Binary {
			return text
		}
		return withBOM(text)
	})
	if err != nil {
		return err
	}
	w := winScripts{Scripts: s.Scripts, word: "PowerShell", start: s.StartRetryTimeout, remote: r, v: v,
		job: func(token string, script source) (winJob, error) { return s.job(v, token, script, env) }}
	if err := w.run(ctx, try, scripts); err != nil {
		return err
	}
	if s.PauseAfter > 0 {
		v.t.Say("pausing %s after the script", s.PauseAfter)
		return sleep.For(ctx, s.PauseAfter)
	}
	return nil
}

// withBOM marks text as UTF-8, which Windows PowerShell takes for the machine's
// code page otherwise.
func withBOM(text []byte) []byte {
	const bom = "\xef\xbb\xbf"
	plain := !bytes.ContainsFunc(text, func(r rune) bool { return r >= utf8.RuneSelf })
	if plain || !utf8.Valid(text) || bytes.HasPrefix(text, []byte(bom)) {
		return text
	}
	return append([]byte(bom), text...)
}

// job is how one script runs.
func (s PowerShell) job(v values, token string, script source, env [][2]string) (j winJob, err error) {
	if j.Path, err = winPath(v, s.RemotePath, script, token, ".ps1", s.SkipClean); err != nil {
		return j, err
	}
	j.Ext, j.Keep = ".ps1", s.SkipClean
	if j.Elevate, err = elevate(v, s.ElevatedUser, s.ElevatedPassword); err != nil {
		return j, err
	}
	option, command := "execute_command", s.ExecuteCommand
	if s.ElevatedUser != "" {
		option, command = "elevated_execute_command", s.ElevatedExecuteCommand
	}
	vars, err := s.vars(v, &j, token, env, command)
	if err != nil {
		return j, err
	}
	if command != "" {
		j.Command, err = v.render(option, command, map[string]any{"Path": "{{.Path}}", "Vars": vars})
		return j, err
	}
	if j.Files == nil {
		j.Files = map[string][]byte{}
	}
	j.Files["wrap.ps1"] = []byte(psWrap)
	exe := "powershell"
	if s.UsePwsh {
		exe = "pwsh"
	}
	// The policy is for the script. The wrapper sets it, and must run itself.
	j.Command = exe + ` -NonInteractive -ExecutionPolicy Bypass -File "{{.Dir}}\wrap.ps1" -imgflowScript "{{.Path}}"`
	switch policy := strings.ToLower(s.ExecutionPolicy); policy {
	case "", "bypass":
	case "none":
		j.Command += " -imgflowPolicy undefined"
	default:
		j.Command += " -imgflowPolicy " + policy
	}
	if s.DebugMode > 0 {
		j.Command += fmt.Sprintf(" -imgflowTrace %d", s.DebugMode)
	}
	if vars != "" {
		j.Command += ` -imgflowVars "` + vars + `"`
	}
	return j, nil
}

// vars hands the variables to the job: as its environment, or where the user asks
// for a script that sets them, as that, whose path it returns.
func (s PowerShell) vars(v values, j *winJob, token string, env [][2]string, command dag.Text) (path string, err error) {
	if path, err = v.render("remote_env_var_path", s.RemoteEnvVarPath, nil); err != nil {
		return "", err
	}
	if file := uses(command, "Vars") || command == "" && (path != "" || s.format() != ""); !file {
		j.Env = envMap(env)
		return "", nil
	}
	files := map[string]string{"": psVars, ".txt": dataLines(env)}
	if s.format() != "" {
		files = map[string]string{"": string(withBOM([]byte(assignments(env, s.format(), backticked))))}
	}
	if path == "" {
		j.Files = map[string][]byte{}
		for tail, text := range files {
			j.Files["vars.ps1"+tail] = []byte(text)
		}
		return `{{.Dir}}\vars.ps1`, nil
	}
	if p := pathsOf(v.m); p.slashed(path) {
		path = p.join(path, "vars-"+token+".ps1")
	}
	j.files = map[string]string{}
	for tail, text := range files {
		j.files[path+tail] = text
	}
	return path, nil
}

// backticked is for a value in double quotes of PowerShell, for which it takes
// the typographic ones, too.
func backticked(s string) string {
	return strings.NewReplacer("`", "``", "$", "`$", `"`, "`\"", "'", "`'", "\u201c", "`\u201c", "\u201d", "`\u201d", "\u201e", "`\u201e").Replace(s)
}

// elevate is who runs something with all rights, with values that only the build knows;
// nil for no user.
func elevate(v values, as dag.Text, secret dag.Secret) (*comm.Elevate, error) {
	if as == "" {
		return nil, nil
	}
	user, err := v.render("elevated_user", as, nil)
	if err != nil {
		return nil, err
	}
	if user == "" {
		return nil, errors.New("cannot run elevated: elevated_user is empty")
	}
	password, err := v.render("elevated_password", dag.Text(secret), nil)
	if err != nil {
		return nil, err
	}
	return &comm.Elevate{User: user, Password: password}, nil
}
