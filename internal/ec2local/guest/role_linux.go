package guest

import (
	"errors"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// oneIDFile is in a guest that has uid 0 alone.
const oneIDFile = "/run/.guest/one-id"

// oneUser says that no process of this guest can change its user.
func oneUser() bool { _, err := os.Stat(oneIDFile); return err == nil }

func systemRoles() {
	systemctlVerbs()
	roles["wait"] = waitMapped
	roles["init"] = guestInit
	roles["pid1"] = pid1
	roles["late"] = lateBoot
	roles["unit"] = superviseUnit
	roles["probe"] = probeChild
	roles["probe-mapped"] = probeMapped
	roles["base"] = func(a []string) error { return writeBase(a[0], os.Stdin) }
	roles["import"] = importRole
	roles["cp"] = func(a []string) error { return copyTree(a[0], a[1]) }
	roles["tar"] = func(a []string) error { return exportTar(os.Stdout, a[0], a[1:]) }
	roles["rm"] = func(a []string) error {
		var errs []error
		for _, d := range a {
			errs = append(errs, os.RemoveAll(d))
		}
		return errors.Join(errs...)
	}
	shims["sudo"] = func(a []string) error {
		if os.Getenv(processVar) != "" {
			return processSudo(a)
		}
		return sudo(a)
	}
	shims["systemctl"] = systemctl
	shims["service"] = service
	shims["cloud-init"] = cloudInit
}

// waitMapped waits, in a user namespace without ids, for newuidmap; capabilities
// come with the exec after it.
func waitMapped(args []string) error {
	runtime.LockOSThread()
	if _, err := os.NewFile(4, "mapped").Read(make([]byte, 1)); err != nil {
		return err
	}
	return unix.Exec("/proc/self/exe", args, os.Environ())
}
