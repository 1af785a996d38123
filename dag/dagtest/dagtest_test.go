package dagtest_test

import (
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/dag/dagtest"
)

func TestMemStore(t *testing.T) {
	dagtest.Store(t, func(*testing.T) (dag.Store, func() dag.Store) {
		s := new(dag.MemStore)
		return s, func() dag.Store { return s }
	})
}
