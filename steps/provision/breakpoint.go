package provision

import (
	"context"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// Breakpoint is a place where a build waits for the person at the terminal.
//
// Whoever runs the graph holds it up before this step, which itself does nothing: so a run that is
// interrupted there waits there again.
type Breakpoint struct {
	On           dag.Take[comm.Machine] `json:"on"`
	steps.Common `option:"-"`
	// What to tell the user at the breakpoint. Default: none.
	Note dag.Text `json:"note,omitempty" option:"late=build" key:"-"`
	// Passes by without waiting. Default: `false`.
	Disable bool `json:"disable,omitempty"`
}

func (Breakpoint) Kind() string { return "provision.breakpoint" }

// Title says what the user is told.
func (b Breakpoint) Title() string {
	if b.Note == "" {
		return "wait at a breakpoint"
	}
	return string("wait at a breakpoint: " + b.Note)
}

// Check finds nothing wrong.
func (*Breakpoint) Check() []steps.OptionError { return nil }

// Communicators is any: the machine is left alone.
func (*Breakpoint) Communicators() []string { return nil }

// Add adds the step to the graph, unless it is disabled: passing by is no step.
func (b *Breakpoint) Add(g *dag.Graph, build dag.Build, name string, on dag.Out[comm.Machine]) dag.Out[comm.Machine] {
	if b.Disable {
		return on
	}
	step := *b
	step.On = on.Take()
	return dag.Add(g, build, name, step)
}

// Do tells the note, with what only the build knows.
func (b Breakpoint) Do(ctx context.Context, e *comm.Env, t *dag.Task) (comm.Machine, error) {
	m := b.On.Value()
	return m, b.Try(ctx, t, func(context.Context, int) error {
		note, err := values{t, m, e.Dir}.render("note", b.Note, nil)
		if err == nil && note != "" {
			t.Say("%s", note)
		}
		return err
	})
}
