// Package queue brings many writes to where they are kept by few commits, in the
// order in which they come.
package queue

import (
	"slices"
	"sync"
	"time"
)

// Queue gathers items and commits them. Those that come while a commit is under way
// share the next one.
type Queue[T any] struct {
	// Commit keeps all of the items or none, durably. Only one is under way at a time.
	Commit func([]T) error
	// Items that are put off wait for so long at most, and not in larger numbers.
	Wait time.Duration
	Most int

	writing sync.Mutex // held by the one who commits
	mu      sync.Mutex // guards what follows
	next    *batch[T]  // that is being gathered
	flying  *batch[T]  // that is being carried out
	timer   *time.Timer
}

// CrashPoint is where a program that was built to be killed kills itself beside a queue: before
// a write, and in what it returns, afterwards.
func CrashPoint() func() { return crashPoint(func() error { return nil }) }

type batch[T any] struct {
	items []entry[T]
	led   bool // somebody carries it out, or is about to
	done  chan struct{}
	err   error
}

type entry[T any] struct {
	item  T
	later bool // nobody waits for it
}

// Write keeps all of the items or none, and returns when they are kept, with all that
// was put off before.
func (q *Queue[T]) Write(items ...T) error {
	defer crashPoint(q.Flush)()
	q.mu.Lock()
	return q.carry(q.gather(items, false))
}

// Later keeps all of the items or none, with the next commit or after a moment. If
// that fails they are tried again with the one after it, so that nothing is ever kept
// without what came before it.
func (q *Queue[T]) Later(items ...T) error {
	defer crashPoint(q.Flush)()
	q.mu.Lock()
	b := q.gather(items, true)
	if len(b.items) >= q.Most {
		return q.carry(b)
	}
	if q.timer == nil {
		q.timer = time.AfterFunc(q.Wait, func() { q.Flush() }) // whoever writes next is told what fails
	}
	q.mu.Unlock()
	return nil
}

// Flush returns when all that was put off is kept.
func (q *Queue[T]) Flush() error {
	q.mu.Lock()
	if q.next != nil {
		return q.carry(q.next)
	}
	b := q.flying
	q.mu.Unlock()
	if b == nil {
		return nil
	}
	<-b.done
	return b.err
}

// Waiting are the items that are not kept yet, in order.
func (q *Queue[T]) Waiting() (items []T) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, b := range []*batch[T]{q.flying, q.next} {
		if b == nil {
			continue
		}
		for _, e := range b.items {
			items = append(items, e.item)
		}
	}
	return items
}

// gather adds items to the next commit. Whoever calls it holds mu.
func (q *Queue[T]) gather(items []T, later bool) *batch[T] {
	if q.next == nil {
		q.next = &batch[T]{done: make(chan struct{})}
	}
	for _, item := range items {
		q.next.items = append(q.next.items, entry[T]{item, later})
	}
	return q.next
}

// carry carries the next commit out, or waits for who does. It gives mu back, which
// whoever calls it holds.
func (q *Queue[T]) carry(b *batch[T]) error {
	lead := !b.led
	b.led = true
	q.mu.Unlock()
	if !lead {
		<-b.done
		return b.err
	}
	q.writing.Lock()
	defer q.writing.Unlock()
	defer close(b.done)
	q.mu.Lock()
	q.next, q.flying = nil, b
	if q.timer != nil {
		q.timer.Stop()
		q.timer = nil
	}
	items := make([]T, len(b.items))
	for i, e := range b.items {
		items[i] = e.item
	}
	q.mu.Unlock()
	b.err = q.Commit(items)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.flying = nil
	if b.err != nil {
		if again := slices.DeleteFunc(b.items, func(e entry[T]) bool { return !e.later }); len(again) > 0 {
			next := q.gather(nil, true)
			next.items = append(again, next.items...)
		}
	}
	return b.err
}
