package postgres

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/state"
)

// page is how many events are read at once.
const page = 1000

// events are those of one run, by their numbers.
type events struct {
	b  *backend
	id string
}

func (b *backend) Events(id string) (state.Events, error) { return events{b, id}, nil }

func (e events) Close() {}

func (e events) End() (end int64, err error) {
	err = e.b.row(`SELECT coalesce(max(n), 0) FROM imgflow.events WHERE run = $1`, []any{e.id}, &end)
	return end, e.b.reading("the events of run "+e.id, err)
}

func (e events) Each(from int64, fn func(e dag.Event, next int64) error) error {
	type row struct {
		N    int64
		Line []byte
	}
	for {
		var rows []row
		if err := e.b.again(func(ctx context.Context) error {
			found, err := e.b.pool.Query(ctx, `SELECT n, line FROM imgflow.events WHERE run = $1 AND n > $2 ORDER BY n LIMIT $3`, e.id, from, page)
			if err == nil {
				rows, err = pgx.CollectRows(found, pgx.RowToStructByPos[row])
			}
			return err
		}); err != nil {
			return e.b.reading("the events of run "+e.id, err)
		}
		for _, r := range rows {
			var ev dag.Event
			if err := json.Unmarshal(r.Line, &ev); err != nil { // told rather than passed over
				ev = dag.Event{V: dag.EventVersion, Type: dag.Warned, Text: fmt.Sprintf("event %d in %s cannot be read: %v", r.N, e.b.place, err)}
			}
			if err := fn(ev, r.N); err != nil {
				return err
			}
			from = r.N
		}
		if len(rows) < page {
			return nil
		}
	}
}
