package aws

import (
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps/aws/ec2local"
)

// A volume with delete_on_termination false stays after a good build, is no
// orphan, and goes with the run's results; after a failed build it goes at once.
func TestVolumesThatAreKept(t *testing.T) {
	for _, skip := range []bool{false, true} {
		w := newWorld(t, ec2local.Faults{})
		b := template()
		b.SkipCreateAMI = skip
		b.LaunchMappings = []BlockDevice{{DeviceName: "/dev/sdb", VolumeSize: 1, DeleteOnTermination: ptr(false)}, {DeviceName: "/dev/sdg", VolumeSize: 1}} // the image has an instance store at sdb
		e := w.build(&dag.MemStore{}, w.graph(b))
		if v := w.inventory(); len(v.volumes) != 1 || len(v.instances) != 0 {
			t.Fatalf("left %+v, want one volume", v)
		}
		if err := w.site().renew(t.Context(), "r1", w.cloud.expires(time.Now())); err != nil {
			t.Error(err)
		}
		now := time.Duration(0)
		found, err := w.cloud.Orphans(t.Context(), Hunt{Regions: []string{home}, OlderThan: &now})
		if err != nil || len(found) != 0 {
			t.Errorf("orphans %v, %v", found, err)
		}
		if left, err := e.Destroy(t.Context(), dag.Unkept); err != nil || len(left) > 0 || len(w.inventory().volumes) != 1 {
			t.Errorf("destroy of what is not kept: %v, %v", left, err)
		}
		if left, err := e.Destroy(t.Context(), func(dag.Record) bool { return true }); err != nil || len(left) > 0 {
			t.Errorf("destroy: %v, %v", left, err)
		}
		w.only(0)
	}
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
