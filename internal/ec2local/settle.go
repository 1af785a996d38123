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
func (i *importTask) passing(now time.Time) bool {
	return i.State == importActive && !i.Due.After(now)
}

// settling is how long an answer waits at most for what its call began.
const settling = 10 * time.Second

// settle waits until what a call began is done, where it takes no time to speak
// of: the next call finds it done. Clients that meet a passing state sleep, many
// of them for a quarter of a minute.
func (s *Server) settle(ctx context.Context, begun []brief) {
	ctx, cancel := context.WithTimeout(ctx, settling)
	defer cancel()
	for len(begun) > 0 {
		b := begun[0]
		changed, enough := s.bulletin.wait(row(b.table(), rowKey(b.ident().Region, b.ident().ID)))
		settled := false
		err := s.view(func(t *txn) error {
			settled = t.settled(b)
			return nil
		})
		switch {
		case err != nil:
			enough()
			return
		case settled:
			begun = begun[1:]
			enough()
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
		case <-s.ctx.Done():
		}
		enough()
		if ctx.Err() != nil || s.ctx.Err() != nil {
			return
		}
	}
}

// settled reports whether a thing has left the state that was passing.
func (t *txn) settled(r brief) bool {
	b := r.ident()
	raw := t.Bucket([]byte(r.table())).Get(rowKey(b.Region, b.ID))
	now := reflect.New(reflect.TypeOf(r).Elem()).Interface().(brief)
	return raw == nil || json.Unmarshal(raw, now) != nil || !now.passing(t.now)
}

// A bulletin tells everybody who waits for a row of the store that it has changed.
type bulletin struct {
	mu      sync.Mutex
	waiting map[string]map[chan struct{}]bool
}

// wait returns a channel that the next change of the row closes. Enough must be
// called in the end.
func (b *bulletin) wait(row string) (changed <-chan struct{}, enough func()) {
	ch := make(chan struct{})
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting[row] == nil {
		if b.waiting == nil {
			b.waiting = map[string]map[chan struct{}]bool{}
		}
		b.waiting[row] = map[chan struct{}]bool{}
	}
	b.waiting[row][ch] = true
	return ch, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.waiting[row], ch)
		if len(b.waiting[row]) == 0 {
			delete(b.waiting, row)
		}
	}
}

func (b *bulletin) tell(rows []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, row := range rows {
		for ch := range b.waiting[row] {
			close(ch)
		}
		delete(b.waiting, row)
	}
}
