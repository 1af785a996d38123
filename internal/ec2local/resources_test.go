package ec2local

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"golang.org/x/crypto/ssh"
)

func TestRegions(t *testing.T) {
	b := newBench(t)
	out := must1[*ec2.DescribeRegionsOutput](t)(b.DescribeRegions(ctx, &ec2.DescribeRegionsInput{}))
	if len(out.Regions) != 34 {
		t.Errorf("%d regions", len(out.Regions))
	}
	_, err := b.DescribeRegions(ctx, &ec2.DescribeRegionsInput{RegionNames: []string{"moon-1"}})
	wantCode(t, err, "InvalidParameterValue")
	z := must1[*ec2.DescribeAvailabilityZonesOutput](t)(b.DescribeAvailabilityZones(ctx, &ec2.DescribeAvailabilityZonesInput{Filters: filterBy("state", "available")}))
	if len(z.AvailabilityZones) != 3 || *z.AvailabilityZones[0].ZoneId != "use1-az1" {
		t.Errorf("%+v", z.AvailabilityZones)
	}
	for region, want := range map[string]string{"ap-northeast-1": "apne1", "eu-central-1": "euc1", "sa-east-1": "sae1", "ap-southeast-2": "apse2", "us-gov-west-1": "usgw1", "cn-northwest-1": "cnnw1", "me-south-1": "mes1"} {
		if got := shortRegion(region); got != want {
			t.Errorf("%s is %s, want %s", region, got, want)
		}
	}
	// Other parts of AWS have names and regions of their own.
	for region, x := range map[string]struct {
		regions                    int
		arn, endpoint, from, owner string
	}{
		"me-south-1":    {34, "arn:aws:", "ec2.me-south-1.amazonaws.com", "cn-north-1", canonical},
		"cn-north-1":    {2, "arn:aws-cn:", "ec2.cn-north-1.amazonaws.com.cn", "us-east-1", "837727238323"},
		"us-gov-west-1": {2, "arn:aws-us-gov:", "ec2.us-gov-west-1.amazonaws.com", "us-west-1", "513442679011"},
	} {
		there := *b
		there.Client = b.client(region)
		out := must1[*ec2.DescribeRegionsOutput](t)(there.DescribeRegions(ctx, &ec2.DescribeRegionsInput{}))
		i := slices.IndexFunc(out.Regions, func(r types.Region) bool { return *r.RegionName == region })
		if len(out.Regions) != x.regions || i < 0 || *out.Regions[i].Endpoint != x.endpoint {
			t.Errorf("%s: %d regions, %d", region, len(out.Regions), i)
		}
		subnets := must1[*ec2.DescribeSubnetsOutput](t)(there.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{}))
		if len(subnets.Subnets) != 3 || !strings.HasPrefix(*subnets.Subnets[0].SubnetArn, x.arn+"ec2:"+region+":"+account+":subnet/") {
			t.Errorf("%s: %+v", region, subnets.Subnets)
		}
		m := there.source(xenial)
		if *m.OwnerId != x.owner {
			t.Errorf("%s: Ubuntu is of %s", region, *m.OwnerId)
		}
		if id := there.run(); there.until(id, "running").State.Name != "running" {
			t.Errorf("%s: no instance", region)
		}
		_, err := there.CopyImage(ctx, &ec2.CopyImageInput{Name: aws.String("copied"), SourceImageId: m.ImageId, SourceRegion: &x.from})
		wantCode(t, err, "InvalidParameterValue")
		who := must1[*sts.GetCallerIdentityOutput](t)(sts.NewFromConfig(b.config(region)).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}))
		if !strings.HasPrefix(*who.Arn, x.arn+"iam::"+account+":user/") {
			t.Errorf("%s: the caller is %s", region, *who.Arn)
		}
	}
	a := must1[*ec2.DescribeAccountAttributesOutput](t)(b.DescribeAccountAttributes(ctx, &ec2.DescribeAccountAttributesInput{AttributeNames: []types.AccountAttributeName{"default-vpc"}}))
	if len(a.AccountAttributes) != 1 {
		t.Errorf("%+v", a.AccountAttributes)
	}
}

func TestNetwork(t *testing.T) {
	b := newBench(t)
	def := must1[*ec2.DescribeVpcsOutput](t)(b.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{Filters: filterBy("isDefault", "true")})).Vpcs
	subnets := must1[*ec2.DescribeSubnetsOutput](t)(b.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{Filters: filterBy("vpc-id", *def[0].VpcId)})).Subnets
	if len(def) != 1 || len(subnets) != 3 || *subnets[0].AvailableIpAddressCount != 4091 {
		t.Fatalf("%+v %+v", def, subnets)
	}
	if g := must1[*ec2.DescribeInternetGatewaysOutput](t)(b.DescribeInternetGateways(ctx, &ec2.DescribeInternetGatewaysInput{Filters: filterBy("attachment.vpc-id", *def[0].VpcId)})); len(g.InternetGateways) != 1 {
		t.Errorf("%+v", g.InternetGateways)
	}
	if r := must1[*ec2.DescribeRouteTablesOutput](t)(b.DescribeRouteTables(ctx, &ec2.DescribeRouteTablesInput{})); len(r.RouteTables) != 1 || len(r.RouteTables[0].Routes) != 2 {
		t.Errorf("%+v", r.RouteTables)
	}
	v := must1[*ec2.CreateVpcOutput](t)(b.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.1.0.0/16")})).Vpc
	s := must1[*ec2.CreateSubnetOutput](t)(b.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: v.VpcId, CidrBlock: aws.String("10.1.1.0/24"), AvailabilityZone: aws.String("us-east-1b")})).Subnet
	for cidr, want := range map[string]string{"10.1.1.128/25": "InvalidSubnet.Conflict", "10.2.0.0/24": "InvalidSubnet.Range", "ten": "InvalidParameterValue"} {
		_, err := b.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: v.VpcId, CidrBlock: &cidr})
		wantCode(t, err, want)
	}
	id := b.run(func(in *ec2.RunInstancesInput) { in.SubnetId = s.SubnetId })
	if i := b.until(id, "running"); *i.Placement.AvailabilityZone != "us-east-1b" || i.PublicIpAddress != nil || *i.VpcId != *v.VpcId {
		t.Errorf("%+v", i)
	}
	eni := must1[*ec2.DescribeNetworkInterfacesOutput](t)(b.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{Filters: filterBy("subnet-id", *s.SubnetId)}))
	if len(eni.NetworkInterfaces) != 1 || *eni.NetworkInterfaces[0].Attachment.InstanceId != id {
		t.Errorf("%+v", eni.NetworkInterfaces)
	}
	_, err := b.DeleteSubnet(ctx, &ec2.DeleteSubnetInput{SubnetId: s.SubnetId})
	wantCode(t, err, "DependencyViolation")
	_, err = b.DeleteVpc(ctx, &ec2.DeleteVpcInput{VpcId: v.VpcId})
	wantCode(t, err, "DependencyViolation")
	b.terminate(id)
	must1[*ec2.DeleteSubnetOutput](t)(b.DeleteSubnet(ctx, &ec2.DeleteSubnetInput{SubnetId: s.SubnetId}))
	must1[*ec2.DeleteVpcOutput](t)(b.DeleteVpc(ctx, &ec2.DeleteVpcInput{VpcId: v.VpcId}))
	if left := b.server.Inventory().Made(); len(left) != 0 {
		t.Errorf("left are %+v", left)
	}
}

func TestGroups(t *testing.T) {
	b := newBench(t)
	create := func(name, description, want string) string {
		t.Helper()
		out, err := b.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{
			GroupName: &name, Description: &description,
			TagSpecifications: []types.TagSpecification{{ResourceType: "security-group", Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}}}},
		})
		wantCode(t, err, want)
		if err != nil {
			return ""
		}
		return *out.GroupId
	}
	a, other := create("a", "d", ""), create("other", "d", "")
	create("a", "d", "InvalidGroup.Duplicate")
	create("sg-a", "d", "InvalidParameterValue")
	create("umlaut ä", "d", "InvalidParameterValue")
	create(strings.Repeat("a", 256), "d", "InvalidParameterValue")
	create("default", "d", "InvalidParameterValue")
	create("b", "", "InvalidParameterValue")
	tcp := func(port int32, cidr string) []types.IpPermission {
		return []types.IpPermission{{IpProtocol: aws.String("tcp"), FromPort: &port, ToPort: &port, IpRanges: []types.IpRange{{CidrIp: &cidr, Description: aws.String("why")}}}}
	}
	open := func(p []types.IpPermission, want string) *ec2.AuthorizeSecurityGroupIngressOutput {
		t.Helper()
		out, err := b.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &a, IpPermissions: p})
		wantCode(t, err, want)
		return out
	}
	rule := open(tcp(22, "10.0.0.0/8"), "")
	open(tcp(22, "10.0.0.0/8"), "InvalidPermission.Duplicate")
	open(tcp(22, "10.0.0.0"), "InvalidParameterValue")
	open(tcp(70000, "10.0.0.0/8"), "InvalidParameterValue")
	open(nil, "MissingParameter")
	open([]types.IpPermission{{IpProtocol: aws.String("-1"), UserIdGroupPairs: []types.UserIdGroupPair{{GroupId: &other}}}}, "")
	open([]types.IpPermission{{IpProtocol: aws.String("tcp"), FromPort: aws.Int32(22), ToPort: aws.Int32(22), Ipv6Ranges: []types.Ipv6Range{{CidrIpv6: aws.String("::/0")}}}}, "")
	must1[*ec2.AuthorizeSecurityGroupIngressOutput](t)(b.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{
		GroupId: &a, IpProtocol: aws.String("udp"), FromPort: aws.Int32(53), ToPort: aws.Int32(53), CidrIp: aws.String("0.0.0.0/0"),
	}))
	got := must1[*ec2.DescribeSecurityGroupsOutput](t)(b.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{GroupIds: []string{a}})).SecurityGroups[0]
	if len(got.IpPermissions) != 3 || len(got.IpPermissionsEgress) != 1 || *got.Tags[0].Value != "v" {
		t.Errorf("%+v", got)
	}
	rules := must1[*ec2.DescribeSecurityGroupRulesOutput](t)(b.DescribeSecurityGroupRules(ctx, &ec2.DescribeSecurityGroupRulesInput{Filters: filterBy("group-id", a)}))
	if len(rules.SecurityGroupRules) != 5 {
		t.Errorf("%d rules", len(rules.SecurityGroupRules))
	}
	_, err := b.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: &other})
	wantCode(t, err, "DependencyViolation")
	must1[*ec2.RevokeSecurityGroupIngressOutput](t)(b.RevokeSecurityGroupIngress(ctx, &ec2.RevokeSecurityGroupIngressInput{GroupId: &a, SecurityGroupRuleIds: []string{*rule.SecurityGroupRules[0].SecurityGroupRuleId}}))
	_, err = b.RevokeSecurityGroupIngress(ctx, &ec2.RevokeSecurityGroupIngressInput{GroupId: &a, IpPermissions: tcp(22, "10.0.0.0/8")})
	wantCode(t, err, "InvalidPermission.NotFound")
	must1[*ec2.RevokeSecurityGroupEgressOutput](t)(b.RevokeSecurityGroupEgress(ctx, &ec2.RevokeSecurityGroupEgressInput{GroupId: &a, IpPermissions: []types.IpPermission{{IpProtocol: aws.String("-1"), IpRanges: []types.IpRange{{CidrIp: aws.String("0.0.0.0/0")}}}}}))
	must1[*ec2.AuthorizeSecurityGroupEgressOutput](t)(b.AuthorizeSecurityGroupEgress(ctx, &ec2.AuthorizeSecurityGroupEgressInput{GroupId: &a, IpPermissions: tcp(443, "0.0.0.0/0")}))
	must1[*ec2.DeleteSecurityGroupOutput](t)(b.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupName: aws.String("a")}))
	must1[*ec2.DeleteSecurityGroupOutput](t)(b.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: &other}))
	_, err = b.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{GroupIds: []string{a}})
	wantCode(t, err, "InvalidGroup.NotFound")
	def := must1[*ec2.DescribeSecurityGroupsOutput](t)(b.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{GroupNames: []string{"default"}})).SecurityGroups
	_, err = b.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: def[0].GroupId})
	wantCode(t, err, "CannotDelete")
}

func TestKeyPairs(t *testing.T) {
	b := newBench(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := ssh.NewPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	lines := string(pem.EncodeToMemory(&pem.Block{Type: "X", Bytes: pub.Marshal()}))
	lines = strings.Replace(strings.Replace(lines, "-----BEGIN X-----", "---- BEGIN SSH2 PUBLIC KEY ----\nComment: c", 1), "-----END X-----", "---- END SSH2 PUBLIC KEY ----", 1)
	var prints []string
	for i, form := range []string{
		string(ssh.MarshalAuthorizedKey(pub)), lines, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
	} {
		out := must1[*ec2.ImportKeyPairOutput](t)(b.ImportKeyPair(ctx, &ec2.ImportKeyPairInput{KeyName: aws.String(fmt.Sprint("k", i)), PublicKeyMaterial: []byte(form)}))
		prints = append(prints, *out.KeyFingerprint)
	}
	if prints[0] != prints[1] || prints[0] != prints[2] || len(prints[0]) != 47 {
		t.Errorf("fingerprints of one key: %v", prints)
	}
	for want, in := range map[string]*ec2.ImportKeyPairInput{
		"InvalidKeyPair.Duplicate": {KeyName: aws.String("k0"), PublicKeyMaterial: []byte(publicKeyLine)},
		"InvalidKey.Format":        {KeyName: aws.String("k9"), PublicKeyMaterial: []byte("ssh-dss AAAA")},
		"InvalidParameterValue":    {KeyName: aws.String(strings.Repeat("k", 256)), PublicKeyMaterial: []byte(publicKeyLine)},
	} {
		_, err := b.ImportKeyPair(ctx, in)
		wantCode(t, err, want)
	}
	for bits, ok := range map[int]bool{1024: true, 2048: true, 3072: false, 4096: true, 8192: false} {
		n := new(big.Int).SetBit(big.NewInt(1), bits-1, 1) // only its length is looked at
		pub, err := ssh.NewPublicKey(&rsa.PublicKey{N: n, E: 65537})
		if err != nil {
			t.Fatal(err)
		}
		_, err = b.ImportKeyPair(ctx, &ec2.ImportKeyPairInput{KeyName: aws.String(fmt.Sprint("bits", bits)), PublicKeyMaterial: ssh.MarshalAuthorizedKey(pub)})
		if ok && err != nil {
			t.Errorf("%d bits: %v", bits, err)
		} else if !ok {
			wantCode(t, err, "InvalidKey.Format")
		}
	}
	for _, kind := range []types.KeyType{"rsa", "ed25519"} {
		out := must1[*ec2.CreateKeyPairOutput](t)(b.CreateKeyPair(ctx, &ec2.CreateKeyPairInput{
			KeyName: aws.String(string(kind)), KeyType: kind,
			TagSpecifications: []types.TagSpecification{{ResourceType: "key-pair", Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}}}},
		}))
		signer, err := ssh.ParsePrivateKey([]byte(*out.KeyMaterial))
		if err != nil {
			t.Fatal(err)
		}
		all := must1[*ec2.DescribeKeyPairsOutput](t)(b.DescribeKeyPairs(ctx, &ec2.DescribeKeyPairsInput{KeyNames: []string{string(kind)}, IncludePublicKey: aws.Bool(true)})).KeyPairs
		if len(all) != 1 || strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey()))) != *all[0].PublicKey || all[0].KeyType != kind {
			t.Errorf("%+v", all)
		}
	}
	_, err = b.DescribeKeyPairs(ctx, &ec2.DescribeKeyPairsInput{KeyNames: []string{"none"}})
	wantCode(t, err, "InvalidKeyPair.NotFound")
	must1[*ec2.DeleteKeyPairOutput](t)(b.DeleteKeyPair(ctx, &ec2.DeleteKeyPairInput{KeyName: aws.String("rsa")}))
	must1[*ec2.DeleteKeyPairOutput](t)(b.DeleteKeyPair(ctx, &ec2.DeleteKeyPairInput{KeyName: aws.String("rsa")}))
}

func TestVolumes(t *testing.T) {
	b := newBench(t)
	id := b.run()
	b.until(id, "running")
	in := &ec2.CreateVolumeInput{AvailabilityZone: aws.String("us-east-1a"), Size: aws.Int32(10), VolumeType: "gp3", ClientToken: aws.String("v"), Encrypted: aws.Bool(true)}
	v := must1[*ec2.CreateVolumeOutput](t)(b.CreateVolume(ctx, in))
	if again := must1[*ec2.CreateVolumeOutput](t)(b.CreateVolume(ctx, in)); *again.VolumeId != *v.VolumeId {
		t.Error("the same token made two volumes")
	}
	eventually(t, "available", func() bool {
		out := must1[*ec2.DescribeVolumesOutput](t)(b.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{VolumeIds: []string{*v.VolumeId}}))
		return out.Volumes[0].State == "available" && *out.Volumes[0].Iops == 3000
	})
	for want, in := range map[string]*ec2.CreateVolumeInput{
		"InvalidParameterValue": {AvailabilityZone: aws.String("us-east-1a"), Size: aws.Int32(2), VolumeType: "io1", Iops: aws.Int32(100)},
		"InvalidZone.NotFound":  {AvailabilityZone: aws.String("us-east-1z"), Size: aws.Int32(2)},
		"MissingParameter":      {AvailabilityZone: aws.String("us-east-1a")},
	} {
		_, err := b.CreateVolume(ctx, in)
		wantCode(t, err, want)
	}
	must1[*ec2.AttachVolumeOutput](t)(b.AttachVolume(ctx, &ec2.AttachVolumeInput{Device: aws.String("/dev/sdf"), InstanceId: &id, VolumeId: v.VolumeId}))
	_, err := b.DeleteVolume(ctx, &ec2.DeleteVolumeInput{VolumeId: v.VolumeId})
	wantCode(t, err, "VolumeInUse")
	_, err = b.AttachVolume(ctx, &ec2.AttachVolumeInput{Device: aws.String("/dev/sdg"), InstanceId: &id, VolumeId: v.VolumeId})
	wantCode(t, err, "VolumeInUse")
	// An image of the instance has both volumes.
	made := must1[*ec2.CreateImageOutput](t)(b.CreateImage(ctx, &ec2.CreateImageInput{
		InstanceId: &id, Name: aws.String("both"),
		BlockDeviceMappings: []types.BlockDeviceMapping{{DeviceName: aws.String("/dev/sdh"), Ebs: &types.EbsBlockDevice{VolumeSize: aws.Int32(3)}}, {DeviceName: aws.String("/dev/sdb"), NoDevice: aws.String("")}},
	}))
	m := b.imageUntil(*made.ImageId, "available")
	devices := map[string]string{}
	for _, d := range m.BlockDeviceMappings {
		kind := aws.ToString(d.VirtualName)
		if d.Ebs != nil {
			kind = aws.ToString(d.Ebs.SnapshotId)
		}
		devices[*d.DeviceName] = strings.TrimRight(kind, "0123456789abcdef")
	}
	if fmt.Sprint(devices) != "map[/dev/sda1:snap- /dev/sdc:ephemeral /dev/sdf:snap- /dev/sdh:]" {
		t.Errorf("devices %v", devices)
	}
	_, err = b.DetachVolume(ctx, &ec2.DetachVolumeInput{VolumeId: b.instance(id).BlockDeviceMappings[0].Ebs.VolumeId})
	wantCode(t, err, "OperationNotPermitted")
	must1[*ec2.DetachVolumeOutput](t)(b.DetachVolume(ctx, &ec2.DetachVolumeInput{VolumeId: v.VolumeId}))
	_, err = b.DetachVolume(ctx, &ec2.DetachVolumeInput{VolumeId: v.VolumeId})
	wantCode(t, err, "IncorrectState")
	must1[*ec2.DeleteVolumeOutput](t)(b.DeleteVolume(ctx, &ec2.DeleteVolumeInput{VolumeId: v.VolumeId}))
}

// TestRootIsSwapped takes the root from a stopped instance and puts another volume in its place, of which its image is.
func TestRootIsSwapped(t *testing.T) {
	b := newBench(t)
	id := b.run()
	i := b.until(id, "running")
	root := *i.BlockDeviceMappings[0].Ebs.VolumeId
	v := must1[*ec2.CreateVolumeOutput](t)(b.CreateVolume(ctx, &ec2.CreateVolumeInput{AvailabilityZone: i.Placement.AvailabilityZone, Size: aws.Int32(9)}))
	eventually(t, "available", func() bool {
		return must1[*ec2.DescribeVolumesOutput](t)(b.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{VolumeIds: []string{*v.VolumeId}})).Volumes[0].State == "available"
	})
	attach := func(volume, device string) error {
		_, err := b.AttachVolume(ctx, &ec2.AttachVolumeInput{Device: &device, InstanceId: &id, VolumeId: &volume})
		return err
	}
	must1[*ec2.StopInstancesOutput](t)(b.StopInstances(ctx, &ec2.StopInstancesInput{InstanceIds: []string{id}}))
	b.until(id, "stopped")
	must1[*ec2.DetachVolumeOutput](t)(b.DetachVolume(ctx, &ec2.DetachVolumeInput{VolumeId: &root}))
	_, err := b.StartInstances(ctx, &ec2.StartInstancesInput{InstanceIds: []string{id}})
	wantCode(t, err, "IncorrectInstanceState")
	_, err = b.CreateImage(ctx, &ec2.CreateImageInput{InstanceId: &id, Name: aws.String("rootless")})
	wantCode(t, err, "IncorrectInstanceState")
	_, err = b.CreateSnapshot(ctx, &ec2.CreateSnapshotInput{VolumeId: &root})
	wantCode(t, err, "UnsupportedOperation")
	wantCode(t, attach(root, "/dev/sdf"), "UnsupportedOperation")
	if err := attach(*v.VolumeId, "/dev/sda1"); err != nil {
		t.Fatal(err)
	}
	made := must1[*ec2.CreateImageOutput](t)(b.CreateImage(ctx, &ec2.CreateImageInput{InstanceId: &id, Name: aws.String("swapped")}))
	m := b.imageUntil(*made.ImageId, "available")
	if d := m.BlockDeviceMappings; len(d) != 3 || *d[0].DeviceName != "/dev/sda1" || *d[0].Ebs.VolumeSize != 9 {
		t.Errorf("%+v", d)
	}
	_, err = b.RunInstances(ctx, &ec2.RunInstancesInput{ImageId: made.ImageId, InstanceType: "t2.micro", MinCount: aws.Int32(1), MaxCount: aws.Int32(1)})
	wantCode(t, err, "UnsupportedOperation")
	must1[*ec2.TerminateInstancesOutput](t)(b.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{id}}))
	b.until(id, "terminated")
	for _, id := range []string{root, *v.VolumeId} { // neither goes with the instance
		must1[*ec2.DeleteVolumeOutput](t)(b.DeleteVolume(ctx, &ec2.DeleteVolumeInput{VolumeId: &id}))
	}
}

func TestSnapshots(t *testing.T) {
	b := newBench(t)
	v := must1[*ec2.CreateVolumeOutput](t)(b.CreateVolume(ctx, &ec2.CreateVolumeInput{AvailabilityZone: aws.String("us-east-1a"), Size: aws.Int32(1)}))
	var s *ec2.CreateSnapshotOutput
	eventually(t, "the volume is there", func() (ok bool) {
		var err error
		s, err = b.CreateSnapshot(ctx, &ec2.CreateSnapshotInput{VolumeId: v.VolumeId})
		return err == nil
	})
	eventually(t, "completed", func() bool {
		out := must1[*ec2.DescribeSnapshotsOutput](t)(b.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{SnapshotIds: []string{*s.SnapshotId}}))
		return out.Snapshots[0].State == "completed" && *out.Snapshots[0].Progress == "100%"
	})
	share := func(in *ec2.ModifySnapshotAttributeInput, want string) {
		t.Helper()
		in.SnapshotId = s.SnapshotId
		_, err := b.ModifySnapshotAttribute(ctx, in)
		wantCode(t, err, want)
	}
	share(&ec2.ModifySnapshotAttributeInput{Attribute: "createVolumePermission", OperationType: "add", UserIds: []string{"111122223333"}}, "")
	share(&ec2.ModifySnapshotAttributeInput{CreateVolumePermission: &types.CreateVolumePermissionModifications{Add: []types.CreateVolumePermission{{Group: "all"}}}}, "")
	share(&ec2.ModifySnapshotAttributeInput{}, "MissingParameter")
	share(&ec2.ModifySnapshotAttributeInput{OperationType: "add", UserIds: []string{"me"}}, "InvalidUserID.Malformed")
	a := must1[*ec2.DescribeSnapshotAttributeOutput](t)(b.DescribeSnapshotAttribute(ctx, &ec2.DescribeSnapshotAttributeInput{SnapshotId: s.SnapshotId, Attribute: "createVolumePermission"}))
	if len(a.CreateVolumePermissions) != 2 {
		t.Errorf("%+v", a.CreateVolumePermissions)
	}
	far := b.client("us-west-2")
	c := must1[*ec2.CopySnapshotOutput](t)(far.CopySnapshot(ctx, &ec2.CopySnapshotInput{SourceRegion: aws.String("us-east-1"), SourceSnapshotId: s.SnapshotId}))
	must1[*ec2.DeleteSnapshotOutput](t)(b.DeleteSnapshot(ctx, &ec2.DeleteSnapshotInput{SnapshotId: s.SnapshotId}))
	must1[*ec2.DeleteSnapshotOutput](t)(far.DeleteSnapshot(ctx, &ec2.DeleteSnapshotInput{SnapshotId: c.SnapshotId}))
	_, err := b.DeleteSnapshot(ctx, &ec2.DeleteSnapshotInput{SnapshotId: s.SnapshotId})
	wantCode(t, err, "InvalidSnapshot.NotFound")
}

func TestTags(t *testing.T) {
	b := newBench(t)
	id := b.run()
	vol := *b.instance(id).BlockDeviceMappings[0].Ebs.VolumeId
	tag := func(want string, ids []string, tags ...string) {
		t.Helper()
		in := &ec2.CreateTagsInput{Resources: ids}
		for i := 0; i < len(tags); i += 2 {
			in.Tags = append(in.Tags, types.Tag{Key: &tags[i], Value: &tags[i+1]})
		}
		_, err := b.CreateTags(ctx, in)
		wantCode(t, err, want)
	}
	tag("", []string{id, vol}, "a", "1", "b", "2")
	tag("", []string{id}, "a", "3")
	tag("InvalidParameterValue", []string{id}, strings.Repeat("k", 129), "")
	tag("InvalidParameterValue", []string{id}, "k", strings.Repeat("v", 257))
	tag("InvalidParameterValue", []string{id}, "aws:k", "v")
	tag("InvalidInstanceID.NotFound", []string{vol, "i-0123456789abcdef0"}, "never", "v")
	tag("InvalidID", []string{"x-0123456789abcdef0"}, "k", "v")
	var many []string
	for i := range 49 {
		many = append(many, fmt.Sprint("k", i), "")
	}
	tag("TagLimitExceeded", []string{id}, many...)
	out := must1[*ec2.DescribeTagsOutput](t)(b.DescribeTags(ctx, &ec2.DescribeTagsInput{Filters: filterBy("resource-type", "instance|volume")}))
	got := map[string]string{}
	for _, g := range out.Tags {
		if !strings.HasPrefix(*g.Key, "ec2local:") {
			got[string(g.ResourceType)+" "+*g.Key] = *g.Value
		}
	}
	if fmt.Sprint(got) != "map[instance a:3 instance b:2 volume a:1 volume b:2]" {
		t.Errorf("%v", got)
	}
	must1[*ec2.DeleteTagsOutput](t)(b.DeleteTags(ctx, &ec2.DeleteTagsInput{Resources: []string{vol}, Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("other")}, {Key: aws.String("b")}}}))
	out = must1[*ec2.DescribeTagsOutput](t)(b.DescribeTags(ctx, &ec2.DescribeTagsInput{Filters: filterBy("resource-id", vol)}))
	if len(out.Tags) != 1 || *out.Tags[0].Key != "a" {
		t.Errorf("%+v", out.Tags)
	}
}

func TestTypes(t *testing.T) {
	b := newBench(t)
	out := must1[*ec2.DescribeInstanceTypesOutput](t)(b.DescribeInstanceTypes(ctx, &ec2.DescribeInstanceTypesInput{InstanceTypes: []types.InstanceType{"t2.micro", "m6g.large"}}))
	if len(out.InstanceTypes) != 2 || out.InstanceTypes[1].ProcessorInfo.SupportedArchitectures[0] != "arm64" {
		t.Errorf("%+v", out.InstanceTypes)
	}
	// Every type of the table is one that EC2 has: the comparison with the model looks.
	every := must1[*ec2.DescribeInstanceTypesOutput](t)(b.DescribeInstanceTypes(ctx, &ec2.DescribeInstanceTypesInput{})).InstanceTypes
	if len(every) != 1212 {
		t.Errorf("%d types", len(every))
	}
	for name, want := range map[string]string{
		"c3.large": "2 3840 xen true false", "m3.2xlarge": "8 30720 xen true false", "c4.8xlarge": "36 61440 xen false true", "r3.xlarge": "4 31232 xen true false",
		"i3.metal": "72 524288  false true", "m7i-flex.large": "2 8192 nitro false true", "c8g.medium": "1 2048 nitro false true", "x1e.32xlarge": "128 3997696 xen false true",
		"g4dn.xlarge": "4 16384 nitro false true", "m5.metal": "96 393216  false true", "r7iz.metal-16xl": "64 524288  false true", "u-24tb1.112xlarge": "448 25165824 nitro false true",
	} {
		i := slices.IndexFunc(every, func(x types.InstanceTypeInfo) bool { return string(x.InstanceType) == name })
		if i < 0 {
			t.Errorf("there is no %s", name)
			continue
		}
		x := every[i]
		pv := slices.Contains(x.SupportedVirtualizationTypes, "paravirtual")
		if got := fmt.Sprintf("%d %d %s %v %v", *x.VCpuInfo.DefaultVCpus, *x.MemoryInfo.SizeInMiB, x.Hypervisor, pv, *x.CurrentGeneration); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	_, err := b.RunInstances(ctx, &ec2.RunInstancesInput{ImageId: b.source(xenial).ImageId, InstanceType: "m1.small", MinCount: aws.Int32(1), MaxCount: aws.Int32(1)})
	wantCode(t, err, "InvalidParameterCombination")
	_, err = b.DescribeInstanceTypes(ctx, &ec2.DescribeInstanceTypesInput{InstanceTypes: []types.InstanceType{"x9.32xlarge"}})
	wantCode(t, err, "InvalidParameterValue")
	off := must1[*ec2.DescribeInstanceTypeOfferingsOutput](t)(b.DescribeInstanceTypeOfferings(ctx, &ec2.DescribeInstanceTypeOfferingsInput{LocationType: "availability-zone", Filters: filterBy("instance-type", "t2.micro")}))
	if len(off.InstanceTypeOfferings) != 3 {
		t.Errorf("%+v", off.InstanceTypeOfferings)
	}
}

// TestFleet launches a spot instance by a template and an instant fleet.
func TestFleet(t *testing.T) {
	b := newBench(t)
	lt := must1[*ec2.CreateLaunchTemplateOutput](t)(b.CreateLaunchTemplate(ctx, &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: aws.String("tpl"), ClientToken: aws.String("t"),
		LaunchTemplateData: &types.RequestLaunchTemplateData{
			ImageId: b.source(xenial).ImageId, UserData: aws.String("IyEvYmluL3NoCg=="),
			TagSpecifications: []types.LaunchTemplateTagSpecificationRequest{{ResourceType: "instance", Tags: []types.Tag{{Key: aws.String("by"), Value: aws.String("template")}}}},
		},
	})).LaunchTemplate
	_, err := b.CreateLaunchTemplate(ctx, &ec2.CreateLaunchTemplateInput{LaunchTemplateName: aws.String("tpl"), LaunchTemplateData: &types.RequestLaunchTemplateData{KeyName: aws.String("k")}})
	wantCode(t, err, "InvalidLaunchTemplateName.AlreadyExistsException")
	if out := must1[*ec2.DescribeLaunchTemplatesOutput](t)(b.DescribeLaunchTemplates(ctx, &ec2.DescribeLaunchTemplatesInput{LaunchTemplateNames: []string{"tpl"}})); *out.LaunchTemplates[0].LaunchTemplateId != *lt.LaunchTemplateId {
		t.Errorf("%+v", out.LaunchTemplates)
	}
	in := &ec2.CreateFleetInput{
		Type: "instant", ClientToken: aws.String("f"),
		LaunchTemplateConfigs: []types.FleetLaunchTemplateConfigRequest{{
			LaunchTemplateSpecification: &types.FleetLaunchTemplateSpecificationRequest{LaunchTemplateId: lt.LaunchTemplateId, Version: aws.String("1")},
			Overrides:                   []types.FleetLaunchTemplateOverridesRequest{{InstanceType: "t4g.micro"}, {InstanceType: "t2.micro"}},
		}},
		TargetCapacitySpecification: &types.TargetCapacitySpecificationRequest{TotalTargetCapacity: aws.Int32(1), DefaultTargetCapacityType: "spot"},
	}
	f := must1[*ec2.CreateFleetOutput](t)(b.CreateFleet(ctx, in))
	if len(f.Errors) != 1 || len(f.Instances) != 1 {
		t.Fatalf("%+v", f)
	}
	id := f.Instances[0].InstanceIds[0]
	if again := must1[*ec2.CreateFleetOutput](t)(b.CreateFleet(ctx, in)); *again.FleetId != *f.FleetId || again.Instances[0].InstanceIds[0] != id {
		t.Errorf("the same token made %+v", again)
	}
	i := b.until(id, "running")
	if i.InstanceLifecycle != "spot" || i.InstanceType != "t2.micro" || i.SpotInstanceRequestId == nil {
		t.Errorf("%+v", i)
	}
	if !strings.Contains(fmt.Sprint(string(b.host.get(id).spec.UserData)), "#!/bin/sh") {
		t.Error("no user data of the template")
	}
	_, err = b.StopInstances(ctx, &ec2.StopInstancesInput{InstanceIds: []string{id}})
	wantCode(t, err, "UnsupportedOperation")
	must1[*ec2.DeleteLaunchTemplateOutput](t)(b.DeleteLaunchTemplate(ctx, &ec2.DeleteLaunchTemplateInput{LaunchTemplateId: lt.LaunchTemplateId}))
	_, err = b.DeleteLaunchTemplate(ctx, &ec2.DeleteLaunchTemplateInput{LaunchTemplateName: aws.String("tpl")})
	wantCode(t, err, "InvalidLaunchTemplateName.NotFoundException")
}
