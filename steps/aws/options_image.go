package aws

import "github.com/imgflow/imgflow/dag"

// ImageOptions are the options of amazon-ebs that say what the image will be.
type ImageOptions struct {
	// The name of the image: 3 to 128 letters, digits, spaces and some signs. It has to be given, and to be free in
	// the region.
	AMIName string `json:"ami_name,omitempty"`
	// The description of the image. Default: none.
	AMIDescription dag.Text `json:"ami_description,omitempty" option:"late=source+build"`
	// What the image's virtualization should be, `hvm` or `paravirtual`: it is checked, not changed. Default: that of
	// the source image.
	VirtualizationType string `json:"ami_virtualization_type,omitempty"`

	// Regions that get a copy of the image. Default: none.
	AMIRegions []string `json:"ami_regions,omitempty"`
	// Accepted and without effect: EC2 itself refuses a region that is not there. Default: `false`.
	SkipRegionValidation bool `json:"skip_region_validation,omitempty"`
	// Within how many minutes a copy to another region has to be complete, a multiple of 15. Default: no such promise.
	SnapshotCopyMinutes int `json:"snapshot_copy_duration_minutes,omitempty"`

	// Tags of the image and its snapshots. Default: none.
	Tags map[dag.Text]dag.Text `json:"tags,omitempty" option:"late=source+build"`
	// One tag of the image and its snapshots, as a block that may be repeated.
	Tag []KeyValue `json:"tag,omitempty" option:"late=source+build"`
	// Tags of the snapshots alone, stronger than `tags`. Default: none.
	SnapshotTags map[dag.Text]dag.Text `json:"snapshot_tags,omitempty" option:"late=source+build"`
	// One tag of the snapshots alone, as a block that may be repeated.
	SnapshotTag []KeyValue `json:"snapshot_tag,omitempty" option:"late=source+build"`
	// Does not give the image and its snapshots the tags of the instance, `run_tags`. Default: `false`.
	SkipRunTags bool `json:"skip_ami_run_tags,omitempty"`

	// Says that the image can use enhanced networking by ENA. Default: as the source image has it.
	ENASupport *bool `json:"ena_support,omitempty"`
	// Says that the image can use enhanced networking by SR-IOV. Default: `false`.
	SriovSupport bool `json:"sriov_support,omitempty"`
	// Removes an image of one's own that has the same name, in every region. Default: `false`.
	ForceDeregister bool `json:"force_deregister,omitempty"`
	// Deletes the snapshots of the image that `force_deregister` removes, too. Default: `false`.
	ForceDeleteSnapshot bool `json:"force_delete_snapshot,omitempty"`
	// `v2.0` makes instances of the image ask for IMDSv2. Default: no demand.
	IMDSSupport string `json:"imds_support,omitempty"`
	// The time at which the image counts as deprecated, in RFC 3339 such as 2027-01-31T00:00:00Z. Default: never.
	DeprecateAt string `json:"deprecate_at,omitempty"`
	// Protects the image against being deregistered. Default: no protection.
	Protection Protection `json:"deregistration_protection,omitzero"`
	// Does everything but making the image, to try a template. Default: `false`.
	SkipCreateAMI bool `json:"skip_create_ami,omitempty"`
	// Asks for the image as soon as the machine's console shows that it has powered down, while EC2 is still stopping
	// the instance; where it does not show that, when the instance is stopped. Default: `false`.
	CreateDuringShutdown bool `json:"ami_create_during_shutdown,omitempty"`
	// The volumes that instances of the image get, beside those that the machine has. Default: those of the machine.
	AMIMappings []BlockDevice `json:"ami_block_device_mappings,omitempty"`

	Sharing

	EncryptionOptions

	// Keeps the image's copies alone: the image in the region of the build has a name of its own, and goes when all
	// copies are there. Default: `false`.
	SkipSaveBuildRegion bool `json:"skip_save_build_region,omitempty"`
	// Has instances of a Windows image start faster, from prepared snapshots. Default: off.
	FastLaunch FastLaunch `json:"fast_launch,omitzero"`
	// Where the id of the finished image is written for others to read, as a block that may be repeated.
	Publish []Publish `json:"publish,omitempty"`
	// Other accounts that get copies of the image which are their own, as a block that may be repeated.
	Accounts []AccountCopies `json:"accounts,omitempty"`
}

// Sharing says who else may use the image and its snapshots.
type Sharing struct {
	// Ids of accounts that may launch the image. Default: the owner alone.
	Users []string `json:"ami_users,omitempty"`
	// Groups that may launch the image; `all` makes it public. Default: none.
	Groups []string `json:"ami_groups,omitempty"`
	// ARNs of organizations that may launch the image. Default: none.
	OrgARNs []string `json:"ami_org_arns,omitempty"`
	// ARNs of organizational units that may launch the image. Default: none.
	OUARNs []string `json:"ami_ou_arns,omitempty"`
	// Product codes of AWS Marketplace that the image gets. Default: none.
	ProductCodes []string `json:"ami_product_codes,omitempty"`
	// Ids of accounts that may make volumes of the snapshots. Default: the owner alone.
	SnapshotUsers []string `json:"snapshot_users,omitempty"`
	// Groups that may make volumes of the snapshots; `all` makes them public. Default: none.
	SnapshotGroups []string `json:"snapshot_groups,omitempty"`
}

// Protection guards an image against deregistration.
type Protection struct {
	// Refuses to deregister the image while it is set. Default: `false`.
	Enabled bool `json:"enabled,omitempty"`
	// Keeps the protection for 24 hours after it was taken away; implies `enabled`. Default: `false`.
	WithCooldown bool `json:"with_cooldown,omitempty"`
}

// FastLaunch is the block fast_launch, for images of Windows.
type FastLaunch struct {
	// Turns it on; so does any other option of the block. Default: `false`.
	Enable bool `json:"enable_fast_launch,omitempty"`
	// The id of the launch template that the snapshots are prepared with in the region of the build. Default: none.
	TemplateID string `json:"template_id,omitempty"`
	// The name of that launch template, in place of its id. Default: none.
	TemplateName string `json:"template_name,omitempty"`
	// The version of that launch template. Default: its default version.
	TemplateVersion int `json:"template_version,omitempty"`
	// How many instances may prepare snapshots at a time, 6 or more. Default: EC2's.
	MaxParallelLaunches int `json:"max_parallel_launches,omitempty"`
	// How many prepared snapshots are kept ready. Default: EC2's.
	TargetResourceCount int `json:"target_resource_count,omitempty"`
	// What differs in one region, as a block that may be repeated.
	Regions []RegionLaunch `json:"region_launch_templates,omitempty"`
}

// RegionLaunch is what FastLaunch does in one region.
type RegionLaunch struct {
	// The region that the block is for.
	Region string `json:"region,omitempty"`
	// Whether it is turned on in the region. Default: as for the image.
	Enable *bool `json:"enable_fast_launch,omitempty"`
	// The id of the launch template in the region. Default: none.
	TemplateID string `json:"template_id,omitempty"`
	// The name of the launch template in the region. Default: none.
	TemplateName string `json:"template_name,omitempty"`
	// The version of the launch template in the region. Default: its default version.
	TemplateVersion int `json:"template_version,omitempty"`
}

// KeyValue is one tag as a block.
type KeyValue struct {
	// The key of the tag.
	Key dag.Text `json:"key"`
	// The value of the tag. Default: empty text.
	Value dag.Text `json:"value,omitempty"`
}

// VolumeTag is one tag of a volume as a block; its key may be called name.
type VolumeTag struct {
	// The key of the tag.
	Name dag.Text `json:"name,omitempty"`
	// Another word for `name`: the key of the tag.
	Key dag.Text `json:"key,omitempty"`
	// The value of the tag. Default: empty text.
	Value dag.Text `json:"value,omitempty"`
}

// withBlocks is a map of tags with those that the template has as blocks.
func withBlocks(m map[dag.Text]dag.Text, blocks []KeyValue) map[dag.Text]dag.Text {
	all := mergeTags(m, nil)
	for _, b := range blocks {
		all[b.Key] = b.Value
	}
	return all
}
