package provision

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/internal/quote"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// Guest is the option that says how commands are written for the machine.
type Guest struct {
	// The system of the machine: `unix` or `windows`. Default: `windows` over WinRM, otherwise `unix`.
	GuestOSType string `json:"guest_os_type,omitempty"`
}

func (g Guest) check(f *steps.OptionErrors) {
	if g.GuestOSType != "" && g.GuestOSType != "unix" && g.GuestOSType != "windows" {
		f.Add("guest_os_type", "%q is not known: it is unix or windows", g.GuestOSType)
	}
}

// Communicators are those that reach such a machine.
func (g Guest) Communicators() []string {
	switch g.GuestOSType {
	case "unix":
		return []string{"ssh"}
	case "windows":
		return []string{"winrm"}
	}
	return []string{"ssh", "winrm"}
}

// tool is a program of the machine's own at work for one try of a step: the files
// that it is given, and its runs. Each run happens once, however often the step is
// interrupted, and the files stay as they are while one may be going on.
type tool struct {
	r       comm.Remote
	v       values
	try     int
	sudo    bool          // takes the place of rights that the user lacks
	elevate *comm.Elevate // who runs it on Windows
	runs    int
	private []string // what nobody may find in the image
}

// withTool does run with a tool, as often as the common options say.
func withTool(ctx context.Context, e *comm.Env, t *dag.Task, m comm.Machine, c steps.Common, run func(ctx context.Context, w *tool) error) (comm.Machine, error) {
	r, err := e.Remote(t, m)
	if err != nil {
		return m, err
	}
	wrote, err := e.WatchHere(t) // what it brings from the machine
	if err != nil {
		return m, err
	}
	return m, wrote(c.Try(ctx, t, func(ctx context.Context, try int) error {
		w := &tool{r: r, v: values{t, m, e.Dir}, try: try}
		return w.do(ctx, run)
	}))
}

// do is one try of run.
func (w *tool) do(ctx context.Context, run func(ctx context.Context, w *tool) error) error {
	err := run(ctx, w)
	if ctx.Err() == nil || steps.TimedOut(ctx) { // else what runs goes on, and needs them
		w.remove(ctx, w.private...)
	}
	return err
}

func (w *tool) windows() bool { return pathsOf(w.v.m).windows() }

// quoted is a word of a command line.
func (w *tool) quoted(word string) string {
	if w.windows() {
		return `"` + word + `"`
	}
	return quote.Sh(word)
}

// temp is the directory for what is there for a while only.
func (w *tool) temp() string {
	if w.windows() {
		return "C:/Windows/Temp"
	}
	return "/tmp"
}

// staging is the directory that the user has named for the files, or the usual one.
func (w *tool) staging(named dag.Text, usual string) (string, error) {
	dir, err := w.v.render("staging_directory", named, nil)
	if err != nil || dir != "" {
		return pathsOf(w.v.m).trim(dir), err
	}
	return w.temp() + "/" + usual, nil
}

// staged is something that the tool finds on the machine.
type staged struct {
	to      string     // its directory is made
	file    steps.File // a local file, or the directory whose content it gets; none: the text
	text    string
	private bool // nobody else may read it, and it is not left in the image
}

// stage makes a directory on the machine and puts files there. It is not done again when the step goes on after
// an interruption: the tool may be reading them.
func (w *tool) stage(ctx context.Context, dir string, files []staged) error {
	for _, s := range files {
		if s.private {
			w.private = append(w.private, s.to)
		}
	}
	saved := fmt.Sprintf("staged/%d-%d", w.v.t.Attempt, w.try)
	var there bool
	if _, err := w.v.t.Load(saved, &there); err != nil || there {
		return err
	}
	if err := w.mkdir(ctx, dir, false); err != nil {
		return err
	}
	made := map[string]bool{dir: true}
	for _, s := range files {
		if err := w.send(ctx, s, made); err != nil {
			return err
		}
	}
	return w.v.t.Save(saved, true)
}

// send puts one file or directory onto the machine.
func (w *tool) send(ctx context.Context, s staged, made map[string]bool) error {
	mkdir := func(dir string, private bool) error {
		if made[dir] || w.windows() { // which makes them as files come
			return nil
		}
		made[dir] = true
		return w.mkdir(ctx, dir, private)
	}
	if s.file == (steps.File{}) {
		if err := mkdir(pathsOf(w.v.m).dir(s.to), false); err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		if s.private {
			mode = 0o600
		}
		return w.r.Upload(ctx, s.to, strings.NewReader(s.text), int64(len(s.text)), mode)
	}
	if err := unchanged(w.v.dir, s.file); err != nil {
		return err
	}
	fi, err := os.Stat(s.file.Path)
	if err != nil {
		return fmt.Errorf("cannot upload: %w", err)
	}
	if fi.IsDir() {
		if err := mkdir(s.to, s.private); err != nil {
			return err
		}
		w.v.t.Say("uploading %s => %s", shown(w.v.dir, filepath.Clean(s.file.Path)+"/"), s.to)
		if err := w.r.UploadDir(ctx, s.to, s.file.Path); err != nil || !s.private || w.windows() {
			return err
		}
		return w.exec(ctx, "keep "+s.to+" private", "chmod -R go= "+quote.Sh(s.to))
	}
	if err := mkdir(pathsOf(w.v.m).dir(s.to), false); err != nil {
		return err
	}
	w.v.t.Say("uploading %s => %s", shown(w.v.dir, s.file.Path), s.to)
	f, err := os.Open(s.file.Path)
	if err != nil {
		return fmt.Errorf("cannot upload: %w", err)
	}
	defer f.Close()
	mode := fi.Mode().Perm()
	if s.private {
		mode &= 0o700
	}
	return w.r.Upload(ctx, s.to, f, fi.Size(), mode)
}

// mkdir makes a directory that the user may write to.
func (w *tool) mkdir(ctx context.Context, dir string, private bool) error {
	if windows, ok := w.r.(comm.Windows); ok {
		if err := windows.PowerShell(ctx, psMkdir, map[string]string{"path": dir}, nil); err != nil {
			return fmt.Errorf("cannot make the directory %s on the machine: %w", dir, err)
		}
		return nil
	}
	d := quote.Sh(dir)
	command := "mkdir -p -- " + d
	if w.sudo {
		command = "if mkdir -p -- " + d + " 2>/dev/null && [ -w " + d + " ]; then :; else sudo -n mkdir -p -- " + d + " && sudo -n chown \"$(id -u)\" -- " + d + "; fi"
	}
	if private {
		command += " && chmod 700 -- " + d
	}
	return w.exec(ctx, "make the directory "+dir, command)
}

// exec does something on a POSIX machine that may be repeated.
func (w *tool) exec(ctx context.Context, what, command string) error {
	out, x, err := w.r.Exec(ctx, "{ "+command+"; } 2>&1", nil)
	if err == nil && x.Code != 0 {
		err = fmt.Errorf("%.500s", strings.TrimSpace(string(out)))
		if len(out) == 0 {
			err = fmt.Errorf("exit status %d", x.Code)
		}
	}
	if err != nil {
		return fmt.Errorf("cannot %s on the machine: %w", what, err)
	}
	return nil
}

// remove takes files and directories off the machine.
func (w *tool) remove(ctx context.Context, paths ...string) {
	if len(paths) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	var err error
	if windows, ok := w.r.(comm.Windows); ok {
		err = windows.PowerShell(ctx, psRemove, map[string]any{"paths": paths}, nil)
	} else {
		command := "rm -rf -- " + quote.Sh(paths...)
		if w.sudo {
			command += " 2>/dev/null || sudo -n " + command
		}
		err = w.exec(ctx, "remove", command)
	}
	if err != nil {
		w.v.t.Warn("%s stays on the machine, and in the image: %v", strings.Join(paths, " and "), err)
	}
}

// run has a command line run: by sh, or by cmd.exe. The environment comes to it by a
// file or as data, so that nobody finds it in a list of processes. What names it
// for the user. The status is that of a program which has ended by itself.
func (w *tool) run(ctx context.Context, what, command string, env map[string]string) (status int, err error) {
	if w.windows() {
		if n := len(command); n > maxCommand {
			return 0, fmt.Errorf("cannot run %s: its command line has %d characters, and cmd.exe takes %d", what, n, maxCommand)
		}
		return w.start(ctx, what, comm.Job{Command: command, Env: env})
	}
	var script strings.Builder
	for _, name := range slices.Sorted(maps.Keys(env)) {
		fmt.Fprintf(&script, "export %s=%s\n", name, quote.Sh(env[name]))
	}
	script.WriteString(command + "\n")
	job := comm.Job{Script: []byte(script.String()), Command: "sh {{.Path}}", Pty: w.v.m.SSH.Pty}
	if strings.Contains(command, "sudo") {
		job.Become = "sudo -n"
	}
	return w.start(ctx, what, job)
}

// runPS has a constant script run by PowerShell, which gets values by its environment.
func (w *tool) runPS(ctx context.Context, what, script string, env map[string]string) (status int, err error) {
	return w.start(ctx, what, comm.Job{Script: []byte(script), Ext: ".ps1", Env: env, Files: map[string][]byte{"wrap.ps1": []byte(psWrap)},
		Command: `powershell -NonInteractive -ExecutionPolicy Bypass -File "{{.Dir}}\wrap.ps1" -imgflowScript "{{.Path}}"`})
}

// start has a job run, the next one of this try.
func (w *tool) start(ctx context.Context, what string, job comm.Job) (status int, err error) {
	job.Token, job.Elevate = fmt.Sprintf("%s-%d-%d-%d", w.v.t.Token, w.v.t.Attempt, w.try, w.runs), w.elevate
	w.runs++
	x, err := w.r.Run(ctx, job)
	switch {
	case ctx.Err() != nil && steps.TimedOut(ctx):
		return 0, stop(ctx, w.r, job, what)
	case ctx.Err() != nil:
		return 0, ctx.Err()
	case errors.As(err, new(*comm.LostError)) || comm.HasStopped(err):
		return 0, fmt.Errorf("cannot tell how %s ended: %w", what, err)
	case err != nil:
		return 0, err
	case x.Rebooted:
		return 0, fmt.Errorf("the machine rebooted while %s ran", what)
	}
	if x.Truncated {
		w.v.t.Warn("the disk of the machine is full: some output of %s was lost", what)
	}
	if x.OOM || x.Signal != 0 {
		return x.Code, errcode.With(errcode.ScriptFailed, fmt.Errorf("%s %s", what, ending(x)))
	}
	return x.Code, nil
}

// must runs a command line that has to end well.
func (w *tool) must(ctx context.Context, what, command string, env map[string]string) error {
	code, err := w.run(ctx, what, command, env)
	return well(what, code, err)
}

// well is the error of what has to end well.
func well(what string, code int, err error) error {
	if err == nil && code != 0 {
		err = errcode.With(errcode.ScriptFailed, fmt.Errorf("%s %s", what, ending(comm.Exit{Code: code})))
	}
	return err
}

// byScript has a script of the network run by a shell, when all of it is there. It is gone
// when it has run.
func byScript(address, shell string, sudo bool, arguments string) string {
	if sudo {
		shell = "sudo " + shell
	}
	return `d=$(mktemp -d) && trap 'rm -rf "$d"' EXIT &&
{ curl -fsSL -o "$d/install.sh" ` + address + ` || wget -qO "$d/install.sh" ` + address + `; } &&
` + line(shell, `"$d/install.sh"`, arguments)
}

// identifier is a name that a variable of a shell may have.
var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// line joins what there is of the words of a command line.
func line(words ...string) string {
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), " ")
}

// mayBeRemoved refuses to have a directory removed that is hardly the tool's own.
func mayBeRemoved(dir string) error {
	clean := path.Clean(strings.ReplaceAll(dir, `\`, "/"))
	if len(clean) > 1 && clean[1] == ':' {
		clean = clean[2:]
	}
	if !strings.HasPrefix(clean, "/") || strings.Count(clean, "/") < 2 {
		return fmt.Errorf("all of %s would be removed from the machine; name a directory below one of the system's, such as /tmp/packer", dir)
	}
	return nil
}

// locate looks for the local file or directory that an option names. A step's key holds
// its content, so the name is forgotten.
func locate(f *steps.OptionErrors, look func(string) (steps.File, error), option string, name *string, into *steps.File) {
	if *name == "" {
		return
	}
	if strings.Contains(*name, dag.MarkOpen) {
		f.Add(option, "a sensitive variable cannot stand in the name of a file")
		return
	}
	file, err := look(*name)
	if err != nil {
		f.Add(option, "%v", err)
		return
	}
	*into, *name = file, ""
}

// locateDir is locate for a directory.
func locateDir(f *steps.OptionErrors, look func(string) (steps.File, error), option string, name *string, into *steps.File) {
	locate(f, func(name string) (steps.File, error) {
		file, err := look(name)
		if err == nil && !isDir(file) {
			err = fmt.Errorf("%s is a file, and a directory is expected", name)
		}
		return file, err
	}, option, name, into)
}

// locateDirs is locateDir for each of a list.
func locateDirs(f *steps.OptionErrors, look func(string) (steps.File, error), option string, names *[]string, into *[]steps.File) {
	for i := range *names {
		var dir steps.File
		if locateDir(f, look, fmt.Sprintf("%s[%d]", option, i), &(*names)[i], &dir); dir == (steps.File{}) && (*names)[i] == "" {
			f.Add(fmt.Sprintf("%s[%d]", option, i), "it is empty")
		}
		*into = append(*into, dir)
	}
	*names = nil
}

func isDir(f steps.File) bool {
	fi, err := os.Stat(f.Path)
	return err == nil && fi.IsDir()
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
