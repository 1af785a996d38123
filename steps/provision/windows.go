package provision

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps/comm"
)

// unsupported is embedded by provisioners whose options are known and checked,
// and which cannot run.
type unsupported struct{}

// Supported says that it cannot run.
func (unsupported) Supported() error { return errors.New("windows provisioners are not supported yet") }

// Add adds nothing, so that the rest of a template can be checked.
func (unsupported) Add(_ *dag.Graph, _ dag.Build, _ string, on dag.Out[comm.Machine]) dag.Out[comm.Machine] {
	return on
}

// PowerShell runs PowerShell scripts on a Windows machine.
type PowerShell struct {
	unsupported
	Common `option:"-"`
	Scripts

	EnvVarFormat           string        `json:"env_var_format"`
	ElevatedEnvVarFormat   string        `json:"elevated_env_var_format"`
	RemotePath             string        `json:"remote_path" option:"late=build"`
	RemoteEnvVarPath       string        `json:"remote_env_var_path" option:"late=build"`
	ExecuteCommand         string        `json:"execute_command" option:"late=Path+Vars+build"`
	ElevatedExecuteCommand string        `json:"elevated_execute_command" option:"late=Path+Vars+build"`
	ElevatedUser           string        `json:"elevated_user" option:"late=build"`
	ElevatedPassword       string        `json:"elevated_password" option:"late=build"`
	ExecutionPolicy        string        `json:"execution_policy"`
	DebugMode              int           `json:"debug_mode"`
	UsePwsh                bool          `json:"use_pwsh"`
	StartRetryTimeout      time.Duration `json:"start_retry_timeout"`
	SkipClean              bool          `json:"skip_clean"`
	PauseAfter             time.Duration `json:"pause_after"`
}

var executionPolicies = []string{"bypass", "allsigned", "default", "remotesigned", "restricted", "undefined", "unrestricted", "none"}

// Check says what is wrong with the options.
func (s *PowerShell) Check() []dag.Fault {
	var f faults
	s.Scripts.check(&f)
	checkFormat(&f, s.EnvVarFormat)
	if s.ElevatedPassword != "" && s.ElevatedUser == "" {
		f.add("elevated_user", "it must be given when elevated_password is")
	}
	if s.ExecutionPolicy != "" && !slices.Contains(executionPolicies, strings.ToLower(s.ExecutionPolicy)) {
		f.add("execution_policy", "%q is not known: it is one of %s", s.ExecutionPolicy, strings.Join(executionPolicies, ", "))
	}
	if s.DebugMode < 0 || s.DebugMode > 2 {
		f.add("debug_mode", "%d is not a trace level: it is 0, 1 or 2", s.DebugMode)
	}
	f.notNegative("start_retry_timeout", s.StartRetryTimeout)
	f.notNegative("pause_after", s.PauseAfter)
	return f
}

// WindowsShell runs batch files on a Windows machine.
type WindowsShell struct {
	unsupported
	Common `option:"-"`
	Scripts

	RemotePath        string        `json:"remote_path" option:"late=build"`
	ExecuteCommand    string        `json:"execute_command" option:"late=Path+Vars+build"`
	EnvVarFormat      string        `json:"env_var_format"`
	StartRetryTimeout time.Duration `json:"start_retry_timeout"`
}

// Check says what is wrong with the options.
func (s *WindowsShell) Check() []dag.Fault {
	var f faults
	s.Scripts.check(&f)
	checkFormat(&f, s.EnvVarFormat)
	f.notNegative("start_retry_timeout", s.StartRetryTimeout)
	return f
}

// WindowsRestart reboots a Windows machine and waits for it.
type WindowsRestart struct {
	unsupported
	Common `option:"-"`

	RestartCommand      string        `json:"restart_command" option:"late=build"`
	RestartCheckCommand string        `json:"restart_check_command" option:"late=build"`
	RestartTimeout      time.Duration `json:"restart_timeout"`
	CheckRegistry       bool          `json:"check_registry"`
	RegistryKeys        []string      `json:"registry_keys"`
}

// Check says what is wrong with the options.
func (s *WindowsRestart) Check() []dag.Fault {
	var f faults
	f.notNegative("restart_timeout", s.RestartTimeout)
	return f
}
