package postgres

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/state"
	"github.com/imgflow/imgflow/state/internal/queue"
)

// What is put off waits for so long at most, and not in larger numbers.
const (
	putOff     = 100 * time.Millisecond
	mostPutOff = 2000
)

// drawnDoc is the document that holds the graph as it is drawn.
const drawnDoc = "graph.drawn"

// journal is one run as this process writes to it.
type journal struct {
	b             *backend
	id            string
	epoch, writer int64
	leased        bool // else the run is assigned, and joined
	queue         queue.Queue[*item]
	batch         int64 // the number of the last that was tried

	mine context.Context // ends when this process may write no more, by the cause that says why
	end  context.CancelCauseFunc
	once sync.Once // Close
	wait sync.WaitGroup

	seen int64 // of runs.changes, by Changed
}

// item is something that is written: a value, an event, or a claim.
type item struct {
	by    *claim // nil: whoever drives the run
	claim *claim // that is made
	put   state.Put
	line  []byte // of an event
	from  origin // of output
	upTo  int64
	tried int64 // the batch that it was in when an answer was lost
}

// origin is a stream of output.
type origin struct{ token, stream string }

// claim is a claim of a step.
type claim struct {
	step dag.Key
	n    int64
	mine context.Context // ends with the journal's, or when somebody else claims the step
	end  context.CancelCauseFunc
}

func (b *backend) Create(s state.Summary) (state.Journal, error) {
	text, err := stored(s)
	if err != nil {
		return nil, err
	}
	taker := rand.Text()
	return b.take(s.ID, true, func(ctx context.Context, tx pgx.Tx) (epoch int64, err error) {
		err = tx.QueryRow(ctx, `INSERT INTO imgflow.runs (id, summary, lease_until, taker) VALUES ($1, $2, clock_timestamp() + $3, $4)
			ON CONFLICT (id) DO UPDATE SET epoch = runs.epoch + 1 WHERE runs.taker = excluded.taker RETURNING epoch`, s.ID, text, leaseTime, taker).Scan(&epoch)
		if errors.Is(err, pgx.ErrNoRows) {
			err = fs.ErrExist
		}
		return epoch, err
	})
}

func (b *backend) Open(id string, patient bool) (state.Journal, state.Summary, error) {
	if patient {
		if err := b.await(id); err != nil {
			return nil, state.Summary{}, b.missing(id, err)
		}
	}
	taker, text := rand.Text(), ""
	j, err := b.take(id, true, func(ctx context.Context, tx pgx.Tx) (epoch int64, err error) {
		err = tx.QueryRow(ctx, `UPDATE imgflow.runs SET epoch = epoch + 1, lease_until = clock_timestamp() + $2, taker = $3
			WHERE id = $1 AND (NOT `+driven+` OR NOT assigned AND taker = $3) RETURNING epoch, summary`, id, leaseTime, taker).Scan(&epoch, &text)
		if !errors.Is(err, pgx.ErrNoRows) {
			return epoch, errors.Join(err, forget(ctx, tx, id))
		}
		if err = tx.QueryRow(ctx, `SELECT epoch, summary FROM imgflow.runs WHERE id = $1`, id).Scan(&epoch, &text); err != nil {
			return 0, err
		}
		s, _ := summary(text, true)
		return 0, &state.BusyError{Run: id, Epoch: epoch, Owner: s.Owner}
	})
	return j, b.opened(id, text), err
}

// await returns when a lease of the run was renewed, or has ended: a process that has died
// has it no longer than that.
func (b *backend) await(id string) error {
	for renewed := ""; ; time.Sleep(renewEvery / 10) {
		var until string
		if err := b.row(`SELECT CASE WHEN NOT assigned AND `+driven+` THEN lease_until::text ELSE '' END FROM imgflow.runs WHERE id = $1`, []any{id}, &until); err != nil {
			return err
		}
		if until == "" || renewed != "" && until != renewed {
			return nil
		}
		renewed = until
	}
}

func (b *backend) Join(id string, epoch int64) (state.Journal, state.Summary, error) {
	var text string
	j, err := b.take(id, false, func(ctx context.Context, tx pgx.Tx) (int64, error) {
		err := tx.QueryRow(ctx, `SELECT summary FROM imgflow.runs WHERE id = $1 AND epoch = $2 AND assigned FOR UPDATE`, id, epoch).Scan(&text)
		if errors.Is(err, pgx.ErrNoRows) {
			err = &state.FencedError{Run: id}
		}
		return epoch, err
	})
	return j, b.opened(id, text), err
}

// opened is the summary of a run that was opened. One that is damaged can be written anew.
func (b *backend) opened(id, text string) state.Summary {
	s, err := summary(text, true)
	if err != nil {
		s = state.Summary{ID: id, Status: state.Interrupted}
	}
	return s
}

// take makes the journal of a run that how takes, which returns the epoch.
func (b *backend) take(id string, leased bool, how func(context.Context, pgx.Tx) (epoch int64, err error)) (state.Journal, error) {
	j := &journal{b: b, id: id, leased: leased}
	err := b.change(tryTime, func(ctx context.Context, tx pgx.Tx) (err error) {
		if j.epoch, err = how(ctx, tx); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `INSERT INTO imgflow.writers (run) VALUES ($1) RETURNING writer`, id).Scan(&j.writer)
	})
	if errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err != nil {
		return nil, b.missing(id, err)
	}
	j.queue = queue.Queue[*item]{Commit: j.commit, Wait: putOff, Most: mostPutOff}
	j.mine, j.end = context.WithCancelCause(context.Background())
	j.wait.Go(j.keep)
	return j, nil
}

// held says of a row of runs, in a statement whose $1 is a run and $2 an epoch, that
// this journal may write.
func (j *journal) held() string {
	if j.leased {
		return `id = $1 AND epoch = $2`
	}
	return `id = $1 AND epoch = $2 AND assigned`
}

// keep renews the lease, or looks whether the run is still assigned, until the journal is
// closed. What a process learns when it wakes up from a pause it learns here.
func (j *journal) keep() {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		select {
		case <-j.mine.Done():
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(context.Background(), renewEvery)
		var held int
		sql, args := `SELECT 1 FROM imgflow.runs WHERE `+j.held(), []any{j.id, j.epoch}
		if j.leased {
			sql, args = `UPDATE imgflow.runs SET lease_until = clock_timestamp() + $3 WHERE `+j.held()+` RETURNING 1`, append(args, leaseTime)
		}
		if err := j.b.pool.QueryRow(ctx, sql, args...).Scan(&held); errors.Is(err, pgx.ErrNoRows) {
			j.lost()
		}
		cancel()
	}
}

// commit writes a batch: all of it, or nothing, once.
func (j *journal) commit(items []*item) error {
	contents, size := make([][]byte, len(items)), 0
	for n, i := range items {
		if contents[n] = i.line; i.line == nil && i.claim == nil {
			contents[n] = state.Frame(i.put.Value)
		}
		size += len(contents[n])
	}
	return j.b.within(tryOf(size), func(ctx context.Context) error {
		j.batch++
		return pgx.BeginTxFunc(ctx, j.b.pool, unhurried, func(tx pgx.Tx) error { return j.write(ctx, tx, items, contents) })
	})
}

// write writes a batch, of each of whose items there is the content.
func (j *journal) write(ctx context.Context, tx pgx.Tx, items []*item, contents [][]byte) error {
	var change, before int64
	first := &pgx.Batch{}
	ahead(first, contents)
	first.Queue(`UPDATE imgflow.runs SET changes = changes + 1 WHERE `+j.held()+` RETURNING changes`, j.id, j.epoch).QueryRow(func(r pgx.Row) error { return r.Scan(&change) })
	first.Queue(`SELECT batch FROM imgflow.writers WHERE run = $1 AND writer = $2`, j.id, j.writer).QueryRow(func(r pgx.Row) error { return r.Scan(&before) })
	if err := tx.SendBatch(ctx, first).Close(); errors.Is(err, pgx.ErrNoRows) {
		return j.lost()
	} else if err != nil {
		return err
	}
	last, err := j.claims(ctx, tx, items)
	if err != nil {
		return err
	}
	claimed := map[dag.Key]*claim{}
	var tokens, streams []string
	var lines, upTo []int64
	behind := map[origin]int64{}
	values := map[state.Bucket]map[string]int64{}
	for n, i := range items {
		place := int64(n + 1)
		switch {
		case i.tried != 0 && i.tried == before: // it was committed, and the answer lost
			continue
		case i.by != nil && last[i.by.step] != i.by.n:
			i.by.end(&state.FencedError{Run: j.id, Step: i.by.step.Short()}) // whoever writes with this claim is told
			continue
		case i.claim != nil:
			if earlier := claimed[i.claim.step]; earlier != nil { // it has lost before it began
				earlier.end(&state.FencedError{Run: j.id, Step: earlier.step.Short()})
			}
			claimed[i.claim.step] = i.claim
		case i.line == nil:
			if values[i.put.Bucket] == nil {
				values[i.put.Bucket] = map[string]int64{}
			}
			values[i.put.Bucket][i.put.Key] = place
		default:
			lines = append(lines, place)
			if i.from.token != "" {
				behind[i.from] = i.upTo
			}
		}
		i.tried = j.batch
	}
	for from, n := range behind {
		tokens, streams, upTo = append(tokens, from.token), append(streams, from.stream), append(upTo, n)
	}
	rest := &pgx.Batch{}
	if len(claimed) > 0 {
		var steps [][]byte
		for k := range claimed {
			steps = append(steps, k[:])
		}
		rest.Queue(`INSERT INTO imgflow.claims SELECT $1, u.step, 1 FROM unnest($2::bytea[]) AS u (step) ON CONFLICT (run, step) DO UPDATE SET n = claims.n + 1 RETURNING step, n`, j.id, steps).Query(func(rows pgx.Rows) error {
			last, err := claimsOf(rows)
			for k, c := range claimed {
				c.n = last[k]
			}
			return err
		})
	}
	for bucket, of := range values {
		var keys [][]byte
		var places []int64
		for k, place := range of {
			keys, places = append(keys, []byte(k)), append(places, place)
		}
		rest.Queue(`INSERT INTO imgflow.entries SELECT $1, $2, u.key, a.content, $5 FROM unnest($3::bytea[], $4::bigint[]) AS u (key, i) JOIN `+arrived+` USING (i)
			ON CONFLICT (run, bucket, key) DO UPDATE SET value = excluded.value, changed = excluded.changed`, j.id, string(bucket), keys, places, change)
	}
	if len(lines) > 0 {
		rest.Queue(`INSERT INTO imgflow.events (run, line) SELECT $1, a.content FROM unnest($2::bigint[]) AS u (i) JOIN `+arrived+` USING (i) ORDER BY i`, j.id, lines)
	}
	if len(tokens) > 0 {
		rest.Queue(`INSERT INTO imgflow.offsets SELECT $1, u.token, u.stream, u.behind FROM unnest($2::text[], $3::text[], $4::bigint[]) AS u (token, stream, behind)
			ON CONFLICT (run, token, stream) DO UPDATE SET behind = excluded.behind`, j.id, tokens, streams, upTo)
	}
	rest.Queue(`UPDATE imgflow.writers SET batch = $3 WHERE run = $1 AND writer = $2`, j.id, j.writer, j.batch)
	return tx.SendBatch(ctx, rest).Close()
}

// claims are the numbers of the last claims of the steps that a batch writes to by a claim.
// The row of the run is locked, so that none is made meanwhile.
func (j *journal) claims(ctx context.Context, tx pgx.Tx, items []*item) (map[dag.Key]int64, error) {
	known := map[dag.Key]bool{}
	var steps [][]byte
	for _, i := range items {
		if i.by != nil && !known[i.by.step] {
			known[i.by.step] = true
			steps = append(steps, i.by.step[:])
		}
	}
	if len(steps) == 0 {
		return nil, nil
	}
	rows, err := tx.Query(ctx, `SELECT step, n FROM imgflow.claims WHERE run = $1 AND step = ANY ($2)`, j.id, steps)
	if err != nil {
		return nil, err
	}
	return claimsOf(rows)
}

// claimsOf reads rows of claims. A step may be of whatever length: a server is not trusted.
func claimsOf(rows pgx.Rows) (map[dag.Key]int64, error) {
	last := map[dag.Key]int64{}
	var step []byte
	var n int64
	_, err := pgx.ForEachRow(rows, []any{&step, &n}, func() error {
		var k dag.Key
		copy(k[:], step)
		last[k] = n
		return nil
	})
	return last, err
}

func (j *journal) Place() string { return j.b.place }

// writing adds to what failed where that was.
func (j *journal) writing(err error) error {
	if err == nil || errors.As(err, new(*state.FencedError)) || errors.As(err, new(*state.CorruptError)) {
		return err
	}
	return &state.WriteError{Path: j.b.place, Err: err, First: "make the database reachable"}
}

// mayWrite is a *state.FencedError if this process, or this claim of it, may write no more.
func (j *journal) mayWrite(by *claim) error {
	if by != nil {
		return context.Cause(by.mine)
	}
	return context.Cause(j.mine)
}

// lost notes that somebody else has the run, and says so.
func (j *journal) lost() error {
	err := &state.FencedError{Run: j.id}
	j.end(err)
	return err
}

// add has a method of the queue take items, and tells what that has shown of the claim.
func (j *journal) add(how func(...*item) error, by *claim, items ...*item) error {
	if err := j.mayWrite(by); err != nil {
		return err
	}
	if err := how(items...); err != nil {
		return j.writing(err)
	}
	return j.mayWrite(by)
}

func valuesOf(by *claim, puts []state.Put) []*item {
	items := make([]*item, len(puts))
	for i, p := range puts {
		items[i] = &item{by: by, put: p}
	}
	return items
}

func eventOf(by *claim, e dag.Event) (*item, error) {
	line, err := json.Marshal(e)
	i := &item{by: by, line: line}
	if e.Type == dag.Printed {
		i.from, i.upTo = origin{e.Token, e.Stream}, e.Offset
	}
	return i, err
}

func (j *journal) Write(puts ...state.Put) error {
	return j.add(j.queue.Write, nil, valuesOf(nil, puts)...)
}

func (j *journal) Later(puts ...state.Put) error {
	return j.add(j.queue.Later, nil, valuesOf(nil, puts)...)
}

func (j *journal) Flush() error { return j.flush(nil) }

func (j *journal) flush(by *claim) error {
	return j.add(func(...*item) error { return j.queue.Flush() }, by)
}

func (j *journal) Emit(e dag.Event) error { return j.emit(nil, e) }

func (j *journal) emit(by *claim, e dag.Event) error {
	i, err := eventOf(by, e)
	if err != nil {
		return err
	}
	return j.add(j.queue.Later, by, i)
}

func (j *journal) Sync() error { return j.flush(nil) }

// Offset is told by what is committed: what was emitted is, once this is asked. If that
// cannot be, it is the beginning, and no line is lost.
func (j *journal) Offset(token, stream string) (n int64) {
	j.Flush()
	j.b.row(`SELECT behind FROM imgflow.offsets WHERE run = $1 AND token = $2 AND stream = $3`, []any{j.id, token, stream}, &n)
	return n
}

func (j *journal) Get(b state.Bucket, key string) ([]byte, error) {
	if err := j.Flush(); err != nil {
		return nil, err
	}
	return j.b.get(j.id, b, key)
}

func (j *journal) Each(b state.Bucket, fn func(key string, value []byte) error) error {
	if err := j.Flush(); err != nil {
		return err
	}
	_, err := j.each(`run = $1 AND bucket = $2 AND changed > $3`, []any{j.id, string(b), int64(0)}, fn)
	return err
}

func (j *journal) Changed(fn func(key string, value []byte) error) error {
	last, err := j.each(`run = $1 AND bucket = 'records' AND changed > $2`, []any{j.id, j.seen}, fn)
	if err == nil {
		j.seen = max(j.seen, last)
	}
	return err
}

// each calls fn with entries, once all have arrived, and returns the last change among them.
func (j *journal) each(which string, args []any, fn func(key string, value []byte) error) (last int64, err error) {
	type entry struct {
		Key, Value []byte
		Changed    int64
	}
	var entries []entry
	if err := j.b.again(func(ctx context.Context) error {
		rows, err := j.b.pool.Query(ctx, `SELECT key, value, changed FROM imgflow.entries WHERE `+which, args...)
		if err == nil {
			entries, err = pgx.CollectRows(rows, pgx.RowToStructByPos[entry])
		}
		return err
	}); err != nil {
		return 0, j.b.reading("the records of run "+j.id, err)
	}
	for _, e := range entries {
		value, err := j.b.unframe(j.id, e.Value)
		if err != nil {
			return 0, err
		}
		if err := fn(string(e.Key), value); err != nil {
			return 0, err
		}
		last = max(last, e.Changed)
	}
	return last, nil
}

func (j *journal) Summarize(change func(*state.Summary) bool) error {
	if err := j.Flush(); err != nil {
		return err
	}
	for tried := ""; ; {
		var text string
		err := j.b.row(`SELECT summary FROM imgflow.runs WHERE `+j.held(), []any{j.id, j.epoch}, &text)
		if errors.Is(err, pgx.ErrNoRows) {
			return j.lost()
		}
		if err != nil || text == tried { // it was committed, and the answer lost
			return j.writing(err)
		}
		s := j.b.opened(j.id, text)
		if !change(&s) {
			return nil
		}
		if tried, err = stored(s); err != nil {
			return err
		}
		was := sha256.Sum256([]byte(text))
		done, err := j.b.exec(tryOf(len(tried)), `UPDATE imgflow.runs SET summary = $3 WHERE `+j.held()+` AND sha256(convert_to(summary, 'UTF8')) = $4`, j.id, j.epoch, tried, was[:])
		if err != nil || done > 0 { // else somebody has changed it meanwhile
			return j.writing(err)
		}
	}
}

func (j *journal) SetDrawn(graph []byte) error {
	return j.Later(state.Put{Bucket: state.Docs, Key: drawnDoc, Value: graph})
}

func (j *journal) PutBlob(sum string, content []byte) error {
	return j.writing(j.b.putBlob(`INSERT INTO imgflow.run_blobs VALUES ($1, $2) ON CONFLICT DO NOTHING`, j.id, sum, content))
}

// putBlob keeps content, and notes whose it is.
func (b *backend) putBlob(note, owner, sum string, content []byte) error {
	return b.changeBy(unhurried, blobTime, func(ctx context.Context, tx pgx.Tx) error {
		var there bool
		if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM imgflow.blobs WHERE sum = $1)`, sum).Scan(&there); err != nil {
			return err
		}
		if !there {
			if _, err := tx.Exec(ctx, `INSERT INTO imgflow.blobs VALUES ($1, $2) ON CONFLICT DO NOTHING`, sum, content); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, note, owner, sum)
		return err
	})
}

func (j *journal) Adopt(sums []string) error {
	_, err := j.b.exec(tryOf(len(sums)*sha256.Size*2), `INSERT INTO imgflow.run_blobs SELECT $1, u FROM unnest($2::text[]) AS u ON CONFLICT DO NOTHING`, j.id, sums)
	return j.writing(err)
}

func (j *journal) Assign(o state.Owner) (epoch int64, err error) {
	if err := j.Flush(); err != nil {
		return 0, err
	}
	err = j.b.change(tryTime, func(ctx context.Context, tx pgx.Tx) error {
		var text string
		err := tx.QueryRow(ctx, `SELECT summary FROM imgflow.runs WHERE `+j.held()+` FOR UPDATE`, j.id, j.epoch).Scan(&text)
		if errors.Is(err, pgx.ErrNoRows) {
			return j.lost()
		}
		if err == nil {
			epoch, err = assign(ctx, tx, j.id, text, o)
		}
		return err
	})
	if err == nil {
		j.lost()
	}
	return epoch, j.writing(err)
}

func (j *journal) Blob(sum string) (content []byte, err error) {
	err = j.b.within(blobTime, func(ctx context.Context) error {
		return j.b.pool.QueryRow(ctx, `SELECT content FROM imgflow.blobs JOIN imgflow.run_blobs USING (sum) WHERE run = $1 AND sum = $2`, j.id, sum).Scan(&content)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return content, j.b.reading("a file of run "+j.id, err)
}

// Claim goes through the queue, so that what the last one who did the step here has put off
// comes before it, and many claims share a transaction.
func (j *journal) Claim(step dag.Key) (state.Journal, error) {
	c := &claim{step: step}
	c.mine, c.end = context.WithCancelCause(j.mine)
	if err := j.add(j.queue.Write, c, &item{claim: c}); err != nil {
		return nil, err
	}
	return &claimed{j, c}, nil
}

func (j *journal) Lost() <-chan struct{} { return j.mine.Done() }

func (j *journal) Prune() error {
	err := j.b.change(tryTime, func(ctx context.Context, tx pgx.Tx) error {
		var sums []string
		rows, err := tx.Query(ctx, `SELECT sum FROM imgflow.run_blobs WHERE run = $1`, j.id)
		if err == nil {
			sums, err = pgx.CollectRows(rows, pgx.RowTo[string])
		}
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM imgflow.runs WHERE `+j.held(), j.id, j.epoch); err != nil {
			return err
		}
		return dropBlobs(ctx, tx, sums)
	})
	if err != nil {
		return fmt.Errorf("cannot forget run %s: %w", j.id, err)
	}
	return nil
}

// dropBlobs forgets those contents that nobody has.
func dropBlobs(ctx context.Context, tx pgx.Tx, sums []string) error {
	_, err := tx.Exec(ctx, `DELETE FROM imgflow.blobs b WHERE sum = ANY ($1) AND NOT EXISTS (SELECT FROM imgflow.run_blobs r WHERE r.sum = b.sum)
		AND NOT EXISTS (SELECT FROM imgflow.schedule_blobs s WHERE s.sum = b.sum)`, sums)
	return err
}

var errClosed = errors.New("cannot write to a run that is closed")

// Close gives the run back. Of one that was lost, or forgotten, there is nothing to give.
func (j *journal) Close() (err error) {
	j.once.Do(func() {
		err = j.Flush()
		j.end(errClosed)
		j.wait.Wait()
		if context.Cause(j.mine) != errClosed {
			err = nil // it was lost, and whoever wrote has been told
			return
		}
		err = errors.Join(err, j.writing(j.b.change(tryTime, func(ctx context.Context, tx pgx.Tx) error {
			b := &pgx.Batch{}
			b.Queue(`DELETE FROM imgflow.writers WHERE run = $1 AND writer = $2`, j.id, j.writer)
			if j.leased {
				b.Queue(`UPDATE imgflow.runs SET lease_until = NULL WHERE `+j.held(), j.id, j.epoch)
			}
			return tx.SendBatch(ctx, b).Close()
		})))
	})
	return err
}

// claimed is a journal as whoever does a step writes to it.
type claimed struct {
	*journal
	by *claim
}

func (c *claimed) Write(puts ...state.Put) error {
	return c.add(c.queue.Write, c.by, valuesOf(c.by, puts)...)
}

func (c *claimed) Later(puts ...state.Put) error {
	return c.add(c.queue.Later, c.by, valuesOf(c.by, puts)...)
}

func (c *claimed) Flush() error           { return c.flush(c.by) }
func (c *claimed) Emit(e dag.Event) error { return c.emit(c.by, e) }
func (c *claimed) Sync() error            { return c.flush(c.by) }
func (c *claimed) Lost() <-chan struct{}  { return c.by.mine.Done() }
