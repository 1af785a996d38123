package provision

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/internal/quote"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// AnsibleLocal plays playbooks by an Ansible that is on the machine. They are copied there
// first, with what belongs to them, and run as scripts do: they outlive the connection
// and imgflow.
type AnsibleLocal struct {
	On           dag.Take[comm.Machine] `json:"on"`
	Build        dag.Build              `json:"build,omitzero" option:"-"`
	steps.Common `option:"-"`

	// The playbook; this or `playbook_files` has to be given.
	PlaybookFile steps.File `json:"playbook_file,omitzero"`
	// Playbooks, played one after the other.
	PlaybookFiles []steps.File `json:"playbook_files,omitempty"`
	// A directory whose content is copied to the staging directory. Playbooks in it are played there. Default: none.
	PlaybookDir string `json:"playbook_dir,omitempty" key:"-"`
	// Directories that are copied into playbooks in the staging directory. Default: none.
	PlaybookPaths []string `json:"playbook_paths,omitempty" key:"-"`
	// Directories of roles that are copied into roles in the staging directory. Default: none.
	RolePaths []string `json:"role_paths,omitempty" key:"-"`
	// Directories that are copied into collections in the staging directory. Default: none.
	CollectionPaths []string `json:"collection_paths,omitempty" key:"-"`
	// A directory of variables of groups, copied to group_vars in the staging directory. Default: none.
	GroupVars string `json:"group_vars,omitempty" key:"-"`
	// A directory of variables of hosts, copied to host_vars in the staging directory. Default: none.
	HostVars string `json:"host_vars,omitempty" key:"-"`
	// What plays a playbook, for the machine's shell. Default: `ANSIBLE_FORCE_COLOR=1 PYTHONUNBUFFERED=1
	// ansible-playbook`.
	Command dag.Text `json:"command,omitempty" option:"late=build"`
	// Arguments for it, after imgflow's own; the machine's shell reads them. Default: none.
	ExtraArguments []dag.Text `json:"extra_arguments,omitempty" option:"late=build"`
	// An inventory that is copied to the machine. Default: one that holds 127.0.0.1.
	InventoryFile steps.File `json:"inventory_file,omitzero"`
	// Groups that 127.0.0.1 is in, where no inventory is given. Default: none.
	InventoryGroups []dag.Text `json:"inventory_groups,omitempty" option:"late=build"`
	// The directory on the machine that all is copied to. Default: a new one in /tmp/packer-provisioner-ansible-local.
	StagingDirectory dag.Text `json:"staging_directory,omitempty" option:"late=build"`
	// Removes the staging directory at the end. Default: `false`.
	CleanStagingDirectory bool `json:"clean_staging_directory,omitempty"`
	// A file of roles and collections to install on the machine before. Default: none.
	GalaxyFile steps.File `json:"galaxy_file,omitzero"`
	// The program that installs them, for the machine's shell. Default: `ansible-galaxy`.
	GalaxyCommand dag.Text `json:"galaxy_command,omitempty" option:"late=build"`
	// Installs again what is there. Default: `false`.
	GalaxyForceInstall bool `json:"galaxy_force_install,omitempty"`
	// Where roles are installed on the machine. Default: roles in the staging directory.
	GalaxyRolesPath dag.Text `json:"galaxy_roles_path,omitempty" option:"late=build"`
	// Where collections are installed on the machine. Default: collections in the staging directory.
	GalaxyCollectionsPath dag.Text `json:"galaxy_collections_path,omitempty" option:"late=build"`

	Dirs []Staged `json:"dirs,omitempty" option:"-"` // what the options of directories are
}

// Staged is a local directory with where its content goes below the staging directory.
type Staged struct {
	File steps.File `json:"file"`
	To   string     `json:"to"`
}

func (AnsibleLocal) Kind() string { return "provision.ansible-local" }

// Title names the playbook.
func (s AnsibleLocal) Title() string {
	if files := s.playbooks(); len(files) != 1 {
		return fmt.Sprintf("play %d playbooks on the machine", len(files))
	}
	return "play " + filepath.Base(s.playbooks()[0].Path) + " on the machine"
}

func (s AnsibleLocal) playbooks() []steps.File {
	if s.PlaybookFile != (steps.File{}) {
		return []steps.File{s.PlaybookFile}
	}
	return s.PlaybookFiles
}

// ResolveFiles finds the directories, so that what they hold is part of the step.
func (s *AnsibleLocal) ResolveFiles(find func(path string) (steps.File, error)) []steps.OptionError {
	var f steps.OptionErrors
	add := func(option, dir, to string, below bool) {
		if dir == "" {
			return
		}
		file, err := find(dir)
		if err == nil {
			var fi os.FileInfo
			if fi, err = os.Stat(file.Path); err == nil && !fi.IsDir() {
				err = fmt.Errorf("%s is not a directory", dir)
			}
		}
		if err != nil {
			f.Add(option, "%v", err)
			return
		}
		file.Path = filepath.Clean(file.Path)
		if below {
			to = path.Join(to, filepath.Base(file.Path))
		}
		s.Dirs = append(s.Dirs, Staged{file, to})
	}
	add("playbook_dir", s.PlaybookDir, ".", false)
	for option, dirs := range map[string][]string{"playbook_paths": s.PlaybookPaths, "role_paths": s.RolePaths, "collection_paths": s.CollectionPaths} {
		to := map[string]string{"playbook_paths": "playbooks", "role_paths": "roles", "collection_paths": "collections"}[option]
		for i, dir := range dirs {
			add(fmt.Sprintf("%s[%d]", option, i), dir, to, true)
		}
	}
	add("group_vars", s.GroupVars, "group_vars", false)
	add("host_vars", s.HostVars, "host_vars", false)
	return f
}

// Check says what is wrong with the options.
func (s *AnsibleLocal) Check() []steps.OptionError {
	var f steps.OptionErrors
	one, many := s.PlaybookFile != (steps.File{}), len(s.PlaybookFiles) > 0
	switch {
	case one && many:
		f.Add("playbook_file", "only one of playbook_file and playbook_files can be given")
	case !one && !many:
		f.Lacks("there is nothing to play: give playbook_file or playbook_files", "playbook_file", "playbook_files")
	}
	if s.InventoryFile != (steps.File{}) && len(s.InventoryGroups) > 0 {
		f.Idle("inventory_groups", "with inventory_file no inventory is written")
	}
	if s.GalaxyFile == (steps.File{}) {
		for _, o := range []struct {
			name  string
			given bool
		}{{"galaxy_force_install", s.GalaxyForceInstall}, {"galaxy_roles_path", s.GalaxyRolesPath != ""}, {"galaxy_collections_path", s.GalaxyCollectionsPath != ""}} {
			if o.given {
				f.Idle(o.name, "there is no galaxy_file")
			}
		}
	}
	return f
}

// Communicators is ssh: Ansible does not run on Windows.
func (*AnsibleLocal) Communicators() []string { return []string{"ssh"} }

// Add adds the step to the graph.
func (s *AnsibleLocal) Add(g *dag.Graph, b dag.Build, name string, on dag.Out[comm.Machine]) dag.Out[comm.Machine] {
	step := *s
	step.On, step.Build = on.Take(), b.Labelled()
	return dag.Add(g, b, name, step)
}

// Do copies and plays what an earlier process has not.
func (s AnsibleLocal) Do(ctx context.Context, e *comm.Env, t *dag.Task) (comm.Machine, error) {
	m := s.On.Value()
	r, err := e.Remote(t, m)
	if err != nil {
		return m, err
	}
	return m, s.Try(ctx, t, func(ctx context.Context, try int) error { return s.run(ctx, r, values{t, m, e.Dir}, try) })
}

// run is one try. What it has copied is not copied again while a playbook may run.
func (s AnsibleLocal) run(ctx context.Context, r comm.Remote, v values, try int) error {
	stage, err := v.render("staging_directory", s.StagingDirectory, nil)
	if err != nil {
		return err
	}
	if stage == "" {
		stage = "/tmp/packer-provisioner-ansible-local/" + v.t.Token
	}
	token := fmt.Sprintf("%s-%d-%d", v.t.Token, v.t.Attempt, try)
	calls, err := s.calls(v, stage)
	if err != nil {
		return err
	}
	var copied string
	if _, err := v.t.Load("copied", &copied); err != nil {
		return err
	}
	if copied != token {
		if err := s.copy(ctx, r, v, stage); err != nil {
			return err
		}
		if err := v.t.Save("copied", token); err != nil {
			return err
		}
	}
	for i, c := range calls {
		if err := s.command(ctx, r, v, fmt.Sprintf("%s-%d", token, i), c); err != nil {
			return err
		}
	}
	if s.CleanStagingDirectory {
		v.t.Say("removing %s", stage)
		if _, x, err := r.Exec(ctx, "rm -rf "+quote.Sh(stage), nil); err != nil {
			return fmt.Errorf("cannot remove the staging directory: %w", err)
		} else if x.Code != 0 {
			v.t.Warn("cannot remove all of %s: the image will hold the rest", stage)
		}
	}
	return nil
}

// copy fills the staging directory.
func (s AnsibleLocal) copy(ctx context.Context, r comm.Remote, v values, stage string) error {
	dirs := []string{stage}
	for _, d := range s.Dirs {
		dirs = append(dirs, path.Dir(path.Join(stage, d.To)))
	}
	if out, x, err := r.Exec(ctx, "mkdir -p -m 700 "+quote.Sh(dirs...)+" 2>&1", nil); err != nil {
		return fmt.Errorf("cannot make the staging directory: %w", err)
	} else if x.Code != 0 {
		return fmt.Errorf("cannot make the staging directory: %.200s; make it by a shell provisioner before, or give another staging_directory", strings.TrimSpace(string(out)))
	}
	for _, d := range s.Dirs {
		if err := unchanged(v.dir, d.File); err != nil {
			return err
		}
		to := path.Join(stage, d.To)
		v.t.Say("uploading %s => %s", shown(v.dir, d.File.Path+"/"), to)
		if err := r.UploadDir(ctx, to, d.File.Path); err != nil {
			return err
		}
	}
	files := s.playbooks()
	for _, f := range []steps.File{s.InventoryFile, s.GalaxyFile} {
		if f != (steps.File{}) {
			files = append(files[:len(files):len(files)], f)
		}
	}
	for _, f := range files {
		if s.inside(f) != "" {
			continue
		}
		if err := s.send(ctx, r, v, f, path.Join(stage, s.name(f))); err != nil {
			return err
		}
	}
	if s.InventoryFile != (steps.File{}) {
		return nil
	}
	text, err := s.inventory(v)
	if err != nil {
		return err
	}
	return r.Upload(ctx, path.Join(stage, ownInventory), strings.NewReader(text), int64(len(text)), 0o644)
}

const ownInventory = "packer-inventory"

func (s AnsibleLocal) send(ctx context.Context, r comm.Remote, v values, file steps.File, to string) error {
	if err := unchanged(v.dir, file); err != nil {
		return err
	}
	f, err := os.Open(file.Path)
	if err != nil {
		return fmt.Errorf("cannot upload: %w", err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return fmt.Errorf("cannot upload: %w", err)
	}
	v.t.Say("uploading %s => %s", shown(v.dir, file.Path), to)
	return r.Upload(ctx, to, f, fi.Size(), fi.Mode().Perm())
}

// inside is where in the playbook directory a file lies, "" if it does not.
func (s AnsibleLocal) inside(f steps.File) string {
	for _, d := range s.Dirs {
		if rel, err := filepath.Rel(d.File.Path, f.Path); d.To == "." && err == nil && filepath.IsLocal(rel) {
			return filepath.ToSlash(rel)
		}
	}
	return ""
}

// name is where a file lies below the staging directory.
func (s AnsibleLocal) name(f steps.File) string {
	if rel := s.inside(f); rel != "" {
		return rel
	}
	return filepath.Base(f.Path)
}

func (s AnsibleLocal) inventory(v values) (string, error) {
	text := "127.0.0.1\n"
	for i, g := range s.InventoryGroups {
		name, err := v.render(fmt.Sprintf("inventory_groups[%d]", i), g, nil)
		if err != nil {
			return "", err
		}
		text += "[" + name + "]\n127.0.0.1\n"
	}
	return text, nil
}

// call is a command in the staging directory, and what messages call it: the command of a
// playbook may hold secrets.
type call struct{ name, command string }

// calls are what is run in the staging directory, one after the other.
func (s AnsibleLocal) calls(v values, stage string) (list []call, err error) {
	rendered := func(option string, text dag.Text, otherwise string) string {
		if text == "" || err != nil {
			return otherwise
		}
		var s string
		s, err = v.render(option, text, nil)
		return s
	}
	add := func(name string, words ...string) {
		list = append(list, call{name, "cd " + quote.Sh(stage) + " && " + strings.Join(words, " ")})
	}
	if s.GalaxyFile != (steps.File{}) {
		galaxy := rendered("galaxy_command", s.GalaxyCommand, "ansible-galaxy")
		roles := rendered("galaxy_roles_path", s.GalaxyRolesPath, path.Join(stage, "roles"))
		collections := rendered("galaxy_collections_path", s.GalaxyCollectionsPath, path.Join(stage, "collections"))
		text, err := os.ReadFile(s.GalaxyFile.Path)
		if err != nil {
			return nil, fmt.Errorf("cannot read galaxy_file: %w", err)
		}
		var force []string
		if s.GalaxyForceInstall {
			force = []string{"--force"}
		}
		for _, args := range galaxyCalls(string(text), s.name(s.GalaxyFile), roles, collections, force) {
			add("installing what galaxy_file asks for: "+args[0]+"s", galaxy, shownCommand(args))
		}
	}
	command := rendered("command", s.Command, "ANSIBLE_FORCE_COLOR=1 PYTHONUNBUFFERED=1 ansible-playbook")
	vars := map[string]string{"packer_build_name": s.Build.Name, "packer_builder_type": s.Build.Type}
	if addr, err := v.of().Value("PackerHTTPAddr"); err == nil && !strings.HasPrefix(addr, "ERR_") {
		vars["packer_http_addr"] = addr
	}
	told, jerr := json.Marshal(vars)
	inventory := ownInventory
	if s.InventoryFile != (steps.File{}) {
		inventory = s.name(s.InventoryFile)
	}
	for _, file := range s.playbooks() {
		words := []string{command, quote.Sh(s.name(file)), "--extra-vars " + quote.Sh(string(told))}
		for i, a := range s.ExtraArguments {
			words = append(words, rendered(fmt.Sprintf("extra_arguments[%d]", i), a, ""))
		}
		add("playing "+s.name(file)+" on the machine", append(words, "-c local -i", quote.Sh(inventory))...)
	}
	return list, errors.Join(err, jerr)
}

// command runs one as a script runs, or follows the one that an earlier process has
// started.
func (s AnsibleLocal) command(ctx context.Context, r comm.Remote, v values, token string, c call) error {
	v.t.Say("%s", c.name)
	job := comm.Job{Token: token, Command: c.command, Pty: v.m.SSH.Pty}
	if strings.Contains(c.command, "sudo") {
		job.Become = "sudo -n" // what root runs cannot be signalled otherwise
	}
	x, err := r.Run(ctx, job)
	switch {
	case ctx.Err() != nil && steps.TimedOut(ctx):
		return stop(ctx, r, job, "Ansible")
	case ctx.Err() != nil:
		return ctx.Err() // it goes on
	case err != nil:
		return fmt.Errorf("cannot tell how Ansible ended: %w", err)
	case x.Rebooted:
		return errors.New("the machine rebooted while Ansible ran there; use ansible, which runs here, for a playbook that reboots it")
	case x.Code == 127:
		return errors.New("there is no Ansible on the machine, or it is not where command says: install it by a shell provisioner before")
	case x.Code != 0:
		return errcode.With(errcode.ScriptFailed, fmt.Errorf("Ansible on the machine exited with status %s: %s", status(x.Code), meaning(x.Code)))
	}
	return nil
}
