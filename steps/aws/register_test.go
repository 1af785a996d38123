package aws

import (
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

// part is a complete snapshot of the second volume of an instance at rest, as the root of an image.
func (w *world) part(from Stopped) Part {
	w.t.Helper()
	sn := must(CreateSnapshot{From: dag.Lit(from), Device: "/dev/sdf"}.Do(w.t.Context(), w.cloud, task("part")))
	ready := must(SnapshotReady{Snapshot: dag.Lit(sn), Part: true}.Do(w.t.Context(), w.cloud, task("part-ready")))
	return Part{dag.Lit(ready), BlockDevice{DeviceName: "/dev/xvda", DeleteOnTermination: ptr(true), Encrypted: ptr(true)}}
}

// An image is registered once, whatever is lost: it is known by the token that it carries. Its snapshots are not its own.
func TestRegisterImage(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	from := w.atRest()
	step := RegisterImage{From: dag.Lit(from), Parts: []Part{w.part(from)}, Name: "name", Description: "told", Tags: map[dag.Text]dag.Text{"os": "linux"}, Root: "/dev/xvda",
		Character: Character{Architecture: "x86_64", Virtualization: "hvm"}}
	m := testThing(t, w, step, func(a, b Image) bool { return a.ID == b.ID })
	if v := w.inventory(); len(v.images) != 0 || len(v.snapshots) != 1 {
		t.Errorf("%s is gone, left %+v", m.ID, v)
	}
	refused(t, w, "RegisterImage", step, `cannot register the image "name": `)
	step.Name = ""
	if m := must(step.Do(t.Context(), w.cloud, task("token"))); m.Name != "token" {
		t.Errorf("it is called %s", m.Name)
	}
}
