package ec2local

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func TestLatencyIsRead(t *testing.T) {
	for text, want := range map[string]durations{
		"":     {forget: time.Minute},
		"none": {forget: time.Minute},
		"running=7.3s,ssh=18.7s, stopped=16.4s,image=1m1.9s,terminated=31.3s": {launch: 7300 * time.Millisecond, start: 7300 * time.Millisecond,
			ssh: 18700 * time.Millisecond, stop: 16400 * time.Millisecond, image: 61900 * time.Millisecond, terminate: 31300 * time.Millisecond, forget: time.Minute},
		"image=5s":              {image: 5 * time.Second, forget: time.Minute},
		"ssh=0s":                {forget: time.Minute},
		"copy=5m,fastlaunch=8m": {copy: 5 * time.Minute, fast: 8 * time.Minute, forget: time.Minute},
	} {
		if got, err := parseLatency(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for text, why := range map[string]string{
		"slow":                "it is none, aws, aws/10",
		"aws/x":               "after the slash stands a number",
		"aws/0":               "after the slash stands a number",
		"aws/-1":              "after the slash stands a number",
		"runing=7s":           `no time is called "runing"; there are copy, fastlaunch, image, import, running, ssh, stopped, terminated`,
		"image=5s,":           `no time is called ""`,
		"image=5s,aws":        `no time is called "aws"`,
		"image=5":             "image=5: the value must be a time such as 7.3s",
		"image=-5s":           "the value must be a time such as 7.3s",
		"image=5s,image=6s":   "it names image twice",
		"ssh=1s,stopped=soon": "stopped=soon: the value must be",
	} {
		if err := CheckLatency(text); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%q: %v, want %q", text, err, why)
		}
	}
}

// TestNamedTimes has each of them begin with the call that asks for it.
func TestNamedTimes(t *testing.T) {
	clock := newTestClock()
	b := newBench(t, func(o *Options) {
		o.Latency, o.Now = "running=7s,ssh=19s,stopped=17s,image=61s,terminated=31s", clock.now
		o.Key, o.AnyKey = Key{}, true // its clients have another clock
	})
	var id, imageID string
	state := func() string { return string(b.instance(id).State.Name) }
	image := func() string {
		out := must1[*ec2.DescribeImagesOutput](t)(b.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{imageID}}))
		return string(out.Images[0].State)
	}
	for _, step := range []struct {
		takes        time.Duration
		during, then string
		state        func() string
		ask          func() error
	}{
		{7 * time.Second, "pending", "running", state, func() error { id = b.run(); return nil }},
		{17 * time.Second, "stopping", "stopped", state, func() error {
			_, err := b.StopInstances(ctx, &ec2.StopInstancesInput{InstanceIds: []string{id}})
			return err
		}},
		{61 * time.Second, "pending", "available", image, func() error {
			out, err := b.CreateImage(ctx, &ec2.CreateImageInput{InstanceId: &id, Name: aws.String("timed")})
			imageID = aws.ToString(out.ImageId)
			return err
		}},
		{7 * time.Second, "pending", "running", state, func() error {
			_, err := b.StartInstances(ctx, &ec2.StartInstancesInput{InstanceIds: []string{id}})
			return err
		}},
		{31 * time.Second, "shutting-down", "terminated", state, func() error {
			_, err := b.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{id}})
			return err
		}},
	} {
		if err := step.ask(); err != nil {
			t.Fatal(err)
		}
		look := func() {
			b.server.life.ring("us-east-1", id)
			b.server.tick.ring()
		}
		clock.add(step.takes - time.Second)
		look()
		if got := step.state(); got != step.during {
			t.Errorf("a second before it would be %s it is %s", step.then, got)
		}
		clock.add(time.Second)
		look()
		eventually(t, step.then, func() bool { return step.state() == step.then })
	}
	win := b.run(func(in *ec2.RunInstancesInput) {
		in.ImageId = b.source("Windows_Server-2022-English-Full-Base-*").ImageId
	})
	linux := b.run()
	clock.add(7 * time.Second)
	for id, want := range map[string]time.Duration{linux: 19 * time.Second, win: 0} {
		b.server.life.ring("us-east-1", id)
		b.until(id, types.InstanceStateNameRunning)
		if got := b.host.get(id).spec.Pace; got != want {
			t.Errorf("the guest of %s answers after %s, want %s", id, got, want)
		}
	}
}

// TestNothingDueIsForgotten: what becomes due while something else is brought to its state is not left there.
func TestNothingDueIsForgotten(t *testing.T) {
	begin := time.Now()
	var mu sync.Mutex
	var looks []time.Time // what the clock shows next; the last stays
	b := newBench(t, func(o *Options) {
		o.Key, o.AnyKey = Key{}, true // its clients have another clock
		o.Now = func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			if len(looks) == 0 {
				return begin
			}
			now := looks[0]
			looks = looks[min(1, len(looks)-1):]
			return now
		}
	})
	first, second := 200*time.Millisecond, 201*time.Millisecond
	var ids []string
	for _, takes := range []time.Duration{first, second} {
		b.server.takes.volume = takes
		v := must1[*ec2.CreateVolumeOutput](t)(b.CreateVolume(ctx, &ec2.CreateVolumeInput{AvailabilityZone: aws.String("us-east-1a"), Size: aws.Int32(1)}))
		ids = append(ids, aws.ToString(v.VolumeId))
	}
	mu.Lock() // one look finds the first due, one ends it, and then the second is due
	looks = []time.Time{begin.Add(first), begin.Add(first), begin.Add(second)}
	mu.Unlock()
	time.Sleep(time.Second)
	for _, v := range must1[*ec2.DescribeVolumesOutput](t)(b.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{VolumeIds: ids})).Volumes {
		if v.State != types.VolumeStateAvailable {
			t.Errorf("%s is %s", aws.ToString(v.VolumeId), v.State)
		}
	}
}
