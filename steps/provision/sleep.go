package provision

import (
	"context"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/sleep"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// Sleep waits.
type Sleep struct {
	On           dag.Take[comm.Machine] `json:"on"`
	steps.Common `option:"-"`
	// How long to wait.
	Duration time.Duration `json:"duration,omitempty" option:"required" key:"-"`
}

func (Sleep) Kind() string { return "provision.sleep" }

// Title says for how long.
func (s Sleep) Title() string { return "sleep " + s.Duration.String() }

// Check says what is wrong with the options.
func (s *Sleep) Check() []steps.OptionError {
	var f steps.OptionErrors
	if s.Duration <= 0 {
		f.Add("duration", "it must say how long to wait, such as 30s")
	}
	return f
}

// Communicators is any: the machine is left alone.
func (*Sleep) Communicators() []string { return nil }

// Add adds the step to the graph.
func (s *Sleep) Add(g *dag.Graph, b dag.Build, name string, on dag.Out[comm.Machine]) dag.Out[comm.Machine] {
	step := *s
	step.On = on.Take()
	return dag.Add(g, b, name, step)
}

// Do waits for what is left of the time: an interruption counts as waiting.
func (s Sleep) Do(ctx context.Context, _ *comm.Env, t *dag.Task) (comm.Machine, error) {
	return s.On.Value(), s.Try(ctx, t, func(ctx context.Context, _ int) error {
		left := s.Duration
		if t.Resumed {
			left -= t.Age()
		}
		if left <= 0 {
			return nil
		}
		t.Say("sleeping for %s", left.Round(time.Millisecond))
		return sleep.For(ctx, left)
	})
}
