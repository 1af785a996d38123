//go:build unix

package provision

import (
	"os/exec"
	"syscall"
)

// ownGroup makes the end of the context end all that the command has started,
// and keeps a Ctrl-C, which is for us, from it.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
