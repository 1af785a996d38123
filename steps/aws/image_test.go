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
