package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/state"
	"github.com/imgflow/imgflow/state/internal/queue"
)

// Tests shorten these.
var (
	leaseTime  = 15 * time.Second // how long a process has a run without a sign of life
	renewEvery = 5 * time.Second  // how often it gives one
	idleTime   = 5 * time.Second  // how long a transaction waits for the process that has begun it
	patience   = time.Minute      // how long what meets a lost connection is tried again
)

// How long one try may take; with a blob in it, which a slow line carries in minutes.
const (
	tryTime  = 20 * time.Second
	blobTime = 10 * time.Minute
)

// tryOf is how long one try to write so many bytes may take: a slow line carries 16 KiB a second.
func tryOf(bytes int) time.Duration {
	return min(tryTime+time.Duration(bytes>>14)*time.Second, blobTime)
}

// backend keeps runs in a database.
type backend struct {
	pool  *pgxpool.Pool
	place string
}

// One pool of connections is shared by all homes of a process that name the same URL.
var (
	pooling sync.Mutex
	pools   = map[string]*backend{}
)

// Open opens the home whose runs are in the database that a URL names, as libpq reads it
// (postgres://USER@HOST:PORT/DATABASE?sslmode=verify-full; the variables PG* count, too),
// with a directory of this machine for the rest. What the database lacks of the tables
// is made.
func Open(dir, url string) (*state.Home, error) {
	h, err := state.FindHome(dir)
	if err != nil {
		return nil, err
	}
	b, err := connect(url)
	if err != nil {
		return nil, err
	}
	return state.NewHome(h.Dir(), b), nil
}

func connect(url string) (*backend, error) {
	pooling.Lock()
	defer pooling.Unlock()
	if b := pools[url]; b != nil {
		return b, nil
	}
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil { // it shows no password
		return nil, fmt.Errorf("cannot tell which database keeps the runs: %w: IMGFLOW_STATE has its URL, such as postgres://imgflow@db.example.com/imgflow", err)
	}
	c := cfg.ConnConfig
	if c.RuntimeParams["application_name"] == "" {
		c.RuntimeParams["application_name"] = "imgflow"
	}
	// A process that is paused, or cut off, in a transaction must not hold a run's row for longer.
	cfg.AfterConnect = func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, fmt.Sprintf(`SET idle_in_transaction_session_timeout = %d`, idleTime.Milliseconds()))
		return err
	}
	b := &backend{place: fmt.Sprintf("postgres://%s/%s", net.JoinHostPort(c.Host, fmt.Sprint(c.Port)), c.Database)}
	ctx, cancel := context.WithTimeout(context.Background(), tryTime)
	defer cancel()
	if b.pool, err = pgxpool.NewWithConfig(context.Background(), cfg); err == nil {
		err = b.migrate(ctx)
	}
	if err != nil {
		if b.pool != nil {
			b.pool.Close()
		}
		return nil, fmt.Errorf("cannot open the runs in %s: %w", b.place, err)
	}
	pools[url] = b
	return b, nil
}

// again does fn until it meets no lost connection, within bounds.
func (b *backend) again(fn func(ctx context.Context) error) error { return b.within(tryTime, fn) }

// within is again with so long for each try.
func (b *backend) within(try time.Duration, fn func(ctx context.Context) error) error {
	end := time.Now().Add(patience)
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		ctx, cancel := context.WithTimeout(context.Background(), try)
		err := fn(ctx)
		cancel()
		if err == nil || !passes(err) || time.Now().After(end) {
			return err
		}
		time.Sleep(wait)
	}
}

// passing are the codes of refusals that pass: a server that starts, stops, fails over
// or has no connection left, transactions that were in each other's way or that this process was too
// slow for, and contents that were forgotten while they were kept again.
var passing = []string{"57P01", "57P02", "57P03", "53300", "25006", "25P03", "40001", "40P01", "23503"}

func passes(err error) bool {
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return strings.HasPrefix(refused.Code, "08") || slices.Contains(passing, refused.Code)
	}
	return pgconn.SafeToRetry(err) || errors.Is(err, pgconn.ErrConnClosed) || errors.As(err, new(net.Error)) || errors.As(err, new(*pgconn.ConnectError)) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.DeadlineExceeded)
}

// change does fn in one transaction, again and again as within does.
func (b *backend) change(try time.Duration, fn func(ctx context.Context, tx pgx.Tx) error) error {
	return b.changeBy(pgx.TxOptions{}, try, fn)
}

func (b *backend) changeBy(how pgx.TxOptions, try time.Duration, fn func(ctx context.Context, tx pgx.Tx) error) error {
	defer queue.CrashPoint()()
	return b.within(try, func(ctx context.Context) error {
		return pgx.BeginTxFunc(ctx, b.pool, how, func(tx pgx.Tx) error { return fn(ctx, tx) })
	})
}

// unhurried begins a transaction that waits for what is on its way to it, until that has come [ahead].
var unhurried = pgx.TxOptions{BeginQuery: fmt.Sprintf(`BEGIN; SET LOCAL idle_in_transaction_session_timeout = %d`, blobTime.Milliseconds())}

// ahead has contents arrive before the transaction locks anything, since nobody may have to wait for a slow line.
// From then on it waits no longer than any other. Its statements have them as [arrived].
func ahead(b *pgx.Batch, contents [][]byte) {
	b.Queue(`SELECT length(set_config('imgflow.ahead', $1::bytea[]::text, true)), set_config('idle_in_transaction_session_timeout', $2, true)`, contents, fmt.Sprint(idleTime.Milliseconds()))
}

// arrived are the contents that have come ahead, and the place of each among them, from 1.
const arrived = `unnest(current_setting('imgflow.ahead')::bytea[]) WITH ORDINALITY AS a (content, i)`

// exec executes one statement, again and again as within does, and returns how many rows that has changed.
func (b *backend) exec(try time.Duration, sql string, args ...any) (rows int64, err error) {
	defer queue.CrashPoint()()
	err = b.within(try, func(ctx context.Context) error {
		done, err := b.pool.Exec(ctx, sql, args...)
		rows = done.RowsAffected()
		return err
	})
	return rows, err
}

// reading says what could not be read.
func (b *backend) reading(what string, err error) error {
	if err == nil || errcode.Of(err) != "" {
		return err
	}
	return fmt.Errorf("cannot read %s in %s: %w", what, b.place, err)
}

// row reads one row; the error is pgx.ErrNoRows if there is none.
func (b *backend) row(sql string, args []any, into ...any) error {
	return b.again(func(ctx context.Context) error { return b.pool.QueryRow(ctx, sql, args...).Scan(into...) })
}

func (b *backend) Place() string { return b.place }

func (b *backend) IDs(prefix string) (ids []string, err error) {
	err = b.again(func(ctx context.Context) error {
		rows, err := b.pool.Query(ctx, `SELECT id FROM imgflow.runs WHERE starts_with(id, $1) ORDER BY id COLLATE "C"`, prefix)
		if err == nil {
			ids, err = pgx.CollectRows(rows, pgx.RowTo[string])
		}
		return err
	})
	return ids, b.reading("the runs", err)
}

// driven says of a row of runs whether somebody drives the run.
const driven = `(assigned OR coalesce(lease_until > clock_timestamp(), false))`

// summary is a summary as it is stored, of a run that is driven or not.
func summary(stored string, driven bool) (s state.Summary, err error) {
	if err := json.Unmarshal([]byte(stored), &s); err != nil {
		return s, fmt.Errorf("cannot read the summary of the run: it is damaged: %w", err)
	}
	if s.Status == state.Running && !driven {
		s.Status = state.Interrupted
	}
	return s, nil
}

func stored(s state.Summary) (string, error) {
	if s.Builds == nil {
		s.Builds = []state.BuildSummary{} // readers of the JSON may rely on a list
	}
	p, err := json.Marshal(s)
	return string(p), err
}

func (b *backend) Summary(id string) (state.Summary, error) {
	var text string
	var held bool
	var awaits []string
	err := b.row(`SELECT summary, `+driven+`, ARRAY(SELECT DISTINCT w.maker FROM imgflow.makers w JOIN imgflow.makers m ON m.run = w.maker AND m.step = w.step AND m.means = w.means
			WHERE w.run = $1 AND w.maker <> w.run AND `+making+` AND NOT EXISTS (SELECT FROM imgflow.entries e WHERE e.run = w.run AND e.bucket = 'records' AND e.key = w.step) ORDER BY 1)
		FROM imgflow.runs WHERE id = $1`, []any{id}, &text, &held, &awaits)
	if err != nil {
		return state.Summary{}, b.missing(id, err)
	}
	s, err := summary(text, held)
	s.Awaits = awaits
	return s, err
}

// missing is what it means that there is no row for a run.
func (b *backend) missing(id string, err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return state.NoRun(id, b.place)
	}
	return b.reading("run "+id, err)
}

func (b *backend) Summaries() (sums []state.Summary, err error) {
	err = b.again(func(ctx context.Context) error {
		sums = nil
		rows, err := b.pool.Query(ctx, `SELECT id, summary, `+driven+` FROM imgflow.runs`)
		if err != nil {
			return err
		}
		var id, text string
		var held bool
		_, err = pgx.ForEachRow(rows, []any{&id, &text, &held}, func() error {
			s, err := summary(text, held)
			if err != nil {
				s = state.UnreadableSummary(id, err)
			}
			sums = append(sums, s)
			return nil
		})
		return err
	})
	return sums, b.reading("the runs", err)
}

func (b *backend) Driven(id string) bool {
	var held bool
	err := b.row(`SELECT `+driven+` FROM imgflow.runs WHERE id = $1`, []any{id}, &held)
	return err == nil && held
}

func (b *backend) Drawn(id string) ([]byte, error) {
	value, err := b.get(id, state.Docs, drawnDoc)
	if err == nil && value == nil {
		err = fs.ErrNotExist
	}
	return value, err
}

// get is a value of a run; nil if there is none.
func (b *backend) get(id string, bucket state.Bucket, key string) ([]byte, error) {
	var value []byte
	err := b.row(`SELECT value FROM imgflow.entries WHERE run = $1 AND bucket = $2 AND key = $3`, []any{id, string(bucket), []byte(key)}, &value)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, b.reading("the records of run "+id, err)
	}
	return b.unframe(id, value)
}

func (b *backend) unframe(id string, framed []byte) ([]byte, error) {
	value, ok := state.Unframe(framed)
	if !ok {
		return nil, &state.CorruptError{Path: b.place, Run: id, Why: "a value does not match its checksum"}
	}
	return value, nil
}

func (b *backend) Assign(id string, o state.Owner) (epoch int64, err error) {
	if err := b.await(id); err != nil {
		return 0, b.missing(id, err)
	}
	err = b.change(tryTime, func(ctx context.Context, tx pgx.Tx) error {
		text, held := "", false
		if err := tx.QueryRow(ctx, `SELECT summary, NOT assigned AND `+driven+` FROM imgflow.runs WHERE id = $1 FOR UPDATE`, id).Scan(&text, &held); err != nil {
			return b.missing(id, err)
		}
		if held {
			s, _ := summary(text, true)
			return &state.BusyError{Run: id, Owner: s.Owner}
		}
		epoch, err = assign(ctx, tx, id, text, o)
		return err
	})
	return epoch, err
}

// assign assigns a run with this summary, whose row is locked.
func assign(ctx context.Context, tx pgx.Tx, id, text string, o state.Owner) (epoch int64, err error) {
	s, err := summary(text, true)
	if err != nil {
		return 0, err
	}
	s.Owner = o
	if text, err = stored(s); err != nil {
		return 0, err
	}
	if err := forget(ctx, tx, id); err != nil {
		return 0, err
	}
	err = tx.QueryRow(ctx, `UPDATE imgflow.runs SET epoch = epoch + 1, assigned = true, lease_until = NULL, summary = $2 WHERE id = $1 RETURNING epoch`, id, text).Scan(&epoch)
	return epoch, err
}

func (b *backend) Assigned(id string) (epoch int64, err error) {
	err = b.row(`SELECT CASE WHEN assigned THEN epoch ELSE 0 END FROM imgflow.runs WHERE id = $1`, []any{id}, &epoch)
	if err != nil {
		return 0, b.missing(id, err)
	}
	return epoch, nil
}

func (b *backend) Assignments() (all []state.Assignment, err error) {
	err = b.again(func(ctx context.Context) error {
		all = nil
		rows, err := b.pool.Query(ctx, `SELECT id, epoch, summary FROM imgflow.runs WHERE assigned`)
		if err != nil {
			return err
		}
		var a state.Assignment
		var text string
		_, err = pgx.ForEachRow(rows, []any{&a.Run, &a.Epoch, &text}, func() error {
			s, err := summary(text, true)
			a.Owner = s.Owner
			if err == nil { // of one that cannot be read nobody knows whose it is
				all = append(all, a)
			}
			return nil
		})
		return err
	})
	return all, b.reading("the runs", err)
}

// forget removes what was known of those who wrote to a run in earlier epochs, and of what it made then.
func forget(ctx context.Context, tx pgx.Tx, id string) error {
	b := &pgx.Batch{}
	b.Queue(`DELETE FROM imgflow.writers WHERE run = $1`, id)
	b.Queue(`DELETE FROM imgflow.claims WHERE run = $1`, id)
	b.Queue(`DELETE FROM imgflow.makers WHERE run = $1`, id)
	return tx.SendBatch(ctx, b).Close()
}

func (b *backend) Release(id string, epoch int64) error {
	return b.change(tryTime, func(ctx context.Context, tx pgx.Tx) error {
		done, err := tx.Exec(ctx, `UPDATE imgflow.runs SET assigned = false WHERE id = $1 AND epoch = $2`, id, epoch)
		if err == nil && done.RowsAffected() == 0 {
			err = &state.FencedError{Run: id}
		}
		if err == nil {
			_, err = tx.Exec(ctx, `DELETE FROM imgflow.makers WHERE run = $1`, id)
		}
		return err
	})
}

// Sweep has nothing to do: a run is forgotten as a whole, or not.
func (b *backend) Sweep() error { return nil }

func (b *backend) Size(id string) (n int64) {
	b.row(`SELECT (SELECT coalesce(sum(pg_column_size(e)), 0) FROM imgflow.entries e WHERE run = $1)
		+ (SELECT coalesce(sum(pg_column_size(e)), 0) FROM imgflow.events e WHERE run = $1)
		+ (SELECT coalesce(sum(octet_length(content)), 0) FROM imgflow.run_blobs JOIN imgflow.blobs USING (sum) WHERE run = $1)`, []any{id}, &n)
	return n
}
