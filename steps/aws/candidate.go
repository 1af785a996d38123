package aws

import (
	"context"

	"github.com/imgflow/imgflow/dag"
)

// Candidate waits until instances can be launched from an image that is to be tested.
// From then on the instance that it was made of is not needed. The image is no result
// yet: see ImageReady.
type Candidate struct {
	Image      dag.Out[Image] `json:"image" dag:"detach"`
	Registered dag.Out[Image] `json:"registered,omitzero"` // in its place, as for ImageReady
}

func (Candidate) Kind() string  { return "aws.candidate" }
func (Candidate) Title() string { return "wait until the image can be tested" }

// Do returns the image as one to begin from.
func (s Candidate) Do(ctx context.Context, c *Cloud, t *dag.Task) (SourceImage, error) {
	in, until := ImageReady{Image: s.Image, Registered: s.Registered}.image()
	at, i, err := c.available(ctx, t, in, until)
	if err != nil {
		return SourceImage{}, err
	}
	t.Say("%s: %s can be tested", in.Region, in.ID)
	v := Source{Place: at.Place}.view(i)
	v.Like = in.Machine.Vars["SourceAMIOwner"]
	return v, nil
}
