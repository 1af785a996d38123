package aws

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/imgflow/imgflow/dag"
)

// EBS makes an image of an instance: it launches a source image, has the machine provisioned, stops it and makes the
// image, with copies in other regions if they are asked for.
//
// It is the builder amazon-ebs: every option that templates may give it, under the names that they use. An option
// tagged "unsupported" is known and refused; one tagged "late" may hold words that only the build can replace.
type EBS struct {
	InstanceOptions
	ImageOptions

	Force bool `json:"force,omitempty" option:"-"` // the flag -force: as if force_deregister were set

	cloud *Cloud
	place Place // since Prepare
	tests []test

	publishers []string // the accounts of the blocks publish, since Prepare
	owners     []string // and of the blocks accounts
}

// NewEBS returns options that are all unset, of a build in that cloud.
func NewEBS(c *Cloud) *EBS { return &EBS{cloud: c} }

func (b *EBS) force() bool { return b.ForceDeregister || b.Force }

// WithoutProduct is why post-processors have no effect.
func (b *EBS) WithoutProduct() string {
	if b.SkipCreateAMI {
		return "skip_create_ami makes no image"
	}
	return ""
}

func (b *EBS) needHVM() bool { return b.ENASupport != nil && *b.ENASupport || b.SriovSupport }

// needsRest reports whether something is set that only a stopped instance takes.
func (b *EBS) needsRest() bool { return b.ENASupport != nil || b.SriovSupport }

// protocol is the communicator, ssh by default.
func (b *EBS) protocol() string {
	if b.Communicator == "" {
		return "ssh"
	}
	return b.Communicator
}

func (b *EBS) winrm() bool { return b.protocol() == "winrm" }

func (m MachineOptions) hasUserData() bool { return m.UserData != "" || m.UserDataFile.Path != "" }

// askPassword reports whether the password is the one that the machine makes.
func (b *EBS) askPassword() bool { return b.winrm() && b.WinRM.Password == "" }

// user is who logs in.
func (b *EBS) user() string {
	if b.winrm() {
		return b.WinRM.Username
	}
	return b.SSH.Username
}

// port is what the communicator dials and the temporary group admits.
func (b *EBS) port() int {
	switch {
	case b.winrm() && b.WinRM.Port != 0:
		return b.WinRM.Port
	case b.winrm() && b.UseSSL:
		return 5986
	case b.winrm():
		return 5985
	case b.SSH.Port != 0:
		return b.SSH.Port
	}
	return 22
}

// admit opens the temporary group to whoever will reach the machine: at its
// private address if the template says so, or the machine gets no other.
func (b *EBS) admit(group dag.Out[SecurityGroup], n dag.Out[Network]) Admit {
	s := Admit{Group: group, Ports: []int{b.port()}, CIDRs: b.cidrs(), Insist: b.SourcePublicIP}
	switch {
	case b.SourcePublicIP || len(s.CIDRs) > 0:
	case strings.HasPrefix(b.Interface, "private_"):
		s.Inside = true
	case b.Interface != "":
	case b.PublicIP != nil:
		s.Inside = !*b.PublicIP
	default:
		s.Network = n
	}
	return s
}

// bySession reports whether the machine is reached through Session Manager.
func (b *EBS) bySession() bool { return b.Interface == "session_manager" && b.protocol() != "none" }

// byTunnel reports whether the machine is reached through an EC2 Instance Connect Endpoint.
func (b *EBS) byTunnel() bool {
	return b.Interface == "instance_connect_endpoint" && b.protocol() != "none"
}

// cidrs are those that may reach the machine; none is the caller alone. An IPv6
// caller cannot be told from outside, so every one is admitted.
func (b *EBS) cidrs() []string {
	if len(b.SourceCIDRs) == 0 && b.Interface == "ipv6" {
		return []string{anyIPv6}
	}
	return b.SourceCIDRs
}

// temporaryKey reports whether a key is made for this build.
func (b *EBS) temporaryKey() bool {
	if b.winrm() {
		return b.askPassword() && b.KeyPairName == ""
	}
	return b.protocol() == "ssh" && b.KeyPairName == "" && b.SSH.PrivateKeyFile == "" && b.SSH.Password == "" && !b.SSH.AgentAuth
}

// keyType is rsa for a password, which nothing else can seal.
func (b *EBS) keyType() string {
	if b.winrm() {
		return "rsa"
	}
	return b.TemporaryKeyType
}

// keyBits is a size that only rsa has: that of the keys which EC2 itself makes,
// which every Windows machine knows, or another that EC2 imports.
func (b *EBS) keyBits() int {
	switch {
	case b.keyType() != "rsa":
		return 0
	case b.TemporaryKeyBits == 0:
		return 2048
	}
	return b.TemporaryKeyBits
}

func (b *EBS) groupIDs() []string {
	if b.GroupID != "" {
		return []string{b.GroupID}
	}
	return b.GroupIDs
}

// temporaryGroup reports whether a group is made for this build.
func (b *EBS) temporaryGroup() bool {
	return b.protocol() != "none" && len(b.groupIDs()) == 0 && b.GroupFilter.empty()
}

// copyRegions are the regions that get a copy.
func (b *EBS) copyRegions() []string {
	rs := slices.Clone(b.AMIRegions)
	slices.Sort(rs)
	return slices.DeleteFunc(slices.Compact(rs), func(r string) bool { return r == b.place.Region })
}

// onlyCopies reports whether the image itself is there only to be copied.
func (b *EBS) onlyCopies() bool { return b.SkipSaveBuildRegion && !b.SkipCreateAMI }

// resultRegions are the regions in which an image stays.
func (b *EBS) resultRegions() []string {
	if b.onlyCopies() {
		return b.copyRegions()
	}
	return append([]string{b.place.Region}, b.copyRegions()...)
}

// imageTags are the tags of the image: its own over those of the run.
func (b *EBS) imageTags() map[dag.Text]dag.Text {
	own := withBlocks(b.Tags, b.Tag)
	if b.SkipRunTags {
		return own
	}
	run := withBlocks(b.RunTags, b.RunTag)
	maps.Copy(run, own)
	return run
}

// Prepare finds out where to build, in files and environment, and makes the access
// settings known to the cloud. The error says why the options cannot be built,
// though they are valid.
func (b *EBS) Prepare(ctx context.Context) error {
	if err := b.cloud.locate(ctx, &b.Access, &b.place); err != nil {
		return err
	}
	b.cloud.learn(b.place)
	b.locatePublishers()
	if b.onlyCopies() && len(b.copyRegions()) == 0 {
		return fmt.Errorf("no image would be left of a build in %s with skip_save_build_region: name another region in ami_regions", b.place.Region)
	}
	return b.locateAccounts()
}
