package aws

import (
	"time"

	"github.com/imgflow/imgflow/dag"
)

// SourceOptions are the options that choose the image to begin from.
type SourceOptions struct {
	SourceAMI string       `json:"source_ami,omitempty"`
	Filter    SourceFilter `json:"source_ami_filter,omitzero"`
}

// SourceFilter chooses an image by what it is. A filter's value may hold several,
// separated by commas.
type SourceFilter struct {
	Filters           map[string]string `json:"filters,omitempty"`
	Owners            []string          `json:"owners,omitempty"`
	MostRecent        bool              `json:"most_recent,omitempty"`
	IncludeDeprecated bool              `json:"include_deprecated,omitempty"`
}

// MachineOptions are the options that go into the launch as they are.
type MachineOptions struct {
	InstanceType       string        `json:"instance_type,omitempty"`
	EBSOptimized       bool          `json:"ebs_optimized,omitempty"`
	NitroEnclave       bool          `json:"enable_nitro_enclave,omitempty"`
	UnlimitedCredits   bool          `json:"enable_unlimited_credits,omitempty"`
	T2Unlimited        bool          `json:"enable_t2_unlimited,omitempty"` // the older name
	ShutdownBehavior   string        `json:"shutdown_behavior,omitempty"`
	InstanceProfile    string        `json:"iam_instance_profile,omitempty"`
	UserData           string        `json:"user_data,omitempty"`
	UserDataFile       dag.File      `json:"user_data_file,omitzero"`
	NoEphemeral        bool          `json:"no_ephemeral,omitempty"`
	Metadata           Metadata      `json:"metadata_options,omitzero"`
	Licenses           []License     `json:"license_specifications,omitempty"`
	CapacityPreference string        `json:"capacity_reservation_preference,omitempty"`
	CapacityID         string        `json:"capacity_reservation_id,omitempty"`
	CapacityGroupARN   string        `json:"capacity_reservation_group_arn,omitempty"`
	Placement          Placement     `json:"placement,omitzero"`
	Tenancy            string        `json:"tenancy,omitempty"` // the older place of placement.tenancy
	LaunchMappings     []BlockDevice `json:"launch_block_device_mappings,omitempty"`

	RunTags       map[string]string `json:"run_tags,omitempty" option:"late=BuildRegion+SourceAMI+SourceAMIName+SourceAMIOwner+SourceAMIOwnerName+SourceAMICreationDate+SourceAMITags+build"`
	RunTag        []KeyValue        `json:"run_tag,omitempty" option:"late=BuildRegion+SourceAMI+SourceAMIName+SourceAMIOwner+SourceAMIOwnerName+SourceAMICreationDate+SourceAMITags+build"`
	RunVolumeTags map[string]string `json:"run_volume_tags,omitempty" option:"late=BuildRegion+SourceAMI+SourceAMIName+SourceAMIOwner+SourceAMIOwnerName+SourceAMICreationDate+SourceAMITags+build"`
	RunVolumeTag  []VolumeTag       `json:"run_volume_tag,omitempty" option:"late=BuildRegion+SourceAMI+SourceAMIName+SourceAMIOwner+SourceAMIOwnerName+SourceAMICreationDate+SourceAMITags+build"`

	// MaxLifetime lets the instance shut down and terminate itself at that age.
	MaxLifetime time.Duration `json:"max_lifetime,omitempty"`
}

// volumeTags are the tags of the instance's volumes, with the blocks beside them.
func (m MachineOptions) volumeTags() map[string]string {
	blocks := map[string]string{}
	for _, b := range m.RunVolumeTag {
		blocks[b.Key+b.Name] = b.Value
	}
	return over(m.RunVolumeTags, blocks)
}

// Metadata configures the instance metadata service.
type Metadata struct {
	HTTPEndpoint string `json:"http_endpoint,omitempty"` // enabled or disabled
	HTTPTokens   string `json:"http_tokens,omitempty"`   // optional or required
	HopLimit     int    `json:"http_put_response_hop_limit,omitempty"`
	Tags         string `json:"instance_metadata_tags,omitempty"` // enabled or disabled
}

// License is one block license_specifications.
type License struct {
	Request LicenseRequest `json:"license_configuration_request"`
}

// LicenseRequest names a License Manager configuration.
type LicenseRequest struct {
	ARN string `json:"license_configuration_arn,omitempty"`
}

// Placement says on what hardware the instance runs.
type Placement struct {
	Tenancy              string `json:"tenancy,omitempty"` // default, dedicated or host
	HostID               string `json:"host_id,omitempty"`
	HostResourceGroupARN string `json:"host_resource_group_arn,omitempty"`
}

// BlockDevice is one volume of the instance or of the image.
type BlockDevice struct {
	DeviceName          string `json:"device_name,omitempty"`
	DeleteOnTermination *bool  `json:"delete_on_termination,omitempty"` // unset is true at launch
	Encrypted           *bool  `json:"encrypted,omitempty"`
	KMSKeyID            string `json:"kms_key_id,omitempty"`
	IOPS                int    `json:"iops,omitempty"`
	Throughput          int    `json:"throughput,omitempty"` // MiB/s
	VolumeType          string `json:"volume_type,omitempty"`
	VolumeSize          int    `json:"volume_size,omitempty"` // GiB
	SnapshotID          string `json:"snapshot_id,omitempty"`
	VirtualName         string `json:"virtual_name,omitempty"`
	NoDevice            bool   `json:"no_device,omitempty"`
}

// SpotOptions are the options of spot instances.
type SpotOptions struct {
	Price              string            `json:"spot_price,omitempty" option:"unsupported,off=0"`
	InstanceTypes      []string          `json:"spot_instance_types,omitempty" option:"unsupported"`
	AllocationStrategy string            `json:"spot_allocation_strategy,omitempty" option:"unsupported"`
	SpotTags           map[string]string `json:"spot_tags,omitempty" option:"unsupported"`
	SpotTag            []KeyValue        `json:"spot_tag,omitempty" option:"unsupported"`
	FleetTags          map[string]string `json:"fleet_tags,omitempty" option:"unsupported"`
	FleetTag           []KeyValue        `json:"fleet_tag,omitempty" option:"unsupported"`
	BlockDuration      int               `json:"block_duration_minutes,omitempty" option:"unsupported"`
	PriceAutoProduct   string            `json:"spot_price_auto_product,omitempty" option:"unsupported"`
}

// ProfileOptions are the options of instance profiles that are not part of the
// launch itself.
type ProfileOptions struct {
	SkipProfileValidation bool         `json:"skip_profile_validation,omitempty"` // accepted: the launch itself tells
	TemporaryPolicy       PolicyRecord `json:"temporary_iam_instance_profile_policy_document,omitzero" option:"unsupported"`
}

// PolicyRecord is an IAM policy.
type PolicyRecord struct {
	Version   string            `json:"Version,omitempty"`
	Statement []PolicyStatement `json:"Statement,omitempty"`
}

// PolicyStatement is one statement of an IAM policy.
type PolicyStatement struct {
	Effect   string   `json:"Effect,omitempty"`
	Action   []string `json:"Action,omitempty"`
	Resource []string `json:"Resource,omitempty"`
}
