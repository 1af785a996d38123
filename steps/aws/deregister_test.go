package aws

import (
	"slices"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

// Older images of the name go, with their snapshots if so wanted; others, and the
// results of the run itself, stay.
func TestDeregister(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	older, other := w.image("old"), w.image("other")
	step := Deregister{Places: []Place{here}, Name: "old"}
	if d := twice(t, w, step); len(d.IDs) != 0 {
		t.Errorf("an image of the run itself: %v", d.IDs)
	}
	next := func() *dag.Task { return dag.NewTask("r2", "step", "t", nil, nil) }
	w.fail("DeregisterImage")
	if _, err := step.Do(t.Context(), w.cloud, next()); err == nil || !strings.HasPrefix(err.Error(), "cannot deregister "+older.ID+": ") {
		t.Errorf("refused: %v", err)
	}
	w.front.setPlay(nil)
	d, err := step.Do(t.Context(), w.cloud, next())
	if err != nil || !slices.Equal(d.IDs, []string{older.ID}) {
		t.Errorf("%v, %v, want %s", d.IDs, err, older.ID)
	}
	if v := w.inventory(); !slices.Equal(v.images, []string{other.ID}) || len(v.snapshots) != 2 {
		t.Errorf("left: %+v", v)
	}
	step.Name, step.Snapshots = "other", true
	for _, want := range [][]string{{other.ID}, nil} {
		if d, err := step.Do(t.Context(), w.cloud, next()); err != nil || !slices.Equal(d.IDs, want) {
			t.Errorf("%v, %v, want %v", d.IDs, err, want)
		}
	}
	if v := w.inventory(); len(v.images) != 0 || len(v.snapshots) != 1 {
		t.Errorf("left: %+v", v)
	}
}
