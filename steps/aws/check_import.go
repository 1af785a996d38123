package aws

import (
	"cmp"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
)

// Check reports everything that is wrong with the options by themselves, without calling
// anybody.
func (o *ImportDisk) Check() []steps.OptionError {
	f := optionErrors{OptionErrors: o.Access.optionErrors()}
	f.given("region", o.Access.Region, wrongRegion)
	f.given("s3_bucket_name", o.Bucket, wrongBucket)
	f.given("s3_key_name", string(o.Object), wrongObject)
	f.oneOf("s3_encryption", o.Encryption, "AES256", "aws:kms")
	if o.EncryptionKey != "" && o.Encryption != "aws:kms" {
		f.Idle("s3_encryption_key", "s3_encryption is not aws:kms")
	}
	f.oneOf("format", o.Format, formats...)
	f.oneOf("architecture", o.Architecture, "x86_64", "arm64", "i386")
	f.oneOf("boot_mode", o.BootMode, "legacy-bios", "uefi")
	f.oneOf("platform", o.Platform, "linux", "windows")
	switch {
	case o.Architecture == "arm64" && o.BootMode == "legacy-bios":
		f.Add("boot_mode", "must be uefi for the architecture arm64")
	case o.BootMode == "uefi" && o.Platform == "":
		f.Add("platform", "must be set with the boot_mode uefi: linux or windows")
	}
	f.oneOf("license_type", o.LicenseType, "AWS", "BYOL")
	if o.KMSKey != "" && !o.Encrypt {
		f.Idle("ami_kms_key", "nothing is encrypted without ami_encrypt")
	}
	f.given("ami_name", o.Name, wrongName)
	f.least("ami_description", string(o.Description), wrongDescription)
	f.tags("tags", o.Tags)
	f.tooMany("tags", "the image", o.Tags)
	o.sharing().check(&f)
	f.oneOf("imds_support", o.IMDSSupport, "v2.0")
	switch {
	case !o.Encrypt:
	case o.sharing().public():
		f.Add("ami_groups", "an image with encrypted snapshots cannot be public")
	case o.sharing().shared() && isAWSKey(o.KMSKey):
		f.Add("ami_kms_key", "what is encrypted with AWS's own key cannot be shared: name a key of yours")
	}
	return f.OptionErrors
}

// Claims are the name of the image, and the object where its key is known.
func (o *ImportDisk) Claims(dag.Build) (cs []steps.Claim) {
	if o.Name != "" {
		home := cmp.Or(o.place.Region, o.Access.Region, environ(o.cloud.o.Getenv).region())
		cs = append(cs, imageClaim(o.cloud, o.Access, home, o.Name))
	}
	if o.Bucket != "" && o.Object != "" && o.Object.Known() {
		where := "s3://" + o.Bucket + "/" + string(o.Object)
		cs = append(cs, steps.Claim{Field: "s3_key_name", Key: where, What: "the object " + where})
	}
	return cs
}

var buckets = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

func wrongBucket(name string) string {
	if _, err := netip.ParseAddr(name); err == nil || !buckets.MatchString(name) || strings.Contains(name, "..") {
		return shown(name) + " is no bucket: its name has 3 to 63 small letters, digits, dots and hyphens, and is no address"
	}
	return ""
}

func wrongObject(key string) string {
	switch {
	case key == "":
		return "the key of an object cannot be empty"
	case len(key) > longestObject:
		return fmt.Sprintf("the key of an object has at most %d bytes, and this one %d", longestObject, len(key))
	case !utf8.ValidString(key) || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r == 127 }):
		return shown(key) + " has characters that are no text"
	}
	return ""
}
