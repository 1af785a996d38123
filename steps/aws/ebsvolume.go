package aws

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// EBSVolume makes volumes: it launches an instance that has them, has the machine provisioned, which fills them, and
// keeps them when the machine goes. It makes snapshots of them if they are asked for, and no image.
type EBSVolume struct {
	InstanceOptions

	// The volumes that are made, each as a block that may be repeated.
	Volumes []NewVolume `json:"ebs_volumes,omitempty"`
	// Accepted and without effect: nothing of the instance stays. Default: none.
	ENASupport *bool `json:"ena_support,omitempty"`
	// Accepted and without effect: nothing of the instance stays. Default: `false`.
	SriovSupport bool `json:"sriov_support,omitempty"`

	cloud *Cloud
	place Place // since Prepare
}

// NewVolume is one volume that a build is for.
type NewVolume struct {
	BlockDevice
	// Tags of the volume when it is finished, in place of `run_volume_tags`. Default: none.
	Tags map[dag.Text]dag.Text `json:"tags,omitempty" option:"late=source+build"`
	// One tag as in `tags`, as a block that may be repeated.
	Tag []KeyValue `json:"tag,omitempty" option:"late=source+build"`
	// Makes a snapshot of the volume when the machine is at rest. Default: `false`.
	Snapshot bool `json:"snapshot_volume,omitempty"`
	// The description of the snapshot. Default: none.
	SnapshotDescription dag.Text `json:"snapshot_description,omitempty" option:"late=source+build"`
	// Tags of the snapshot. Default: none.
	SnapshotTags map[dag.Text]dag.Text `json:"snapshot_tags,omitempty" option:"late=source+build"`
	// One tag as in `snapshot_tags`, as a block that may be repeated.
	SnapshotTag []KeyValue `json:"snapshot_tag,omitempty" option:"late=source+build"`
	// Ids of accounts that may make volumes of the snapshot. Default: the owner alone.
	SnapshotUsers []string `json:"snapshot_users,omitempty"`
	// Groups that may make volumes of the snapshot; `all` makes it public. Default: none.
	SnapshotGroups []string `json:"snapshot_groups,omitempty"`
}

// kept reports whether the volume stays when the instance goes.
func (v NewVolume) kept() bool {
	return v.volume() && (v.DeleteOnTermination == nil || !*v.DeleteOnTermination)
}

// newVolumes is the option that names the volumes.
const newVolumes = "ebs_volumes"

// Untried are the volumes that are filled.
func (b *EBSVolume) Untried() []steps.OptionError {
	f := optionErrors{OptionErrors: b.InstanceOptions.Untried()}
	for i, v := range b.Volumes {
		untried(&f, fmt.Sprintf("%s[%d].device_name", newVolumes, i), v.DeviceName, v.volume())
	}
	return f.OptionErrors
}

// instance is a build with the machine of this one that makes no image: its wiring is used.
func (b *EBSVolume) instance() *EBS {
	e := &EBS{InstanceOptions: b.InstanceOptions, cloud: b.cloud, place: b.place}
	e.SkipCreateAMI = true
	e.LaunchMappings = slices.Clone(b.LaunchMappings)
	for _, v := range b.Volumes {
		if v.kept() {
			v.DeleteOnTermination = ptr(false)
		}
		e.LaunchMappings = append(e.LaunchMappings, v.BlockDevice)
	}
	return e
}

// Check reports everything that is wrong with the options by themselves, without
// calling anybody.
func (b *EBSVolume) Check() []steps.OptionError {
	e := &EBS{InstanceOptions: b.InstanceOptions, cloud: b.cloud, place: b.place}
	e.SkipCreateAMI = true
	var f optionErrors
	e.checkInstance(&f)
	e.checkTags(&f)
	if b.ENASupport != nil && *b.ENASupport {
		f.Idle("ena_support", "nothing of the instance stays")
	}
	if b.SriovSupport {
		f.Idle("sriov_support", "nothing of the instance stays")
	}
	launched := map[string]int{}
	for i, d := range b.LaunchMappings {
		launched[d.DeviceName] = i
	}
	var devices []BlockDevice
	for i, v := range b.Volumes {
		at := fmt.Sprintf("%s[%d]", newVolumes, i)
		devices = append(devices, v.BlockDevice)
		if n, twice := launched[v.DeviceName]; twice && v.DeviceName != "" {
			f.Add(at+".device_name", "%s is given twice: it is in %s[%d], too", v.DeviceName, launchMappings, n)
		}
		v.check(&f, at)
	}
	checkDevices(&f, newVolumes, devices, e.home())
	if !slices.ContainsFunc(b.Volumes, func(v NewVolume) bool { return v.kept() || v.volume() && v.Snapshot }) {
		f.Idle(newVolumes, "no volume is kept, and no snapshot made: nothing is left of the build")
	}
	return f.OptionErrors
}

func (v NewVolume) check(f *optionErrors, at string) {
	f.tags(at+".tags", v.Tags)
	f.tagBlocks(at+".tag", v.Tag)
	f.tags(at+".snapshot_tags", v.SnapshotTags)
	f.tagBlocks(at+".snapshot_tag", v.SnapshotTag)
	f.least(at+".snapshot_description", string(v.SnapshotDescription), wrongDescription)
	f.each(at+".snapshot_users", v.SnapshotUsers, wrongAccount)
	f.each(at+".snapshot_groups", v.SnapshotGroups, wrongGroup)
	f.tooMany(at+"."+option("tags", len(v.Tags), "tag"), "the volume", withBlocks(v.Tags, v.Tag))
	f.tooMany(at+"."+option("snapshot_tags", len(v.SnapshotTags), "snapshot_tag"), "the snapshot", withBlocks(v.SnapshotTags, v.SnapshotTag))
	shared := Sharing{SnapshotUsers: v.SnapshotUsers, SnapshotGroups: v.SnapshotGroups}
	switch encrypted := v.Encrypted != nil && *v.Encrypted; {
	case !v.volume():
		return
	case !v.Snapshot:
		for field, given := range map[string]bool{
			"snapshot_description": v.SnapshotDescription != "", "snapshot_tags": len(v.SnapshotTags) > 0, "snapshot_tag": len(v.SnapshotTag) > 0,
			"snapshot_users": len(v.SnapshotUsers) > 0, "snapshot_groups": len(v.SnapshotGroups) > 0,
		} {
			if given {
				f.Idle(at+"."+field, "there is no snapshot_volume")
			}
		}
	case encrypted && slices.Contains(v.SnapshotGroups, "all"):
		f.Add(at+".snapshot_groups", "encrypted snapshots cannot be public, and the volume is encrypted")
	case encrypted && shared.shared() && !unknown(v.KMSKeyID) && (v.KMSKeyID == "" || isAWSKey(v.KMSKeyID)):
		f.Add(at+".snapshot_users", "what is encrypted with the account's own key cannot be shared: name a key of yours by kms_key_id")
	}
	if !v.kept() && (len(v.Tags) > 0 || len(v.Tag) > 0) {
		f.Idle(at+"."+option("tags", len(v.Tags), "tag"), "the volume goes with the instance, as delete_on_termination says")
	}
}

// Claims are none: volumes have no names.
func (b *EBSVolume) Claims() []steps.Claim { return nil }

// Prepare is that of the build which has the machine.
func (b *EBSVolume) Prepare(ctx context.Context) error {
	e := b.instance()
	err := e.Prepare(ctx)
	b.Access, b.place = e.Access, e.place
	return err
}

// Wire adds the steps of the build: those that make a machine, those of its provisioners,
// those that keep its volumes and make snapshots of them.
func (b *EBSVolume) Wire(g *dag.Graph, build dag.Build, provision func(dag.Out[comm.Machine]) dag.Out[comm.Machine]) (made steps.Made) {
	w := &wiring{EBS: b.instance(), g: g, build: build}
	stopped := w.stop(w.clear(provision(w.machine())))
	product := VolumeProduct{Of: stopped}
	keep := KeepVolumes{Volumes: w.volumes, Without: w.volumeTags()}
	for _, v := range b.Volumes {
		tags := boundTags(w.source, withBlocks(v.Tags, v.Tag))
		if v.kept() && len(tags) > 0 {
			keep.Tags = append(keep.Tags, DeviceTags{v.DeviceName, tags})
		}
		if !v.volume() || !v.Snapshot {
			continue
		}
		step := CreateSnapshot{From: stopped, Device: v.DeviceName, Description: boundText(w.source, v.SnapshotDescription), Tags: boundTags(w.source, withBlocks(v.SnapshotTags, v.SnapshotTag))}
		_, ready := w.snapshot(step, false)
		product.Snapshots = append(product.Snapshots, ready)
		made.Artifacts = append(made.Artifacts, dag.As[steps.Artifact](ready))
		made.Finishing = append(made.Finishing, ready.Key())
		if sharing := (Sharing{SnapshotUsers: v.SnapshotUsers, SnapshotGroups: v.SnapshotGroups}); sharing.shared() {
			shared := dag.Add(g, build, "share-snapshot-"+shortDevice(v.DeviceName), ShareSnapshots{Snapshot: ready, Users: v.SnapshotUsers, Groups: v.SnapshotGroups})
			dag.Goal(g, shared)
			made.Finishing = append(made.Finishing, shared.Key())
		}
	}
	if w.volumes.Set() {
		product.Kept = w.keep(keep, stopped.Key())
		made.Finishing = append(made.Finishing, product.Kept.Key())
	}
	dag.Goal(g, stopped)
	made.Product = func() dag.Out[steps.Product] { return dag.Add(g, build, "product", product) }
	return made
}

// snapshot adds the steps of a snapshot that is kept, as a result or as part of an image.
func (w *wiring) snapshot(s CreateSnapshot, part bool) (created dag.Out[Snapshot], ready dag.Out[ReadySnapshot]) {
	name := "snapshot-" + shortDevice(s.Device)
	created = dag.Add(w.g, w.build, name, s)
	wait := SnapshotReady{Snapshot: created, Part: part}
	if exceedsTagLimit(s.Tags) && !part {
		wait.Tags = s.Tags
	}
	ready = dag.Add(w.g, w.build, name+"-ready", wait)
	if !part {
		dag.Keep(w.g, created, ready)
	}
	return created, ready
}

// shortDevice is a device's name as part of a step's.
func shortDevice(device string) string { return strings.TrimPrefix(device, "/dev/") }
