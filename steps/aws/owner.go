package aws

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// Owners asks to which AWS account the credentials of each known account
// belong: one call each. What another owner's things are called means nothing
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
		if _, asked := owners[p.Account]; asked || a.SkipCredentialValidation || a.CustomEndpointEC2 != "" {
			continue
		}
		cfg, err := a.configure(ctx, p.Region, c.o.Secret)
		if err != nil {
			return nil, err
		}
		out, err := sts.NewFromConfig(cfg, a.enduring).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		if err != nil {
			return nil, fault("find out whose the credentials are", "GetCallerIdentity", old, err)
		}
		if out.Account == nil {
			return nil, fmt.Errorf("cannot find out whose the credentials are: the answer names no account")
		}
		owners[p.Account] = *out.Account
	}
	return owners, nil
}
