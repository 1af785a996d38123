package ec2local

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// bind has a policy of some statements bind the holder of the key.
func (b *bench) bind(statements string) {
	b.t.Helper()
	path := filepath.Join(b.opts.Dir, "policy.json")
	if err := os.WriteFile(path, []byte(`{"Version": "2012-10-17", "Statement": [`+statements+`]}`), 0o600); err != nil {
		b.t.Fatal(err)
	}
	at := time.Now().Add(time.Duration(len(statements)) * time.Second) // another than before
	if err := os.Chtimes(path, at, at); err != nil {
		b.t.Fatal(err)
	}
}

func may(action, resource string, condition ...string) string {
	more := ""
	if len(condition) > 0 {
		more = `, "Condition": {"StringLike": {"` + condition[0] + `": "` + condition[1] + `"}}`
	}
	return `{"Effect": "Allow", "Action": "` + action + `", "Resource": "` + resource + `"` + more + `}`
}

// TestAuthorizeLaunch: a launch is asked about with all that it makes, uses, tags and hands over.
func TestAuthorizeLaunch(t *testing.T) {
	b := newBench(t)
	b.raw("iam", "2010-05-08", "Action", "CreateRole", "RoleName", "r", "AssumeRolePolicyDocument", "{}")
	b.raw("iam", "2010-05-08", "Action", "CreateInstanceProfile", "InstanceProfileName", "p")
	b.raw("iam", "2010-05-08", "Action", "AddRoleToInstanceProfile", "InstanceProfileName", "p", "RoleName", "r")
	key := at(b.done("kms", "CreateKey", object{}), "KeyMetadata", "Arn").(string)
	in := &ec2.RunInstancesInput{
		ImageId: b.source(xenial).ImageId, InstanceType: "t2.micro", MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
		IamInstanceProfile:  &types.IamInstanceProfileSpecification{Name: aws.String("p")},
		BlockDeviceMappings: []types.BlockDeviceMapping{{DeviceName: aws.String("/dev/sdf"), Ebs: &types.EbsBlockDevice{VolumeSize: aws.Int32(1), Encrypted: aws.Bool(true), KmsKeyId: &key}}},
		TagSpecifications:   []types.TagSpecification{{ResourceType: "instance", Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("red")}}}},
	}
	ec2ARN := "arn:aws:ec2:us-east-1:" + account + ":"
	all := []string{
		may("ec2:RunInstances", ec2ARN+"instance/*", "aws:RequestTag/team", "red"),
		may("ec2:RunInstances", ec2ARN+"network-interface/*"), may("ec2:RunInstances", ec2ARN+"security-group/*"),
		may("ec2:RunInstances", ec2ARN+"subnet/*"), may("ec2:RunInstances", ec2ARN+"volume/*"),
		may("ec2:RunInstances", "arn:aws:ec2:us-east-1::image/ami-*", "ec2:Owner", "099720109477"),
		may("ec2:CreateTags", ec2ARN+"instance/*", "ec2:CreateAction", "RunInstances"),
		may("iam:PassRole", "arn:aws:iam::"+account+":role/r", "iam:PassedToService", "ec2.amazonaws.com"),
		may("kms:*", key, "kms:ViaService", "ec2.us-east-1.amazonaws.com"),
	}
	action := regexp.MustCompile(`"Action": "([^"*]+)`)
	for i := range all {
		b.bind(strings.Join(append(append([]string{}, all[:i]...), all[i+1:]...), ", "))
		_, err := b.RunInstances(ctx, in)
		wantCode(t, err, "UnauthorizedOperation")
		if name := action.FindStringSubmatch(all[i])[1]; err != nil && !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", all[i], err)
		}
	}
	b.bind(strings.Join(all, ", "))
	out, err := b.RunInstances(ctx, in)
	wantCode(t, err, "")
	in.DryRun = aws.Bool(true)
	_, err = b.RunInstances(ctx, in)
	wantCode(t, err, "DryRunOperation")

	// What was made is known by its tags, and what looks sees everything.
	stop := &ec2.StopInstancesInput{InstanceIds: []string{*out.Instances[0].InstanceId}}
	b.bind(may("ec2:StopInstances", "*", "aws:ResourceTag/team", "blue") + `, ` + may("ec2:Describe*", "*"))
	_, err = b.StopInstances(ctx, stop)
	wantCode(t, err, "UnauthorizedOperation")
	if _, err := b.DescribeInstances(ctx, &ec2.DescribeInstancesInput{}); err != nil {
		t.Error(err)
	}
	b.bind(may("ec2:StopInstances", ec2ARN+"instance/i-*", "ec2:ResourceTag/team", "red"))
	_, err = b.StopInstances(ctx, stop)
	wantCode(t, err, "")
	_, err = b.DescribeInstances(ctx, &ec2.DescribeInstancesInput{})
	wantCode(t, err, "UnauthorizedOperation")
}

// TestAuthorizeOthers: what other services are asked about.
func TestAuthorizeOthers(t *testing.T) {
	b := newBench(t)
	b.done("ssm", "PutParameter", object{"Name": "/a/b", "Value": "v", "Type": "String"})
	b.done("secretsmanager", "CreateSecret", object{"Name": "s", "SecretString": "v"})
	if r, body := b.s3("PUT", "/bucket", "", ""); r.StatusCode != http.StatusOK {
		t.Fatal(body)
	}
	b.bind(may("ssm:GetParameter", "arn:aws:ssm:us-east-1:*:parameter/a/*") + `, ` + may("s3:PutObject", "arn:aws:s3:::bucket/a/*") + `, ` +
		may("secretsmanager:GetSecretValue", "arn:aws:secretsmanager:*:*:secret:s-??????") + `, ` + may("iam:CreateRole", "arn:aws:iam::*:role/imgflow-*"))
	b.done("ssm", "GetParameter", object{"Name": "/a/b"})
	b.refused("ssm", "GetParameter", object{"Name": "/x"}, "AccessDeniedException", "is not authorized to perform: ssm:GetParameter on resource: arn:aws:ssm:us-east-1:"+account+":parameter/x")
	b.done("secretsmanager", "GetSecretValue", object{"SecretId": "s"})
	b.refused("secretsmanager", "DeleteSecret", object{"SecretId": "s"}, "AccessDeniedException", "secretsmanager:DeleteSecret")
	for target, want := range map[string]int{"/bucket/a/1": http.StatusOK, "/bucket/b": http.StatusForbidden} {
		if r, body := b.s3("PUT", target, "text", "text"); r.StatusCode != want {
			t.Errorf("%s: %d %s", target, r.StatusCode, body)
		}
	}
	for name, want := range map[string]int{"imgflow-1": http.StatusOK, "other": http.StatusForbidden} {
		if status, body := b.raw("iam", "2010-05-08", "Action", "CreateRole", "RoleName", name, "AssumeRolePolicyDocument", "{}"); status != want {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	if status, body := b.raw("iam", "2010-05-08", "Action", "CreateRole", "RoleName", "imgflow-2", "AssumeRolePolicyDocument", "{}", "Tags.member.1.Key", "a", "Tags.member.1.Value", "b"); status != http.StatusForbidden || !strings.Contains(body, "iam:TagRole") {
		t.Errorf("a role with tags: %d %s", status, body)
	}
	if _, err := sts.NewFromConfig(b.config("us-east-1")).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}); err != nil {
		t.Error(err)
	}
}

// TestDecodeAuthorization: what STS says of a refusal. Nobody can have others decoded.
func TestDecodeAuthorization(t *testing.T) {
	b := newBench(t)
	b.bind(may("sts:DecodeAuthorizationMessage", "*") + `, {"Effect": "Deny", "Action": "ec2:DescribeVpcs", "Resource": "*"}`)
	_, err := b.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{})
	wantCode(t, err, "UnauthorizedOperation")
	_, message, _ := strings.Cut(err.Error(), "failure message: ")
	decode := func(m string) (string, error) {
		out, err := sts.NewFromConfig(b.config("us-east-1")).DecodeAuthorizationMessage(ctx, &sts.DecodeAuthorizationMessageInput{EncodedMessage: &m})
		if err != nil {
			return "", err
		}
		return *out.DecodedMessage, nil
	}
	text, err := decode(message)
	var f failure
	if err != nil || json.Unmarshal([]byte(text), &f) != nil || !f.ExplicitDeny || f.Context.Action != "ec2:DescribeVpcs" || f.Context.Resource != "*" {
		t.Errorf("%s %v", text, err)
	}
	_, err = decode("A" + message[1:])
	wantCode(t, err, "InvalidAuthorizationMessageException")
}

// TestAuthorizeRole: a role that is there has its own policies, and not those of the key.
func TestAuthorizeRole(t *testing.T) {
	b := newBench(t)
	b.raw("iam", "2010-05-08", "Action", "CreateRole", "RoleName", "r", "AssumeRolePolicyDocument", "{}")
	taken := must1[*sts.AssumeRoleOutput](t)(sts.NewFromConfig(b.config("us-east-1")).AssumeRole(ctx, &sts.AssumeRoleInput{
		RoleArn: aws.String("arn:aws:iam::" + account + ":role/r"), RoleSessionName: aws.String("job")})).Credentials
	look := func() string {
		_, err := b.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{}, func(o *ec2.Options) {
			o.Credentials = credentials.NewStaticCredentialsProvider(*taken.AccessKeyId, *taken.SecretAccessKey, *taken.SessionToken)
		})
		return code(err)
	}
	b.bind(may("ec2:*", "*"))
	if got := look(); got != "UnauthorizedOperation" {
		t.Errorf("without a policy: %q", got)
	}
	b.bind(may("iam:PutRolePolicy", "*"))
	b.raw("iam", "2010-05-08", "Action", "PutRolePolicy", "RoleName", "r", "PolicyName", "p", "PolicyDocument", `{"Version": "2012-10-17", "Statement": `+may("ec2:DescribeVpcs", "*")+`}`)
	if got := look(); got != "" {
		t.Errorf("with its policy: %q", got)
	}
}

// TestAuthorizeByAlias: a key is told by what it is called, for KMS and for whoever encrypts with it.
func TestAuthorizeByAlias(t *testing.T) {
	b := newBench(t)
	keys := map[string]any{}
	for _, alias := range []string{"alias/mine", "alias/other"} {
		keys[alias] = at(b.done("kms", "CreateKey", object{}), "KeyMetadata", "KeyId")
		b.done("kms", "CreateAlias", object{"AliasName": alias, "TargetKeyId": keys[alias]})
	}
	b.bind(may("ec2:*", "*") + `, {"Effect": "Allow", "Action": "kms:*", "Resource": "arn:aws:kms:us-east-1:*:key/*", "Condition": {"ForAnyValue:StringEquals": {"kms:ResourceAliases": ["alias/mine"]}}}`)
	encrypt := func(key string) error {
		_, err := b.CreateVolume(ctx, &ec2.CreateVolumeInput{AvailabilityZone: aws.String("us-east-1a"), Size: aws.Int32(1), Encrypted: aws.Bool(true), KmsKeyId: &key})
		return err
	}
	b.done("kms", "DescribeKey", object{"KeyId": keys["alias/mine"]})
	b.refused("kms", "DescribeKey", object{"KeyId": "alias/other"}, "AccessDeniedException", "kms:DescribeKey")
	wantCode(t, encrypt("alias/mine"), "")
	wantCode(t, encrypt("alias/other"), "UnauthorizedOperation")
}
