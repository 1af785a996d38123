package aws

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// InstanceOptions are the options of all builders that launch an instance and have it
// provisioned.
type InstanceOptions struct {
	Access
	SourceOptions
	MachineOptions
	SpotOptions
	ProfileOptions
	NetworkOptions
	GroupOptions
	KeyOptions
	ReachOptions
	PasswordOptions
	comm.SSH
	comm.WinRM
}

// SourceOptions are the options that choose the image to begin from.
type SourceOptions struct {
	// The id of the image to begin from; it or `source_ami_filter` has to be given.
	SourceAMI dag.Text `json:"source_ami,omitempty" option:"results"`
	// Looks for the image to begin from. Default: the image of `source_ami`.
	Filter SourceFilter `json:"source_ami_filter,omitzero"`
}

// SourceFilter chooses an image by what it is. A filter's value may hold several,
// separated by commas.
type SourceFilter struct {
	// Filters of EC2's DescribeImages: a name of a filter, and values with commas between them. Default: none.
	Filters map[string]string `json:"filters,omitempty"`
	// Who may own the image: ids of accounts, or words such as self and amazon. It has to be given unless an image is
	// named by its id.
	Owners []string `json:"owners,omitempty"`
	// Takes the newest of several images; otherwise several are an error. Default: `false`.
	MostRecent bool `json:"most_recent,omitempty"`
	// Looks at deprecated images, too. Default: `false`.
	IncludeDeprecated bool `json:"include_deprecated,omitempty"`
}

// MachineOptions are the options that go into the launch as they are.
type MachineOptions struct {
	// The type of the instance, such as t3.micro. It, `instance_types` or `spot_instance_types` has to be given.
	InstanceType string `json:"instance_type,omitempty"`
	// Types of which the instance may be, in place of `instance_type`: where EC2 has no room for one, the next is
	// tried. Default: none.
	InstanceTypes []string `json:"instance_types,omitempty"`
	// What the processors of the instance are to be. Default: those of the type.
	CPU CPUOptions `json:"cpu_options,omitzero"`
	// Gives the instance bandwidth of its own to its volumes. Default: `false`.
	EBSOptimized bool `json:"ebs_optimized,omitempty"`
	// Makes Nitro Enclaves possible on the instance. Default: `false`.
	NitroEnclave bool `json:"enable_nitro_enclave,omitempty"`
	// Lets a burstable instance use more processor time than it has earned, at a price. Default: `false`.
	UnlimitedCredits bool `json:"enable_unlimited_credits,omitempty"`
	// The older name of `enable_unlimited_credits`, which does the same. Default: `false`.
	T2Unlimited bool `json:"enable_t2_unlimited,omitempty"`
	// What becomes of the instance when it shuts itself down: `stop` or `terminate`. Default: EC2's, which is stop;
	// terminate with `max_lifetime`.
	ShutdownBehavior string `json:"shutdown_behavior,omitempty"`
	// The name of an instance profile that exists, whose role the instance has. Default: none.
	InstanceProfile string `json:"iam_instance_profile,omitempty"`
	// Text that the instance gets at its first boot. Default: what imgflow itself needs.
	UserData string `json:"user_data,omitempty"`
	// A file with the user data, in place of `user_data`. Default: none.
	UserDataFile steps.File `json:"user_data_file,omitzero"`
	// Hides the instance stores that Windows images declare, xvdca to xvdcz. Default: `false`.
	NoEphemeral bool `json:"no_ephemeral,omitempty"`
	// How the instance is told about itself, by the instance metadata service. Default: EC2's.
	Metadata Metadata `json:"metadata_options,omitzero"`
	// A configuration of License Manager, as a block that may be repeated.
	Licenses []License `json:"license_specifications,omitempty"`
	// Whether the instance may use a capacity reservation: `open` or `none`. Default: EC2's.
	CapacityPreference string `json:"capacity_reservation_preference,omitempty"`
	// The id of the capacity reservation that the instance uses. Default: none.
	CapacityID string `json:"capacity_reservation_id,omitempty"`
	// The ARN of a resource group of capacity reservations that the instance uses. Default: none.
	CapacityGroupARN string `json:"capacity_reservation_group_arn,omitempty"`
	// On what hardware the instance runs. Default: shared hardware.
	Placement Placement `json:"placement,omitzero"`
	// The older place of `placement.tenancy`, which means the same. Default: none.
	Tenancy string `json:"tenancy,omitempty"`
	// The volumes of the instance, in place of those that the source image names alike. Default: those of the source
	// image.
	LaunchMappings []BlockDevice `json:"launch_block_device_mappings,omitempty"`

	// What the root volume is to be while the image is built, such as a faster one, as snapshots of it are made faster,
	// too. The image's own stays as `launch_block_device_mappings` or the source image has it. Default: the same.
	BuilderVolume BuilderVolume `json:"builder_volume,omitzero"`

	// Tags of the instance and all else that is made for the build, and of the image unless `skip_ami_run_tags` is
	// set. Default: none.
	RunTags map[dag.Text]dag.Text `json:"run_tags,omitempty" option:"late=source+build"`
	// One tag as in `run_tags`, as a block that may be repeated.
	RunTag []KeyValue `json:"run_tag,omitempty" option:"late=source+build"`
	// Tags of the instance's volumes. Default: none.
	RunVolumeTags map[dag.Text]dag.Text `json:"run_volume_tags,omitempty" option:"late=source+build"`
	// One tag of the instance's volumes, as a block that may be repeated.
	RunVolumeTag []VolumeTag `json:"run_volume_tag,omitempty" option:"late=source+build"`

	// The age at which the instance terminates itself, a minute or more, should nobody remove it. Default: no such
	// age.
	MaxLifetime time.Duration `json:"max_lifetime,omitempty"`
}

// volumeTags are the tags of the instance's volumes, with those that the template has as blocks.
func (m MachineOptions) volumeTags() map[dag.Text]dag.Text {
	blocks := map[dag.Text]dag.Text{}
	for _, b := range m.RunVolumeTag {
		blocks[b.Key+b.Name] = b.Value
	}
	return mergeTags(m.RunVolumeTags, blocks)
}

// CPUOptions say what the processors of an instance are to be.
type CPUOptions struct {
	// How many cores the instance has; with `threads_per_core`. Default: those of the type.
	Cores int `json:"core_count,omitempty"`
	// How many threads each core has; with `core_count`. Default: those of the type.
	Threads int `json:"threads_per_core,omitempty"`
	// Whether the memory is encrypted by AMD SEV-SNP: `enabled` or `disabled`. Default: EC2's.
	SevSnp string `json:"amd_sev_snp,omitempty"`
	// Whether the instance can run virtual machines: `enabled` or `disabled`. Default: EC2's.
	Nested string `json:"nested_virtualization,omitempty"`
}

// Metadata configures the instance metadata service.
type Metadata struct {
	// Whether the metadata service answers: `enabled` or `disabled`. Default: EC2's.
	HTTPEndpoint string `json:"http_endpoint,omitempty"`
	// Whether a token, that is IMDSv2, is `optional` or `required`. Default: EC2's.
	HTTPTokens string `json:"http_tokens,omitempty"`
	// How many hops an answer with a token may travel, from 1 to 64. Default: EC2's.
	HopLimit int `json:"http_put_response_hop_limit,omitempty"`
	// Whether the instance sees its tags there: `enabled` or `disabled`. Default: EC2's.
	Tags string `json:"instance_metadata_tags,omitempty"`
}

// License is one block license_specifications.
type License struct {
	// Names the configuration.
	Request LicenseRequest `json:"license_configuration_request"`
}

// LicenseRequest names a License Manager configuration.
type LicenseRequest struct {
	// The ARN of the License Manager configuration.
	ARN string `json:"license_configuration_arn,omitempty"`
}

// Placement says on what hardware the instance runs.
type Placement struct {
	// Whose hardware it is: `default`, `dedicated` or `host`. Default: EC2's.
	Tenancy string `json:"tenancy,omitempty"`
	// The id of the dedicated host that the instance runs on. Default: none.
	HostID string `json:"host_id,omitempty"`
	// The ARN of the group of dedicated hosts that the instance runs on. Default: none.
	HostResourceGroupARN string `json:"host_resource_group_arn,omitempty"`
}

// BlockDevice is one volume of the instance or of the image.
type BlockDevice struct {
	// The device under which the machine sees the volume, such as /dev/xvda. It has to be given.
	DeviceName string `json:"device_name,omitempty"`
	// Whether the volume goes with the instance. Default: true for the instance that is launched, false
	// in `ebs_volumes`, EC2's for the image.
	DeleteOnTermination *bool `json:"delete_on_termination,omitempty"`
	// Whether the volume is encrypted. Default: that of the snapshot, or the account's.
	Encrypted *bool `json:"encrypted,omitempty"`
	// The KMS key that the volume is encrypted with. Default: the account's.
	KMSKeyID string `json:"kms_key_id,omitempty"`
	// How many operations a second the volume promises; for io1, io2 and gp3. Default: EC2's.
	IOPS int `json:"iops,omitempty"`
	// How many MiB a second the volume promises; for gp3. Default: EC2's.
	Throughput int `json:"throughput,omitempty"`
	// The type of the volume: gp2, gp3, io1, io2, st1, sc1 or standard. Default: EC2's.
	VolumeType string `json:"volume_type,omitempty"`
	// The size of the volume in GiB. Default: that of the snapshot.
	VolumeSize int `json:"volume_size,omitempty"`
	// The id of the snapshot that the volume begins as. Default: none.
	SnapshotID string `json:"snapshot_id,omitempty"`
	// The name of an instance store, such as ephemeral0, in place of a volume. Default: none.
	VirtualName string `json:"virtual_name,omitempty"`
	// Leaves out the device that the source image has there. Default: `false`.
	NoDevice bool `json:"no_device,omitempty"`
}

// BuilderVolume is a volume that only the build has.
type BuilderVolume struct {
	// The type of the volume: gp3, io1 or io2. It has to be given.
	VolumeType string `json:"volume_type,omitempty"`
	// How many operations a second the volume promises. Default: EC2's; io1 and io2 have none.
	IOPS int `json:"iops,omitempty"`
	// How many MiB a second the volume promises; for gp3. Default: EC2's.
	Throughput int `json:"throughput,omitempty"`
}

func (v BuilderVolume) given() bool { return v != BuilderVolume{} }

// put has a volume be of that kind.
func (v BuilderVolume) put(on *types.EbsBlockDevice) {
	of := BlockDevice{VolumeType: v.VolumeType, IOPS: v.IOPS, Throughput: v.Throughput}.mapping().Ebs
	on.VolumeType, on.Iops, on.Throughput = of.VolumeType, of.Iops, of.Throughput
}

// SpotOptions are the options of spot instances.
type SpotOptions struct {
	// Asks for a spot instance, and is the most to pay for an hour of it, in US dollars; `auto` is the price on demand.
	// Default: no spot instance.
	Price string `json:"spot_price,omitempty"`
	// Types of which a spot instance may be, in place of `instance_type`: where EC2 has no room for one, the next is
	// tried. Default: none.
	SpotTypes []string `json:"spot_instance_types,omitempty"`
	// In which order the types and zones of spot instances are tried: by today's price with `lowest-price` and
	// `price-capacity-optimized`, as they are given with `capacity-optimized`, `capacity-optimized-prioritized` and
	// `diversified`. Default: as they are given.
	AllocationStrategy string `json:"spot_allocation_strategy,omitempty"`
	// Takes an instance on demand where no spot instance is to be had. Default: `false`.
	OnDemand bool `json:"spot_on_demand_fallback,omitempty"`
	// Tags of the request for spot instances. Default: none.
	SpotTags map[dag.Text]dag.Text `json:"spot_tags,omitempty" option:"late=source+build"`
	// One tag of the request for spot instances, as a block that may be repeated.
	SpotTag []KeyValue `json:"spot_tag,omitempty" option:"late=source+build"`
	// Accepted and without effect: spot instances are asked for without a fleet. Default: none.
	FleetTags map[string]string `json:"fleet_tags,omitempty"`
	// Accepted and without effect, as `fleet_tags`.
	FleetTag []KeyValue `json:"fleet_tag,omitempty"`
	// Accepted and without effect: EC2 has no spot instances for a fixed time any more. Default: none.
	BlockDuration int `json:"block_duration_minutes,omitempty"`
	// Accepted and without effect: `auto` is the price of the instance that is launched. Default: none.
	PriceAutoProduct string `json:"spot_price_auto_product,omitempty"`
}

// ProfileOptions are the options of instance profiles that are not part of the
// launch itself.
type ProfileOptions struct {
	// Accepted and without effect: the launch itself tells whether the instance profile is there. Default: `false`.
	SkipProfileValidation bool `json:"skip_profile_validation,omitempty"`
	// What the instance may call of AWS: a role with this policy, and an instance profile with it, are made for the build and
	// removed after it. It has no effect with `iam_instance_profile`. Default: none.
	TemporaryPolicy PolicyRecord `json:"temporary_iam_instance_profile_policy_document,omitzero"`
}

// PolicyRecord is an IAM policy.
type PolicyRecord struct {
	// The version of the policy's language, such as 2012-10-17.
	Version string `json:"Version,omitempty"`
	// The statements of the policy, as a block that may be repeated.
	Statement []PolicyStatement `json:"Statement,omitempty"`
}

// PolicyStatement is one statement of an IAM policy.
type PolicyStatement struct {
	// What the statement does, `Allow` or `Deny`.
	Effect string `json:"Effect,omitempty"`
	// The calls that the statement is about, such as s3:GetObject.
	Action []string `json:"Action,omitempty"`
	// The ARNs of what the statement is about.
	Resource []string `json:"Resource,omitempty"`
}
