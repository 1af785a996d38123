package provision

import (
	"context"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// PuppetServer has a Puppet server's catalogue applied to the machine.
type PuppetServer struct {
	On           dag.Take[comm.Machine] `json:"on"`
	Build        dag.Build              `json:"build,omitzero" option:"-"`
	steps.Common `option:"-"`
	Puppet

	// The name of the Puppet server. Default: `puppet`.
	PuppetServer dag.Text `json:"puppet_server,omitempty" option:"late=build"`
	// The name of the machine for the server. Default: its full name.
	PuppetNode dag.Text `json:"puppet_node,omitempty" option:"late=build"`
	// A local directory with the client certificate of the machine. Default: none.
	ClientCertPath string `json:"client_cert_path,omitempty"`
	// A local directory with the key of that certificate; it is removed from the machine when Puppet has run. Default:
	// none.
	ClientPrivateKeyPath string `json:"client_private_key_path,omitempty"`
	// More arguments of Puppet, as a shell reads them. Default: none.
	ExtraArguments []dag.Text `json:"extra_arguments,omitempty" option:"late=WorkingDir+FacterVars+ClientCertPath+ClientPrivateKeyPath+PuppetNode+PuppetServer+PuppetBinDir+Sudo+Debug+build"`
	// The older name of `extra_arguments`, for one text. Default: none.
	Options dag.Text `json:"options,omitempty" option:"late=WorkingDir+FacterVars+ClientCertPath+ClientPrivateKeyPath+PuppetNode+PuppetServer+PuppetBinDir+Sudo+Debug+build"`
	// The command that runs Puppet. Default: puppet agent --onetime, in the working directory, by sudo -E unless
	// `prevent_sudo` is set.
	ExecuteCommand dag.Text `json:"execute_command,omitempty" option:"late=WorkingDir+FacterVars+ClientCertPath+ClientPrivateKeyPath+PuppetNode+PuppetServer+PuppetBinDir+Sudo+ExtraArguments+Debug+build"`

	ClientCert steps.File `json:"client_cert,omitzero" option:"-"` // what ClientCertPath is
	ClientKey  steps.File `json:"client_key,omitzero" option:"-"`  // what ClientPrivateKeyPath is
}

func (PuppetServer) Kind() string { return "provision.puppet-server" }

// Title says what is done.
func (PuppetServer) Title() string { return "run the Puppet agent" }

// ResolveFiles finds what is to be uploaded.
func (s *PuppetServer) ResolveFiles(look func(path string) (steps.File, error)) []steps.OptionError {
	var f steps.OptionErrors
	locateDir(&f, look, "client_cert_path", &s.ClientCertPath, &s.ClientCert)
	locateDir(&f, look, "client_private_key_path", &s.ClientPrivateKeyPath, &s.ClientKey)
	return f
}

// Check says what is wrong with the options.
func (s *PuppetServer) Check() []steps.OptionError {
	f := s.Puppet.check()
	if s.Options != "" && len(s.ExtraArguments) > 0 {
		f.Add("options", "it is the older name of extra_arguments: only one of them can be given")
	}
	return f
}

// Add adds the step to the graph.
func (s *PuppetServer) Add(g *dag.Graph, b dag.Build, name string, on dag.Out[comm.Machine]) dag.Out[comm.Machine] {
	step := *s
	step.On, step.Build = on.Take(), b.Labelled()
	return dag.Add(g, b, name, step)
}

// Do runs the agent once.
func (s PuppetServer) Do(ctx context.Context, e *comm.Env, t *dag.Task) (comm.Machine, error) {
	return withTool(ctx, e, t, s.On.Value(), s.Common, s.run)
}

func (s PuppetServer) run(ctx context.Context, w *tool) error {
	server, err := w.v.render("puppet_server", s.PuppetServer, nil)
	if err != nil {
		return err
	}
	node, err := w.v.render("puppet_node", s.PuppetNode, nil)
	if err != nil {
		return err
	}
	return s.Puppet.run(ctx, w, s.Build, "packer-puppet-server", func(staging string) puppetCall {
		c := puppetCall{what: "puppet agent", own: s.ExecuteCommand, extra: s.ExtraArguments, command: []string{"agent", "--onetime", "--no-daemonize", "--detailed-exitcodes"}}
		if s.Options != "" {
			c.extra = []dag.Text{s.Options}
		}
		c.fields = map[string]string{"PuppetServer": server, "PuppetNode": node, "ClientCertPath": "", "ClientPrivateKeyPath": ""}
		if s.ClientCert != (steps.File{}) {
			c.fields["ClientCertPath"] = staging + "/certs"
			c.files = append(c.files, staged{to: staging + "/certs", file: s.ClientCert})
		}
		if s.ClientKey != (steps.File{}) {
			c.fields["ClientPrivateKeyPath"] = staging + "/private_keys"
			c.files = append(c.files, staged{to: staging + "/private_keys", file: s.ClientKey, private: true})
		}
		for _, flag := range [][2]string{{"--server", "PuppetServer"}, {"--certname", "PuppetNode"}, {"--certdir", "ClientCertPath"}, {"--privatekeydir", "ClientPrivateKeyPath"}} {
			if value := c.fields[flag[1]]; value != "" {
				c.command = append(c.command, flag[0]+"="+w.quoted(value))
			}
		}
		return c
	})
}
