package ec2local

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// TestPacker builds with Packer, a client that is older than this endpoint and
// knows nothing of it.
func TestPacker(t *testing.T) {
	packer := tool(t, "packer")
	b := newBench(t, realGuests(t))
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("welcome.txt", "WELCOME\n")
	write("example.sh", "#!/bin/bash\necho hello from $(whoami)\nsudo sh -c 'echo provisioned >/etc/provisioned'\n")
	template, err := json.Marshal(map[string]any{
		"builders": []any{map[string]any{
			"type": "amazon-ebs", "access_key": "AKIDEXAMPLE", "secret_key": "not-a-secret", "region": "us-east-1",
			"custom_endpoint_ec2": b.http.URL, "skip_credential_validation": true, "skip_metadata_api_check": true, "skip_region_validation": true,
			"ami_name": "by-packer-{{timestamp}}", "ami_description": "built", "instance_type": "t2.micro", "ssh_username": "ubuntu",
			"source_ami_filter": map[string]any{
				"filters": map[string]any{"virtualization-type": "hvm", "name": xenial, "root-device-type": "ebs"},
				"owners":  []string{"099720109477"}, "most_recent": true,
			},
			"tags": map[string]string{"made": "by packer"}, "run_tags": map[string]string{"for": "packer"},
			"ami_users": []string{"111122223333"},
		}},
		"provisioners": []any{
			map[string]any{"type": "file", "source": "./welcome.txt", "destination": "/home/ubuntu/"},
			map[string]any{"type": "shell", "inline": []string{"ls -al /home/ubuntu", "cat /home/ubuntu/welcome.txt"}},
			map[string]any{"type": "shell", "script": "./example.sh"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	write("template.json", string(template))
	cmd := exec.Command(packer, "build", "-color=false", "template.json")
	cmd.Dir = dir
	cmd.Env = append(clientEnv(dir), "PACKER_CONFIG_DIR="+dir, "CHECKPOINT_DISABLE=1", "AWS_POLL_DELAY_SECONDS=1", "TMPDIR="+dir)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"WELCOME", "hello from ubuntu", "AMIs were created"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("packer did not print %q", want)
		}
	}
	made, err := b.DescribeImages(ctx, &ec2.DescribeImagesInput{Owners: []string{"self"}})
	if err != nil || len(made.Images) != 1 {
		t.Fatalf("own images: %+v, %v", made, err)
	}
	m := made.Images[0]
	if !strings.HasPrefix(*m.Name, "by-packer-") || m.State != "available" || *m.Tags[0].Value != "by packer" || aws.ToString(m.Description) != "built" {
		t.Errorf("image %+v", m)
	}
	perm, err := b.DescribeImageAttribute(ctx, &ec2.DescribeImageAttributeInput{ImageId: m.ImageId, Attribute: types.ImageAttributeNameLaunchPermission})
	if err != nil || len(perm.LaunchPermissions) != 1 || *perm.LaunchPermissions[0].UserId != "111122223333" {
		t.Errorf("permissions %+v, %v", perm, err)
	}
	kinds := map[string]int{}
	for _, i := range b.server.Inventory().Made() {
		kinds[i.Kind]++
	}
	if len(kinds) != 2 || kinds["image"] != 1 || kinds["snapshot"] != 1 {
		t.Errorf("left are %v, not one image and its snapshot", kinds)
	}
	key := sshKey(t)
	pub, _ := os.ReadFile(key + ".pub")
	if _, err := b.ImportKeyPair(ctx, &ec2.ImportKeyPairInput{KeyName: aws.String("look"), PublicKeyMaterial: pub}); err != nil {
		t.Fatal(err)
	}
	id := b.run(func(in *ec2.RunInstancesInput) { in.ImageId, in.KeyName = m.ImageId, aws.String("look") })
	if text, err := sshTo(t, b, id, key, "ubuntu", "cat welcome.txt /etc/provisioned"); err != nil || text != "WELCOME\nprovisioned\n" {
		t.Errorf("an instance of the image holds %q, %v", text, err)
	}
}
