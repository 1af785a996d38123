package provision

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/interp"
	"github.com/imgflow/imgflow/internal/localfile"
	"github.com/imgflow/imgflow/steps"
)

// Chef are the options that both ways to run Chef have.
type Chef struct {
	Guest
	// Attributes of the node, as an object of whatever depth. Default: none.
	JSON steps.Any `json:"json,omitzero" option:"late=build"`
	// The recipes and roles to run, in their order. Default: none.
	RunList []dag.Text `json:"run_list,omitempty" option:"late=build"`
	// The Chef environment. Default: Chef's own.
	ChefEnvironment dag.Text `json:"chef_environment,omitempty" option:"late=build"`
	// How Chef's licence is accepted: `accept`, `accept-silent` or `accept-no-persist`. Default: `accept-silent` if Chef
	// is installed by this provisioner and `install_command` is not given, else it is not.
	ChefLicense string `json:"chef_license,omitempty"`
	// A local template of Chef's configuration file. Default: one of what the options say.
	ConfigTemplate steps.File `json:"config_template,omitzero"`
	// The local file with the secret of encrypted data bags; it is removed from the machine when Chef has run.
	// Default: none.
	EncryptedDataBagSecretPath steps.File `json:"encrypted_data_bag_secret_path,omitzero"`
	// Leaves it to the image that Chef is there. Default: `false`.
	SkipInstall bool `json:"skip_install,omitempty"`
	// The version of Chef to install. Default: the newest.
	Version string `json:"version,omitempty"`
	// The command that installs Chef. Default: the script of Chef's makers.
	InstallCommand dag.Text `json:"install_command,omitempty" option:"late=Sudo+Version+build"`
	// The command that runs Chef. Default: the program with --no-color, its configuration and its attributes, by sudo
	// unless `prevent_sudo` is set.
	ExecuteCommand dag.Text `json:"execute_command,omitempty" option:"late=ConfigPath+JsonPath+Sudo+build"`
	// Installs and runs Chef without sudo. Default: `false`.
	PreventSudo bool `json:"prevent_sudo,omitempty"`
	// The directory on the machine for what is uploaded. Default: one of Packer's name in that of temporary files.
	StagingDirectory dag.Text `json:"staging_directory,omitempty" option:"late=build"`
}

var (
	chefLicenses = []string{"accept", "accept-silent", "accept-no-persist"}
	chefVersion  = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z.~+_-]*$`)
)

// maxConfig is how large a template of a configuration file may be.
const maxConfig = 1 << 20

// check says what is wrong; fields are what a template of the configuration file may hold.
func (c Chef) check(fields ...string) (f steps.OptionErrors) {
	c.Guest.check(&f)
	if c.JSON.Given() && !c.JSON.Object() {
		f.Add("json", "it must be an object")
	}
	if c.ChefLicense != "" && !slices.Contains(chefLicenses, c.ChefLicense) {
		f.Add("chef_license", "%q is not known: it is one of %s", c.ChefLicense, strings.Join(chefLicenses, ", "))
	}
	if c.Version != "" && !chefVersion.MatchString(c.Version) {
		f.Add("version", "%q is no version of Chef", c.Version)
	}
	if c.SkipInstall && c.InstallCommand != "" {
		f.Idle("install_command", "skip_install is set")
	}
	if c.SkipInstall && c.Version != "" {
		f.Idle("version", "skip_install is set")
	}
	if c.ExecuteCommand != "" && !uses(c.ExecuteCommand, "ConfigPath") {
		f.Doubt("execute_command", "it has no {{.ConfigPath}}, so Chef never sees its configuration")
	}
	if c.ConfigTemplate != (steps.File{}) {
		if err := checkConfig(c.ConfigTemplate.Path, fields); err != nil {
			f.Add("config_template", "%v", err)
		}
	}
	return f
}

// checkConfig tells of what a template of a configuration file cannot hold.
func checkConfig(path string, fields []string) error {
	text, err := localfile.Read(path, maxConfig)
	if err != nil {
		return err
	}
	waits, err := interp.Waits(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, w := range waits {
		if w.Field != "" && !slices.Contains(fields, w.Field) {
			return fmt.Errorf("%s: there is no {{.%s}}; there are {{.%s}}", path, w.Field, strings.Join(fields, "}}, {{."))
		}
	}
	return nil
}

// license is what the configuration says of it.
func (c Chef) license() string {
	if c.ChefLicense == "" && !c.SkipInstall && c.InstallCommand == "" {
		return "accept-silent"
	}
	return c.ChefLicense
}

// chefCall is one call of Chef, and what it is given.
type chefCall struct {
	program string
	config  string // the name of its configuration file
	files   []staged
	fields  map[string]any // what a template of the configuration may hold
	lines   []string       // the configuration without one
}

// say adds a line of the configuration, if there is a value.
func (c *chefCall) say(name, value string) {
	if value != "" {
		c.lines = append(c.lines, name+" "+rubyString(value))
	}
}

// text is the configuration that the lines make.
func (c *chefCall) text() string { return strings.Join(c.lines, "\n") + "\n" }

// rubyString is a text as Ruby writes it.
func rubyString(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "#", `\#`, "\n", `\n`).Replace(s) + `"`
}

// begin looks at where the files go, and installs Chef.
func (c Chef) begin(ctx context.Context, w *tool, usual string) (staging string, err error) {
	w.sudo = !c.PreventSudo && !w.windows()
	if staging, err = w.staging(c.StagingDirectory, usual); err != nil || c.SkipInstall {
		return staging, err
	}
	w.v.t.Say("installing Chef")
	const what = "the installation of Chef"
	if c.InstallCommand != "" {
		command, err := w.v.render("install_command", c.InstallCommand, map[string]any{"Sudo": w.sudo, "Version": c.Version})
		if err != nil {
			return "", err
		}
		return staging, w.must(ctx, what, command, nil)
	}
	if w.windows() {
		code, err := w.runPS(ctx, what, psInstallChef, map[string]string{"IMGFLOW_CHEF_VERSION": c.Version})
		return staging, well(what, code, err)
	}
	return staging, w.must(ctx, what, installChef(w.sudo, c.Version), nil)
}

// installChef is the script of Chef's makers, and what it is told.
func installChef(sudo bool, version string) string {
	if version != "" {
		version = "-v " + version
	}
	return byScript("https://omnitruck.chef.io/install.sh", "bash", sudo, version)
}

// run has Chef run, with its configuration and attributes beside what the call names.
func (c Chef) run(ctx context.Context, w *tool, staging string, call chefCall) error {
	config, err := c.config(w.v, call)
	if err != nil {
		return err
	}
	attributes, err := c.attributes(w.v)
	if err != nil {
		return err
	}
	configPath, jsonPath := staging+"/"+call.config, staging+"/node.json"
	command, err := w.v.render("execute_command", c.ExecuteCommand, map[string]any{"ConfigPath": configPath, "JsonPath": jsonPath, "Sudo": w.sudo})
	if err != nil {
		return err
	}
	if command == "" {
		command = line(c.call(w, call.program), "--no-color -c", w.quoted(configPath), "-j", w.quoted(jsonPath))
	}
	files := append(call.files, staged{to: configPath, text: config}, staged{to: jsonPath, text: attributes, private: true})
	if err := w.stage(ctx, staging, files); err != nil {
		return err
	}
	w.v.t.Say("running %s", call.program)
	return w.must(ctx, call.program, command, nil)
}

// call is how a program of Chef is called.
func (c Chef) call(w *tool, program string) string {
	switch {
	case w.windows():
		return "c:/opscode/chef/bin/" + program + ".bat"
	case w.sudo:
		return "sudo " + program
	}
	return program
}

// config is the text of the configuration file.
func (c Chef) config(v values, call chefCall) (string, error) {
	if c.ConfigTemplate == (steps.File{}) {
		return call.text(), nil
	}
	if err := unchanged(v.dir, c.ConfigTemplate); err != nil {
		return "", err
	}
	text, err := localfile.Read(c.ConfigTemplate.Path, maxConfig)
	if err != nil {
		return "", err
	}
	config, err := v.of().Word(string(text), call.fields)
	if err != nil {
		return "", fmt.Errorf("cannot evaluate config_template: %w", err)
	}
	return config, nil
}

// attributes are those of the node, and its run list.
func (c Chef) attributes(v values) (string, error) {
	node := map[string]any{}
	if c.JSON.Given() {
		x, err := c.JSON.JSON(func(at string, text dag.Text) (string, error) { return v.render("json"+at, text, nil) })
		if err != nil {
			return "", err
		}
		var ok bool
		if node, ok = x.(map[string]any); !ok {
			return "", errors.New("cannot use json: it must be an object")
		}
	}
	if len(c.RunList) > 0 {
		list := make([]string, len(c.RunList))
		for i, text := range c.RunList {
			var err error
			if list[i], err = v.render(fmt.Sprintf("run_list[%d]", i), text, nil); err != nil {
				return "", err
			}
		}
		node["run_list"] = list
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(node)
	return b.String(), err
}
