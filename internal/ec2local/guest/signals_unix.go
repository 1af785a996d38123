//go:build unix

package guest

import (
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

// inherited are the signals that a program may have been started without: HUP
// under nohup, INT and QUIT in the background of a script, PIPE in a program
// that ignores it; CONT and others in what some supervisors start. Nothing that
// runs on a machine has booted so: a shell could not trap them, and a terminal that
// hangs up would end nothing.
var inherited = []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGPIPE, syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU}

// freshSignals lets what this process starts, or becomes, ignore none of them.
// A signal that is caught is at its default after exec; an ignored one is not.
func freshSignals() {
	signal.Notify(make(chan os.Signal, 1), inherited...)
	unignore()
}

// fresh makes a command of the server's begin with freshSignals; the server's
// own signals stay as they are.
func fresh(cmd *exec.Cmd) error {
	exe, err := os.Executable()
	if err == nil {
		cmd.Args = append([]string{rolePrefix + "fresh", cmd.Path}, cmd.Args...)
		cmd.Path = exe
	}
	return err
}

func runFresh(args []string) error {
	freshSignals()
	return &os.PathError{Op: "exec", Path: args[0], Err: syscall.Exec(args[0], args[1:], os.Environ())}
}
