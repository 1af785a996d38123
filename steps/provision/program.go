package provision

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/imgflow/imgflow/internal/sleep"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// program is a local program that does not outlive this process, nor the step that
// has started it.
type program struct {
	args    []string
	environ []string
	scratch string   // a directory that goes with it
	lock    *os.File // held for as long as anything of it runs
}

// keeper runs a program beside a watcher, which reads a line. When there is none, since
// the process at the other end is gone, it removes the scratch directory; and then it
// ends the group that all are in. A program that only lost its output might go on.
const keeper = `scratch=$1; shift
exec 4<&0
{ read -r line || rm -rf -- "$scratch"; kill -9 0; } <&4 >/dev/null 2>&1 3>&- &
exec 4<&-
"$@" </dev/null`

// run runs it, and prints what it says. The error is that of running it at all.
func (p program) run(ctx context.Context, e *comm.Env, v values) (code int, err error) {
	args := []string{"-c", keeper, "sh", p.scratch, e.LookPath(p.args[0])}
	for _, a := range p.args[1:] {
		args = append(args, e.Here(a))
	}
	cmd := exec.CommandContext(ctx, "/bin/sh", args...)
	cmd.Dir, cmd.Env = e.Dir, slices.Clone(p.environ)
	for i, kv := range cmd.Env {
		if !slices.Contains(e.Environ, kv) { // which is of this computer
			cmd.Env[i] = e.Here(kv)
		}
	}
	if p.lock != nil {
		cmd.ExtraFiles = []*os.File{p.lock}
	}
	ownGroup(cmd)
	cmd.WaitDelay = 2 * time.Second // for what was left running with our pipes
	watched, alive, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer alive.Close()
	cmd.Stdin = watched
	out, errs := &printer{t: v.t, stream: "stdout"}, &printer{t: v.t, stream: "stderr"}
	cmd.Stdout, cmd.Stderr = out, errs
	err = cmd.Start()
	watched.Close()
	if err != nil {
		return 0, err
	}
	err = cmd.Wait()
	alive.WriteString("\n")
	if perr := errors.Join(out.end(), errs.end()); perr != nil {
		return 0, fmt.Errorf("cannot keep the output: %w", perr)
	}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return 0, ctx.Err()
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		return 0, nil
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		return exit.ExitCode(), nil
	}
	return 0, err
}

// installed looks for a program of this computer. The advice is for who does not have it.
func installed(e *comm.Env, name, advice string) error {
	path := e.LookPath(name)
	if !strings.ContainsRune(path, '/') {
		return fmt.Errorf("there is no %s in PATH: %s", name, advice)
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(e.Dir, path)
	}
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("cannot find the program: %w", err)
	}
	return nil
}

// withProgram has a program called when none that an earlier process has started for the same step
// is left, with a directory of its own that is removed when the call is over. What names the program.
func withProgram(ctx context.Context, e *comm.Env, v values, what string, call func(p program) error) error {
	lock, err := alone(ctx, filepath.Join(e.TempDir(), "imgflow-"+v.t.Token+".lock"), func() {
		v.t.Say("waiting until the %s that an earlier process has started is gone", what)
	})
	if err != nil {
		return fmt.Errorf("cannot tell whether %s still runs: %w", what, err)
	}
	defer func() {
		if ctx.Err() == nil { // otherwise what was ended may need a moment
			os.Remove(lock.Name())
		}
		lock.Close()
	}()
	dir, err := scratch(e)
	if err != nil {
		return fmt.Errorf("cannot run %s: %w", what, err)
	}
	defer os.RemoveAll(dir)
	wrote, err := e.WatchHere(v.t)
	if err != nil {
		return fmt.Errorf("cannot run %s: %w", what, err)
	}
	return wrote(call(program{scratch: dir, lock: lock}))
}

// maxScratch is how long the path of a directory may be in which sockets are: ssh adds
// some 30 characters to the name of one, and a path has room for 108.
const maxScratch = 60

// scratch makes a directory that only this user can look into.
func scratch(e *comm.Env) (string, error) {
	base := e.TempDir()
	if len(base) > maxScratch-len("/imgflow-1234567890") {
		base = "/tmp"
	}
	dir, err := os.MkdirTemp(base, "imgflow-")
	if err != nil {
		return "", err
	}
	return dir, os.Mkdir(filepath.Join(dir, "cp"), 0o700)
}

// directoryHere finds a directory of this computer that files for a program are written into.
func directoryHere(f *steps.OptionErrors, find func(path string) (steps.File, error), option string, dir *string) {
	if *dir == "" {
		return
	}
	file, err := find(*dir)
	if err == nil && !isDir(file) {
		err = fmt.Errorf("%s is not a directory", *dir)
	}
	if err != nil {
		f.Add(option, "%v", err)
		return
	}
	*dir = filepath.Clean(file.Path)
}

// writeNew writes a file that only this user can read: never through a link that somebody has put there.
func writeNew(file, text string) error {
	os.Remove(file)
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// alone takes a lock that only one program on this computer has at a time, and that
// it keeps for as long as anything of it runs: one that an earlier process has started
// may need a moment to end.
func alone(ctx context.Context, path string, waiting func()) (*os.File, error) {
	f, err := openLock(path)
	if err != nil {
		return nil, err
	}
	for told := false; ; told = true {
		free, err := tryLock(f)
		if err == nil && free {
			return f, nil
		}
		if err == nil {
			if !told {
				waiting()
			}
			err = sleep.For(ctx, 50*time.Millisecond)
		}
		if err != nil {
			f.Close()
			return nil, err
		}
	}
}
