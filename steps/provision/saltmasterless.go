package provision

import (
	"context"
	"path"
	"strings"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/quote"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// SaltMasterless applies Salt states that are uploaded, without a master.
type SaltMasterless struct {
	On           dag.Take[comm.Machine] `json:"on"`
	steps.Common `option:"-"`
	Guest

	// The local tree of states.
	LocalStateTree string `json:"local_state_tree,omitempty" option:"required"`
	// The local pillar. Default: none.
	LocalPillarRoots string `json:"local_pillar_roots,omitempty"`
	// Where the states lie on the machine; what lies there before is removed. Default: /srv/salt, and C:/salt/state on
	// Windows.
	RemoteStateTree dag.Text `json:"remote_state_tree,omitempty" option:"late=build"`
	// Where the pillar lies on the machine; what lies there before is removed. Default: /srv/pillar, and
	// C:/salt/pillar on Windows.
	RemotePillarRoots dag.Text `json:"remote_pillar_roots,omitempty" option:"late=build"`
	// The local configuration of the minion, which says where states and pillar lie. Default: none.
	MinionConfig steps.File `json:"minion_config,omitzero"`
	// The local file of grains. Default: none.
	GrainsFile steps.File `json:"grains_file,omitzero"`
	// Formulas to load into the tree of states. Default: none.
	Formulas []string `json:"formulas,omitempty" option:"unsupported"`
	// The state to apply. Default: all that the top file names.
	CustomState dag.Text `json:"custom_state,omitempty" option:"late=build"`
	// Leaves it to the image that Salt is there. Default: `false`.
	SkipBootstrap bool `json:"skip_bootstrap,omitempty"`
	// Arguments of the script that installs Salt, as a shell reads them. Default: none.
	BootstrapArgs dag.Text `json:"bootstrap_args,omitempty" option:"late=build"`
	// More arguments of salt-call, as a shell reads them. Default: none.
	SaltCallArgs dag.Text `json:"salt_call_args,omitempty" option:"late=build"`
	// The directory on the machine that salt-call is in. Default: it is found by PATH.
	SaltBinDir dag.Text `json:"salt_bin_dir,omitempty" option:"late=build"`
	// How much Salt says. Default: `info`.
	LogLevel string `json:"log_level,omitempty"`
	// Takes it well when a state fails. Default: `false`.
	NoExitOnFailure bool `json:"no_exit_on_failure,omitempty"`
	// Installs and runs Salt without sudo. Default: `false`.
	DisableSudo bool `json:"disable_sudo,omitempty"`
	// The directory on the machine for what is uploaded, until it is moved to its place. Default: salt in the directory
	// of temporary files.
	TempConfigDir dag.Text `json:"temp_config_dir,omitempty" option:"late=build"`

	States steps.File `json:"states,omitzero" option:"-"` // what LocalStateTree is
	Pillar steps.File `json:"pillar,omitzero" option:"-"` // what LocalPillarRoots is
}

func (SaltMasterless) Kind() string { return "provision.salt-masterless" }

// Title says what is done.
func (SaltMasterless) Title() string { return "apply Salt states" }

// ResolveFiles finds what is to be uploaded.
func (s *SaltMasterless) ResolveFiles(look func(path string) (steps.File, error)) []steps.OptionError {
	var f steps.OptionErrors
	locateDir(&f, look, "local_state_tree", &s.LocalStateTree, &s.States)
	locateDir(&f, look, "local_pillar_roots", &s.LocalPillarRoots, &s.Pillar)
	return f
}

// Check says what is wrong with the options.
func (s *SaltMasterless) Check() []steps.OptionError {
	var f steps.OptionErrors
	s.Guest.check(&f)
	for option, text := range map[string]dag.Text{"remote_state_tree": s.RemoteStateTree, "remote_pillar_roots": s.RemotePillarRoots} {
		switch {
		case text == "":
		case s.MinionConfig != (steps.File{}):
			f.Add(option, "minion_config says where it lies: give one of them")
		case text.Known():
			if err := mayBeRemoved(string(text)); err != nil {
				f.Add(option, "%v", err)
			}
		}
	}
	if s.SkipBootstrap && s.BootstrapArgs != "" {
		f.Idle("bootstrap_args", "skip_bootstrap is set")
	}
	if s.LogLevel != "" && strings.Trim(s.LogLevel, "abcdefghijklmnopqrstuvwxyz") != "" {
		f.Add("log_level", "%q is no level of Salt's log", s.LogLevel)
	}
	return f
}

// Add adds the step to the graph.
func (s *SaltMasterless) Add(g *dag.Graph, b dag.Build, name string, on dag.Out[comm.Machine]) dag.Out[comm.Machine] {
	step := *s
	step.On = on.Take()
	return dag.Add(g, b, name, step)
}

// Do installs Salt and applies the states.
func (s SaltMasterless) Do(ctx context.Context, e *comm.Env, t *dag.Task) (comm.Machine, error) {
	return withTool(ctx, e, t, s.On.Value(), s.Common, s.run)
}

func (s SaltMasterless) run(ctx context.Context, w *tool) error {
	texts := map[string]string{}
	var err error
	for option, text := range map[string]dag.Text{"remote_state_tree": s.RemoteStateTree, "remote_pillar_roots": s.RemotePillarRoots, "temp_config_dir": s.TempConfigDir,
		"custom_state": s.CustomState, "bootstrap_args": s.BootstrapArgs, "salt_call_args": s.SaltCallArgs, "salt_bin_dir": s.SaltBinDir} {
		if texts[option], err = w.v.render(option, text, nil); err != nil {
			return err
		}
	}
	w.sudo = !s.DisableSudo && !w.windows()
	states, pillar, conf := "/srv/salt", "/srv/pillar", "/etc/salt"
	if w.windows() {
		states, pillar, conf = "C:/salt/state", "C:/salt/pillar", "C:/salt/conf"
	}
	for _, d := range []struct {
		to    *string
		named string
	}{{&states, texts["remote_state_tree"]}, {&pillar, texts["remote_pillar_roots"]}} {
		if d.named == "" {
			continue
		}
		if err := mayBeRemoved(d.named); err != nil {
			return err
		}
		*d.to = pathsOf(w.v.m).trim(d.named)
	}
	if !s.SkipBootstrap {
		if err := s.bootstrap(ctx, w, texts["bootstrap_args"]); err != nil {
			return err
		}
	}
	places := []staged{{to: states, file: s.States}}
	if s.Pillar != (steps.File{}) {
		places = append(places, staged{to: pillar, file: s.Pillar})
	}
	if s.MinionConfig != (steps.File{}) {
		places = append(places, staged{to: conf + "/minion", file: s.MinionConfig})
	}
	if s.GrainsFile != (steps.File{}) {
		places = append(places, staged{to: conf + "/grains", file: s.GrainsFile})
	}
	temp := texts["temp_config_dir"]
	if temp == "" {
		temp = w.temp() + "/salt"
	}
	if err := s.place(ctx, w, temp, places); err != nil {
		return err
	}
	words := []string{"--local"}
	if texts["custom_state"] == "" {
		words = append(words, "state.highstate")
	} else {
		words = append(words, "state.sls", w.quoted(texts["custom_state"]))
	}
	if s.MinionConfig == (steps.File{}) {
		words = append(words, "--file-root="+w.quoted(states), "--pillar-root="+w.quoted(pillar))
	}
	if !s.NoExitOnFailure {
		words = append(words, "--retcode-passthrough")
	}
	level := s.LogLevel
	if level == "" {
		level = "info"
	}
	call := "salt-call"
	if dir := texts["salt_bin_dir"]; dir != "" {
		call = w.quoted(dir + "/salt-call")
	}
	if w.sudo {
		call = "sudo " + call
	}
	w.v.t.Say("running salt-call")
	code, err := w.run(ctx, "salt-call", line(append([]string{call}, append(words, "-l", level, texts["salt_call_args"])...)...), nil)
	if err == nil && code != 0 && s.NoExitOnFailure {
		w.v.t.Warn("salt-call exited with status %s: no_exit_on_failure lets it", status(code))
		return nil
	}
	return well("salt-call", code, err)
}

// saltBootstrap is the script of Salt's makers.
const saltBootstrap = "https://github.com/saltstack/salt-bootstrap/releases/latest/download/bootstrap-salt.sh"

func (s SaltMasterless) bootstrap(ctx context.Context, w *tool, args string) error {
	const what = "the installation of Salt"
	w.v.t.Say("installing Salt")
	if w.windows() {
		code, err := w.runPS(ctx, what, psBootstrapSalt, map[string]string{"IMGFLOW_SALT_ARGS": args})
		return well(what, code, err)
	}
	return w.must(ctx, what, byScript(saltBootstrap, "sh", w.sudo, args), nil)
}

// place puts files where they belong, which may need the rights of root: they go to a
// directory of the user's first.
func (s SaltMasterless) place(ctx context.Context, w *tool, temp string, places []staged) error {
	if w.windows() {
		return w.stage(ctx, path.Dir(places[0].to), places)
	}
	script := []string{"set -e"}
	sudo := ""
	if w.sudo {
		sudo = "sudo "
	}
	var files []staged
	for _, p := range places {
		from, to := temp+"/"+path.Base(p.to), quote.Sh(p.to)
		if p.file == s.Pillar || p.file == s.States {
			from = temp + "/tree-" + path.Base(p.to)
			script = append(script, sudo+"rm -rf -- "+to)
		}
		files = append(files, staged{to: from, file: p.file})
		script = append(script, sudo+"mkdir -p -- "+quote.Sh(path.Dir(p.to)), sudo+"mv -f -- "+quote.Sh(from)+" "+to)
	}
	if err := w.stage(ctx, temp, files); err != nil {
		return err
	}
	return w.must(ctx, "moving the states to their place", strings.Join(script, "\n"), nil)
}
