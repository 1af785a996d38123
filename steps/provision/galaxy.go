package provision

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/internal/localfile"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// Galaxy are the options of what is installed for Ansible on this computer before it plays.
type Galaxy struct {
	// A file of roles and collections to install before. Default: none.
	GalaxyFile steps.File `json:"galaxy_file,omitzero"`
	// The program that installs them. Default: `ansible-galaxy`.
	GalaxyCommand string `json:"galaxy_command,omitempty" key:"-"`
	// Installs again what is there. Default: `false`.
	GalaxyForceInstall bool `json:"galaxy_force_install,omitempty" key:"-"`
	// Installs again what is there, and what that needs. Default: `false`.
	GalaxyForceWithDeps bool `json:"galaxy_force_with_deps,omitempty" key:"-"`
	// Where roles are installed. Default: where Ansible's configuration says.
	RolesPath string `json:"roles_path,omitempty" key:"-"`
	// Where collections are installed. Default: where Ansible's configuration says.
	CollectionsPath string `json:"collections_path,omitempty" key:"-"`
}

func (s *Galaxy) command() string {
	if s.GalaxyCommand == "" {
		return "ansible-galaxy"
	}
	return s.GalaxyCommand
}

func (s *Galaxy) check(f *steps.OptionErrors) {
	if s.GalaxyFile != (steps.File{}) {
		return
	}
	for _, o := range []struct {
		name  string
		given bool
	}{
		{"galaxy_force_install", s.GalaxyForceInstall}, {"galaxy_force_with_deps", s.GalaxyForceWithDeps},
		{"roles_path", s.RolesPath != ""}, {"collections_path", s.CollectionsPath != ""},
	} {
		if o.given {
			f.Idle(o.name, "there is no galaxy_file")
		}
	}
}

// installs reports whether a directory is one that Galaxy installs into.
func (s *Galaxy) installs(find func(path string) (steps.File, error), dir string) bool {
	for _, p := range []string{s.RolesPath, s.CollectionsPath} {
		if p == "" {
			continue
		}
		if file, err := find(p); err == nil && filepath.Clean(file.Path) == dir {
			return true
		}
	}
	return false
}

// A file in the newer form has a key for each kind of thing.
var (
	hasRoles       = regexp.MustCompile(`(?m)^roles\s*:`)
	hasCollections = regexp.MustCompile(`(?m)^collections\s*:`)
)

// galaxyCalls are the arguments of each call that installs what a file asks for: one
// without keys is a list of roles.
func galaxyCalls(text string, file, rolesPath, collectionsPath string, force []string) (calls [][]string) {
	roles, collections := hasRoles.MatchString(text), hasCollections.MatchString(text)
	install := func(kind, option, path string) {
		args := append([]string{kind, "install", "-r", file}, force...)
		if path != "" {
			args = append(args, option, path)
		}
		calls = append(calls, args)
	}
	if roles || !collections {
		install("role", "--roles-path", rolesPath)
	}
	if collections {
		install("collection", "--collections-path", collectionsPath)
	}
	return calls
}

func (s *Galaxy) install(ctx context.Context, e *comm.Env, v values, p program) error {
	if s.GalaxyFile == (steps.File{}) {
		return nil
	}
	text, err := localfile.Read(s.GalaxyFile.Path, 1<<20)
	if err != nil {
		return fmt.Errorf("cannot read galaxy_file: %w", err)
	}
	var force []string
	if s.GalaxyForceInstall {
		force = append(force, "--force")
	}
	if s.GalaxyForceWithDeps {
		force = append(force, "--force-with-deps")
	}
	for _, args := range galaxyCalls(string(text), s.GalaxyFile.Path, s.RolesPath, s.CollectionsPath, force) {
		p.args = append([]string{s.command()}, args...)
		v.t.Say("running %s", shownCommand(p.args))
		code, err := p.run(ctx, e, v)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return fmt.Errorf("cannot run %s: %w", s.command(), err)
		case code != 0:
			return errcode.With(errcode.ScriptFailed, fmt.Errorf("cannot install what galaxy_file asks for: %s exited with status %d", strings.Join(p.args[:3], " "), code))
		}
	}
	return nil
}
