package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
)

// Enhance switches enhanced networking of a stopped instance, which its image
// takes over.
type Enhance struct {
	From  dag.Out[Stopped] `json:"from"`
	ENA   *bool            `json:"ena,omitempty"`
	SRIOV bool             `json:"sriov,omitempty"`
}

func (Enhance) Kind() string  { return "aws.enhance" }
func (Enhance) Title() string { return "set enhanced networking" }

// Do sets the attributes; doing it twice is no error.
func (s Enhance) Do(ctx context.Context, c *Cloud, t *dag.Task) (Stopped, error) {
	in := s.From.Value()
	at, err := c.at(ctx, in.Place)
	if err != nil {
		return Stopped{}, err
	}
	var calls []*ec2.ModifyInstanceAttributeInput // one attribute a call
	if s.SRIOV {
		calls = append(calls, &ec2.ModifyInstanceAttributeInput{InstanceId: &in.ID, SriovNetSupport: &types.AttributeValue{Value: ptr("simple")}})
	}
	if s.ENA != nil {
		calls = append(calls, &ec2.ModifyInstanceAttributeInput{InstanceId: &in.ID, EnaSupport: &types.AttributeBooleanValue{Value: s.ENA}})
	}
	t.Say("setting enhanced networking of %s", in.ID)
	for _, call := range calls {
		if _, err := at.api.ModifyInstanceAttribute(ctx, call); err != nil {
			return Stopped{}, wrapAPI("set enhanced networking of "+in.ID, "ModifyInstanceAttribute", old, err)
		}
	}
	return in, nil
}
