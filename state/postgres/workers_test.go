package postgres

import (
	"context"
	"testing"
	"time"

	"github.com/imgflow/imgflow/internal/pgtest"
)

// Workers know how many they are: one that ends is not counted any more, one that dies
// not for long, and without a database they are as many as before.
func TestWorkersKnowOneAnother(t *testing.T) {
	every, long := attendEvery, attendTime
	attendEvery, attendTime = 50*time.Millisecond, 3*time.Second
	t.Cleanup(func() { attendEvery, attendTime = every, long })
	s := pgtest.New(t)
	url, err := s.Create()
	if err != nil {
		t.Fatal(err)
	}
	attend := func() (end func(), hears func(n int)) {
		ctx, cancel := context.WithCancel(t.Context())
		heard, ended := make(chan int, 100), make(chan error)
		go func() { ended <- Attend(ctx, url, func(n int) { heard <- n }) }()
		end = func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		hears = func(n int) {
			t.Helper()
			select {
			case got := <-heard:
				if got != n {
					t.Errorf("it hears of %d workers, not of %d", got, n)
				}
			case <-time.After(30 * time.Second):
				t.Fatalf("it does not hear of %d workers", n)
			}
		}
		return end, hears
	}
	endFirst, first := attend()
	first(1)
	endSecond, second := attend()
	second(2)
	first(2)
	b, err := connect(url)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.pool.Exec(t.Context(), `INSERT INTO imgflow.workers VALUES ('dead', clock_timestamp())`); err != nil {
		t.Fatal(err)
	}
	first(3)
	first(2)
	second(3)
	second(2)
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * attendEvery)
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	endSecond()
	first(1)
	endFirst()
	var left int
	if err := b.pool.QueryRow(t.Context(), `SELECT count(*) FROM imgflow.workers`).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d workers are left: %v", left, err)
	}
}
