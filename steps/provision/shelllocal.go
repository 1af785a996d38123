package provision

import (
	"context"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// ShellLocal runs scripts on this computer while the machine stands. They end
// with this process: what was interrupted begins again.
type ShellLocal struct {
	On           dag.Take[comm.Machine] `json:"on"`
	Build        dag.Build              `json:"build,omitzero" option:"-"`
	steps.Common `option:"-"`
	LocalScriptOptions
}

func (ShellLocal) Kind() string { return "provision.shell-local" }

// Communicators is any: the machine is left alone.
func (*ShellLocal) Communicators() []string { return nil }

// LocalFiles may be any.
func (ShellLocal) LocalFiles() comm.LocalFiles { return comm.LocalFiles{Any: true} }

// Add adds the step to the graph.
func (s *ShellLocal) Add(g *dag.Graph, b dag.Build, name string, on dag.Out[comm.Machine]) dag.Out[comm.Machine] {
	step := *s
	step.On, step.Build = on.Take(), b.Labelled()
	return dag.Add(g, b, name, step)
}

// Do runs the scripts.
func (s ShellLocal) Do(ctx context.Context, e *comm.Env, t *dag.Task) (comm.Machine, error) {
	m := s.On.Value()
	return m, s.RunHere(ctx, e, t, m, s.Build, s.Common)
}
