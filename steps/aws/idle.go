package aws

import (
	"slices"
	"strings"

	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// checkIdle tells of options of the instance that have no effect beside the others.
func (b *EBS) checkIdle(f *optionErrors) {
	idle := func(field, why string) {
		wrong := func(e steps.OptionError) bool { return e.Field == field || strings.HasPrefix(e.Field, field+"[") }
		if !slices.ContainsFunc(f.OptionErrors, wrong) { // one slip is told once
			f.Idle(field, "%s", why)
		}
	}
	var used []string
	if b.askPassword() {
		used = append(used, "ssh_private_key_file") // decrypts the password
	}
	comm.CheckUnused(f, b.protocol(), b.SSH, b.WinRM, used...)
	if b.ReachOptions.Pause > 0 && b.protocol() == "none" {
		idle("pause_before_connecting", "with the communicator none nobody connects")
	}
	if b.PasswordTimeout > 0 && !b.askPassword() {
		idle("windows_password_timeout", "no password of Windows is asked for")
	}
	if !b.temporaryKey() {
		if b.TemporaryKeyName != "" {
			idle("temporary_key_pair_name", "no temporary key pair is made")
		}
		if b.TemporaryKeyType != "" {
			idle("temporary_key_pair_type", "no temporary key pair is made")
		}
	}
	why := ""
	switch {
	case !b.temporaryGroup():
		why = "no temporary security group is made"
	case b.bySession():
		why = "the machine is reached through Session Manager, so the temporary security group admits nobody"
	}
	if why != "" && len(b.SourceCIDRs) > 0 {
		idle("temporary_security_group_source_cidrs", why)
	}
	switch {
	case !b.SourcePublicIP:
	case why != "":
		idle("temporary_security_group_source_public_ip", why)
	case len(b.cidrs()) > 0:
		idle("temporary_security_group_source_public_ip", "what the group admits is said already")
	}
	switch {
	case b.VPCFilter.empty():
	case b.VPC != "":
		idle("vpc_filter", "vpc_id names the VPC")
	case b.Subnet != "":
		idle("vpc_filter", "subnet_id names a subnet, which says in which VPC")
	}
	if s := b.SubnetFilter; b.Subnet != "" && (!s.empty() || s.MostFree || s.Random) {
		idle("subnet_filter", "subnet_id names the subnet")
	}
	if b.SkipRunTags && len(b.RunTags)+len(b.RunTag) == 0 {
		idle("skip_ami_run_tags", "there are no run_tags")
	}
}

// checkSkipped tells in one line what is only for an image that is not made: a template is often
// tried so.
func (b *EBS) checkSkipped(f *optionErrors) {
	if !b.SkipCreateAMI {
		return
	}
	var idle []string
	for _, o := range []struct {
		name  string
		given bool
	}{
		{"ami_description", b.AMIDescription != ""}, {"ami_regions", len(b.AMIRegions) > 0}, {"tags", len(b.Tags)+len(b.Tag) > 0}, {"snapshot_tags", len(b.SnapshotTags)+len(b.SnapshotTag) > 0},
		{"ami_users", len(b.Users) > 0}, {"ami_groups", len(b.Groups) > 0}, {"ami_org_arns", len(b.OrgARNs) > 0}, {"ami_ou_arns", len(b.OUARNs) > 0}, {"ami_product_codes", len(b.ProductCodes) > 0},
		{"snapshot_users", len(b.SnapshotUsers) > 0}, {"snapshot_groups", len(b.SnapshotGroups) > 0}, {"region_kms_key_ids", len(b.RegionKMSKeyIDs) > 0}, {"imds_support", b.IMDSSupport != ""},
		{"deprecate_at", b.DeprecateAt != ""}, {"deregistration_protection", b.Protection != Protection{}}, {"force_deregister", b.ForceDeregister}, {"ami_block_device_mappings", len(b.AMIMappings) > 0},
	} {
		if o.given {
			idle = append(idle, o.name)
		}
	}
	if len(idle) > 0 {
		f.Doubt("skip_create_ami", "no image is made, so these have no effect: %s", strings.Join(idle, ", "))
	}
}
