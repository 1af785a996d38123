package provision

import (
	"context"
	"fmt"
	"strings"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// ChefSolo runs Chef's recipes without a server: cookbooks and what they need are uploaded.
type ChefSolo struct {
	On           dag.Take[comm.Machine] `json:"on"`
	steps.Common `option:"-"`
	Chef

	// Local directories of cookbooks. Default: none.
	CookbookPaths []string `json:"cookbook_paths,omitempty"`
	// Directories of cookbooks that are on the machine. Default: none.
	RemoteCookbookPaths []dag.Text `json:"remote_cookbook_paths,omitempty" option:"late=build"`
	// The local directory of roles. Default: none.
	RolesPath string `json:"roles_path,omitempty"`
	// The local directory of data bags. Default: none.
	DataBagsPath string `json:"data_bags_path,omitempty"`
	// The local directory of environments. Default: none.
	EnvironmentsPath string `json:"environments_path,omitempty"`

	Cookbooks    []steps.File `json:"cookbooks,omitempty" option:"-"`   // what CookbookPaths are
	Roles        steps.File   `json:"roles,omitzero" option:"-"`        // what RolesPath is
	DataBags     steps.File   `json:"data_bags,omitzero" option:"-"`    // what DataBagsPath is
	Environments steps.File   `json:"environments,omitzero" option:"-"` // what EnvironmentsPath is
}

func (ChefSolo) Kind() string { return "provision.chef-solo" }

// Title says what is done.
func (ChefSolo) Title() string { return "run chef-solo" }

// ResolveFiles finds what is to be uploaded.
func (s *ChefSolo) ResolveFiles(look func(path string) (steps.File, error)) []steps.OptionError {
	var f steps.OptionErrors
	locateDirs(&f, look, "cookbook_paths", &s.CookbookPaths, &s.Cookbooks)
	locateDir(&f, look, "roles_path", &s.RolesPath, &s.Roles)
	locateDir(&f, look, "data_bags_path", &s.DataBagsPath, &s.DataBags)
	locateDir(&f, look, "environments_path", &s.EnvironmentsPath, &s.Environments)
	return f
}

// Check says what is wrong with the options.
func (s *ChefSolo) Check() []steps.OptionError {
	return s.Chef.check("CookbookPaths", "RolesPath", "DataBagsPath", "EnvironmentsPath", "EncryptedDataBagSecretPath", "ChefEnvironment", "ChefLicense",
		"HasRolesPath", "HasDataBagsPath", "HasEnvironmentsPath", "HasEncryptedDataBagSecretPath")
}

// Add adds the step to the graph.
func (s *ChefSolo) Add(g *dag.Graph, b dag.Build, name string, on dag.Out[comm.Machine]) dag.Out[comm.Machine] {
	step := *s
	step.On = on.Take()
	return dag.Add(g, b, name, step)
}

// Do installs Chef and runs it.
func (s ChefSolo) Do(ctx context.Context, e *comm.Env, t *dag.Task) (comm.Machine, error) {
	return withTool(ctx, e, t, s.On.Value(), s.Common, s.run)
}

func (s ChefSolo) run(ctx context.Context, w *tool) error {
	staging, err := s.begin(ctx, w, "packer-chef-solo")
	if err != nil {
		return err
	}
	c := chefCall{program: "chef-solo", config: "solo.rb", fields: map[string]any{"ChefLicense": s.license()}}
	var cookbooks []string
	for i, text := range s.RemoteCookbookPaths {
		dir, err := w.v.render(fmt.Sprintf("remote_cookbook_paths[%d]", i), text, nil)
		if err != nil {
			return err
		}
		cookbooks = append(cookbooks, rubyString(dir))
	}
	for i, dir := range s.Cookbooks {
		to := fmt.Sprintf("%s/cookbooks-%d", staging, i)
		c.files, cookbooks = append(c.files, staged{to: to, file: dir}), append(cookbooks, rubyString(to))
	}
	c.fields["CookbookPaths"] = strings.Join(cookbooks, ", ")
	c.lines = append(c.lines, "cookbook_path ["+strings.Join(cookbooks, ", ")+"]")
	for _, d := range []struct {
		field, setting, name string
		file                 steps.File
		private              bool
	}{
		{"RolesPath", "role_path", "roles", s.Roles, false},
		{"DataBagsPath", "data_bag_path", "data_bags", s.DataBags, false},
		{"EncryptedDataBagSecretPath", "encrypted_data_bag_secret", "encrypted_data_bag_secret", s.EncryptedDataBagSecretPath, true},
		{"EnvironmentsPath", "environment_path", "environments", s.Environments, false},
	} {
		to := ""
		if d.file != (steps.File{}) {
			to = staging + "/" + d.name
			c.files = append(c.files, staged{to: to, file: d.file, private: d.private})
		}
		c.fields[d.field], c.fields["Has"+d.field] = to, to != ""
		c.say(d.setting, to)
	}
	environment, err := w.v.render("chef_environment", s.ChefEnvironment, nil)
	if err != nil {
		return err
	}
	c.fields["ChefEnvironment"] = environment
	c.say("environment", environment)
	c.say("chef_license", s.license())
	return s.Chef.run(ctx, w, staging, c)
}
