package state

import (
	"errors"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
)

// A run in a directory is one process's.
func TestFilesAreNotShared(t *testing.T) {
	h := home(t)
	r := create(t, h)
	_, assigned := h.Assign(r.ID(), Owner{})
	_, joined := h.Join(r.ID(), 1)
	_, claimed := r.Claim(dag.Key{1})
	for _, err := range []error{assigned, joined, claimed, h.Release(r.ID(), 1)} {
		if err == nil || !strings.Contains(err.Error(), "only runs in PostgreSQL can be shared") {
			t.Errorf("it was shared: %v", err)
		}
	}
	if rs, err := r.Refresh(); err != nil || len(rs) > 0 || r.Lost() != nil {
		t.Errorf("somebody else has changed %v, %v", rs, err)
	}
}

func TestBusyErrorOfAnEngine(t *testing.T) {
	err := &BusyError{Run: "r", Owner: Owner{Command: "temporal://127.0.0.1:7233/default"}}
	if !strings.Contains(err.Error(), "temporal://127.0.0.1:7233/default is driving it") {
		t.Error(err)
	}
	if err := error(&FencedError{Run: "r", Step: "1234"}); !errors.As(err, new(*FencedError)) || !strings.Contains(err.Error(), "step 1234 of run r") {
		t.Error(err)
	}
}
