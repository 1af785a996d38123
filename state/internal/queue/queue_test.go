package queue

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"
)

// kept is what commits have kept.
type kept struct {
	mu      sync.Mutex
	items   []int
	commits int
	err     error         // what the next commits fail with
	hold    chan struct{} // that a commit waits for, if it is not nil
	begun   chan struct{} // gets something as each commit begins, if it is not nil
}

func (k *kept) commit(items []int) error {
	if k.begun != nil {
		k.begun <- struct{}{}
	}
	if k.hold != nil {
		<-k.hold
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err != nil {
		return k.err
	}
	k.items = append(k.items, items...)
	k.commits++
	return nil
}

func (k *kept) all() []int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.items)
}

func queue(k *kept, wait time.Duration) *Queue[int] {
	return &Queue[int]{Commit: k.commit, Wait: wait, Most: 8}
}

func TestWriteTakesAlongWhatWasPutOff(t *testing.T) {
	k := &kept{}
	q := queue(k, time.Hour)
	if err := errors.Join(q.Later(1), q.Later(2, 3)); err != nil || len(k.all()) > 0 || !slices.Equal(q.Waiting(), []int{1, 2, 3}) {
		t.Errorf("kept %v, waiting %v, %v", k.all(), q.Waiting(), err)
	}
	if err := q.Write(4); err != nil || !slices.Equal(k.all(), []int{1, 2, 3, 4}) || k.commits != 1 || len(q.Waiting()) > 0 {
		t.Errorf("kept %v in %d commits, %v", k.all(), k.commits, err)
	}
	if q.timer != nil {
		t.Error("there is a timer though nothing is put off")
	}
	if err := q.Flush(); err != nil || k.commits != 1 {
		t.Errorf("nothing was kept: %d commits, %v", k.commits, err)
	}
}

// What nobody asks for is kept after a moment, or when there is much of it.
func TestLaterIsBounded(t *testing.T) {
	k := &kept{}
	q := queue(k, time.Millisecond)
	q.Later(1)
	for end := time.Now().Add(time.Minute); len(k.all()) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it is not kept after a minute")
		}
	}
	q.Wait = time.Hour
	for i := range 2 * q.Most {
		q.Later(2 + i)
	}
	if n := len(k.all()); n < q.Most {
		t.Errorf("%d items of %d are kept", n, 1+2*q.Most)
	}
}

// A commit that fails loses nothing that nobody was told of, and what came later is
// not kept without it.
func TestLaterIsTriedAgain(t *testing.T) {
	k := &kept{hold: make(chan struct{}), begun: make(chan struct{}), err: errors.New("no room")}
	q := queue(k, time.Hour)
	q.Later(1)
	q.Later(2)
	failed := make(chan error)
	go func() { failed <- q.Write(99) }()
	<-k.begun
	q.Later(3)
	close(k.hold)
	if err := <-failed; !errors.Is(err, k.err) {
		t.Fatalf("a write that failed: %v", err)
	}
	k.err, k.hold, k.begun = nil, nil, nil
	if err := q.Write(4); err != nil || !slices.Equal(k.all(), []int{1, 2, 3, 4}) {
		t.Errorf("kept %v, %v", k.all(), err)
	}
}

// A flush waits for the commit that is on its way, and those that come meanwhile share
// the next.
func TestCommitsAreShared(t *testing.T) {
	k := &kept{hold: make(chan struct{}), begun: make(chan struct{}, 100)}
	q := queue(k, time.Hour)
	var wg sync.WaitGroup
	wg.Go(func() { q.Write(0) })
	<-k.begun
	flushed := make(chan error, 1)
	go func() { flushed <- q.Flush() }()
	select {
	case <-flushed:
		t.Error("a flush has not waited")
	case <-time.After(20 * time.Millisecond):
	}
	for i := range 32 {
		wg.Go(func() { q.Write(1 + i) })
	}
	for len(q.Waiting()) < 33 {
		time.Sleep(time.Millisecond)
	}
	close(k.hold)
	wg.Wait()
	if err := <-flushed; err != nil || k.commits > 3 || len(k.all()) != 33 {
		t.Errorf("%d items in %d commits, %v", len(k.all()), k.commits, err)
	}
}
