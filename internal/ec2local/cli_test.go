package ec2local

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestCLI drives the endpoint with Amazon's own command line, up to a shell on
// the instance.
func TestCLI(t *testing.T) {
	path := tool(t, "/usr/bin/aws", "aws")
	b := newBench(t, realGuests(t))
	home := t.TempDir()
	aws := b.aws(path, home)
	key := sshKey(t)
	var who struct{ Account string }
	if err := json.Unmarshal(aws("sts", "get-caller-identity"), &who); err != nil || who.Account != account {
		t.Errorf("%+v, %v", who, err)
	}
	var images struct {
		Images []struct{ ImageId, Name string }
	}
	if err := json.Unmarshal(aws("ec2", "describe-images", "--owners", canonical, "--filters", "Name=name,Values="+xenial), &images); err != nil || len(images.Images) != 3 {
		t.Fatalf("%+v, %v", images, err)
	}
	aws("ec2", "import-key-pair", "--key-name", "cli", "--public-key-material", "fileb://"+key+".pub")
	var run struct {
		Instances []struct{ InstanceId string }
	}
	if err := json.Unmarshal(aws("ec2", "run-instances", "--image-id", images.Images[0].ImageId, "--instance-type", "t2.micro", "--key-name", "cli",
		"--user-data", "#!/bin/sh\necho from user data >/etc/marked\n",
		"--tag-specifications", "ResourceType=instance,Tags=[{Key=Name,Value=cli}]"), &run); err != nil {
		t.Fatal(err)
	}
	id := run.Instances[0].InstanceId
	b.until(id, "running") // the command waits 15 seconds between two looks
	aws("ec2", "wait", "instance-running", "--instance-ids", id)
	eventually(t, "user data ran", func() bool {
		out, err := sshTo(t, b, id, key, "ubuntu", "cat /etc/marked")
		return err == nil && out == "from user data\n"
	})
	if out := aws("ec2", "get-console-output", "--instance-id", id); !bytes.Contains(out, []byte("Output")) {
		t.Errorf("console %s", out)
	}
	aws("ec2", "terminate-instances", "--instance-ids", id)
	b.until(id, "terminated")
	aws("ec2", "wait", "instance-terminated", "--instance-ids", id)
	cmd := exec.Command(path, "--endpoint-url", b.http.URL, "ec2", "run-instances", "--image-id", "ami-0123456789abcdef0")
	cmd.Env = clientEnv(home)
	if out, err := cmd.CombinedOutput(); err == nil || !bytes.Contains(out, []byte("(InvalidAMIID.NotFound)")) {
		t.Errorf("%v: %s", err, out)
	}
}

// aws runs Amazon's command line against the endpoint.
func (b *bench) aws(path, home string) func(args ...string) []byte {
	return func(args ...string) []byte {
		b.t.Helper()
		cmd := exec.Command(path, append([]string{"--endpoint-url", b.http.URL, "--output", "json"}, args...)...)
		cmd.Env = clientEnv(home)
		cmd.WaitDelay = time.Second
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			b.t.Fatalf("aws %v: %v\n%s", args, err, stderr.Bytes())
		}
		return out
	}
}

// TestCLISecrets seeds parameters and secrets with Amazon's command line, and reads
// them again.
func TestCLISecrets(t *testing.T) {
	path := tool(t, "/usr/bin/aws", "aws")
	b := newBench(t)
	home := t.TempDir()
	aws := b.aws(path, home)
	want := func(text string, args ...string) {
		t.Helper()
		if out := string(aws(append(args, "--output", "text")...)); strings.TrimSpace(out) != text {
			t.Errorf("aws %v: %q, want %q", args, out, text)
		}
	}
	aws("ssm", "put-parameter", "--name", "/app/password", "--type", "SecureString", "--value", "hunter2", "--tags", "Key=a,Value=b")
	want("hunter2", "ssm", "get-parameter", "--name", "/app/password", "--with-decryption", "--query", "Parameter.Value")
	want("/app/password", "ssm", "get-parameters-by-path", "--path", "/app", "--query", "Parameters[].Name")
	want("True", "ssm", "get-parameter", "--name", "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64", "--query", "starts_with(Parameter.Value, 'ami-')")
	want("5", "service-quotas", "get-aws-default-service-quota", "--service-code", "ec2", "--quota-code", "L-1216C47A", "--query", "Quota.Value")
	aws("secretsmanager", "create-secret", "--name", "app/db", "--secret-string", `{"user":"u"}`)
	want(`{"user":"u"}`, "secretsmanager", "get-secret-value", "--secret-id", "app/db", "--query", "SecretString")
	aws("secretsmanager", "put-secret-value", "--secret-id", "app/db", "--secret-binary", "AAH/")
	want("AAH/", "secretsmanager", "get-secret-value", "--secret-id", "app/db", "--query", "SecretBinary")
	want("app/db", "secretsmanager", "list-secrets", "--query", "SecretList[].Name")
	for _, x := range []struct{ code, args string }{
		{"(ParameterNotFound)", "ssm get-parameter --name /none"},
		{"(NoSuchResourceException)", "service-quotas get-service-quota --service-code ec2 --quota-code L-1216C47A"},
		{"(ResourceNotFoundException)", "secretsmanager get-secret-value --secret-id none"},
	} {
		cmd := exec.Command(path, append([]string{"--endpoint-url", b.http.URL}, strings.Fields(x.args)...)...)
		cmd.Env = clientEnv(home)
		if out, err := cmd.CombinedOutput(); err == nil || !bytes.Contains(out, []byte(x.code)) {
			t.Errorf("%s: %v: %s", x.args, err, out)
		}
	}
}
