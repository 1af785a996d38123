package state

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/errcode"
)

func TestPrune(t *testing.T) {
	h := home(t)
	r := create(t, h)
	image, machine := rec(1), rec(2)
	image.Kept, image.Status, image.Thing, image.Label = true, dag.Done, true, "ami-1"
	machine.Kept, machine.Status, machine.Thing, machine.Label = false, dag.Done, true, "i-2"
	if err := r.Put(image, machine); err != nil {
		t.Fatal(err)
	}
	var busy *BusyError
	if err := h.Prune(r.ID()); !errors.As(err, &busy) {
		t.Errorf("a run that is driven: %v", err)
	}
	r.Close()
	before, err := h.Summary(r.ID())
	if err != nil {
		t.Fatal(err)
	}
	for _, status := range []dag.Status{dag.Done, dag.Doing, dag.Undoing, dag.StatusFailed} {
		r = open(t, h, r.ID())
		machine.Status = status
		if err := r.Put(machine); err != nil {
			t.Fatal(err)
		}
		r.Close()
		var exist *ThingsExistError
		for _, prune := range []func(string) error{h.Prunable, h.Prune} {
			if err := prune(r.ID()); !errors.As(err, &exist) || errcode.Of(err) != errcode.ThingsExist || len(exist.Things) != 1 || exist.Things[0] != "i-2" {
				t.Errorf("with a machine that is %s: %v", status, err)
			}
		}
	}
	r = open(t, h, r.ID())
	machine.Status = dag.Gone
	if err := r.Put(machine); err != nil {
		t.Fatal(err)
	}
	r.SetSummary(func(s *Summary) { s.Owner = before.Owner })
	r.Close()
	before, _ = h.Summary(r.ID())
	if err := h.Prunable(r.ID()); err != nil {
		t.Error(err)
	}
	if after, err := h.Summary(r.ID()); err != nil || after.Updated != before.Updated {
		t.Errorf("a look has changed the summary: %v", err)
	}
	other := create(t, h)
	other.Close()
	if err := h.Prune(r.ID()); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Summary(r.ID()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after that: %v", err)
	}
	if runs, err := h.Runs(); err != nil || len(runs) != 1 || runs[0].ID != other.ID() {
		t.Errorf("%v, %v", runs, err)
	}
	// One that died in the middle has left a directory that is no run.
	left := filepath.Join(h.Dir(), "runs", pruned+"x", "y")
	if err := os.MkdirAll(left, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := h.Sweep(); err != nil {
		t.Fatal(err)
	}
	if entries, _ := os.ReadDir(filepath.Join(h.Dir(), "runs")); len(entries) != 1 {
		t.Errorf("%v", entries)
	}
}
