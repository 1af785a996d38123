package ec2local

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

const other = "210987654321"

// as is a client of another account in a region, by a key of its number.
func (b *bench) as(account, region string) *ec2.Client {
	cfg := b.config(region)
	cfg.Credentials = credentialsOf(Key{account, keyOfTests.Secret})
	return ec2.NewFromConfig(cfg)
}

// TestAccounts shares an image with another account, which copies it.
func TestAccounts(t *testing.T) {
	b := newBench(t)
	id := b.run()
	b.until(id, "running")
	made := must1[*ec2.CreateImageOutput](t)(b.CreateImage(ctx, &ec2.CreateImageInput{InstanceId: &id, Name: aws.String("mine")})).ImageId
	snap := b.imageUntil(*made, "available").BlockDeviceMappings[0].Ebs.SnapshotId
	theirs := b.as(other, "us-east-1")
	look := &ec2.DescribeImagesInput{ImageIds: []string{*made}}
	_, err := theirs.DescribeImages(ctx, look)
	wantCode(t, err, "InvalidAMIID.NotFound")
	if vpcs := must1[*ec2.DescribeVpcsOutput](t)(theirs.DescribeVpcs(ctx, nil)).Vpcs; len(vpcs) != 1 || *vpcs[0].OwnerId != other || *vpcs[0].VpcId == fixedID("vpc", "default us-east-1") {
		t.Errorf("%+v", vpcs)
	}
	if list := must1[*ec2.DescribeInstancesOutput](t)(theirs.DescribeInstances(ctx, nil)).Reservations; len(list) > 0 {
		t.Errorf("another account sees %+v", list)
	}

	must1[*ec2.ModifyImageAttributeOutput](t)(b.ModifyImageAttribute(ctx, &ec2.ModifyImageAttributeInput{ImageId: made, LaunchPermission: &types.LaunchPermissionModifications{
		Add: []types.LaunchPermission{{UserId: aws.String(other)}}}}))
	if m := must1[*ec2.DescribeImagesOutput](t)(theirs.DescribeImages(ctx, look)).Images[0]; *m.OwnerId != account {
		t.Errorf("%+v", m)
	}
	if ms := must1[*ec2.DescribeImagesOutput](t)(theirs.DescribeImages(ctx, &ec2.DescribeImagesInput{Owners: []string{account}})).Images; len(ms) != 1 {
		t.Errorf("%d images of the first account", len(ms))
	}
	_, err = theirs.DeregisterImage(ctx, &ec2.DeregisterImageInput{ImageId: made})
	wantCode(t, err, "AuthFailure")
	launched := must1[*ec2.RunInstancesOutput](t)(theirs.RunInstances(ctx, &ec2.RunInstancesInput{ImageId: made, InstanceType: "t3.micro", MinCount: aws.Int32(1), MaxCount: aws.Int32(1)}))
	if *launched.OwnerId != other {
		t.Errorf("%+v", launched)
	}
	request := &ec2.CopyImageInput{Name: aws.String("mine"), SourceImageId: made, SourceRegion: aws.String("us-east-1")}
	_, err = theirs.CopyImage(ctx, request)
	wantCode(t, err, "InvalidRequest") // its storage is not shared
	must1[*ec2.ModifySnapshotAttributeOutput](t)(b.ModifySnapshotAttribute(ctx, &ec2.ModifySnapshotAttributeInput{SnapshotId: snap, OperationType: "add", UserIds: []string{other}}))
	far := b.as(other, "eu-west-1")
	for _, c := range []*ec2.Client{theirs, far} {
		copied := must1[*ec2.CopyImageOutput](t)(c.CopyImage(ctx, request)).ImageId
		if m := must1[*ec2.DescribeImagesOutput](t)(c.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{*copied}})).Images[0]; *m.OwnerId != other || *m.SourceImageId != *made || *m.SourceImageRegion != "us-east-1" {
			t.Errorf("%+v", m)
		}
	}

	b.stop() // the next server knows the accounts
	b.start()
	cfg := b.config("eu-west-1")
	cfg.Credentials = stscreds.NewAssumeRoleProvider(sts.NewFromConfig(cfg), "arn:aws:iam::"+other+":role/publisher")
	role := ec2.NewFromConfig(cfg)
	if ms := must1[*ec2.DescribeImagesOutput](t)(role.DescribeImages(ctx, &ec2.DescribeImagesInput{Owners: []string{"self"}})).Images; len(ms) != 1 || *ms[0].Name != "mine" {
		t.Errorf("%+v", ms)
	}
	if who := must1[*sts.GetCallerIdentityOutput](t)(sts.NewFromConfig(cfg).GetCallerIdentity(ctx, nil)); *who.Account != other || !strings.HasPrefix(*who.Arn, "arn:aws:sts::"+other+":assumed-role/publisher/") {
		t.Errorf("%+v", who)
	}
	var owners []string
	for _, i := range b.server.Inventory().Of("image") {
		owners = append(owners, i.Region+" "+i.Account)
	}
	if len(owners) != 3 || !strings.Contains(strings.Join(owners, ", "), "eu-west-1 "+other) {
		t.Errorf("images of %q", owners)
	}
	// What was shared with an organization is, too.
	org := aws.String("arn:aws:organizations::123456789012:organization/o-0123456789")
	must1[*ec2.ModifyImageAttributeOutput](t)(b.ModifyImageAttribute(ctx, &ec2.ModifyImageAttributeInput{ImageId: made, LaunchPermission: &types.LaunchPermissionModifications{
		Add: []types.LaunchPermission{{OrganizationArn: org}}}}))
	must1[*ec2.DescribeImagesOutput](t)(b.as("333333333333", "us-east-1").DescribeImages(ctx, look))
}

func TestPlaces(t *testing.T) {
	for place, want := range map[string]bool{"us-east-1": true, "us-east-1@" + other: true, "moon-1@" + other: false, "us-east-1@" + account: false, "us-east-1@2": false, "us-east-1@": false} {
		if knownRegion(place) != want {
			t.Errorf("%q: %v", place, !want)
		}
	}
	if a := arn("kms", "us-east-1@"+other, "key/1"); a != "arn:aws:kms:us-east-1:"+other+":key/1" {
		t.Error(a)
	}
}
