package guest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const etcUnits = "/etc/systemd/system"

// links are those that [Install] asks for.
func (u *unit) links() []string {
	var out []string
	for key, dir := range map[string]string{"Install.WantedBy": ".wants", "Install.RequiredBy": ".requires"} {
		for _, t := range u.words(key) {
			out = append(out, filepath.Join(etcUnits, t+dir, u.name))
		}
	}
	for _, a := range u.words("Install.Alias") {
		out = append(out, filepath.Join(etcUnits, a))
	}
	slices.Sort(out)
	return out
}

func (c *control) enable(u *unit) error {
	if err := mustRoot(); err != nil {
		return err
	}
	switch {
	case u.masked:
		return fmt.Errorf("cannot enable %s: it is masked", u.name)
	case u.path == "":
		return fmt.Errorf("cannot enable %s: there is no such unit file", u.name)
	}
	links := u.links()
	if u.script {
		links = []string{filepath.Join(etcUnits, "multi-user.target.wants", u.name)}
	}
	if len(links) == 0 {
		fmt.Fprintln(os.Stderr, u.name+" has no [Install] section: it is not enabled, other units start it")
	}
	for _, l := range links {
		if t, err := os.Readlink(l); err == nil && t == u.path {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(l), 0o755); err != nil {
			return err
		}
		os.Remove(l)
		if err := os.Symlink(u.path, l); err != nil {
			return err
		}
		if !c.quiet {
			fmt.Fprintf(os.Stderr, "Created symlink %s -> %s.\n", l, u.path)
		}
	}
	for _, also := range u.words("Install.Also") {
		v, err := loadUnit(also)
		if err == nil && v.path != "" && len(v.words("Install.Also")) == 0 {
			err = (&control{out: c.out, quiet: c.quiet}).enable(v)
		}
		if err != nil {
			return err
		}
	}
	if c.now {
		return c.start(u)
	}
	return nil
}

func (c *control) disable(u *unit) error {
	if err := mustRoot(); err != nil {
		return err
	}
	if u.path == "" && !u.masked {
		return fmt.Errorf("cannot disable %s: there is no such unit file", u.name)
	}
	if err := c.unlink(u); err != nil {
		return err
	}
	if c.now {
		return c.stop(u)
	}
	return nil
}

func (c *control) unlink(u *unit) error {
	var links []string
	for _, p := range []string{"*.wants", "*.requires"} {
		m, _ := filepath.Glob(filepath.Join(etcUnits, p, u.name))
		links = append(links, m...)
	}
	for _, a := range u.words("Install.Alias") {
		if t, err := os.Readlink(filepath.Join(etcUnits, a)); err == nil && filepath.Base(t) == u.name {
			links = append(links, filepath.Join(etcUnits, a))
		}
	}
	for _, l := range links {
		if err := os.Remove(l); err != nil {
			return err
		}
		if !c.quiet {
			fmt.Fprintf(os.Stderr, "Removed %s.\n", l)
		}
	}
	return nil
}

func (u *unit) fileState() string {
	switch {
	case builtin(u.name):
		return "enabled"
	case u.masked:
		return "masked"
	case u.path == "":
		return ""
	}
	for _, p := range []string{"*.wants", "*.requires"} {
		if m, _ := filepath.Glob(filepath.Join(etcUnits, p, u.name)); len(m) > 0 {
			return "enabled"
		}
	}
	if u.script {
		if m, _ := filepath.Glob(filepath.Join("/etc/rc[2345].d/S*" + filepath.Base(u.path))); len(m) > 0 {
			return "enabled"
		}
		return "disabled"
	}
	if len(u.links()) == 0 && len(u.words("Install.Also")) == 0 {
		return "static"
	}
	return "disabled"
}

func (c *control) isEnabled(u *unit) error {
	st := u.fileState()
	if st == "" {
		if !c.quiet {
			fmt.Fprintf(os.Stderr, "there is no unit file %s\n", u.name)
		}
		return exitCode(1)
	}
	c.say("%s", st)
	if st == "disabled" || st == "masked" {
		return exitCode(1)
	}
	return nil
}

func (c *control) isActive(u *unit) error {
	st := u.state()
	c.say("%s", st.Active)
	if st.Active != "active" {
		return exitCode(3)
	}
	return nil
}

func (c *control) isFailed(u *unit) error {
	st := u.state()
	c.say("%s", st.Active)
	if st.Active != "failed" {
		return exitCode(1)
	}
	return nil
}

func (c *control) mask(u *unit) error {
	if err := mustRoot(); err != nil {
		return err
	}
	l := filepath.Join(etcUnits, u.name)
	if st, err := os.Lstat(l); err == nil && st.Mode().IsRegular() {
		return fmt.Errorf("cannot mask %s: %s is a file", u.name, l)
	}
	os.Remove(l)
	if err := os.MkdirAll(etcUnits, 0o755); err != nil {
		return err
	}
	if err := os.Symlink("/dev/null", l); err != nil {
		return err
	}
	if c.now {
		return c.stop(u)
	}
	return nil
}

func (c *control) unmask(u *unit) error {
	if err := mustRoot(); err != nil {
		return err
	}
	l := filepath.Join(etcUnits, u.name)
	if t, err := os.Readlink(l); err != nil || t != "/dev/null" {
		return nil
	}
	return os.Remove(l)
}

func (c *control) status(u *unit) error {
	if u.path == "" && !u.masked && !builtin(u.name) {
		fmt.Fprintf(os.Stderr, "there is no unit %s\n", u.name)
		return exitCode(4)
	}
	st := u.state()
	fmt.Fprintf(c.out, "* %s - %s\n     Loaded: loaded (%s; %s)\n     Active: %s (%s)", u.name, u.get("Unit.Description", u.name), u.path, u.fileState(), st.Active, st.Sub)
	if st.Since != "" {
		fmt.Fprintf(c.out, " since %s", st.Since)
	}
	fmt.Fprintln(c.out)
	if st.Main > 1 {
		fmt.Fprintf(c.out, "   Main PID: %d\n", st.Main)
	}
	if st.Why != "" {
		fmt.Fprintf(c.out, "     Reason: %s\n", st.Why)
	}
	if b, err := os.ReadFile(unitLog(u.name)); err == nil && len(b) > 0 {
		lines := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
		fmt.Fprintf(c.out, "\n%s\n", strings.Join(lines[max(0, len(lines)-10):], "\n"))
	}
	if st.Active != "active" {
		return exitCode(3)
	}
	return nil
}

func (c *control) show(u *unit) error {
	st := u.state()
	load := "loaded"
	switch {
	case u.masked:
		load = "masked"
	case u.path == "" && !builtin(u.name) && st.Active != "active":
		load = "not-found"
	}
	yes := func(b bool) string { return map[bool]string{true: "yes", false: "no"}[b] }
	source := ""
	if u.script {
		source = u.path
	}
	all := []struct{ k, v string }{
		{"Id", u.name}, {"Names", u.name}, {"Description", u.get("Unit.Description", u.name)}, {"LoadState", load}, {"ActiveState", st.Active}, {"SubState", st.Sub},
		{"UnitFileState", u.fileState()}, {"FragmentPath", u.path}, {"SourcePath", source}, {"Type", u.get("Service.Type", "simple")},
		{"MainPID", strconv.Itoa(st.Main)}, {"CanReload", yes(len(u.all("Service.ExecReload")) > 0)}, {"CanStart", yes(load == "loaded")},
		{"CanStop", yes(load == "loaded")}, {"User", u.get("Service.User", "")}, {"Result", map[bool]string{true: "exit-code", false: "success"}[st.Active == "failed"]},
		{"NeedDaemonReload", "no"}, {"TriggeredBy", ""}, {"Triggers", ""},
	}
	for _, p := range all {
		if len(c.props) > 0 && !slices.Contains(c.props, p.k) {
			continue
		}
		if c.value {
			fmt.Fprintln(c.out, p.v)
		} else {
			fmt.Fprintf(c.out, "%s=%s\n", p.k, p.v)
		}
	}
	return nil
}

func (c *control) cat(u *unit) error {
	if u.path == "" {
		return fmt.Errorf("cannot show %s: there is no such unit file", u.name)
	}
	b, err := os.ReadFile(u.path)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "# %s\n%s", u.path, b)
	return nil
}

// runScript calls a script of /etc/init.d with its output on ours. The variable
// keeps LSB functions from calling systemctl again.
func runScript(path string, args ...string) error {
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), "_SYSTEMCTL_SKIP_REDIRECT=1", "PATH="+defaultPath)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	var x *exec.ExitError
	if errors.As(err, &x) {
		return exitCode(max(1, x.ExitCode()))
	}
	return err
}

func runEnv(argv []string, env map[string]string) error {
	cmd := exec.Command(argv[0], argv[1:]...)
	for k, v := range env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}

// service is the shim of the command: service NAME ACTION [option ...].
func service(args []string) error {
	if len(args) == 1 && args[0] == "--status-all" {
		es, err := os.ReadDir("/etc/init.d")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, e := range es {
			fmt.Fprintf(os.Stdout, " [ ? ]  %s\n", e.Name())
		}
		return nil
	}
	if len(args) < 2 || strings.HasPrefix(args[0], "-") {
		return errors.New("usage: service NAME start|stop|restart|reload|force-reload|status")
	}
	u, err := loadUnit(args[0])
	if err != nil {
		return err
	}
	if (u.path != "" || builtin(u.name)) && unitVerbs[args[1]] != nil {
		return systemctl([]string{args[1], u.name})
	}
	script := filepath.Join("/etc/init.d", filepath.Base(args[0]))
	if _, err := os.Stat(script); err != nil {
		if u.path != "" {
			return fmt.Errorf("%s: action %s is not supported by the embedded EC2", args[0], args[1])
		}
		return fmt.Errorf("%s: unrecognized service", args[0])
	}
	return runScript(script, args[1:]...)
}
