package aws

import (
	"cmp"
	"context"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/imgflow/imgflow/dag"
)

// FindTemplate looks before anything is launched for the launch template that fast launch
// is to use in a region.
type FindTemplate struct {
	Place
	ID      string `json:"id,omitempty"` // either it
	Name    string `json:"name,omitempty"`
	Version int    `json:"version,omitempty"` // 0 is the default one

	Access dag.Out[CheckedAccess] `json:"granted" key:"-"` // what only has to come first
}

// FoundTemplate is a version of a launch template.
type FoundTemplate struct {
	ID      string `json:"id"`
	Version int    `json:"version"`
}

func (FindTemplate) Kind() string    { return "aws.fast-launch-template" }
func (s FindTemplate) Title() string { return "find the launch template of fast launch in " + s.Region }

// Do finds the template, and its default version where none is named.
func (s FindTemplate) Do(ctx context.Context, c *Cloud, t *dag.Task) (FoundTemplate, error) {
	at, err := c.at(ctx, s.Place)
	if err != nil {
		return FoundTemplate{}, err
	}
	in, called := &ec2.DescribeLaunchTemplatesInput{}, cmp.Or(s.ID, s.Name)
	if s.ID != "" {
		in.LaunchTemplateIds = []string{s.ID}
	} else {
		in.LaunchTemplateNames = []string{s.Name}
	}
	out, err := at.api.DescribeLaunchTemplates(ctx, in)
	if err != nil {
		return FoundTemplate{}, wrapAPI("find the launch template "+called+" in "+s.Region, "DescribeLaunchTemplates", old, err)
	}
	if len(out.LaunchTemplates) != 1 {
		return FoundTemplate{}, fmt.Errorf("cannot find the launch template %s in %s: EC2 shows %d", called, s.Region, len(out.LaunchTemplates))
	}
	l := out.LaunchTemplates[0]
	found, latest := FoundTemplate{ID: text(l.LaunchTemplateId), Version: s.Version}, 0
	if l.LatestVersionNumber != nil {
		latest = int(*l.LatestVersionNumber)
	}
	if found.Version == 0 && l.DefaultVersionNumber != nil {
		found.Version = int(*l.DefaultVersionNumber)
	}
	if found.Version > latest {
		return FoundTemplate{}, fmt.Errorf("cannot use version %d of the launch template %s in %s: its latest is %d", found.Version, called, s.Region, latest)
	}
	t.Say("fast launch in %s will use version %s of %s", s.Region, strconv.Itoa(found.Version), found.ID)
	return found, nil
}
