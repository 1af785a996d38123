package aws

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/imgflow/imgflow/dag"
)

// faults gathers what is wrong with options.
type faults []dag.Fault

func (f *faults) add(field, format string, a ...any) {
	*f = append(*f, dag.Fault{Field: field, Text: fmt.Sprintf(format, a...)})
}

// idle tells of an option that has no effect: templates that hold one work, so it
// is no reason to refuse them.
func (f *faults) idle(field, why string) {
	*f = append(*f, dag.Fault{Field: field, Text: why, Harmless: true})
}

// oneOf refuses a text that is given and not among the allowed ones.
func (f *faults) oneOf(field, value string, allowed ...string) {
	if value != "" && !slices.Contains(allowed, value) {
		f.add(field, "%q is not known; use %s", value, strings.Join(allowed, ", "))
	}
}

// exclusive refuses the second of two options that are both given.
func (f *faults) exclusive(field string, given bool, other string, otherGiven bool) {
	if given && otherGiven {
		f.add(field, "cannot be used together with %s", other)
	}
}

// Check reports everything that is wrong with the options by themselves, without
// calling anybody.
func (b *EBS) Check() []dag.Fault {
	var f faults
	f = append(f, b.Access.faults()...)
	b.checkImage(&f)
	b.checkSource(&f)
	b.checkMachine(&f)
	checkMappings(&f, "launch_block_device_mappings", b.LaunchMappings)
	checkMappings(&f, "ami_block_device_mappings", b.AMIMappings)
	b.checkNetwork(&f)
	b.checkReach(&f)
	return f
}

var notInNames = regexp.MustCompile(`[^a-zA-Z0-9()\[\] ./\-'@_]`)

func (b *EBS) checkImage(f *faults) {
	switch name := b.AMIName; {
	case name == "":
		f.add("ami_name", "must be set: the name of the image")
	case strings.Contains(name, dag.MarkOpen): // its value is not known yet
	case len(name) < 3 || len(name) > 128:
		f.add("ami_name", "must have 3 to 128 characters, and has %d", len(name))
	case notInNames.MatchString(name):
		f.add("ami_name", "%q cannot be in the name of an image; use letters, digits, spaces and ( ) [ ] . / - ' @ _, or clean_resource_name", notInNames.FindString(name))
	}
	f.oneOf("ami_virtualization_type", b.VirtualizationType, "hvm", "paravirtual")
	if b.VirtualizationType == "paravirtual" && b.needHVM() {
		f.add("ami_virtualization_type", "must be hvm for ena_support and sriov_support")
	}
	f.oneOf("imds_support", b.IMDSSupport, "v2.0")
	if b.DeprecateAt != "" {
		if _, err := time.Parse(time.RFC3339, b.DeprecateAt); err != nil {
			f.add("deprecate_at", "%q is not a time; write it as 2030-01-02T15:04:05Z", b.DeprecateAt)
		}
	}
	if b.SnapshotCopyMinutes < 0 || b.SnapshotCopyMinutes%15 != 0 {
		f.add("snapshot_copy_duration_minutes", "must be a multiple of 15")
	}
	if b.ForceDeleteSnapshot && !b.ForceDeregister && !b.Force {
		f.idle("force_delete_snapshot", "there is no force_deregister")
	}
	for i, r := range b.AMIRegions {
		if strings.TrimSpace(r) == "" {
			f.add(fmt.Sprintf("ami_regions[%d]", i), "is empty")
		}
	}
	tags := func(field string, list []KeyValue) {
		for i, t := range list {
			if t.Key == "" {
				f.add(fmt.Sprintf("%s[%d].key", field, i), "must be set")
			}
		}
	}
	tags("tag", b.Tag)
	tags("snapshot_tag", b.SnapshotTag)
	tags("run_tag", b.RunTag)
	for i, t := range b.RunVolumeTag {
		if (t.Name == "") == (t.Key == "") {
			f.add(fmt.Sprintf("run_volume_tag[%d].name", i), "must be set, or key in its place")
		}
	}
}

func (b *EBS) checkSource(f *faults) {
	switch {
	case b.SourceAMI == "" && len(b.Filter.Filters) == 0 && len(b.Filter.Owners) == 0:
		f.add("source_ami", "must be set, or source_ami_filter")
	case b.SourceAMI == "" && len(b.Filter.Owners) == 0:
		f.add("source_ami_filter.owners", "must be set, such as self or an account: an image of that name by anybody could be chosen otherwise")
	}
}

func (b *EBS) checkMachine(f *faults) {
	if b.InstanceType == "" {
		f.add("instance_type", "must be set, such as t3.micro")
	}
	if b.NitroEnclave && (burstable(b.InstanceType) || strings.HasPrefix(b.InstanceType, "t1.")) {
		f.add("enable_nitro_enclave", "%s has no enclaves", b.InstanceType)
	}
	if (b.UnlimitedCredits || b.T2Unlimited) && !burstable(b.InstanceType) && b.InstanceType != "" {
		field := "enable_unlimited_credits"
		if b.T2Unlimited {
			field = "enable_t2_unlimited"
		}
		f.add(field, "%s has no CPU credits; only t2, t3, t3a and t4g have", b.InstanceType)
	}
	f.oneOf("shutdown_behavior", b.ShutdownBehavior, "stop", "terminate")
	f.exclusive("user_data_file", b.UserDataFile.Path != "", "user_data", b.UserData != "")
	f.oneOf("metadata_options.http_endpoint", b.Metadata.HTTPEndpoint, "enabled", "disabled")
	f.oneOf("metadata_options.http_tokens", b.Metadata.HTTPTokens, "optional", "required")
	f.oneOf("metadata_options.instance_metadata_tags", b.Metadata.Tags, "enabled", "disabled")
	if n := b.Metadata.HopLimit; n < 0 || n > 64 {
		f.add("metadata_options.http_put_response_hop_limit", "must be from 1 to 64")
	}
	f.oneOf("capacity_reservation_preference", b.CapacityPreference, "none", "open")
	f.exclusive("capacity_reservation_id", b.CapacityID != "", "capacity_reservation_preference", b.CapacityPreference != "")
	f.exclusive("capacity_reservation_group_arn", b.CapacityGroupARN != "", "capacity_reservation_preference", b.CapacityPreference != "")
	f.exclusive("capacity_reservation_group_arn", b.CapacityGroupARN != "", "capacity_reservation_id", b.CapacityID != "")
	p := b.Placement
	f.oneOf("placement.tenancy", p.Tenancy, "default", "dedicated", "host")
	f.oneOf("tenancy", b.Tenancy, "default", "dedicated", "host")
	f.exclusive("tenancy", b.Tenancy != "", "placement.tenancy", p.Tenancy != "")
	f.exclusive("placement.host_id", p.HostID != "", "placement.host_resource_group_arn", p.HostResourceGroupARN != "")
	tenancy := p.Tenancy + b.Tenancy
	if (p.HostID != "" || p.HostResourceGroupARN != "") && tenancy != "" && tenancy != "host" {
		f.add("placement.tenancy", "must be host where a host is named")
	}
	for i, l := range b.Licenses {
		if l.Request.ARN == "" {
			f.add(fmt.Sprintf("license_specifications[%d].license_configuration_request.license_configuration_arn", i), "must be set")
		}
	}
	switch {
	case b.MaxLifetime < 0:
		f.add("max_lifetime", "cannot be negative")
	case b.MaxLifetime > 0 && b.MaxLifetime < time.Minute:
		f.add("max_lifetime", "must be a minute at least")
	case b.MaxLifetime > 0 && b.DisableStop:
		f.add("max_lifetime", "cannot be used together with disable_stop_instance: the instance would end instead of stopping")
	case b.MaxLifetime > 0 && b.ShutdownBehavior == "stop":
		f.add("max_lifetime", "cannot be used together with shutdown_behavior stop: the instance would not end")
	}
}

func checkMappings(f *faults, option string, list []BlockDevice) {
	for i, d := range list {
		at := func(field string) string { return fmt.Sprintf("%s[%d].%s", option, i, field) }
		if d.DeviceName == "" {
			f.add(at("device_name"), "must be set")
		}
		f.oneOf(at("volume_type"), d.VolumeType, "gp2", "gp3", "io1", "io2", "st1", "sc1", "standard")
		if d.KMSKeyID != "" {
			switch {
			case d.Encrypted != nil && !*d.Encrypted:
				f.add(at("kms_key_id"), "cannot be used with encrypted = false")
			case option == "ami_block_device_mappings":
				f.add(at("kms_key_id"), "is for launch_block_device_mappings only")
			case !validKMSKey(d.KMSKeyID):
				f.add(at("kms_key_id"), "%q is not a key id, an alias/name or an ARN of a KMS key", d.KMSKeyID)
			}
		}
		checkIOPS(f, at, d)
		switch {
		case d.Throughput == 0:
		case d.VolumeType != "gp3":
			f.add(at("throughput"), "is for gp3 only")
		case d.Throughput < 125 || d.Throughput > 1000:
			f.add(at("throughput"), "must be from 125 to 1000 MiB/s")
		}
		if d.VolumeSize < 0 {
			f.add(at("volume_size"), "cannot be negative")
		}
	}
}

func checkIOPS(f *faults, at func(string) string, d BlockDevice) {
	least, most, ratio := 0, 0, 0
	switch d.VolumeType {
	case "gp3":
		least, most = 3000, 16000
	case "io1":
		least, most, ratio = 100, 64000, 50
	case "io2":
		least, most, ratio = 100, 64000, 500
	default:
		return
	}
	switch {
	case d.IOPS == 0:
	case d.IOPS < least || d.IOPS > most:
		f.add(at("iops"), "must be from %d to %d for %s", least, most, d.VolumeType)
	case ratio > 0 && d.VolumeSize > 0 && d.IOPS > ratio*d.VolumeSize:
		f.add(at("iops"), "must be at most %d for each GiB of %s: %d here", ratio, d.VolumeType, ratio*d.VolumeSize)
	}
}

var kmsKey = regexp.MustCompile(`^(arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(key/)?)?(alias/[a-zA-Z0-9:/_-]+|mrk-[0-9a-f]{32}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})$`)

func validKMSKey(s string) bool { return strings.Contains(s, dag.MarkOpen) || kmsKey.MatchString(s) }

func (b *EBS) checkNetwork(f *faults) {
	f.exclusive("security_group_id", b.GroupID != "", "security_group_ids", len(b.GroupIDs) > 0)
	for i, c := range b.SourceCIDRs {
		if _, err := netip.ParsePrefix(c); err != nil {
			f.add(fmt.Sprintf("temporary_security_group_source_cidrs[%d]", i), "%q is not a block of addresses such as 192.0.2.0/24", c)
		}
	}
	blocks := func(field string, list []NameValue) {
		for i, n := range list {
			if n.Name == "" {
				f.add(fmt.Sprintf("%s.filter[%d].name", field, i), "must be set")
			}
		}
	}
	blocks("vpc_filter", b.VPCFilter.Filter)
	blocks("subnet_filter", b.SubnetFilter.Filter.Filter)
	blocks("security_group_filter", b.GroupFilter.Filter)
}

func (b *EBS) checkReach(f *faults) {
	f.oneOf("communicator", b.Communicator, "ssh", "winrm", "none")
	f.oneOf("ssh_interface", b.Interface, "public_ip", "private_ip", "public_dns", "private_dns", "ipv6", "session_manager")
	f.oneOf("temporary_key_pair_type", b.TemporaryKeyType, "rsa", "ed25519")
	switch n := b.TemporaryKeyBits; {
	case n == 0:
	case !b.temporaryKey():
		f.idle("temporary_key_pair_bits", "no temporary key pair is made")
	case b.keyType() != "rsa":
		f.idle("temporary_key_pair_bits", "unless temporary_key_pair_type is rsa the key is ed25519, which has one size")
	case n != 2048 && n != 4096:
		f.add("temporary_key_pair_bits", "must be 2048 or 4096: EC2 imports rsa keys of no other sizes, but for 1024, which is not safe")
	}
	if b.PasswordTimeout < 0 {
		f.add("windows_password_timeout", "cannot be negative")
	}
	if b.ReachOptions.Pause < 0 {
		f.add("pause_before_connecting", "cannot be negative")
	}
	switch b.protocol() {
	case "ssh":
		*f = append(*f, b.SSH.Check()...)
		if b.KeyPairName != "" && b.SSH.PrivateKeyFile == "" && !b.SSH.AgentAuth {
			f.add("ssh_keypair_name", "needs its private half: set ssh_private_key_file or ssh_agent_auth")
		}
	case "winrm":
		b.checkWinRM(f)
	}
}

func (b *EBS) checkWinRM(f *faults) {
	*f = append(*f, b.WinRM.Check()...)
	if b.Interface == "session_manager" {
		f.add("ssh_interface", "session_manager needs the communicator ssh")
	}
	if b.MaxLifetime > 0 {
		f.add("max_lifetime", "cannot be used with the communicator winrm: a Windows instance cannot be told to end itself")
	}
	if !b.askPassword() {
		return
	}
	if b.TemporaryKeyType == "ed25519" {
		f.add("temporary_key_pair_type", "must be rsa, or winrm_password be set: the password of Windows cannot be sealed with ed25519")
	}
	switch file := b.SSH.PrivateKeyFile; {
	case b.KeyPairName != "" && file == "":
		f.add("ssh_keypair_name", "needs ssh_private_key_file to decrypt the password, or winrm_password")
	case b.KeyPairName == "" && file != "":
		f.add("ssh_private_key_file", "needs ssh_keypair_name: the password is sealed for the key pair that the instance is launched with; without both, a temporary one is made")
	case file != "" && !strings.Contains(file, dag.MarkOpen):
		if _, err := rsaFile(file); err != nil {
			f.add("ssh_private_key_file", "%v", err)
		}
	}
}
