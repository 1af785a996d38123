package cli

import (
	"slices"
	"testing"

	"github.com/imgflow/imgflow/template"
	"github.com/imgflow/imgflow/template/convert"
	"github.com/imgflow/imgflow/template/hcl"
)

// Blocks accounts come to the same steps in both languages, and convert writes them as blocks.
func TestAccountsInBothLanguages(t *testing.T) {
	const asJSON = `{"builders": [{"type": "amazon-ebs", "name": "web", "region": "us-east-1", "source_ami": "ami-0123456789abcdef0", "instance_type": "t3.micro",
		"communicator": "none", "ami_name": "web", "ami_regions": ["eu-west-1"], "accounts": [
		{"role_arn": "arn:aws:iam::210987654321:role/images", "external_id": "x", "kms_key_id": "alias/images", "region_kms_key_ids": {"eu-west-1": "alias/other"},
			"tags": {"stage": "{{ .SourceAMIName }}"}, "deprecate_at": "2032-01-01T00:00:00Z", "publish": [{"ssm_parameter": "/a"}, {"launch_template": "web", "regions": ["eu-west-1"]}]},
		{"role_arn": "arn:aws:iam::333333333333:role/images", "regions": ["eu-west-1"]}]}]}`
	const asHCL = `
source "amazon-ebs" "web" {
  region        = "us-east-1"
  source_ami    = "ami-0123456789abcdef0"
  instance_type = "t3.micro"
  communicator  = "none"
  ami_name      = "web"
  ami_regions   = ["eu-west-1"]
  accounts {
    role_arn           = "arn:aws:iam::210987654321:role/images"
    external_id        = "x"
    kms_key_id         = "alias/images"
    region_kms_key_ids = { "eu-west-1" = "alias/other" }
    tags               = { stage = "{{ .SourceAMIName }}" }
    deprecate_at       = "2032-01-01T00:00:00Z"
    publish {
      ssm_parameter = "/a"
    }
    publish {
      launch_template = "web"
      regions         = ["eu-west-1"]
    }
  }
  accounts {
    role_arn = "arn:aws:iam::333333333333:role/images"
    regions  = ["eu-west-1"]
  }
}
build {
  source "amazon-ebs.web" { name = "web" }
}
`
	parsed, errs := template.Parse("t.json", []byte(asJSON))
	written, errs2 := convert.HCL("t.json", parsed)
	if len(errs)+len(errs2) > 0 {
		t.Fatal(errs, errs2)
	}
	want, errs := keysOf(t.TempDir(), parsed)
	if len(errs) > 0 || len(want) < 30 {
		t.Fatalf("%v, %d steps", errs, len(want))
	}
	for _, text := range []string{asHCL, string(written)} {
		inHCL, errs := hcl.Parse([]template.VarFile{{Name: "t.pkr.hcl", Src: []byte(text)}})
		if len(errs) > 0 {
			t.Fatal(errs, text)
		}
		if got, errs := keysOf(t.TempDir(), inHCL); len(errs) > 0 || !slices.Equal(got, want) {
			t.Errorf("%v\nthe keys differ: %s\n%s", errs, differ(got, want), text)
		}
	}
}
