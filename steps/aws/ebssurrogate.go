package aws

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"slices"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// EBSSurrogate makes an image of volumes that a machine has filled: it launches an instance that has them, has the
// machine provisioned, which fills them, and makes an image whose instances start from one of them.
type EBSSurrogate struct {
	InstanceOptions
	ImageOptions

	// The volumes of the instance, in place of those that the source image names alike: the one that is to be the root
	// of the image has to be among them. Those that the source image alone has are not in the image.
	LaunchMappings []SurrogateVolume `json:"launch_block_device_mappings,omitempty"`
	// The root of the image. It has to be given.
	RootDevice SurrogateRoot `json:"ami_root_device,omitzero"`
	// The virtualization of the image, `hvm` or `paravirtual`. It has to be given.
	VirtualizationType string `json:"ami_virtualization_type,omitempty"`
	// The architecture of the image: arm64, arm64_mac, i386, x86_64 or x86_64_mac. Default: `x86_64`.
	Architecture string `json:"ami_architecture,omitempty"`
	// How instances of the image boot: `legacy-bios`, `uefi` or `uefi-preferred`. Default: that of their type.
	BootMode string `json:"boot_mode,omitempty"`
	// The UEFI variables of instances of the image, as base64. Default: none.
	UEFIData string `json:"uefi_data,omitempty"`
	// `v2.0` gives instances of the image a TPM; it takes the boot mode `uefi`. Default: none.
	TPMSupport string `json:"tpm_support,omitempty"`
	// The description of the snapshots that the image is made of. Default: none.
	SnapshotDescription dag.Text `json:"snapshot_description,omitempty" option:"late=source+build"`
	// Makes the image of the instance, whose root volume is then the one that was filled. Default: `false`.
	UseCreateImage bool `json:"use_create_image,omitempty"`

	Force bool `json:"force,omitempty" option:"-"` // the flag -force: as if force_deregister were set

	cloud *Cloud
	place Place // since Prepare

	publishers []string // as those of EBS
	tested     *EBS     // gathers the tests of the image
}

// SurrogateVolume is a volume of the instance that an image is made of.
type SurrogateVolume struct {
	BlockDevice
	// Leaves the volume out of the image. Default: `false`.
	Omit bool `json:"omit_from_artifact,omitempty"`
}

// SurrogateRoot is the root of an image, and the volume that it is made of.
type SurrogateRoot struct {
	// The device in `launch_block_device_mappings` whose volume becomes the root of the image. It has to be given.
	SourceDevice string `json:"source_device_name,omitempty"`
	// The device that the root is in the image, such as /dev/xvda. It has to be given.
	DeviceName string `json:"device_name,omitempty"`
	// Whether the root volume goes with an instance of the image. Default: `true`.
	DeleteOnTermination *bool `json:"delete_on_termination,omitempty"`
	// How many operations a second the root volume promises; for io1, io2 and gp3. Default: those of the volume.
	IOPS int `json:"iops,omitempty"`
	// How many MiB a second the root volume promises; for gp3. Default: those of the volume.
	Throughput int `json:"throughput,omitempty"`
	// The type of the root volume. Default: that of the volume.
	VolumeType string `json:"volume_type,omitempty"`
	// The size of the root volume in GiB. Default: that of the volume.
	VolumeSize int `json:"volume_size,omitempty"`
}

// block is the root as the image has it, of the volume of a block.
func (r SurrogateRoot) block(d BlockDevice) BlockDevice {
	own := BlockDevice{DeviceName: r.DeviceName, IOPS: r.IOPS, Throughput: r.Throughput, VolumeType: r.VolumeType, VolumeSize: r.VolumeSize, DeleteOnTermination: r.DeleteOnTermination}
	d.DeviceName, d.DeleteOnTermination = r.DeviceName, nil
	return laid(own, d)
}

// laid is a block of the image over that of the volume, which stays in what the block does not say. A volume goes with
// an instance of the image unless the template says otherwise.
func laid(over, d BlockDevice) BlockDevice {
	kind := d.under(over)
	d.VolumeType, d.IOPS, d.Throughput = kind.VolumeType, kind.IOPS, kind.Throughput
	d.VolumeSize = cmp.Or(over.VolumeSize, d.VolumeSize)
	d.DeleteOnTermination = cmp.Or(over.DeleteOnTermination, d.DeleteOnTermination, ptr(true))
	d.Encrypted, d.KMSKeyID, d.SnapshotID = nil, "", "" // it is as its snapshot is
	return d
}

// imageVolume is a volume of the instance that is in the image.
type imageVolume struct {
	from  string // the device that the instance has it as
	block BlockDevice
}

// parts are the volumes that are in the image, as it has them.
func (b *EBSSurrogate) parts() (ps []imageVolume) {
	for _, d := range b.LaunchMappings {
		p := imageVolume{d.DeviceName, d.BlockDevice}
		switch {
		case !d.volume() || d.Omit:
			continue
		case d.DeviceName == b.RootDevice.SourceDevice:
			p.block = b.RootDevice.block(p.block)
		case d.DeviceName == b.RootDevice.DeviceName: // of the machine alone: the image has another root
			continue
		default:
			p.block = laid(BlockDevice{}, p.block)
		}
		i := slices.IndexFunc(b.AMIMappings, func(a BlockDevice) bool { return a.DeviceName == p.block.DeviceName })
		if i >= 0 && !b.AMIMappings[i].volume() {
			continue
		}
		if i >= 0 {
			p.block = laid(b.AMIMappings[i], p.block)
		}
		ps = append(ps, p)
	}
	return ps
}

// rest are the devices of the image that are none of the instance's.
func (b *EBSSurrogate) rest() (ds []BlockDevice) {
	ps := b.parts()
	for _, d := range b.AMIMappings {
		if !d.NoDevice && !slices.ContainsFunc(ps, func(p imageVolume) bool { return p.block.DeviceName == d.DeviceName }) {
			ds = append(ds, d)
		}
	}
	return ds
}

// instance is a build with the machine of this one: its wiring is used, but for how the image is made.
func (b *EBSSurrogate) instance() *EBS {
	e := &EBS{InstanceOptions: b.InstanceOptions, ImageOptions: b.ImageOptions, Force: b.Force, cloud: b.cloud, place: b.place, publishers: b.publishers}
	for _, d := range b.LaunchMappings {
		e.LaunchMappings = append(e.LaunchMappings, d.BlockDevice)
	}
	e.VirtualizationType = b.VirtualizationType
	if b.UseCreateImage { // volumes are swapped when the instance is stopped
		e.CreateDuringShutdown = false
	} else { // the image is told, not the instance
		e.ENASupport, e.SriovSupport = nil, false
	}
	if b.tested != nil {
		e.tests = b.tested.tests
	}
	return e
}

// Check reports everything that is wrong with the options by themselves, without
// calling anybody.
func (b *EBSSurrogate) Check() []steps.OptionError {
	e := b.instance()
	var f optionErrors
	e.checkInstance(&f)
	e.checkImage(&f)
	checkDevices(&f, launchMappings, e.LaunchMappings, e.home())
	checkDevices(&f, amiMappings, b.AMIMappings, "")
	e.checkBuilderVolume(&f)
	b.checkRoot(&f)
	b.checkParts(&f)
	b.checkCharacter(&f)
	if b.UseCreateImage {
		b.checkSwap(&f)
		return f.OptionErrors
	}
	if b.FastLaunch.on() {
		f.Add("fast_launch", "it is for images of Windows, and EC2 registers none of snapshots")
	}
	if e.Spot() {
		f.Doubt("spot_price", "a spot instance is not stopped for its snapshots: have the last provisioner unmount the volumes, or what is not yet written is not in them")
	}
	return f.OptionErrors
}

// Untried are the volumes that are filled, and the image that nothing can be launched of.
func (b *EBSSurrogate) Untried() []steps.OptionError {
	f := optionErrors{OptionErrors: b.instance().Untried()}
	f.Doubt("ami_root_device", "a local run cannot try the image: its machines start from no volume that a script has filled")
	return f.OptionErrors
}

// checkSwap looks at what an image of the instance cannot have.
func (b *EBSSurrogate) checkSwap(f *optionErrors) {
	const inherited = "use_create_image has the image take it from the instance"
	for field, given := range map[string]bool{"ami_architecture": b.Architecture != "", "boot_mode": b.BootMode != "", "uefi_data": b.UEFIData != "", "tpm_support": b.TPMSupport != "",
		"snapshot_description": b.SnapshotDescription != ""} {
		if given {
			f.Idle(field, inherited)
		}
	}
	if b.SpotOptions.on() {
		f.Add("use_create_image", "cannot be used with a spot instance: EC2 stops none, and only a stopped instance lets go of its root")
	}
	if b.CreateDuringShutdown {
		f.Idle("ami_create_during_shutdown", "use_create_image swaps volumes when the instance is stopped")
	}
}

// checkRoot looks at the root of the image and the volume that it is made of.
func (b *EBSSurrogate) checkRoot(f *optionErrors) {
	r, at := b.RootDevice, func(field string) string { return "ami_root_device." + field }
	var root *BlockDevice
	switch i := slices.IndexFunc(b.LaunchMappings, func(d SurrogateVolume) bool { return d.DeviceName == r.SourceDevice }); {
	case r.SourceDevice == "":
		f.Add(at("source_device_name"), "must be set: the volume in launch_block_device_mappings that becomes the root of the image")
	case f.unknown(r.SourceDevice):
	case i < 0:
		f.Add(at("source_device_name"), "launch_block_device_mappings has no volume %s", shown(r.SourceDevice))
	case !b.LaunchMappings[i].volume():
		f.Add(at("source_device_name"), "%s is no volume by launch_block_device_mappings[%d]", r.SourceDevice, i)
	case b.LaunchMappings[i].Omit:
		f.Add(fmt.Sprintf("%s[%d].omit_from_artifact", launchMappings, i), "cannot be true: %s becomes the root of the image by ami_root_device", r.SourceDevice)
	default:
		d := b.LaunchMappings[i].BlockDevice
		if r.VolumeSize > 0 && r.VolumeSize < d.VolumeSize {
			f.Add(at("volume_size"), "must be at least the %d GiB that the volume has by %s[%d]", d.VolumeSize, launchMappings, i)
		}
		root = ptr(r.block(d))
	}
	switch {
	case r.DeviceName == "":
		f.Add(at("device_name"), "must be set: the root device of the image, such as /dev/xvda")
	case !f.unknown(r.DeviceName) && !deviceNames.MatchString(r.DeviceName):
		f.Add(at("device_name"), "%s is no name of a device such as /dev/sda1 or /dev/xvda", shown(r.DeviceName))
	}
	f.oneOf(at("volume_type"), r.VolumeType, "gp2", "gp3", "io1", "io2", "st1", "sc1", "standard")
	switch {
	case root == nil:
	case slices.Contains([]string{"st1", "sc1"}, root.VolumeType):
		f.Add(at("volume_type"), "must be another one: no machine starts from a volume of the type %s", root.VolumeType)
	case r.VolumeType != "" || r.IOPS != 0 || r.Throughput != 0 || r.VolumeSize != 0: // else the block of the launch has said it
		checkSize(f, at, *root)
		checkIOPS(f, at, *root)
		checkThroughput(f, at, *root)
	}
}

// checkParts looks at what else is in the image.
func (b *EBSSurrogate) checkParts(f *optionErrors) {
	for i, d := range b.LaunchMappings {
		switch at := fmt.Sprintf("%s[%d]", launchMappings, i); {
		case d.Omit && !d.volume():
			f.Idle(at+".omit_from_artifact", "it is no volume")
		case !d.Omit && d.volume() && d.DeviceName != b.RootDevice.SourceDevice && d.DeviceName == b.RootDevice.DeviceName:
			f.Idle(at, "its volume is not in the image, whose %s is made of %s by ami_root_device; say so by omit_from_artifact", d.DeviceName, b.RootDevice.SourceDevice)
		}
	}
	ps := b.parts()
	for i, d := range b.AMIMappings {
		at := func(field string) string { return fmt.Sprintf("%s[%d].%s", amiMappings, i, field) }
		n := slices.IndexFunc(ps, func(p imageVolume) bool { return p.block.DeviceName == d.DeviceName })
		switch {
		case d.DeviceName == "" || f.unknown(d.DeviceName):
		case d.DeviceName == b.RootDevice.DeviceName && !d.volume():
			f.Add(at("device_name"), "it is the root device of the image")
		case !d.volume():
		case n >= 0:
			have := slices.IndexFunc(b.LaunchMappings, func(d SurrogateVolume) bool { return d.DeviceName == ps[n].from })
			checkAttached(f, at, d, b.LaunchMappings[have].BlockDevice, fmt.Sprintf("%s[%d]", launchMappings, have))
		case d.VolumeSize == 0 && d.SnapshotID == "":
			f.Add(at("volume_size"), "must be set, or snapshot_id: no volume of the instance is %s in the image", d.DeviceName)
		}
	}
}

// checkCharacter looks at what EC2 cannot tell from the volumes.
func (b *EBSSurrogate) checkCharacter(f *optionErrors) {
	if b.VirtualizationType == "" {
		f.Add("ami_virtualization_type", "must be set, such as hvm")
	}
	f.oneOf("ami_architecture", b.Architecture, "arm64", "arm64_mac", "i386", "x86_64", "x86_64_mac")
	if b.VirtualizationType == "paravirtual" {
		switch {
		case b.ENASupport != nil && *b.ENASupport || b.SriovSupport:
			f.Add("ami_virtualization_type", "must be hvm for ena_support and sriov_support")
		case b.Architecture != "" && b.Architecture != "x86_64" && b.Architecture != "i386":
			f.Add("ami_virtualization_type", "must be hvm for %s", b.Architecture)
		}
	}
	if b.ENASupport == nil && b.VirtualizationType == "hvm" && !b.UseCreateImage {
		f.Doubt("ena_support", "it is not set, and types that need it, which are all of today's, will not start the image")
	}
	f.oneOf("boot_mode", b.BootMode, "legacy-bios", "uefi", "uefi-preferred")
	f.oneOf("tpm_support", b.TPMSupport, "v2.0")
	if b.TPMSupport != "" && b.BootMode != "uefi" {
		f.Add("tpm_support", "needs the boot_mode uefi")
	}
	if b.UEFIData != "" {
		switch _, err := base64.StdEncoding.DecodeString(b.UEFIData); {
		case b.BootMode == "legacy-bios":
			f.Add("uefi_data", "cannot be used with the boot_mode legacy-bios")
		case b.BootMode == "" && b.Architecture != "arm64":
			f.Add("uefi_data", "needs the boot_mode uefi: without arm64 it is legacy-bios by default")
		case !f.unknown(b.UEFIData) && err != nil:
			f.Add("uefi_data", "it is not base64")
		}
	}
	f.least("snapshot_description", string(b.SnapshotDescription), wrongDescription)
}

// Claims are the names of the images.
func (b *EBSSurrogate) Claims() []steps.Claim { return b.instance().Claims() }

// WithoutProduct is why post-processors have no effect.
func (b *EBSSurrogate) WithoutProduct() string { return b.instance().WithoutProduct() }

// Test returns the options of a test, all unset.
func (b *EBSSurrogate) Test() steps.Test {
	if b.tested == nil {
		b.tested = b.instance()
	}
	return b.tested.Test()
}

// Prepare is that of the build which has the machine.
func (b *EBSSurrogate) Prepare(ctx context.Context) error {
	e := b.instance()
	err := e.Prepare(ctx)
	b.Access, b.place, b.publishers = e.Access, e.place, e.publishers
	return err
}

// Wire adds the steps of the build: those that make a machine, those of its provisioners, those that make snapshots of
// its volumes, an image of them and its copies.
func (b *EBSSurrogate) Wire(g *dag.Graph, build dag.Build, provision func(dag.Out[comm.Machine]) dag.Out[comm.Machine]) steps.Made {
	w := &wiring{EBS: b.instance(), g: g, build: build, surrogate: b}
	return w.capture(provision(w.machine()))
}

// swap adds the step that makes the volume of ami_root_device the root of the instance at rest, of which the image
// is then made.
func (w *wiring) swap(stopped dag.Out[Stopped]) dag.Out[Stopped] {
	return dag.Add(w.g, w.build, "swap-root", SwapRoot{From: stopped, Volumes: w.swapped, Device: w.surrogate.RootDevice.SourceDevice})
}

// imaged are the volumes of the image where they are not as the instance has them.
func (b *EBSSurrogate) imaged() (ds []BlockDevice) {
	for _, p := range b.parts() {
		switch changed := slices.ContainsFunc(b.AMIMappings, func(a BlockDevice) bool { return a.DeviceName == p.block.DeviceName }); {
		case p.from == b.RootDevice.SourceDevice:
			ds = append(ds, p.block.plain())
		case changed:
			ds = append(ds, p.block)
		}
	}
	for _, d := range b.LaunchMappings {
		if d.Omit && d.volume() && d.DeviceName != b.RootDevice.DeviceName {
			ds = append(ds, BlockDevice{DeviceName: d.DeviceName, NoDevice: true})
		}
	}
	for _, d := range b.AMIMappings {
		if !slices.ContainsFunc(ds, func(o BlockDevice) bool { return o.DeviceName == d.DeviceName }) {
			ds = append(ds, d)
		}
	}
	return ds
}

// registered is an image made of snapshots, with what it stands on.
type registered struct {
	image     dag.Out[Image]
	snapshots []dag.Out[Snapshot]
	free      dag.Out[Deregistered]
}

// register adds the steps from the machine at rest to an image of its volumes.
func (w *wiring) register(stopped dag.Out[Stopped], regrouped dag.Out[Regrouped], free func(after ...dag.Key) dag.Out[Deregistered]) (r registered) {
	b := w.surrogate
	step := RegisterImage{From: stopped, Name: w.AMIName, Description: w.AMIDescription, Tags: w.imageTags(), Root: b.RootDevice.DeviceName, Mappings: b.rest(), Regrouped: regrouped, Values: w.values,
		Character: Character{Architecture: cmp.Or(b.Architecture, "x86_64"), Virtualization: b.VirtualizationType, BootMode: b.BootMode, UEFIData: b.UEFIData, TPM: b.TPMSupport,
			ENA: b.ENASupport, SRIOV: b.SriovSupport}}
	if w.onlyCopies() {
		step.Name = ""
	}
	var ready []dag.Key
	for _, p := range b.parts() {
		snapshot, complete := w.snapshot(CreateSnapshot{From: stopped, Device: p.from, Description: boundText(w.source, b.SnapshotDescription),
			Tags: mergeTags(w.imageTags(), withBlocks(w.SnapshotTags, w.SnapshotTag))}, true)
		step.Parts = append(step.Parts, Part{complete, p.block})
		r.snapshots = append(r.snapshots, snapshot)
		ready = append(ready, complete.Key())
	}
	step.Free = free(ready...)
	r.free = step.Free
	r.image = dag.Add(w.g, w.build, "image", step)
	return r
}
