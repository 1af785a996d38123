package aws

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/steps/aws/ec2local"
	"github.com/imgflow/imgflow/steps/comm"
)

// What became of an instance is asked of EC2.
func TestFate(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	ctx, s := t.Context(), w.site()
	images, err := s.api.DescribeImages(ctx, &ec2.DescribeImagesInput{Filters: []types.Filter{filter("name", "ubuntu/images/*")}})
	if err != nil || len(images.Images) == 0 {
		t.Fatal(err)
	}
	out, err := s.api.RunInstances(ctx, &ec2.RunInstancesInput{ImageId: images.Images[0].ImageId, InstanceType: "t3.micro", MinCount: ptr(int32(1)), MaxCount: ptr(int32(1))})
	if err != nil {
		t.Fatal(err)
	}
	e := comm.Endpoint{Thing: *out.Instances[0].InstanceId, Place: here.text()}
	is := func(want comm.Fate) {
		t.Helper()
		if got := w.cloud.Fate(ctx, e); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	state := func(name types.InstanceStateName) {
		t.Helper()
		if _, err := s.instances.wait(ctx, nil, e.Thing, func(i types.Instance) (bool, error) { return i.State.Name == name, nil }); err != nil {
			t.Fatal(err)
		}
	}
	state("running")
	is(comm.Fate{})
	if _, err := s.api.StopInstances(ctx, &ec2.StopInstancesInput{InstanceIds: []string{e.Thing}}); err != nil {
		t.Fatal(err)
	}
	state("stopped")
	is(comm.Fate{State: comm.Stopped, Why: "Client.UserInitiatedShutdown: User initiated shutdown"})
	if _, err := s.api.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{e.Thing}}); err != nil {
		t.Fatal(err)
	}
	state("terminated")
	is(comm.Fate{State: comm.Terminated, Why: "Client.UserInitiatedShutdown: User initiated shutdown"})
	e.Thing = "i-0123456789abcdef0"
	is(comm.Fate{State: comm.Terminated, Why: "EC2 does not know it any more"})
	w.fail("DescribeInstances")
	is(comm.Fate{})
}
