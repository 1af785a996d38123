package ec2local

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// windowsImage is an image of one's own of Windows.
func (b *bench) windowsImage(name string) string {
	b.t.Helper()
	source := b.source("Windows_Server-2022-English-Full-Base-*")
	made := must1[*ec2.CopyImageOutput](b.t)(b.CopyImage(ctx, &ec2.CopyImageInput{SourceImageId: source.ImageId, SourceRegion: aws.String("us-east-1"), Name: &name}))
	eventually(b.t, "the copy is available", func() bool {
		return b.mustImages(&ec2.DescribeImagesInput{ImageIds: []string{*made.ImageId}})[0].State == "available"
	})
	return *made.ImageId
}

func TestFastLaunch(t *testing.T) {
	b := newBench(t)
	id := b.windowsImage("windows")
	must1[*ec2.CreateLaunchTemplateOutput](t)(b.CreateLaunchTemplate(ctx, &ec2.CreateLaunchTemplateInput{LaunchTemplateName: aws.String("fast"),
		LaunchTemplateData: &types.RequestLaunchTemplateData{InstanceType: "t3.medium"}}))
	on, err := b.EnableFastLaunch(ctx, &ec2.EnableFastLaunchInput{ImageId: &id, MaxParallelLaunches: aws.Int32(7),
		SnapshotConfiguration: &types.FastLaunchSnapshotConfigurationRequest{TargetResourceCount: aws.Int32(2)},
		LaunchTemplate:        &types.FastLaunchLaunchTemplateSpecificationRequest{LaunchTemplateName: aws.String("fast"), Version: aws.String("1")}})
	if err != nil || *on.MaxParallelLaunches != 7 {
		t.Fatalf("%+v, %v", on, err)
	}
	look := func() []types.DescribeFastLaunchImagesSuccessItem {
		return must1[*ec2.DescribeFastLaunchImagesOutput](t)(b.DescribeFastLaunchImages(ctx, &ec2.DescribeFastLaunchImagesInput{ImageIds: []string{id}})).FastLaunchImages
	}
	if l := look(); len(l) != 1 || l[0].State != "enabled" || *l[0].SnapshotConfiguration.TargetResourceCount != 2 || *l[0].LaunchTemplate.LaunchTemplateName != "fast" {
		t.Errorf("%+v", l)
	}
	must1[*ec2.DisableFastLaunchOutput](t)(b.DisableFastLaunch(ctx, &ec2.DisableFastLaunchInput{ImageId: &id}))
	if l := look(); len(l) != 0 {
		t.Errorf("after its end: %+v", l)
	}
	_, linux := b.stoppedImage("linux")
	for _, x := range []struct {
		code string
		in   ec2.EnableFastLaunchInput
	}{
		{"InvalidRequest", ec2.EnableFastLaunchInput{ImageId: &linux}},
		{"InvalidParameterValue", ec2.EnableFastLaunchInput{ImageId: &id, MaxParallelLaunches: aws.Int32(5)}},
		{"InvalidParameterValue", ec2.EnableFastLaunchInput{ImageId: &id, ResourceType: aws.String("volume")}},
		{"InvalidLaunchTemplateName.NotFoundException", ec2.EnableFastLaunchInput{ImageId: &id,
			LaunchTemplate: &types.FastLaunchLaunchTemplateSpecificationRequest{LaunchTemplateName: aws.String("none"), Version: aws.String("1")}}},
		{"InvalidLaunchTemplateId.VersionNotFound", ec2.EnableFastLaunchInput{ImageId: &id,
			LaunchTemplate: &types.FastLaunchLaunchTemplateSpecificationRequest{LaunchTemplateName: aws.String("fast"), Version: aws.String("2")}}},
	} {
		_, err := b.EnableFastLaunch(ctx, &x.in)
		wantCode(t, err, x.code)
	}

	// Without a default VPC and a template it comes to nothing, which shows later.
	if err := b.server.update(func(t *txn) error {
		for _, v := range all[vpc](t, "us-east-1") {
			v.Default = false
			put(t, v)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	must1[*ec2.EnableFastLaunchOutput](t)(b.EnableFastLaunch(ctx, &ec2.EnableFastLaunchInput{ImageId: &id}))
	if l := look(); len(l) != 1 || l[0].State != "enabling-failed" || *l[0].StateTransitionReason == "" {
		t.Errorf("without a VPC: %+v", l)
	}
}
