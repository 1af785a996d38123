package aws

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
	"github.com/imgflow/imgflow/steps"
)

// twoVolumes is a build of two volumes, and a snapshot of one that goes.
func twoVolumes() *EBSVolume {
	b := &EBSVolume{InstanceOptions: template().InstanceOptions}
	b.RunVolumeTags = map[dag.Text]dag.Text{"state": "unfinished"}
	b.Volumes = []NewVolume{
		{BlockDevice: BlockDevice{DeviceName: "/dev/sdf", VolumeSize: 1}, Tags: map[dag.Text]dag.Text{"holds": "data"}, Tag: []KeyValue{{"from", parsed("{{ .SourceAMI }}")}}},
		{BlockDevice: BlockDevice{DeviceName: "/dev/sdg", VolumeSize: 2}, Tags: many[dag.Text]("volume", maxTags)},
		{BlockDevice: BlockDevice{DeviceName: "/dev/sdh", VolumeSize: 3, DeleteOnTermination: ptr(true)}, Snapshot: true, SnapshotDescription: "the data",
			SnapshotTags: map[dag.Text]dag.Text{"holds": "more"}, SnapshotUsers: []string{"210987654321"}},
		{BlockDevice: BlockDevice{DeviceName: "/dev/sda1", VolumeSize: 9, DeleteOnTermination: ptr(true)}},
	}
	return b
}

// wired is a graph of one source, without provisioners.
func (w *world) wired(s steps.Source, kind string) *dag.Graph {
	w.t.Helper()
	return w.into(dag.NewGraph(nil), s, kind)
}

// into adds a source, without provisioners, to a graph.
func (w *world) into(g *dag.Graph, s steps.Source, kind string) *dag.Graph {
	w.t.Helper()
	if wrong := s.Check(); len(wrong) > 0 {
		w.t.Fatal(wrong)
	}
	switch b := s.(type) {
	case *EBSVolume:
		b.cloud = w.cloud
	case *EBSSurrogate:
		b.cloud = w.cloud
	}
	if err := s.Prepare(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	made := s.Wire(g, dag.Build{Name: kind, Type: kind}, unprovisioned)
	dag.Goal(g, made.Product())
	if err := g.Err(); err != nil {
		w.t.Fatal(err)
	}
	return g
}

// What is left of a build of volumes are those that are to stay, and snapshots, with the tags
// of what is finished.
func TestVolumesAreWhatIsLeft(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	e := w.build(&dag.MemStore{}, w.wired(twoVolumes(), "amazon-ebsvolume"))
	var made []string
	for _, r := range e.Records() {
		for _, a := range r.Artifacts {
			made = append(made, a.Region+":"+a.ID)
		}
	}
	slices.Sort(made)
	v := w.inventory()
	if len(v.volumes) != 2 || len(v.snapshots) != 1 || len(v.instances)+len(v.images)+len(v.keys)+len(v.groups) != 0 || len(made) != 3 {
		t.Fatalf("left %+v, artifacts %v", v, made)
	}
	for _, v := range must(w.client().DescribeVolumes(t.Context(), &ec2.DescribeVolumesInput{})).Volumes {
		tags := tagMap(v.Tags)
		if _, unfinished := tags["state"]; unfinished || *v.Size == 1 && (tags["holds"] != "data" || tags["from"] == "" || tags[TagExpires] != "never") || *v.Size == 2 && len(tags) != maxTags {
			t.Errorf("the volume of %d GiB has the tags %v", *v.Size, tags)
		}
	}
	sn := must(w.client().DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}})).Snapshots[0]
	if text(sn.Description) != "the data" || tag(sn.Tags, "holds") != "more" || tag(sn.Tags, TagExpires) != "never" || *sn.VolumeSize != 3 {
		t.Errorf("%+v", sn)
	}
	out := must(w.client().DescribeSnapshotAttribute(t.Context(), &ec2.DescribeSnapshotAttributeInput{SnapshotId: sn.SnapshotId, Attribute: types.SnapshotAttributeNameCreateVolumePermission}))
	if ps := out.CreateVolumePermissions; len(ps) != 1 || text(ps[0].UserId) != "210987654321" {
		t.Errorf("the snapshot is shared with %+v", ps)
	}
	if left, err := e.Destroy(t.Context(), dag.Unkept); err != nil || len(left) > 0 || len(w.inventory().volumes) != 2 || len(w.inventory().snapshots) != 1 {
		t.Errorf("destroy of what is not kept: %v, %v", left, err)
	}
	if left, err := e.Destroy(t.Context(), func(dag.Record) bool { return true }); err != nil || len(left) > 0 {
		t.Errorf("destroy: %v, %v", left, err)
	}
	w.only(0)
}

// volumesLeft insists on so many volumes and snapshots, and nothing else.
func (w *world) volumesLeft(volumes, snapshots int) {
	w.t.Helper()
	v := w.inventory()
	if len(v.volumes) != volumes || len(v.snapshots) != snapshots || len(v.instances)+len(v.images)+len(v.keys)+len(v.groups) != 0 {
		w.t.Errorf("left %+v, want %d volumes and %d snapshots", v, volumes, snapshots)
	}
}

// A build of volumes dies at every write of its store. Resumed, it has made each thing once.
func TestVolumesOfADeath(t *testing.T) {
	graph := func(w *world) *dag.Graph { return w.wired(twoVolumes(), "amazon-ebsvolume") }
	deaths(t, 3, graph, func(w *world, g *dag.Graph, _ int, store *dag.MemStore) {
		e := w.build(store, g)
		w.volumesLeft(2, 1)
		w.destroyed(e)
		w.only(0)
	})
}

// A machine is taken back before anybody knows of its volumes. They go, and those of the next one stay.
func TestVolumesOfATakenMachine(t *testing.T) {
	for reclaims := 1; reclaims <= 2; reclaims++ {
		w := newWorld(t, ec2local.Faults{Spot: time.Nanosecond, Reclaims: reclaims})
		b := twoVolumes()
		b.Price = "auto"
		e := w.build(&dag.MemStore{}, w.wired(b, "amazon-ebsvolume"))
		w.volumesLeft(2, 1)
		w.destroyed(e)
		w.volumesLeft(0, 0)
	}
}

// EC2 shows the volumes of an instance before each part of it knows them: they are claimed when it does.
func TestVolumesAreKnownLate(t *testing.T) {
	w := newWorld(t, ec2local.Faults{Lag: 300 * time.Millisecond})
	strange := 3
	w.front.setPlay(func(rw http.ResponseWriter, action string, _ int, in url.Values) bool {
		if action != "CreateTags" || !strings.HasPrefix(in.Get("ResourceId.1"), "vol-") || strange == 0 {
			return false
		}
		strange--
		refuse(rw, 400, "InvalidVolume.NotFound", "The volume does not exist")
		return true
	})
	e := w.build(&dag.MemStore{}, w.wired(twoVolumes(), "amazon-ebsvolume"))
	if strange > 0 {
		t.Errorf("%d calls are left", strange)
	}
	w.volumesLeft(2, 1)
	w.destroyed(e)
	w.only(0)
}

func TestCheckEBSVolume(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*EBSVolume)
		want   []string // the first words of each
	}{
		"right":                {func(*EBSVolume) {}, nil},
		"nothing is left":      {func(b *EBSVolume) { b.Volumes = b.Volumes[3:] }, []string{"ebs_volumes: no volume is kept"}},
		"a device twice":       {func(b *EBSVolume) { b.LaunchMappings = []BlockDevice{{DeviceName: "/dev/sdf"}} }, []string{"ebs_volumes[0].device_name: /dev/sdf is given twice: it is in launch_block_device_mappings[0], too"}},
		"no device":            {func(b *EBSVolume) { b.Volumes[0].DeviceName = "" }, []string{"ebs_volumes[0].device_name: must be set"}},
		"tags of what goes":    {func(b *EBSVolume) { b.Volumes[0].DeleteOnTermination = ptr(true) }, []string{"ebs_volumes[0].tags: the volume goes with the instance"}},
		"too many tags":        {func(b *EBSVolume) { b.Volumes[0].Tags = many[dag.Text]("t", maxTags) }, []string{"ebs_volumes[0].tags: the volume would have 51 tags"}},
		"a tag of AWS's":       {func(b *EBSVolume) { b.Volumes[0].Tag = []KeyValue{{"aws:x", "y"}} }, []string{"ebs_volumes[0].tag[0].key: "}},
		"no snapshot":          {func(b *EBSVolume) { b.Volumes[0].SnapshotDescription = "x" }, []string{"ebs_volumes[0].snapshot_description: there is no snapshot_volume"}},
		"public and encrypted": {func(b *EBSVolume) { v := &b.Volumes[2]; v.Encrypted, v.SnapshotGroups = ptr(true), []string{"all"} }, []string{"ebs_volumes[2].snapshot_groups: encrypted snapshots cannot be public"}},
		"the account's key":    {func(b *EBSVolume) { b.Volumes[2].Encrypted = ptr(true) }, []string{"ebs_volumes[2].snapshot_users: what is encrypted with the account's own key cannot be shared"}},
		"no account":           {func(b *EBSVolume) { b.Volumes[2].SnapshotUsers = []string{"me"} }, []string{"ebs_volumes[2].snapshot_users[0]: "}},
		"networking":           {func(b *EBSVolume) { b.ENASupport, b.SriovSupport = ptr(true), true }, []string{"ena_support: ", "sriov_support: "}},
		"no type":              {func(b *EBSVolume) { b.InstanceType = "" }, []string{"instance_type: "}},
		"a run tag of AWS's":   {func(b *EBSVolume) { b.RunTags = map[dag.Text]dag.Text{"aws:x": "y"} }, []string{"run_tags.aws:x: "}},
	} {
		b := twoVolumes()
		c.change(b)
		wrong := b.Check()
		for i, e := range wrong {
			if i >= len(c.want) || !strings.HasPrefix(e.Error(), c.want[i]) {
				t.Errorf("%s: %v, want %q", name, e, c.want)
			}
		}
		if len(wrong) < len(c.want) {
			t.Errorf("%s: %v, want %q", name, wrong, c.want)
		}
	}
}

// A local run is told of each device that its machines lack, and of nothing else.
func TestUntried(t *testing.T) {
	devices := []BlockDevice{{DeviceName: "/dev/sda1", VolumeSize: 20}, {DeviceName: "/dev/xvdf", VolumeSize: 1}, {DeviceName: "/dev/sdc", VirtualName: "ephemeral0"}, {DeviceName: "/dev/sdd", NoDevice: true}}
	plain := template()
	plain.LaunchMappings = devices
	volumes := twoVolumes()
	volumes.LaunchMappings = devices[:2]
	surrogate := &EBSSurrogate{InstanceOptions: template().InstanceOptions, LaunchMappings: []SurrogateVolume{{BlockDevice: devices[1]}}}
	for _, c := range []struct {
		of   steps.Untried
		want []string
	}{
		{template(), nil},
		{plain, []string{launchMappings + "[1].device_name"}},
		{volumes, []string{launchMappings + "[1].device_name", newVolumes + "[0].device_name", newVolumes + "[1].device_name", newVolumes + "[2].device_name"}},
		{surrogate, []string{launchMappings + "[0].device_name", "ami_root_device"}},
	} {
		var got []string
		for _, f := range c.of.Untried() {
			got = append(got, f.Field)
			if !f.Doubtful || !strings.Contains(f.Text, "local run") {
				t.Errorf("%T: %+v", c.of, f)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%T: %q, want %q", c.of, got, c.want)
		}
	}
}
