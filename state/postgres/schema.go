package postgres

import (
	"context"
	"embed"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/imgflow/imgflow/internal/errcode"
)

// migrations bring the schema from each level to the next: 1.sql from none to 1, and so on.
//
//go:embed schema/*.sql
var migrations embed.FS

// level is that of the schema which this program knows.
const level = 4

// migrating is the advisory lock under which the schema is changed.
const migrating = 0x696d67666c6f77 // "imgflow"

// migrate brings the schema to the level that this program knows. A schema that has it
// is only looked at.
func (b *backend) migrate(ctx context.Context) error {
	have, err := levelOf(ctx, b.pool)
	if err != nil || have == level {
		return err
	}
	return pgx.BeginFunc(ctx, b.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, int64(migrating)); err != nil {
			return err
		}
		have, err := levelOf(ctx, tx)
		if err != nil {
			return err
		}
		if have > level {
			return errcode.With(errcode.StateNewer, fmt.Errorf("they were made by a newer imgflow (level %d; this one knows up to %d): use that version", have, level))
		}
		for ; have < level; have++ {
			change, err := migrations.ReadFile(fmt.Sprintf("schema/%d.sql", have+1))
			if err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, string(change)); err != nil {
				return fmt.Errorf("cannot bring their tables from level %d to %d: %w", have, have+1, err)
			}
		}
		_, err = tx.Exec(ctx, `UPDATE imgflow.schema SET level = $1`, level)
		return err
	})
}

type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// levelOf is the level of the schema; 0 is none.
func levelOf(ctx context.Context, q querier) (have int, err error) {
	var there bool
	// to_regclass may go by what the session has seen before it waited for the lock.
	if err := q.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_catalog.pg_tables WHERE schemaname = 'imgflow' AND tablename = 'schema')`).Scan(&there); err != nil || !there {
		return 0, err
	}
	err = q.QueryRow(ctx, `SELECT level FROM imgflow.schema`).Scan(&have)
	return have, err
}
