package provision

import (
	"errors"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps/comm"
)

// Breakpoint is a place to stop at, which cannot be done yet unless it is
// disabled.
type Breakpoint struct {
	Common  `option:"-"`
	Note    string `json:"note,omitempty" option:"late=build"`
	Disable bool   `json:"disable,omitempty"`
}

// Check finds nothing wrong.
func (*Breakpoint) Check() []dag.Fault { return nil }

// Supported says that a run cannot stop at one.
func (b *Breakpoint) Supported() error {
	if b.Disable {
		return nil
	}
	return errors.New(`breakpoints are not supported yet; set "disable": true to pass by`)
}

// Add adds nothing: passing by is no step.
func (*Breakpoint) Add(_ *dag.Graph, _ dag.Build, _ string, on dag.Out[comm.Machine]) dag.Out[comm.Machine] {
	return on
}
