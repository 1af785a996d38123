package aws

import (
	"context"
	"net/url"
	"time"

	"github.com/imgflow/imgflow/dag"
)

// MakeProfile makes an instance profile for the time of the build. It has no role until
// GrantPolicy has run.
type MakeProfile struct {
	Place
	Role dag.Out[TemporaryRole] `json:"role" dag:"attach"`
	Tags map[dag.Text]dag.Text  `json:"tags,omitempty"`
}

// TemporaryProfile is an instance profile of IAM.
type TemporaryProfile struct {
	Place
	Name string    `json:"name"`
	Made time.Time `json:"made"`
}

func (MakeProfile) Kind() string  { return "aws.profile" }
func (MakeProfile) Title() string { return "create an instance profile" }

// Do creates the profile, or adopts what an earlier attempt has created.
func (s MakeProfile) Do(ctx context.Context, c *Cloud, t *dag.Task) (TemporaryProfile, error) {
	at, err := c.at(ctx, s.Place)
	if err != nil {
		return TemporaryProfile{}, err
	}
	tags, err := filledTags(t, "run_tags", s.Tags)
	if err != nil {
		return TemporaryProfile{}, err
	}
	in := url.Values{"InstanceProfileName": {t.Token}, "Path": {iamPath(s.Region)}}
	iamTags(in, c.tags(t, tags))
	const doing = "create an instance profile"
	err = c.callIAM(ctx, s.Place, "CreateInstanceProfile", in, &struct{}{})
	switch {
	case err == nil:
		t.Say("created the instance profile %s", t.Token)
		return TemporaryProfile{s.Place, t.Token, now()}, nil
	case classify("CreateInstanceProfile", 0, err).class != alreadyExists:
		return TemporaryProfile{}, asNotMade(doing, "CreateInstanceProfile", 0, err)
	}
	p, lookErr := untilVisible(ctx, at.window, func() (TemporaryProfile, error) { return c.profileOf(ctx, s.Place, t) })
	if lookErr == nil {
		return p, nil
	}
	return TemporaryProfile{}, asNotMade(doing, "CreateInstanceProfile", 0, err)
}

// instanceProfile is what IAM shows of an instance profile.
func (c *Cloud) instanceProfile(ctx context.Context, p Place, name string) (iamThing, error) {
	return c.iamThing(ctx, p, "GetInstanceProfile", "InstanceProfileName", name, "look for the instance profile")
}

// profileOf is the profile that a task has made.
func (c *Cloud) profileOf(ctx context.Context, p Place, t *dag.Task) (TemporaryProfile, error) {
	found, err := c.instanceProfile(ctx, p, t.Token)
	if err == nil && found.tag(TagToken) != t.Token {
		err = dag.ErrNotFound
	}
	return TemporaryProfile{p, t.Token, now()}, err
}

// Find looks for the profile by its name, which is the token of its making.
func (p TemporaryProfile) Find(ctx context.Context, c *Cloud, t *dag.Task) (TemporaryProfile, error) {
	return findAnywhere(ctx, c, p.Place, func(s *site) (TemporaryProfile, error) {
		return untilVisible(ctx, s.window, func() (TemporaryProfile, error) {
			if p.Name == "" {
				return c.profileOf(ctx, s.Place, t)
			}
			_, err := c.instanceProfile(ctx, s.Place, p.Name)
			return p, err
		})
	})
}

// Undo takes the role out of the profile and deletes it.
func (p TemporaryProfile) Undo(ctx context.Context, c *Cloud, t *dag.Task) error {
	p, err := withID(ctx, c, t, p, p.Name)
	if err != nil {
		return err
	}
	return c.removeProfile(ctx, p)
}

// removeProfile asks which roles are in the profile: a crash may have come before GrantPolicy had
// its checkpoint.
func (c *Cloud) removeProfile(ctx context.Context, p TemporaryProfile) error {
	at, err := c.at(ctx, p.Place)
	if err != nil {
		return err
	}
	doing := "delete the instance profile " + p.Name
	return at.removeThing(ctx, doing, "DeleteInstanceProfile", p.Made, func() error {
		found, err := c.instanceProfile(ctx, p.Place, p.Name)
		if err == nil {
			err = c.emptyProfile(ctx, p, found)
		}
		if err != nil {
			return err
		}
		return c.callIAM(ctx, p.Place, "DeleteInstanceProfile", url.Values{"InstanceProfileName": {p.Name}}, &struct{}{})
	})
}

// emptyProfile takes all roles out of a profile that IAM shows in it.
func (c *Cloud) emptyProfile(ctx context.Context, p TemporaryProfile, found iamThing) error {
	for _, r := range found.Roles {
		err := c.callIAM(ctx, p.Place, "RemoveRoleFromInstanceProfile", url.Values{"InstanceProfileName": {p.Name}, "RoleName": {r.Role}}, &struct{}{})
		if err := gone("take the role "+r.Role+" out of "+p.Name, "RemoveRoleFromInstanceProfile", err); err != nil {
			return err
		}
	}
	return nil
}

// Label is the profile's name.
func (p TemporaryProfile) Label() string { return "instance profile " + p.Name }
