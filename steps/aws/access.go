package aws

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"

	"github.com/imgflow/imgflow/dag"
)

// CheckAccess finds out whether EC2 takes the credentials, once for all steps
// that begin a build: otherwise each of them would fail with the same words.
type CheckAccess struct{ Place }

// CheckedAccess says that it does, and what was learned by the way.
type CheckedAccess struct {
	// DefaultGroups are the default security groups of the region, by VPC.
	DefaultGroups map[string]string `json:"default_groups,omitempty"`
}

func (CheckAccess) Kind() string    { return "aws.access" }
func (CheckAccess) Common()         {}
func (s CheckAccess) Title() string { return "check the access to " + s.Region }

// Do asks for what the build will need to know. Whoever may not ask it is known to
// EC2 all the same, and so may do what the build needs.
func (s CheckAccess) Do(ctx context.Context, c *Cloud, t *dag.Task) (CheckedAccess, error) {
	at, err := c.at(ctx, s.Place)
	if err != nil {
		return CheckedAccess{}, err
	}
	first, err := at.firstLook(ctx)
	if code, _ := apiError(err); code != "" && !refusedRole(err) && (lacksPermission(code) || classify("DescribeSecurityGroups", old, err).class != unauthorized) {
		err = nil
	}
	return CheckedAccess{first.groups}, wrapAPI("use EC2 in "+s.Region, "DescribeSecurityGroups", old, err)
}

// refusedRole reports whether a call was never sent since a role could not be taken for it.
func refusedRole(err error) bool {
	var call *smithy.OperationError
	for errors.As(err, &call) {
		if call.OperationName == "AssumeRole" {
			return true
		}
		err = call.Err
	}
	return false
}

// defaultGroups are the default security groups of a region.
type defaultGroups struct {
	groups map[string]string // by VPC
	owner  string            // the AWS account of all; "" is not known
}

// firstLook asks for all default security groups, once in a session: whose the
// credentials are and what the builds begin with is told by one call.
func (s *site) firstLook(ctx context.Context) (defaultGroups, error) {
	if seen := s.first.Load(); seen != nil {
		return *seen, nil
	}
	seen, err := s.defaultGroups(ctx)
	if err == nil {
		s.first.Store(&seen)
	}
	return seen, err
}

// defaultGroups are the default security groups that the further filters hit.
func (s *site) defaultGroups(ctx context.Context, more ...types.Filter) (defaultGroups, error) {
	out, err := s.api.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{Filters: append(more, filter("group-name", "default"))})
	if err != nil {
		return defaultGroups{}, err
	}
	d := defaultGroups{groups: map[string]string{}}
	for i, g := range out.SecurityGroups {
		d.groups[text(g.VpcId)] = text(g.GroupId)
		if i == 0 {
			d.owner = text(g.OwnerId)
		} else if d.owner != text(g.OwnerId) {
			d.owner = "" // a VPC that others share with us says nothing of who we are
		}
	}
	return d, nil
}
