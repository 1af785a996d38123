package aws

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// surrogate is a build of an image of two volumes out of three.
func surrogate() *EBSSurrogate {
	b := &EBSSurrogate{InstanceOptions: template().InstanceOptions, ImageOptions: template().ImageOptions}
	b.LaunchMappings = []SurrogateVolume{
		{BlockDevice: BlockDevice{DeviceName: "/dev/xvdf", VolumeSize: 2, VolumeType: "gp3", Throughput: 250}},
		{BlockDevice: BlockDevice{DeviceName: "/dev/xvdg", VolumeSize: 4, VolumeType: "gp2"}},
		{BlockDevice: BlockDevice{DeviceName: "/dev/xvdh", VolumeSize: 4}, Omit: true},
	}
	b.RootDevice = SurrogateRoot{SourceDevice: "/dev/xvdf", DeviceName: "/dev/xvda", VolumeSize: 8, IOPS: 4000}
	b.VirtualizationType, b.ENASupport, b.SriovSupport = "hvm", ptr(true), true
	b.BootMode, b.TPMSupport, b.UEFIData, b.SnapshotDescription = "uefi", "v2.0", "dmFyaWFibGVz", parsed("of {{ .SourceAMI }}")
	b.Tags, b.SnapshotTags = map[dag.Text]dag.Text{"os": "linux"}, map[dag.Text]dag.Text{"of": "volumes"}
	return b
}

// An image of volumes has what the template says and nothing of the instance; instances start from it.
func TestSurrogate(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	b := surrogate()
	b.AMIMappings = []BlockDevice{{DeviceName: "/dev/xvdg", VolumeType: "io1", IOPS: 150, DeleteOnTermination: ptr(false)}, {DeviceName: "/dev/xvdi", VolumeSize: 1}, {DeviceName: "/dev/xvdj", VirtualName: "ephemeral0"}}
	e := w.build(&dag.MemStore{}, w.wired(b, "amazon-ebssurrogate"))
	v := w.inventory()
	if len(v.images) != 1 || len(v.snapshots) != 2 || len(v.instances)+len(v.volumes)+len(v.keys)+len(v.groups) != 0 {
		t.Fatalf("left %+v", v)
	}
	i := w.describeImage(v.images[0])
	if text(i.RootDeviceName) != "/dev/xvda" || i.Architecture != "x86_64" || i.VirtualizationType != "hvm" || !*i.EnaSupport || text(i.SriovNetSupport) != "simple" || i.BootMode != "uefi" ||
		i.TpmSupport != "v2.0" || text(i.Name) != "image-1" || tag(i.Tags, "os") != "linux" || tag(i.Tags, TagExpires) != "never" {
		t.Errorf("%+v", i)
	}
	want := []types.EbsBlockDevice{
		{VolumeSize: ptr(int32(8)), VolumeType: "gp3", Iops: ptr(int32(4000)), Throughput: ptr(int32(250)), DeleteOnTermination: ptr(true)},
		{VolumeSize: ptr(int32(4)), VolumeType: "io1", Iops: ptr(int32(150)), DeleteOnTermination: ptr(false)},
		{VolumeSize: ptr(int32(1)), VolumeType: "gp2", DeleteOnTermination: ptr(true)},
	}
	var names []string
	for n, m := range i.BlockDeviceMappings {
		names = append(names, text(m.DeviceName))
		if n >= len(want) {
			continue
		}
		got := *m.Ebs
		if got.VolumeType != want[n].VolumeType || *got.VolumeSize != *want[n].VolumeSize || want[n].Iops != nil && *got.Iops != *want[n].Iops ||
			want[n].Throughput != nil && *got.Throughput != *want[n].Throughput || *got.DeleteOnTermination != *want[n].DeleteOnTermination || (text(got.SnapshotId) == "") != (n == 2) {
			t.Errorf("%s: %+v", text(m.DeviceName), got)
		}
	}
	if !slices.Equal(names, []string{"/dev/xvda", "/dev/xvdg", "/dev/xvdi", "/dev/xvdj"}) {
		t.Errorf("its devices are %q", names)
	}
	for _, sn := range must(w.client().DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}})).Snapshots {
		if !strings.HasPrefix(text(sn.Description), "of ami-") || tag(sn.Tags, "of") != "volumes" || tag(sn.Tags, "os") != "linux" || tag(sn.Tags, TagExpires) != "never" {
			t.Errorf("%+v", sn)
		}
	}
	if out := must(w.client().DescribeImageAttribute(t.Context(), &ec2.DescribeImageAttributeInput{ImageId: i.ImageId, Attribute: types.ImageAttributeNameUefiData})); text(out.UefiData.Value) != b.UEFIData {
		t.Errorf("%+v", out)
	}
	costs(t, Cost(e.Records(), time.Now()).Monthly, .6) // of 8 and 4 GiB
	if left, err := e.Destroy(t.Context(), dag.Unkept); err != nil || len(left) > 0 || len(w.inventory().snapshots) != 2 {
		t.Errorf("destroy of what is not kept: %v, %v", left, err)
	}
	w.destroyed(e)
	w.only(0)
}

// A build of an image of volumes dies at every write of its store. Resumed, it has made each thing once.
func TestSurrogateOfADeath(t *testing.T) {
	graph := func(w *world) *dag.Graph { return w.wired(surrogate(), "amazon-ebssurrogate") }
	deaths(t, 3, graph, func(w *world, g *dag.Graph, _ int, store *dag.MemStore) {
		e := w.build(store, g)
		if v := w.inventory(); len(v.images) != 1 || len(v.snapshots) != 2 || len(v.instances)+len(v.volumes)+len(v.keys)+len(v.groups) != 0 {
			w.t.Errorf("left %+v", v)
		}
		w.destroyed(e)
		w.only(0)
	})
	t.Run("destroy", func(t *testing.T) {
		deaths(t, 5, graph, func(w *world, _ *dag.Graph, _ int, store *dag.MemStore) {
			w.destroyed(w.engine(store, &events{}))
			w.only(0)
		})
	})
}

// Where only copies are wanted, the image goes when they are there, and then its snapshots.
func TestSurrogateOfCopies(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	b := surrogate()
	b.AMIRegions, b.SkipSaveBuildRegion, b.EncryptBoot = []string{west}, true, ptr(true)
	w.build(&dag.MemStore{}, w.wired(b, "amazon-ebssurrogate"))
	w.only(0)
	if is, sns := w.imagesIn(west), w.snapshotsIn(west); len(is) != 1 || len(sns) != 2 || text(is[0].RootDeviceName) != "/dev/xvda" {
		t.Errorf("%+v, %+v", is, sns)
	}
	if w.front.count("DeleteSnapshot") != 2 || w.front.count("RegisterImage") != 1 {
		t.Errorf("%v", w.front.calls)
	}
}

// A test that fails leaves the image with its snapshots, for the next attempt.
func TestSurrogateIsTested(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	build := func(text string) *dag.Graph {
		b := surrogate()
		b.InstanceType = "t3.micro"
		g := dag.NewGraph(nil)
		b.Test().Add("test-1", func(m dag.Out[comm.Machine]) dag.Out[comm.Machine] {
			return dag.Add(g, dag.Build{Name: "b"}, "test-1.probe", probe{m.Take(), text})
		})
		return w.into(g, b, "b")
	}
	store := &dag.MemStore{}
	if r := w.try(store, build("bad")); len(r.Failed) != 1 {
		t.Fatal(r.Failed)
	}
	if v := w.inventory(); len(v.images) != 1 || len(v.snapshots) != 2 || len(w.published()) > 0 {
		t.Errorf("left %+v, published %v", v, w.published())
	}
	if r := w.try(store, build("good")); len(r.Failed) > 0 {
		t.Fatal(r.Failed)
	}
	if v := w.inventory(); len(v.images) != 1 || len(v.snapshots) != 2 || len(v.instances)+len(v.volumes) > 0 || w.front.count("RegisterImage") != 1 {
		t.Errorf("left %+v", v)
	}
}

// An older image of the name goes when the snapshots of the new one are there.
func TestSurrogateReplaces(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	w.build(&dag.MemStore{}, w.graph(template()))
	old := w.inventory()
	b := surrogate()
	b.ForceDeregister, b.ForceDeleteSnapshot = true, true
	g := w.wired(b, "amazon-ebssurrogate")
	e, err := dag.New(dag.Options{Run: "r2", Store: &dag.MemStore{}, Kinds: w.kinds()})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := e.Solve(t.Context(), g); err != nil || len(r.Failed)+len(r.Left) > 0 {
		t.Fatal(err, r)
	}
	if v := w.inventory(); len(v.images) != 1 || len(v.snapshots) != 2 || v.images[0] == old.images[0] || slices.Contains(v.snapshots, old.snapshots[0]) {
		t.Errorf("left %+v of %+v", v, old)
	}
}

// What was there before stays when an image that has it goes.
func TestSnapshotsThatWereThereStay(t *testing.T) {
	for _, name := range []string{"known", "found by its token", "an orphan"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, ec2local.Faults{})
			from := w.atRest()
			other := dag.NewTask("r0", "step", "t2", nil, nil)
			sn := must(CreateSnapshot{From: dag.Lit(from), Device: "/dev/sdf"}.Do(t.Context(), w.cloud, other))
			must(SnapshotReady{Snapshot: dag.Lit(sn), Part: true}.Do(t.Context(), w.cloud, task("t3")))
			mappings := []BlockDevice{{DeviceName: "/dev/sdg", SnapshotID: sn.ID}}
			do := task("t4")
			m, err := CreateImage{From: dag.Lit(from), Name: "name", Mappings: mappings}.Do(t.Context(), w.cloud, do)
			if err != nil {
				t.Fatal(err)
			}
			switch name {
			case "known":
				err = m.Undo(t.Context(), w.cloud, do)
			case "an orphan":
				err = w.cloud.Remove(t.Context(), Orphan{Place: here, Type: "image", ID: m.ID, Run: do.Run, Token: m.Token})
			default:
				err = Image{}.Undo(t.Context(), w.cloud, do)
			}
			if err != nil {
				t.Fatal(err)
			}
			if v := w.inventory(); len(v.images) != 0 || !slices.Equal(v.snapshots, []string{sn.ID}) {
				t.Errorf("left %+v, want %s", v, sn.ID)
			}
		})
	}
}

func TestCheckSurrogate(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*EBSSurrogate)
		want   []string // the first words of each
	}{
		"right":          {func(*EBSSurrogate) {}, nil},
		"no root":        {func(b *EBSSurrogate) { b.RootDevice = SurrogateRoot{} }, []string{"ami_root_device.source_device_name: must be set", "ami_root_device.device_name: must be set"}},
		"no such volume": {func(b *EBSSurrogate) { b.RootDevice.SourceDevice = "/dev/sdz" }, []string{"ami_root_device.source_device_name: launch_block_device_mappings has no volume \"/dev/sdz\""}},
		"no volume": {func(b *EBSSurrogate) {
			b.LaunchMappings[0].BlockDevice = BlockDevice{DeviceName: "/dev/xvdf", NoDevice: true}
		}, []string{"ami_root_device.source_device_name: /dev/xvdf is no volume by launch_block_device_mappings[0]"}},
		"left out":       {func(b *EBSSurrogate) { b.LaunchMappings[0].Omit = true }, []string{"launch_block_device_mappings[0].omit_from_artifact: cannot be true"}},
		"too small":      {func(b *EBSSurrogate) { b.RootDevice.VolumeSize, b.RootDevice.IOPS = 1, 0 }, []string{"ami_root_device.volume_size: must be at least the 2 GiB"}},
		"no device":      {func(b *EBSSurrogate) { b.RootDevice.DeviceName = "root" }, []string{`ami_root_device.device_name: "root" is no name of a device`}},
		"a type of none": {func(b *EBSSurrogate) { b.RootDevice.VolumeType = "st1"; b.RootDevice.IOPS = 0 }, []string{"ami_root_device.volume_type: must be another one"}},
		"few operations": {func(b *EBSSurrogate) { b.RootDevice.IOPS = 10 }, []string{"ami_root_device.iops: must be at least 3000 for gp3"}},
		"another root":   {func(b *EBSSurrogate) { b.LaunchMappings[1].DeviceName = "/dev/xvda" }, []string{"launch_block_device_mappings[1]: its volume is not in the image"}},
		"of nothing":     {func(b *EBSSurrogate) { b.AMIMappings = []BlockDevice{{DeviceName: "/dev/xvdh"}} }, []string{"ami_block_device_mappings[0].volume_size: must be set"}},
		"without root":   {func(b *EBSSurrogate) { b.AMIMappings = []BlockDevice{{DeviceName: "/dev/xvda", NoDevice: true}} }, []string{"ami_block_device_mappings[0].device_name: it is the root device of the image"}},
		"a snapshot of its own": {func(b *EBSSurrogate) {
			b.AMIMappings = []BlockDevice{{DeviceName: "/dev/xvdg", SnapshotID: "snap-0123456789abcdef0"}}
		}, []string{"ami_block_device_mappings[0].snapshot_id: cannot be given"}},
		"no virtualization": {func(b *EBSSurrogate) { b.VirtualizationType = "" }, []string{"ami_virtualization_type: must be set"}},
		"paravirtual":       {func(b *EBSSurrogate) { b.VirtualizationType = "paravirtual" }, []string{"ami_virtualization_type: must be hvm"}},
		"paravirtual arm": {func(b *EBSSurrogate) {
			b.VirtualizationType, b.Architecture, b.ENASupport, b.SriovSupport = "paravirtual", "arm64", nil, false
		}, []string{"ami_virtualization_type: must be hvm for arm64"}},
		"no ENA":               {func(b *EBSSurrogate) { b.ENASupport = nil }, []string{"ena_support: it is not set"}},
		"off":                  {func(b *EBSSurrogate) { b.ENASupport = ptr(false) }, nil},
		"an architecture":      {func(b *EBSSurrogate) { b.Architecture = "sparc" }, []string{`ami_architecture: "sparc" is not known`}},
		"old boot":             {func(b *EBSSurrogate) { b.BootMode, b.TPMSupport = "legacy-bios", "" }, []string{"uefi_data: cannot be used with the boot_mode legacy-bios"}},
		"no boot mode":         {func(b *EBSSurrogate) { b.BootMode = "" }, []string{"tpm_support: needs the boot_mode uefi", "uefi_data: needs the boot_mode uefi"}},
		"no base64":            {func(b *EBSSurrogate) { b.UEFIData = "??" }, []string{"uefi_data: it is not base64"}},
		"no name":              {func(b *EBSSurrogate) { b.AMIName = "" }, []string{"ami_name: must be set"}},
		"no type":              {func(b *EBSSurrogate) { b.InstanceType = "" }, []string{"instance_type: "}},
		"spot":                 {func(b *EBSSurrogate) { b.Price = "auto" }, []string{"spot_price: a spot instance is not stopped for its snapshots"}},
		"fast launch":          {func(b *EBSSurrogate) { b.FastLaunch.Enable = true }, []string{"fast_launch: it is for images of Windows"}},
		"early":                {func(b *EBSSurrogate) { b.CreateDuringShutdown = true }, nil},
		"public and encrypted": {func(b *EBSSurrogate) { b.LaunchMappings[0].Encrypted, b.Groups = ptr(true), []string{"all"} }, []string{"ami_groups: an image with encrypted volumes cannot be public"}},
	} {
		b := surrogate()
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

var _ steps.Testable = (*EBSSurrogate)(nil)
