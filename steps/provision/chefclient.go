package provision

import (
	"context"
	"errors"
	"slices"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/quote"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// ChefClient runs Chef with the recipes of a Chef server, and takes the node and the client off the server again.
type ChefClient struct {
	On           dag.Take[comm.Machine] `json:"on"`
	steps.Common `option:"-"`
	Chef

	// The address of the Chef server.
	ServerURL dag.Text `json:"server_url,omitempty" option:"late=build"`
	// The name of the machine for the server. Default: a generated name.
	NodeName dag.Text `json:"node_name,omitempty" option:"late=build"`
	// The local key that a new client is registered with; it is removed from the machine when Chef has run. Default:
	// none.
	ValidationKeyPath steps.File `json:"validation_key_path,omitzero"`
	// Who that key belongs to. Default: Chef's own.
	ValidationClientName dag.Text `json:"validation_client_name,omitempty" option:"late=build"`
	// Where the client's own key lies on the machine. Default: client.pem in the staging directory.
	ClientKey dag.Text `json:"client_key,omitempty" option:"late=build"`
	// The name of a policy, which stands for the run list and the environment. Default: none.
	PolicyName dag.Text `json:"policy_name,omitempty" option:"late=build"`
	// The group that the policy is of. Default: none.
	PolicyGroup dag.Text `json:"policy_group,omitempty" option:"late=build"`
	// How the server's certificate is verified: `verify_peer` or `verify_none`. Default: Chef's own.
	SSLVerifyMode string `json:"ssl_verify_mode,omitempty"`
	// A directory on the machine with certificates to trust. Default: none.
	TrustedCertsDir dag.Text `json:"trusted_certs_dir,omitempty" option:"late=build"`
	// The command that runs knife, which removes the node and the client. Default: knife, by sudo unless `prevent_sudo`
	// is set.
	KnifeCommand dag.Text `json:"knife_command,omitempty" option:"late=Args+Flags+Sudo+build"`
	// Leaves the node on the server. Default: `false`.
	SkipCleanNode bool `json:"skip_clean_node,omitempty"`
	// Leaves the client on the server. Default: `false`.
	SkipCleanClient bool `json:"skip_clean_client,omitempty"`
	// Leaves the staging directory on the machine, but for keys. Default: `false`.
	SkipCleanStagingDirectory bool `json:"skip_clean_staging_directory,omitempty"`
	// Runs Chef as this user with all rights, on Windows. Default: none.
	ElevatedUser dag.Text `json:"elevated_user,omitempty" option:"late=build"`
	// The password of `elevated_user`; a service account such as SYSTEM has none. Default: none.
	ElevatedPassword dag.Secret `json:"elevated_password,omitempty" option:"late=build"`
}

func (ChefClient) Kind() string { return "provision.chef-client" }

// Title says what is done.
func (ChefClient) Title() string { return "run chef-client" }

// Check says what is wrong with the options.
func (s *ChefClient) Check() []steps.OptionError {
	f := s.Chef.check("ServerUrl", "NodeName", "ClientKey", "ValidationKeyPath", "ValidationClientName", "EncryptedDataBagSecretPath",
		"ChefEnvironment", "ChefLicense", "PolicyName", "PolicyGroup", "SslVerifyMode", "TrustedCertsDir")
	if s.ServerURL == "" && s.ConfigTemplate == (steps.File{}) {
		f.Lacks("the Chef server is not known: give server_url, or a config_template that names it", "server_url", "config_template")
	}
	if (s.PolicyName == "") != (s.PolicyGroup == "") {
		f.Lacks("policy_name and policy_group are given together, or neither", "policy_name", "policy_group")
	}
	if s.PolicyName != "" && s.ChefEnvironment != "" {
		f.Add("chef_environment", "a policy has none: leave it out, or policy_name and policy_group")
	}
	if s.PolicyName != "" && len(s.RunList) > 0 {
		f.Add("run_list", "a policy has its own: leave it out, or policy_name and policy_group")
	}
	if s.SSLVerifyMode != "" && !slices.Contains([]string{"verify_none", "verify_peer"}, s.SSLVerifyMode) {
		f.Add("ssl_verify_mode", "%q is not known: it is verify_none or verify_peer", s.SSLVerifyMode)
	}
	if s.KnifeCommand != "" && !uses(s.KnifeCommand, "Args") {
		f.Doubt("knife_command", "it has no {{.Args}}, so nothing is removed from the server")
	}
	if !s.SkipCleanStagingDirectory && s.StagingDirectory.Known() && s.StagingDirectory != "" {
		if err := mayBeRemoved(string(s.StagingDirectory)); err != nil {
			f.Add("staging_directory", "%v", err)
		}
	}
	checkElevated(&f, s.ElevatedUser, s.ElevatedPassword)
	return f
}

// Add adds the step to the graph.
func (s *ChefClient) Add(g *dag.Graph, b dag.Build, name string, on dag.Out[comm.Machine]) dag.Out[comm.Machine] {
	step := *s
	step.On = on.Take()
	return dag.Add(g, b, name, step)
}

// Do installs Chef and runs it.
func (s ChefClient) Do(ctx context.Context, e *comm.Env, t *dag.Task) (comm.Machine, error) {
	return withTool(ctx, e, t, s.On.Value(), s.Common, s.run)
}

func (s ChefClient) run(ctx context.Context, w *tool) (err error) {
	if w.windows() {
		if w.elevate, err = elevate(w.v, s.ElevatedUser, s.ElevatedPassword); err != nil {
			return err
		}
	}
	staging, err := s.begin(ctx, w, "packer-chef-client")
	if err != nil {
		return err
	}
	if !s.SkipCleanStagingDirectory {
		if err := mayBeRemoved(staging); err != nil {
			return err
		}
	}
	texts := map[string]string{}
	for option, text := range map[string]dag.Text{"server_url": s.ServerURL, "node_name": s.NodeName, "client_key": s.ClientKey, "validation_client_name": s.ValidationClientName,
		"chef_environment": s.ChefEnvironment, "policy_name": s.PolicyName, "policy_group": s.PolicyGroup, "trusted_certs_dir": s.TrustedCertsDir} {
		if texts[option], err = w.v.render(option, text, nil); err != nil {
			return err
		}
	}
	if texts["node_name"] == "" {
		texts["node_name"] = "packer-" + w.v.t.Token
	}
	if texts["client_key"] == "" {
		texts["client_key"] = staging + "/client.pem"
		w.private = append(w.private, texts["client_key"]) // Chef makes it
	}
	c := chefCall{program: "chef-client", config: "client.rb"}
	key, secret := "", ""
	if s.ValidationKeyPath != (steps.File{}) {
		key = staging + "/validation.pem"
		c.files = append(c.files, staged{to: key, file: s.ValidationKeyPath, private: true})
	}
	if s.EncryptedDataBagSecretPath != (steps.File{}) {
		secret = staging + "/encrypted_data_bag_secret"
		c.files = append(c.files, staged{to: secret, file: s.EncryptedDataBagSecretPath, private: true})
	}
	c.fields = map[string]any{"ServerUrl": texts["server_url"], "NodeName": texts["node_name"], "ClientKey": texts["client_key"], "ValidationKeyPath": key,
		"ValidationClientName": texts["validation_client_name"], "EncryptedDataBagSecretPath": secret, "ChefEnvironment": texts["chef_environment"], "ChefLicense": s.license(),
		"PolicyName": texts["policy_name"], "PolicyGroup": texts["policy_group"], "SslVerifyMode": s.SSLVerifyMode, "TrustedCertsDir": texts["trusted_certs_dir"]}
	c.lines = []string{"log_level :info", "log_location STDOUT"}
	c.say("chef_server_url", texts["server_url"])
	c.say("node_name", texts["node_name"])
	c.say("client_key", texts["client_key"])
	knife := staged{to: staging + "/knife.rb", text: (&chefCall{lines: c.lines}).text()}
	c.say("validation_client_name", texts["validation_client_name"])
	c.say("validation_key", key)
	c.say("encrypted_data_bag_secret", secret)
	c.say("environment", texts["chef_environment"])
	c.say("policy_name", texts["policy_name"])
	c.say("policy_group", texts["policy_group"])
	c.say("trusted_certs_dir", texts["trusted_certs_dir"])
	c.say("chef_license", s.license())
	if s.SSLVerifyMode != "" {
		c.lines = append(c.lines, "ssl_verify_mode :"+s.SSLVerifyMode)
	}
	c.files = append(c.files, knife)
	ran := s.Chef.run(ctx, w, staging, c)
	if ctx.Err() != nil {
		return ran
	}
	// What was registered is taken off the server even if Chef has failed.
	err = errors.Join(ran, s.forget(ctx, w, knife.to, texts["node_name"], ran != nil))
	if err == nil && !s.SkipCleanStagingDirectory {
		w.remove(ctx, staging)
	}
	return err
}

// forget removes the node and the client from the server. After a failure there may be none.
func (s ChefClient) forget(ctx context.Context, w *tool, config, node string, failed bool) error {
	for _, o := range []struct {
		what string
		skip bool
	}{{"node", s.SkipCleanNode}, {"client", s.SkipCleanClient}} {
		if o.skip {
			continue
		}
		name := node
		if !w.windows() {
			name = quote.Sh(node)
		}
		args, flags := line(o.what, "delete", name), line("-y -c", w.quoted(config))
		command, err := w.v.render("knife_command", s.KnifeCommand, map[string]any{"Args": args, "Flags": flags, "Sudo": w.sudo})
		if err != nil {
			return err
		}
		if command == "" {
			command = line(s.call(w, "knife"), args, flags)
		}
		w.v.t.Say("removing the %s %s from the Chef server", o.what, node)
		err = w.must(ctx, "knife "+o.what+" delete", command, nil)
		switch {
		case err != nil && failed:
			w.v.t.Warn("the %s %s may be left on the Chef server: %v", o.what, node, err)
		case err != nil:
			return err
		}
	}
	return nil
}
