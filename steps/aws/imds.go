package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
)

// RequireIMDSv2 makes instances of an image use the second version of the
// instance metadata service.
type RequireIMDSv2 struct {
	Of dag.Out[ReadyImage] `json:"of"`
}

func (RequireIMDSv2) Kind() string  { return "aws.imds" }
func (RequireIMDSv2) Title() string { return "require IMDSv2 of the image's instances" }

// Do sets the attribute; doing it twice is no error.
func (s RequireIMDSv2) Do(ctx context.Context, c *Cloud, t *dag.Task) (Attributed, error) {
	of := s.Of.Value()
	at, err := c.at(ctx, of.place())
	if err != nil {
		return Attributed{}, err
	}
	t.Say("requiring IMDSv2 of instances of %s", of.ID)
	_, err = at.api.ModifyImageAttribute(ctx, &ec2.ModifyImageAttributeInput{ImageId: &of.ID, ImdsSupport: &types.AttributeValue{Value: ptr("v2.0")}})
	if err != nil {
		return Attributed{}, wrapAPI("require IMDSv2 of "+of.ID, "ModifyImageAttribute", 0, err)
	}
	return Attributed{of.place(), of.ID}, nil
}
