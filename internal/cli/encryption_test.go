package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/internal/app"
)

const encryptedInHCL = `source "amazon-ebs" "x" {
  region       = "us-east-1"
  communicator = "none"
  ami_name     = "probe"
  ami_regions  = ["eu-west-1"]
  encrypt_boot = true
  kms_key_id = %q
  region_kms_key_ids = { "eu-west-1" = %q }
  %s
  instance_type = "t3.micro"
  source_ami_filter {
    filters     = { name = "ubuntu/images/*ubuntu-jammy-22.04-amd64-server-*" }
    owners      = ["099720109477"]
    most_recent = true
  }
}
build {
  sources = ["source.amazon-ebs.x"]
}
`

// TestEncryptionInHCL: for each key of the build's region and of its copy's, and each way to share, a
// template in HCL2 is refused at the line that EC2 would refuse in the end, or built with these keys.
func TestEncryptionInHCL(t *testing.T) {
	lines := map[string]int{} // of options, from 1
	for i, l := range strings.Split(encryptedInHCL, "\n") {
		name, _, _ := strings.Cut(strings.TrimSpace(l), " ")
		lines[name] = i + 1
	}
	own := func(key string) bool { return key != "alias/mine" }
	keys := []string{"", "alias/aws/ebs", "alias/mine"}
	shares := map[string]string{ // what is refused whatever the keys are, by option
		``:                                  "",
		`ami_users = ["210987654321"]`:      "",
		`snapshot_users = ["210987654321"]`: "",
		`ami_org_arns = ["arn:aws:organizations::123456789012:organization/o-exampleorgid"]`:        "",
		`ami_ou_arns = ["arn:aws:organizations::123456789012:ou/o-exampleorgid/ou-ab12-exampleou"]`: "",
		`ami_groups = ["all"]`:      "public",
		`snapshot_groups = ["all"]`: "public",
	}
	refused, built := 0, 0
	for share, public := range shares {
		for _, here := range keys {
			for _, there := range keys {
				var at []int // lines of faults
				switch {
				case public != "":
					at = []int{lines["%s"]}
				case share == "":
				default:
					if here == "" {
						at = append(at, lines["encrypt_boot"])
					} else if own(here) {
						at = append(at, lines["kms_key_id"])
					}
					if own(there) {
						at = append(at, lines["region_kms_key_ids"])
					}
				}
				name := fmt.Sprintf("%s here %q there %q", share, here, there)
				text := fmt.Sprintf(encryptedInHCL, here, there, share)
				if len(at) > 0 {
					refused++
				} else {
					built++
				}
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					if len(at) > 0 {
						refusedInHCL(t, text, at)
					} else {
						builtInHCL(t, text, here, there, share)
					}
				})
			}
		}
	}
	t.Logf("%d are refused, and %d are built", refused, built)
}

// inHCL is a session of a template in HCL2, at an endpoint if there is one.
func inHCL(t *testing.T, text string, c *optionCloud) *app.Session {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "t.pkr.hcl"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	vars := []string{"HOME=" + dir, "IMGFLOW_HOME=home", "AWS_EC2_METADATA_DISABLED=true", "AWS_ACCESS_KEY_ID=AKIDUSUAL", "AWS_SECRET_ACCESS_KEY=secret-of-usual"}
	if c != nil {
		vars = append(vars, "AWS_ENDPOINT_URL="+c.URL)
	}
	a := &app.App{World: newWorld, Env: app.NewEnv(vars, dir)}
	home, err := a.OpenHome()
	if err != nil {
		t.Fatal(err)
	}
	s := a.New(home, app.Request{Template: "t.pkr.hcl"})
	t.Cleanup(func() { s.Close() })
	return s
}

func refusedInHCL(t *testing.T, text string, lines []int) {
	err := inHCL(t, text, nil).Load(t.Context(), true)
	told := fmt.Sprint(err)
	for _, line := range lines {
		if !strings.Contains(told, fmt.Sprintf("t.pkr.hcl:%d:", line)) {
			t.Errorf("it is not refused at line %d: %s", line, told)
		}
	}
	if n := strings.Count(told, "t.pkr.hcl:"); n != len(lines) {
		t.Errorf("there are %d faults, not at the lines %v alone: %s", n, lines, told)
	}
}

func builtInHCL(t *testing.T, text, here, there, share string) {
	c := newOptionCloud(t, optionGroup{})
	s := inHCL(t, text, c)
	if err := s.Load(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	optionGroup{}.run(t, s, func() bool { return false })
	launch, copied := "RunInstances BlockDeviceMapping.1.Ebs.Encrypted=true; @region=us-east-1", "CopyImage Encrypted=true; @region=eu-west-1"
	if here != "" {
		launch += "; BlockDeviceMapping.1.Ebs.KmsKeyId=" + here
	}
	if there != "" {
		copied += "; KmsKeyId=" + there
	}
	want := []string{launch, copied}
	for option, calls := range map[string]string{"ami_users": "ModifyImageAttribute", "ami_org_arns": "ModifyImageAttribute", "ami_ou_arns": "ModifyImageAttribute", "snapshot_users": "ModifySnapshotAttribute"} {
		if strings.HasPrefix(share, option+" ") {
			want = append(want, calls+" @region=us-east-1", calls+" @region=eu-west-1")
		}
	}
	for _, w := range want {
		if !c.heard(w) {
			action, _, _ := strings.Cut(w, " ")
			t.Errorf("no call %s among\n%s", w, c.all(action))
		}
	}
	if here == "" && slices.ContainsFunc(c.calls, func(h heardCall) bool {
		return h.action == "RunInstances" && h.params["BlockDeviceMapping.1.Ebs.KmsKeyId"] != ""
	}) {
		t.Error("the launch names a key, and the template does not")
	}
}
