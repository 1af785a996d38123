package aws

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// Owners tells to which AWS account the credentials of each known account
// belong, by one call each. What another owner's things are called means nothing
// to us, and NotFound from the wrong owner would count as gone, so a process
// that goes on with a run compares before it looks for anything. Accounts whose
// options forbid the question, and the embedded endpoint, have no answer.
func (c *Cloud) Owners(ctx context.Context) (map[string]string, error) {
	if c.o.Endpoint != "" {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute) // a throttled account answers late
	defer cancel()
	c.mu.Lock()
	known := slices.Clone(c.known)
	c.mu.Unlock()
	owners := map[string]string{}
	for _, p := range known {
		c.mu.Lock()
		a := c.accounts[p.Account]
		c.mu.Unlock()
		if owner := ownerOf(a.Then.RoleARN); owner != "" { // it need not be asked, and what it refuses is no matter of the others
			owners[p.Account] = owner
			continue
		}
		if _, asked := owners[p.Account]; asked || a.SkipCredentialValidation || a.CustomEndpointEC2 != "" {
			continue
		}
		owner, err := c.owner(ctx, p, a)
		if err != nil {
			return nil, err
		}
		owners[p.Account] = owner
	}
	return owners, nil
}

// owner is the AWS account behind the settings. The default security groups tell it,
// which a build asks for anyway; STS does where there are none, or they are not for
// the caller to see.
func (c *Cloud) owner(ctx context.Context, p Place, a Access) (string, error) {
	const doing = "find out whose the credentials are"
	at, err := c.at(ctx, p)
	if err != nil {
		return "", err
	}
	first, err := at.firstLook(ctx)
	if code, _ := apiError(err); err != nil && !lacksPermission(code) {
		return "", wrapAPI(doing, "DescribeSecurityGroups", old, err)
	}
	if first.owner != "" {
		return first.owner, nil
	}
	cfg, err := c.configure(ctx, a, p.Region, c.o.Getenv)
	if err != nil {
		return "", err
	}
	out, err := a.sts(cfg, c.o.Getenv).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", wrapAPI(doing, "GetCallerIdentity", old, expired(at.relogin, err))
	}
	if out.Account == nil {
		return "", errors.New("cannot " + doing + ": the answer names no account")
	}
	return *out.Account, nil
}
