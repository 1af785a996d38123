package provision

import "github.com/imgflow/imgflow/dag"

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

// LaterPostProcessors make the options of post-processors that cannot run yet, so that what is wrong with them is told.
func LaterPostProcessors() map[string]func() any {
	return map[string]func() any{
		"manifest":    func() any { return &Manifest{} },
		"checksum":    func() any { return &Checksum{} },
		"compress":    func() any { return &Compress{} },
		"artifice":    func() any { return &Artifice{} },
		"shell-local": func() any { return &ShellLocalAfter{} },
	}
}
