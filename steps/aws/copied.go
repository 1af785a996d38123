package aws

import (
	"context"

	"github.com/imgflow/imgflow/dag"
)

// Copied is the end of an image that was there only to be copied: the copies are there.
type Copied struct {
	Of     dag.Out[ReadyImage]   `json:"of"`
	Copies []dag.Out[ReadyImage] `json:"copies"`
}

// CopiedImage names it.
type CopiedImage struct {
	ID string `json:"id"`
}

func (Copied) Kind() string  { return "aws.copied" }
func (Copied) Title() string { return "give up the image that was copied" }

// Do asks nobody.
func (s Copied) Do(_ context.Context, _ *Cloud, t *dag.Task) (CopiedImage, error) {
	id := s.Of.Value().ID
	t.Say("%s goes: its copies are there", id)
	return CopiedImage{id}, nil
}
