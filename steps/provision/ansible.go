package provision

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/internal/quote"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// Ansible plays a playbook on the machine, by the Ansible of this computer. Over SSH it
// goes through a proxy of the build's own, and so over the connection that all other
// provisioners use, past bastions and with the machine's host key verified.
//
// When the connection is lost in the middle, or imgflow ends, the playbook is played
// again on the same machine, from its beginning; nothing before it is.
type Ansible struct {
	On           dag.Take[comm.Machine] `json:"on"`
	Build        dag.Build              `json:"build,omitzero" option:"-"`
	steps.Common `option:"-"`
	Galaxy
	Inventory

	// The playbook. Its directory is where Ansible finds roles, files and variables beside it.
	PlaybookFile steps.File `json:"playbook_file,omitzero" option:"required"`
	// The program that plays it. Default: `ansible-playbook`.
	Command string `json:"command,omitempty" key:"-"`
	// Arguments for the program, after imgflow's own. A sensitive value may stand in those of --extra-vars alone, which
	// then come from a private file. Default: none.
	ExtraArguments []dag.Text `json:"extra_arguments,omitempty" option:"late=build"`
	// Environment variables for the program, each as NAME=value. Default: none.
	AnsibleEnvVars []dag.Text `json:"ansible_env_vars,omitempty" option:"late=build"`
	// Arguments for Ansible's ssh. Default: `-o IdentitiesOnly=yes`.
	AnsibleSSHExtraArgs []dag.Text `json:"ansible_ssh_extra_args,omitempty" option:"late=build"`
	// Who logs in on the machine. The proxy takes any name, and is the user of the connection there. Default: the user
	// of this computer, and without the proxy that of the communicator.
	User dag.Text `json:"user,omitempty" option:"late=build"`
	// Goes through the proxy; `false` lets Ansible connect by itself. WinRM has none. Default: `true` over SSH.
	UseProxy *bool `json:"use_proxy,omitempty" key:"-"`
	// The port of the proxy on this computer. Default: one that is free.
	LocalPort uint16 `json:"local_port,omitempty" key:"-"`
	// The file of the proxy's private host key. Default: a new one.
	SSHHostKeyFile steps.File `json:"ssh_host_key_file,omitzero" key:"-"`
	// The file of the public key that may use the proxy; who has its private key is then up to your `ssh`. Default: a
	// new one.
	SSHAuthorizedKeyFile steps.File `json:"ssh_authorized_key_file,omitzero" key:"-"`
	// The type of the proxy's new keys: `ECDSA` or `RSA`. Default: `ECDSA`.
	AnsibleProxyKeyType string `json:"ansible_proxy_key_type,omitempty" key:"-"`
	// What Ansible calls this computer, where it runs elsewhere, as in a container. Default: `127.0.0.1`.
	ProxyHost string `json:"ansible_proxy_host,omitempty" key:"-"`
	// The address at which the proxy listens. Default: `127.0.0.1`.
	ProxyBindAddress string `json:"ansible_proxy_bind_address,omitempty" key:"-"`
	// The command that serves SFTP on the machine, for the proxy. Default: the machine's subsystem, or a usual program.
	SFTPCommand dag.Text `json:"sftp_command,omitempty" option:"late=build" key:"-"`
	// Has Ansible copy by SFTP alone. Default: `false`, which leaves the choice to it: SFTP first, then scp.
	UseSFTP bool `json:"use_sftp,omitempty" key:"-"`
	// Has Ansible use WinRM over HTTP, whatever the communicator uses. Default: `false`.
	WinRMUseHTTP bool `json:"ansible_winrm_use_http,omitempty"`
	// Accepted and without effect: no version is asked for. Default: `false`.
	SkipVersionCheck bool `json:"skip_version_check,omitempty" key:"-"`

	Beside []steps.File `json:"beside,omitempty" option:"-"` // what Ansible finds beside the playbook
}

func (Ansible) Kind() string { return "provision.ansible" }

// Title names the playbook.
func (s Ansible) Title() string {
	return "play " + filepath.Base(s.PlaybookFile.Path) + " by Ansible"
}

func (s Ansible) command() string {
	if s.Command == "" {
		return "ansible-playbook"
	}
	return s.Command
}

// besides are the directories in which Ansible looks beside a playbook or an inventory.
var besides = []string{"roles", "tasks", "handlers", "templates", "files", "vars", "group_vars", "host_vars"}

// ResolveFiles finds what a playbook is made of beside its file, so that an edit of a
// role is one of the step. What Galaxy installs there is not ours.
func (s *Ansible) ResolveFiles(find func(path string) (steps.File, error)) []steps.OptionError {
	var f steps.OptionErrors
	directoryHere(&f, find, "inventory_directory", &s.InventoryDirectory)
	dirs := []string{s.InventoryDirectory, filepath.Dir(s.InventoryFile.Path)}
	if s.PlaybookFile.Path != "" {
		dirs = append(dirs, filepath.Dir(s.PlaybookFile.Path))
	}
	for i, dir := range dirs {
		names := besides
		if i < 2 {
			names = []string{"group_vars", "host_vars"}
		}
		for _, name := range names {
			path := filepath.Join(dir, name)
			if !filepath.IsAbs(dir) || s.Galaxy.installs(find, path) {
				continue
			}
			if fi, err := os.Stat(path); err != nil || !fi.IsDir() {
				continue
			}
			file, err := find(path)
			if err != nil {
				f.Add("playbook_file", "%v", err)
			} else if !slices.Contains(s.Beside, file) {
				s.Beside = append(s.Beside, file)
			}
		}
	}
	return f
}

// Check says what is wrong with the options.
func (s *Ansible) Check() []steps.OptionError {
	var f steps.OptionErrors
	s.Galaxy.check(&f)
	s.Inventory.check(&f)
	checkPairs(&f, "ansible_env_vars", s.AnsibleEnvVars)
	checkExtraVars(&f, s.ExtraArguments)
	if t := s.AnsibleProxyKeyType; t != "" && !strings.EqualFold(t, "ECDSA") && !strings.EqualFold(t, "RSA") {
		f.Add("ansible_proxy_key_type", "%q is not known: it is ECDSA or RSA", t)
	}
	if a := s.ProxyBindAddress; a != "" && net.ParseIP(a) == nil {
		f.Add("ansible_proxy_bind_address", "%q is no address of this computer, such as 127.0.0.1", a)
	}
	if s.UseProxy != nil && !*s.UseProxy {
		for _, o := range []struct {
			name  string
			given bool
		}{
			{"local_port", s.LocalPort != 0}, {"ssh_host_key_file", s.SSHHostKeyFile != (steps.File{})},
			{"ssh_authorized_key_file", s.SSHAuthorizedKeyFile != (steps.File{})}, {"sftp_command", s.SFTPCommand != ""},
			{"ansible_proxy_key_type", s.AnsibleProxyKeyType != ""}, {"ansible_proxy_host", s.ProxyHost != ""}, {"ansible_proxy_bind_address", s.ProxyBindAddress != ""},
		} {
			if o.given {
				f.Idle(o.name, "use_proxy is false")
			}
		}
	}
	return f
}

// Communicators are those that Ansible speaks, too.
func (*Ansible) Communicators() []string { return []string{"ssh", "winrm"} }

// LocalFiles may be any: what it runs may write what it likes.
func (Ansible) LocalFiles() comm.LocalFiles { return comm.LocalFiles{Any: true} }

// Add adds the step to the graph.
func (s *Ansible) Add(g *dag.Graph, b dag.Build, name string, on dag.Out[comm.Machine]) dag.Out[comm.Machine] {
	step := *s
	step.On, step.Build = on.Take(), b.Labelled()
	return dag.Add(g, b, name, step)
}

// programs are those that have to be on this computer.
func (s *Ansible) programs() []string {
	if s.GalaxyFile == (steps.File{}) {
		return []string{s.command()}
	}
	return []string{s.command(), s.Galaxy.command()}
}

// ansibleHere plays a playbook on the machine, by programs of this computer that must be
// there.
type ansibleHere struct {
	Ansible
	env *comm.Env
}

// Prepare looks for the programs.
func (a *ansibleHere) Prepare(context.Context) error {
	if runtime.GOOS == "windows" {
		return errors.New("Ansible does not run on Windows: use ansible-local, or run imgflow where Ansible does")
	}
	return a.installed(a.env)
}

// installed looks for the programs.
func (s *Ansible) installed(e *comm.Env) error {
	for _, name := range s.programs() {
		if err := installed(e, name, "install Ansible on this computer, or say where it is by command or galaxy_command"); err != nil {
			return err
		}
	}
	return nil
}

// Do plays the playbook.
func (s Ansible) Do(ctx context.Context, e *comm.Env, t *dag.Task) (comm.Machine, error) {
	m := s.On.Value()
	if t.Resumed {
		t.Say("the playbook may have been interrupted: it is played again on the same machine")
	}
	return m, s.Try(ctx, t, func(ctx context.Context, _ int) error {
		err := s.run(ctx, e, values{t, m, e.Dir})
		if err != nil && steps.TimedOut(ctx) {
			return errors.New("the playbook was stopped")
		}
		return err
	})
}

// run is one try.
func (s Ansible) run(ctx context.Context, e *comm.Env, v values) error {
	if err := s.installed(e); err != nil {
		return err
	}
	if err := unchanged(v.dir, slices.Concat([]steps.File{s.PlaybookFile, s.InventoryFile, s.GalaxyFile}, s.Beside)...); err != nil {
		return err
	}
	return withProgram(ctx, e, v, "Ansible", func(p program) error { return s.playWith(ctx, e, v, p) })
}

// playWith has the playbook played, with all that Ansible needs.
func (s Ansible) playWith(ctx context.Context, e *comm.Env, v values, p program) (err error) {
	dir := p.scratch
	if p.environ, err = s.environ(e, v, dir); err != nil {
		return err
	}
	if err := s.Galaxy.install(ctx, e, v, p); err != nil {
		return err
	}
	w, err := s.way(ctx, e, v, dir)
	if err != nil {
		return err
	}
	defer w.close()
	if p.args, err = s.arguments(v, w, dir); err != nil {
		return err
	}
	forget, err := s.Inventory.write(e, v, w, dir, &p)
	if err != nil {
		return err
	}
	defer forget()
	p.args = append(p.args, s.PlaybookFile.Path)
	return s.play(ctx, e, v, w, p)
}

// environ is the environment of Ansible: that of local scripts, and what the user gives.
func (s Ansible) environ(e *comm.Env, v values, dir string) ([]string, error) {
	env := append(slices.Clone(e.Environ),
		"PACKER_BUILD_NAME="+s.Build.Name, "PACKER_BUILDER_TYPE="+s.Build.Type,
		"PYTHONUNBUFFERED=1", "PYTHONDONTWRITEBYTECODE=1", // what lies beside the playbook stays as it is
		"ANSIBLE_LOCAL_TEMP="+filepath.Join(dir, "tmp"), "ANSIBLE_SSH_CONTROL_PATH_DIR="+filepath.Join(dir, "cp"))
	chosen := func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return name == "NO_COLOR" || name == "ANSIBLE_NOCOLOR" || name == "ANSIBLE_FORCE_COLOR"
	}
	if !slices.ContainsFunc(e.Environ, chosen) {
		env = append(env, "ANSIBLE_FORCE_COLOR=1") // who shows the lines takes colours out where there can be none
	}
	if s.UseSFTP {
		env = append(env, "ANSIBLE_SSH_TRANSFER_METHOD=sftp")
	}
	given, err := v.pairs("ansible_env_vars", s.AnsibleEnvVars)
	return append(env, given...), err
}

// arguments are those before the playbook, without the inventory.
func (s Ansible) arguments(v values, w *way, dir string) ([]string, error) {
	vars := map[string]any{"packer_build_name": s.Build.Name, "packer_builder_type": s.Build.Type}
	if addr, err := v.of().Value("PackerHTTPAddr"); err == nil && !strings.HasPrefix(addr, "ERR_") {
		vars["packer_http_addr"] = addr
	}
	for name, value := range w.vars {
		vars[name] = value
	}
	file := filepath.Join(dir, "vars.json")
	if err := storeVars(file, vars); err != nil {
		return nil, err
	}
	args := []string{s.command(), "--extra-vars", "@" + file}
	extra, err := extraArguments(v, s.ExtraArguments, dir)
	if err != nil {
		return nil, err
	}
	if !w.windows {
		ssh := []string{"-o IdentitiesOnly=yes"}
		if len(s.AnsibleSSHExtraArgs) > 0 {
			ssh = nil
		}
		for i, a := range s.AnsibleSSHExtraArgs {
			a, err := v.render(fmt.Sprintf("ansible_ssh_extra_args[%d]", i), a, nil)
			if err != nil {
				return nil, err
			}
			ssh = append(ssh, a)
		}
		// Those of sftp and scp, too. What the user gives of them comes behind ours.
		const common = "--ssh-common-args"
		ours := shownCommand(w.ssh) // a value that begins and ends with a quote would lose both
		extra = takeArgument(extra, common, func(theirs string) { ours += " " + theirs })
		args = append(args, common+"="+ours, "--ssh-extra-args="+strings.Join(ssh, " "))
	}
	return append(args, extra...), nil
}

// takeArgument takes an argument with its value out of others.
func takeArgument(args []string, name string, take func(value string)) (rest []string) {
	for i := 0; i < len(args); i++ {
		if value, ok := strings.CutPrefix(args[i], name+"="); ok {
			take(value)
		} else if args[i] == name && i+1 < len(args) {
			i++
			take(args[i])
		} else {
			rest = append(rest, args[i])
		}
	}
	return rest
}

const (
	unreachable = 4 // the exit status when Ansible has lost a host
	maxLosses   = 2 // a playbook that always ends its own connection has to fail
)

// play runs the program, again if the connection was lost.
func (s Ansible) play(ctx context.Context, e *comm.Env, v values, w *way, p program) error {
	v.t.Say("running %s", shownCommand(p.args))
	for again := 0; ; again++ {
		code, err := p.run(ctx, e, v)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return fmt.Errorf("cannot run %s: %w", s.command(), err)
		case code == 0:
			return nil
		}
		if err := w.err(); err != nil && code == unreachable {
			return fmt.Errorf("cannot play %s: %w", filepath.Base(s.PlaybookFile.Path), err)
		}
		if code != unreachable || !w.lost() || again == maxLosses {
			return errcode.With(errcode.ScriptFailed, fmt.Errorf("%s exited with status %d: %s", s.command(), code, meaning(code)))
		}
		v.t.Warn("the connection to the machine was lost: the playbook is played again (%d of %d)", again+1, maxLosses)
	}
}

// shownCommand is a command line as a shell would take it.
func shownCommand(args []string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./@:=+,", r)
	}
	words := slices.Clone(args)
	for i, w := range words {
		if w == "" || strings.ContainsFunc(w, func(r rune) bool { return !plain(r) }) {
			words[i] = quote.Sh(w)
		}
	}
	return strings.Join(words, " ")
}

// meaning is what an exit status of ansible-playbook says.
func meaning(code int) string {
	switch code {
	case 2:
		return "tasks have failed; its output says which"
	case unreachable:
		return "the machine could not be reached, or its connection was lost"
	case 5:
		return "its arguments are wrong; its output says which"
	case 99:
		return "it was interrupted"
	case 127:
		return "it could not be started"
	}
	return "its output says why"
}
