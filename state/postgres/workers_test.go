package postgres

import (
	"context"
	"maps"
	"os"
	"os/exec"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/imgflow/imgflow/internal/pgtest"
)

// attendee is a worker that attends.
type attendee struct {
	t     *testing.T
	busy  atomic.Uint32
	self  string
	heard chan map[string]uint32
	end   func()
}

func attendAs(t *testing.T, url, engine string) *attendee {
	a := &attendee{t: t, heard: make(chan map[string]uint32, 100)}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		var known map[string]uint32
		ended <- Attend(ctx, url, engine, a.busy.Load, func(self string, there map[string]uint32) {
			if known == nil || !maps.Equal(known, there) {
				a.self, known = self, there
				a.heard <- there
			}
		})
	}()
	a.end = func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	return a
}

// hears waits until the lanes of the others are these, in any order.
func (a *attendee) hears(lanes ...uint32) {
	a.t.Helper()
	late := time.After(30 * time.Second)
	for {
		select {
		case there := <-a.heard:
			if slices.Equal(slices.Sorted(maps.Values(there)), lanes) {
				return
			}
		case <-late:
			a.t.Fatalf("it does not hear of %v", lanes)
		}
	}
}

// quick has workers attend often, and be taken for gone after a time.
func quick(t *testing.T, gone time.Duration) {
	every, long := attendEvery, attendTime
	attendEvery, attendTime = 50*time.Millisecond, gone
	t.Cleanup(func() { attendEvery, attendTime = every, long })
}

// Workers of an engine know of one another, and with which lanes each is busy: one that ends is
// there no more, one that was not heard of not for long, and without a database all are there
// as before.
func TestWorkersKnowOneAnother(t *testing.T) {
	quick(t, 3*time.Second)
	s := pgtest.New(t)
	url, err := s.Create()
	if err != nil {
		t.Fatal(err)
	}
	first := attendAs(t, url, "here")
	first.hears()
	other := attendAs(t, url, "elsewhere")
	other.hears()
	second := attendAs(t, url, "here")
	second.hears(0)
	first.hears(0)
	second.busy.Store(5)
	first.hears(5)
	b, err := connect(url)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := b.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// One that is paused has its connection, but says nothing any more.
	if _, err := conn.Exec(t.Context(), `SELECT pg_try_advisory_lock_shared($1, 7)`, int32(attending)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), `INSERT INTO imgflow.workers VALUES ('paused', 'here', 6, 7, clock_timestamp()), ('dead', 'here', 9, 8, clock_timestamp())`); err != nil {
		t.Fatal(err)
	}
	first.hears(5, 6)
	for engine, want := range map[string]int{"here": 3, "elsewhere": 1, "nowhere": 0} {
		if n, err := Workers(url, engine); err != nil || n != want {
			t.Errorf("%d workers are %s, want %d, %v", n, engine, want, err)
		}
	}
	first.hears(5)
	conn.Release()
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * attendEvery)
	if n := len(first.heard); n > 0 {
		t.Errorf("%v is heard without a database", <-first.heard)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	second.end()
	first.hears()
	first.end()
	other.end()
	var left int
	err = b.again(func(ctx context.Context) error {
		return b.pool.QueryRow(ctx, `SELECT count(*) FROM imgflow.workers WHERE id <> 'paused' AND id <> 'dead'`).Scan(&left)
	})
	if err != nil || left != 0 {
		t.Errorf("%d workers are left: %v", left, err)
	}
}

// A worker whose process is killed is there no more at once, and not only when it has been
// silent for long.
func TestAKilledWorkerIsNotThere(t *testing.T) {
	const to = "IMGFLOW_TEST_ATTEND"
	if url := os.Getenv(to); url != "" {
		Attend(t.Context(), url, "here", func() uint32 { return 3 }, func(string, map[string]uint32) {})
		return
	}
	quick(t, time.Hour)
	url := pgtest.Database(t)
	first := attendAs(t, url, "here")
	defer first.end()
	cmd := exec.Command(os.Args[0], "-test.run=^TestAKilledWorkerIsNotThere$")
	cmd.Env = append(os.Environ(), to+"="+url)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	first.hears(3)
	cmd.Process.Kill()
	cmd.Wait()
	first.hears()
}
