package ec2local

import (
	"bytes"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

const publicKeyLine = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDuMQEpXKZkYm1zpmiWjJqckNe8E8T8hExJ/UICebwU+ test"

// TestBuild is what an image builder does, from beginning to end.
func TestBuild(t *testing.T) {
	b := newBench(t)
	key, err := b.ImportKeyPair(ctx, &ec2.ImportKeyPairInput{KeyName: aws.String("builder"), PublicKeyMaterial: []byte(publicKeyLine)})
	if err != nil {
		t.Fatal(err)
	}
	sg, err := b.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{GroupName: aws.String("builder"), Description: aws.String("temporary")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{
		GroupId: sg.GroupId, IpPermissions: []types.IpPermission{{
			IpProtocol: aws.String("tcp"), FromPort: aws.Int32(22), ToPort: aws.Int32(22),
			IpRanges: []types.IpRange{{CidrIp: aws.String("127.0.0.1/32")}},
		}},
	}); err != nil {
		t.Fatal(err)
	}
	id := b.run(func(in *ec2.RunInstancesInput) {
		in.KeyName, in.SecurityGroupIds = aws.String("builder"), []string{*sg.GroupId}
		in.ClientToken = aws.String("token-1")
		in.UserData = aws.String("IyEvYmluL3NoCg==")
		in.TagSpecifications = []types.TagSpecification{
			{ResourceType: "instance", Tags: []types.Tag{{Key: aws.String("Name"), Value: aws.String("Builder")}}},
			{ResourceType: "volume", Tags: []types.Tag{{Key: aws.String("of"), Value: aws.String("volume")}}},
		}
	})
	i := b.until(id, "running")
	if !strings.HasPrefix(aws.ToString(i.PublicIpAddress), "127.") || *i.PublicIpAddress != *i.PrivateIpAddress {
		t.Errorf("addresses %v and %v", aws.ToString(i.PublicIpAddress), aws.ToString(i.PrivateIpAddress))
	}
	tags := map[string]string{}
	for _, g := range i.Tags {
		tags[*g.Key] = *g.Value
	}
	if tags["Name"] != "Builder" || tags["ec2local:ssh-port"] != "2222" {
		t.Errorf("tags %v", tags)
	}
	m := b.host.get(id)
	if m.spec.User != "ubuntu" || !strings.HasPrefix(m.spec.AuthorizedKey, "ssh-ed25519 AAAA") || string(m.spec.UserData) != "#!/bin/sh\n" || m.spec.Release.Version != "16.04" {
		t.Errorf("the guest is made of %+v", m.spec)
	}
	m.write("redis")
	_, err = b.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: sg.GroupId})
	wantCode(t, err, "DependencyViolation")

	if _, err := b.StopInstances(ctx, &ec2.StopInstancesInput{InstanceIds: []string{id}}); err != nil {
		t.Fatal(err)
	}
	b.until(id, "stopped")
	made, err := b.CreateImage(ctx, &ec2.CreateImageInput{
		InstanceId: aws.String(id), Name: aws.String("my image (1)"), Description: aws.String("with redis"),
		TagSpecifications: []types.TagSpecification{
			{ResourceType: "image", Tags: []types.Tag{{Key: aws.String("on"), Value: aws.String("image")}}},
			{ResourceType: "snapshot", Tags: []types.Tag{{Key: aws.String("on"), Value: aws.String("snapshot")}}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	// Terminating at once must not cost the image its content.
	if _, err := b.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{id}}); err != nil {
		t.Fatal(err)
	}
	image := b.imageUntil(*made.ImageId, "available")
	snap := aws.ToString(image.BlockDeviceMappings[0].Ebs.SnapshotId)
	if !strings.HasPrefix(snap, "snap-") || *image.SourceInstanceId != id || *image.Tags[0].Value != "image" {
		t.Errorf("image %+v", image)
	}
	b.until(id, "terminated")
	if b.host.get(id) != nil {
		t.Error("the guest outlived its instance")
	}
	for _, del := range []func() error{
		func() error {
			_, err := b.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: sg.GroupId})
			return err
		},
		func() error {
			_, err := b.DeleteKeyPair(ctx, &ec2.DeleteKeyPairInput{KeyPairId: key.KeyPairId})
			return err
		},
	} {
		if err := del(); err != nil {
			t.Error(err)
		}
	}
	if left := b.server.Inventory().Made(); len(left) != 2 {
		t.Errorf("left are %+v, not just image and snapshot", left)
	}
	var tar bytes.Buffer
	if err := b.server.Export(&tar, *made.ImageId); err != nil || tar.String() != "redis\n" {
		t.Errorf("exported %q, %v", tar.String(), err)
	}

	// What the image holds is what its instances start from.
	second := b.run(func(in *ec2.RunInstancesInput) { in.ImageId = made.ImageId })
	b.until(second, "running")
	if layers := b.host.get(second).spec.Layers; len(layers) != 1 || b.host.layers[layers[0]] != "redis" {
		t.Errorf("the second instance stands on %v", layers)
	}
	_, err = b.DeleteSnapshot(ctx, &ec2.DeleteSnapshotInput{SnapshotId: &snap})
	wantCode(t, err, "InvalidSnapshot.InUse")
	dereg, err := b.DeregisterImage(ctx, &ec2.DeregisterImageInput{ImageId: made.ImageId, DeleteAssociatedSnapshots: aws.Bool(true)})
	if err != nil || len(dereg.DeleteSnapshotResults) != 1 || dereg.DeleteSnapshotResults[0].ReturnCode != "success" {
		t.Errorf("deregistered: %+v, %v", dereg, err)
	}
	if b.host.layers["layer-1"] != "redis" {
		t.Error("the layer went while an instance stands on it")
	}
	if _, err := b.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{second}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the layer is gone", func() bool {
		b.host.mu.Lock()
		defer b.host.mu.Unlock()
		return len(b.host.layers) == 0
	})
	if left := b.server.Inventory().Made(); len(left) != 0 {
		t.Errorf("left are %+v", left)
	}
}
