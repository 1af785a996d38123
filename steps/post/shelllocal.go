package post

import (
	"context"
	"slices"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
	"github.com/imgflow/imgflow/steps/provision"
)

// ShellLocal runs scripts on this computer when all is done to what was built. They end with this process: what was
// interrupted begins again.
type ShellLocal struct {
	Of    dag.Out[steps.Product] `json:"of"`
	Build dag.Build              `json:"build,omitzero" option:"-"`
	steps.InputOptions
	provision.LocalScriptOptions
}

func (ShellLocal) Kind() string { return "post.shell-local" }

// Gives is what it was given.
func (*ShellLocal) Gives() steps.Gives { return steps.GivesSame }

// LocalFiles may be any.
func (ShellLocal) LocalFiles() comm.LocalFiles { return comm.LocalFiles{Any: true} }

// Add adds the step. As in Packer, an execute_command of one text is a line of the shell's.
func (s *ShellLocal) Add(g *dag.Graph, b dag.Build, name string, in dag.Out[steps.Product]) dag.Out[steps.Product] {
	step := *s
	step.Of, step.Build = in, b.Labelled()
	if len(step.ExecuteCommand) == 1 {
		step.ExecuteCommand = slices.Concat([]dag.Text{"sh", "-c"}, step.ExecuteCommand)
	}
	return dag.Add(g, b, name, step)
}

// Do runs the scripts.
func (s ShellLocal) Do(ctx context.Context, e *comm.Env, t *dag.Task) (steps.Product, error) {
	of := s.Of.Value()
	return of, s.RunHere(ctx, e, t, of.Machine, s.Build, steps.Common{})
}
