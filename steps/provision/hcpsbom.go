package provision

import (
	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// HCPSBOM is [SBOM] under the name, and with the options, that templates for HCP Packer have. Nothing is sent there,
// and no scanner is loaded onto the machine.
type HCPSBOM struct {
	steps.Common `option:"-"`

	// The file on the machine that holds the list, as CycloneDX or SPDX in JSON.
	Source dag.Text `json:"source,omitempty" option:"late=build"`
	// Makes the list of what the machine's package database holds, instead of taking a file. Default: `false`.
	AutoGenerate bool `json:"auto_generate,omitempty"`
	// The local file to write the list to. Default: none; `imgflow show --sbom` prints it.
	Destination dag.Text `json:"destination,omitempty" option:"late=build"`
	// Has no effect: HCP Packer shows the list under this name.
	SbomName dag.Text `json:"sbom_name,omitempty" option:"late=build"`
	// Has no effect: there is no scanner.
	ScannerArgs []string `json:"scanner_args,omitempty"`
	// Has no effect: there is no scanner.
	ScanPath dag.Text `json:"scan_path,omitempty" option:"late=build"`
	// Has no effect: there is no scanner.
	ExecuteCommand dag.Text `json:"execute_command,omitempty" option:"late=build"`
	// Has no effect: there is no scanner.
	ElevatedUser dag.Text `json:"elevated_user,omitempty" option:"late=build"`
	// Has no effect: there is no scanner.
	ElevatedPassword dag.Secret `json:"elevated_password,omitempty" option:"late=build"`
	// Has no effect: there is no scanner.
	ScannerURL dag.Text `json:"scanner_url,omitempty" option:"late=build"`
	// Has no effect: there is no scanner.
	ScannerChecksum dag.Text `json:"scanner_checksum,omitempty" option:"late=build"`
}

// Check says what is wrong with the options.
func (s *HCPSBOM) Check() []steps.OptionError {
	var f steps.OptionErrors
	switch {
	case s.Source == "" && !s.AutoGenerate:
		f.Add("source", "it is needed: the list on the machine, or auto_generate instead")
	case s.Source != "" && s.AutoGenerate:
		f.Add("auto_generate", "a list is taken from source, or made; not both")
	}
	for _, unused := range []struct {
		option string
		given  bool
	}{
		{"sbom_name", s.SbomName != ""}, {"scanner_args", len(s.ScannerArgs) > 0}, {"scan_path", s.ScanPath != ""}, {"execute_command", s.ExecuteCommand != ""},
		{"elevated_user", s.ElevatedUser != ""}, {"elevated_password", s.ElevatedPassword != ""}, {"scanner_url", s.ScannerURL != ""}, {"scanner_checksum", s.ScannerChecksum != ""},
	} {
		if unused.given {
			f.Idle(unused.option, "what the package database holds is listed without a scanner, and nothing is sent to HCP Packer")
		}
	}
	return f
}

// Communicators are those that reach a machine.
func (*HCPSBOM) Communicators() []string { return (*SBOM)(nil).Communicators() }

// Add adds the step of [SBOM].
func (s *HCPSBOM) Add(g *dag.Graph, b dag.Build, name string, on dag.Out[comm.Machine]) dag.Out[comm.Machine] {
	return (&SBOM{Common: s.Common, Source: s.Source, Destination: s.Destination}).Add(g, b, name, on)
}
