package aws

import (
	"context"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps/comm"
)

// Pass is the end of a test that went well: its machine has served.
type Pass struct {
	On   dag.Take[comm.Machine] `json:"on"`
	Test string                 `json:"test"` // what it is called
}

// Passed says that an image has passed a test.
type Passed struct {
	Image string `json:"image"`
}

func (Pass) Kind() string    { return "aws.pass" }
func (s Pass) Title() string { return "pass " + s.Test }

// Do asks nobody.
func (s Pass) Do(_ context.Context, _ *Cloud, t *dag.Task) (Passed, error) {
	p := Passed{s.On.Value().Vars["SourceAMI"]}
	t.Say("%s has passed %s", p.Image, s.Test)
	return p, nil
}
