package provision

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/internal/quote"
	"github.com/imgflow/imgflow/internal/sleep"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// Shell runs scripts on the machine, one after the other.
type Shell struct {
	On           dag.Take[comm.Machine] `json:"on"`
	Build        dag.Build              `json:"build,omitzero" option:"-"`
	steps.Common `option:"-"`
	Scripts

	// How one variable is written: a format with two %s, for name and value. Default: NAME='VALUE' before the command,
	// export NAME='VALUE' in a file.
	EnvVarFormat string `json:"env_var_format,omitempty"`
	// Sends the variables as a file that the script's shell reads, in place of a part of the command. Default:
	// `false`.
	UseEnvVarFile bool `json:"use_env_var_file,omitempty"`
	// The command that runs the script. Default: the variables, then the script's path.
	ExecuteCommand dag.Text `json:"execute_command,omitempty" option:"late=Path+Vars+EnvVarFile+build"`
	// The first line of an `inline` script, behind #!. Default: `/bin/sh -e`.
	InlineShebang string `json:"inline_shebang,omitempty"`
	// The directory on the machine for the script. Default: `/tmp`.
	RemoteFolder dag.Text `json:"remote_folder,omitempty" option:"late=build"`
	// The name of the script there. Default: a generated name.
	RemoteFile dag.Text `json:"remote_file,omitempty" option:"late=build"`
	// The whole path of the script there, stronger than `remote_folder` and `remote_file`. Default: made of these two.
	RemotePath dag.Text `json:"remote_path,omitempty" option:"late=build"`
	// Leaves the scripts on the machine. Default: `false`.
	SkipClean bool `json:"skip_clean,omitempty"`
	// For how long to try to start a script, beyond the time that `ssh_timeout` has a connection tried. Default: none.
	StartRetryTimeout time.Duration `json:"start_retry_timeout,omitempty" key:"-"`
	// Takes it well that the connection ends with the script, as when the machine reboots. Default: `false`.
	ExpectDisconnect bool `json:"expect_disconnect,omitempty"`
	// How long to wait after the last script. Default: none.
	PauseAfter time.Duration `json:"pause_after,omitempty" key:"-"`
}

func (Shell) Kind() string { return "provision.shell" }

// Title names what is run.
func (s Shell) Title() string { return s.Scripts.title("shell script") }

// Check says what is wrong with the options.
func (s *Shell) Check() []steps.OptionError {
	var f steps.OptionErrors
	s.Scripts.check(&f)
	s.Scripts.checkCodes(&f)
	checkFormat(&f, "env_var_format", s.EnvVarFormat)
	mustRun(&f, "execute_command", s.ExecuteCommand, "Path", s.RemotePath, s.RemoteFile)
	field := "Vars"
	if s.UseEnvVarFile {
		field = "EnvVarFile"
	}
	if s.ExecuteCommand != "" && !uses(s.ExecuteCommand, field) && len(s.EnvironmentVars)+len(s.Env) > 0 {
		f.Doubt("execute_command", "it has no {{.%s}}, so the script does not get its environment variables", field)
	}
	notNegative(&f, "start_retry_timeout", s.StartRetryTimeout)
	notNegative(&f, "pause_after", s.PauseAfter)
	if strings.Contains(string(s.RemoteFile), "/") {
		f.Add("remote_file", "%q is not the name of a file: use remote_path for a whole path", s.RemoteFile)
	}
	return f
}

// Communicators is ssh: on Windows there are powershell and windows-shell.
func (*Shell) Communicators() []string { return []string{"ssh"} }

// Add adds the step to the graph.
func (s *Shell) Add(g *dag.Graph, b dag.Build, name string, on dag.Out[comm.Machine]) dag.Out[comm.Machine] {
	step := *s
	step.On, step.Build = on.Take(), b.Labelled()
	return dag.Add(g, b, name, step)
}

// Do runs the scripts that have not been run by an earlier process.
func (s Shell) Do(ctx context.Context, e *comm.Env, t *dag.Task) (comm.Machine, error) {
	m := s.On.Value()
	if pathsOf(m).windows() {
		return m, errors.New("cannot run shell scripts on a Windows machine: use powershell or windows-shell")
	}
	r, err := e.Remote(t, m)
	if err != nil {
		return m, err
	}
	return m, s.Try(ctx, t, func(ctx context.Context, try int) error {
		return s.run(ctx, r, values{t, m, e.Dir}, try)
	})
}

// run is one try.
func (s Shell) run(ctx context.Context, r comm.Remote, v values, try int) error {
	env, err := s.environ(v, s.Build, false)
	if err != nil {
		return err
	}
	scripts, err := s.Scripts.shell(v, s.InlineShebang)
	if err != nil {
		return err
	}
	for i, script := range scripts {
		// The same after an interruption, and never that of another try.
		token := fmt.Sprintf("%s-%d-%d-%d", v.t.Token, v.t.Attempt, try, i)
		stopped, err := s.script(ctx, r, v, token, script, env)
		if err == nil && stopped && i < len(scripts)-1 {
			err = neverRan(script, scripts[i+1])
		}
		if err != nil {
			return err
		}
	}
	if s.PauseAfter > 0 {
		v.t.Say("pausing %s after the script", s.PauseAfter)
		return sleep.For(ctx, s.PauseAfter)
	}
	return nil
}

// script runs one script, and tells whether it has stopped the machine, as it was meant to.
func (s Shell) script(ctx context.Context, r comm.Remote, v values, token string, script source, env [][2]string) (stopped bool, err error) {
	job, varFile, err := s.job(v, token, env)
	if err != nil {
		return false, err
	}
	job.Script = script.text
	if script.path == "" {
		v.t.Say("running inline shell script")
	} else {
		v.t.Say("running shell script: %s", script.name)
	}
	var before string
	if (s.disconnects() || v.m.Stops) && !v.t.Resumed { // one that has stopped already never runs this
		if before, err = bootID(ctx, r); err != nil {
			return false, err
		}
	}
	if varFile != "" {
		if err := s.sendVars(ctx, r, varFile, env); err != nil && !lateWord(v.t, err) {
			return false, err
		}
	}
	x, err := start(ctx, r, v.t, job, s.StartRetryTimeout)
	var lost *comm.LostError
	gone := false
	switch {
	case ctx.Err() != nil && steps.TimedOut(ctx):
		err = stop(ctx, r, job, which(script))
	case ctx.Err() != nil:
		return false, ctx.Err() // the script goes on, and its variables are needed
	case errors.As(err, &lost) && s.disconnects():
		gone, err = true, nil
	case errors.As(err, &lost):
		err = fmt.Errorf("cannot tell how %s ended: %w; set expect_disconnect if it is meant to stop its own connection", which(script), lost)
	case comm.HasStopped(err) && (s.disconnects() || v.m.Stops):
		gone, stopped, err = true, true, nil
	case comm.HasStopped(err):
		err = fmt.Errorf("cannot tell how %s ended: %w; set expect_disconnect if it is meant to stop the machine", which(script), err)
	}
	if err != nil {
		s.dropVars(ctx, r, v.t, varFile)
		return false, err
	}
	if x.Rebooted && !s.disconnects() {
		s.dropVars(ctx, r, v.t, varFile)
		return false, fmt.Errorf("the machine rebooted while %s ran: set expect_disconnect if it is meant to", which(script))
	}
	ok := gone || x.Rebooted || s.accepts(x.Code)
	if s.disconnects() && ok && !stopped {
		err := awaitReboot(ctx, r, v.t, x.Rebooted, before)
		if stopped = comm.HasStopped(err); err != nil && !stopped {
			return false, err
		}
	}
	if stopped {
		halted(v.t, job.Token, gone, varFile)
	} else {
		s.dropVars(ctx, r, v.t, varFile)
	}
	if x.Truncated {
		v.t.Warn("the disk of the machine is full: some output of %s was lost", which(script))
	}
	if x.Unread && s.ExecuteCommand != "" {
		return false, fmt.Errorf("%s never ran: execute_command ended well without reading it; look at its quotes (sh -c takes one word), and that it has {{.Path}}", which(script))
	}
	if ok {
		return stopped, nil
	}
	return false, exitError(x, script)
}

// lateWord reports whether an error says that a machine has stopped, which a script may have done
// that an earlier process has begun: what has become of it is for the run to tell.
func lateWord(t *dag.Task, err error) bool { return t.Resumed && comm.HasStopped(err) }

// neverRan is the error of a script that comes after one that has stopped the machine.
func neverRan(stopped, next source) error {
	return fmt.Errorf("cannot run %s: %s has stopped the machine", which(next), which(stopped))
}

// halted tells of a machine that its script has stopped, as it was meant to. The
// files of a run that nobody has seen end are still on its disk, and those that would be removed
// after it.
func halted(t *dag.Task, token string, gone bool, files ...string) {
	t.Say("the machine has stopped")
	for _, file := range files {
		if file != "" {
			t.Warn("the script has stopped the machine before %s could be removed: the image holds the variables", file)
		}
	}
	if gone {
		t.Warn("the script has stopped the machine before the files of its run could be removed: the image holds them, in a directory imgf-%s; "+
			"let the script end before the machine stops (`shutdown -h +1`, `shutdown /s /t 10`), or leave stopping it to imgflow", token)
	}
}

const pauseRestart = 2 * time.Second

// start runs the job, again when it could not be started and there is time left.
// Running twice what has begun is not possible: its token is the same.
func start(ctx context.Context, r comm.Remote, t *dag.Task, job comm.Job, patience time.Duration) (comm.Exit, error) {
	for begin := time.Now(); ; {
		x, err := r.Run(ctx, job)
		if err == nil || ctx.Err() != nil || errors.As(err, new(*comm.LostError)) || time.Since(begin)+pauseRestart > patience {
			return x, err
		}
		t.Retrying(err, pauseRestart)
		if err := sleep.For(ctx, pauseRestart); err != nil {
			return x, err
		}
	}
}

func (s Shell) disconnects() bool {
	return s.ExpectDisconnect || len(s.ValidExitCodes) > 0 && s.accepts(lostCode)
}

func which(s source) string {
	if s.path == "" {
		return "the inline script"
	}
	return s.name
}

// status is an exit status as its system writes it: those of Windows that tell a
// crash are known by their hexadecimal form.
func status(code int) string {
	if code >= 0 && code < 1<<30 {
		return strconv.Itoa(code)
	}
	return fmt.Sprintf("%d (0x%08X)", code, uint32(code))
}

// exitError says how a script failed.
func exitError(x comm.Exit, script source) error {
	return errcode.With(errcode.ScriptFailed, fmt.Errorf("script %s: %s", ending(x), which(script)))
}

// ending says how something ended that failed.
func ending(x comm.Exit) string {
	switch {
	case x.OOM:
		return "was probably killed since the machine has too little memory (try a larger one)"
	case x.Signal != 0:
		return fmt.Sprintf("was killed by signal %d", x.Signal)
	}
	return fmt.Sprintf("exited with status %s", status(x.Code))
}

// job is how one script runs, and where its variables lie on the machine if they
// are to be in a file.
func (s Shell) job(v values, token string, env [][2]string) (job comm.Job, varFile string, err error) {
	paths := map[string]string{}
	for option, text := range map[string]dag.Text{"remote_folder": s.RemoteFolder, "remote_file": s.RemoteFile, "remote_path": s.RemotePath} {
		if paths[option], err = v.render(option, text, nil); err != nil {
			return job, "", err
		}
	}
	folder := paths["remote_folder"]
	if folder == "" {
		folder = "/tmp"
	}
	job = comm.Job{Token: token, Path: paths["remote_path"], Keep: s.SkipClean, Pty: v.m.SSH.Pty}
	if job.Path == "" && (s.RemoteFolder != "" || s.RemoteFile != "" || s.SkipClean) {
		file := paths["remote_file"]
		if file == "" {
			file = "script-" + token + ".sh"
		}
		job.Path = path.Join(folder, file)
	}
	command := s.ExecuteCommand
	data := map[string]any{"Path": job.Path, "Vars": "", "EnvVarFile": ""}
	if job.Path == "" {
		data["Path"] = "{{.Path}}" // in the run's own directory, which is known there only
	}
	if s.UseEnvVarFile {
		varFile = path.Join(folder, "varfile-"+token+".sh")
		data["EnvVarFile"] = varFile
		if command == "" {
			command = ". " + envVarFile + " && " + scriptPath
		}
	} else {
		data["Vars"] = assignments(env, s.format("%s='%s' "), quote.InSh)
		if command == "" {
			command = envVars + scriptPath
		}
	}
	if job.Command, err = v.render("execute_command", command, data); err != nil {
		return job, "", err
	}
	if strings.Contains(job.Command, "sudo") {
		job.Become = "sudo -n" // what root runs cannot be signalled otherwise
	}
	return job, varFile, nil
}

func (s Shell) format(otherwise string) string {
	if s.EnvVarFormat != "" {
		return s.EnvVarFormat
	}
	return otherwise
}

func (s Shell) sendVars(ctx context.Context, r comm.Remote, file string, env [][2]string) error {
	text := assignments(env, s.format("export %s='%s'\n"), quote.InSh)
	return r.Upload(ctx, file, strings.NewReader(text), int64(len(text)), 0o600)
}

// dropVars removes the file of variables, which may hold secrets, even when the
// scripts are to stay.
func (s Shell) dropVars(ctx context.Context, r comm.Remote, t *dag.Task, file string) {
	if file == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if _, x, err := r.Exec(ctx, "rm -f "+quote.Sh(file), nil); err != nil || x.Code != 0 {
		t.Warn("cannot remove %s from the machine: the image would hold the variables", file)
	}
}

// stop ends a script whose time is up.
func stop(ctx context.Context, r comm.Remote, job comm.Job, name string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	err := fmt.Errorf("%s was stopped", name)
	if cerr := r.Cancel(ctx, job); cerr != nil {
		err = fmt.Errorf("%s may still run: %w", name, cerr)
	}
	return err
}
