package ec2local

import (
	"encoding/base64"
	"slices"

	"github.com/imgflow/imgflow/internal/ec2local/guest"
)

type ebsRequest struct {
	DeleteOnTermination *bool
	SnapshotId          string
	VolumeSize          *int
	VolumeType          string
	Iops                *int
	Throughput          *int
	Encrypted           *bool
	KmsKeyId            string
}

type mappingRequest struct {
	DeviceName  string
	VirtualName string
	NoDevice    *string
	Ebs         *ebsRequest
}

// deviceMappings lays what a request asks for over what there is: a device of
// the same name is changed, NoDevice takes it away, any other is added.
func (c *call) deviceMappings(have []mapping, asked []mappingRequest, root string) ([]mapping, error) {
	out := slices.Clone(have)
	seen := map[string]bool{}
	for _, a := range asked {
		if a.DeviceName == "" {
			return nil, missing("BlockDeviceMapping.DeviceName")
		}
		if seen[a.DeviceName] {
			return nil, fail("InvalidBlockDeviceMapping", "Duplicate device name: %s", a.DeviceName)
		}
		seen[a.DeviceName] = true
		if !deviceName.MatchString(a.DeviceName) {
			return nil, fail("InvalidBlockDeviceMapping", "Invalid device name %s", a.DeviceName)
		}
		i := slices.IndexFunc(out, func(m mapping) bool { return m.Device == a.DeviceName })
		if a.NoDevice != nil {
			if a.DeviceName == root {
				return nil, fail("InvalidBlockDeviceMapping", "The root device %s cannot be taken away.", root)
			}
			if i >= 0 {
				out = slices.Delete(out, i, i+1)
			}
			continue
		}
		if i < 0 {
			i = len(out)
			out = append(out, newVolume(a.DeviceName))
		}
		m := &out[i]
		if a.VirtualName != "" {
			if a.DeviceName == root {
				return nil, fail("InvalidBlockDeviceMapping", "The root device %s cannot be an instance store.", root)
			}
			if !virtualName.MatchString(a.VirtualName) || a.Ebs != nil {
				return nil, fail("InvalidBlockDeviceMapping", "The virtual name '%s' is not valid for device %s.", a.VirtualName, a.DeviceName)
			}
			*m = mapping{Device: a.DeviceName, Virtual: a.VirtualName}
			continue
		}
		if a.Ebs == nil {
			return nil, fail("InvalidBlockDeviceMapping", "Device %s has neither an EBS volume nor a virtual name.", a.DeviceName)
		}
		if err := c.ebs(m, a.Ebs, a.DeviceName == root); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// newVolume is what EC2 makes where nothing is said of a volume.
func newVolume(device string) mapping {
	return mapping{Device: device, DeleteOnTermination: true, Type: "gp2"}
}

func (c *call) ebs(m *mapping, e *ebsRequest, root bool) error {
	if m.Virtual != "" { // a volume in the place of an instance store of the image
		*m = newVolume(m.Device)
	}
	if e.DeleteOnTermination != nil {
		m.DeleteOnTermination = *e.DeleteOnTermination
	}
	least := 0
	if e.SnapshotId != "" && e.SnapshotId != m.Snapshot {
		if root && m.Snapshot != "" {
			return fail("InvalidBlockDeviceMapping", "The snapshot of the root device cannot be changed.")
		}
		s, err := c.readable(e.SnapshotId)
		if err != nil {
			return fail("InvalidSnapshot.NotFound", "The snapshot '%s' does not exist.", e.SnapshotId)
		}
		m.Snapshot, least = s.ID, s.Size
		m.Encrypted, m.KMS = s.Encrypted, s.KMS
		if m.Size < s.Size {
			m.Size = s.Size
		}
	} else if m.Snapshot != "" {
		least = m.Size
	}
	if e.VolumeSize != nil {
		if *e.VolumeSize < least {
			return fail("InvalidBlockDeviceMapping", "Volume of size %dGB is smaller than snapshot '%s', expect size >= %dGB", *e.VolumeSize, m.Snapshot, least)
		}
		m.Size = *e.VolumeSize
	}
	if e.VolumeType != "" && e.VolumeType != m.Type {
		m.Type, m.IOPS, m.Throughput = e.VolumeType, 0, 0
	}
	if root && (m.Type == "st1" || m.Type == "sc1") {
		return fail("InvalidBlockDeviceMapping", "The volume type %s is not supported for root devices.", m.Type)
	}
	if e.Iops != nil {
		m.IOPS = *e.Iops
	}
	if e.Throughput != nil {
		m.Throughput = *e.Throughput
	}
	if e.Encrypted != nil {
		if !*e.Encrypted && m.Encrypted {
			return invalid("Invalid value 'false' for encrypted. The snapshot is encrypted.")
		}
		m.Encrypted = *e.Encrypted
	}
	if e.KmsKeyId != "" {
		if !m.Encrypted {
			return fail("InvalidParameterDependency", "The parameter KmsKeyId requires the parameter Encrypted to be set.")
		}
		m.KMS = e.KmsKeyId
	}
	if m.Size == 0 {
		return fail("MissingParameter", "The request must contain the parameter size or snapshotId")
	}
	return volumeLimits(m)
}

type createImageRequest struct {
	InstanceId          string
	Name                string
	Description         string
	NoReboot            bool
	BlockDeviceMappings []mappingRequest
	TagSpecifications   []tagSpec
}

type imageIDResponse struct {
	ID string `xml:"imageId"`
}

func (r *imageIDResponse) summary() string { return r.ID }

func createImage(c *call, q *createImageRequest) (*imageIDResponse, error) {
	i, err := find[instance](c, q.InstanceId)
	if err != nil {
		return nil, err
	}
	if i.State != running && i.State != stopping && i.State != stopped {
		return nil, fail("IncorrectInstanceState", "The instance '%s' is not in a state from which it can be imaged: it is %s. Instance is not in state 'running', 'stopping' or 'stopped'.", i.ID, i.State)
	}
	if !slices.ContainsFunc(i.Devices, func(d device) bool { return d.Name == i.RootDevice }) {
		return nil, fail("IncorrectInstanceState", "Instance does not have a volume attached at root (%s)", i.RootDevice)
	}
	if err := c.newImageName(q.Name, q.Description); err != nil {
		return nil, err
	}
	imageTags, err := specTags(q.TagSpecifications, "image", "image", "snapshot")
	if err != nil {
		return nil, err
	}
	snapTags, err := specTags(q.TagSpecifications, "snapshot", "image", "snapshot")
	if err != nil {
		return nil, err
	}
	m := &image{
		base: c.newBase(newID("ami")), Name: q.Name, Description: q.Description, Owner: c.account(), State: "pending", Due: c.now.Add(c.s.takes.image),
		Arch: i.Arch, Platform: i.Platform, PlatformDetails: i.PlatformDetails, UsageOperation: i.UsageOperation, RootDevice: i.RootDevice,
		Virt: i.Virt, ENA: i.ENA, Sriov: i.Sriov, BootMode: i.BootMode, Imds: i.ImageImds, SourceInstance: i.ID, SourceImage: i.ImageID, SourceRegion: regionOf(i.Region),
		User: i.User, Release: i.Release,
	}
	for _, a := range q.BlockDeviceMappings {
		if a.Ebs != nil && a.Ebs.SnapshotId != "" && slices.ContainsFunc(i.Devices, func(d device) bool { return d.Name == a.DeviceName }) {
			return nil, fail("InvalidBlockDeviceMapping", "The snapshot of the attached device %s cannot be given.", a.DeviceName)
		}
	}
	var have []mapping
	for _, d := range i.Devices {
		v := get[volume](c.txn, c.region, d.Volume)
		if v == nil {
			continue
		}
		have = append(have, mapping{
			Device: d.Name, Size: v.Size, Type: v.Type, IOPS: v.IOPS, Throughput: v.Throughput, Encrypted: v.Encrypted, KMS: v.KMS,
			DeleteOnTermination: d.DeleteOnTermination, Snapshot: v.ID, // replaced by the snapshot's id below
		})
	}
	for _, d := range i.Ephemeral {
		have = append(have, mapping{Device: d.Device, Virtual: d.Virtual})
	}
	if m.Mappings, err = c.deviceMappings(have, q.BlockDeviceMappings, i.RootDevice); err != nil {
		return nil, err
	}
	for n := range m.Mappings {
		d := &m.Mappings[n]
		v := get[volume](c.txn, c.region, d.Snapshot)
		if v == nil {
			continue
		}
		s := c.newSnapshot(v, "Created by CreateImage("+i.ID+") for "+m.ID)
		s.Due = m.Due
		if s.Freeze != "" {
			s.Quiet = !q.NoReboot
		}
		put(c.txn, s)
		if err := c.setTags(c.region, s.ID, snapTags); err != nil {
			return nil, err
		}
		d.Snapshot = s.ID
	}
	if i.Rootless {
		m.User, m.Release, m.Disk = "", guest.Release{}, "raw"
	}
	put(c.txn, m)
	if err := c.setTags(c.region, m.ID, imageTags); err != nil {
		return nil, err
	}
	c.wake(i)
	return &imageIDResponse{m.ID}, nil
}

type registerImageRequest struct {
	Name, Description, Architecture, RootDeviceName, VirtualizationType string
	BootMode, TpmSupport, ImdsSupport, UefiData, SriovNetSupport        string
	EnaSupport                                                          bool
	BlockDeviceMappings                                                 []mappingRequest
	TagSpecifications                                                   []tagSpec
}

func registerImage(c *call, q *registerImageRequest) (*imageIDResponse, error) {
	if err := c.newImageName(q.Name, q.Description); err != nil {
		return nil, err
	}
	tags, err := specTags(q.TagSpecifications, "image", "image")
	if err != nil {
		return nil, err
	}
	if q.RootDeviceName == "" {
		return nil, missing("RootDeviceName")
	}
	m := &image{
		base: c.newBase(newID("ami")), Name: q.Name, Description: q.Description, Owner: c.account(), State: "available",
		Arch: q.Architecture, PlatformDetails: "Linux/UNIX", UsageOperation: "RunInstances", RootDevice: q.RootDeviceName, Virt: q.VirtualizationType,
		ENA: q.EnaSupport, Sriov: q.SriovNetSupport, BootMode: q.BootMode, Imds: q.ImdsSupport, TPM: q.TpmSupport, UEFI: q.UefiData,
	}
	// EC2's own defaults, old as they are.
	if m.Arch == "" {
		m.Arch = "i386"
	}
	if m.Virt == "" {
		m.Virt = "paravirtual"
	}
	if m.Virt == "paravirtual" && (m.ENA || m.Sriov != "" || m.Arch == "arm64") {
		return nil, fail("InvalidParameterCombination", "Enhanced networking and arm64 need the virtualization type hvm.")
	}
	if m.Virt != "hvm" && m.Virt != "paravirtual" {
		return nil, invalid("Value (%s) for parameter virtualizationType is invalid.", m.Virt)
	}
	if m.Sriov != "" && m.Sriov != "simple" {
		return nil, invalid("Value (%s) for parameter sriovNetSupport is invalid. The only value is simple.", m.Sriov)
	}
	if _, err := base64.StdEncoding.DecodeString(m.UEFI); err != nil || m.UEFI != "" && m.BootMode == "legacy-bios" {
		return nil, invalid("The UEFI data is not valid: it is base64, and for images that can boot by UEFI.")
	}
	for _, a := range q.BlockDeviceMappings {
		if a.Ebs != nil && a.Ebs.SnapshotId != "" && (a.Ebs.Encrypted != nil || a.Ebs.KmsKeyId != "") {
			return nil, fail("InvalidBlockDeviceMapping", "the encrypted flag cannot be specified since device %s has a snapshot specified.", a.DeviceName)
		}
	}
	if m.TPM != "" && m.BootMode != "uefi" {
		return nil, fail("InvalidParameterCombination", "TpmSupport needs the boot mode uefi.")
	}
	if m.Mappings, err = c.deviceMappings(nil, q.BlockDeviceMappings, q.RootDeviceName); err != nil {
		return nil, err
	}
	root := m.root()
	if root == nil || root.Snapshot == "" {
		return nil, fail("InvalidBlockDeviceMapping", "No snapshotId specified for the root device.")
	}
	for _, d := range m.Mappings {
		if s := c.content(d.Snapshot); s != nil && s.State != "completed" {
			return nil, fail("IncorrectState", "Snapshot %s is not completed: it is %s.", s.ID, s.State)
		}
	}
	s := c.content(root.Snapshot)
	m.User, m.Release, m.Disk = s.User, s.Release, s.Disk
	if s.User == "" && m.Disk == "" { // of a volume that no guest has started from
		m.Disk = "raw"
	}
	put(c.txn, m)
	if err := c.setTags(c.region, m.ID, tags); err != nil {
		return nil, err
	}
	return &imageIDResponse{m.ID}, nil
}

type copyImageRequest struct {
	ClientToken, Description, KmsKeyId, Name string
	SourceImageId, SourceRegion              string
	Encrypted                                *bool
	CopyImageTags                            bool
	SnapshotCopyCompletionDurationMinutes    *int
	TagSpecifications                        []tagSpec
}

func copyImage(c *call, q *copyImageRequest) (*imageIDResponse, error) {
	if ids, err := c.replay(q.ClientToken); err != nil || ids != nil {
		if err != nil {
			return nil, err
		}
		return &imageIDResponse{ids[0]}, nil
	}
	if !partitionOf(c.region).has(q.SourceRegion) {
		return nil, invalid("Invalid source region: %s", q.SourceRegion)
	}
	there := *c
	there.region = placeIn(q.SourceRegion, c.account())
	from, err := there.image(q.SourceImageId)
	if err != nil {
		return nil, err
	}
	if from.State != "available" {
		return nil, fail("InvalidRequest", "The storage for the ami is not available in the source Region.")
	}
	if err := c.newImageName(q.Name, q.Description); err != nil {
		return nil, err
	}
	if d := q.SnapshotCopyCompletionDurationMinutes; d != nil && (*d < 15 || *d > 2880 || *d%15 != 0) {
		return nil, invalid("Invalid value '%d' for SnapshotCopyCompletionDurationMinutes. It must be a multiple of 15 between 15 and 2880.", *d)
	}
	imageTags, err := specTags(q.TagSpecifications, "image", "image", "snapshot")
	if err != nil {
		return nil, err
	}
	snapTags, err := specTags(q.TagSpecifications, "snapshot", "image", "snapshot")
	if err != nil {
		return nil, err
	}
	m := new(image)
	*m = *from
	m.base = c.newBase(newID("ami"))
	m.Name, m.Description, m.Owner, m.OwnerAlias = q.Name, q.Description, c.account(), ""
	m.State, m.Due = "pending", c.now.Add(c.s.takes.copy)
	m.Public, m.Users, m.Orgs, m.Units, m.ProductCodes = false, nil, nil, nil, nil
	m.SourceInstance, m.SourceImage, m.SourceRegion = "", from.ID, regionOf(from.Region)
	m.Protection, m.Cooldown, m.Fast = "", false, nil
	m.Mappings = slices.Clone(from.Mappings)
	for n := range m.Mappings {
		d := &m.Mappings[n]
		if d.Virtual != "" {
			continue
		}
		s := &snapshot{
			base: c.newBase(newID("snap")), Volume: noVolume, Size: d.Size, State: "pending", Frozen: true, Due: m.Due, User: from.User, Release: from.Release, Disk: from.Disk,
			Description: "Copied for DestinationAmi " + m.ID + " from SourceAmi " + from.ID + " for SourceSnapshot " + d.Snapshot + ".",
			Encrypted:   d.Encrypted,
		}
		if old := get[snapshot](c.txn, from.Region, d.Snapshot); old != nil {
			if accountOf(from.Region) != c.account() && !old.openTo(c.account()) {
				return nil, fail("InvalidRequest", "You do not have permission to access the storage of this ami")
			}
			s.Layers = old.Layers
		}
		if err := c.encryptCopy(s, q.Encrypted, q.KmsKeyId); err != nil {
			return nil, err
		}
		put(c.txn, s)
		if err := c.setTags(c.region, s.ID, snapTags); err != nil {
			return nil, err
		}
		d.Snapshot, d.Encrypted, d.KMS = s.ID, s.Encrypted, s.KMS
	}
	put(c.txn, m)
	if q.CopyImageTags {
		for _, g := range c.tags(from.Region, from.ID) {
			if !slices.ContainsFunc(imageTags, func(t tagRequest) bool { return t.Key == g.Key }) {
				imageTags = append(imageTags, tagRequest{g.Key, g.Value})
			}
		}
	}
	if err := c.setTags(c.region, m.ID, imageTags); err != nil {
		return nil, err
	}
	c.remember(q.ClientToken, []string{m.ID})
	c.after = append(c.after, c.s.tick.ring)
	return &imageIDResponse{m.ID}, nil
}
