package web

import (
	"context"
	"slices"
	"sync"
	"time"
)

// A browser opens six connections to a host, and whatever needs a seventh waits for ever. So
// its streams have at most four, and take turns where there are more pages: the oldest ends,
// and its page asks again after a while.
const (
	atOnce = 4
	away   = 2 * time.Second
)

// turns are the streams of each browser, the oldest first.
type turns struct {
	mu sync.Mutex
	of map[string][]*turn
}

type turn struct {
	context.Context
	cancel context.CancelFunc
}

// begin gives a browser one more turn, which ends when ctx does or others want to have theirs.
// The caller ends it by done.
func (ts *turns) begin(ctx context.Context, browser string) (t *turn, done func()) {
	t = &turn{}
	t.Context, t.cancel = context.WithCancel(ctx)
	ts.mu.Lock()
	defer ts.mu.Unlock()
	all := append(ts.of[browser], t)
	if len(all) > atOnce {
		all[0].cancel()
		all = slices.Delete(all, 0, 1)
	}
	ts.of[browser] = all
	return t, func() {
		t.cancel()
		ts.mu.Lock()
		defer ts.mu.Unlock()
		left := slices.DeleteFunc(ts.of[browser], func(o *turn) bool { return o == t })
		if ts.of[browser] = left; len(left) == 0 {
			delete(ts.of, browser)
		}
	}
}
