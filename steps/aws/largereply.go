package aws

import (
	"bytes"
	"context"
	"io"
	"runtime/debug"
	"sync"
)

// Replies that are larger than this, of all calls that are under way, are read
// and decoded one at a time, and what that leaves behind is collected sooner than
// usual: together they would need more memory than one may.
const largeReply = 1 << 20

var large sync.Mutex

// largeLock is a call's right to have a large reply.
type largeLock struct {
	taken bool
	usual int // percentage of garbage
}

type largeKey struct{}

func (t *largeLock) take() {
	if t != nil && !t.taken {
		large.Lock()
		t.taken, t.usual = true, debug.SetGCPercent(25)
	}
}

func (t *largeLock) end() {
	if t.taken {
		debug.SetGCPercent(t.usual)
		large.Unlock()
	}
}

// firstRead is room for most replies: memory for a large one is taken when it is
// needed, since there are many calls.
const firstRead = 16 << 10

// readBody reads at most so many bytes, and no more when stop says so of what is
// there already, which it is asked now and then.
func readBody(ctx context.Context, from io.Reader, most int, stop func([]byte) bool) ([]byte, error) {
	var b bytes.Buffer
	for next := min(most, firstRead); ; next = min(most, 2*next) {
		b.Grow(next - b.Len() + bytes.MinRead)
		_, err := b.ReadFrom(io.LimitReader(from, int64(next-b.Len())))
		if err != nil || b.Len() < next || b.Len() == most || stop(b.Bytes()) {
			return b.Bytes(), err
		}
		if b.Len() >= largeReply {
			t, _ := ctx.Value(largeKey{}).(*largeLock)
			t.take()
		}
	}
}
