package aws

import (
	"errors"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

// atRest is a stopped instance with a second volume.
func (w *world) atRest() Stopped {
	w.t.Helper()
	source := must(Source{Place: here, SourceOptions: ubuntu()}.Do(w.t.Context(), w.cloud, task("s")))
	launch := w.launch(source)
	launch.LaunchMappings = []BlockDevice{{DeviceName: "/dev/sdf", VolumeSize: 1}}
	i := must(launch.Do(w.t.Context(), w.cloud, task("t1")))
	w.rest(i)
	return Stopped{Place: here, ID: i.ID}
}

// A snapshot is found by its id and by its token, is made once though an attempt has lost its
// reply, and goes once.
func TestCreateSnapshot(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	step := CreateSnapshot{From: dag.Lit(w.atRest()), Device: "/dev/sdf", Description: "d", Tags: map[dag.Text]dag.Text{"a": "b"}}
	do := task("t2")
	sn, err := step.Do(t.Context(), w.cloud, do)
	if err != nil {
		t.Fatal(err)
	}
	do.Resumed = true
	if again, err := step.Do(t.Context(), w.cloud, do); err != nil || again.ID != sn.ID {
		t.Errorf("a second attempt: %+v, %v; want %s", again, err, sn.ID)
	}
	for _, s := range []Snapshot{sn, {}, {Place: here}} {
		w.cloud.learn(here)
		if found, err := s.Find(t.Context(), w.cloud, do); err != nil || found.ID != sn.ID {
			t.Errorf("find %+v: %+v, %v", s, found, err)
		}
	}
	if sn.Label() != "snapshot "+sn.ID+" in "+home {
		t.Error(sn.Label())
	}
	for range 2 {
		if err := sn.Undo(t.Context(), w.cloud, do); err != nil {
			t.Error(err)
		}
	}
	if _, err := sn.Find(t.Context(), w.cloud, do); !errors.Is(err, dag.ErrNotFound) {
		t.Errorf("find after undo: %v", err)
	}
	step.Device = "/dev/sdz"
	if _, err := step.Do(t.Context(), w.cloud, task("t3")); err == nil || !strings.HasPrefix(err.Error(), "cannot make a snapshot of /dev/sdz: ") {
		t.Error(err)
	}
	step.Device = "/dev/sdf"
	refused(t, w, "CreateSnapshot", step, "cannot make a snapshot of /dev/sdf: ")
}
