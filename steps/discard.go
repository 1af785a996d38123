package steps

import (
	"context"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps/comm"
)

// Discard is the step after which what was made is not kept any more: the engine
// removes it then.
type Discard struct {
	Of dag.Out[Product] `json:"of"`
}

// Discarded says that all has come to a good end that relied on it.
type Discarded struct{}

func (Discard) Kind() string  { return "post.discard" }
func (Discard) Title() string { return "give up what post-processors do not keep" }

// Do says why something that was kept goes.
func (s Discard) Do(_ context.Context, _ *comm.Env, t *dag.Task) (Discarded, error) {
	what := s.Of.Value().ID
	if len(s.Of.Value().Files) > 0 {
		what = s.Of.Value().Files[0]
	}
	t.Say("%s is removed, as keep_input_artifact asks", what)
	return Discarded{}, nil
}
