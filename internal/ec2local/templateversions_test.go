package ec2local

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func TestTemplateVersions(t *testing.T) {
	b := newBench(t)
	name := aws.String("web")
	must1[*ec2.CreateLaunchTemplateOutput](t)(b.CreateLaunchTemplate(ctx, &ec2.CreateLaunchTemplateInput{LaunchTemplateName: name, VersionDescription: aws.String("the first"),
		LaunchTemplateData: &types.RequestLaunchTemplateData{ImageId: aws.String("ami-00000001"), InstanceType: "t3.micro"}}))
	next := &ec2.CreateLaunchTemplateVersionInput{LaunchTemplateName: name, SourceVersion: aws.String("$Latest"), ClientToken: aws.String("once"), VersionDescription: aws.String("the next"),
		LaunchTemplateData: &types.RequestLaunchTemplateData{ImageId: b.source(xenial).ImageId}}
	for range 2 { // the same token makes one version
		v := must1[*ec2.CreateLaunchTemplateVersionOutput](t)(b.CreateLaunchTemplateVersion(ctx, next)).LaunchTemplateVersion
		if *v.VersionNumber != 2 || *v.LaunchTemplateData.ImageId != *next.LaunchTemplateData.ImageId || v.LaunchTemplateData.InstanceType != "t3.micro" || *v.DefaultVersion {
			t.Fatalf("%+v", v)
		}
	}
	_, err := b.CreateLaunchTemplateVersion(ctx, &ec2.CreateLaunchTemplateVersionInput{LaunchTemplateName: name, SourceVersion: aws.String("7"), LaunchTemplateData: &types.RequestLaunchTemplateData{KeyName: aws.String("k")}})
	wantCode(t, err, "InvalidLaunchTemplateId.VersionNotFound")
	_, err = b.RunInstances(ctx, &ec2.RunInstancesInput{LaunchTemplate: &types.LaunchTemplateSpecification{LaunchTemplateName: name}, MinCount: aws.Int32(1), MaxCount: aws.Int32(1)})
	wantCode(t, err, "InvalidAMIID.NotFound") // the default version is the first
	out := must1[*ec2.ModifyLaunchTemplateOutput](t)(b.ModifyLaunchTemplate(ctx, &ec2.ModifyLaunchTemplateInput{LaunchTemplateName: name, DefaultVersion: aws.String("2")}))
	if *out.LaunchTemplate.DefaultVersionNumber != 2 || *out.LaunchTemplate.LatestVersionNumber != 2 {
		t.Errorf("%+v", out.LaunchTemplate)
	}
	must1[*ec2.RunInstancesOutput](t)(b.RunInstances(ctx, &ec2.RunInstancesInput{LaunchTemplate: &types.LaunchTemplateSpecification{LaunchTemplateName: name}, MinCount: aws.Int32(1), MaxCount: aws.Int32(1)}))
	all := must1[*ec2.DescribeLaunchTemplateVersionsOutput](t)(b.DescribeLaunchTemplateVersions(ctx, &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateName: name})).LaunchTemplateVersions
	if len(all) != 2 || *all[0].VersionNumber != 2 || !*all[0].DefaultVersion || *all[1].VersionDescription != "the first" {
		t.Errorf("%+v", all)
	}
	one := must1[*ec2.DescribeLaunchTemplateVersionsOutput](t)(b.DescribeLaunchTemplateVersions(ctx, &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateName: name, MaxVersion: aws.String("1")})).LaunchTemplateVersions
	if len(one) != 1 || *one[0].VersionNumber != 1 {
		t.Errorf("%+v", one)
	}
	_, err = b.DescribeLaunchTemplateVersions(ctx, &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateName: name, Versions: []string{"3"}})
	wantCode(t, err, "InvalidLaunchTemplateId.VersionNotFound")
}
