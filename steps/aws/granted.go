package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/imgflow/imgflow/dag"
)

// CheckAccess finds out whether EC2 takes the credentials, once for all steps
// that begin a build: otherwise each of them would fail with the same words.
type CheckAccess struct{ Place }

// Granted says that it does.
type Granted struct{}

func (CheckAccess) Kind() string    { return "aws.access" }
func (s CheckAccess) Title() string { return "check the access to " + s.Region }

// Do asks for something that costs nothing. Whoever may not ask it is known to
// EC2 all the same, and so may do what the build needs.
func (s CheckAccess) Do(ctx context.Context, c *Cloud, t *dag.Task) (Granted, error) {
	at, err := c.at(ctx, s.Place)
	if err != nil {
		return Granted{}, err
	}
	const call = "DescribeRegions"
	_, err = at.api.DescribeRegions(ctx, &ec2.DescribeRegionsInput{})
	if code, _ := apiError(err); code != "" && (lacksPermission(code) || judge(call, old, err).is != refused) {
		err = nil
	}
	return Granted{}, fault("use EC2 in "+s.Region, call, old, err)
}
