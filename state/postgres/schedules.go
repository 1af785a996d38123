package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/imgflow/imgflow/state"
)

// schedules are those in a database.
type schedules struct{ *backend }

// Schedules keep what runs are made of again and again.
func (b *backend) Schedules() state.Schedules { return schedules{b} }

func (b schedules) All() (all []state.Schedule, err error) {
	err = b.again(func(ctx context.Context) error {
		rows, err := b.pool.Query(ctx, `SELECT name, spec, look, base FROM imgflow.schedules ORDER BY name COLLATE "C"`)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (s state.Schedule, err error) {
			return s, row.Scan(&s.Name, &s.Spec, &s.Look, &s.Base)
		})
		return err
	})
	return all, b.reading("the schedules", err)
}

func (b schedules) Get(name string) (state.Schedule, error) {
	s := state.Schedule{Name: name}
	err := b.row(`SELECT spec, files, pack, look, base FROM imgflow.schedules WHERE name = $1`, []any{name}, &s.Spec, &s.Files, &s.Pack, &s.Look, &s.Base)
	if errors.Is(err, pgx.ErrNoRows) {
		return s, state.NoSchedule(name, b.place)
	}
	return s, b.reading("the schedule "+name, err)
}

func (b schedules) Put(s state.Schedule, sums []string) error {
	contents, size := make([][]byte, len(sums)), len(s.Spec)+len(s.Files)+len(s.Pack)
	for i, sum := range sums {
		contents[i], size = []byte(sum), size+len(sum)
	}
	return b.writing(s.Name, b.changeBy(unhurried, tryOf(size), func(ctx context.Context, tx pgx.Tx) error {
		all := &pgx.Batch{}
		ahead(all, contents)
		all.Queue(`INSERT INTO imgflow.schedules (name, spec, files, pack) VALUES ($1, $2, $3, $4)
			ON CONFLICT (name) DO UPDATE SET spec = excluded.spec, files = excluded.files, pack = excluded.pack`, s.Name, string(s.Spec), string(s.Files), s.Pack)
		// Another who has put a schedule of this name meanwhile may have dropped them.
		all.Queue(`INSERT INTO imgflow.schedule_blobs SELECT $1, convert_from(content, 'UTF8') FROM `+arrived+` ON CONFLICT DO NOTHING`, s.Name)
		if err := tx.SendBatch(ctx, all).Close(); err != nil {
			return err
		}
		return b.drop(ctx, tx, `DELETE FROM imgflow.schedule_blobs WHERE schedule = $1 AND sum NOT IN (SELECT convert_from(content, 'UTF8') FROM `+arrived+`) RETURNING sum`, s.Name)
	}))
}

// drop forgets contents that a schedule does not have any more.
func (b schedules) drop(ctx context.Context, tx pgx.Tx, which string, args ...any) error {
	rows, err := tx.Query(ctx, which, args...)
	if err != nil {
		return err
	}
	sums, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	return dropBlobs(ctx, tx, sums)
}

// orNull is a text, or null where there is none.
func orNull(text []byte) *string {
	if text == nil {
		return nil
	}
	s := string(text)
	return &s
}

func (b schedules) Note(name string, look, base []byte) error {
	_, err := b.exec(tryOf(len(look)+len(base)), `UPDATE imgflow.schedules SET look = coalesce($2, look), base = coalesce($3, base) WHERE name = $1`, name, orNull(look), orNull(base))
	return b.writing(name, err)
}

func (b schedules) Remove(name string) error {
	gone := false
	err := b.change(tryTime, func(ctx context.Context, tx pgx.Tx) error {
		done, err := tx.Exec(ctx, `DELETE FROM imgflow.schedules WHERE name = $1`, name)
		if err != nil {
			return err
		}
		gone = gone || done.RowsAffected() > 0 // an answer may be lost
		return b.drop(ctx, tx, `DELETE FROM imgflow.schedule_blobs WHERE schedule = $1 RETURNING sum`, name)
	})
	if err == nil && !gone {
		return state.NoSchedule(name, b.place)
	}
	return b.writing(name, err)
}

func (b schedules) PutBlob(name, sum string, content []byte) error {
	return b.writing(name, b.putBlob(`INSERT INTO imgflow.schedule_blobs VALUES ($1, $2) ON CONFLICT DO NOTHING`, name, sum, content))
}

func (b schedules) Blob(name, sum string) (content []byte, err error) {
	err = b.within(blobTime, func(ctx context.Context) error {
		return b.pool.QueryRow(ctx, `SELECT content FROM imgflow.blobs JOIN imgflow.schedule_blobs USING (sum) WHERE schedule = $1 AND sum = $2`, name, sum).Scan(&content)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return content, b.reading("a file of the schedule "+name, err)
}

// writing says what could not be written.
func (b schedules) writing(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("cannot write the schedule %s in %s: %w", name, b.place, err)
}
