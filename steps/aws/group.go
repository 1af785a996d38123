package aws

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
)

// Group makes a security group for the time of the build. It admits nobody until
// Admit has run: two steps, so that a crash between the two calls is healed by
// running the second.
type Group struct {
	Place
	Network dag.Out[Network]      `json:"network"`
	Tags    map[dag.Text]dag.Text `json:"tags,omitempty"`

	Access dag.Out[CheckedAccess] `json:"granted" key:"-"` // what only has to come first
}

// SecurityGroup is a temporary security group.
type SecurityGroup struct {
	Place
	ID   string    `json:"id"`
	Name string    `json:"name"`
	VPC  string    `json:"vpc,omitempty"`
	Made time.Time `json:"made"`
}

func (Group) Kind() string  { return "aws.group" }
func (Group) Title() string { return "create a security group" }

// Do creates the group, or adopts what an earlier attempt has created.
func (s Group) Do(ctx context.Context, c *Cloud, t *dag.Task) (SecurityGroup, error) {
	at, err := c.at(ctx, s.Place)
	if err != nil {
		return SecurityGroup{}, err
	}
	tags, err := filledTags(t, "run_tags", s.Tags)
	if err != nil {
		return SecurityGroup{}, err
	}
	in := &ec2.CreateSecurityGroupInput{
		GroupName: &t.Token, Description: ptr("temporary group of an imgflow build"),
		TagSpecifications: tagged(c.tags(t, tags), types.ResourceTypeSecurityGroup),
	}
	if vpc := s.Network.Value().VPC; vpc != "" {
		in.VpcId = &vpc
	}
	const doing = "create a security group"
	out, err := at.api.CreateSecurityGroup(ctx, in)
	switch {
	case err == nil:
		t.Say("created the security group %s", text(out.GroupId))
		return SecurityGroup{s.Place, text(out.GroupId), t.Token, text(in.VpcId), now()}, nil
	case classify("CreateSecurityGroup", 0, err).class != alreadyExists:
		return SecurityGroup{}, asNotMade(doing, "CreateSecurityGroup", 0, err)
	}
	g, lookErr := untilVisible(ctx, at.window, func() (SecurityGroup, error) { return at.group(ctx, byToken(t)) })
	if lookErr == nil {
		return g, nil
	}
	return SecurityGroup{}, asNotMade(doing, "CreateSecurityGroup", 0, err)
}

// group is the one security group that the filter hits.
func (s *site) group(ctx context.Context, f types.Filter) (SecurityGroup, error) {
	out, err := s.api.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{Filters: []types.Filter{f}})
	if err != nil {
		return SecurityGroup{}, wrapAPI("look for the security group", "DescribeSecurityGroups", old, err)
	}
	if len(out.SecurityGroups) == 0 {
		return SecurityGroup{}, dag.ErrNotFound
	}
	g := out.SecurityGroups[0]
	return SecurityGroup{s.Place, text(g.GroupId), text(g.GroupName), text(g.VpcId), now()}, nil
}

// Find looks for the group by its id, or by the token of its making.
func (g SecurityGroup) Find(ctx context.Context, c *Cloud, t *dag.Task) (SecurityGroup, error) {
	return findAnywhere(ctx, c, g.Place, func(s *site) (SecurityGroup, error) {
		return untilVisible(ctx, s.window, func() (SecurityGroup, error) {
			if g.ID == "" {
				return s.group(ctx, byToken(t))
			}
			_, err := s.group(ctx, filter("group-id", g.ID))
			return g, err
		})
	})
}

// Undo deletes the group, when instances in it that are ending have ended. While
// anything else still uses it the error says that this may pass.
func (g SecurityGroup) Undo(ctx context.Context, c *Cloud, t *dag.Task) error {
	g, err := withID(ctx, c, t, g, g.ID)
	if err != nil {
		return err
	}
	at, err := c.at(ctx, g.Place)
	if err != nil {
		return err
	}
	return at.removeWhenFree(ctx, t, filter("instance.group-id", g.ID), func() error {
		return at.removeThing(ctx, "delete the security group "+g.ID, "DeleteSecurityGroup", g.Made, func() error {
			_, err := at.api.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: &g.ID})
			return err
		})
	})
}

// Label is the group's id.
func (g SecurityGroup) Label() string { return "security group " + g.ID }
