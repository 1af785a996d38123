package aws

import (
	"context"
	"encoding/json"
	"net/url"
	"time"

	"github.com/imgflow/imgflow/dag"
)

// MakeRole makes a role for the time of the build, which EC2 may take. It may nothing until
// GrantPolicy has run.
type MakeRole struct {
	Place
	Tags map[dag.Text]dag.Text `json:"tags,omitempty"`

	Access dag.Out[CheckedAccess] `json:"granted" key:"-"` // what only has to come first
}

// TemporaryRole is a role of IAM.
type TemporaryRole struct {
	Place
	Name string    `json:"name"`
	Made time.Time `json:"made"`
}

func (MakeRole) Kind() string  { return "aws.role" }
func (MakeRole) Title() string { return "create an IAM role" }

// Do creates the role, or adopts what an earlier attempt has created.
func (s MakeRole) Do(ctx context.Context, c *Cloud, t *dag.Task) (TemporaryRole, error) {
	at, err := c.at(ctx, s.Place)
	if err != nil {
		return TemporaryRole{}, err
	}
	tags, err := filledTags(t, "run_tags", s.Tags)
	if err != nil {
		return TemporaryRole{}, err
	}
	trust, err := json.Marshal(map[string]any{"Version": policyVersion, "Statement": []any{map[string]any{
		"Effect": "Allow", "Principal": map[string]string{"Service": iamOf(s.Region).ec2}, "Action": "sts:AssumeRole"}}})
	if err != nil {
		return TemporaryRole{}, err
	}
	in := url.Values{"RoleName": {t.Token}, "Path": {iamPath(s.Region)}, "AssumeRolePolicyDocument": {string(trust)}, "Description": {"temporary role of a build by imgflow"}}
	iamTags(in, c.tags(t, tags))
	const doing = "create an IAM role"
	err = c.callIAM(ctx, s.Place, "CreateRole", in, &struct{}{})
	switch {
	case err == nil:
		t.Say("created the role %s", t.Token)
		return TemporaryRole{s.Place, t.Token, now()}, nil
	case classify("CreateRole", 0, err).class != alreadyExists:
		return TemporaryRole{}, asNotMade(doing, "CreateRole", 0, err)
	}
	r, lookErr := untilVisible(ctx, at.window, func() (TemporaryRole, error) { return c.roleOf(ctx, s.Place, t) })
	if lookErr == nil {
		return r, nil
	}
	return TemporaryRole{}, asNotMade(doing, "CreateRole", 0, err)
}

// role is what IAM shows of a role.
func (c *Cloud) role(ctx context.Context, p Place, name string) (iamThing, error) {
	return c.iamThing(ctx, p, "GetRole", "RoleName", name, "look for the role")
}

// roleOf is the role that a task has made.
func (c *Cloud) roleOf(ctx context.Context, p Place, t *dag.Task) (TemporaryRole, error) {
	r, err := c.role(ctx, p, t.Token)
	if err == nil && r.tag(TagToken) != t.Token {
		err = dag.ErrNotFound
	}
	return TemporaryRole{p, t.Token, now()}, err
}

// Find looks for the role by its name, which is the token of its making.
func (r TemporaryRole) Find(ctx context.Context, c *Cloud, t *dag.Task) (TemporaryRole, error) {
	return findAnywhere(ctx, c, r.Place, func(s *site) (TemporaryRole, error) {
		return untilVisible(ctx, s.window, func() (TemporaryRole, error) {
			if r.Name == "" {
				return c.roleOf(ctx, s.Place, t)
			}
			_, err := c.role(ctx, s.Place, r.Name)
			return r, err
		})
	})
}

// Undo deletes the role with its policy.
func (r TemporaryRole) Undo(ctx context.Context, c *Cloud, t *dag.Task) error {
	r, err := withID(ctx, c, t, r, r.Name)
	if err != nil {
		return err
	}
	return c.removeRole(ctx, r)
}

func (c *Cloud) removeRole(ctx context.Context, r TemporaryRole) error {
	at, err := c.at(ctx, r.Place)
	if err != nil {
		return err
	}
	doing := "delete the role " + r.Name
	err = c.callIAM(ctx, r.Place, "DeleteRolePolicy", url.Values{"RoleName": {r.Name}, "PolicyName": {policyName}}, &struct{}{})
	if err := gone(doing, "DeleteRolePolicy", err); err != nil {
		return err
	}
	return at.removeThing(ctx, doing, "DeleteRole", r.Made, func() error {
		return c.callIAM(ctx, r.Place, "DeleteRole", url.Values{"RoleName": {r.Name}}, &struct{}{})
	})
}

// Label is the role's name.
func (r TemporaryRole) Label() string { return "role " + r.Name }
