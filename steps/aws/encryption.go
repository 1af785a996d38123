package aws

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// EncryptionOptions are the options that say how the image and its copies are encrypted.
type EncryptionOptions struct {
	// Encrypts the image: its volumes are encrypted from the launch on. `false` refuses a source image that is
	// encrypted, since that cannot be undone. Default: as the source image has it.
	EncryptBoot *bool `json:"encrypt_boot,omitempty"`
	// The KMS key of the image in the region of the build; it takes `encrypt_boot`. Default: the account's own.
	KMSKeyID string `json:"kms_key_id,omitempty"`
	// The KMS key of the image's copy, by region: if there is one, each of `ami_regions` has one, and empty text is the
	// account's own. It takes `encrypt_boot`. Default: the account's own.
	RegionKMSKeyIDs map[string]string `json:"region_kms_key_ids,omitempty"`
}

// awsKey is the key that AWS makes and manages for an account.
const awsKey = "alias/aws/ebs"

// isAWSKey tells it by its alias, or the ARN of that; by another name only KMS knows it.
func isAWSKey(key string) bool { return key == awsKey || strings.HasSuffix(key, ":"+awsKey) }

// encrypts reports whether everything that is made is encrypted.
func (o EncryptionOptions) encrypts() bool { return o.EncryptBoot != nil && *o.EncryptBoot }

// keyOf is the key of the image in a region, or "" for the account's own.
func (o EncryptionOptions) keyOf(region, home string) string {
	if region == home {
		return cmp.Or(o.KMSKeyID, o.RegionKMSKeyIDs[region])
	}
	return o.RegionKMSKeyIDs[region]
}

// home is the region of the build as far as it is known without a file of AWS's.
func (b *EBS) home() string {
	if b.place.Region != "" || b.Access.Region != "" || b.cloud == nil {
		return cmp.Or(b.place.Region, b.Access.Region)
	}
	return environ(b.cloud.o.Getenv).region()
}

// checkEncryption looks at keys beside regions and at both beside those with whom the image
// is shared.
func (b *EBS) checkEncryption(f *optionErrors) {
	home := b.home()
	f.key("kms_key_id", b.KMSKeyID, home)
	for _, r := range slices.Sorted(maps.Keys(b.RegionKMSKeyIDs)) {
		at, key := "region_kms_key_ids."+r, b.RegionKMSKeyIDs[r]
		f.key(at, key, r)
		switch {
		case r == home && key != "" && b.KMSKeyID != "" && key != b.KMSKeyID:
			f.Add(at, "it is the region of the build, whose key kms_key_id says")
		case r != home && home != "" && !slices.Contains(b.AMIRegions, r) && !slices.ContainsFunc(b.AMIRegions, unknown):
			f.Add(at, "%s is not in ami_regions, so no copy has this key", r)
		}
	}
	keyed := slices.ContainsFunc(slices.Collect(maps.Values(b.RegionKMSKeyIDs)), func(key string) bool { return key != "" })
	if !b.encrypts() {
		if b.KMSKeyID != "" {
			f.Add("kms_key_id", "encrypt_boot must be true: a key encrypts nothing by itself")
		}
		if keyed {
			f.Add("region_kms_key_ids", "encrypt_boot must be true: a key encrypts nothing by itself")
		}
		b.checkMappingsShared(f)
		return
	}
	for _, r := range b.AMIRegions {
		if _, named := b.RegionKMSKeyIDs[r]; len(b.RegionKMSKeyIDs) > 0 && !named && r != home && !unknown(r) {
			f.Add("region_kms_key_ids", "it lacks %s, which is in ami_regions: name its key, or the empty text for the account's own", r)
		}
	}
	for i, d := range b.LaunchMappings {
		if d.volume() && d.Encrypted != nil && !*d.Encrypted {
			f.Idle(fmt.Sprintf("%s[%d].encrypted", launchMappings, i), "encrypt_boot encrypts every volume")
		}
	}
	b.checkEncryptedShared(f, home)
}

// key is a rule for a key that encrypts in a region, "" if that is not known.
func (f *optionErrors) key(field, key, region string) {
	f.given(field, key, func(key string) string {
		if why := wrongKMSKey(key); why != "" {
			return why
		}
		if parts := strings.Split(key, ":"); len(parts) > 3 && region != "" && !unknown(region) && parts[3] != region {
			return fmt.Sprintf("it is a key of %s, and has to be one of %s", parts[3], region)
		}
		return ""
	})
}

// shared reports whether anybody else may use the image or its snapshots.
func (s Sharing) shared() bool { return len(s.launchers())+len(s.readers()) > 0 }

// checkEncryptedShared refuses to share an image of encrypt_boot with whom EC2 will not.
func (b *EBS) checkEncryptedShared(f *optionErrors, home string) {
	const advice = "what is encrypted with the account's own key cannot be shared: name a key of yours"
	switch {
	case b.Sharing.public():
		f.Add("ami_groups", "an image with encrypted volumes cannot be public, and encrypt_boot encrypts it")
		return
	case slices.Contains(b.SnapshotGroups, "all"):
		f.Add("snapshot_groups", "encrypted snapshots cannot be public, and encrypt_boot encrypts them")
		return
	case !b.Sharing.shared() && len(b.Accounts) == 0:
		return
	}
	own := func(region string) bool {
		key := b.keyOf(region, home)
		return b.sharedIn(region) && (key == "" || !unknown(key) && isAWSKey(key))
	}
	switch {
	case b.SkipSaveBuildRegion || !own(home):
	case b.KMSKeyID != "":
		f.Add("kms_key_id", "%s", advice)
	default:
		f.Add("encrypt_boot", "%s by kms_key_id", advice)
	}
	for _, r := range b.AMIRegions {
		if r == home || unknown(r) || !own(r) {
			continue
		}
		if _, named := b.RegionKMSKeyIDs[r]; named {
			f.Add("region_kms_key_ids."+r, "%s", advice)
		} else if len(b.RegionKMSKeyIDs) == 0 { // else it was told that the region lacks a key
			f.Add("encrypt_boot", "%s in %s by region_kms_key_ids", advice, r)
		}
	}
	b.checkMappingKeys(f)
}

// checkMappingKeys refuses AWS's own key for a volume of what is shared.
func (b *EBS) checkMappingKeys(f *optionErrors) (found bool) {
	for i, d := range b.LaunchMappings {
		if b.sharedAnywhere() && !unknown(d.KMSKeyID) && isAWSKey(d.KMSKeyID) {
			f.Add(fmt.Sprintf("%s[%d].kms_key_id", launchMappings, i), "what is encrypted with AWS's own key cannot be shared: name a key of yours")
			return true
		}
	}
	return false
}

// checkMappingsShared refuses to share what is encrypted by the blocks of the launch alone.
func (b *EBS) checkMappingsShared(f *optionErrors) {
	if b.checkMappingKeys(f) {
		return
	}
	for i, d := range b.LaunchMappings {
		at := fmt.Sprintf("%s[%d]", launchMappings, i)
		switch {
		case d.Encrypted == nil || !*d.Encrypted:
		case b.Sharing.public():
			f.Add("ami_groups", "an image with encrypted volumes cannot be public, and %s is encrypted", at)
			return
		case slices.Contains(b.SnapshotGroups, "all"):
			f.Add("snapshot_groups", "encrypted snapshots cannot be public, and %s is encrypted", at)
			return
		case b.sharedAnywhere() && len(b.AMIRegions) > 0:
			f.Add("ami_regions", "copies of %s are encrypted with the account's own key of their region, and cannot be shared: set encrypt_boot and region_kms_key_ids", at)
			return
		}
	}
}
