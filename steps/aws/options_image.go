package aws

// ImageOptions are the options of amazon-ebs that say what the image will be.
type ImageOptions struct {
	AMIName            string `json:"ami_name,omitempty"`
	AMIDescription     string `json:"ami_description,omitempty" option:"late=BuildRegion+SourceAMI+SourceAMIName+SourceAMIOwner+SourceAMIOwnerName+SourceAMICreationDate+SourceAMITags+build"`
	VirtualizationType string `json:"ami_virtualization_type,omitempty"`

	AMIRegions           []string `json:"ami_regions,omitempty"`
	SkipRegionValidation bool     `json:"skip_region_validation,omitempty"`         // accepted: EC2 itself refuses a region that is not there
	SnapshotCopyMinutes  int      `json:"snapshot_copy_duration_minutes,omitempty"` // a multiple of 15

	Tags         map[string]string `json:"tags,omitempty" option:"late=BuildRegion+SourceAMI+SourceAMIName+SourceAMIOwner+SourceAMIOwnerName+SourceAMICreationDate+SourceAMITags+build"`
	Tag          []KeyValue        `json:"tag,omitempty" option:"late=BuildRegion+SourceAMI+SourceAMIName+SourceAMIOwner+SourceAMIOwnerName+SourceAMICreationDate+SourceAMITags+build"`
	SnapshotTags map[string]string `json:"snapshot_tags,omitempty" option:"late=BuildRegion+SourceAMI+SourceAMIName+SourceAMIOwner+SourceAMIOwnerName+SourceAMICreationDate+SourceAMITags+build"`
	SnapshotTag  []KeyValue        `json:"snapshot_tag,omitempty" option:"late=BuildRegion+SourceAMI+SourceAMIName+SourceAMIOwner+SourceAMIOwnerName+SourceAMICreationDate+SourceAMITags+build"`
	SkipRunTags  bool              `json:"skip_ami_run_tags,omitempty"`

	ENASupport          *bool         `json:"ena_support,omitempty"`
	SriovSupport        bool          `json:"sriov_support,omitempty"`
	ForceDeregister     bool          `json:"force_deregister,omitempty"`
	ForceDeleteSnapshot bool          `json:"force_delete_snapshot,omitempty"`
	IMDSSupport         string        `json:"imds_support,omitempty"` // v2.0
	DeprecateAt         string        `json:"deprecate_at,omitempty"` // RFC 3339
	Protection          Protection    `json:"deregistration_protection,omitzero"`
	SkipCreateAMI       bool          `json:"skip_create_ami,omitempty"`
	AMIMappings         []BlockDevice `json:"ami_block_device_mappings,omitempty"`

	Sharing

	EncryptBoot         *bool             `json:"encrypt_boot,omitempty" option:"unsupported"`
	KMSKeyID            string            `json:"kms_key_id,omitempty" option:"unsupported"`
	RegionKMSKeyIDs     map[string]string `json:"region_kms_key_ids,omitempty" option:"unsupported"`
	SkipSaveBuildRegion bool              `json:"skip_save_build_region,omitempty" option:"unsupported"`
	FastLaunch          FastLaunch        `json:"fast_launch,omitzero" option:"unsupported"`
}

// Sharing says who else may use the image and its snapshots.
type Sharing struct {
	Users          []string `json:"ami_users,omitempty"`
	Groups         []string `json:"ami_groups,omitempty"`
	OrgARNs        []string `json:"ami_org_arns,omitempty"`
	OUARNs         []string `json:"ami_ou_arns,omitempty"`
	ProductCodes   []string `json:"ami_product_codes,omitempty"`
	SnapshotUsers  []string `json:"snapshot_users,omitempty"`
	SnapshotGroups []string `json:"snapshot_groups,omitempty"`
}

// Protection guards an image against deregistration.
type Protection struct {
	Enabled      bool `json:"enabled,omitempty"`
	WithCooldown bool `json:"with_cooldown,omitempty"` // 24 hours more; implies Enabled
}

// FastLaunch is the block fast_launch, for images of Windows.
type FastLaunch struct {
	Enable              bool           `json:"enable_fast_launch,omitempty"`
	TemplateID          string         `json:"template_id,omitempty"`
	TemplateName        string         `json:"template_name,omitempty"`
	TemplateVersion     int            `json:"template_version,omitempty"`
	MaxParallelLaunches int            `json:"max_parallel_launches,omitempty"`
	TargetResourceCount int            `json:"target_resource_count,omitempty"`
	Regions             []RegionLaunch `json:"region_launch_templates,omitempty"`
}

// RegionLaunch is what FastLaunch does in one region.
type RegionLaunch struct {
	Region          string `json:"region,omitempty"`
	Enable          *bool  `json:"enable_fast_launch,omitempty"`
	TemplateID      string `json:"template_id,omitempty"`
	TemplateName    string `json:"template_name,omitempty"`
	TemplateVersion int    `json:"template_version,omitempty"`
}

// KeyValue is one tag as a block.
type KeyValue struct {
	Key   string `json:"key"`
	Value string `json:"value,omitempty"`
}

// VolumeTag is one tag of a volume as a block; its key may be called name.
type VolumeTag struct {
	Name  string `json:"name,omitempty"`
	Key   string `json:"key,omitempty"`
	Value string `json:"value,omitempty"`
}

// merged is a map of tags with the blocks beside it.
func merged(m map[string]string, blocks []KeyValue) map[string]string {
	all := map[string]string{}
	for k, v := range m {
		all[k] = v
	}
	for _, b := range blocks {
		all[b.Key] = b.Value
	}
	return all
}
