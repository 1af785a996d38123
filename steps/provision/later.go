package provision

import "github.com/imgflow/imgflow/dag"

// Ansible has the options of ansible, which plays a playbook on the machine from here.
type Ansible struct {
	PlaybookFile         dag.Text   `json:"playbook_file" option:"required,late"`     // The playbook.
	Command              dag.Text   `json:"command" option:"late"`                    // The program. Default: `ansible-playbook`.
	ExtraArguments       []dag.Text `json:"extra_arguments" option:"late"`            // Arguments for the program beside its own.
	AnsibleEnvVars       []dag.Text `json:"ansible_env_vars" option:"late"`           // Environment of the program, as name=value.
	AnsibleSSHExtraArgs  []dag.Text `json:"ansible_ssh_extra_args" option:"late"`     // Arguments for the program's ssh.
	Groups               []dag.Text `json:"groups" option:"late"`                     // Groups of the inventory that the machine is in.
	EmptyGroups          []dag.Text `json:"empty_groups" option:"late"`               // Groups of the inventory that nothing is in.
	HostAlias            dag.Text   `json:"host_alias" option:"late"`                 // The machine's name in the inventory. Default: `default`.
	User                 dag.Text   `json:"user" option:"late"`                       // Who logs in on the machine. Default: who runs the build.
	LocalPort            uint16     `json:"local_port"`                               // The proxy's port here. Default: one that is free.
	SSHHostKeyFile       dag.Text   `json:"ssh_host_key_file" option:"late"`          // The proxy's host key. Default: one made for the build.
	SSHAuthorizedKeyFile dag.Text   `json:"ssh_authorized_key_file" option:"late"`    // The key that may use the proxy. Default: one made for the build.
	AnsibleProxyKeyType  dag.Text   `json:"ansible_proxy_key_type" option:"late"`     // ECDSA or RSA. Default: `ECDSA`.
	SFTPCommand          dag.Text   `json:"sftp_command" option:"late"`               // What serves SFTP on the machine. Default: what is found there.
	UseSFTP              bool       `json:"use_sftp"`                                 // Copy by SFTP in place of scp.
	SkipVersionCheck     bool       `json:"skip_version_check"`                       // Do not look which version of the program is there.
	InventoryDirectory   dag.Text   `json:"inventory_directory" option:"late"`        // Where the inventory is written. Default: a temporary folder.
	InventoryFile        dag.Text   `json:"inventory_file" option:"late"`             // An inventory in place of the one that is written.
	InventoryTemplate    dag.Text   `json:"inventory_file_template" option:"late"`    // The line of the machine in the inventory.
	KeepInventoryFile    bool       `json:"keep_inventory_file"`                      // Leave the inventory when the build ends.
	GalaxyFile           dag.Text   `json:"galaxy_file" option:"late"`                // Roles and collections to install before.
	GalaxyCommand        dag.Text   `json:"galaxy_command" option:"late"`             // The program that installs them. Default: `ansible-galaxy`.
	GalaxyForceInstall   bool       `json:"galaxy_force_install"`                     // Install again what is there.
	GalaxyForceWithDeps  bool       `json:"galaxy_force_with_deps"`                   // Install again what is there and what it needs.
	RolesPath            dag.Text   `json:"roles_path" option:"late"`                 // Where roles are installed.
	CollectionsPath      dag.Text   `json:"collections_path" option:"late"`           // Where collections are installed.
	UseProxy             *bool      `json:"use_proxy"`                                // Connect through a proxy of the build. Default: `true`.
	WinRMUseHTTP         bool       `json:"ansible_winrm_use_http"`                   // Let the program use WinRM over HTTP.
	ProxyHost            dag.Text   `json:"ansible_proxy_host" option:"late"`         // What the program calls the proxy's host.
	ProxyBindAddress     dag.Text   `json:"ansible_proxy_bind_address" option:"late"` // Where the proxy listens.
}

// AnsibleLocal has the options of ansible-local, which plays a playbook by Ansible that is on the machine.
type AnsibleLocal struct {
	PlaybookFile          dag.Text   `json:"playbook_file" option:"late"`           // The playbook.
	PlaybookFiles         []dag.Text `json:"playbook_files" option:"late"`          // Several playbooks.
	PlaybookDir           dag.Text   `json:"playbook_dir" option:"late"`            // A folder that is copied to the machine before.
	PlaybookPaths         []dag.Text `json:"playbook_paths" option:"late"`          // Folders that are copied as playbooks.
	RolePaths             []dag.Text `json:"role_paths" option:"late"`              // Folders of roles that are copied.
	CollectionPaths       []dag.Text `json:"collection_paths" option:"late"`        // Folders of collections that are copied.
	GroupVars             dag.Text   `json:"group_vars" option:"late"`              // A folder of variables of groups.
	HostVars              dag.Text   `json:"host_vars" option:"late"`               // A folder of variables of hosts.
	Command               dag.Text   `json:"command" option:"late"`                 // The program on the machine. Default: `ANSIBLE_FORCE_COLOR=1 PYTHONUNBUFFERED=1 ansible-playbook`.
	ExtraArguments        []dag.Text `json:"extra_arguments" option:"late"`         // Arguments for the program beside its own.
	InventoryFile         dag.Text   `json:"inventory_file" option:"late"`          // An inventory. Default: one that holds 127.0.0.1.
	InventoryGroups       []dag.Text `json:"inventory_groups" option:"late"`        // Groups of the inventory that the machine is in.
	StagingDirectory      dag.Text   `json:"staging_directory" option:"late"`       // The folder on the machine. Default: a new one in /tmp.
	CleanStagingDirectory bool       `json:"clean_staging_directory"`               // Remove that folder in the end.
	GalaxyFile            dag.Text   `json:"galaxy_file" option:"late"`             // Roles and collections to install before.
	GalaxyCommand         dag.Text   `json:"galaxy_command" option:"late"`          // The program that installs them. Default: `ansible-galaxy`.
	GalaxyForceInstall    bool       `json:"galaxy_force_install"`                  // Install again what is there.
	GalaxyRolesPath       dag.Text   `json:"galaxy_roles_path" option:"late"`       // Where roles are installed.
	GalaxyCollectionsPath dag.Text   `json:"galaxy_collections_path" option:"late"` // Where collections are installed.
}

// Manifest has the options of manifest, which notes in a file what was made.
type Manifest struct {
	Output     dag.Text            `json:"output" option:"late"`      // The file. Default: `packer-manifest.json`.
	StripPath  bool                `json:"strip_path"`                // Note the names of files without their folders.
	StripTime  bool                `json:"strip_time"`                // Leave the time away.
	CustomData map[string]dag.Text `json:"custom_data" option:"late"` // What else is noted, by name.
}

// Checksum has the options of checksum, which writes the checksums of files.
type Checksum struct {
	ChecksumTypes []dag.Text `json:"checksum_types" option:"late"` // md5, sha1, sha224, sha256, sha384 or sha512. Default: `md5`.
	Output        dag.Text   `json:"output" option:"late"`         // The file. Default: `packer_{{.BuildName}}_{{.BuilderType}}_{{.ChecksumType}}.checksum`.
}

// Compress has the options of compress, which packs files.
type Compress struct {
	Output           dag.Text `json:"output" option:"late"`    // The file, whose ending says how. Default: `packer_{{.BuildName}}_{{.BuilderType}}`.
	Format           dag.Text `json:"format" option:"late"`    // The ending, where the file has none.
	CompressionLevel int      `json:"compression_level"`       // From 1 to 9. Default: that of the method.
	Archive          dag.Text `json:"archive" option:"late"`   // What templates of old name, and what the ending says better.
	Algorithm        dag.Text `json:"algorithm" option:"late"` // What templates of old name, and what the ending says better.
}

// Artifice has the options of artifice, which takes files for what was made.
type Artifice struct {
	Files []dag.Text `json:"files" option:"required,late"` // Patterns of the files.
}

// ShellLocalAfter has the options of the post-processor shell-local, which runs scripts on this computer.
type ShellLocalAfter struct {
	Command           dag.Text            `json:"command" option:"late"`            // Older word for inline.
	Inline            []dag.Text          `json:"inline" option:"late"`             // Lines of one script.
	Script            dag.Text            `json:"script" option:"late"`             // A script.
	Scripts           []dag.Text          `json:"scripts" option:"late"`            // Several scripts.
	EnvironmentVars   []dag.Text          `json:"environment_vars" option:"late"`   // Environment of the scripts, as name=value.
	Env               map[string]dag.Text `json:"env" option:"late"`                // The same, by name.
	EnvVarFormat      dag.Text            `json:"env_var_format" option:"late"`     // How a variable is written.
	ExecuteCommand    []dag.Text          `json:"execute_command" option:"late"`    // What runs a script.
	InlineShebang     dag.Text            `json:"inline_shebang" option:"late"`     // First line of a script of lines. Default: `/bin/sh -e`.
	OnlyOn            []string            `json:"only_on"`                          // Systems to run on. Default: all.
	TempfileExtension dag.Text            `json:"tempfile_extension" option:"late"` // Ending of a script of lines.
	UseLinuxPathing   bool                `json:"use_linux_pathing"`                // Write paths as WSL does.
	ValidExitCodes    []int               `json:"valid_exit_codes"`                 // Exit statuses that are no failure. Default: `[0]`.
	Binary            bool                `json:"binary"`                           // Leave line ends alone.
}

// LaterProvisioners make the options of provisioners that cannot run yet, so that what is wrong with them is told.
func LaterProvisioners() map[string]func() any {
	return map[string]func() any{"ansible": func() any { return &Ansible{} }, "ansible-local": func() any { return &AnsibleLocal{} }}
}

// LaterPostProcessors do the same for post-processors.
func LaterPostProcessors() map[string]func() any {
	return map[string]func() any{
		"manifest":    func() any { return &Manifest{} },
		"checksum":    func() any { return &Checksum{} },
		"compress":    func() any { return &Compress{} },
		"artifice":    func() any { return &Artifice{} },
		"shell-local": func() any { return &ShellLocalAfter{} },
	}
}
