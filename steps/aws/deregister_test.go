package aws

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

// Older images of the name go, and what they are made of is told and stays; others, and the
// results of the run itself, stay.
func TestDeregister(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	older, other := w.image("old"), w.image("other")
	made := snapshots(w.describeImage(older.ID))
	step := Deregister{Place: here, Name: "old", After: dag.Lit(Stopped{Place: here, ID: noInstance})}
	if d := twice(t, w, step); len(d.IDs) != 0 {
		t.Errorf("an image of the run itself: %v", d.IDs)
	}
	saved := savedTask("r2")
	w.fail("DeregisterImage")
	if _, err := step.Do(t.Context(), w.cloud, saved()); err == nil || !strings.HasPrefix(err.Error(), "cannot deregister "+older.ID+": ") {
		t.Errorf("refused: %v", err)
	}
	w.front.setPlay(nil)
	d, err := step.Do(t.Context(), w.cloud, saved())
	if err != nil || !slices.Equal(d.IDs, []string{older.ID}) || !slices.Equal(d.Snapshots, made) {
		t.Errorf("%+v, %v, want %s of %v", d, err, older.ID, made)
	}
	d, err = step.Do(t.Context(), w.cloud, saved()) // a process that died before its record was written
	if err != nil || len(d.IDs) != 0 || !slices.Equal(d.Snapshots, made) {
		t.Errorf("again: %+v, %v", d, err)
	}
	if v := w.inventory(); !slices.Equal(v.images, []string{other.ID}) || len(v.snapshots) != 2 {
		t.Errorf("left: %+v", v)
	}
}

// savedTask is that of a step whose process dies now and then: what it saves stays.
func savedTask(run string) func() *dag.Task {
	saved := map[string]json.RawMessage{}
	return func() *dag.Task {
		return dag.NewTask(run, "step", "t", nil, nil).Keep(maps.Clone(saved), func(name string, value json.RawMessage) error {
			saved[name] = value
			return nil
		})
	}
}

// What gives way does so when its successor can take the name at once, and what it is made of stays until
// that is there: a build that fails on the way leaves all regions but its own as they were.
func TestForceDeregister(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	first := template()
	first.AMIRegions = []string{west}
	w.build(&dag.MemStore{}, w.graph(first))
	ids := func(region string) (ids []string) {
		for _, i := range w.imagesIn(region) {
			ids = append(ids, text(i.ImageId))
		}
		return ids
	}
	before := map[string][]string{home: ids(home), west: ids(west)}
	b := template()
	b.AMIRegions, b.ForceDeregister, b.ForceDeleteSnapshot = []string{west}, true, true
	store, g := &dag.MemStore{}, w.graph(b)
	engine := func() *dag.Engine {
		return must(dag.New(dag.Options{Run: "r2", Store: store, Kinds: w.kinds(), OnFailure: suspend}))
	}
	for _, call := range []string{"StopInstances", "CreateImage", "CopyImage"} {
		older := slices.Concat(ids(home), ids(west))
		w.front.setPlay(func(rw http.ResponseWriter, action string, _ int, _ url.Values) bool {
			if action == call {
				refuse(rw, 403, "UnauthorizedOperation", "You are not authorized to perform this operation.")
			}
			return action == call
		})
		r, err := engine().Solve(t.Context(), g)
		if err != nil || len(r.Failed) != 1 || !strings.Contains(r.Failed[0].Err.Error(), "ec2:"+call) {
			t.Fatalf("%s: %v, %v", call, err, r.Failed)
		}
		if now := slices.Concat(ids(home), ids(west)); call != "CopyImage" && !slices.Equal(now, older) || call == "CopyImage" && !slices.Equal(ids(west), before[west]) {
			t.Errorf("who may not %s has %v left of %v", call, now, older)
		}
		w.fail(call)
		r, err = engine().Solve(t.Context(), g)
		if err != nil || len(r.Failed) != 1 {
			t.Fatalf("%s: %v, %v", call, err, r.Failed)
		}
		if n := len(w.snapshotsIn(west)); n != 1 {
			t.Errorf("%s failed: %d snapshots in %s", call, n, west)
		}
		if told := r.Failed[0].Err.Error(); call != "StopInstances" && !strings.Contains(told, "was deregistered in ") {
			t.Errorf("%s failed, and it does not say what gave way: %s", call, told)
		}
		switch {
		case call == "StopInstances" && !slices.Equal(ids(home), before[home]), call != "CopyImage" && !slices.Equal(ids(west), before[west]):
			t.Errorf("%s failed: %v and %v are left of %v", call, ids(home), ids(west), before)
		case call == "CreateImage" && len(w.snapshotsIn(home)) != 1:
			t.Errorf("%s failed: what the older image was made of has gone", call)
		}
	}
	w.front.setPlay(nil)
	if r, err := engine().Solve(t.Context(), g); err != nil || len(r.Failed) > 0 {
		t.Fatal(err, r.Failed)
	}
	for _, region := range []string{home, west} {
		w.called(region, "image-1")
		if slices.Equal(ids(region), before[region]) {
			t.Errorf("the older image is still in %s", region)
		}
	}
}
