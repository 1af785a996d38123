package guest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// systemctl is the shim of the command. There is no systemd in a guest: services
// run under a supervisor each, and what has no meaning here is refused.
func systemctl(args []string) error {
	c := &control{out: os.Stdout}
	verb, units, err := c.options(args)
	if err != nil {
		return err
	}
	if len(units) == 0 {
		if f := plainVerbs[verb]; f != nil {
			return f(c)
		}
	}
	f := unitVerbs[verb]
	switch {
	case f == nil && plainVerbs[verb] == nil && verb != "":
		return fmt.Errorf("%s is not supported by the embedded EC2", verb)
	case verb == "":
		return errors.New("listing units is not supported by the embedded EC2; name a unit: systemctl status UNIT")
	case f == nil || len(units) == 0:
		return fmt.Errorf("%s: wrong number of arguments", verb)
	}
	code := exitCode(0)
	for _, name := range units {
		u, err := loadUnit(name)
		if err == nil {
			err = f(c, u)
		}
		if err != nil {
			var x exitCode
			if !errors.As(err, &x) {
				x = 1
				fmt.Fprintln(os.Stderr, err)
			}
			code = x
		} else if verb == "is-active" { // one that is active is enough
			return nil
		}
	}
	if code != 0 {
		return code
	}
	return nil
}

// control is one call of systemctl.
type control struct {
	out                      io.Writer
	now, quiet, value, force bool
	noBlock                  bool
	props                    []string
	signal                   string
}

func (c *control) options(args []string) (verb string, units []string, err error) {
	value := func(i *int, name string) (string, error) {
		if *i++; *i >= len(args) {
			return "", fmt.Errorf("option %s needs a value", name)
		}
		return args[*i], nil
	}
	for i := 0; i < len(args); i++ {
		a := args[i]
		name, v, has := strings.Cut(a, "=")
		if !strings.HasPrefix(a, "-") {
			if verb == "" {
				verb = a
			} else {
				units = append(units, a)
			}
			continue
		}
		switch name {
		case "--":
		case "--now":
			c.now = true
		case "-q", "--quiet":
			c.quiet = true
		case "--value":
			c.value = true
		case "-f", "--force":
			c.force = true
		case "--no-block":
			c.noBlock = true
		case "-p", "--property", "-s", "--signal":
			if !has {
				if v, err = value(&i, name); err != nil {
					return
				}
			}
			if name == "-s" || name == "--signal" {
				c.signal = v
			} else {
				c.props = append(c.props, strings.Split(v, ",")...)
			}
		case "--root":
			if strings.Trim(v, "/") != "" {
				return "", nil, fmt.Errorf("option %s is not supported by the embedded EC2", a)
			}
		case "--version":
			verb = "--version"
		case "--system", "--no-pager", "-l", "--full", "--no-reload", "--no-legend", "--plain", "--no-ask-password", "--no-wall", "--wait",
			"-a", "--all", "--job-mode", "--lines", "-T", "--show-transaction", "--legend", "--no-warn", "--preset-mode":
		case "-n", "-o", "--output", "--kill-who", "--kill-whom":
			if !has {
				if _, err = value(&i, name); err != nil {
					return
				}
			}
		default:
			if strings.HasPrefix(a, "-p") && !strings.HasPrefix(a, "--") {
				c.props = append(c.props, strings.Split(a[2:], ",")...)
				continue
			}
			return "", nil, fmt.Errorf("option %s is not supported by the embedded EC2", a)
		}
	}
	return verb, units, nil
}

var plainVerbs map[string]func(*control) error
var unitVerbs map[string]func(*control, *unit) error

// systemctlVerbs fills the tables; as literals they would lead back to themselves.
func systemctlVerbs() {
	plainVerbs = map[string]func(*control) error{
		"daemon-reload": func(*control) error { return nil }, // units are read each time
		"daemon-reexec": func(*control) error { return nil },
		"reset-failed":  func(*control) error { return nil },
		"reboot":        func(*control) error { return powerNow(Reboot, nil) },
		"poweroff":      func(*control) error { return powerNow(PowerOff, nil) },
		"halt":          func(*control) error { return powerNow(PowerOff, nil) },
		"get-default":   func(c *control) error { fmt.Fprintln(c.out, "multi-user.target"); return nil },
		"--version": func(c *control) error {
			fmt.Fprintln(c.out, "systemd 252 (not systemd: the embedded EC2's stand-in for systemctl)")
			return nil
		},
		"is-system-running": func(c *control) error { c.say("running"); return nil },
	}
	unitVerbs = map[string]func(*control, *unit) error{
		"start":                 (*control).start,
		"stop":                  (*control).stop,
		"restart":               (*control).restart,
		"try-restart":           (*control).tryRestart,
		"condrestart":           (*control).tryRestart,
		"reload":                (*control).reload,
		"reload-or-restart":     (*control).reloadOrRestart,
		"reload-or-try-restart": func(c *control, u *unit) error { return c.ifActive(u, c.reloadOrRestart) },
		"try-reload-or-restart": func(c *control, u *unit) error { return c.ifActive(u, c.reloadOrRestart) },
		"force-reload":          (*control).reloadOrRestart,
		"kill":                  (*control).kill,
		"status":                (*control).status,
		"show":                  (*control).show,
		"cat":                   (*control).cat,
		"is-active":             (*control).isActive,
		"is-failed":             (*control).isFailed,
		"is-enabled":            (*control).isEnabled,
		"enable":                (*control).enable,
		"disable":               (*control).disable,
		"reenable":              func(c *control, u *unit) error { return errors.Join(c.unlink(u), c.enable(u)) },
		"preset":                (*control).enable, // what distributions of cloud images have as preset for installed services
		"mask":                  (*control).mask,
		"unmask":                (*control).unmask,
		"reset-failed":          func(c *control, u *unit) error { return c.forget(u) },
		"set-default":           func(*control, *unit) error { return nil },
		"isolate":               func(_ *control, u *unit) error { return notHere(u, "isolate") },
	}
}

func (c *control) say(format string, a ...any) {
	if !c.quiet {
		fmt.Fprintf(c.out, format+"\n", a...)
	}
}

func notHere(u *unit, what string) error {
	return fmt.Errorf("cannot %s %s: not supported by the embedded EC2", what, u.name)
}

func mustRoot() error {
	if os.Geteuid() != 0 {
		return errors.New("interactive authentication is not supported by the embedded EC2: use sudo")
	}
	return nil
}

// state is the unit's; targets have none of their own.
func (u *unit) state() unitState {
	if builtin(u.name) || strings.HasSuffix(u.name, ".target") && slices.Contains([]string{"sysinit.target", "basic.target", "multi-user.target",
		"network.target", "network-online.target", "local-fs.target", "sockets.target", "default.target", "graphical.target", "cloud-init.target"}, u.name) {
		return unitState{Active: "active", Sub: "running", Main: 1}
	}
	return readState(u.name)
}

func (c *control) start(u *unit) error {
	if err := mustRoot(); err != nil {
		return err
	}
	fail := func(format string, a ...any) error {
		return fmt.Errorf("cannot start %s: %s", u.name, fmt.Sprintf(format, a...))
	}
	switch {
	case builtin(u.name):
		fmt.Fprintln(os.Stderr, u.name+": the SSH server of this machine is the embedded EC2's own; it runs")
		return nil
	case u.masked:
		return fail("it is masked")
	case u.path == "":
		fmt.Fprintf(os.Stderr, "cannot start %s: unit not found\n", u.name)
		return exitCode(5)
	case strings.HasSuffix(u.name, ".target"):
		return nil
	case !strings.HasSuffix(u.name, ".service"):
		return fail("only services and targets are supported by the embedded EC2")
	}
	if st := u.state(); st.Active == "active" || st.Active == "activating" && st.alive() {
		return nil
	}
	if miss := u.condition(); miss != "" {
		fmt.Fprintf(os.Stderr, "%s is not started: %s does not hold\n", u.name, miss)
		return nil
	}
	for _, d := range append(u.words("Unit.Requires"), u.words("Unit.BindsTo")...) {
		if need, err := loadUnit(d); err == nil && strings.HasSuffix(d, ".service") && need.name != u.name && need.path != "" {
			if err := c.start(need); err != nil {
				return err
			}
		}
	}
	if err := supervise(u.name, c.noBlock); err != nil {
		return fail("%v", err)
	}
	return nil
}

// supervise starts a supervisor and waits for its answer.
func supervise(name string, noBlock bool) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	env := []string{"PATH=" + defaultPath, "GOMAXPROCS=1", "GOGC=50"}
	_, err = syscall.ForkExec(guestExe, []string{rolePrefix + "unit", name}, &syscall.ProcAttr{Dir: "/", Env: env,
		Files: []uintptr{null.Fd(), null.Fd(), null.Fd(), w.Fd()}, Sys: &syscall.SysProcAttr{Setsid: true}})
	w.Close()
	if err != nil || noBlock {
		return err
	}
	b, err := io.ReadAll(r)
	switch {
	case err != nil:
		return err
	case string(b) != "ok" && len(b) > 0:
		return errors.New(string(b))
	case len(b) == 0:
		return errors.New("its supervisor died")
	}
	return nil
}

func (c *control) stop(u *unit) error {
	if err := mustRoot(); err != nil {
		return err
	}
	if builtin(u.name) {
		return notHere(u, "stop")
	}
	if u.path == "" && !u.masked {
		fmt.Fprintf(os.Stderr, "cannot stop %s: unit not found\n", u.name)
		return exitCode(5)
	}
	st := u.state()
	if u.script && st.Sub == "exited" {
		if err := runScript(u.path, "stop"); err != nil {
			return err
		}
	}
	if !st.alive() {
		return c.forget(u)
	}
	pid := st.pid()
	unix.Kill(pid, unix.SIGTERM)
	for !c.noBlock && startTime(pid) == st.Supervisor && !zombie(pid) {
		time.Sleep(10 * time.Millisecond)
	}
	return nil
}

func zombie(pid int) bool {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	return len(f) > 0 && f[0] == "Z"
}

func (c *control) forget(u *unit) error {
	if err := os.Remove(unitRun(u.name, "state")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (c *control) restart(u *unit) error {
	if builtin(u.name) {
		return c.start(u)
	}
	if u.path != "" && !u.masked {
		if err := c.stop(u); err != nil {
			return err
		}
	}
	return c.start(u)
}

func (c *control) ifActive(u *unit, f func(*unit) error) error {
	if u.state().Active != "active" {
		return nil
	}
	return f(u)
}

func (c *control) tryRestart(u *unit) error { return c.ifActive(u, c.restart) }

func (c *control) reloadOrRestart(u *unit) error {
	if st := u.state(); st.Active != "active" || len(u.all("Service.ExecReload")) == 0 {
		return c.restart(u)
	}
	return c.reload(u)
}

func (c *control) reload(u *unit) error {
	if builtin(u.name) {
		return c.start(u)
	}
	if err := mustRoot(); err != nil {
		return err
	}
	st := u.state()
	lines := u.all("Service.ExecReload")
	switch {
	case st.Active != "active":
		return fmt.Errorf("cannot reload %s: it is not active", u.name)
	case u.script:
		return runScript(u.path, "reload")
	case len(lines) == 0:
		return fmt.Errorf("cannot reload %s: it has no ExecReload", u.name)
	}
	env, err := u.environ(account{name: "root"})
	if err != nil {
		return err
	}
	env["MAINPID"] = strconv.Itoa(st.Main)
	for _, l := range lines {
		e, err := parseExec(l)
		if err == nil {
			err = runEnv(e.args(env), env)
		}
		if err != nil && !e.mayFail {
			return fmt.Errorf("cannot reload %s: %w", u.name, err)
		}
	}
	return nil
}

func (c *control) kill(u *unit) error {
	st := u.state()
	if !st.alive() || st.Main <= 1 {
		return fmt.Errorf("cannot kill %s: it does not run", u.name)
	}
	sig := unix.SIGTERM
	if c.signal != "" {
		name := strings.TrimPrefix(strings.ToUpper(c.signal), "SIG")
		if n, err := strconv.Atoi(name); err == nil {
			sig = syscall.Signal(n)
		} else if sig = unix.SignalNum("SIG" + name); sig == 0 {
			return fmt.Errorf("there is no signal %q", c.signal)
		}
	}
	return unix.Kill(st.Main, sig)
}

// startEnabled starts at boot what the image has enabled. The host's own links
// are not in a guest.
func startEnabled(out *os.File) {
	links, _ := filepath.Glob("/etc/systemd/system/*.target.wants/*")
	c := &control{out: out, quiet: true}
	seen := map[string]bool{}
	for _, l := range links {
		if _, err := os.Stat(l); err != nil || seen[filepath.Base(l)] {
			continue
		}
		seen[filepath.Base(l)] = true
		u, err := loadUnit(filepath.Base(l))
		if err == nil && !builtin(u.name) {
			err = c.start(u)
		}
		if err != nil {
			fmt.Fprintln(out, "systemd stand-in:", err)
		}
	}
}
