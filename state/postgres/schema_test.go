package postgres

import (
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/imgflow/imgflow/internal/pgtest"
)

// Programs that are started together find tables, whoever has made them.
func TestTablesAreMadeOnce(t *testing.T) {
	for range 5 {
		url := pgtest.Database(t)
		const n = 6
		ended := make(chan error, n)
		for range n {
			pool, err := pgxpool.New(t.Context(), url)
			if err != nil {
				t.Fatal(err)
			}
			defer pool.Close()
			b := &backend{pool: pool}
			if _, err := levelOf(t.Context(), pool); err != nil { // all are connected
				t.Fatal(err)
			}
			go func() { ended <- b.migrate(t.Context()) }()
		}
		for range n {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	}
}
