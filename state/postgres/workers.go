package postgres

import (
	"context"
	"crypto/rand"
	mathrand "math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
)

// How often a worker says that it is there, and for how long that holds. Tests shorten them.
var (
	attendEvery = 2 * time.Second
	attendTime  = 8 * time.Second
)

// Attend tells the other workers of an engine, in the database that a URL names, until ctx
// ends, that this one is there, and with which lanes of the engine's work it is busy, as bits.
// It calls told each time that it has said so, with the name that this worker has and
// with the lanes of the others. One whose process has died is not there any more at once, and
// one of which nothing is heard after attendTime. While the database cannot be reached nobody
// is told anything.
func Attend(ctx context.Context, url, engine string, busy func() uint32, told func(self string, there map[string]uint32)) error {
	b, err := connect(url)
	if err != nil {
		return err
	}
	a := attendant{b: b, id: rand.Text(), engine: engine, lock: mathrand.Int32()}
	defer a.leave(ctx)
	every := time.NewTicker(attendEvery)
	defer every.Stop()
	for ctx.Err() == nil {
		lanes := busy()
		if there, err := a.look(ctx, lanes); err == nil {
			if told(a.id, there); busy() != lanes {
				continue
			}
		}
		select {
		case <-ctx.Done():
		case <-every.C:
		}
	}
	return nil
}

// attendant is a worker that says that it is there.
type attendant struct {
	b      *backend
	id     string
	engine string
	lock   int32     // an advisory one, which ends with the worker's connection
	conn   *pgx.Conn // nil: there is none
}

// attending is the class of the advisory locks of workers.
const attending = 0x696d6766 // "imgf"

// connect makes a connection, unless there is one, and has it hold the worker's lock. Behind
// PgBouncer it may be another one each time, and ends some time after the worker.
func (a *attendant) connect(ctx context.Context) (err error) {
	if a.conn == nil || a.conn.IsClosed() {
		if a.conn, err = pgx.ConnectConfig(ctx, a.b.pool.Config().ConnConfig); err != nil {
			return err
		}
	}
	// Shared: the server may not have noticed yet that an earlier connection has ended.
	if _, err = a.conn.Exec(ctx, `SELECT pg_try_advisory_lock_shared($1, $2)`, int32(attending), a.lock); err != nil {
		a.conn.Close(ctx)
	}
	return err
}

// look says that the worker is there, forgets those that are gone, and returns the others.
func (a *attendant) look(ctx context.Context, lanes uint32) (there map[string]uint32, err error) {
	ctx, cancel := context.WithTimeout(ctx, attendTime/2)
	defer cancel()
	if err := a.connect(ctx); err != nil {
		return nil, err
	}
	rows, err := a.conn.Query(ctx, attend, a.id, a.engine, int64(lanes), a.lock, attendTime, attending)
	if err != nil {
		return nil, err
	}
	there = map[string]uint32{}
	var id string
	var busy int64
	_, err = pgx.ForEachRow(rows, []any{&id, &busy}, func() error {
		there[id] = uint32(busy)
		return nil
	})
	return there, err
}

// leave says that the worker is there no more.
func (a *attendant) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), attendTime/2)
	defer cancel()
	if a.connect(ctx) == nil {
		_, _ = a.conn.Exec(ctx, `DELETE FROM imgflow.workers WHERE id = $1`, a.id)
		a.conn.Close(ctx)
	}
}

// Workers is how many workers of an engine are there, by the database that a URL names.
func Workers(url, engine string) (n int, err error) {
	b, err := connect(url)
	if err != nil {
		return 0, err
	}
	err = b.again(func(ctx context.Context) error {
		return b.pool.QueryRow(ctx, `SELECT count(*) FROM imgflow.workers w WHERE engine = $1 AND seen > clock_timestamp() - $2::interval AND `+alive("$3"), engine, attendTime, attending).Scan(&n)
	})
	return n, b.reading("which workers there are", err)
}

// alive says of a row w of workers whether the process has not died, where class is attending.
func alive(class string) string {
	return `EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = ` + class + `::int8::oid AND objid = w.lock::oid AND objsubid = 2
		AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))`
}

var attend = `WITH
	own AS (INSERT INTO imgflow.workers VALUES ($1, $2, $3, $4, clock_timestamp()) ON CONFLICT (id) DO UPDATE SET lanes = excluded.lanes, seen = excluded.seen),
	gone AS (DELETE FROM imgflow.workers WHERE id <> $1 AND seen <= clock_timestamp() - $5::interval)
	SELECT id, lanes FROM imgflow.workers w
	WHERE id <> $1 AND engine = $2 AND seen > clock_timestamp() - $5::interval AND ` + alive("$6")
