package provision

import (
	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps/comm"
)

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
	}
}
