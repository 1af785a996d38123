package aws

import (
	"net/http"
	"net/url"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

func TestLateFailureOfTheImageCleansUp(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	b := template()
	w.front.setPlay(func(rw http.ResponseWriter, action string, n int, form url.Values) bool {
		if action == "CreateImage" {
			refuse(rw, 400, "InvalidParameterValue", "Some rule that nobody knows.")
		}
		return action == "CreateImage"
	})
	r, err := w.engine(&dag.MemStore{}, &events{}).Solve(t.Context(), w.graph(b))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Failed) != 1 || len(r.Left) != 0 {
		t.Fatalf("failed %v, left %v", r.Failed, r.Left)
	}
	w.only(0)
}

func TestCreateImage(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	i, _ := w.launched("t1")
	from := w.rest(i)
	m := testThing(t, w, CreateImage{From: dag.Lit(from), Name: "name"}, func(a, b Image) bool { return a.ID == b.ID })
	if m.Label() != "image "+m.ID+" in "+home {
		t.Error(m.Label())
	}
	step := CreateImage{From: dag.Lit(from), Name: "name", Description: "told", Tags: map[dag.Text]dag.Text{"os": "linux"}, SnapshotTags: map[dag.Text]dag.Text{"of": "root"},
		Mappings: []BlockDevice{{DeviceName: "/dev/sdf", VolumeSize: 2}}}
	m = must(step.Do(t.Context(), w.cloud, task("t2")))
	image := w.describeImage(m.ID)
	if tags := tagMap(image.Tags); text(image.Description) != "told" || tags["os"] != "linux" || tags["of"] != "" || tags[TagToken] != "t2" {
		t.Errorf("description %q, tags %v", text(image.Description), tags)
	}
	if !slices.ContainsFunc(image.BlockDeviceMappings, func(d types.BlockDeviceMapping) bool { return text(d.DeviceName) == "/dev/sdf" }) {
		t.Errorf("devices: %+v", image.BlockDeviceMappings)
	}
	for id, l := range must(w.site().tagsOf(t.Context(), filter("resource-type", "snapshot"))) {
		if l.tags[TagToken] != "t2" || l.tags["os"] != "linux" || l.tags["of"] != "root" {
			t.Errorf("tags of %s: %v", id, l.tags)
		}
	}
	step.Name = "refused"
	refused(t, w, "CreateImage", step, `cannot create the image "refused": `)
	if err := m.Undo(t.Context(), w.cloud, task("t2")); err != nil {
		t.Error(err)
	}
	if err := i.Undo(t.Context(), w.cloud, task("t1")); err != nil {
		t.Error(err)
	}
	w.only(0)
}

// A protected image is removed all the same when the run's results are.
func TestProtectedImageIsRemoved(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	m := w.image("name")
	ready := must(ImageReady{Image: dag.Lit(m)}.Do(t.Context(), w.cloud, task("ready")))
	twice(t, w, Protect{Of: dag.Lit(ready)})
	if err := m.Undo(t.Context(), w.cloud, task("name-image")); err != nil {
		t.Error(err)
	}
	if v := w.inventory(); len(v.images)+len(v.snapshots) != 0 {
		t.Errorf("left: %+v", v)
	}
}

// The root volume that only the build has: the machine gets it, and the image is as it would be
// without it.
func TestBuilderVolume(t *testing.T) {
	fast := BuilderVolume{VolumeType: "gp3", IOPS: 4000, Throughput: 1000}
	for name, c := range map[string]struct {
		launch, image []BlockDevice
		want          BlockDevice // of the image's root
	}{
		"the source image's": {want: BlockDevice{VolumeType: "gp2"}},
		"the template's":     {launch: []BlockDevice{{DeviceName: "/dev/sda1", VolumeType: "gp3", IOPS: 3500, VolumeSize: 20}}, want: BlockDevice{VolumeType: "gp3", IOPS: 3500, VolumeSize: 20}},
		"the image's own":    {image: []BlockDevice{{DeviceName: "/dev/sda1", VolumeType: "io1", IOPS: 400}}, want: BlockDevice{VolumeType: "io1", IOPS: 400}},
		"another volume's":   {launch: []BlockDevice{{DeviceName: "/dev/sdf", VolumeType: "gp3", VolumeSize: 1}}, want: BlockDevice{VolumeType: "gp2"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, ec2local.Faults{})
			b := template()
			b.BuilderVolume, b.LaunchMappings, b.AMIMappings = fast, c.launch, c.image
			var root url.Values
			w.front.setPlay(func(_ http.ResponseWriter, action string, _ int, form url.Values) bool {
				if action == "RunInstances" {
					root = form
				}
				return false
			})
			w.build(&dag.MemStore{}, w.graph(b))
			n := "1"
			if root.Get("BlockDeviceMapping.2.DeviceName") == "/dev/sda1" {
				n = "2"
			}
			if at := "BlockDeviceMapping." + n + ".Ebs."; root.Get(at+"VolumeType") != "gp3" || root.Get(at+"Iops") != "4000" || root.Get(at+"Throughput") != "1000" {
				t.Errorf("the launch: %v", root)
			}
			image := w.describeImage(w.inventory().images[0])
			for _, m := range image.BlockDeviceMappings {
				if text(m.DeviceName) != "/dev/sda1" {
					continue
				}
				if v := m.Ebs; string(v.VolumeType) != c.want.VolumeType || c.want.IOPS != 0 && int(*v.Iops) != c.want.IOPS || c.want.VolumeSize != 0 && int(*v.VolumeSize) != c.want.VolumeSize || c.want.VolumeType == "gp3" && *v.Throughput != 125 {
					t.Errorf("the image's root: %s, %v operations, %v MiB/s, %v GiB; want %+v", v.VolumeType, v.Iops, v.Throughput, v.VolumeSize, c.want)
				}
			}
		})
	}
}
