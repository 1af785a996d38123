package ec2local

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"testing"
	"time"
)

// TestCLI drives the endpoint with Amazon's own command line, up to a shell on
// the instance.
func TestCLI(t *testing.T) {
	path := tool(t, "/usr/bin/aws", "aws")
	b := newBench(t, realGuests(t))
	home := t.TempDir()
	aws := func(args ...string) []byte {
		t.Helper()
		cmd := exec.Command(path, append([]string{"--endpoint-url", b.http.URL, "--output", "json"}, args...)...)
		cmd.Env = clientEnv(home)
		cmd.WaitDelay = time.Second
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("aws %v: %v\n%s", args, err, stderr.Bytes())
		}
		return out
	}
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
