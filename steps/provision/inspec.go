package provision

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// InSpec tests the machine by a profile of Chef InSpec, which runs on this computer. Over SSH it
// goes through a proxy of the build's own, and so over the connection that all other
// provisioners use, past bastions and with the machine's host key verified.
//
// When the connection is lost in the middle, or imgflow ends, the profile is run
// again: it only looks.
type InSpec struct {
	On           dag.Take[comm.Machine] `json:"on"`
	Build        dag.Build              `json:"build,omitzero" option:"-"`
	steps.Common `option:"-"`

	// The profile: a local directory or file, or an address that InSpec loads it from.
	Profile string `json:"profile,omitempty" option:"required"`
	// Local files of inputs for the profile. `packer_build_name` and `packer_builder_type` are always there. Default: none.
	Attributes []steps.File `json:"attributes,omitempty"`
	// The local directory to write the file of those two inputs into. Default: a temporary one.
	AttributesDirectory string `json:"attributes_directory,omitempty" key:"-"`
	// How InSpec connects: `ssh` or `winrm`. Default: as the communicator.
	Backend string `json:"backend,omitempty"`
	// The program that runs the profile. Default: `inspec`.
	Command string `json:"command,omitempty" key:"-"`
	// Arguments for the program, after imgflow's own. Default: none.
	ExtraArguments []dag.Text `json:"extra_arguments,omitempty" option:"late=build"`
	// Environment variables for the program, each as NAME=value. Default: none.
	InspecEnvVars []dag.Text `json:"inspec_env_vars,omitempty" option:"late=build"`
	// What InSpec connects to. Default: `127.0.0.1`, where the proxy is, and over WinRM the machine.
	Host dag.Text `json:"host,omitempty" option:"late=build"`
	// Who logs in. The proxy takes any name, and is the user of the connection on the machine. Default: the user of this
	// computer, and over WinRM that of the communicator.
	User dag.Text `json:"user,omitempty" option:"late=build"`
	// The port of the proxy on this computer. Default: one that is free.
	LocalPort uint16 `json:"local_port,omitempty" key:"-"`
	// The file of the proxy's private host key. Default: a new one.
	SSHHostKeyFile steps.File `json:"ssh_host_key_file,omitzero" key:"-"`
	// The file of the public key that may use the proxy; its private key is then what your SSH agent offers. Default: a
	// new one.
	SSHAuthorizedKeyFile steps.File `json:"ssh_authorized_key_file,omitzero" key:"-"`
	// Exit statuses that count as success. Default: `0`, and `101` for tests that were skipped.
	ValidExitCodes []int `json:"valid_exit_codes,omitempty"`

	Local steps.File `json:"local,omitzero" option:"-"` // what Profile is, if that is here
}

func (InSpec) Kind() string { return "provision.inspec" }

// Title names the profile.
func (s InSpec) Title() string {
	if s.Profile != "" {
		return "test the machine by InSpec: " + s.Profile
	}
	return "test the machine by InSpec: " + filepath.Base(s.Local.Path)
}

func (s InSpec) command() string { return cmp.Or(s.Command, "inspec") }

// elsewhere is a profile that InSpec loads: an address, or a repository as git writes it.
var elsewhere = regexp.MustCompile(`^([a-z][a-z0-9+.-]*://|[^/]*@[^/]*:)`)

// ResolveFiles finds the profile, so that an edit of it is one of the step.
func (s *InSpec) ResolveFiles(find func(path string) (steps.File, error)) []steps.OptionError {
	var f steps.OptionErrors
	directoryHere(&f, find, "attributes_directory", &s.AttributesDirectory)
	if !elsewhere.MatchString(s.Profile) {
		locate(&f, find, "profile", &s.Profile, &s.Local)
	}
	return f
}

// Check says what is wrong with the options.
func (s *InSpec) Check() []steps.OptionError {
	var f steps.OptionErrors
	switch {
	case s.Profile == "" && s.Local == (steps.File{}):
		f.Add("profile", "it must name a profile: a directory, a file or an address")
	case strings.Contains(s.Profile, dag.MarkOpen):
		f.Add("profile", "a sensitive value would stand in the list of processes: have the profile fetched before, and name its directory")
	}
	if s.Backend != "" && s.Backend != "ssh" && s.Backend != "winrm" {
		f.Add("backend", "%q is not one by which this machine is reached: it is ssh or winrm", s.Backend)
	}
	for i, arg := range s.ExtraArguments {
		if sensitive(arg) {
			f.Add(fmt.Sprintf("extra_arguments[%d]", i), "a sensitive value would stand in the list of processes: give it by inspec_env_vars, or in a file of attributes")
		}
	}
	checkPairs(&f, "inspec_env_vars", s.InspecEnvVars)
	if s.Backend == "winrm" {
		for _, o := range []struct {
			name  string
			given bool
		}{
			{"local_port", s.LocalPort != 0}, {"ssh_host_key_file", s.SSHHostKeyFile != (steps.File{})},
			{"ssh_authorized_key_file", s.SSHAuthorizedKeyFile != (steps.File{})},
		} {
			if o.given {
				f.Idle(o.name, "the proxy is for SSH")
			}
		}
	}
	for i, code := range s.ValidExitCodes {
		if code < 0 || code > 255 {
			f.Add(fmt.Sprintf("valid_exit_codes[%d]", i), "%d is no exit status: they go from 0 to 255", code)
		}
	}
	return f
}

// Communicators are those that InSpec speaks, too.
func (s *InSpec) Communicators() []string {
	if s.Backend == "ssh" || s.Backend == "winrm" {
		return []string{s.Backend}
	}
	return []string{"ssh", "winrm"}
}

// LocalFiles may be any: what it runs may write what it likes.
func (InSpec) LocalFiles() comm.LocalFiles { return comm.LocalFiles{Any: true} }

// Add adds the step to the graph.
func (s *InSpec) Add(g *dag.Graph, b dag.Build, name string, on dag.Out[comm.Machine]) dag.Out[comm.Machine] {
	step := *s
	step.On, step.Build = on.Take(), b.Labelled()
	return dag.Add(g, b, name, step)
}

// inspecHere tests the machine by a profile of Chef InSpec, a program of this computer that must be there.
type inspecHere struct {
	InSpec
	env *comm.Env
}

// Prepare looks for the program.
func (a *inspecHere) Prepare(context.Context) error {
	if runtime.GOOS == "windows" {
		return errors.New("InSpec is not run from Windows: run imgflow on a system that is like Unix")
	}
	return a.installed(a.env)
}

func (s InSpec) installed(e *comm.Env) error {
	return installed(e, s.command(), "install Chef InSpec on this computer, or say where it is by command")
}

// Do runs the profile.
func (s InSpec) Do(ctx context.Context, e *comm.Env, t *dag.Task) (comm.Machine, error) {
	m := s.On.Value()
	if t.Resumed {
		t.Say("the profile may have been interrupted: it is run again, since it only looks")
	}
	return m, s.Try(ctx, t, func(ctx context.Context, _ int) error {
		err := s.run(ctx, e, values{t, m, e.Dir})
		if err != nil && steps.TimedOut(ctx) {
			return errors.New("InSpec was stopped")
		}
		return err
	})
}

// run is one try.
func (s InSpec) run(ctx context.Context, e *comm.Env, v values) error {
	if err := s.installed(e); err != nil {
		return err
	}
	if err := unchanged(v.dir, append([]steps.File{s.Local}, s.Attributes...)...); err != nil {
		return err
	}
	given, err := v.pairs("inspec_env_vars", s.InspecEnvVars)
	if err != nil {
		return err
	}
	return withProgram(ctx, e, v, "InSpec", func(p program) error {
		p.environ = slices.Concat(e.Environ, []string{"PACKER_BUILD_NAME=" + s.Build.Name, "PACKER_BUILDER_TYPE=" + s.Build.Type}, given)
		w, err := s.way(e, v, p.scratch)
		if err != nil {
			return fmt.Errorf("cannot lead InSpec to the machine: %w", err)
		}
		defer w.close()
		attributes, forget, err := s.attributes(v, p.scratch)
		if err != nil {
			return fmt.Errorf("cannot write the inputs of the profile: %w", err)
		}
		defer forget()
		if p.args, err = s.arguments(v, w, attributes); err != nil {
			return err
		}
		return s.look(ctx, e, v, w, p)
	})
}

// inspecWay is how InSpec gets to the machine.
type inspecWay struct {
	args  []string
	lost  func() bool  // has the connection been lost since this was asked last
	err   func() error // why there could be none
	close func()
}

// way leads to the machine through a proxy, or over WinRM straight.
func (s InSpec) way(e *comm.Env, v values, dir string) (*inspecWay, error) {
	host, err := v.render("host", s.Host, nil)
	if err != nil {
		return nil, err
	}
	user, err := v.render("user", s.User, nil)
	if err != nil {
		return nil, err
	}
	to := func(backend, host string, port int, user string) []string {
		return []string{"--backend", backend, "--host", host, "--port", strconv.Itoa(port), "--user", user}
	}
	if pathsOf(v.m).windows() {
		w := &inspecWay{args: to("winrm", cmp.Or(host, v.m.Host), v.m.Port, cmp.Or(user, v.m.WinRM.Username)),
			lost: func() bool { return false }, err: func() error { return nil }, close: func() {}}
		return w, s.winrm(w, v, filepath.Join(dir, "config.json"))
	}
	p, err := proxyOptions{HostKey: s.SSHHostKeyFile, Client: s.SSHAuthorizedKeyFile, Port: s.LocalPort}.listen(e, v, dir)
	if err != nil {
		return nil, err
	}
	w := &inspecWay{args: to("ssh", cmp.Or(host, "127.0.0.1"), p.Port(), cmp.Or(user, userHere(e), v.m.SSH.Username)), lost: p.lost, err: p.Err, close: p.Close}
	if p.keyFile != "" {
		w.args = append(w.args, "--key-files", p.keyFile)
	}
	return w, nil
}

// winrm has InSpec log in as the communicator does. The password is in a configuration file, which takes
// the place of the user's own: arguments are seen by all users of this computer.
func (s InSpec) winrm(w *inspecWay, v values, file string) error {
	o := v.m.WinRM
	password, err := v.t.Reveal(o.Password)
	if err != nil {
		return err
	}
	login := map[string]any{"password": password}
	if o.UseSSL {
		w.args = append(w.args, "--ssl")
		switch {
		case o.CAFile != "":
			login["ca_trust_file"] = o.CAFile
		case o.Insecure: // it cannot be told of one certificate
			w.args = append(w.args, "--self-signed")
		}
	}
	config, err := json.Marshal(map[string]any{"version": "1.1", "cli_options": login})
	if err != nil {
		return err
	}
	w.args = append(w.args, "--config", file)
	return writeNew(file, string(config))
}

// attributes writes the inputs that a profile always has, and returns what removes them.
func (s InSpec) attributes(v values, dir string) (file string, forget func(), err error) {
	text, err := json.Marshal(map[string]string{"packer_build_name": s.Build.Name, "packer_builder_type": s.Build.Type}) // is YAML, too
	if err != nil {
		return "", nil, err
	}
	file = filepath.Join(cmp.Or(s.AttributesDirectory, dir), "imgflow-"+v.t.Token+".yml")
	return file, func() { os.Remove(file) }, writeNew(file, string(text)+"\n")
}

func (s InSpec) arguments(v values, w *inspecWay, attributes string) ([]string, error) {
	args := append([]string{s.command(), "exec", cmp.Or(s.Local.Path, s.Profile)}, w.args...)
	if s.Local != (steps.File{}) && isDir(s.Local) {
		args = append(args, "--no-create-lockfile") // the profile stays as it is
	}
	args = append(args, "--input-file")
	for _, f := range s.Attributes {
		args = append(args, f.Path)
	}
	args = append(args, attributes)
	for i, text := range s.ExtraArguments {
		arg, err := v.render(fmt.Sprintf("extra_arguments[%d]", i), text, nil)
		if err != nil {
			return nil, err
		}
		args = append(args, arg)
	}
	return args, nil
}

const (
	testsFailed   = 100 // exit statuses of InSpec
	testsSkipped  = 101
	noLicence     = 172
	usageOfInSpec = 1
)

// look runs the program, again if the connection was lost.
func (s InSpec) look(ctx context.Context, e *comm.Env, v values, w *inspecWay, p program) error {
	v.t.Say("running %s", shownCommand(p.args))
	for again := 0; ; again++ {
		code, err := p.run(ctx, e, v)
		lost := w.lost() // what was not seen for that proves nothing, whatever is accepted
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return fmt.Errorf("cannot run %s: %w", s.command(), err)
		case s.accepts(code) && (code == 0 || !lost):
			return nil
		}
		if err := w.err(); err != nil {
			return fmt.Errorf("cannot test the machine by InSpec: %w", err)
		}
		if !lost || again == maxLosses {
			return errcode.With(errcode.ScriptFailed, fmt.Errorf("%s exited with status %d: %s", s.command(), code, inspecMeaning(code)))
		}
		v.t.Warn("the connection to the machine was lost: the profile is run again (%d of %d)", again+1, maxLosses)
	}
}

func (s InSpec) accepts(code int) bool {
	if len(s.ValidExitCodes) == 0 {
		return code == 0 || code == testsSkipped
	}
	return slices.Contains(s.ValidExitCodes, code)
}

// inspecMeaning is what an exit status of inspec says.
func inspecMeaning(code int) string {
	switch code {
	case testsFailed:
		return "tests have failed; its output says which"
	case testsSkipped:
		return "tests were skipped, and valid_exit_codes does not take that"
	case noLicence:
		return `the licence of Chef InSpec was not accepted: if you do, set inspec_env_vars to ["CHEF_LICENSE=accept-no-persist"]`
	case usageOfInSpec:
		return "it could not run the profile, or its arguments are wrong; its output says which"
	}
	return "its output says why"
}
