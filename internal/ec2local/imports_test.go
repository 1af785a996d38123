package ec2local

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// disk is what an import is made of.
func disk(format, key string) *ec2.ImportImageInput {
	return &ec2.ImportImageInput{DiskContainers: []types.ImageDiskContainer{{Format: &format, UserBucket: &types.UserBucket{S3Bucket: aws.String("disks"), S3Key: &key}}}}
}

func (b *bench) importTask(id *string) types.ImportImageTask {
	b.t.Helper()
	out := must1[*ec2.DescribeImportImageTasksOutput](b.t)(b.DescribeImportImageTasks(ctx, &ec2.DescribeImportImageTasksInput{ImportTaskIds: []string{*id}}))
	return out.ImportImageTasks[0]
}

// TestImports makes images of disks, and sees what becomes of those that are none.
func TestImports(t *testing.T) {
	b := newBench(t)
	b.s3("PUT", "/disks", "", "")
	ova := strings.Repeat("x", 257) + "ustar" + strings.Repeat("x", 250)
	vhd := strings.Repeat("x", 512) + "conectix" + strings.Repeat("x", 504)
	for key, what := range map[string]string{"raw": "anything", "empty": "", "ova": ova, "vhd": vhd, "vmdk": "KDMV...", "text": "# Disk DescriptorFile\n", "vhdx": "vhdxfile"} {
		b.s3("PUT", "/disks/"+key, what, what)
	}
	begin := must1[*ec2.ImportImageOutput](t)
	for _, x := range []struct{ format, key, refused string }{
		{"raw", "raw", ""}, {"RAW", "raw", ""}, {"ova", "ova", ""}, {"vhd", "vhd", ""}, {"vmdk", "vmdk", ""}, {"vmdk", "text", ""}, {"vhdx", "vhdx", ""},
		{"raw", "empty", "[The disk is empty]"}, {"vmdk", "raw", "[Unsupported VMDK File Format]"}, {"ova", "raw", "[Unsupported OVA File Format]"}, {"vhd", "vmdk", "Unsupported VHD"},
	} {
		i := b.importTask(begin(b.ImportImage(ctx, disk(x.format, x.key))).ImportTaskId)
		switch {
		case x.refused == "" && (*i.Status != "completed" || i.ImageId == nil):
			t.Errorf("%s of %s: %s %s", x.format, x.key, *i.Status, aws.ToString(i.StatusMessage))
		case x.refused != "" && (*i.Status != "deleted" || !strings.Contains(aws.ToString(i.StatusMessage), x.refused)):
			t.Errorf("%s of %s: %s %s, want %s", x.format, x.key, *i.Status, aws.ToString(i.StatusMessage), x.refused)
		}
	}

	// A repeated call is the same task; another of the same token is refused.
	in := disk("raw", "raw")
	in.ClientToken, in.Platform, in.Encrypted = aws.String("t"), aws.String("windows"), aws.Bool(true)
	in.TagSpecifications = []types.TagSpecification{{ResourceType: "import-image-task", Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}}}
	first := begin(b.ImportImage(ctx, in))
	if again := begin(b.ImportImage(ctx, in)); *again.ImportTaskId != *first.ImportTaskId {
		t.Errorf("%s, then %s", *first.ImportTaskId, *again.ImportTaskId)
	}
	in.Description = aws.String("another")
	_, err := b.ImportImage(ctx, in)
	wantCode(t, err, "IdempotentParameterMismatch")
	i := b.importTask(first.ImportTaskId)
	m := b.imageUntil(*i.ImageId, "available")
	if *i.Tags[0].Value != "b" || m.Platform != "windows" || !*m.BlockDeviceMappings[0].Ebs.Encrypted || *m.BlockDeviceMappings[0].Ebs.VolumeSize != 1 {
		t.Errorf("%+v", m)
	}
	tags := must1[*ec2.DescribeTagsOutput](t)(b.DescribeTags(ctx, &ec2.DescribeTagsInput{}))
	if len(tags.Tags) != 1 || tags.Tags[0].ResourceType != "import-image-task" {
		t.Errorf("%+v", tags.Tags)
	}

	// No guest can boot it, nor a copy, nor what is registered of its snapshot.
	copied := must1[*ec2.CopyImageOutput](t)(b.CopyImage(ctx, &ec2.CopyImageInput{Name: aws.String("copy"), SourceImageId: i.ImageId, SourceRegion: aws.String("us-east-1")}))
	b.imageUntil(*copied.ImageId, "available")
	registered := must1[*ec2.RegisterImageOutput](t)(b.RegisterImage(ctx, &ec2.RegisterImageInput{Name: aws.String("registered"), RootDeviceName: aws.String("/dev/sda1"),
		BlockDeviceMappings: []types.BlockDeviceMapping{{DeviceName: aws.String("/dev/sda1"), Ebs: &types.EbsBlockDevice{SnapshotId: m.BlockDeviceMappings[0].Ebs.SnapshotId}}}}))
	for _, id := range []*string{i.ImageId, copied.ImageId, registered.ImageId} {
		_, err = b.RunInstances(ctx, &ec2.RunInstancesInput{ImageId: id, InstanceType: "t2.micro", MinCount: aws.Int32(1), MaxCount: aws.Int32(1)})
		if code(err) != "UnsupportedOperation" || !strings.Contains(err.Error(), "is a disk of the format raw, and no guest of this endpoint can boot a disk") {
			t.Error(err)
		}
	}
	for want, change := range map[string]func(*ec2.ImportImageInput){
		"S3 bucket does not exist: none":                  func(in *ec2.ImportImageInput) { in.DiskContainers[0].UserBucket.S3Bucket = aws.String("none") },
		"The given S3 object does not exist":              func(in *ec2.ImportImageInput) { in.DiskContainers[0].UserBucket.S3Key = aws.String("none") },
		"parameter Format is invalid":                     func(in *ec2.ImportImageInput) { in.DiskContainers[0].Format = aws.String("iso") },
		"parameter LicenseType is invalid":                func(in *ec2.ImportImageInput) { in.LicenseType = aws.String("MINE") },
		"architecture arm64 needs the boot mode uefi":     func(in *ec2.ImportImageInput) { in.Architecture, in.BootMode = aws.String("arm64"), "legacy-bios" },
		"boot mode uefi needs a platform":                 func(in *ec2.ImportImageInput) { in.BootMode = "uefi" },
		"KmsKeyId requires the parameter Encrypted":       func(in *ec2.ImportImageInput) { in.KmsKeyId = aws.String("alias/a") },
		"An import has one disk container here":           func(in *ec2.ImportImageInput) { in.DiskContainers = nil },
		"Hypervisor is not supported by this endpoint":    func(in *ec2.ImportImageInput) { in.Hypervisor = aws.String("xen") },
		"must contain the parameter DiskContainer.Format": func(in *ec2.ImportImageInput) { in.DiskContainers[0].Format = nil },
	} {
		in := disk("raw", "raw")
		change(in)
		if _, err := b.ImportImage(ctx, in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// TestImportTakesTime sees a task under way, cancels one, and lets the object of another go.
func TestImportTakesTime(t *testing.T) {
	b := newSlowBench(t)
	b.s3("PUT", "/disks", "", "")
	b.s3("PUT", "/disks/raw", "x", "x")
	begin := must1[*ec2.ImportImageOutput](t)
	one, two, three := begin(b.ImportImage(ctx, disk("raw", "raw"))), begin(b.ImportImage(ctx, disk("raw", "raw"))), begin(b.ImportImage(ctx, disk("vmdk", "raw")))
	for range 100 {
		b.pass("")
	}
	i := b.importTask(one.ImportTaskId)
	if *i.Status != "active" || *i.Progress != "55" || *i.StatusMessage != "converting" {
		t.Errorf("%s %s %s", *i.Status, *i.Progress, *i.StatusMessage)
	}
	out := must1[*ec2.CancelImportTaskOutput](t)(b.CancelImportTask(ctx, &ec2.CancelImportTaskInput{ImportTaskId: two.ImportTaskId}))
	if *out.State != "deleting" || *out.PreviousState != "active" {
		t.Errorf("%+v", out)
	}
	_, err := b.CancelImportTask(ctx, &ec2.CancelImportTaskInput{ImportTaskId: two.ImportTaskId})
	wantCode(t, err, "IncorrectState")
	b.s3("DELETE", "/disks/raw", "", "")
	b.stop()
	b.start()
	eventually(t, "the tasks end", func() bool {
		b.pass("")
		return *b.importTask(one.ImportTaskId).Status != "active"
	})
	if i := b.importTask(one.ImportTaskId); *i.Status != "deleted" || !strings.Contains(*i.StatusMessage, "does not exist") {
		t.Errorf("%+v", i)
	}
	list := must1[*ec2.DescribeImportImageTasksOutput](t)(b.DescribeImportImageTasks(ctx, &ec2.DescribeImportImageTasksInput{Filters: []types.Filter{{Name: aws.String("task-state"), Values: []string{"deleted"}}}}))
	if len(list.ImportImageTasks) != 3 || *b.importTask(three.ImportTaskId).Status != "deleted" {
		t.Errorf("%+v", list.ImportImageTasks)
	}
	if n := len(b.server.Inventory().Of("image")); n != 0 {
		t.Errorf("%d images", n)
	}
}
