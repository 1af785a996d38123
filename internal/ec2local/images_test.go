package ec2local

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func filterBy(pairs ...string) []types.Filter {
	var f []types.Filter
	for i := 0; i < len(pairs); i += 2 {
		f = append(f, types.Filter{Name: aws.String(pairs[i]), Values: strings.Split(pairs[i+1], "|")})
	}
	return f
}

// TestCatalogue looks for images as template authors do.
func TestCatalogue(t *testing.T) {
	b := newBench(t)
	for _, x := range []struct {
		name, owner, user, newest string
	}{
		{xenial, canonical, "ubuntu", "ubuntu/images/hvm-ssd/ubuntu-xenial-16.04-amd64-server-20210928"},
		{"ubuntu/images/*ubuntu-noble-24.04-amd64-server-*", canonical, "ubuntu", "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20260513"},
		{"debian-12-amd64-*", debian, "admin", "debian-12-amd64-20260513-1234"},
		{"al2023-ami-2023.*-x86_64", "amazon", "ec2-user", "al2023-ami-2023.9.20260513.0-kernel-6.1-x86_64"},
		{"amzn2-ami-hvm-*-x86_64-gp2", "amazon", "ec2-user", "amzn2-ami-hvm-2.0.20260513.0-x86_64-gp2"},
		{"*Windows_Server-2012-R2*English-64Bit-Base*", "amazon", "Administrator", "Windows_Server-2012-R2_RTM-English-64Bit-Base-2023.10.11"},
		{"Windows_Server-2022-English-Full-Base-*", windowsTeam, "Administrator", "Windows_Server-2022-English-Full-Base-2026.05.13"},
	} {
		out, err := b.DescribeImages(ctx, &ec2.DescribeImagesInput{
			Owners: []string{x.owner}, Filters: filterBy("name", x.name, "virtualization-type", "hvm", "root-device-type", "ebs"),
		})
		if err != nil || len(out.Images) != 3 {
			t.Errorf("%s: %d images, %v", x.name, len(out.Images), err)
			continue
		}
		newest := b.source(x.name)
		m, err := func() (m *image, err error) {
			err = b.server.view(func(t *txn) error {
				m, err = (&call{txn: t, caller: caller{region: "us-east-1"}}).image(*newest.ImageId)
				return err
			})
			return m, err
		}()
		if err != nil || *newest.Name != x.newest || m.User != x.user {
			t.Errorf("%s: the newest is %s for %s, %v", x.name, *newest.Name, m.User, err)
		}
	}
	first := *b.source(xenial).ImageId
	other, err := b.client("eu-west-1").DescribeImages(ctx, &ec2.DescribeImagesInput{Filters: filterBy("name", xenial)})
	if err != nil || len(other.Images) != 3 || *other.Images[0].ImageId == first {
		t.Errorf("another region: %+v, %v", other, err)
	}
	for i, m := range newBench(t).mustImages(&ec2.DescribeImagesInput{Filters: filterBy("name", xenial)}) {
		if *m.ImageId != *b.mustImages(&ec2.DescribeImagesInput{Filters: filterBy("name", xenial)})[i].ImageId {
			t.Error("another endpoint has other ids")
		}
	}
	var paged int
	p := ec2.NewDescribeImagesPaginator(b.Client, &ec2.DescribeImagesInput{MaxResults: aws.Int32(7)})
	for p.HasMorePages() {
		out, err := p.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		paged += len(out.Images)
	}
	if whole := len(b.mustImages(&ec2.DescribeImagesInput{})); paged != whole || whole < 40 {
		t.Errorf("%d images by pages, %d at once", paged, whole)
	}
	for want, in := range map[string]*ec2.DescribeImagesInput{
		"InvalidAMIID.NotFound":   {ImageIds: []string{"ami-0123456789abcdef0"}},
		"InvalidAMIID.Malformed":  {ImageIds: []string{"ubuntu"}},
		"InvalidUserID.Malformed": {Owners: []string{"Canonical"}},
	} {
		_, err := b.DescribeImages(ctx, in)
		wantCode(t, err, want)
	}
	if own := b.mustImages(&ec2.DescribeImagesInput{Owners: []string{"self"}}); len(own) != 0 {
		t.Errorf("own images: %+v", own)
	}
	_, err = b.DeregisterImage(ctx, &ec2.DeregisterImageInput{ImageId: &first})
	wantCode(t, err, "AuthFailure")
}

func (b *bench) mustImages(in *ec2.DescribeImagesInput) []types.Image {
	b.t.Helper()
	out, err := b.DescribeImages(ctx, in)
	if err != nil {
		b.t.Fatal(err)
	}
	return out.Images
}

// stoppedImage makes an available image of a stopped instance.
func (b *bench) stoppedImage(name string) (instance, image string) {
	b.t.Helper()
	id := b.run()
	b.until(id, "running")
	must1[*ec2.StopInstancesOutput](b.t)(b.StopInstances(ctx, &ec2.StopInstancesInput{InstanceIds: []string{id}}))
	b.until(id, "stopped")
	out, err := b.CreateImage(ctx, &ec2.CreateImageInput{InstanceId: &id, Name: &name})
	if err != nil {
		b.t.Fatal(err)
	}
	b.imageUntil(*out.ImageId, "available")
	return id, *out.ImageId
}

func TestImageNames(t *testing.T) {
	b := newBench(t)
	id, _ := b.stoppedImage("taken")
	for name, want := range map[string]string{
		"taken": "InvalidAMIName.Duplicate", "ab": "InvalidAMIName.Malformed", strings.Repeat("a", 129): "InvalidAMIName.Malformed",
		"semi;colon": "InvalidAMIName.Malformed", "new\nline": "InvalidAMIName.Malformed", "": "MissingParameter",
		"with (all) [of] them ./-'@_ 1": "", strings.Repeat("a", 128): "",
	} {
		_, err := b.CreateImage(ctx, &ec2.CreateImageInput{InstanceId: &id, Name: &name})
		wantCode(t, err, want)
	}
	_, err := b.CreateImage(ctx, &ec2.CreateImageInput{InstanceId: &id, Name: aws.String("long"), Description: aws.String(strings.Repeat("x", 256))})
	wantCode(t, err, "InvalidParameterValue")
}

// TestImageReboot makes an image of a running instance, with and without the
// reboot.
func TestImageReboot(t *testing.T) {
	b := newBench(t)
	id := b.run()
	b.until(id, "running")
	m := b.host.get(id)
	for _, x := range []struct {
		name     string
		noReboot bool
		boots    int
	}{{"live", true, 1}, {"rebooted", false, 2}} {
		out, err := b.CreateImage(ctx, &ec2.CreateImageInput{InstanceId: &id, Name: &x.name, NoReboot: &x.noReboot})
		if err != nil {
			t.Fatal(err)
		}
		b.imageUntil(*out.ImageId, "available")
		eventually(t, "it runs", m.isRunning)
		if m.boots != x.boots || b.instance(id).State.Name != "running" {
			t.Errorf("%s: %d boots", x.name, m.boots)
		}
	}
}

func TestImageSettings(t *testing.T) {
	b := newBench(t)
	_, id := b.stoppedImage("image")
	modify := func(in *ec2.ModifyImageAttributeInput, want string) {
		t.Helper()
		in.ImageId = &id
		_, err := b.ModifyImageAttribute(ctx, in)
		wantCode(t, err, want)
	}
	modify(&ec2.ModifyImageAttributeInput{Description: &types.AttributeValue{Value: aws.String("new")}}, "")
	modify(&ec2.ModifyImageAttributeInput{ImdsSupport: &types.AttributeValue{Value: aws.String("v2.0")}}, "")
	modify(&ec2.ModifyImageAttributeInput{Attribute: aws.String("launchPermission"), OperationType: "add", UserIds: []string{"111122223333"}}, "")
	modify(&ec2.ModifyImageAttributeInput{LaunchPermission: &types.LaunchPermissionModifications{Add: []types.LaunchPermission{
		{Group: "all"}, {OrganizationArn: aws.String("arn:aws:organizations::123456789012:organization/o-0123456789")},
		{OrganizationalUnitArn: aws.String("arn:aws:organizations::123456789012:ou/o-0123456789/ou-ab12-01234567")},
	}}}, "")
	modify(&ec2.ModifyImageAttributeInput{ProductCodes: []string{"code"}}, "")
	modify(&ec2.ModifyImageAttributeInput{OperationType: "add", UserIds: []string{"me"}}, "InvalidAMIAttributeItemValue")
	modify(&ec2.ModifyImageAttributeInput{}, "InvalidParameterCombination")
	m := b.mustImages(&ec2.DescribeImagesInput{ImageIds: []string{id}, ExecutableUsers: []string{"111122223333"}})
	if len(m) != 1 || *m[0].Description != "new" || m[0].ImdsSupport != "v2.0" || !*m[0].Public || *m[0].ProductCodes[0].ProductCodeId != "code" {
		t.Errorf("%+v", m)
	}
	for _, a := range types.ImageAttributeName("").Values() {
		out, err := b.DescribeImageAttribute(ctx, &ec2.DescribeImageAttributeInput{ImageId: &id, Attribute: a})
		if err != nil {
			t.Errorf("%s: %v", a, err)
		} else if a == "launchPermission" && len(out.LaunchPermissions) != 4 {
			t.Errorf("permissions %+v", out.LaunchPermissions)
		}
	}
	must1[*ec2.ResetImageAttributeOutput](t)(b.ResetImageAttribute(ctx, &ec2.ResetImageAttributeInput{ImageId: &id, Attribute: "launchPermission"}))
	if m := b.mustImages(&ec2.DescribeImagesInput{ImageIds: []string{id}}); *m[0].Public {
		t.Error("still public")
	}
	soon := time.Now().Add(time.Hour)
	must1[*ec2.EnableImageDeprecationOutput](t)(b.EnableImageDeprecation(ctx, &ec2.EnableImageDeprecationInput{ImageId: &id, DeprecateAt: &soon}))
	if m := b.mustImages(&ec2.DescribeImagesInput{ImageIds: []string{id}}); m[0].DeprecationTime == nil {
		t.Error("not deprecated")
	}
	past := time.Now().Add(-time.Hour)
	_, err := b.EnableImageDeprecation(ctx, &ec2.EnableImageDeprecationInput{ImageId: &id, DeprecateAt: &past})
	wantCode(t, err, "InvalidParameterValue")
	must1[*ec2.DisableImageDeprecationOutput](t)(b.DisableImageDeprecation(ctx, &ec2.DisableImageDeprecationInput{ImageId: &id}))
	on := must1[*ec2.EnableImageDeregistrationProtectionOutput](t)(b.EnableImageDeregistrationProtection(ctx, &ec2.EnableImageDeregistrationProtectionInput{ImageId: &id}))
	if *on.Return != "enabled-without-cooldown" {
		t.Error(*on.Return)
	}
	_, err = b.DeregisterImage(ctx, &ec2.DeregisterImageInput{ImageId: &id})
	wantCode(t, err, "OperationNotPermitted")
	must1[*ec2.DisableImageDeregistrationProtectionOutput](t)(b.DisableImageDeregistrationProtection(ctx, &ec2.DisableImageDeregistrationProtectionInput{ImageId: &id}))
	must1[*ec2.DeregisterImageOutput](t)(b.DeregisterImage(ctx, &ec2.DeregisterImageInput{ImageId: &id}))
	_, err = b.DeregisterImage(ctx, &ec2.DeregisterImageInput{ImageId: &id})
	wantCode(t, err, "InvalidAMIID.NotFound")
}

// TestCopies copies an image to another region, encrypted, and launches there.
func TestCopies(t *testing.T) {
	b := newBench(t)
	_, id := b.stoppedImage("image")
	must1[*ec2.CreateTagsOutput](t)(b.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{id}, Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}}))
	far := b.client("eu-west-1")
	mine := b.key("eu-west-1", "alias/mine")
	in := &ec2.CopyImageInput{
		SourceImageId: &id, SourceRegion: aws.String("us-east-1"), Name: aws.String("copy"), ClientToken: aws.String("t"),
		Encrypted: aws.Bool(true), KmsKeyId: aws.String("alias/mine"), CopyImageTags: aws.Bool(true),
		TagSpecifications: []types.TagSpecification{{ResourceType: "snapshot", Tags: []types.Tag{{Key: aws.String("s"), Value: aws.String("t")}}}},
	}
	first := must1[*ec2.CopyImageOutput](t)(far.CopyImage(ctx, in))
	again := must1[*ec2.CopyImageOutput](t)(far.CopyImage(ctx, in))
	if *first.ImageId != *again.ImageId {
		t.Errorf("the same token made %s and %s", *first.ImageId, *again.ImageId)
	}
	in.Description = aws.String("other")
	_, err := far.CopyImage(ctx, in)
	wantCode(t, err, "IdempotentParameterMismatch")
	var m types.Image
	eventually(t, "the copy is available", func() bool {
		out := must1[*ec2.DescribeImagesOutput](t)(far.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{*first.ImageId}}))
		m = out.Images[0]
		return m.State == "available"
	})
	if len(m.Tags) != 1 || *m.SourceImageId != id || *m.SourceImageRegion != "us-east-1" || !*m.BlockDeviceMappings[0].Ebs.Encrypted {
		t.Errorf("%+v", m)
	}
	snap := must1[*ec2.DescribeSnapshotsOutput](t)(far.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, Filters: filterBy("tag:s", "t")}))
	if len(snap.Snapshots) != 1 || *snap.Snapshots[0].KmsKeyId != mine {
		t.Errorf("%+v", snap.Snapshots)
	}
	run := must1[*ec2.RunInstancesOutput](t)(far.RunInstances(ctx, &ec2.RunInstancesInput{ImageId: first.ImageId, InstanceType: "t2.micro", MinCount: aws.Int32(1), MaxCount: aws.Int32(1)}))
	eventually(t, "the guest is there", func() bool { return b.host.get(*run.Instances[0].InstanceId) != nil })
	if n := len(b.host.get(*run.Instances[0].InstanceId).spec.Layers); n != 1 {
		t.Errorf("the guest of the copy stands on %d layers", n)
	}
	for want, in := range map[string]*ec2.CopyImageInput{
		"InvalidAMIID.NotFound":      {SourceImageId: aws.String("ami-0123456789abcdef0"), SourceRegion: aws.String("us-east-1"), Name: aws.String("x y")},
		"InvalidParameterValue":      {SourceImageId: &id, SourceRegion: aws.String("moon-1"), Name: aws.String("x y")},
		"InvalidAMIName.Duplicate":   {SourceImageId: &id, SourceRegion: aws.String("us-east-1"), Name: aws.String("copy")},
		"InvalidParameterDependency": {SourceImageId: &id, SourceRegion: aws.String("us-east-1"), Name: aws.String("x y"), KmsKeyId: aws.String("k")},
	} {
		_, err := far.CopyImage(ctx, in)
		wantCode(t, err, want)
	}
}

// TestRegister registers an image of a snapshot of a root volume.
func TestRegister(t *testing.T) {
	b := newBench(t)
	id := b.run()
	i := b.until(id, "running")
	b.host.get(id).write("files")
	vol := i.BlockDeviceMappings[0].Ebs.VolumeId
	s := must1[*ec2.CreateSnapshotOutput](t)(b.CreateSnapshot(ctx, &ec2.CreateSnapshotInput{VolumeId: vol, Description: aws.String("d")}))
	eventually(t, "completed", func() bool {
		out := must1[*ec2.DescribeSnapshotsOutput](t)(b.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{SnapshotIds: []string{*s.SnapshotId}}))
		return out.Snapshots[0].State == "completed"
	})
	in := &ec2.RegisterImageInput{
		Name: aws.String("registered"), RootDeviceName: aws.String("/dev/sda1"), Architecture: "x86_64", VirtualizationType: aws.String("hvm"), EnaSupport: aws.Bool(true),
		BlockDeviceMappings: []types.BlockDeviceMapping{{DeviceName: aws.String("/dev/sda1"), Ebs: &types.EbsBlockDevice{SnapshotId: s.SnapshotId}}},
	}
	m := must1[*ec2.RegisterImageOutput](t)(b.RegisterImage(ctx, in))
	next := b.run(func(r *ec2.RunInstancesInput) { r.ImageId = m.ImageId })
	b.until(next, "running")
	if l := b.host.get(next).spec; len(l.Layers) != 1 || b.host.layers[l.Layers[0]] != "files" || l.User != "ubuntu" {
		t.Errorf("the guest is made of %+v", l)
	}
	in.Name, in.RootDeviceName = aws.String("other"), aws.String("/dev/xvda")
	_, err := b.RegisterImage(ctx, in)
	wantCode(t, err, "InvalidBlockDeviceMapping")
	in.RootDeviceName = aws.String("/dev/sda1")
	for name, change := range map[string]func(in *ec2.RegisterImageInput){
		"sriov":  func(in *ec2.RegisterImageInput) { in.SriovNetSupport = aws.String("yes") },
		"kind":   func(in *ec2.RegisterImageInput) { in.VirtualizationType = aws.String("xen") },
		"base64": func(in *ec2.RegisterImageInput) { in.UefiData = aws.String("?") },
		"UEFI":   func(in *ec2.RegisterImageInput) { in.BootMode, in.UefiData = "legacy-bios", aws.String("AAAA") },
		"TPM":    func(in *ec2.RegisterImageInput) { in.TpmSupport = "v2.0" },
		"encryption": func(in *ec2.RegisterImageInput) {
			e := *in.BlockDeviceMappings[0].Ebs
			e.Encrypted = aws.Bool(true)
			in.BlockDeviceMappings = []types.BlockDeviceMapping{{DeviceName: aws.String("/dev/sda1"), Ebs: &e}}
		},
	} {
		wrong := *in
		change(&wrong)
		if _, err := b.RegisterImage(ctx, &wrong); err == nil {
			t.Errorf("%s: it was registered", name)
		}
	}
	in.VirtualizationType = nil
	_, err = b.RegisterImage(ctx, in)
	wantCode(t, err, "InvalidParameterCombination")
}

// TestImageStates asks for images of instances that cannot be imaged.
func TestImageStates(t *testing.T) {
	b := newSlowBench(t)
	id := b.run()
	_, err := b.CreateImage(ctx, &ec2.CreateImageInput{InstanceId: &id, Name: aws.String("early")})
	wantCode(t, err, "IncorrectInstanceState")
	b.until(id, "running")
	must1[*ec2.StopInstancesOutput](t)(b.StopInstances(ctx, &ec2.StopInstancesInput{InstanceIds: []string{id}}))
	// The state stopping will do.
	made := must1[*ec2.CreateImageOutput](t)(b.CreateImage(ctx, &ec2.CreateImageInput{InstanceId: &id, Name: aws.String("stopping")}))
	if m := b.mustImages(&ec2.DescribeImagesInput{ImageIds: []string{*made.ImageId}}); m[0].State != "pending" {
		t.Errorf("the image is %s at once", m[0].State)
	}
	_, err = b.RunInstances(ctx, &ec2.RunInstancesInput{ImageId: made.ImageId, InstanceType: "t2.micro", MinCount: aws.Int32(1), MaxCount: aws.Int32(1)})
	wantCode(t, err, "InvalidAMIID.Unavailable")
	_, err = b.CopyImage(ctx, &ec2.CopyImageInput{SourceImageId: made.ImageId, SourceRegion: aws.String("us-east-1"), Name: aws.String("copy")})
	wantCode(t, err, "InvalidRequest")
	b.imageUntil(*made.ImageId, "available")
	must1[*ec2.TerminateInstancesOutput](t)(b.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{id}}))
	b.until(id, "terminated")
	_, err = b.CreateImage(ctx, &ec2.CreateImageInput{InstanceId: &id, Name: aws.String("late")})
	wantCode(t, err, "IncorrectInstanceState")
}
