package aws

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/imgflow/imgflow/steps"
)

const (
	launchMappings = "launch_block_device_mappings"
	amiMappings    = "ami_block_device_mappings"
)

var (
	deviceNames  = regexp.MustCompile(`^(/dev/)?(sd|hd|xvd)[a-z]{1,2}([1-9]|1[0-5])?$`)
	virtualNames = regexp.MustCompile(`^ephemeral([0-9]|1[0-9]|2[0-3])$`)
)

func (b *EBS) checkMappings(f *optionErrors) {
	checkDevices(f, launchMappings, b.LaunchMappings, b.home())
	checkDevices(f, amiMappings, b.AMIMappings, "")
	b.checkBuilderVolume(f)
	launched := map[string]int{} // volumes of the launch, by device
	for i, d := range b.LaunchMappings {
		if d.volume() {
			launched[d.DeviceName] = i
		}
	}
	for i, d := range b.AMIMappings {
		at := func(field string) string { return fmt.Sprintf("%s[%d].%s", amiMappings, i, field) }
		n, there := launched[d.DeviceName]
		switch {
		case !d.volume() || d.DeviceName == "" || f.unknown(d.DeviceName):
		case there:
			checkAttached(f, at, d, b.LaunchMappings[n], fmt.Sprintf("%s[%d]", launchMappings, n))
		case d.VolumeSize == 0 && d.SnapshotID == "" && !rootName(d.DeviceName):
			f.Add(at("volume_size"), "must be set, or snapshot_id: no volume of the instance is known to be %s", d.DeviceName)
		}
	}
}

// checkBuilderVolume looks at what the root volume is to be while the image is built.
func (b *EBS) checkBuilderVolume(f *optionErrors) {
	v := b.BuilderVolume
	if !v.given() {
		return
	}
	at := func(field string) string { return "builder_volume." + field }
	if v.VolumeType == "" {
		f.Add(at("volume_type"), "must be set, such as gp3")
		return
	}
	f.oneOf(at("volume_type"), v.VolumeType, "gp3", "io1", "io2")
	d := BlockDevice{VolumeType: v.VolumeType, IOPS: v.IOPS, Throughput: v.Throughput}
	checkIOPS(f, at, d)
	checkThroughput(f, at, d)
}

// volume reports whether the block is about a volume, not about an instance store
// or about nothing.
func (d BlockDevice) volume() bool {
	return !d.NoDevice && !strings.HasPrefix(d.VirtualName, "ephemeral")
}

// untried doubts devices that guests of the embedded EC2 would have to have: of a guest, the root alone has content.
func untried(f *optionErrors, field, device string, volume bool) {
	if volume && !f.unknown(device) && !rootName(device) {
		f.Doubt(field, "a local run cannot try what is done with %s: its machines have no such device", shown(device))
	}
}

// Untried are the devices beside the root.
func (s *InstanceOptions) Untried() []steps.OptionError {
	var f optionErrors
	for i, d := range s.LaunchMappings {
		untried(&f, fmt.Sprintf("%s[%d].device_name", launchMappings, i), d.DeviceName, d.volume())
	}
	return f.OptionErrors
}

// rootName tells the names that root devices have.
func rootName(device string) bool {
	return slices.Contains([]string{"/dev/sda1", "/dev/sda", "/dev/xvda"}, device)
}

// checkAttached looks at what the image is to say of a volume that the instance
// has: its snapshot is that of the volume.
func checkAttached(f *optionErrors, at func(string) string, d, have BlockDevice, other string) {
	if d.SnapshotID != "" {
		f.Add(at("snapshot_id"), "cannot be given: %s is a volume of the instance, by %s, and its snapshot is made for the image", d.DeviceName, other)
	}
	if d.VolumeSize > 0 && d.VolumeSize < have.VolumeSize {
		f.Add(at("volume_size"), "must be at least the %d GiB that the volume has by %s", have.VolumeSize, other)
	}
	if d.Encrypted != nil && !*d.Encrypted && have.Encrypted != nil && *have.Encrypted {
		f.Add(at("encrypted"), "cannot be false: the volume is encrypted by %s", other)
	}
}

// checkDevices looks at blocks by themselves; region is that of their keys, "" if it is not known.
func checkDevices(f *optionErrors, option string, list []BlockDevice, region string) {
	first := map[string]int{}
	for i, d := range list {
		at := func(field string) string { return fmt.Sprintf("%s[%d].%s", option, i, field) }
		n, twice := first[d.DeviceName]
		switch {
		case d.DeviceName == "":
			f.Add(at("device_name"), "must be set")
		case f.unknown(d.DeviceName):
		case twice:
			f.Add(at("device_name"), "%s is given twice: it is in %s[%d], too", d.DeviceName, option, n)
		case !deviceNames.MatchString(d.DeviceName):
			f.Add(at("device_name"), "%s is no name of a device such as /dev/sdf or /dev/xvdf", shown(d.DeviceName))
		}
		if !twice {
			first[d.DeviceName] = i
		}
		checkDevice(f, at, option, d, region)
	}
}

func checkDevice(f *optionErrors, at func(string) string, option string, d BlockDevice, region string) {
	switch {
	case d.VirtualName == "" || d.NoDevice:
	case !strings.HasPrefix(d.VirtualName, "ephemeral"):
		f.Idle(at("virtual_name"), "only an instance store has one, from ephemeral0 to ephemeral23")
	case !virtualNames.MatchString(d.VirtualName):
		f.Add(at("virtual_name"), "%s is not known; use ephemeral0 to ephemeral23", shown(d.VirtualName))
	}
	if !d.volume() {
		return // the rest is not said
	}
	f.oneOf(at("volume_type"), d.VolumeType, "gp2", "gp3", "io1", "io2", "st1", "sc1", "standard")
	f.given(at("snapshot_id"), d.SnapshotID, func(id string) string { return wrongID("snap", id) })
	if d.KMSKeyID != "" {
		switch {
		case d.Encrypted != nil && !*d.Encrypted:
			f.Add(at("kms_key_id"), "cannot be used with encrypted = false")
		case option == amiMappings:
			f.Add(at("kms_key_id"), "is for launch_block_device_mappings only")
		default:
			f.key(at("kms_key_id"), d.KMSKeyID, region)
		}
	}
	checkSize(f, at, d)
	checkIOPS(f, at, d)
	checkThroughput(f, at, d)
}

// beyond tells of a value that is more than EC2 took when its limits were last read. It raises
// them now and then, so that EC2 decides.
func (f *optionErrors) beyond(field, most string) {
	f.Doubt(field, "EC2 took at most %s in %s, and may refuse it", most, limitsRead)
}

func checkSize(f *optionErrors, at func(string) string, d BlockDevice) {
	least, most, of := 1, 65536, "a volume"
	if t, known := volumeTypes[d.VolumeType]; known {
		least, most, of = t.least, t.most, d.VolumeType
	}
	switch n := d.VolumeSize; {
	case n == 0:
	case n < least:
		f.Add(at("volume_size"), "must be at least %d GiB for %s", least, of)
	case n > most:
		f.beyond(at("volume_size"), fmt.Sprintf("%d GiB for %s", most, of))
	}
}

func checkIOPS(f *optionErrors, at func(string) string, d BlockDevice) {
	t, known := volumeTypes[d.VolumeType]
	switch n := d.IOPS; {
	case n < 0:
		f.Add(at("iops"), "cannot be negative")
	case n == 0 && t.needsIOPS:
		f.Add(at("iops"), "must be set for %s, from %d to %d", d.VolumeType, t.leastIOPS, t.mostIOPS)
	case n == 0 || !known && d.VolumeType != "":
	case t.mostIOPS == 0:
		f.Idle(at("iops"), "only volumes of the types gp3, io1 and io2 have a choice of IOPS")
	case n < t.leastIOPS:
		f.Add(at("iops"), "must be at least %d for %s", t.leastIOPS, d.VolumeType)
	case n > t.mostIOPS:
		f.beyond(at("iops"), fmt.Sprintf("%d for %s", t.mostIOPS, d.VolumeType))
	case d.VolumeSize > 0 && n > max(t.perGiB*d.VolumeSize, freeIOPS(d.VolumeType)):
		f.beyond(at("iops"), fmt.Sprintf("%d for each GiB of %s: %d here", t.perGiB, d.VolumeType, t.perGiB*d.VolumeSize))
	}
}

// freeIOPS are those that every volume of a type has.
func freeIOPS(volumeType string) int {
	if volumeType == "gp3" {
		return 3000
	}
	return 0
}

func checkThroughput(f *optionErrors, at func(string) string, d BlockDevice) {
	switch n := d.Throughput; {
	case n == 0:
	case d.VolumeType != "gp3":
		f.Add(at("throughput"), "is for gp3 only")
	case n < leastThroughput:
		f.Add(at("throughput"), "must be at least %d MiB/s", leastThroughput)
	case n > mostThroughput:
		f.beyond(at("throughput"), fmt.Sprintf("%d MiB/s", mostThroughput))
	case n*iopsPerThroughput > max(d.IOPS, freeIOPS(d.VolumeType)):
		f.Add(at("throughput"), "needs %d IOPS for each MiB/s: set iops to %d", iopsPerThroughput, n*iopsPerThroughput)
	}
}
