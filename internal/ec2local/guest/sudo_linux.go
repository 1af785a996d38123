package guest

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/imgflow/imgflow/internal/quote"
)

// sudo stands in for the real one where that cannot work: the host has none, or
// its owner is not mapped in the guest's user namespace. It asks no password and
// grants all, as the sudoers file of a cloud image does.
func sudo(args []string) error {
	o, err := parseSudo(args)
	if err != nil || o.nothing {
		return err
	}
	a, err := lookup(o.user)
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("cannot become %s: this guest has one user only", o.user)
	}
	env := []string{"PATH=" + defaultPath, "HOME=" + a.home, "USER=" + a.name, "LOGNAME=" + a.name, "SHELL=" + a.shell, "MAIL=/var/mail/" + a.name}
	for _, e := range os.Environ() {
		k, _, _ := strings.Cut(e, "=")
		switch {
		case o.keepAll && k != "PATH", slices.Contains(o.keep, k), k == "TERM", k == "LANG", k == "LANGUAGE", k == "COLORS", strings.HasPrefix(k, "LC_"):
			env = append(env, e)
		}
	}
	env = append(env, "SUDO_USER="+os.Getenv("USER"), fmt.Sprintf("SUDO_UID=%d", os.Getuid()), fmt.Sprintf("SUDO_GID=%d", os.Getgid()),
		"SUDO_COMMAND="+strings.Join(o.argv, " "))
	if !o.keepAll {
		env = append(env, "HOME="+a.home)
	}
	env = dedup(append(env, o.set...))
	if !oneUser() {
		if err := setIDs(a); err != nil && os.Getuid() != int(a.uid) {
			return err
		}
	}
	if o.login {
		if err := os.Chdir(a.home); err != nil {
			os.Chdir("/")
		}
	}
	argv := o.argv
	if o.login || o.shell || len(argv) == 0 {
		argv = []string{a.shell}
		if o.login {
			argv = append(argv, "-l")
		}
		if len(o.argv) > 0 {
			argv = append(argv, "-c", quote.Sh(o.argv...))
		}
	}
	os.Setenv("PATH", defaultPath)
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return fmt.Errorf("%s: command not found", argv[0])
	}
	return unix.Exec(path, argv, env)
}
