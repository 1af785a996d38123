//go:build !linux

package guest

import (
	"errors"
	"runtime"
)

var errNotLinux = errors.New("they need the namespaces and overlays of Linux, and this is " + runtime.GOOS +
	": run the server on Linux (a virtual machine or a privileged container will do)")

func probe(string) error { return errNotLinux }

func newSandbox(string, Windows) (Host, error) { return nil, errNotLinux }
