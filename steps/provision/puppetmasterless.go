package provision

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// PuppetMasterless applies a Puppet manifest that is uploaded, with what it needs.
type PuppetMasterless struct {
	On           dag.Take[comm.Machine] `json:"on"`
	Build        dag.Build              `json:"build,omitzero" option:"-"`
	steps.Common `option:"-"`
	Puppet

	// The local manifest to apply, or a directory of manifests.
	ManifestFile string `json:"manifest_file,omitempty" option:"required"`
	// A local directory of manifests that goes along, by a flag that Puppet 4 and later do not have. Default: none.
	ManifestDir string `json:"manifest_dir,omitempty"`
	// Local directories of modules. Default: none.
	ModulePaths []string `json:"module_paths,omitempty"`
	// The local configuration file of Hiera. Default: none.
	HieraConfigPath steps.File `json:"hiera_config_path,omitzero"`
	// More arguments of Puppet, as a shell reads them. Default: none.
	ExtraArguments []dag.Text `json:"extra_arguments,omitempty" option:"late=WorkingDir+FacterVars+HieraConfigPath+ModulePath+ModulePathJoiner+ManifestFile+ManifestDir+PuppetBinDir+Sudo+Debug+build"`
	// The command that runs Puppet. Default: puppet apply, in the working directory, by sudo -E unless `prevent_sudo`
	// is set.
	ExecuteCommand dag.Text `json:"execute_command,omitempty" option:"late=WorkingDir+FacterVars+HieraConfigPath+ModulePath+ModulePathJoiner+ManifestFile+ManifestDir+PuppetBinDir+Sudo+ExtraArguments+Debug+build"`

	Manifest  steps.File   `json:"manifest,omitzero" option:"-"`  // what ManifestFile is
	Manifests steps.File   `json:"manifests,omitzero" option:"-"` // what ManifestDir is
	Modules   []steps.File `json:"modules,omitempty" option:"-"`  // what ModulePaths are
}

func (PuppetMasterless) Kind() string { return "provision.puppet-masterless" }

// Title names what is applied.
func (s PuppetMasterless) Title() string {
	return "apply the Puppet manifest " + filepath.Base(s.Manifest.Path)
}

// ResolveFiles finds what is to be uploaded.
func (s *PuppetMasterless) ResolveFiles(look func(path string) (steps.File, error)) []steps.OptionError {
	var f steps.OptionErrors
	locate(&f, look, "manifest_file", &s.ManifestFile, &s.Manifest)
	locateDir(&f, look, "manifest_dir", &s.ManifestDir, &s.Manifests)
	locateDirs(&f, look, "module_paths", &s.ModulePaths, &s.Modules)
	return f
}

// Check says what is wrong with the options.
func (s *PuppetMasterless) Check() []steps.OptionError {
	f := s.Puppet.check()
	if s.Manifest == (steps.File{}) {
		f.Add("manifest_file", "it must name a manifest, or a directory of manifests")
	}
	return f
}

// Add adds the step to the graph.
func (s *PuppetMasterless) Add(g *dag.Graph, b dag.Build, name string, on dag.Out[comm.Machine]) dag.Out[comm.Machine] {
	step := *s
	step.On, step.Build = on.Take(), b.Labelled()
	return dag.Add(g, b, name, step)
}

// Do applies the manifest.
func (s PuppetMasterless) Do(ctx context.Context, e *comm.Env, t *dag.Task) (comm.Machine, error) {
	return withTool(ctx, e, t, s.On.Value(), s.Common, s.run)
}

func (s PuppetMasterless) run(ctx context.Context, w *tool) error {
	return s.Puppet.run(ctx, w, s.Build, "packer-puppet-masterless", func(staging string) puppetCall {
		c := puppetCall{what: "puppet apply", own: s.ExecuteCommand, extra: s.ExtraArguments, command: []string{"apply", "--detailed-exitcodes"}}
		flag := func(name, value string) { c.command = append(c.command, name+"="+w.quoted(value)) }
		manifests, joiner := staging+"/manifests", ":"
		if w.windows() {
			joiner = ";"
		}
		c.fields = map[string]string{"ModulePath": "", "ModulePathJoiner": joiner, "HieraConfigPath": "", "ManifestDir": "", "ManifestFile": manifests}
		var modules []string
		for i, dir := range s.Modules {
			to := fmt.Sprintf("%s/module-%d", staging, i)
			modules = append(modules, to)
			c.files = append(c.files, staged{to: to, file: dir})
		}
		if len(modules) > 0 {
			c.fields["ModulePath"] = strings.Join(modules, joiner)
			flag("--modulepath", c.fields["ModulePath"])
		}
		if s.HieraConfigPath != (steps.File{}) {
			c.fields["HieraConfigPath"] = staging + "/hiera.yaml"
			c.files = append(c.files, staged{to: staging + "/hiera.yaml", file: s.HieraConfigPath})
			flag("--hiera_config", staging+"/hiera.yaml")
		}
		if s.Manifests != (steps.File{}) {
			c.fields["ManifestDir"] = manifests
			c.files = append(c.files, staged{to: manifests, file: s.Manifests})
			flag("--manifestdir", manifests)
		}
		if !isDir(s.Manifest) {
			c.fields["ManifestFile"] = manifests + "/" + filepath.Base(s.Manifest.Path)
		}
		c.files = append(c.files, staged{to: c.fields["ManifestFile"], file: s.Manifest})
		c.last = w.quoted(c.fields["ManifestFile"])
		return c
	})
}
