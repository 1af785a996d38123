package ec2local

import (
	"context"
	"encoding/json"
	"reflect"
	"sync"
	"time"
)

// brief is a thing that passes from one state to another by itself.
type brief interface {
	record
	// passing tells whether it does so now, and takes no more time for it than its
	// guest needs.
	passing(now time.Time) bool
}

func (i *instance) passing(now time.Time) bool {
	return (i.State == pending || i.State == stopping || i.State == shuttingDown) && !i.Due.After(now)
}

func (m *image) passing(now time.Time) bool    { return m.State == "pending" && !m.Due.After(now) }
func (s *snapshot) passing(now time.Time) bool { return s.State == "pending" && !s.Due.After(now) }
func (v *volume) passing(now time.Time) bool   { return v.State == "creating" && !v.Due.After(now) }

// settling is how long an answer waits at most for what its call began.
const settling = 10 * time.Second

// settle waits until what a call began is done, where it takes no time to speak
// of: the next call finds it done. Clients that meet a passing state sleep, many
// of them for a quarter of a minute.
func (s *Server) settle(ctx context.Context, begun []brief) {
	ctx, cancel := context.WithTimeout(ctx, settling)
	defer cancel()
	for len(begun) > 0 {
		changed := s.bulletin.wait()
		err := s.view(func(t *txn) error {
			begun = t.unsettled(begun)
			return nil
		})
		if err != nil || len(begun) == 0 {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		case <-s.ctx.Done():
			return
		}
	}
}

// unsettled are those of the things that are still in a passing state.
func (t *txn) unsettled(begun []brief) (still []brief) {
	for _, r := range begun {
		b := r.ident()
		raw := t.Bucket([]byte(r.table())).Get(rowKey(b.Region, b.ID))
		now := reflect.New(reflect.TypeOf(r).Elem()).Interface().(brief)
		if raw == nil || json.Unmarshal(raw, now) != nil || !now.passing(t.now) {
			continue
		}
		still = append(still, r)
	}
	return still
}

// A bulletin tells everybody who waits that the store has changed.
type bulletin struct {
	mu sync.Mutex
	ch chan struct{}
}

// wait returns a channel that the next change closes.
func (b *bulletin) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch == nil {
		b.ch = make(chan struct{})
	}
	return b.ch
}

func (b *bulletin) tell() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch != nil {
		close(b.ch)
		b.ch = nil
	}
}
