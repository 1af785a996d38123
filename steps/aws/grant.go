package aws

import (
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"time"

	"github.com/imgflow/imgflow/dag"
)

// GrantPolicy gives the temporary role the policy of the template, and puts it into the instance
// profile. A crash between its calls is healed by making them again: the role's and the profile's
// own removals take it back.
type GrantPolicy struct {
	Role    dag.Out[TemporaryRole]    `json:"role"`
	Profile dag.Out[TemporaryProfile] `json:"profile"`
	Policy  PolicyRecord              `json:"policy"`
}

// GrantedPolicy says since when a profile has its role.
type GrantedPolicy struct {
	At time.Time `json:"at"`
}

// policyName is what the policy of a temporary role is called, and policyVersion the version of
// the language of policies.
const (
	policyName    = "imgflow"
	policyVersion = "2012-10-17"
)

func (GrantPolicy) Kind() string  { return "aws.grant" }
func (GrantPolicy) Title() string { return "grant what the machine may do" }

// Do puts the policy and the role where they belong; what is there already is no error.
func (s GrantPolicy) Do(ctx context.Context, c *Cloud, t *dag.Task) (GrantedPolicy, error) {
	role, profile := s.Role.Value(), s.Profile.Value()
	policy, err := json.Marshal(s.Policy)
	if err != nil {
		return GrantedPolicy{}, err
	}
	err = c.callIAM(ctx, role.Place, "PutRolePolicy", url.Values{"RoleName": {role.Name}, "PolicyName": {policyName}, "PolicyDocument": {string(policy)}}, &struct{}{})
	if err != nil {
		return GrantedPolicy{}, wrapAPI("give the role "+role.Name+" its policy", "PutRolePolicy", since(role.Made), err)
	}
	add := func() error {
		return c.callIAM(ctx, role.Place, "AddRoleToInstanceProfile", url.Values{"InstanceProfileName": {profile.Name}, "RoleName": {role.Name}}, &struct{}{})
	}
	doing := "put the role " + role.Name + " into " + profile.Name
	err = add()
	if code, _ := apiError(err); code == "LimitExceeded" { // a profile has one role: this one, or one that was lost since
		found, lookErr := c.instanceProfile(ctx, profile.Place, profile.Name)
		if lookErr != nil {
			return GrantedPolicy{}, lookErr
		}
		if slices.ContainsFunc(found.Roles, func(r iamThing) bool { return r.Role == role.Name }) {
			return GrantedPolicy{now()}, nil
		}
		if err := c.emptyProfile(ctx, profile, found); err != nil {
			return GrantedPolicy{}, err
		}
		err = add()
	}
	if err != nil {
		return GrantedPolicy{}, wrapAPI(doing, "AddRoleToInstanceProfile", min(since(role.Made), since(profile.Made)), err)
	}
	return GrantedPolicy{now()}, nil
}
