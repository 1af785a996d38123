package postgres

import (
	"testing"

	"github.com/imgflow/imgflow/internal/pgtest"
	"github.com/imgflow/imgflow/state"
	"github.com/imgflow/imgflow/state/statetest"
)

// Behind a PgBouncer that pools transactions a database is as good as without.
func TestPgBouncer(t *testing.T) {
	b := statetest.Backend{
		New:  func(t testing.TB) string { return pgtest.Bounced(t) + "&default_query_exec_mode=exec" },
		Open: func(url, dir string) (*state.Home, error) { return Open(dir, url) },
	}
	statetest.Run(t, b)
	statetest.Shared(t, b)
}
