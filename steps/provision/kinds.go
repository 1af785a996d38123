package provision

import (
	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// Provisioners are the provisioners of this package by the names that templates
// use. A new one is one file, one line here, and one in Kinds. In e they find the
// programs of this computer.
func Provisioners(e *comm.Env) map[string]func() steps.Provisioner {
	return map[string]func() steps.Provisioner{
		"shell":             func() steps.Provisioner { return &Shell{} },
		"file":              func() steps.Provisioner { return &FileCopy{} },
		"shell-local":       func() steps.Provisioner { return &ShellLocal{} },
		"sleep":             func() steps.Provisioner { return &Sleep{} },
		"powershell":        func() steps.Provisioner { return &PowerShell{} },
		"windows-shell":     func() steps.Provisioner { return &WindowsShell{} },
		"windows-restart":   func() steps.Provisioner { return &WindowsRestart{} },
		"puppet-masterless": func() steps.Provisioner { return &PuppetMasterless{} },
		"puppet-server":     func() steps.Provisioner { return &PuppetServer{} },
		"chef-solo":         func() steps.Provisioner { return &ChefSolo{} },
		"chef-client":       func() steps.Provisioner { return &ChefClient{} },
		"goss":              func() steps.Provisioner { return &Goss{} },
		"windows-update":    func() steps.Provisioner { return &WindowsUpdate{} },
		"salt-masterless":   func() steps.Provisioner { return &SaltMasterless{} },
		"breakpoint":        func() steps.Provisioner { return &Breakpoint{} },
		"sbom":              func() steps.Provisioner { return &SBOM{} },
		"hcp-sbom":          func() steps.Provisioner { return &HCPSBOM{} },
		"ansible":           func() steps.Provisioner { return &ansibleHere{env: e} },
		"ansible-local":     func() steps.Provisioner { return &AnsibleLocal{} },
		"converge":          func() steps.Provisioner { return &Converge{} },
		"inspec":            func() steps.Provisioner { return &inspecHere{env: e} },
	}
}

// Kinds are the steps of this package.
func Kinds(e *comm.Env) []dag.Kind {
	return []dag.Kind{
		dag.Bind[Shell](e),
		dag.Bind[FileCopy](e),
		dag.Bind[ShellLocal](e),
		dag.Bind[Sleep](e),
		dag.Bind[PowerShell](e),
		dag.Bind[WindowsShell](e),
		dag.Bind[WindowsRestart](e),
		dag.Bind[Ansible](e),
		dag.Bind[AnsibleLocal](e),
		dag.Bind[InSpec](e),
		dag.Bind[Converge](e),
		dag.Bind[PuppetMasterless](e),
		dag.Bind[PuppetServer](e),
		dag.Bind[ChefSolo](e),
		dag.Bind[ChefClient](e),
		dag.Bind[Goss](e),
		dag.Bind[WindowsUpdate](e),
		dag.Bind[SaltMasterless](e),
		dag.Bind[Breakpoint](e),
		dag.Bind[SBOM](e),
		dag.Bind[ScanImage](e),
	}
}
