package provision

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/internal/quote"
	"github.com/imgflow/imgflow/steps"
)

// Puppet are the options that both ways to run Puppet have. Puppet has to be on the machine.
type Puppet struct {
	Guest
	// Facts beside those of the machine; `packer_build_name` and `packer_builder_type` are always there. Default:
	// none.
	Facter map[string]dag.Text `json:"facter,omitempty" option:"late=build"`
	// Takes it well when Puppet fails. Default: `false`.
	IgnoreExitCodes bool `json:"ignore_exit_codes,omitempty"`
	// Runs Puppet without sudo. Default: `false`.
	PreventSudo bool `json:"prevent_sudo,omitempty"`
	// The directory on the machine that puppet is in. Default: it is found by PATH.
	PuppetBinDir dag.Text `json:"puppet_bin_dir,omitempty" option:"late=build"`
	// The directory on the machine for what is uploaded. Default: one of Packer's name in that of temporary files.
	StagingDirectory dag.Text `json:"staging_directory,omitempty" option:"late=build"`
	// Removes the staging directory when Puppet has succeeded. Default: `false`.
	CleanStagingDirectory bool `json:"clean_staging_directory,omitempty"`
	// The directory on the machine to run Puppet in. Default: the staging directory.
	WorkingDirectory dag.Text `json:"working_directory,omitempty" option:"late=build"`
	// Runs Puppet as this user with all rights, on Windows. Default: none.
	ElevatedUser dag.Text `json:"elevated_user,omitempty" option:"late=build"`
	// The password of `elevated_user`; a service account such as SYSTEM has none. Default: none.
	ElevatedPassword dag.Secret `json:"elevated_password,omitempty" option:"late=build"`
}

func (p Puppet) check() (f steps.OptionErrors) {
	p.Guest.check(&f)
	for name := range p.Facter {
		if !identifier.MatchString(name) {
			f.Add("facter."+name, "a fact that comes by the environment has a name of letters, digits and _")
		}
	}
	if p.CleanStagingDirectory && p.StagingDirectory.Known() && p.StagingDirectory != "" {
		if err := mayBeRemoved(string(p.StagingDirectory)); err != nil {
			f.Add("staging_directory", "%v", err)
		}
	}
	checkElevated(&f, p.ElevatedUser, p.ElevatedPassword)
	if p.ElevatedUser != "" && p.GuestOSType == "unix" {
		f.Idle("elevated_user", "it is for Windows")
	}
	return f
}

func checkElevated(f *steps.OptionErrors, user dag.Text, password dag.Secret) {
	if password != "" && user == "" {
		f.Add("elevated_user", "it must be given when elevated_password is")
	}
}

// puppetCall is one call of Puppet, and what it is given.
type puppetCall struct {
	what    string // for messages
	files   []staged
	own     dag.Text          // the user's execute_command
	fields  map[string]string // what it may hold beside those of every call
	command []string          // without one: the words behind puppet
	extra   []dag.Text
	last    string // the word behind those
}

// run has Puppet do something; make says what, when the staging directory is known.
func (p Puppet) run(ctx context.Context, w *tool, b dag.Build, usual string, make func(staging string) puppetCall) error {
	staging, err := w.staging(p.StagingDirectory, usual)
	if err != nil {
		return err
	}
	work, err := w.v.render("working_directory", p.WorkingDirectory, nil)
	if err != nil {
		return err
	}
	if work == "" {
		work = staging
	}
	bin, err := w.v.render("puppet_bin_dir", p.PuppetBinDir, nil)
	if err != nil {
		return err
	}
	facts, err := p.facts(w.v, b)
	if err != nil {
		return err
	}
	if p.CleanStagingDirectory {
		if err := mayBeRemoved(staging); err != nil {
			return fmt.Errorf("cannot use clean_staging_directory: %w", err)
		}
	}
	w.sudo = !p.PreventSudo && !w.windows()
	if w.windows() {
		if w.elevate, err = elevate(w.v, p.ElevatedUser, p.ElevatedPassword); err != nil {
			return err
		}
	}
	call := make(staging)
	fields := map[string]any{"FacterVars": "", "PuppetBinDir": bin, "Sudo": w.sudo, "WorkingDir": work, "Debug": false, "ExtraArguments": ""}
	for name, value := range call.fields {
		fields[name] = value
	}
	if uses(call.own, "FacterVars") {
		if fields["FacterVars"], err = factVars(facts, w.windows()); err != nil {
			return err
		}
	}
	var extra []string
	for i, text := range call.extra {
		word, err := w.v.render(fmt.Sprintf("extra_arguments[%d]", i), text, fields)
		if err != nil {
			return err
		}
		extra = append(extra, word)
	}
	fields["ExtraArguments"] = strings.Join(extra, " ")
	command, err := w.v.render("execute_command", call.own, fields)
	if err != nil {
		return err
	}
	if command == "" {
		command = p.command(w, work, bin, line(slices.Concat(call.command, extra, []string{call.last})...))
	}
	if err := w.stage(ctx, staging, call.files); err != nil {
		return err
	}
	w.v.t.Say("running %s", call.what)
	code, err := w.run(ctx, call.what, command, facts)
	switch {
	case err != nil:
		return err
	case code != 0 && code != puppetChanged && p.IgnoreExitCodes:
		w.v.t.Warn("%s exited with status %s: ignore_exit_codes lets it", call.what, status(code))
	case code != 0 && code != puppetChanged:
		return errcode.With(errcode.ScriptFailed, fmt.Errorf("%s exited with status %s", call.what, status(code)))
	}
	if p.CleanStagingDirectory {
		w.remove(ctx, staging)
	}
	return nil
}

// puppetChanged is the status of a Puppet that has changed something as it was to,
// with --detailed-exitcodes.
const puppetChanged = 2

// command is the usual one.
func (p Puppet) command(w *tool, work, bin, arguments string) string {
	puppet := "puppet"
	if w.windows() {
		if bin != "" {
			puppet = bin + "/puppet"
		}
		if strings.Contains(puppet, " ") && !strings.Contains(puppet, "^") { // which templates of Packer put before spaces
			puppet = w.quoted(puppet)
		}
		return line("cd /d", w.quoted(work), "&&", puppet, arguments)
	}
	if bin != "" {
		puppet = quote.Sh(bin + "/puppet")
	}
	sudo := ""
	if w.sudo {
		sudo = "sudo -E"
	}
	return line("cd", quote.Sh(work), "&&", sudo, puppet, arguments)
}

// facts are the facts as Facter finds them in its environment.
func (p Puppet) facts(v values, b dag.Build) (map[string]string, error) {
	env := map[string]string{"FACTER_packer_build_name": b.Name, "FACTER_packer_builder_type": b.Type}
	for name, text := range p.Facter {
		value, err := v.render("facter."+name, text, nil)
		if err != nil {
			return nil, err
		}
		env["FACTER_"+name] = value
	}
	return env, nil
}

// factVars is that environment as a part of a command of the user's own.
func factVars(facts map[string]string, windows bool) (string, error) {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(facts)) {
		switch value := facts[name]; {
		case !windows:
			list = append(list, name+"='"+quote.InSh(value)+"'")
		case strings.ContainsAny(value, "\"\r\n"):
			return "", fmt.Errorf("cannot write %s into execute_command: its value holds a quote or a line end, which nothing keeps there; leave {{.FacterVars}} out: the environment is set anyway", name)
		default:
			list = append(list, `SET "`+name+"="+value+`"`)
		}
	}
	if windows {
		return strings.Join(list, " & "), nil
	}
	return strings.Join(list, " "), nil
}
