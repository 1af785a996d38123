package aws

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/imgflow/imgflow/dag"
)

// CheckValues tells before the launch what EC2 would refuse after it, of what
// nobody could know without the source image or a sensitive value.
type CheckValues struct {
	Source dag.Out[SourceImage] `json:"source"`

	Description  dag.Text              `json:"description,omitempty"`
	Tags         map[dag.Text]dag.Text `json:"tags,omitempty"`
	SnapshotTags map[dag.Text]dag.Text `json:"snapshot_tags,omitempty"`
	RunTags      map[dag.Text]dag.Text `json:"run_tags,omitempty"`
	VolumeTags   map[dag.Text]dag.Text `json:"run_volume_tags,omitempty"`
	SpotTags     map[dag.Text]dag.Text `json:"spot_tags,omitempty"`
	OwnTagsOnly  bool                  `json:"own_tags_only,omitempty"` // the image has none of RunTags
	ShownTags    bool                  `json:"shown_tags,omitempty"`    // the instance shows RunTags to what runs on it
	Sharing
	FastLaunch     bool          `json:"fast_launch,omitempty"`
	EncryptBoot    *bool         `json:"encrypt_boot,omitempty"`
	CopiesPlain    bool          `json:"copies_plain,omitempty"` // there are copies, which get no key
	DeprecateAt    string        `json:"deprecate_at,omitempty"`
	LaunchMappings []BlockDevice `json:"launch_mappings,omitempty"`
	Apart          bool          `json:"apart,omitempty"` // the image has none of the source image's volumes that were looked at
	Root           string        `json:"root,omitempty"`  // the root device that the source image has to have
	AMIMappings    []BlockDevice `json:"ami_mappings,omitempty"`
}

// CheckedValues says that nothing was found.
type CheckedValues struct{}

func (CheckValues) Kind() string  { return "aws.values" }
func (CheckValues) Title() string { return "check what the image is to be" }

// Do calls nobody.
func (s CheckValues) Do(ctx context.Context, c *Cloud, t *dag.Task) (CheckedValues, error) {
	source := s.Source.Value()
	f := optionErrors{final: true}
	description, err := filled(t, "ami_description", s.Description)
	errs := []error{err}
	f.least("ami_description", description, wrongDescription)
	tags := []struct {
		option string
		tags   *map[dag.Text]dag.Text
	}{{"run_tags", &s.RunTags}, {"run_volume_tags", &s.VolumeTags}, {"spot_tags", &s.SpotTags}, {"tags", &s.Tags}, {"snapshot_tags", &s.SnapshotTags}}
	for _, m := range tags {
		final, err := filledTags(t, m.option, *m.tags)
		errs = append(errs, err)
		*m.tags = map[dag.Text]dag.Text{}
		for k, v := range final {
			(*m.tags)[dag.Text(k)] = dag.Text(v)
		}
		f.tags(m.option, *m.tags)
	}
	s.count(&f)
	s.Sharing.check(&f)
	f.deprecation(s.DeprecateAt, s.Sharing.public())
	s.devices(&f, source)
	if s.FastLaunch && !strings.EqualFold(source.Platform, "windows") {
		f.Add("fast_launch", "it is for images of Windows, and EC2 takes %s for %s", source.ID, cmp.Or(source.Details, "another system"))
	}
	for _, e := range f.OptionErrors {
		switch {
		case e.Doubtful: // what the volumes of the source image say, which validate did not know
			t.Warn("%s", e.Error())
		case !e.Harmless: // else validate has said it
			errs = append(errs, fmt.Errorf("cannot use %s", e.Error()))
		}
	}
	return CheckedValues{}, errors.Join(errs...)
}

func (s CheckValues) count(f *optionErrors) {
	if s.ShownTags {
		f.metadataTags(s.RunTags, nil)
	}
	image := s.Tags
	if !s.OwnTagsOnly {
		image = mergeTags(s.RunTags, s.Tags)
	}
	f.tooMany("run_tags", "the instance", s.RunTags)
	f.tooMany("run_volume_tags", "a volume", s.VolumeTags)
	f.tooMany("spot_tags", "the request for a spot instance", s.SpotTags)
	if !f.tooMany("tags", "the image", image) {
		f.tooMany("snapshot_tags", "a snapshot", mergeTags(image, s.SnapshotTags))
	}
}

// devices looks at the mappings beside the volumes that the source image brings.
func (s CheckValues) devices(f *optionErrors, source SourceImage) {
	if len(source.Devices) == 0 {
		return
	}
	have := map[string]BlockDevice{} // volumes by device
	for _, d := range source.Devices {
		v := BlockDevice{DeviceName: d.Name, VolumeSize: d.Size}
		if d.Encrypted {
			v.Encrypted = ptr(true)
		}
		have[d.Name] = v
	}
	f.laidOver(launchMappings, s.LaunchMappings, have, source)
	if s.Root != "" && s.Root != source.RootDevice {
		f.Add("ami_root_device.device_name", "it has to be %s with use_create_image: that is the root device of %s", source.RootDevice, source.ID)
	}
	if s.Apart {
		return
	}
	overlay(have, s.LaunchMappings)
	f.laidOver(amiMappings, s.AMIMappings, have, source)
	for _, name := range slices.Sorted(maps.Keys(have)) {
		switch v := have[name]; {
		case v.Encrypted == nil || !*v.Encrypted:
		case s.Sharing.public():
			f.Add("ami_groups", "an image with encrypted volumes cannot be public, and %s is encrypted", name)
		case s.CopiesPlain && s.Sharing.shared():
			f.Add("ami_regions", "copies of %s are encrypted with the account's own key of their region, and cannot be shared: set encrypt_boot and region_kms_key_ids", name)
		}
	}
	for _, d := range source.Devices {
		if _, there := have[d.Name]; there && d.Encrypted && s.EncryptBoot != nil && !*s.EncryptBoot {
			f.Add("encrypt_boot", "it cannot be false: %s of %s is encrypted, and what is encrypted stays so", d.Name, source.ID)
		}
	}
}

// overlay makes the volumes of an image those of an instance that is launched from
// it with the blocks.
func overlay(have map[string]BlockDevice, blocks []BlockDevice) {
	for _, d := range blocks {
		v, there := have[d.DeviceName]
		switch {
		case !d.volume():
			delete(have, d.DeviceName)
			continue
		case !there:
			v = d
		}
		v.VolumeSize = cmp.Or(d.VolumeSize, v.VolumeSize)
		v.Encrypted = cmp.Or(d.Encrypted, v.Encrypted)
		have[d.DeviceName] = v
	}
}

// laidOver looks at each block of an option beside the volume of its name.
func (f *optionErrors) laidOver(option string, list []BlockDevice, have map[string]BlockDevice, source SourceImage) {
	for _, d := range list {
		at := func(field string) string { return fmt.Sprintf("%s of %s in %s", field, d.DeviceName, option) }
		root := d.DeviceName == source.RootDevice
		v, there := have[d.DeviceName]
		switch {
		case root && (d.NoDevice || !d.volume()):
			f.Add(at("device_name"), "it is the root device of the source image")
			continue
		case !d.volume():
			continue
		case !there && d.VolumeSize == 0 && d.SnapshotID == "":
			f.Add(at("volume_size"), "must be set, or snapshot_id: %s has no volume %s", source.ID, d.DeviceName)
			continue
		case !there:
			continue
		case option == amiMappings || root:
			checkAttached(f, at, d, v, source.ID)
		case d.SnapshotID == "" && d.VolumeSize > 0 && d.VolumeSize < v.VolumeSize:
			f.Add(at("volume_size"), "must be at least the %d GiB that the volume has in %s", v.VolumeSize, source.ID)
		}
		if d.SnapshotID == "" && d.VolumeSize == 0 { // that of the source image, which validate did not know
			d.VolumeSize = v.VolumeSize
			checkSize(f, at, d)
			checkIOPS(f, at, d)
		}
		if root && slices.Contains([]string{"st1", "sc1"}, d.VolumeType) {
			f.Add(at("volume_type"), "no machine starts from a volume of the type %s", d.VolumeType)
		}
	}
}

// checkValues adds the step where there is something to look at.
func (w *wiring) checkValues() dag.Out[CheckedValues] {
	s := CheckValues{Source: w.source, RunTags: withBlocks(w.RunTags, w.RunTag), VolumeTags: w.volumeTags(), ShownTags: w.Metadata.Tags == "enabled",
		LaunchMappings: w.LaunchMappings, SpotTags: withBlocks(w.SpotTags, w.SpotTag)}
	if !w.SkipCreateAMI {
		s.Description, s.Tags, s.SnapshotTags = w.AMIDescription, withBlocks(w.Tags, w.Tag), withBlocks(w.SnapshotTags, w.SnapshotTag)
		s.OwnTagsOnly, s.Sharing, s.DeprecateAt, s.AMIMappings = w.SkipRunTags, w.withAccounts(), w.DeprecateAt, w.AMIMappings
		s.FastLaunch = w.FastLaunch.on()
		if s.Apart = w.surrogate != nil; s.Apart && w.surrogate.UseCreateImage {
			s.Root = w.surrogate.RootDevice.DeviceName
		}
		s.EncryptBoot, s.CopiesPlain = w.EncryptBoot, len(w.copyRegions()) > 0 && !w.encrypts() && w.sharedAnywhere()
	}
	if !s.needed() {
		return dag.Out[CheckedValues]{}
	}
	return dag.Add(w.g, w.build, "values", s)
}

// needed reports whether something is to be found that validate cannot find.
func (s CheckValues) needed() bool {
	if len(s.LaunchMappings)+len(s.AMIMappings) > 0 || s.Sharing.public() || s.CopiesPlain || s.FastLaunch || s.EncryptBoot != nil && !*s.EncryptBoot {
		return true
	}
	texts := slices.Concat([]string{string(s.Description), s.DeprecateAt}, s.Users, s.Groups, s.OrgARNs, s.OUARNs, s.ProductCodes, s.SnapshotUsers, s.SnapshotGroups)
	for _, m := range []map[dag.Text]dag.Text{s.Tags, s.SnapshotTags, s.RunTags, s.VolumeTags, s.SpotTags} {
		for k, v := range m {
			texts = append(texts, string(k), string(v))
		}
	}
	return unknown(strings.Join(texts, "\n"))
}

// ARN is the name of an image, or of another thing of EC2, among all of AWS. Of an image it
// has no account; of other things the account is not known here and left empty.
func ARN(region, kind, id string) string {
	return "arn:" + partitionOf(region) + ":ec2:" + region + "::" + kind + "/" + id
}

// partitionOf is the part of AWS that a region belongs to, as ARNs name it.
func partitionOf(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}
