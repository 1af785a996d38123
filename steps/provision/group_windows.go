package provision

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// ownGroup keeps a Ctrl-C, which is for us, from the command.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}

func openLock(string) (*os.File, error) { return nil, errors.ErrUnsupported }

func tryLock(*os.File) (bool, error) { return false, errors.ErrUnsupported }
