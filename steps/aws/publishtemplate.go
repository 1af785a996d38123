package aws

import (
	"context"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
)

// PublishTemplate gives a launch template a new version: its latest with a finished image.
// Nothing of it is taken back when the run's things are removed.
type PublishTemplate struct {
	Of       dag.Out[ReadyImage] `json:"of"`
	Account  string              `json:"account,omitempty"`      // in which is published
	Role     string              `json:"role,omitempty" key:"-"` // that is taken for that
	Template string              `json:"template"`               // its id or its name
	Default  bool                `json:"default,omitempty"`
}

func (PublishTemplate) Kind() string { return "aws.publish-template" }
func (s PublishTemplate) Title() string {
	return "publish the image in the launch template " + s.Template + ofRole(s.Role)
}

// Do looks first: a latest version that has the image already is the one.
func (s PublishTemplate) Do(ctx context.Context, c *Cloud, t *dag.Task) (Published, error) {
	of := s.Of.Value()
	made := Published{Place: Place{s.Account, of.Region}, Image: of.ID, Name: s.Template}
	doing := "publish " + of.ID + " in the launch template " + s.Template + " of " + of.Region + ofRole(s.Role)
	at, err := c.site(ctx, made.Place)
	if err != nil {
		return Published{}, err
	}
	id, name := (*string)(nil), &s.Template
	if wrongID("lt", s.Template) == "" {
		id, name = name, nil
	}
	seen, err := at.api.DescribeLaunchTemplateVersions(ctx, &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: id, LaunchTemplateName: name, Versions: []string{"$Latest"}})
	if err != nil {
		return Published{}, wrapAPI(doing, "DescribeLaunchTemplateVersions", old, err)
	}
	version := seen.LaunchTemplateVersions[0]
	if d := version.LaunchTemplateData; d == nil || text(d.ImageId) != of.ID {
		t.Say("publishing %s in the launch template %s in %s%s", of.ID, s.Template, of.Region, ofRole(s.Role))
		out, err := at.api.CreateLaunchTemplateVersion(ctx, &ec2.CreateLaunchTemplateVersionInput{LaunchTemplateId: id, LaunchTemplateName: name,
			ClientToken: ptr(clientToken(t.Token, 0)), SourceVersion: ptr("$Latest"), VersionDescription: &of.Name, LaunchTemplateData: &types.RequestLaunchTemplateData{ImageId: &of.ID}})
		if err != nil {
			return Published{}, wrapAPI(doing, "CreateLaunchTemplateVersion", 0, err)
		}
		version = *out.LaunchTemplateVersion
	}
	made.Version = int(*version.VersionNumber)
	if s.Default && (version.DefaultVersion == nil || !*version.DefaultVersion) {
		_, err := at.api.ModifyLaunchTemplate(ctx, &ec2.ModifyLaunchTemplateInput{LaunchTemplateId: id, LaunchTemplateName: name, DefaultVersion: ptr(strconv.Itoa(made.Version))})
		if err != nil {
			return Published{}, wrapAPI(fmt.Sprintf("make version %d the default of the launch template %s in %s", made.Version, s.Template, of.Region), "ModifyLaunchTemplate", 0, err)
		}
	}
	return made, nil
}
