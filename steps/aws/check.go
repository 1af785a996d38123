package aws

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
)

// optionErrors gathers what is wrong with options.
type optionErrors struct {
	steps.OptionErrors
	final bool // nothing is left to be known of any text
}

// unknown reports whether a text is not known yet: it holds a sensitive value or
// waits for the source image.
func (f *optionErrors) unknown(text string) bool { return !f.final && unknown(text) }

// oneOf refuses a text that is given and not among the allowed ones.
func (f *optionErrors) oneOf(field, value string, allowed ...string) {
	if value != "" && !slices.Contains(allowed, value) {
		f.Add(field, "%q is not known; use %s", value, strings.Join(allowed, ", "))
	}
}

// exclusive refuses the second of two options that are both given.
func (f *optionErrors) exclusive(field string, given bool, other string, otherGiven bool) {
	if given && otherGiven {
		f.Add(field, "cannot be used together with %s", other)
	}
}

// Check reports everything that is wrong with the options by themselves, without
// calling anybody.
func (b *EBS) Check() []steps.OptionError {
	var f optionErrors
	b.checkInstance(&f)
	b.checkImage(&f)
	b.checkMappings(&f)
	b.checkSkipped(&f)
	return f.OptionErrors
}

// checkInstance looks at what all builders have that launch an instance, but for its volumes.
func (b *EBS) checkInstance(f *optionErrors) {
	f.OptionErrors = append(f.OptionErrors, b.Access.optionErrors()...)
	b.checkSource(f)
	b.checkMachine(f)
	b.checkNetwork(f)
	b.checkReach(f)
	b.checkIdle(f)
}

func (b *EBS) checkSource(f *optionErrors) {
	switch {
	case b.SourceAMI == "" && len(b.Filter.Filters) == 0 && len(b.Filter.Owners) == 0:
		f.Add("source_ami", "must be set, or source_ami_filter")
	case b.SourceAMI == "" && len(b.Filter.Owners) == 0:
		f.Add("source_ami_filter.owners", "must be set, such as self or an account: an image of that name by anybody could be chosen otherwise")
	}
	f.given("source_ami", string(b.SourceAMI), func(id string) string { return wrongID("ami", id) })
	f.each("source_ami_filter.owners", b.Filter.Owners, wrongOwner)
}

func (b *EBS) checkMachine(f *optionErrors) {
	b.checkTypes(f)
	f.given("iam_instance_profile", b.InstanceProfile, wrongProfile)
	b.checkPolicy(f)
	b.checkSpot(f)
	b.checkCPU(f)
	f.oneOf("shutdown_behavior", b.ShutdownBehavior, "stop", "terminate")
	f.exclusive("user_data_file", b.UserDataFile.Path != "", "user_data", b.UserData != "")
	b.checkUserData(f)
	f.oneOf("metadata_options.http_endpoint", b.Metadata.HTTPEndpoint, "enabled", "disabled")
	f.oneOf("metadata_options.http_tokens", b.Metadata.HTTPTokens, "optional", "required")
	f.oneOf("metadata_options.instance_metadata_tags", b.Metadata.Tags, "enabled", "disabled")
	if n := b.Metadata.HopLimit; n < 0 || n > 64 {
		f.Add("metadata_options.http_put_response_hop_limit", "must be from 1 to 64")
	}
	if m := b.Metadata; m.HTTPEndpoint == "disabled" && (m.HTTPTokens != "" || m.HopLimit != 0) {
		f.Add("metadata_options.http_endpoint", "cannot be disabled where http_tokens or http_put_response_hop_limit is given")
	}
	f.oneOf("capacity_reservation_preference", b.CapacityPreference, "none", "open", "capacity-reservations-only")
	f.exclusive("capacity_reservation_id", b.CapacityID != "", "capacity_reservation_preference", b.CapacityPreference != "")
	f.exclusive("capacity_reservation_group_arn", b.CapacityGroupARN != "", "capacity_reservation_preference", b.CapacityPreference != "")
	f.exclusive("capacity_reservation_group_arn", b.CapacityGroupARN != "", "capacity_reservation_id", b.CapacityID != "")
	f.given("capacity_reservation_id", b.CapacityID, func(id string) string { return wrongID("cr", id) })
	f.given("capacity_reservation_group_arn", b.CapacityGroupARN, wrongARN)
	p := b.Placement
	f.given("placement.host_id", p.HostID, func(id string) string { return wrongID("h", id) })
	f.given("placement.host_resource_group_arn", p.HostResourceGroupARN, wrongARN)
	f.oneOf("placement.tenancy", p.Tenancy, "default", "dedicated", "host")
	f.oneOf("tenancy", b.Tenancy, "default", "dedicated", "host")
	f.exclusive("tenancy", b.Tenancy != "", "placement.tenancy", p.Tenancy != "")
	f.exclusive("placement.host_id", p.HostID != "", "placement.host_resource_group_arn", p.HostResourceGroupARN != "")
	tenancy := p.Tenancy + b.Tenancy
	if (p.HostID != "" || p.HostResourceGroupARN != "") && tenancy != "" && tenancy != "host" {
		f.Add("placement.tenancy", "must be host where a host is named")
	}
	for i, l := range b.Licenses {
		at := fmt.Sprintf("license_specifications[%d].license_configuration_request.license_configuration_arn", i)
		if l.Request.ARN == "" {
			f.Add(at, "must be set")
		}
		f.given(at, l.Request.ARN, wrongARN)
	}
	if b.DisableStop && b.SSH.ClearAuthorizedKeys && b.protocol() == "ssh" {
		f.Doubt("ssh_clear_authorized_keys", "with disable_stop_instance a script stops the machine, and the key is removed after it: have it stop a while later, as `shutdown -h +1` does")
	}
	switch {
	case b.MaxLifetime < 0:
		f.Add("max_lifetime", "cannot be negative")
	case b.MaxLifetime > 0 && b.MaxLifetime < time.Minute:
		f.Add("max_lifetime", "must be a minute at least")
	case b.MaxLifetime > 0 && b.DisableStop:
		f.Add("max_lifetime", "cannot be used together with disable_stop_instance: the instance would end instead of stopping")
	case b.MaxLifetime > 0 && b.ShutdownBehavior == "stop":
		f.Add("max_lifetime", "cannot be used together with shutdown_behavior stop: the instance would not end")
	}
}

func (b *EBS) checkNetwork(f *optionErrors) {
	if !b.elsewhere() {
		f.given("region", b.Access.Region, wrongRegion)
		f.given("availability_zone", b.AvailabilityZone, func(zone string) string { return wrongZone(zone, b.Access.Region) })
	}
	f.given("vpc_id", b.VPC, func(id string) string { return wrongID("vpc", id) })
	f.given("subnet_id", b.Subnet, func(id string) string { return wrongID("subnet", id) })
	group := func(id string) string { return wrongID("sg", id) }
	f.given("security_group_id", b.GroupID, group)
	f.each("security_group_ids", b.GroupIDs, group)
	f.given("ssh_keypair_name", b.KeyPairName, wrongKeyName)
	f.given("temporary_key_pair_name", b.TemporaryKeyName, wrongKeyName)
	f.exclusive("security_group_id", b.GroupID != "", "security_group_ids", len(b.GroupIDs) > 0)
	for i, c := range b.SourceCIDRs {
		if _, err := netip.ParsePrefix(c); err != nil {
			f.Add(fmt.Sprintf("temporary_security_group_source_cidrs[%d]", i), "%q is not a block of addresses such as 192.0.2.0/24", c)
		}
	}
	blocks := func(field string, list []NameValue) {
		for i, n := range list {
			if n.Name == "" {
				f.Add(fmt.Sprintf("%s.filter[%d].name", field, i), "must be set")
			}
		}
	}
	blocks("vpc_filter", b.VPCFilter.Filter)
	blocks("subnet_filter", b.SubnetFilter.Filter.Filter)
	blocks("security_group_filter", b.GroupFilter.Filter)
}

func (b *EBS) checkReach(f *optionErrors) {
	f.oneOf("communicator", b.Communicator, "ssh", "winrm", "none")
	f.oneOf("ssh_interface", b.Interface, "public_ip", "private_ip", "public_dns", "private_dns", "ipv6", "session_manager", "instance_connect_endpoint")
	f.oneOf("temporary_key_pair_type", b.TemporaryKeyType, "rsa", "ed25519")
	switch n := b.TemporaryKeyBits; {
	case n == 0:
	case !b.temporaryKey():
		f.Idle("temporary_key_pair_bits", "no temporary key pair is made")
	case b.keyType() != "rsa":
		f.Idle("temporary_key_pair_bits", "unless temporary_key_pair_type is rsa the key is ed25519, which has one size")
	case n != 2048 && n != 4096:
		f.Add("temporary_key_pair_bits", "must be 2048 or 4096: EC2 imports rsa keys of no other sizes, but for 1024, which is not safe")
	}
	if b.PasswordTimeout < 0 {
		f.Add("windows_password_timeout", "cannot be negative")
	}
	if b.ReachOptions.Pause < 0 {
		f.Add("pause_before_connecting", "cannot be negative")
	}
	b.checkSession(f)
	b.checkTunnel(f)
	switch b.protocol() {
	case "ssh":
		b.SSH.Check(f)
		if b.HostKey == "preset" && b.hasUserData() {
			f.Add("ssh_host_key", "preset puts the key into user data, and the template has user data of its own: use console or first-use, or leave one of them out")
		}
		if b.KeyPairName != "" && b.SSH.PrivateKeyFile == "" && !b.SSH.AgentAuth {
			f.Add("ssh_keypair_name", "needs its private half: set ssh_private_key_file or ssh_agent_auth")
		}
	case "winrm":
		b.checkWinRM(f)
	}
}

// checkSession checks what Session Manager takes.
func (b *EBS) checkSession(f *optionErrors) {
	if b.SSMPort < 0 || b.SSMPort > 65535 {
		f.Add("session_manager_port", "%d is not a port number", b.SSMPort)
	}
	if b.PauseBeforeSSM < 0 {
		f.Add("pause_before_ssm", "cannot be negative")
	}
	if !b.bySession() {
		if b.SSMPort != 0 {
			f.Idle("session_manager_port", "without ssh_interface session_manager there is no session")
		}
		if b.PauseBeforeSSM != 0 {
			f.Idle("pause_before_ssm", "without ssh_interface session_manager there is no session")
		}
		return
	}
	if b.InstanceProfile == "" && !b.TemporaryPolicy.given() {
		f.Add("ssh_interface", "session_manager needs iam_instance_profile: the agent of the machine connects with its role, which needs the policy AmazonSSMManagedInstanceCore, or temporary_iam_instance_profile_policy_document with what is in that")
	}
	given := func(field, value string) {
		if value != "" {
			f.Add(field, "cannot be used together with ssh_interface session_manager: the machine is reached through Session Manager")
		}
	}
	if b.winrm() {
		given("winrm_host", b.WinRM.Host)
		return
	}
	given("ssh_host", b.SSH.Host)
	given("ssh_bastion_host", b.SSH.BastionHost)
	given("ssh_proxy_host", b.SSH.ProxyHost)
}

// checkTunnel checks what an EC2 Instance Connect Endpoint takes.
func (b *EBS) checkTunnel(f *optionErrors) {
	switch id := b.ConnectEndpoint; {
	case id != "" && !strings.HasPrefix(id, "eice-"):
		f.Add("instance_connect_endpoint_id", "%q is no id of an EC2 Instance Connect Endpoint, such as eice-0123456789abcdef0", id)
	case id != "" && !b.byTunnel():
		f.Idle("instance_connect_endpoint_id", "without ssh_interface instance_connect_endpoint there is no tunnel")
	}
	if !b.byTunnel() {
		return
	}
	if b.winrm() {
		f.Add("ssh_interface", "instance_connect_endpoint leads to no port of WinRM: AWS lets it lead to those of SSH and RDP only; session_manager leads there, too")
		return
	}
	if b.SSH.Port != 0 && b.SSH.Port != tunnelPort {
		f.Add("ssh_port", "must be %d with ssh_interface instance_connect_endpoint: AWS leads to no other port of SSH", tunnelPort)
	}
	for field, value := range map[string]string{"ssh_host": b.SSH.Host, "ssh_bastion_host": b.SSH.BastionHost, "ssh_proxy_host": b.SSH.ProxyHost} {
		if value != "" {
			f.Add(field, "cannot be used together with ssh_interface instance_connect_endpoint: the machine is reached through the endpoint")
		}
	}
}

func (b *EBS) checkWinRM(f *optionErrors) {
	b.WinRM.Check(f)
	if b.MaxLifetime > 0 {
		f.Add("max_lifetime", "cannot be used with the communicator winrm: a Windows instance cannot be told to end itself")
	}
	if !b.askPassword() {
		return
	}
	if b.TemporaryKeyType == "ed25519" {
		f.Add("temporary_key_pair_type", "must be rsa, or winrm_password be set: the password of Windows cannot be sealed with ed25519")
	}
	switch file := b.SSH.PrivateKeyFile; {
	case b.KeyPairName != "" && file == "":
		f.Add("ssh_keypair_name", "needs ssh_private_key_file to decrypt the password, or winrm_password")
	case b.KeyPairName == "" && file != "":
		f.Add("ssh_private_key_file", "needs ssh_keypair_name: the password is sealed for the key pair that the instance is launched with; without both, a temporary one is made")
	case file != "" && !strings.Contains(file, dag.MarkOpen):
		if _, err := rsaFile(file, ""); err != nil {
			f.Add("ssh_private_key_file", "%v", err)
		}
	}
}
