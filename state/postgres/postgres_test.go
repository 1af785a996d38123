package postgres

import (
	"os"
	"testing"
	"time"

	"github.com/imgflow/imgflow/internal/pgtest"
	"github.com/imgflow/imgflow/state"
	"github.com/imgflow/imgflow/state/statetest"
)

// database is the backend; the place is the URL.
var database = statetest.Backend{
	New:  func(t testing.TB) string { return pgtest.Database(t) },
	Open: func(url, dir string) (*state.Home, error) { return Open(dir, url) },
}

func TestMain(m *testing.M) {
	leaseTime, renewEvery, idleTime = 2*time.Second, 300*time.Millisecond, time.Second
	if url := os.Getenv(pausedVar); url != "" {
		paused(url)
		return
	}
	statetest.Main(m, database)
}

func TestPostgres(t *testing.T) { statetest.Run(t, database) }

func TestShared(t *testing.T) { statetest.Shared(t, database) }
