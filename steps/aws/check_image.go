package aws

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/imgflow/imgflow/dag"
)

// rule adds what a rule of EC2 says of a text, if it is known yet.
func (f *optionErrors) rule(field, text string, wrong func(string) string) {
	if !f.unknown(text) {
		f.wrong(field, wrong(text))
	}
}

// least is rule for what only gets worse by words that are not known yet.
func (f *optionErrors) least(field, text string, wrong func(string) string) {
	if !f.final {
		text = dag.Text(text).Literal()
	}
	f.wrong(field, wrong(text))
}

// given is rule for an option that may be left out.
func (f *optionErrors) given(field, text string, wrong func(string) string) {
	if text != "" {
		f.rule(field, text, wrong)
	}
}

// each is rule for every element of a list.
func (f *optionErrors) each(field string, list []string, wrong func(string) string) {
	for i, text := range list {
		f.rule(fmt.Sprintf("%s[%d]", field, i), text, wrong)
	}
}

// wrong adds an error unless there is none.
func (f *optionErrors) wrong(field, why string) {
	if why != "" {
		f.Add(field, "%s", why)
	}
}

func (b *EBS) checkImage(f *optionErrors) {
	if b.AMIName == "" {
		f.Add("ami_name", "must be set: the name of the image")
	}
	f.given("ami_name", b.AMIName, wrongName)
	f.least("ami_description", string(b.AMIDescription), wrongDescription)
	f.oneOf("ami_virtualization_type", b.VirtualizationType, "hvm", "paravirtual")
	if b.VirtualizationType == "paravirtual" && b.needHVM() {
		f.Add("ami_virtualization_type", "must be hvm for ena_support and sriov_support")
	}
	f.oneOf("imds_support", b.IMDSSupport, "v2.0")
	b.checkCopies(f)
	if b.ForceDeleteSnapshot && !b.ForceDeregister && !b.Force {
		f.Idle("force_delete_snapshot", "there is no force_deregister")
	}
	if why := b.late(); why != "" && b.CreateDuringShutdown {
		f.Idle("ami_create_during_shutdown", "%s", why)
	}
	b.Sharing.check(f)
	b.checkEncryption(f)
	b.checkFastLaunch(f)
	b.checkPublish(f)
	b.checkAccounts(f)
	f.deprecation(b.DeprecateAt, b.Sharing.public())
	b.checkTags(f)
}

// late is why the image cannot be asked for before the instance is stopped, or "".
func (b *EBS) late() string {
	switch {
	case b.SkipCreateAMI:
		return "skip_create_ami makes no image"
	case b.Spot():
		return "a spot instance is not stopped for its image"
	case b.DisableStop:
		return "with disable_stop_instance nobody here knows when the machine begins to stop"
	case b.winrm():
		return "Windows does not show on its console that it is off"
	case b.needsRest():
		return "ena_support and sriov_support are set when the instance is stopped"
	}
	return ""
}

func (f *optionErrors) deprecation(at string, public bool) {
	f.given("deprecate_at", at, func(at string) string { return wrongDeprecation(at, public, time.Now()) })
}

func (b *EBS) checkCopies(f *optionErrors) {
	for i, r := range b.AMIRegions {
		field := fmt.Sprintf("ami_regions[%d]", i)
		switch {
		case strings.TrimSpace(r) == "":
			f.Add(field, "is empty")
		case !b.elsewhere():
			f.rule(field, r, wrongRegion)
		}
	}
	switch n := b.SnapshotCopyMinutes; {
	case n == 0:
	case n < 15 || n > 2880 || n%15 != 0:
		f.Add("snapshot_copy_duration_minutes", "must be a multiple of 15, from 15 to 2880")
	case len(b.AMIRegions) == 0:
		f.Idle("snapshot_copy_duration_minutes", "there are no ami_regions to copy to")
	}
	switch elsewhere := func(r string) bool { return r != b.home() }; {
	case !b.SkipSaveBuildRegion:
	case b.SkipCreateAMI:
		f.Idle("skip_save_build_region", "skip_create_ami makes no image")
	case !slices.ContainsFunc(b.AMIRegions, elsewhere):
		f.Add("skip_save_build_region", "no image would be left: name another region in ami_regions")
	}
}

// elsewhere reports whether regions may have names that AWS does not give.
func (b *EBS) elsewhere() bool { return b.SkipRegionValidation || b.CustomEndpointEC2 != "" }

// check says which of those with whom an image is shared EC2 cannot know.
func (s Sharing) check(f *optionErrors) {
	f.each("ami_users", s.Users, wrongAccount)
	f.each("ami_groups", s.Groups, wrongGroup)
	f.each("ami_org_arns", s.OrgARNs, wrongOrganization)
	f.each("ami_ou_arns", s.OUARNs, wrongUnit)
	f.each("ami_product_codes", s.ProductCodes, wrongProductCode)
	f.each("snapshot_users", s.SnapshotUsers, wrongAccount)
	f.each("snapshot_groups", s.SnapshotGroups, wrongGroup)
}

// public reports whether everybody may launch the image.
func (s Sharing) public() bool { return slices.Contains(s.Groups, "all") }

func (b *EBS) checkTags(f *optionErrors) {
	f.tags("tags", b.Tags)
	f.tagBlocks("tag", b.Tag)
	f.tags("snapshot_tags", b.SnapshotTags)
	f.tagBlocks("snapshot_tag", b.SnapshotTag)
	f.tags("run_tags", b.RunTags)
	f.tagBlocks("run_tag", b.RunTag)
	f.tags("run_volume_tags", b.RunVolumeTags)
	for i, t := range b.RunVolumeTag {
		at := fmt.Sprintf("run_volume_tag[%d]", i)
		if (t.Name == "") == (t.Key == "") {
			f.Add(at+".name", "must be set, or key in its place")
			continue
		}
		f.given(at+".name", string(t.Name), wrongTagKey)
		f.given(at+".key", string(t.Key), wrongTagKey)
		f.least(at+".value", string(t.Value), wrongTagValue)
	}
	if b.Metadata.Tags == "enabled" {
		f.metadataTags(b.RunTags, b.RunTag)
	}
	f.tooMany(option("run_tags", len(b.RunTags), "run_tag"), "the instance", withBlocks(b.RunTags, b.RunTag))
	f.tooMany(option("run_volume_tags", len(b.RunVolumeTags), "run_volume_tag"), "a volume", b.volumeTags())
	if b.SkipCreateAMI {
		return
	}
	if f.tooMany(option("tags", len(b.Tags), "tag"), "the image", b.imageTags()) {
		return // its snapshots have as many at least
	}
	f.tooMany(option("snapshot_tags", len(b.SnapshotTags), "snapshot_tag"), "a snapshot", mergeTags(b.imageTags(), withBlocks(b.SnapshotTags, b.SnapshotTag)))
}

// option is the name of the map, or of its blocks where only they are given.
func option(name string, given int, blocks string) string {
	if given == 0 {
		return blocks
	}
	return name
}

func (f *optionErrors) tags(field string, tags map[dag.Text]dag.Text) {
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		at := field + "." + key.String()
		f.rule(at, string(key), wrongTagKey)
		f.least(at, string(tags[key]), wrongTagValue)
	}
}

func (f *optionErrors) tagBlocks(field string, list []KeyValue) {
	for i, t := range list {
		at := fmt.Sprintf("%s[%d]", field, i)
		f.rule(at+".key", string(t.Key), wrongTagKey)
		f.least(at+".value", string(t.Value), wrongTagValue)
	}
}

// metadataTags looks at the tags that the instance shows to what runs on it.
func (f *optionErrors) metadataTags(tags map[dag.Text]dag.Text, blocks []KeyValue) {
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		f.rule("run_tags."+key.String(), string(key), wrongMetadataTag)
	}
	for i, t := range blocks {
		f.rule(fmt.Sprintf("run_tag[%d].key", i), string(t.Key), wrongMetadataTag)
	}
}

// tooMany refuses more tags than a thing can have. A key that is not known yet
// may turn out to be one of the others.
func (f *optionErrors) tooMany(field, thing string, tags map[dag.Text]dag.Text) bool {
	n := 0
	for key := range tags {
		if !f.unknown(string(key)) {
			n++
		}
	}
	if n > maxTags {
		f.Add(field, "%s would have %d tags, and EC2 takes at most %d", thing, n, maxTags)
	}
	return n > maxTags
}
