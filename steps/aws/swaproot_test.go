package aws

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

// The volume becomes the root, wherever an attempt before has ended; what is left of both goes.
func TestSwapRoot(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	from := w.atRest()
	volumes := must(FindVolumes{Instance: dag.Lit(Instance{Place: here, ID: from.ID}), Swap: "/dev/sdf"}.Do(t.Context(), w.cloud, task("v")))
	if len(volumes.IDs) != 2 || volumes.Root != "/dev/sda1" {
		t.Fatalf("%+v", volumes)
	}
	step := SwapRoot{From: dag.Lit(from), Volumes: dag.Lit(volumes), Device: "/dev/sdf"}
	refused(t, w, "DetachVolume", step, "cannot detach vol-")
	refused(t, w, "AttachVolume", step, "cannot attach vol-")
	if out := twice(t, w, step); out.ID != from.ID || w.front.count("AttachVolume") != 2 {
		t.Errorf("%+v, %v", out, w.front.calls)
	}
	i := must(w.site().describeInstances(t.Context(), filter("instance-id", from.ID)))[0]
	if len(i.BlockDeviceMappings) != 1 || volumeAt(i, "/dev/sda1") != volumes.Devices["/dev/sdf"] {
		t.Errorf("%+v", i.BlockDeviceMappings)
	}
	step.Device = "/dev/sdz"
	if _, err := step.Do(t.Context(), w.cloud, task("none")); err == nil {
		t.Error("a volume that is not there became the root")
	}
	if err := (Instance{Place: here, ID: from.ID}).Undo(t.Context(), w.cloud, task("i")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := volumes.Undo(t.Context(), w.cloud, task("v")); err != nil {
			t.Error(err)
		}
	}
	w.only(0)
}

// swapping is a surrogate whose image is made of the instance.
func swapping() *EBSSurrogate {
	b := surrogate()
	b.UseCreateImage, b.RootDevice.DeviceName = true, "/dev/sda1"
	b.BootMode, b.TPMSupport, b.UEFIData, b.SnapshotDescription = "", "", "", ""
	return b
}

// An image of an instance whose root was swapped has the volumes of the template, and what EC2 would leave is removed.
func TestSwappingSurrogate(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	e := w.build(&dag.MemStore{}, w.wired(swapping(), "amazon-ebssurrogate"))
	v := w.inventory()
	if len(v.images) != 1 || len(v.snapshots) != 2 || len(v.instances)+len(v.volumes)+len(v.keys)+len(v.groups) != 0 {
		t.Fatalf("left %+v", v)
	}
	i := w.describeImage(v.images[0])
	devices := map[string]types.EbsBlockDevice{}
	for _, d := range i.BlockDeviceMappings {
		if d.Ebs != nil { // else it is an instance store of the source image
			devices[text(d.DeviceName)] = *d.Ebs
		}
	}
	root, other := devices["/dev/sda1"], devices["/dev/xvdg"]
	if len(devices) != 2 || *root.VolumeSize != 8 || *root.Iops != 4000 || !*root.DeleteOnTermination || *other.VolumeSize != 4 {
		t.Errorf("%+v", devices)
	}
	w.destroyed(e)
	w.only(0)
}

func TestSwappingSurrogateOfADeath(t *testing.T) {
	graph := func(w *world) *dag.Graph { return w.wired(swapping(), "amazon-ebssurrogate") }
	deaths(t, 5, graph, func(w *world, g *dag.Graph, _ int, store *dag.MemStore) {
		e := w.build(store, g)
		if v := w.inventory(); len(v.images) != 1 || len(v.snapshots) != 2 || len(v.instances)+len(v.volumes)+len(v.keys)+len(v.groups) != 0 {
			w.t.Errorf("left %+v", v)
		}
		w.destroyed(e)
		w.only(0)
	})
}
