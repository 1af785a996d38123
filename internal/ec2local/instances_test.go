package ec2local

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/imgflow/imgflow/internal/ec2local/guest"
)

func (b *bench) terminate(ids ...string) {
	b.t.Helper()
	must1[*ec2.TerminateInstancesOutput](b.t)(b.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: ids}))
	for _, id := range ids {
		b.until(id, "terminated")
	}
}

func TestClientToken(t *testing.T) {
	b := newBench(t)
	with := func(in *ec2.RunInstancesInput) { in.ClientToken = aws.String("run-7/launch/1") }
	id := b.run(with)
	if again := b.run(with); again != id {
		t.Errorf("the same token made %s and %s", id, again)
	}
	out := must1[*ec2.DescribeInstancesOutput](t)(b.DescribeInstances(ctx, &ec2.DescribeInstancesInput{Filters: filterBy("client-token", "run-7/launch/1")}))
	if len(out.Reservations) != 1 || *out.Reservations[0].Instances[0].InstanceId != id {
		t.Errorf("%+v", out.Reservations)
	}
	in := &ec2.RunInstancesInput{ImageId: b.source(xenial).ImageId, InstanceType: "t2.small", MinCount: aws.Int32(1), MaxCount: aws.Int32(1), ClientToken: aws.String("run-7/launch/1")}
	_, err := b.RunInstances(ctx, in)
	wantCode(t, err, "IdempotentParameterMismatch")
	in.ClientToken = aws.String(strings.Repeat("t", 65))
	_, err = b.RunInstances(ctx, in)
	wantCode(t, err, "InvalidParameterValue")
	in.ClientToken = aws.String(strings.Repeat("t", 64))
	must1[*ec2.RunInstancesOutput](t)(b.RunInstances(ctx, in))
	b.terminate(id)
	// The token is remembered after the end, and across a restart.
	b.stop()
	b.start()
	if again := b.run(with); again != id || b.instance(id).State.Name != "terminated" {
		t.Errorf("after its end the token made %s", again)
	}
}

func TestStates(t *testing.T) {
	b := newSlowBench(t)
	id := b.run()
	ids := []string{id}
	stop := func() error {
		_, err := b.StopInstances(ctx, &ec2.StopInstancesInput{InstanceIds: ids})
		return err
	}
	start := func() error {
		_, err := b.StartInstances(ctx, &ec2.StartInstancesInput{InstanceIds: ids})
		return err
	}
	reboot := func() error {
		_, err := b.RebootInstances(ctx, &ec2.RebootInstancesInput{InstanceIds: ids})
		return err
	}
	if s := b.instance(id).State; s.Name != "pending" || *s.Code != 0 {
		t.Errorf("at once it is %+v", s)
	}
	wantCode(t, stop(), "IncorrectInstanceState")
	wantCode(t, start(), "")
	wantCode(t, reboot(), "IncorrectInstanceState")
	b.until(id, "running")
	wantCode(t, start(), "")
	wantCode(t, reboot(), "")
	eventually(t, "the guest booted again", func() bool { b.host.mu.Lock(); defer b.host.mu.Unlock(); return b.host.machines[id].boots == 2 })
	wantCode(t, stop(), "")
	wantCode(t, start(), "IncorrectInstanceState")
	wantCode(t, stop(), "")
	i := b.until(id, "stopped")
	if i.PublicIpAddress != nil || i.PrivateIpAddress == nil || *i.StateReason.Code != "Client.UserInitiatedShutdown" {
		t.Errorf("a stopped instance: %+v", i)
	}
	if b.host.get(id).isRunning() {
		t.Error("the guest of a stopped instance runs")
	}
	wantCode(t, reboot(), "IncorrectInstanceState")
	wantCode(t, start(), "")
	b.until(id, "running")
	b.terminate(id)
	wantCode(t, stop(), "IncorrectInstanceState")
	wantCode(t, start(), "IncorrectInstanceState")
	if i := b.instance(id); i.PrivateIpAddress != nil || len(i.BlockDeviceMappings)+len(i.NetworkInterfaces) != 0 {
		t.Errorf("a terminated instance: %+v", i)
	}
	_, err := b.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{id, "i-0123456789abcdef0"}})
	wantCode(t, err, "InvalidInstanceID.NotFound")
}

// TestForgotten waits until describing calls no longer show a terminated
// instance.
func TestForgotten(t *testing.T) {
	b := newBench(t, func(o *Options) { o.Latency = "aws/3000" })
	id := b.run()
	must1[*ec2.TerminateInstancesOutput](t)(b.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{id}}))
	eventually(t, "forgotten", func() bool {
		_, err := b.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{id}})
		return code(err) == "InvalidInstanceID.NotFound"
	})
}

// TestGuestEnds has the guest end by itself in each way.
func TestGuestEnds(t *testing.T) {
	b := newBench(t)
	stays := b.run()
	goes := b.run(func(in *ec2.RunInstancesInput) { in.InstanceInitiatedShutdownBehavior = "terminate" })
	b.until(stays, "running")
	b.until(goes, "running")
	b.host.get(stays).exit(guest.Reboot)
	eventually(t, "it booted again", b.host.get(stays).isRunning)
	b.host.get(stays).exit(guest.PowerOff)
	if i := b.until(stays, "stopped"); *i.StateReason.Code != "Client.InstanceInitiatedShutdown" {
		t.Errorf("%+v", i.StateReason)
	}
	b.host.get(goes).exit(guest.PowerOff)
	b.until(goes, "terminated")
	must1[*ec2.StartInstancesOutput](t)(b.StartInstances(ctx, &ec2.StartInstancesInput{InstanceIds: []string{stays}}))
	b.until(stays, "running")
	b.host.get(stays).exit(guest.Crash)
	status := func() types.SummaryStatus {
		out := must1[*ec2.DescribeInstanceStatusOutput](t)(b.DescribeInstanceStatus(ctx, &ec2.DescribeInstanceStatusInput{InstanceIds: []string{stays}}))
		return out.InstanceStatuses[0].InstanceStatus.Status
	}
	eventually(t, "impaired", func() bool { return status() == "impaired" })
	must1[*ec2.RebootInstancesOutput](t)(b.RebootInstances(ctx, &ec2.RebootInstancesInput{InstanceIds: []string{stays}}))
	eventually(t, "ok", func() bool { return status() == "ok" && b.host.get(stays).isRunning() })
	b.host.mu.Lock()
	b.host.bootErr = errors.New("no room")
	b.host.mu.Unlock()
	lost := b.run()
	if i := b.until(lost, "terminated"); *i.StateReason.Code != "Server.InternalError" {
		t.Errorf("%+v", i.StateReason)
	}
}

// TestLaunchRules launches what EC2 would not.
func TestLaunchRules(t *testing.T) {
	b := newBench(t)
	must1[*ec2.ImportKeyPairOutput](t)(b.ImportKeyPair(ctx, &ec2.ImportKeyPairInput{KeyName: aws.String("ed"), PublicKeyMaterial: []byte(publicKeyLine)}))
	linux, arm := *b.source(xenial).ImageId, *b.source("ubuntu/images/*noble-24.04-arm64*").ImageId
	win := *b.source("Windows_Server-2022-English-Full-Base-*").ImageId
	for name, x := range map[string]struct {
		want   string
		change func(*ec2.RunInstancesInput)
	}{
		"image":         {"InvalidAMIID.NotFound", func(in *ec2.RunInstancesInput) { in.ImageId = aws.String("ami-0123456789abcdef0") }},
		"no image":      {"MissingParameter", func(in *ec2.RunInstancesInput) { in.ImageId = nil }},
		"type":          {"InvalidParameterValue", func(in *ec2.RunInstancesInput) { in.InstanceType = "t2.enormous" }},
		"architecture":  {"InvalidParameterValue", func(in *ec2.RunInstancesInput) { in.ImageId = &arm }},
		"arm":           {"", func(in *ec2.RunInstancesInput) { in.ImageId, in.InstanceType = &arm, "t4g.micro" }},
		"count":         {"InvalidParameterValue", func(in *ec2.RunInstancesInput) { in.MinCount = aws.Int32(2) }},
		"limit":         {"InstanceLimitExceeded", func(in *ec2.RunInstancesInput) { in.MinCount, in.MaxCount = aws.Int32(5000), aws.Int32(5000) }},
		"key":           {"InvalidKeyPair.NotFound", func(in *ec2.RunInstancesInput) { in.KeyName = aws.String("none") }},
		"windows key":   {"InvalidParameterCombination", func(in *ec2.RunInstancesInput) { in.KeyName, in.ImageId = aws.String("ed"), &win }},
		"group":         {"InvalidGroup.NotFound", func(in *ec2.RunInstancesInput) { in.SecurityGroupIds = []string{"sg-0123456789abcdef0"} }},
		"group name":    {"InvalidGroup.NotFound", func(in *ec2.RunInstancesInput) { in.SecurityGroups = []string{"none"} }},
		"default group": {"", func(in *ec2.RunInstancesInput) { in.SecurityGroups = []string{"default"} }},
		"subnet":        {"InvalidSubnetID.NotFound", func(in *ec2.RunInstancesInput) { in.SubnetId = aws.String("subnet-0123456789abcdef0") }},
		"zone": {"InvalidParameterValue", func(in *ec2.RunInstancesInput) {
			in.Placement = &types.Placement{AvailabilityZone: aws.String("us-east-1z")}
		}},
		"good zone": {"", func(in *ec2.RunInstancesInput) {
			in.Placement = &types.Placement{AvailabilityZone: aws.String("us-east-1c")}
		}},
		"user data": {"InvalidParameterValue", func(in *ec2.RunInstancesInput) { in.UserData = aws.String("#!/bin/sh") }},
		"long user data": {"InvalidParameterValue", func(in *ec2.RunInstancesInput) {
			in.UserData = aws.String(base64.StdEncoding.EncodeToString(make([]byte, 16385)))
		}},
		"small volume": {"InvalidBlockDeviceMapping", func(in *ec2.RunInstancesInput) {
			in.BlockDeviceMappings = []types.BlockDeviceMapping{{DeviceName: aws.String("/dev/sda1"), Ebs: &types.EbsBlockDevice{VolumeSize: aws.Int32(4)}}}
		}},
		"volume type": {"InvalidParameterValue", func(in *ec2.RunInstancesInput) {
			in.BlockDeviceMappings = []types.BlockDeviceMapping{{DeviceName: aws.String("/dev/sda1"), Ebs: &types.EbsBlockDevice{VolumeType: "floppy"}}}
		}},
		"iops": {"InvalidParameterCombination", func(in *ec2.RunInstancesInput) {
			in.BlockDeviceMappings = []types.BlockDeviceMapping{{DeviceName: aws.String("/dev/sda1"), Ebs: &types.EbsBlockDevice{VolumeType: "gp2", Iops: aws.Int32(500)}}}
		}},
		"root taken away": {"InvalidBlockDeviceMapping", func(in *ec2.RunInstancesInput) {
			in.BlockDeviceMappings = []types.BlockDeviceMapping{{DeviceName: aws.String("/dev/sda1"), NoDevice: aws.String("")}}
		}},
		"credits": {"InvalidParameterCombination", func(in *ec2.RunInstancesInput) {
			in.InstanceType, in.CreditSpecification = "m5.large", &types.CreditSpecificationRequest{CpuCredits: aws.String("unlimited")}
		}},
		"enclave": {"UnsupportedOperation", func(in *ec2.RunInstancesInput) {
			in.EnclaveOptions = &types.EnclaveOptionsRequest{Enabled: aws.Bool(true)}
		}},
		"hops": {"InvalidParameterValue", func(in *ec2.RunInstancesInput) {
			in.MetadataOptions = &types.InstanceMetadataOptionsRequest{HttpPutResponseHopLimit: aws.Int32(65)}
		}},
		"profile": {"InvalidParameterValue", func(in *ec2.RunInstancesInput) {
			in.IamInstanceProfile = &types.IamInstanceProfileSpecification{Name: aws.String("none")}
		}},
		"tag type": {"InvalidParameterValue", func(in *ec2.RunInstancesInput) {
			in.TagSpecifications = []types.TagSpecification{{ResourceType: "vpc", Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}}}
		}},
		"aws tag": {"InvalidParameterValue", func(in *ec2.RunInstancesInput) {
			in.TagSpecifications = []types.TagSpecification{{ResourceType: "instance", Tags: []types.Tag{{Key: aws.String("aws:a"), Value: aws.String("b")}}}}
		}},
		"tag twice": {"InvalidParameterValue", func(in *ec2.RunInstancesInput) {
			in.TagSpecifications = []types.TagSpecification{{ResourceType: "instance", Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}, {Key: aws.String("a"), Value: aws.String("c")}}}}
		}},
		"interface and subnet": {"InvalidParameterCombination", func(in *ec2.RunInstancesInput) {
			in.SecurityGroups, in.NetworkInterfaces = []string{"default"}, []types.InstanceNetworkInterfaceSpecification{{DeviceIndex: aws.Int32(0)}}
		}},
	} {
		in := &ec2.RunInstancesInput{ImageId: &linux, InstanceType: "t2.micro", MinCount: aws.Int32(1), MaxCount: aws.Int32(1)}
		x.change(in)
		_, err := b.RunInstances(ctx, in)
		if got := code(err); got != x.want {
			t.Errorf("%s: %q, want %q (%v)", name, got, x.want, err)
		}
	}
	if n := len(b.server.Inventory().Of("volume")); n != 3 {
		t.Errorf("refused launches left volumes: there are %d", n)
	}
	private := b.run(func(in *ec2.RunInstancesInput) {
		in.NetworkInterfaces = []types.InstanceNetworkInterfaceSpecification{{DeviceIndex: aws.Int32(0), AssociatePublicIpAddress: aws.Bool(false)}}
		in.MetadataOptions = &types.InstanceMetadataOptionsRequest{HttpTokens: "required"}
	})
	if i := b.until(private, "running"); i.PublicIpAddress != nil || i.MetadataOptions.HttpTokens != "required" {
		t.Errorf("%+v", i)
	}
	w := b.run(func(in *ec2.RunInstancesInput) { in.ImageId = &win })
	if i := b.until(w, "running"); i.Platform != "windows" || b.host.get(w).spec.Platform != "windows" {
		t.Errorf("windows: %+v", i)
	}
	console := must1[*ec2.GetConsoleOutputOutput](t)(b.GetConsoleOutput(ctx, &ec2.GetConsoleOutputInput{InstanceId: &w, Latest: aws.Bool(true)}))
	if text, _ := base64.StdEncoding.DecodeString(*console.Output); string(text) != "booted "+w+"\n" {
		t.Errorf("console %q", text)
	}
	for id, want := range map[string]string{w: "c2VhbGVk", private: ""} {
		p := must1[*ec2.GetPasswordDataOutput](t)(b.GetPasswordData(ctx, &ec2.GetPasswordDataInput{InstanceId: &id}))
		if got := aws.ToString(p.PasswordData); got != want {
			t.Errorf("password of %s: %q", id, got)
		}
	}
}

func TestInstanceAttributes(t *testing.T) {
	b := newBench(t)
	id := b.run()
	b.until(id, "running")
	modify := func(in *ec2.ModifyInstanceAttributeInput, want string) {
		t.Helper()
		in.InstanceId = &id
		_, err := b.ModifyInstanceAttribute(ctx, in)
		wantCode(t, err, want)
	}
	yes := &types.AttributeBooleanValue{Value: aws.Bool(true)}
	modify(&ec2.ModifyInstanceAttributeInput{EnaSupport: yes}, "IncorrectInstanceState")
	modify(&ec2.ModifyInstanceAttributeInput{DisableApiTermination: yes}, "")
	modify(&ec2.ModifyInstanceAttributeInput{DisableApiStop: yes}, "")
	_, err := b.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{id}})
	wantCode(t, err, "OperationNotPermitted")
	_, err = b.StopInstances(ctx, &ec2.StopInstancesInput{InstanceIds: []string{id}})
	wantCode(t, err, "OperationNotPermitted")
	modify(&ec2.ModifyInstanceAttributeInput{Attribute: "disableApiTermination", Value: aws.String("false")}, "")
	modify(&ec2.ModifyInstanceAttributeInput{Attribute: "disableApiStop", Value: aws.String("no")}, "InvalidParameterValue")
	modify(&ec2.ModifyInstanceAttributeInput{Attribute: "disableApiStop", Value: aws.String("false")}, "")
	modify(&ec2.ModifyInstanceAttributeInput{InstanceInitiatedShutdownBehavior: &types.AttributeValue{Value: aws.String("terminate")}}, "")
	modify(&ec2.ModifyInstanceAttributeInput{InstanceInitiatedShutdownBehavior: &types.AttributeValue{Value: aws.String("explode")}}, "InvalidParameterValue")
	modify(&ec2.ModifyInstanceAttributeInput{BlockDeviceMappings: []types.InstanceBlockDeviceMappingSpecification{
		{DeviceName: aws.String("/dev/sda1"), Ebs: &types.EbsInstanceBlockDeviceSpecification{DeleteOnTermination: aws.Bool(false)}},
	}}, "")
	sg := must1[*ec2.CreateSecurityGroupOutput](t)(b.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{GroupName: aws.String("g"), Description: aws.String("d")}))
	modify(&ec2.ModifyInstanceAttributeInput{Groups: []string{*sg.GroupId}}, "")
	modify(&ec2.ModifyInstanceAttributeInput{}, "InvalidParameterCombination")
	modify(&ec2.ModifyInstanceAttributeInput{EbsOptimized: yes, EnaSupport: yes}, "IncorrectInstanceState")
	must1[*ec2.StopInstancesOutput](t)(b.StopInstances(ctx, &ec2.StopInstancesInput{InstanceIds: []string{id}}))
	b.until(id, "stopped")
	modify(&ec2.ModifyInstanceAttributeInput{EbsOptimized: yes, EnaSupport: yes}, "InvalidParameterCombination")
	modify(&ec2.ModifyInstanceAttributeInput{EnaSupport: yes}, "")
	modify(&ec2.ModifyInstanceAttributeInput{SriovNetSupport: &types.AttributeValue{Value: aws.String("simple")}}, "")
	modify(&ec2.ModifyInstanceAttributeInput{InstanceType: &types.AttributeValue{Value: aws.String("t3.micro")}}, "")
	modify(&ec2.ModifyInstanceAttributeInput{InstanceType: &types.AttributeValue{Value: aws.String("t4g.micro")}}, "InvalidInstanceAttributeValue")
	modify(&ec2.ModifyInstanceAttributeInput{UserData: &types.SecureBlobAttributeValue{Value: []byte("#!/bin/sh")}}, "")
	modify(&ec2.ModifyInstanceAttributeInput{SourceDestCheck: &types.AttributeBooleanValue{Value: aws.Bool(false)}}, "")
	for _, a := range types.InstanceAttributeName("").Values() {
		out, err := b.DescribeInstanceAttribute(ctx, &ec2.DescribeInstanceAttributeInput{InstanceId: &id, Attribute: a})
		if err != nil {
			t.Errorf("%s: %v", a, err)
			continue
		}
		switch a {
		case "userData":
			if *out.UserData.Value != base64.StdEncoding.EncodeToString([]byte("#!/bin/sh")) {
				t.Error(*out.UserData.Value)
			}
		case "groupSet":
			if *out.Groups[0].GroupId != *sg.GroupId {
				t.Error(*out.Groups[0].GroupId)
			}
		case "instanceType":
			if *out.InstanceType.Value != "t3.micro" {
				t.Error(*out.InstanceType.Value)
			}
		}
	}
	credits := must1[*ec2.DescribeInstanceCreditSpecificationsOutput](t)(b.DescribeInstanceCreditSpecifications(ctx, &ec2.DescribeInstanceCreditSpecificationsInput{InstanceIds: []string{id}}))
	if *credits.InstanceCreditSpecifications[0].CpuCredits != "standard" {
		t.Errorf("%+v", credits.InstanceCreditSpecifications)
	}
	changed := must1[*ec2.ModifyInstanceCreditSpecificationOutput](t)(b.ModifyInstanceCreditSpecification(ctx, &ec2.ModifyInstanceCreditSpecificationInput{
		InstanceCreditSpecifications: []types.InstanceCreditSpecificationRequest{
			{InstanceId: &id, CpuCredits: aws.String("unlimited")}, {InstanceId: aws.String("i-0123456789abcdef0"), CpuCredits: aws.String("unlimited")},
		},
	}))
	if len(changed.SuccessfulInstanceCreditSpecifications) != 1 || changed.UnsuccessfulInstanceCreditSpecifications[0].Error.Code != "InvalidInstanceID.NotFound" {
		t.Errorf("%+v", changed)
	}
	// Its root volume stays, with what the guest wrote.
	b.host.get(id).write("precious")
	b.terminate(id)
	vols := must1[*ec2.DescribeVolumesOutput](t)(b.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{Filters: filterBy("status", "available")}))
	if len(vols.Volumes) != 1 {
		t.Fatalf("%+v", vols.Volumes)
	}
	s := must1[*ec2.CreateSnapshotOutput](t)(b.CreateSnapshot(ctx, &ec2.CreateSnapshotInput{VolumeId: vols.Volumes[0].VolumeId}))
	must1[*ec2.DeleteVolumeOutput](t)(b.DeleteVolume(ctx, &ec2.DeleteVolumeInput{VolumeId: vols.Volumes[0].VolumeId}))
	var layers []string
	b.server.view(func(t *txn) error { layers = get[snapshot](t, "us-east-1", *s.SnapshotId).Layers; return nil })
	if len(layers) != 1 || b.host.layers[layers[0]] != "precious" {
		t.Errorf("the snapshot holds %v", layers)
	}
}

func TestDescribeInstances(t *testing.T) {
	b := newBench(t)
	var ids []string
	for range 7 {
		ids = append(ids, b.run(func(in *ec2.RunInstancesInput) {
			in.TagSpecifications = []types.TagSpecification{{ResourceType: "instance", Tags: []types.Tag{{Key: aws.String("run"), Value: aws.String("r1")}, {Key: aws.String("n"), Value: aws.String("x")}}}}
		}))
	}
	b.run()
	for _, id := range ids {
		b.until(id, "running")
	}
	n := 0
	p := ec2.NewDescribeInstancesPaginator(b.Client, &ec2.DescribeInstancesInput{MaxResults: aws.Int32(5), Filters: filterBy("tag:run", "r*", "tag-key", "n|m", "instance-state-name", "pending|running")})
	for p.HasMorePages() {
		out, err := p.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range out.Reservations {
			n += len(r.Instances)
		}
	}
	if n != 7 {
		t.Errorf("%d instances of the run, not 7", n)
	}
	if out, err := b.client("eu-west-1").DescribeInstances(ctx, &ec2.DescribeInstancesInput{}); err != nil || len(out.Reservations) != 0 {
		t.Errorf("in another region: %+v, %v", out, err)
	}
	pair := must1[*ec2.RunInstancesOutput](t)(b.RunInstances(ctx, &ec2.RunInstancesInput{ImageId: b.source(xenial).ImageId, InstanceType: "t2.micro", MinCount: aws.Int32(1), MaxCount: aws.Int32(2)}))
	if len(pair.Instances) != 2 || *pair.Instances[0].PrivateIpAddress == *pair.Instances[1].PrivateIpAddress || *pair.Instances[1].AmiLaunchIndex != 1 {
		t.Errorf("%+v", pair.Instances)
	}
	status := must1[*ec2.DescribeInstanceStatusOutput](t)(b.DescribeInstanceStatus(ctx, &ec2.DescribeInstanceStatusInput{IncludeAllInstances: aws.Bool(true), Filters: filterBy("instance-state-name", "pending|running")}))
	if len(status.InstanceStatuses) != 10 {
		t.Errorf("%d statuses", len(status.InstanceStatuses))
	}
}
