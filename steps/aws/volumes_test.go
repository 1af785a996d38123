package aws

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

// Volumes of a failed build are not kept.
func TestVolumesOfAFailedBuild(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	b := template()
	b.LaunchMappings = []BlockDevice{{DeviceName: "/dev/sdf", VolumeSize: 1, DeleteOnTermination: ptr(false)}}
	w.fail("StopInstances")
	r, err := w.engine(&dag.MemStore{}, &events{}).Solve(t.Context(), w.graph(b))
	if err != nil || len(r.Failed) != 1 || len(r.Left) != 0 {
		t.Fatal(r, err)
	}
	w.only(0)
}

// A run dies at any write, and is destroyed: no volume is left that was to outlive its
// instance, not even one that nobody has written down.
func TestNoVolumeOutlivesADeath(t *testing.T) {
	deaths(t, 2, func(w *world) *dag.Graph {
		b := template()
		b.LaunchMappings = []BlockDevice{{DeviceName: "/dev/sdf", VolumeSize: 1, DeleteOnTermination: ptr(false)}, {DeviceName: "/dev/sdg", VolumeSize: 1, DeleteOnTermination: ptr(false)}}
		return w.graph(b)
	}, func(w *world, _ *dag.Graph, _ int, store *dag.MemStore) {
		w.destroyed(w.engine(store, &events{}))
		w.only(0)
	})
}

// The volumes that outlive their instance are found by their ids, and go when it
// has ended.
func TestFindVolumes(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	source := must(Source{Place: here, SourceOptions: ubuntu()}.Do(t.Context(), w.cloud, task("s")))
	launch := w.launch(source)
	launch.LaunchMappings = []BlockDevice{{DeviceName: "/dev/sdf", VolumeSize: 1, DeleteOnTermination: ptr(false)}, {DeviceName: "/dev/sdg", VolumeSize: 1}}
	i := must(launch.Do(t.Context(), w.cloud, task("t1")))
	w.rest(i)
	v := twice(t, w, FindVolumes{Instance: dag.Lit(i)})
	if len(v.IDs) != 1 || v.Label() != "volumes "+v.IDs[0] {
		t.Fatalf("%+v", v)
	}
	if found, err := v.Find(t.Context(), w.cloud, task("t2")); err != nil || !slices.Equal(found.IDs, v.IDs) {
		t.Errorf("find itself: %v, %v", found, err)
	}
	if found, err := (Volumes{Place: here}).Find(t.Context(), w.cloud, task("t2")); err != nil || !slices.Equal(found.IDs, v.IDs) || !maps.Equal(found.Devices, v.Devices) {
		t.Errorf("find what was claimed: %v, %v, want %v", found, err, v)
	}
	if found, err := (Volumes{Place: here}).Find(t.Context(), w.cloud, task("t3")); !errors.Is(err, dag.ErrNotFound) {
		t.Errorf("find what was not claimed: %v, %v", found, err)
	}
	if err := v.Undo(t.Context(), w.cloud, task("t2")); err == nil || !strings.Contains(err.Error(), "an instance still uses the volume") {
		t.Errorf("undo beside the instance: %v", err)
	}
	if err := i.Undo(t.Context(), w.cloud, task("t1")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := v.Undo(t.Context(), w.cloud, task("t2")); err != nil {
			t.Errorf("undo: %v", err)
		}
	}
	if found, err := v.Find(t.Context(), w.cloud, task("t2")); !errors.Is(err, dag.ErrNotFound) {
		t.Errorf("find after undo: %v, %v", found, err)
	}
	if _, err := (FindVolumes{Instance: dag.Lit(i)}).Do(t.Context(), w.cloud, task("t3")); !errors.Is(err, dag.ErrNotFound) {
		t.Errorf("of an instance that has ended: %v", err)
	}
	w.only(0)
}
