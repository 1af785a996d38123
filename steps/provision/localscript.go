package provision

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/quote"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// LocalScriptOptions are the options of scripts that run on this computer.
type LocalScriptOptions struct {
	Scripts

	// One command to run, an older word for an `inline` of one line. Default: none.
	Command dag.Text `json:"command,omitempty" option:"late=build"`
	// How one variable is written where {{.Vars}} stands: a format with two %s, for name and value. Default:
	// NAME='VALUE'; on Windows set NAME=VALUE.
	EnvVarFormat string `json:"env_var_format,omitempty"`
	// The program that runs the script, and its arguments. Default: the shell of the system.
	ExecuteCommand []dag.Text `json:"execute_command,omitempty" option:"late=Vars+Script+Command+build"`
	// The first line of an `inline` script, behind #!. Default: `/bin/sh -e`.
	InlineShebang string `json:"inline_shebang,omitempty"`
	// Systems to run on: darwin, freebsd, linux, openbsd, solaris or windows; on others it does nothing. Default: all.
	OnlyOn []string `json:"only_on,omitempty"`
	// How the name of an `inline` script's file ends. Default: .cmd on Windows.
	TempfileExtension string `json:"tempfile_extension,omitempty"`
	// Writes paths as the Linux of WSL has them. Default: `false`.
	UseLinuxPathing bool `json:"use_linux_pathing,omitempty" option:"unsupported"`
}

// Title names what is run.
func (s LocalScriptOptions) Title() string {
	return Shell{Scripts: s.asScripts()}.Title() + " on this computer"
}

var systems = []string{"darwin", "freebsd", "linux", "openbsd", "solaris", "windows"}

// Check says what is wrong with the options.
func (s *LocalScriptOptions) Check() []steps.OptionError {
	var f steps.OptionErrors
	if s.Command != "" && len(s.Inline) > 0 {
		f.Add("command", "it cannot be given together with inline")
	}
	s.asScripts().check(&f)
	s.checkCodes(&f)
	checkFormat(&f, "env_var_format", s.EnvVarFormat)
	var command dag.Text
	for _, word := range s.ExecuteCommand {
		command += word + " "
	}
	if !uses(command, "Command") {
		mustRun(&f, "execute_command", command, "Script")
	}
	for i, name := range s.OnlyOn {
		if !slices.Contains(systems, name) {
			f.Add(fmt.Sprintf("only_on[%d]", i), "%q is not known: it is one of %s", name, strings.Join(systems, ", "))
		}
	}
	return f
}

func (s LocalScriptOptions) asScripts() Scripts {
	sc := s.Scripts
	if s.Command != "" {
		sc.Inline = []dag.Text{s.Command}
	}
	return sc
}

// RunHere runs the scripts, with the values of the machine that a build has or had.
func (s LocalScriptOptions) RunHere(ctx context.Context, e *comm.Env, t *dag.Task, m comm.Machine, b dag.Build, c steps.Common) error {
	if len(s.OnlyOn) > 0 && !slices.Contains(s.OnlyOn, runtime.GOOS) {
		t.Say("skipped: this computer runs %s", runtime.GOOS)
		return nil
	}
	if t.Resumed {
		t.Detail("a local script does not outlive an interruption: it begins again")
	}
	wrote, err := e.WatchHere(t)
	if err != nil {
		return err
	}
	return wrote(c.Try(ctx, t, func(ctx context.Context, _ int) error { return s.run(ctx, e, values{t, m, e.Dir}, b) }))
}

func (s LocalScriptOptions) run(ctx context.Context, e *comm.Env, v values, b dag.Build) error {
	sc := s.asScripts()
	env, err := sc.environ(v, b, false)
	if err != nil {
		return err
	}
	scripts, err := sc.shell(v, s.InlineShebang)
	if err != nil {
		return err
	}
	for _, script := range scripts {
		if err := s.script(ctx, e, v, sc, script, env); err != nil {
			return err
		}
	}
	return nil
}

func (s LocalScriptOptions) script(ctx context.Context, e *comm.Env, v values, sc Scripts, script source, env [][2]string) error {
	path := script.path
	if path == "" {
		var err error
		if path, err = s.store(e.TempDir(), []byte(e.Here(string(script.text)))); err != nil {
			return fmt.Errorf("cannot run the inline script: %w", err)
		}
		defer os.Remove(path)
		v.t.Say("running local inline shell script")
	} else {
		v.t.Say("running local shell script: %s", script.name)
	}
	args, err := s.command(v, path, env)
	if err != nil {
		return err
	}
	for i := range args {
		args[i] = e.Here(args[i])
	}
	cmd := exec.CommandContext(ctx, e.LookPath(args[0]), args[1:]...)
	cmd.Args[0] = args[0]
	cmd.Dir, cmd.Env = e.Dir, slices.Clone(e.Environ)
	for _, kv := range env {
		cmd.Env = append(cmd.Env, kv[0]+"="+e.Here(kv[1]))
	}
	ownGroup(cmd)
	cmd.WaitDelay = 2 * time.Second // for what was left running with our pipes
	out, errs := &printer{t: v.t, stream: "stdout"}, &printer{t: v.t, stream: "stderr"}
	cmd.Stdout, cmd.Stderr = out, errs
	err = cmd.Run()
	if perr := errors.Join(out.end(), errs.end()); perr != nil {
		return fmt.Errorf("cannot keep the output: %w", perr)
	}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil && steps.TimedOut(ctx):
		return fmt.Errorf("%s was stopped", which(script))
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		err = nil
	case !errors.As(err, &exit):
		return fmt.Errorf("cannot run %s on this computer: %w", which(script), err)
	}
	code := 0
	if exit != nil {
		code = exit.ExitCode()
	}
	if exit != nil && code < 0 {
		return fmt.Errorf("%s was ended: %v", which(script), exit)
	}
	if !sc.accepts(code) {
		return exitError(comm.Exit{Code: code}, script)
	}
	return nil
}

// store writes an inline script to a file in dir that only this user can read.
func (s LocalScriptOptions) store(dir string, text []byte) (path string, err error) {
	ext := s.TempfileExtension
	if runtime.GOOS == "windows" {
		if ext == "" {
			ext = ".cmd"
		}
		if _, rest, ok := strings.Cut(string(text), "\n"); ok && strings.HasPrefix(string(text), "#!") {
			text = []byte(rest)
		}
	}
	f, err := os.CreateTemp(dir, "imgflow-*"+ext)
	if err != nil {
		return "", err
	}
	_, err = f.Write(text)
	if err == nil && runtime.GOOS != "windows" {
		err = f.Chmod(0o700)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}

// command is what runs the script. The variables are in the environment anyway,
// so the default command need not show them to all users of this computer.
func (s LocalScriptOptions) command(v values, path string, env [][2]string) ([]string, error) {
	args := s.ExecuteCommand
	format := s.EnvVarFormat
	if runtime.GOOS == "windows" {
		if len(args) == 0 {
			args = []dag.Text{"cmd", "/V", "/C", "call", dag.Word("{{.Script}}")}
		}
		if format == "" {
			format = "set %s=%s && "
		}
		path = filepath.FromSlash(path)
	}
	if len(args) == 0 {
		args = []dag.Text{"/bin/sh", "-c", dag.Text(quote.Sh(path))}
	}
	if format == "" {
		format = "%s='%s' "
	}
	command, err := v.render("command", s.Command, nil)
	if err != nil {
		return nil, err
	}
	data := map[string]any{"Vars": assignments(env, format, quote.InSh), "Script": path, "Command": command}
	var out []string
	for i, a := range args {
		a, err := v.render(fmt.Sprintf("execute_command[%d]", i), a, data)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

// printer prints what is written to it line by line.
type printer struct {
	t      *dag.Task
	stream string
	begun  bool
	offset int64
	part   []byte
	err    error
}

func (p *printer) Write(b []byte) (int, error) {
	p.part = append(p.part, b...)
	for p.err == nil {
		line := p.part
		i := bytes.IndexByte(line, '\n')
		if i >= 0 {
			line = line[:i]
		}
		if n := p.t.Break(line); n > 0 {
			p.print(line[:n], n)
		} else if i >= 0 {
			p.print(line, i+1)
		} else {
			return len(b), nil
		}
	}
	return 0, p.err
}

// print prints one line, which takes n bytes of the stream.
func (p *printer) print(line []byte, n int) {
	if !p.begun { // behind what an earlier process or script has printed
		p.begun, p.offset = true, p.t.Printed(p.stream)
	}
	p.offset += int64(n)
	text := strings.ToValidUTF8(strings.TrimSuffix(string(line), "\r"), "\uFFFD")
	p.err = p.t.Print(p.stream, p.offset, text)
	p.part = p.part[n:]
}

func (p *printer) end() error {
	if len(p.part) > 0 && p.err == nil {
		p.print(p.part, len(p.part))
	}
	return p.err
}
