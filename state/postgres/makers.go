package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/jackc/pgx/v5"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/state"
)

// making says of a row m of makers whether the run makes the step, and is driven for that.
const making = `m.maker = m.run AND EXISTS (SELECT FROM imgflow.runs r WHERE r.id = m.run AND r.epoch = m.epoch AND r.assigned)`

// Contend locks the table, so that what choose is told holds until what it chooses is
// there. That takes two round trips, however many steps there are.
func (b *backend) Contend(c state.Claimant, steps []dag.Key, choose func(others map[dag.Key]string) []dag.Key) error {
	err := b.change(tryTime, func(ctx context.Context, tx pgx.Tx) error {
		held, makers := false, map[dag.Key]string{}
		first := &pgx.Batch{}
		first.Queue(`LOCK TABLE imgflow.makers IN SHARE ROW EXCLUSIVE MODE`)
		first.Queue(`SELECT EXISTS (SELECT FROM imgflow.runs WHERE id = $1 AND epoch = $2 AND assigned)`, c.Run, c.Epoch).QueryRow(func(r pgx.Row) error { return r.Scan(&held) })
		first.Queue(`DELETE FROM imgflow.makers m WHERE step = ANY ($1) AND means = $2 AND maker = run AND NOT (`+making+`)`, bytesOf(steps), c.Means)
		first.Queue(`SELECT step, run FROM imgflow.makers WHERE step = ANY ($1) AND means = $2 AND maker = run AND run <> $3`, bytesOf(steps), c.Means, c.Run).Query(func(rows pgx.Rows) error {
			var step []byte
			var run string
			_, err := pgx.ForEachRow(rows, []any{&step, &run}, func() error {
				var k dag.Key
				copy(k[:], step)
				makers[k] = run
				return nil
			})
			return err
		})
		if err := tx.SendBatch(ctx, first).Close(); err != nil {
			return err
		}
		if !held {
			return &state.FencedError{Run: c.Run}
		}
		for _, k := range choose(maps.Clone(makers)) {
			makers[k] = c.Run
		}
		var known []dag.Key
		var runs []string
		for k, run := range makers {
			known, runs = append(known, k), append(runs, run)
		}
		_, err := tx.Exec(ctx, `INSERT INTO imgflow.makers SELECT $1, u.step, $2, $3, u.maker FROM unnest($4::bytea[], $5::text[]) AS u (step, maker)
			ON CONFLICT (run, step) DO UPDATE SET means = excluded.means, epoch = excluded.epoch, maker = excluded.maker`, c.Run, c.Means, c.Epoch, bytesOf(known), runs)
		return err
	})
	if err != nil && !errors.As(err, new(*state.FencedError)) {
		err = fmt.Errorf("cannot learn from %s what other runs make: %w", b.place, err)
	}
	return err
}

func bytesOf(steps []dag.Key) [][]byte {
	list := make([][]byte, len(steps))
	for i := range steps {
		list[i] = steps[i][:]
	}
	return list
}

func (b *backend) Makings(waits []state.Wait) (ms []state.Making, err error) {
	var runs []string
	var steps []dag.Key
	var seen []int64
	for _, w := range waits {
		runs, steps, seen = append(runs, w.Run), append(steps, w.Step), append(seen, w.Seen)
	}
	type row struct {
		Run     string
		Step    []byte
		Maker   string
		Epoch   int64
		Changed int64
		Value   []byte
	}
	var found []row
	if err := b.again(func(ctx context.Context) error {
		rows, err := b.pool.Query(ctx, `SELECT w.run, w.step, w.maker, coalesce(m.epoch, 0), coalesce(e.changed, 0), CASE WHEN e.changed > u.seen OR m.run IS NULL THEN e.value END
			FROM unnest($1::text[], $2::bytea[], $3::bigint[]) AS u (run, step, seen)
			JOIN imgflow.makers w ON w.run = u.run AND w.step = u.step
			LEFT JOIN imgflow.makers m ON m.run = w.maker AND m.step = w.step AND m.means = w.means AND `+making+`
			LEFT JOIN imgflow.entries e ON e.run = w.maker AND e.bucket = 'records' AND e.key = w.step`, runs, bytesOf(steps), seen)
		if err == nil {
			found, err = pgx.CollectRows(rows, pgx.RowToStructByPos[row])
		}
		return err
	}); err != nil {
		return nil, b.reading("what other runs make", err)
	}
	for _, f := range found {
		m := state.Making{Wait: state.Wait{Run: f.Run}, Maker: f.Maker, Epoch: f.Epoch, Changed: f.Changed}
		copy(m.Step[:], f.Step)
		if f.Value != nil {
			value, err := b.unframe(f.Maker, f.Value)
			if err == nil {
				m.Record, err = state.LentRecord(b.place, f.Maker, value)
			}
			if err != nil {
				return nil, err
			}
		}
		ms = append(ms, m)
	}
	return ms, nil
}

func (b *backend) Makers(steps []dag.Key) (runs map[dag.Key]string, err error) {
	err = b.again(func(ctx context.Context) error {
		runs = map[dag.Key]string{}
		rows, err := b.pool.Query(ctx, `SELECT step, run FROM imgflow.makers m WHERE step = ANY ($1) AND `+making+` ORDER BY run DESC`, bytesOf(steps))
		if err != nil {
			return err
		}
		var step []byte
		var run string
		_, err = pgx.ForEachRow(rows, []any{&step, &run}, func() error {
			var k dag.Key
			copy(k[:], step)
			runs[k] = run
			return nil
		})
		return err
	})
	return runs, b.reading("what other runs make", err)
}

func (b *backend) Yield(run string, epoch int64, steps []dag.Key) error {
	_, err := b.exec(tryTime, `DELETE FROM imgflow.makers WHERE run = $1 AND epoch = $2 AND maker = run AND ($3 OR step = ANY ($4))`, run, epoch, len(steps) == 0, bytesOf(steps))
	if err != nil {
		err = fmt.Errorf("cannot say in %s that run %s makes a step no more: %w", b.place, run, err)
	}
	return err
}

func (b *backend) Lent(run string, steps []dag.Key) (values [][]byte, err error) {
	var framed [][]byte
	if err := b.again(func(ctx context.Context) error {
		rows, err := b.pool.Query(ctx, `SELECT value FROM imgflow.entries WHERE run = $1 AND bucket = 'records' AND key = ANY ($2)`, run, bytesOf(steps))
		if err == nil {
			framed, err = pgx.CollectRows(rows, pgx.RowTo[[]byte])
		}
		return err
	}); err != nil {
		return nil, b.reading("the records of run "+run, err)
	}
	for _, f := range framed {
		value, err := b.unframe(run, f)
		if err != nil {
			return nil, err
		}
		values = append(values, value)
	}
	return values, nil
}

func (b *backend) SharedKey(name string, sealed []byte) (kept []byte, err error) {
	err = b.change(tryTime, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO imgflow.keys VALUES ($1, $2) ON CONFLICT DO NOTHING`, name, sealed); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `SELECT sealed FROM imgflow.keys WHERE recipients = $1`, name).Scan(&kept)
	})
	return kept, b.reading("the key of all workers", err)
}
