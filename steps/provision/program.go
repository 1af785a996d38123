package provision

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/imgflow/imgflow/internal/sleep"
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
	args := append([]string{"-c", keeper, "sh", p.scratch, e.LookPath(p.args[0])}, p.args[1:]...)
	cmd := exec.CommandContext(ctx, "/bin/sh", args...)
	cmd.Dir, cmd.Env = e.Dir, p.environ
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
