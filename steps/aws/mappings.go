package aws

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// mappings are the volumes of the launch. Every volume ends with the instance
// unless the template says otherwise, whatever the source image says.
func (s Launch) mappings(source SourceImage) (ms []types.BlockDeviceMapping) {
	var named []string
	for _, d := range s.LaunchMappings {
		named = append(named, d.DeviceName)
		m := d.mapping()
		if m.Ebs != nil && m.Ebs.DeleteOnTermination == nil {
			m.Ebs.DeleteOnTermination = ptr(true)
		}
		ms = append(ms, m)
	}
	for _, name := range source.Leaves {
		if !slices.Contains(named, name) {
			ms = append(ms, types.BlockDeviceMapping{DeviceName: ptr(name), Ebs: &types.EbsBlockDevice{DeleteOnTermination: ptr(true)}})
		}
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
