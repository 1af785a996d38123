package aws

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps/comm"
)

// Regroup moves an instance that nobody has to reach any more into the default
// group of its VPC, so that the temporary group can go while the image is made.
// It does not wait for the instance to stop.
type Regroup struct {
	Instance dag.Out[Instance]      `json:"instance" dag:"detach"`
	After    dag.Out[comm.Machine]  `json:"after"`
	Access   dag.Out[CheckedAccess] `json:"granted" key:"-"` // knows the group, unless the VPC is younger
}

// Regrouped names the group that the instance is in now.
type Regrouped struct {
	Group string `json:"group"`
}

func (Regroup) Kind() string  { return "aws.regroup" }
func (Regroup) Title() string { return "leave the security group" }

// Do changes the groups of the instance; doing it twice is no error.
func (s Regroup) Do(ctx context.Context, c *Cloud, t *dag.Task) (Regrouped, error) {
	in := s.Instance.Value()
	at, err := c.at(ctx, in.Place)
	if err != nil {
		return Regrouped{}, err
	}
	group := s.known(in.VPC)
	if group == "" {
		found, err := at.defaultGroups(ctx, filter("vpc-id", in.VPC))
		if err != nil {
			return Regrouped{}, wrapAPI("find the default group of "+in.VPC, "DescribeSecurityGroups", old, err)
		}
		if group = found.groups[in.VPC]; group == "" {
			return Regrouped{}, fmt.Errorf("cannot find the default group of %s", in.VPC)
		}
	}
	_, err = at.api.ModifyInstanceAttribute(ctx, &ec2.ModifyInstanceAttributeInput{InstanceId: &in.ID, Groups: []string{group}})
	if err != nil {
		return Regrouped{}, at.taken(ctx, in.ID, in.Spot, wrapAPI("move "+in.ID+" to the group "+group, "ModifyInstanceAttribute", since(in.Made), err))
	}
	t.Detail("moved %s to the group %s", in.ID, group)
	return Regrouped{group}, nil
}

// known is the default group of the VPC that was seen when the build began, or "".
func (s Regroup) known(vpc string) string {
	if !s.Access.Set() {
		return ""
	}
	return s.Access.Value().DefaultGroups[vpc]
}
