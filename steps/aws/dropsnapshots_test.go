package aws

import (
	"slices"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

func TestDropSnapshots(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	older := w.image("old")
	made := snapshots(w.describeImage(older.ID))
	gone := must(Deregister{Place: here, Name: "old", After: dag.Lit(Stopped{Place: here, ID: noInstance})}.Do(t.Context(), w.cloud, dag.NewTask("r2", "step", "t", nil, nil)))
	step := DropSnapshots{Old: dag.Lit(gone), New: dag.Lit(ReadyImage{})}
	refused(t, w, "DeleteSnapshot", step, "cannot delete "+made[0]+": ")
	if d := twice(t, w, step); !slices.Equal(d.IDs, made) || len(w.inventory().snapshots) > 0 {
		t.Errorf("%v, left %v", d.IDs, w.inventory().snapshots)
	}
	calls := w.front.total()
	if d := twice(t, w, DropSnapshots{Old: dag.Lit(Deregistered{}), New: dag.Lit(ReadyImage{})}); len(d.IDs) > 0 || w.front.total() != calls {
		t.Errorf("nothing to do: %v", d.IDs)
	}
}
