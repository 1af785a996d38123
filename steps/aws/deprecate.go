package aws

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/imgflow/imgflow/dag"
)

// Deprecate says from when on an image should not be used any more.
type Deprecate struct {
	Of dag.Out[ReadyImage] `json:"of"`
	At string              `json:"at"` // RFC 3339
}

func (Deprecate) Kind() string    { return "aws.deprecate" }
func (s Deprecate) Title() string { return "deprecate the image at " + s.At }

// Do sets the time; doing it twice is no error.
func (s Deprecate) Do(ctx context.Context, c *Cloud, t *dag.Task) (Attributed, error) {
	of := s.Of.Value()
	at, err := c.at(ctx, of.place())
	if err != nil {
		return Attributed{}, err
	}
	when, err := time.Parse(time.RFC3339, s.At)
	if err != nil {
		return Attributed{}, fmt.Errorf("cannot deprecate %s: %q is not a time such as 2030-01-02T15:04:05Z", of.ID, s.At)
	}
	t.Say("deprecating %s at %s", of.ID, s.At)
	_, err = at.api.EnableImageDeprecation(ctx, &ec2.EnableImageDeprecationInput{ImageId: &of.ID, DeprecateAt: &when})
	if err != nil {
		return Attributed{}, wrapAPI("deprecate "+of.ID, "EnableImageDeprecation", 0, err)
	}
	return Attributed{of.place(), of.ID}, nil
}
