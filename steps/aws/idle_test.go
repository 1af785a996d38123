package aws

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// What can have no effect is told, and nothing is refused for it; its value that means "off" is not told.
func TestIdleOptions(t *testing.T) {
	ssh := func(b *EBS) { b.Communicator, b.SSH.Username = "ssh", "u" }
	winrm := func(b *EBS) { b.Communicator, b.WinRM.Username, b.WinRM.Password = "winrm", "u", "p" }
	none := func(b *EBS) { b.Communicator = "none" }
	for _, c := range []struct {
		name string
		base func(*EBS)
		set  func(*EBS)
		idle string // the options that are told of
	}{
		{"SSH without a communicator", none, func(b *EBS) { b.SSH.Username, b.SSH.Timeout = "u", time.Minute }, "ssh_timeout ssh_username"},
		{"WinRM over SSH", ssh, func(b *EBS) { b.WinRM.UseSSL, b.WinRM.Insecure = true, true }, "winrm_insecure winrm_use_ssl"},
		{"SSH beside WinRM", winrm, func(b *EBS) { b.SSH.Pty, b.SSH.PrivateKeyFile = true, "key" }, "ssh_private_key_file ssh_pty"},
		{"a bastion's port", ssh, func(b *EBS) { b.SSH.BastionPort = 22 }, "ssh_bastion_port"},
		{"a pause for nobody", none, func(b *EBS) { b.ReachOptions.Pause = time.Second }, "pause_before_connecting"},
		{"a pause", ssh, func(b *EBS) { b.ReachOptions.Pause = time.Second }, ""},
		{"a password of Linux", ssh, func(b *EBS) { b.PasswordTimeout = time.Minute }, "windows_password_timeout"},
		{"a password that is known", winrm, func(b *EBS) { b.PasswordTimeout = time.Minute }, "windows_password_timeout"},
		{"a key that is not made", none, func(b *EBS) { b.TemporaryKeyName, b.TemporaryKeyType = "k", "rsa" }, "temporary_key_pair_name temporary_key_pair_type"},
		{"a key", ssh, func(b *EBS) { b.TemporaryKeyName, b.TemporaryKeyType = "k", "rsa" }, ""},
		{"an own group", ssh, func(b *EBS) {
			b.GroupID, b.SourceCIDRs, b.SourcePublicIP = "sg-0123456789abcdef0", []string{"10.0.0.0/8"}, true
		},
			"temporary_security_group_source_cidrs temporary_security_group_source_public_ip"},
		{"a session", ssh, func(b *EBS) {
			b.Interface, b.InstanceProfile, b.SourceCIDRs = "session_manager", "p", []string{"10.0.0.0/8"}
		}, "temporary_security_group_source_cidrs"},
		{"two ways to say it", ssh, func(b *EBS) { b.SourceCIDRs, b.SourcePublicIP = []string{"10.0.0.0/8"}, true }, "temporary_security_group_source_public_ip"},
		{"who may come", ssh, func(b *EBS) { b.SourceCIDRs = []string{"10.0.0.0/8"} }, ""},
		{"a VPC that is named", ssh, func(b *EBS) {
			b.VPC, b.VPCFilter = "vpc-0123456789abcdef0", Filter{Filters: map[string]string{"is-default": "true"}}
		}, "vpc_filter"},
		{"a subnet that is named", ssh, func(b *EBS) {
			b.Subnet, b.VPCFilter = "subnet-0123456789abcdef0", Filter{Filters: map[string]string{"is-default": "true"}}
			b.SubnetFilter.Random = true
		}, "subnet_filter vpc_filter"},
		{"no tags of the run", ssh, func(b *EBS) { b.SkipRunTags = true }, "skip_ami_run_tags"},
		{"tags of the run", ssh, func(b *EBS) { b.SkipRunTags, b.RunTag = true, []KeyValue{{Key: "a"}} }, ""},
		{"no image", ssh, func(b *EBS) {
			b.SkipCreateAMI, b.DeprecateAt, b.AMIRegions = true, "2030-01-01T00:00:00Z", []string{"eu-west-1"}
		}, "skip_create_ami"},
		{"off", none, func(b *EBS) { b.SSH.Ciphers, b.SourceCIDRs, b.SkipCreateAMI = []string{}, []string{}, true }, ""},
	} {
		b := template()
		c.base(b)
		c.set(b)
		var told []string
		for _, f := range b.Check() {
			if !f.Harmless {
				t.Errorf("%s is refused: %v", c.name, f)
			}
			told = append(told, f.Field)
		}
		slices.Sort(told)
		if got := strings.Join(told, " "); got != c.idle {
			t.Errorf("%s: told of %q, want %q", c.name, got, c.idle)
		}
	}
}
