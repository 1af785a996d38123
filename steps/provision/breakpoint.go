package provision

import (
	"context"
	"errors"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// Breakpoint is a place to stop at, which cannot be done yet unless it is
// disabled.
type Breakpoint struct {
	steps.Common `option:"-"`
	// What to tell the user at the breakpoint. Default: none.
	Note dag.Text `json:"note,omitempty" option:"late=build"`
	// Does nothing at the breakpoint; one that stops is not supported yet. Default: `false`.
	Disable bool `json:"disable,omitempty"`
}

// Check finds nothing wrong.
func (*Breakpoint) Check() []steps.OptionError { return nil }

// Prepare says that a run cannot stop at one.
func (b *Breakpoint) Prepare(context.Context) error {
	if b.Disable {
		return nil
	}
	return errors.New(`breakpoints are not supported yet; set "disable": true to pass by`)
}

// Communicators is any: the machine is left alone.
func (*Breakpoint) Communicators() []string { return nil }

// Add adds nothing: passing by is no step.
func (*Breakpoint) Add(_ *dag.Graph, _ dag.Build, _ string, on dag.Out[comm.Machine]) dag.Out[comm.Machine] {
	return on
}
