package aws

import (
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

const someKey = "1234abcd-12ab-34cd-56ef-1234567890ab"

// Keys beside regions, and both beside those with whom the image is shared: each fault is one, and
// told at its option.
func TestCheckEncryption(t *testing.T) {
	yes, no := true, false
	users := []string{"210987654321"}
	for name, c := range map[string]struct {
		field, words string // of the only fault; "" is none
		set          func(*EBS)
	}{
		"a key alone":            {"kms_key_id", "encrypt_boot must be true", func(b *EBS) { b.KMSKeyID = "alias/a" }},
		"a key of what is plain": {"kms_key_id", "encrypt_boot must be true", func(b *EBS) { b.KMSKeyID, b.EncryptBoot = "alias/a", &no }},
		"keys of regions alone":  {"region_kms_key_ids", "encrypt_boot must be true", func(b *EBS) { b.regions(map[string]string{"eu-west-1": "alias/a"}) }},
		"no keys of regions":     {"", "", func(b *EBS) { b.regions(map[string]string{"eu-west-1": ""}) }},
		"plain":                  {"", "", func(b *EBS) { b.EncryptBoot = &no }},
		"with the own key":       {"", "", func(b *EBS) { b.encrypted("") }},
		"with a key":             {"", "", func(b *EBS) { b.encrypted(someKey) }},
		"no key":                 {"kms_key_id", "is not a key id", func(b *EBS) { b.encrypted("my key") }},
		"no key of a region":     {"region_kms_key_ids.eu-west-1", "is not a key id", func(b *EBS) { b.encrypted("alias/a").regions(map[string]string{"eu-west-1": "x"}) }},
		"a key of elsewhere":     {"kms_key_id", "it is a key of eu-west-1, and has to be one of us-east-1", func(b *EBS) { b.encrypted("arn:aws:kms:eu-west-1:123456789012:alias/a") }},
		"a copy's of elsewhere": {"region_kms_key_ids.eu-west-1", "it is a key of us-east-1, and has to be one of eu-west-1", func(b *EBS) {
			b.encrypted("").regions(map[string]string{"eu-west-1": "arn:aws:kms:us-east-1:123456789012:key/" + someKey})
		}},
		"a volume's of elsewhere": {"launch_block_device_mappings[0].kms_key_id", "it is a key of eu-west-1", func(b *EBS) {
			b.LaunchMappings = []BlockDevice{{DeviceName: "/dev/sda1", KMSKeyID: "arn:aws:kms:eu-west-1:123456789012:alias/a"}}
		}},
		"a region without a key": {"region_kms_key_ids", "it lacks us-west-2, which is in ami_regions", func(b *EBS) {
			b.encrypted("").regions(map[string]string{"eu-west-1": "alias/a"})
			b.AMIRegions = append(b.AMIRegions, "us-west-2")
		}},
		"a key without a region": {"region_kms_key_ids.us-west-2", "us-west-2 is not in ami_regions", func(b *EBS) {
			b.encrypted("").regions(map[string]string{"eu-west-1": "alias/a"})
			b.RegionKMSKeyIDs["us-west-2"] = ""
		}},
		"the build's by regions": {"", "", func(b *EBS) {
			b.encrypted("").regions(map[string]string{"eu-west-1": "alias/a"})
			b.RegionKMSKeyIDs[home] = "alias/b"
			b.Users = users
		}},
		"two of the build": {"region_kms_key_ids.us-east-1", "whose key kms_key_id says", func(b *EBS) {
			b.encrypted("alias/a").regions(map[string]string{"eu-west-1": "alias/a"})
			b.RegionKMSKeyIDs[home] = "alias/b"
		}},
		"the build is no copy": {"", "", func(b *EBS) {
			b.encrypted("alias/a").regions(map[string]string{"eu-west-1": "alias/a"})
			b.AMIRegions = append(b.AMIRegions, home)
		}},
		"shared, the own key": {"encrypt_boot", "cannot be shared: name a key of yours by kms_key_id", func(b *EBS) { b.encrypted("").Users = users }},
		"shared, AWS's key": {"kms_key_id", "cannot be shared", func(b *EBS) {
			b.encrypted("alias/aws/ebs").OrgARNs = []string{"arn:aws:organizations::123456789012:organization/o-0123456789"}
		}},
		"shared, a volume's": {"launch_block_device_mappings[0].kms_key_id", "cannot be shared", func(b *EBS) {
			b.encrypted("alias/a").Users = users
			b.LaunchMappings = []BlockDevice{{DeviceName: "/dev/sda1", KMSKeyID: "alias/aws/ebs"}}
		}},
		"shared snapshots":       {"encrypt_boot", "cannot be shared", func(b *EBS) { b.encrypted("").SnapshotUsers = users }},
		"shared, keys all over":  {"", "", func(b *EBS) { b.encrypted("alias/a").regions(map[string]string{"eu-west-1": "alias/a"}).Users = users }},
		"shared, a copy without": {"region_kms_key_ids.eu-west-1", "cannot be shared", func(b *EBS) { b.encrypted("alias/a").regions(map[string]string{"eu-west-1": ""}).Users = users }},
		"shared, copies without": {"encrypt_boot", "in eu-west-1 by region_kms_key_ids", func(b *EBS) { b.encrypted("alias/a").AMIRegions = []string{"eu-west-1"}; b.Users = users }},
		"shared, only copies": {"", "", func(b *EBS) {
			b.encrypted("").regions(map[string]string{"eu-west-1": "alias/a"}).Users = users
			b.SkipSaveBuildRegion = true
		}},
		"product codes":    {"", "", func(b *EBS) { b.encrypted("").ProductCodes = []string{"774F4FF8"} }},
		"public":           {"ami_groups", "cannot be public", func(b *EBS) { b.encrypted("alias/a").Groups = []string{"all"} }},
		"public snapshots": {"snapshot_groups", "cannot be public", func(b *EBS) { b.encrypted("alias/a").SnapshotGroups = []string{"all"} }},
		"a volume's copies": {"ami_regions", "copies of launch_block_device_mappings[0] are encrypted with the account's own key", func(b *EBS) {
			b.Users, b.AMIRegions, b.LaunchMappings = users, []string{"eu-west-1"}, []BlockDevice{{DeviceName: "/dev/sda1", Encrypted: &yes, KMSKeyID: "alias/a"}}
		}},
		"a plain volume": {"launch_block_device_mappings[0].encrypted", "encrypt_boot encrypts every volume", func(b *EBS) {
			b.encrypted("").LaunchMappings = []BlockDevice{{DeviceName: "/dev/sda1", Encrypted: &no}}
		}},
		"no image":               {"skip_save_build_region", "no image would be left", func(b *EBS) { b.SkipSaveBuildRegion = true }},
		"the build's copy alone": {"skip_save_build_region", "no image would be left", func(b *EBS) { b.SkipSaveBuildRegion, b.AMIRegions = true, []string{home} }},
		"no image at all":        {"skip_save_build_region", "skip_create_ami makes no image", func(b *EBS) { b.SkipSaveBuildRegion, b.SkipCreateAMI = true, true }},
		"a secret key":           {"", "", func(b *EBS) { b.encrypted(dag.Mark("key")).Users = users }},
	} {
		b := template()
		c.set(b)
		fs := b.Check()
		if c.field == "" {
			if len(fs) > 0 {
				t.Errorf("%s: %v", name, fs)
			}
			continue
		}
		if len(fs) != 1 || fs[0].Field != c.field || !strings.Contains(fs[0].Text, c.words) {
			t.Errorf("%s: %v, want %s: %s", name, fs, c.field, c.words)
		}
	}
}

// encrypted is the template with encrypt_boot.
func (b *EBS) encrypted(key string) *EBS {
	b.EncryptBoot, b.KMSKeyID = ptr(true), key
	return b
}

// regions has copies in the regions of those keys.
func (b *EBS) regions(keys map[string]string) *EBS {
	b.RegionKMSKeyIDs = keys
	for r := range keys {
		b.AMIRegions = append(b.AMIRegions, r)
	}
	return b
}

// An image is encrypted from the launch on: no other is made, and nothing is copied within its region.
func TestEncryptBoot(t *testing.T) {
	w := seeded(t, `{"kms_keys": ["alias/a", "`+someKey+`"]}`)
	b := template().encrypted("alias/a").regions(map[string]string{west: someKey})
	b.Users = []string{"210987654321"}
	b.LaunchMappings = []BlockDevice{{DeviceName: "/dev/sdf", VolumeSize: 1}, {DeviceName: "/dev/sdg", VolumeSize: 1, KMSKeyID: someKey}}
	w.build(&dag.MemStore{}, w.graph(b))
	if n := w.front.count("CreateImage") + w.front.count("CopyImage"); n != 2 {
		t.Errorf("%d images were made for two", n)
	}
	keys := func(region string) (of []string) {
		for _, s := range w.snapshotsIn(region) {
			of = append(of, text(s.KmsKeyId))
		}
		return of
	}
	aliased := "arn:aws:kms:us-east-1:123456789012:key/"
	seen := map[string]int{}
	for _, key := range keys(home) {
		if key != aliased+someKey && strings.HasPrefix(key, aliased) {
			key = "alias/a"
		}
		seen[key]++
	}
	if seen["alias/a"] != 2 || seen[aliased+someKey] != 1 {
		t.Errorf("keys in %s: %v", home, keys(home))
	}
	for _, key := range keys(west) {
		if key != "arn:aws:kms:us-west-2:123456789012:key/"+someKey {
			t.Errorf("a copy has the key %s", key)
		}
	}
	if len(keys(west)) != 3 {
		t.Errorf("%d snapshots in %s", len(keys(west)), west)
	}
}

// What nobody can undo is refused before the launch, and what is unset stays as the source has it.
func TestEncryptedSource(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	w.build(&dag.MemStore{}, w.graph(template().encrypted("")))
	source := w.inventory().images[0]
	from := func(name string) *EBS {
		b := template()
		b.SourceOptions, b.AMIName = SourceOptions{SourceAMI: dag.Text(source)}, name
		return b
	}
	launched := w.front.count("RunInstances")
	for words, set := range map[string]func(*EBS){
		"encrypt_boot: it cannot be false: /dev/sda1 of " + source + " is encrypted": func(b *EBS) { b.EncryptBoot = ptr(false) },
		"ami_regions: copies of /dev/sda1 are encrypted with the account's own key":  func(b *EBS) { b.Users, b.AMIRegions = []string{"210987654321"}, []string{west} },
	} {
		b := from("refused")
		set(b)
		r, err := w.engine(&dag.MemStore{}, &events{}).Solve(t.Context(), w.graph(b))
		if err != nil || len(r.Failed) != 1 || r.Failed[0].Name != "values" || !strings.Contains(r.Failed[0].Err.Error(), words) {
			t.Errorf("%v, %v, want %s", err, r.Failed, words)
		}
	}
	if n := w.front.count("RunInstances"); n != launched {
		t.Errorf("%d machines were launched", n-launched)
	}
	w.build(&dag.MemStore{}, w.graph(from("image-2")))
	for _, s := range w.snapshotsIn(home) {
		if !*s.Encrypted {
			t.Errorf("%+v is not encrypted", s)
		}
	}
}
