package aws

import (
	"slices"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
)

// What the template alone shows is told by validate.
func TestCheckImport(t *testing.T) {
	good := func() *ImportDisk { return &ImportDisk{Bucket: "disks", cloud: NewCloud(CloudOptions{})} }
	if f := good().Check(); len(f) > 0 {
		t.Errorf("%v", f)
	}
	for want, change := range map[string]func(o *ImportDisk){
		`s3_bucket_name: "Disks" is no bucket`:                                        func(o *ImportDisk) { o.Bucket = "Disks" },
		`s3_bucket_name: "192.0.2.1" is no bucket`:                                    func(o *ImportDisk) { o.Bucket = "192.0.2.1" },
		`s3_key_name: the key of an object has at most 1024 bytes, and this one 1025`: func(o *ImportDisk) { o.Object = dag.Text(strings.Repeat("x", 1025)) },
		`s3_key_name: "a\n" has characters that are no text`:                          func(o *ImportDisk) { o.Object = "a\n" },
		`s3_encryption: "aes" is not known; use AES256, aws:kms`:                      func(o *ImportDisk) { o.Encryption = "aes" },
		`s3_encryption_key: s3_encryption is not aws:kms`:                             func(o *ImportDisk) { o.Encryption, o.EncryptionKey = "AES256", "k" },
		`format: "iso" is not known; use ova, raw, vmdk, vhd, vhdx`:                   func(o *ImportDisk) { o.Format = "iso" },
		`architecture: "mips" is not known; use x86_64, arm64, i386`:                  func(o *ImportDisk) { o.Architecture = "mips" },
		`boot_mode: "uefi-preferred" is not known; use legacy-bios, uefi`:             func(o *ImportDisk) { o.BootMode = "uefi-preferred" },
		`boot_mode: must be uefi for the architecture arm64`:                          func(o *ImportDisk) { o.Architecture, o.BootMode = "arm64", "legacy-bios" },
		`platform: must be set with the boot_mode uefi: linux or windows`:             func(o *ImportDisk) { o.BootMode = "uefi" },
		`license_type: "MINE" is not known; use AWS, BYOL`:                            func(o *ImportDisk) { o.LicenseType = "MINE" },
		`ami_kms_key: nothing is encrypted without ami_encrypt`:                       func(o *ImportDisk) { o.KMSKey = "k" },
		`ami_kms_key: what is encrypted with AWS's own key cannot be shared`:          func(o *ImportDisk) { o.Encrypt, o.KMSKey, o.Users = true, awsKey, []string{"123456789012"} },
		`ami_groups: an image with encrypted snapshots cannot be public`:              func(o *ImportDisk) { o.Encrypt, o.Groups = true, []string{"all"} },
		`ami_name: must have 3 to 128 characters, and has 1`:                          func(o *ImportDisk) { o.Name = "x" },
		`ami_description: EC2 takes ASCII characters only`:                            func(o *ImportDisk) { o.Description = "é" },
		`tags.aws:x: keys that begin with aws: are reserved`:                          func(o *ImportDisk) { o.Tags = map[dag.Text]dag.Text{"aws:x": "y"} },
		`tags: the image would have 51 tags`:                                          func(o *ImportDisk) { o.Tags = many[dag.Text]("t", 51) },
		`ami_users[0]: "1" is no account`:                                             func(o *ImportDisk) { o.Users = []string{"1"} },
		`ami_ou_arns[0]: "ou" is not of the form`:                                     func(o *ImportDisk) { o.OUARNs = []string{"ou"} },
		`imds_support: "v1" is not known; use v2.0`:                                   func(o *ImportDisk) { o.IMDSSupport = "v1" },
		`region: "moon" is no region`:                                                 func(o *ImportDisk) { o.Access.Region = "moon" },
		`access_key: needs secret_key beside it`:                                      func(o *ImportDisk) { o.AccessKey = "AKIDEXAMPLE" },
	} {
		o := good()
		change(o)
		f := o.Check()
		if len(f) != 1 || !strings.HasPrefix(f[0].Error(), want) {
			t.Errorf("%v, want %s", f, want)
		} else if f[0].Harmless != slices.Contains([]string{"s3_encryption_key", "ami_kms_key"}, f[0].Field) && !strings.Contains(want, "shared") {
			t.Errorf("%s: harmless is %v", want, f[0].Harmless)
		}
	}
	o := good()
	o.Name, o.Object, o.Access.Region = "mine", "k", home
	e := &EBS{cloud: o.cloud}
	e.AMIName, e.Access.Region = "mine", home
	if cs := o.Claims(dag.Build{}); len(cs) != 2 || cs[0] != e.Claims()[0] || cs[1].Key != "s3://disks/k" {
		t.Errorf("%+v", cs)
	}
	if o.Object = parsed("{{build `ID`}}"); len(o.Claims(dag.Build{})) != 1 {
		t.Error("a key that is not known yet is claimed")
	}
}
