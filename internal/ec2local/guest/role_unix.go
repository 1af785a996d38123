//go:build unix

package guest

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/pkg/sftp"
)

// rolePrefix begins the argv[0] of this program when it is executed again to be
// a part of a guest.
const rolePrefix = "ec2local-guest-"

// A role is one such part; args are without argv[0].
type role func(args []string) error

// roles and shims are filled by the files that hold them. A shim stands in for
// a program of a machine, under that program's own name.
var roles, shims = map[string]role{}, map[string]role{}

func init() {
	roles["sftp"] = serveSFTP
	roles["fresh"] = runFresh
	powerRoles()
	systemRoles()
	if len(os.Args) == 0 {
		return
	}
	name := filepath.Base(os.Args[0])
	run := roles[strings.TrimPrefix(name, rolePrefix)]
	if !strings.HasPrefix(name, rolePrefix) {
		if run = shims[name]; run == nil || !inGuest() {
			return
		}
	}
	if run == nil {
		return
	}
	err := run(os.Args[1:])
	code := 0
	if err != nil {
		code = 125
		if x, ok := err.(exitCode); ok {
			code = int(x)
		} else {
			fmt.Fprintf(os.Stderr, "%s: %v\n", strings.TrimPrefix(name, rolePrefix), err)
			if shims[name] != nil {
				code = 1
			}
		}
	}
	syscall.Exit(code) // not os.Exit: the hook of the race detector would keep every command for a second
}

// exitCode is an error that was told already.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// serveSFTP serves the protocol on stdin and stdout, starting in $HOME.
func serveSFTP([]string) error {
	s, err := sftp.NewServer(struct {
		io.Reader
		io.WriteCloser
	}{os.Stdin, os.Stdout}, sftp.WithServerWorkingDirectory(os.Getenv("HOME")))
	if err != nil {
		return err
	}
	if err = s.Serve(); err == io.EOF {
		err = nil
	}
	return err
}
