package aws

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// Encrypt has every volume of an instance encrypted, so that its image is, too, and no
// image that is not has to be made and copied.
type Encrypt struct {
	All bool   `json:"all,omitempty"`
	Key string `json:"key,omitempty"` // of KMS, where a volume has none of its own; "" is the account's own
}

// encrypt has a volume of a launch encrypted.
func (e Encrypt) encrypt(v *types.EbsBlockDevice) {
	if e.All {
		v.Encrypted = ptr(true)
		v.KmsKeyId = cmp.Or(v.KmsKeyId, optional(e.Key))
	}
}

// mappings are the volumes of the launch. Every volume ends with the instance
// unless the template says otherwise, whatever the source image says.
func (s Launch) mappings(source SourceImage) (ms []types.BlockDeviceMapping) {
	var named []string
	add := func(m types.BlockDeviceMapping) {
		if m.Ebs != nil {
			s.Encrypt.encrypt(m.Ebs)
		}
		if m.Ebs != nil && s.BuilderVolume.given() && text(m.DeviceName) == source.RootDevice {
			s.BuilderVolume.put(m.Ebs)
		}
		ms = append(ms, m)
	}
	for _, d := range s.LaunchMappings {
		named = append(named, d.DeviceName)
		m := d.mapping()
		if m.Ebs != nil && m.Ebs.DeleteOnTermination == nil {
			m.Ebs.DeleteOnTermination = ptr(true)
		}
		add(m)
	}
	for _, d := range source.Devices {
		leaves := slices.Contains(source.Leaves, d.Name)
		if slices.Contains(named, d.Name) || !leaves && !s.Encrypt.All && !(s.BuilderVolume.given() && d.Name == source.RootDevice) {
			continue
		}
		m := types.BlockDeviceMapping{DeviceName: ptr(d.Name), Ebs: &types.EbsBlockDevice{}}
		if leaves {
			m.Ebs.DeleteOnTermination = ptr(true)
		}
		add(m)
	}
	if s.NoEphemeral {
		ms = append(ms, noEphemeral()...)
	}
	return ms
}

// noEphemeral hides the instance stores that Windows images declare: xvdca to
// xvdcz.
func noEphemeral() (ms []types.BlockDeviceMapping) {
	for c := 'a'; c <= 'z'; c++ {
		ms = append(ms, types.BlockDeviceMapping{DeviceName: ptr(fmt.Sprintf("xvdc%c", c)), NoDevice: ptr("")})
	}
	return ms
}

// mapping puts one block of a template into EC2's form.
func (d BlockDevice) mapping() types.BlockDeviceMapping {
	m := types.BlockDeviceMapping{DeviceName: &d.DeviceName}
	switch {
	case d.NoDevice:
		m.NoDevice = ptr("")
		return m
	case strings.HasPrefix(d.VirtualName, "ephemeral"):
		m.VirtualName = &d.VirtualName
		return m
	}
	m.Ebs = &types.EbsBlockDevice{
		DeleteOnTermination: d.DeleteOnTermination, Encrypted: d.Encrypted, KmsKeyId: optional(d.KMSKeyID),
		SnapshotId: optional(d.SnapshotID), VolumeType: types.VolumeType(d.VolumeType),
	}
	if d.VolumeSize > 0 {
		m.Ebs.VolumeSize = ptr(int32(d.VolumeSize))
	}
	if d.IOPS > 0 && slices.Contains([]string{"io1", "io2", "gp3"}, d.VolumeType) {
		m.Ebs.Iops = ptr(int32(d.IOPS))
	}
	if d.Throughput > 0 {
		m.Ebs.Throughput = ptr(int32(d.Throughput))
	}
	return m
}
