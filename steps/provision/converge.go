package provision

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/quote"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// Converge applies a module of Converge on the machine, with directories of modules that are uploaded.
type Converge struct {
	On           dag.Take[comm.Machine] `json:"on"`
	steps.Common `option:"-"`

	// The module to apply: its path on the machine, or its address.
	Module dag.Text `json:"module,omitempty" option:"required,late=build"`
	// Local directories of modules to upload. Default: none.
	ModuleDirs []ModuleDir `json:"module_dirs,omitempty"`
	// Parameters of the module. Default: none.
	Params map[string]dag.Text `json:"params,omitempty" option:"late=build"`
	// The directory on the machine to apply it in. Default: `/tmp`.
	WorkingDirectory dag.Text `json:"working_directory,omitempty" option:"late=build"`
	// The command that applies the module. Default: converge apply, by sudo unless `prevent_sudo` is set.
	ExecuteCommand dag.Text `json:"execute_command,omitempty" option:"late=WorkingDirectory+Sudo+ParamsJSON+Module+build"`
	// Applies it without sudo. Default: `false`.
	PreventSudo bool `json:"prevent_sudo,omitempty"`
	// Installs Converge on the machine before. Default: `false`.
	Bootstrap bool `json:"bootstrap,omitempty"`
	// The version of Converge to install. Default: the newest.
	Version string `json:"version,omitempty"`
	// The command that installs Converge. Default: the script of Converge's makers.
	BootstrapCommand dag.Text `json:"bootstrap_command,omitempty" option:"late=Sudo+Version+build"`
	// Installs it without sudo. Default: `false`.
	PreventBootstrapSudo bool `json:"prevent_bootstrap_sudo,omitempty"`
}

// ModuleDir is a directory of modules.
type ModuleDir struct {
	// The local directory. If its name ends with a slash, what it holds is uploaded, otherwise the directory itself.
	Source string `json:"source,omitempty" option:"required"`
	// The directory on the machine that it is uploaded into.
	Destination dag.Text `json:"destination,omitempty" option:"required,late=build"`
	// Not possible here: name a directory that holds what is wanted alone. Default: none.
	Exclude []string `json:"exclude,omitempty"`

	Local steps.File `json:"local,omitzero" option:"-"` // what Source is
	Name  string     `json:"name,omitempty" option:"-"` // of the directory itself in Destination
}

func (Converge) Kind() string { return "provision.converge" }

// Title says what is done.
func (Converge) Title() string { return "apply a module of Converge" }

// ResolveFiles finds what is to be uploaded.
func (s *Converge) ResolveFiles(look func(path string) (steps.File, error)) []steps.OptionError {
	var f steps.OptionErrors
	for i := range s.ModuleDirs {
		d := &s.ModuleDirs[i]
		if d.Source != "" && !contents(d.Source, hereSeps) {
			d.Name = filepath.Base(d.Source)
		}
		locateDir(&f, look, fmt.Sprintf("module_dirs[%d].source", i), &d.Source, &d.Local)
	}
	return f
}

// Check says what is wrong with the options.
func (s *Converge) Check() []steps.OptionError {
	var f steps.OptionErrors
	const seen = "Converge takes it in its command line alone, where a sensitive value is seen by all users of the machine"
	if s.Module == "" {
		f.Add("module", "it must be the path of a module on the machine, or its address")
	}
	if sensitive(s.Module) {
		f.Add("module", seen)
	}
	for _, name := range sortedKeys(s.Params) {
		if sensitive(s.Params[name]) {
			f.Add("params."+name, seen)
		}
	}
	for i, d := range s.ModuleDirs {
		if len(d.Exclude) > 0 {
			f.Add(fmt.Sprintf("module_dirs[%d].exclude", i), "a directory is uploaded as a whole: name one that holds what is wanted alone")
		}
	}
	if s.Version != "" && !chefVersion.MatchString(s.Version) {
		f.Add("version", "%q is no version of Converge", s.Version)
	}
	if !s.Bootstrap {
		for _, o := range []struct {
			name  string
			given bool
		}{{"version", s.Version != ""}, {"bootstrap_command", s.BootstrapCommand != ""}, {"prevent_bootstrap_sudo", s.PreventBootstrapSudo}} {
			if o.given {
				f.Idle(o.name, "bootstrap is not set")
			}
		}
	}
	if s.ExecuteCommand != "" && !uses(s.ExecuteCommand, "Module") {
		f.Doubt("execute_command", "it has no {{.Module}}, so Converge never sees the module")
	}
	return f
}

// Communicators is the one to the systems that Converge runs on.
func (*Converge) Communicators() []string { return []string{"ssh"} }

// Add adds the step to the graph.
func (s *Converge) Add(g *dag.Graph, b dag.Build, name string, on dag.Out[comm.Machine]) dag.Out[comm.Machine] {
	step := *s
	step.On = on.Take()
	return dag.Add(g, b, name, step)
}

// Do installs Converge, if that is asked for, and applies the module.
func (s Converge) Do(ctx context.Context, e *comm.Env, t *dag.Task) (comm.Machine, error) {
	return withTool(ctx, e, t, s.On.Value(), s.Common, s.run)
}

func (s Converge) run(ctx context.Context, w *tool) error {
	command, err := s.command(w.v)
	if err != nil {
		return err
	}
	if err := s.bootstrap(ctx, w); err != nil {
		return err
	}
	var files []staged
	for i, d := range s.ModuleDirs {
		to, err := w.v.render(fmt.Sprintf("module_dirs[%d].destination", i), d.Destination, nil)
		if err != nil {
			return err
		}
		files = append(files, staged{to: path.Join(to, d.Name), file: d.Local})
	}
	if len(files) > 0 {
		w.sudo = !s.PreventSudo
		if err := w.stage(ctx, files[0].to, files); err != nil {
			return err
		}
	}
	w.v.t.Say("running converge")
	code, err := w.run(ctx, "converge", command, nil)
	if err == nil && code == 127 {
		return fmt.Errorf("converge is not on the machine, or not in PATH: set bootstrap to have it installed")
	}
	return well("converge", code, err)
}

// bootstrap installs Converge.
func (s Converge) bootstrap(ctx context.Context, w *tool) error {
	if !s.Bootstrap {
		return nil
	}
	w.v.t.Say("installing Converge")
	sudo, version := !s.PreventBootstrapSudo, ""
	command, err := w.v.render("bootstrap_command", s.BootstrapCommand, map[string]any{"Sudo": sudo, "Version": s.Version})
	if err != nil {
		return err
	}
	if s.Version != "" {
		version = "-v " + s.Version
	}
	if command == "" {
		command = byScript("https://get.converge.sh", "sh", sudo, version)
	}
	return w.must(ctx, "the installation of Converge", command, nil)
}

// command is the command that applies the module.
func (s Converge) command(v values) (string, error) {
	module, err := v.render("module", s.Module, nil)
	if err != nil {
		return "", err
	}
	dir, err := v.render("working_directory", s.WorkingDirectory, nil)
	if err != nil {
		return "", err
	}
	if dir == "" {
		dir = "/tmp"
	}
	params := map[string]string{}
	for name, text := range s.Params {
		if params[name], err = v.render("params."+name, text, nil); err != nil {
			return "", err
		}
	}
	text, err := json.Marshal(params)
	if err != nil {
		return "", err
	}
	object := strings.ReplaceAll(string(text), "'", `\u0027`) // the user's command may have it between quotes
	command, err := v.render("execute_command", s.ExecuteCommand, map[string]any{"WorkingDirectory": dir, "Sudo": !s.PreventSudo, "ParamsJSON": object, "Module": module})
	if err != nil || command != "" {
		return command, err
	}
	converge := "converge"
	if !s.PreventSudo {
		converge = "sudo converge"
	}
	return "cd " + quote.Sh(dir) + " && " + line(converge, "apply --local --log-level=WARNING --paramsJSON", quote.Sh(object), quote.Sh(module)), nil
}
