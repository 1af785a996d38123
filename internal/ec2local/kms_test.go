package ec2local

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// kms calls KMS in a region.
func (b *bench) kms(region, action string, say object) (out object, code string) {
	b.t.Helper()
	body, _ := json.Marshal(say)
	out, code, _ = b.jsonIn(region, "kms", action, string(body))
	return out, code
}

// key makes a key with an alias, and returns its ARN.
func (b *bench) key(region, alias string) string {
	b.t.Helper()
	out, code := b.kms(region, "CreateKey", object{})
	id, _ := at(out, "KeyMetadata", "KeyId").(string)
	if code == "" {
		_, code = b.kms(region, "CreateAlias", object{"AliasName": alias, "TargetKeyId": id})
	}
	if code != "" {
		b.t.Fatal(code)
	}
	return at(out, "KeyMetadata", "Arn").(string)
}

func TestKeys(t *testing.T) {
	b := newBench(t)
	key := b.key("us-east-1", "alias/mine")
	id := key[strings.LastIndex(key, "/")+1:]
	for _, name := range []string{key, id, "alias/mine", arn("kms", "us-east-1", "alias/mine")} {
		out, code := b.kms("us-east-1", "DescribeKey", object{"KeyId": name})
		if at(out, "KeyMetadata", "Arn") != key || at(out, "KeyMetadata", "KeyState") != "Enabled" || at(out, "KeyMetadata", "KeyManager") != "CUSTOMER" {
			t.Errorf("%s: %v %s", name, out, code)
		}
		if _, code := b.kms("eu-west-1", "DescribeKey", object{"KeyId": name}); code != "NotFoundException" {
			t.Errorf("%s in another region: %s", name, code)
		}
	}
	own, _ := b.kms("us-east-1", "DescribeKey", object{"KeyId": "alias/aws/ebs"})
	if at(own, "KeyMetadata", "KeyManager") != "AWS" || at(own, "KeyMetadata", "Arn") != ownKey("us-east-1").arn() {
		t.Errorf("AWS's own: %v", own)
	}
	list, _ := b.kms("us-east-1", "ListAliases", object{})
	if at(list, "Aliases", 0, "AliasName") != "alias/aws/ebs" || at(list, "Aliases", 1, "AliasName") != "alias/mine" || at(list, "Aliases", 1, "TargetKeyId") != id {
		t.Errorf("aliases: %v", list)
	}
	b.kms("us-east-1", "DisableKey", object{"KeyId": id})
	if out, _ := b.kms("us-east-1", "DescribeKey", object{"KeyId": id}); at(out, "KeyMetadata", "KeyState") != "Disabled" || at(out, "KeyMetadata", "Enabled") != false {
		t.Errorf("disabled: %v", out)
	}
	b.kms("us-east-1", "EnableKey", object{"KeyId": id})
	if out, _ := b.kms("us-east-1", "DescribeKey", object{"KeyId": id}); at(out, "KeyMetadata", "KeyState") != "Enabled" {
		t.Errorf("enabled: %v", out)
	}
	if out, _ := b.kms("us-east-1", "CreateKey", object{"MultiRegion": true, "KeySpec": "RSA_2048"}); at(out, "KeyMetadata", "MultiRegion") != true || at(out, "KeyMetadata", "KeySpec") != "RSA_2048" {
		t.Errorf("a key of two regions: %v", out)
	}
	for _, x := range []struct {
		action string
		say    object
		code   string
	}{
		{"DescribeKey", object{}, "ValidationException"},
		{"DescribeKey", object{"KeyId": "alias/other"}, "NotFoundException"},
		{"CreateAlias", object{"AliasName": "alias/mine", "TargetKeyId": id}, "AlreadyExistsException"},
		{"CreateAlias", object{"AliasName": "mine", "TargetKeyId": id}, "InvalidAliasNameException"},
		{"CreateAlias", object{"AliasName": "alias/aws/x", "TargetKeyId": id}, "NotAuthorizedException"},
		{"DisableKey", object{"KeyId": "alias/aws/ebs"}, "AccessDeniedException"},
		{"CreateKey", object{"KeySpec": "SM2"}, "ValidationException"},
	} {
		if _, code := b.kms("us-east-1", x.action, x.say); code != x.code {
			t.Errorf("%s %v: %q, want %s", x.action, x.say, code, x.code)
		}
	}
}

// TestEncryption follows a key from the launch to the copy of the image.
func TestEncryption(t *testing.T) {
	b := newBench(t)
	key := b.key("us-east-1", "alias/mine")
	run := must1[*ec2.RunInstancesOutput](t)(b.RunInstances(ctx, &ec2.RunInstancesInput{
		ImageId: b.source(xenial).ImageId, InstanceType: "t2.micro", MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
		BlockDeviceMappings: []types.BlockDeviceMapping{{DeviceName: aws.String("/dev/sda1"), Ebs: &types.EbsBlockDevice{Encrypted: aws.Bool(true), KmsKeyId: aws.String("alias/mine")}}},
	}))
	id := *run.Instances[0].InstanceId
	b.until(id, "running")
	vs := must1[*ec2.DescribeVolumesOutput](t)(b.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{})).Volumes
	if len(vs) != 1 || !*vs[0].Encrypted || *vs[0].KmsKeyId != key {
		t.Errorf("volume: %+v", vs)
	}
	made := *must1[*ec2.CreateImageOutput](t)(b.CreateImage(ctx, &ec2.CreateImageInput{InstanceId: &id, Name: aws.String("image")})).ImageId
	look := func(region, id string) (types.Image, types.Snapshot) {
		c := b.client(region)
		var m types.Image
		eventually(t, "the image is there", func() bool {
			m = must1[*ec2.DescribeImagesOutput](t)(c.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{id}})).Images[0]
			return m.State != "pending"
		})
		e := m.BlockDeviceMappings[0].Ebs
		s := must1[*ec2.DescribeSnapshotsOutput](t)(c.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{SnapshotIds: []string{*e.SnapshotId}})).Snapshots[0]
		if !*e.Encrypted || *e.KmsKeyId != *s.KmsKeyId || !*s.Encrypted {
			t.Errorf("%s: %+v of %+v", region, e, s)
		}
		return m, s
	}
	if m, s := look("us-east-1", made); m.State != "available" || *s.KmsKeyId != key {
		t.Errorf("%+v %+v", m, s)
	}
	theirs := b.key("eu-west-1", "alias/theirs")
	copied := func(name string, key string) string {
		in := &ec2.CopyImageInput{SourceImageId: &made, SourceRegion: aws.String("us-east-1"), Name: &name}
		if key != "" {
			in.Encrypted, in.KmsKeyId = aws.Bool(true), &key
		}
		return *must1[*ec2.CopyImageOutput](t)(b.client("eu-west-1").CopyImage(ctx, in)).ImageId
	}
	if m, s := look("eu-west-1", copied("theirs", "alias/theirs")); m.State != "available" || *s.KmsKeyId != theirs {
		t.Errorf("%+v %+v", m, s)
	}
	plain := copied("plain", "")
	if m, s := look("eu-west-1", plain); m.State != "available" || *s.KmsKeyId != ownKey("eu-west-1").arn() {
		t.Errorf("%+v %+v", m, s)
	}
	_, err := b.client("eu-west-1").ModifyImageAttribute(ctx, &ec2.ModifyImageAttributeInput{ImageId: &plain, LaunchPermission: &types.LaunchPermissionModifications{
		Add: []types.LaunchPermission{{UserId: aws.String("210987654321")}}}})
	wantCode(t, err, "InvalidParameter")

	// A key that does not serve shows only later.
	b.kms("eu-west-1", "DisableKey", object{"KeyId": theirs})
	for name, k := range map[string]string{"disabled": "alias/theirs", "foreign": key, "missing": "alias/none"} {
		m, s := look("eu-west-1", copied(name, k))
		if m.State != "failed" || s.State != "error" || *s.StateMessage == "" || !strings.Contains(*m.StateReason.Message, *s.StateMessage) {
			t.Errorf("%s: %+v %+v", name, m, s)
		}
	}
	b.kms("us-east-1", "DisableKey", object{"KeyId": key})
	run = must1[*ec2.RunInstancesOutput](t)(b.RunInstances(ctx, &ec2.RunInstancesInput{ImageId: &made, InstanceType: "t2.micro", MinCount: aws.Int32(1), MaxCount: aws.Int32(1)}))
	if run.Instances[0].State.Name != "pending" {
		t.Errorf("the launch answers %s", run.Instances[0].State.Name)
	}
	if i := b.until(*run.Instances[0].InstanceId, "terminated"); *i.StateReason.Code != "Client.InvalidKMSKey.InvalidState" {
		t.Errorf("%+v", i.StateReason)
	}
}

// A seed names keys by id, alias or ARN; other words of it are refused.
func TestSeedKeys(t *testing.T) {
	const id = "1234abcd-12ab-34cd-56ef-1234567890ab"
	b := newBench(t, func(o *Options) {
		text := `{"regions": ["us-east-1", "eu-west-1"], "kms_keys": ["alias/app", "` + id + `", "arn:aws:kms:eu-west-1:123456789012:key/mrk-0123456789abcdef0123456789abcdef"]}`
		if err := os.WriteFile(filepath.Join(o.Dir, "seed.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	})
	for _, x := range []struct{ region, key, code string }{
		{"us-east-1", "alias/app", ""}, {"eu-west-1", "alias/app", ""}, {"us-east-1", id, ""}, {"us-west-2", id, "NotFoundException"},
		{"eu-west-1", "mrk-0123456789abcdef0123456789abcdef", ""}, {"us-east-1", "mrk-0123456789abcdef0123456789abcdef", "NotFoundException"},
	} {
		if _, code := b.kms(x.region, "DescribeKey", object{"KeyId": x.key}); code != x.code {
			t.Errorf("%+v: %s", x, code)
		}
	}
	b.stop()
	b.start()
	if n := len(b.server.Inventory().Of("kms-key")); n != 5 {
		t.Errorf("%d keys after another start, not 5", n)
	}
	for _, name := range []string{"app", "alias/aws/ebs2", "arn:aws:kms:eu-west-1:210987654321:key/" + id, "arn:aws:kms:moon-1:123456789012:key/" + id, "arn:aws"} {
		err := b.server.update(func(t *txn) error {
			return (&call{txn: t, caller: caller{region: "us-east-1"}}).sowKey(name)
		})
		if err == nil || !strings.Contains(err.Error(), "no id, alias or ARN of a key") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
