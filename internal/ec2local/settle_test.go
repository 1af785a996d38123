package ec2local

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// TestTheNextCallFindsItDone looks once after each call that begins something.
func TestTheNextCallFindsItDone(t *testing.T) {
	b := newBench(t, func(o *Options) { o.Guests.(*fakeHost).slow = 50 * time.Millisecond })
	state := func(id string) string {
		t.Helper()
		return string(b.instance(id).State.Name)
	}
	run := must1[*ec2.RunInstancesOutput](t)(b.RunInstances(ctx, &ec2.RunInstancesInput{ImageId: b.source(xenial).ImageId, InstanceType: "t2.micro", MinCount: aws.Int32(2), MaxCount: aws.Int32(2)}))
	if got := run.Instances[0].State.Name; got != "pending" {
		t.Errorf("the launch says %s", got)
	}
	id, other := *run.Instances[0].InstanceId, *run.Instances[1].InstanceId
	ids := []string{id}
	if state(id) != "running" || state(other) != "running" {
		t.Errorf("after the launch: %s, %s", state(id), state(other))
	}
	made := must1[*ec2.CreateImageOutput](t)(b.CreateImage(ctx, &ec2.CreateImageInput{InstanceId: &id, Name: aws.String("made")}))
	m := b.mustImages(&ec2.DescribeImagesInput{ImageIds: []string{*made.ImageId}})[0]
	if m.State != "available" {
		t.Errorf("after CreateImage: %s", m.State)
	}
	copied := must1[*ec2.CopyImageOutput](t)(b.CopyImage(ctx, &ec2.CopyImageInput{Name: aws.String("copied"), SourceImageId: made.ImageId, SourceRegion: aws.String("us-east-1")}))
	if m := b.mustImages(&ec2.DescribeImagesInput{ImageIds: []string{*copied.ImageId}})[0]; m.State != "available" {
		t.Errorf("after CopyImage: %s", m.State)
	}
	disk := b.instance(id).BlockDeviceMappings[0].Ebs.VolumeId
	snap := must1[*ec2.CreateSnapshotOutput](t)(b.CreateSnapshot(ctx, &ec2.CreateSnapshotInput{VolumeId: disk}))
	if got := must1[*ec2.DescribeSnapshotsOutput](t)(b.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{SnapshotIds: []string{*snap.SnapshotId}})).Snapshots[0].State; got != "completed" {
		t.Errorf("after CreateSnapshot: %s", got)
	}
	v := must1[*ec2.CreateVolumeOutput](t)(b.CreateVolume(ctx, &ec2.CreateVolumeInput{AvailabilityZone: aws.String("us-east-1a"), Size: aws.Int32(1)}))
	if got := must1[*ec2.DescribeVolumesOutput](t)(b.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{VolumeIds: []string{*v.VolumeId}})).Volumes[0].State; got != "available" {
		t.Errorf("after CreateVolume: %s", got)
	}
	must1[*ec2.StopInstancesOutput](t)(b.StopInstances(ctx, &ec2.StopInstancesInput{InstanceIds: ids}))
	if got := state(id); got != "stopped" {
		t.Errorf("after StopInstances: %s", got)
	}
	must1[*ec2.StartInstancesOutput](t)(b.StartInstances(ctx, &ec2.StartInstancesInput{InstanceIds: ids}))
	if got := state(id); got != "running" {
		t.Errorf("after StartInstances: %s", got)
	}
	must1[*ec2.TerminateInstancesOutput](t)(b.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: ids}))
	if got := state(id); got != "terminated" {
		t.Errorf("after TerminateInstances: %s", got)
	}
}
