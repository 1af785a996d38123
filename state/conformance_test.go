package state_test

import (
	"testing"

	"github.com/imgflow/imgflow/state"
	"github.com/imgflow/imgflow/state/statetest"
)

// directory is the backend that keeps runs in files; the place is the directory itself.
var directory = statetest.Backend{
	New:  func(t testing.TB) string { return t.TempDir() },
	Open: func(place, _ string) (*state.Home, error) { return state.OpenHome(place) },
}

func TestMain(m *testing.M) { statetest.Main(m, directory) }

func TestDirectory(t *testing.T) { statetest.Run(t, directory) }
