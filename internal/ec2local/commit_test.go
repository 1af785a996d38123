package ec2local

import (
	"errors"
	"fmt"
	"sync"
	"testing"
)

// Many changes at once are committed together, each of them or nothing of it: what
// fails, before or after it has written, or panics, takes nobody with it.
func TestChangesAreCommittedTogether(t *testing.T) {
	b := newBench(t)
	s := b.server
	early, late := errors.New("early"), errors.New("late")
	write := func(t *txn, n int) { t.write("token", fmt.Appendf(nil, "us-east-1/%03d", n), token{Params: "p"}) }
	writes := func() int64 {
		stats := s.db.Stats()
		return stats.TxStats.GetWrite()
	}
	const changes = 100
	results := make([]error, changes)
	calls := make([]int, changes)
	var all sync.WaitGroup
	s.commits.writing.Lock() // until all are there
	for n := range changes {
		all.Go(func() {
			defer func() {
				if r := recover(); r != nil {
					results[n] = fmt.Errorf("panic: %v", r)
				}
			}()
			results[n] = s.update(func(t *txn) error {
				calls[n]++
				switch n % 10 {
				case 3:
					return early
				case 5:
					write(t, n)
					return late
				case 7:
					write(t, n)
					panic("at the disco")
				}
				write(t, n)
				t.after = append(t.after, func() { calls[n] += 100 })
				return nil
			})
		})
	}
	eventually(t, "all are there", func() bool {
		s.commits.mu.Lock()
		defer s.commits.mu.Unlock()
		return len(s.commits.queue) == changes
	})
	before := writes()
	s.commits.writing.Unlock()
	all.Wait()
	if n := writes() - before; n > 20 {
		t.Errorf("%d writes for %d changes", n, changes)
	}
	err := s.view(func(txn *txn) error {
		for n, err := range results {
			stored := txn.Bucket([]byte("token")).Get(fmt.Appendf(nil, "us-east-1/%03d", n)) != nil
			text, want, there := fmt.Sprint(err), "<nil>", true
			switch n % 10 {
			case 3:
				want, there = "early", false
			case 5:
				want, there = "late", false
			case 7:
				want, there = "panic: at the disco", false
			}
			if text != want || stored != there || (calls[n] > 100) != there {
				t.Errorf("change %d: %s, stored %t, called %d", n, text, stored, calls[n])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// What changes nothing is not written.
	before = writes()
	for range 3 {
		if err := s.update(func(t *txn) error { write(t, 0); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if n := writes() - before; n > 0 {
		t.Errorf("%d writes of what is there", n)
	}
}
