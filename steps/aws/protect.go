package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/imgflow/imgflow/dag"
)

// Protect guards an image against deregistration.
type Protect struct {
	Of       dag.Out[ReadyImage] `json:"of"`
	Cooldown bool                `json:"cooldown,omitempty"` // for 24 hours after the protection is lifted, too
}

func (Protect) Kind() string  { return "aws.protect" }
func (Protect) Title() string { return "protect the image" }

// Do switches the protection on; doing it twice is no error.
func (s Protect) Do(ctx context.Context, c *Cloud, t *dag.Task) (Attributed, error) {
	of := s.Of.Value()
	at, err := c.at(ctx, of.place())
	if err != nil {
		return Attributed{}, err
	}
	t.Say("protecting %s against deregistration", of.ID)
	in := &ec2.EnableImageDeregistrationProtectionInput{ImageId: &of.ID}
	if s.Cooldown {
		in.WithCooldown = ptr(true)
	}
	if _, err := at.api.EnableImageDeregistrationProtection(ctx, in); err != nil {
		return Attributed{}, wrapAPI("protect "+of.ID, "EnableImageDeregistrationProtection", 0, err)
	}
	return Attributed{of.place(), of.ID}, nil
}
