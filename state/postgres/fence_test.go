package postgres

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/internal/pgtest"
	"github.com/imgflow/imgflow/state"
	"github.com/imgflow/imgflow/state/statetest"
)

// The variable that makes this test program the process that is paused, and what it says.
const pausedVar, pausedLost, pausedFenced = "POSTGRES_TEST_PAUSED", "lost", "fenced"

// paused drives a run, writes a line every few milliseconds, and says what becomes of it.
func paused(url string) {
	h, err := Open(os.TempDir(), url)
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := h.Create(state.Summary{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(r.ID())
	go func() {
		<-r.Lost()
		fmt.Println(pausedLost)
	}()
	for n := 1; err == nil; n++ {
		err = errors.Join(r.Emit(line(n)), r.Put(statetest.Record(n)))
		time.Sleep(5 * time.Millisecond)
	}
	if errors.As(err, new(*state.FencedError)) {
		fmt.Println(pausedFenced)
	}
	<-r.Lost()
	r.SetSummary(func(s *state.Summary) { s.Status = state.Failed })
	fmt.Println(r.Close())
}

// TestPaused stops a process for longer than its lease, has another take the run, and wakes
// it: it writes nothing more, and knows why.
func TestPaused(t *testing.T) {
	url := pgtest.Database(t)
	h, err := Open(t.TempDir(), url)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), pausedVar+"="+url)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	said := bufio.NewScanner(out)
	said.Scan()
	id := said.Text()
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if got, err := texts(h, id); err != nil || time.Now().After(end) {
			t.Fatalf("%q: %v", id, err)
		} else if strings.Contains(got, "|20|") {
			break
		}
	}
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	r, err := h.Open(id) // when the lease has ended
	if err != nil {
		t.Fatal(err)
	}
	rs, err := r.All()
	before, eventsErr := texts(h, id)
	if err := errors.Join(err, eventsErr, r.Sync()); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	told := map[string]bool{}
	for said.Scan() {
		told[said.Text()] = true
	}
	if !told[pausedLost] || !told[pausedFenced] || !told["<nil>"] {
		t.Errorf("it has said %v", told)
	}
	if again, err := r.All(); err != nil || len(again) != len(rs) {
		t.Errorf("it has written records: %d, then %d, %v", len(rs), len(again), err)
	}
	if after, err := texts(h, id); err != nil || after != before || after != lines(strings.Count(after, "|")+1) {
		t.Errorf("it has written events, or some are missing: %v", err)
	}
	if s, err := h.Summary(id); err != nil || s.Status != state.Running || s.PID != os.Getpid() {
		t.Errorf("it has changed the summary: %+v, %v", s, err)
	}
	if err := errors.Join(r.Put(statetest.Record(1)), r.Close()); err != nil {
		t.Error(err)
	}
}

// TestPausedInATransaction: who is paused in the middle of a write holds up nobody for long,
// and writes again when it wakes.
func TestPausedInATransaction(t *testing.T) {
	url := pgtest.Database(t)
	h, err := Open(t.TempDir(), url)
	if err != nil {
		t.Fatal(err)
	}
	r, err := h.Create(state.Summary{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := connect(url)
	if err != nil {
		t.Fatal(err)
	}
	tx, err := b.pool.Begin(t.Context())
	if err == nil {
		_, err = tx.Exec(t.Context(), `UPDATE imgflow.runs SET changes = changes + 1 WHERE id = $1`, r.ID())
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.Put(statetest.Record(1)), r.Close()); err != nil {
		t.Error(err)
	}
	if err := tx.Commit(t.Context()); err == nil || !passes(err) {
		t.Errorf("who was paused is told %v", err)
	}
}

// execute runs a statement in a database as somebody else would.
func execute(t *testing.T, url, sql string, args ...any) {
	t.Helper()
	ctx := context.Background()
	c, err := pgx.Connect(ctx, url)
	if err == nil {
		defer c.Close(ctx)
		_, err = c.Exec(ctx, sql, args...)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// An older program refuses what it does not know, and changes nothing.
func TestNewerSchema(t *testing.T) {
	url := pgtest.Database(t)
	if _, err := Open(t.TempDir(), url); err != nil {
		t.Fatal(err)
	}
	execute(t, url, `UPDATE imgflow.schema SET level = 7`)
	_, err := connectAnew(url)
	if errcode.Of(err) != errcode.StateNewer || !strings.Contains(err.Error(), fmt.Sprintf("newer imgflow (level 7; this one knows up to %d)", level)) {
		t.Errorf("a newer schema: %v", err)
	}
}

// connectAnew is connect of another process.
func connectAnew(url string) (*backend, error) {
	pooling.Lock()
	delete(pools, url)
	pooling.Unlock()
	return connect(url)
}

// Whoever may only read looks at runs.
func TestReadOnly(t *testing.T) {
	url := pgtest.Database(t)
	h, err := Open(t.TempDir(), url)
	if err != nil {
		t.Fatal(err)
	}
	r, err := h.Create(state.Summary{})
	if err := errors.Join(err, r.Emit(line(1)), r.Close()); err != nil {
		t.Fatal(err)
	}
	look, err := Open(t.TempDir(), url+"&default_transaction_read_only=on")
	if err != nil {
		t.Fatal(err)
	}
	if runs, err := look.Runs(); err != nil || len(runs) != 1 {
		t.Errorf("%v, %v", runs, err)
	}
	if got, err := texts(look, r.ID()); err != nil || got != "1" {
		t.Errorf("%s, %v", got, err)
	}
}

// Values that are not what they were are told, and never believed.
func TestDamagedRows(t *testing.T) {
	url := pgtest.Database(t)
	h, err := Open(t.TempDir(), url)
	if err != nil {
		t.Fatal(err)
	}
	r, err := h.Create(state.Summary{})
	if err != nil {
		t.Fatal(err)
	}
	sum, blob := r.PutBlob(strings.NewReader("content"))
	if err := errors.Join(blob, r.Put(statetest.Record(1)), r.SetDoc("doc", "value"), r.Emit(line(1)), r.Emit(line(2)), r.Sync()); err != nil {
		t.Fatal(err)
	}
	execute(t, url, `UPDATE imgflow.entries SET value = set_byte(value, length(value) - 2, get_byte(value, length(value) - 2) # 1)`)
	execute(t, url, `UPDATE imgflow.blobs SET content = '\x00'`)
	execute(t, url, `UPDATE imgflow.events SET line = '\x00' WHERE n = (SELECT min(n) FROM imgflow.events)`)
	var doc string
	_, all := r.All()
	_, content := r.Blob(sum)
	for what, err := range map[string]error{"a record": all, "a document": r.Doc("doc", &doc), "a blob": content} {
		if errcode.Of(err) != errcode.StateDamaged || !strings.Contains(err.Error(), h.Place()) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if got, err := texts(h, r.ID()); err != nil || !strings.HasSuffix(got, "|2") || !strings.Contains(got, "cannot be read") {
		t.Errorf("events %s, %v", got, err)
	}
	r.Close()
	execute(t, url, `UPDATE imgflow.runs SET summary = '{"id":'`)
	if runs, err := h.Runs(); err != nil || len(runs) != 1 || runs[0].Status != state.Unreadable || runs[0].ID != r.ID() || runs[0].Problem == "" {
		t.Errorf("%+v, %v", runs, err)
	}
}

// Nothing of a secret is in any table.
func TestTablesHoldNoSecret(t *testing.T) {
	url := pgtest.Database(t)
	h, err := Open(t.TempDir(), url)
	if err != nil {
		t.Fatal(err)
	}
	r, err := h.Create(state.Summary{})
	if err != nil {
		t.Fatal(err)
	}
	const secret = "hunter2hunter2"
	rec := statetest.Record(1)
	rec.Err = "login with " + secret
	said := line(1)
	said.Text = "the password is " + secret
	salt, salted := r.Salt()
	if err := errors.Join(salted, r.Vault().Put("password", []byte(secret)), r.Put(rec), r.Emit(said), r.SetSummary(func(s *state.Summary) { s.Err = rec.Err }), r.Close()); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	rows, err := c.Query(ctx, `SELECT value FROM imgflow.entries UNION ALL SELECT line FROM imgflow.events UNION ALL SELECT convert_to(summary, 'UTF8') FROM imgflow.runs`)
	if err != nil {
		t.Fatal(err)
	}
	values, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	if err != nil || len(values) != 5 {
		t.Fatalf("%d values, %v", len(values), err)
	}
	for _, v := range values {
		if strings.Contains(string(v), secret) || strings.Contains(string(v), string(salt)) {
			t.Errorf("%q holds a secret", v)
		}
	}
}
