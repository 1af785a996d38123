package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
)

// Share lets others launch a finished image.
type Share struct {
	Of dag.Out[ReadyImage] `json:"of"`
	Sharing
}

// Attributed is a finished image to which something was done.
type Attributed struct {
	Place
	ID string `json:"id"`
}

func (Share) Kind() string  { return "aws.share" }
func (Share) Title() string { return "share the image" }

// Do makes one call; doing it twice is no error.
func (s Share) Do(ctx context.Context, c *Cloud, t *dag.Task) (Attributed, error) {
	of := s.Of.Value()
	at, err := c.at(ctx, of.place())
	if err != nil {
		return Attributed{}, err
	}
	t.Say("sharing %s", of.ID)
	_, err = at.api.ModifyImageAttribute(ctx, &ec2.ModifyImageAttributeInput{
		ImageId: &of.ID, LaunchPermission: &types.LaunchPermissionModifications{Add: s.launchers()}})
	if err != nil {
		return Attributed{}, wrapAPI("share "+of.ID, "ModifyImageAttribute", 0, err)
	}
	return Attributed{of.place(), of.ID}, nil
}

// launching is what says who may launch the image.
func (s Sharing) launching() Sharing {
	return Sharing{Users: s.Users, Groups: s.Groups, OrgARNs: s.OrgARNs, OUARNs: s.OUARNs}
}

func (s Sharing) launchers() (add []types.LaunchPermission) {
	for _, u := range s.Users {
		add = append(add, types.LaunchPermission{UserId: &u})
	}
	for _, g := range s.Groups {
		add = append(add, types.LaunchPermission{Group: types.PermissionGroup(g)})
	}
	for _, arn := range s.OrgARNs {
		add = append(add, types.LaunchPermission{OrganizationArn: &arn})
	}
	for _, arn := range s.OUARNs {
		add = append(add, types.LaunchPermission{OrganizationalUnitArn: &arn})
	}
	return add
}

func (s Sharing) readers() (add []types.CreateVolumePermission) {
	for _, u := range s.SnapshotUsers {
		add = append(add, types.CreateVolumePermission{UserId: &u})
	}
	for _, g := range s.SnapshotGroups {
		add = append(add, types.CreateVolumePermission{Group: types.PermissionGroup(g)})
	}
	return add
}
