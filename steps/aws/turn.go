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

// turn is a call's right to have a large reply.
type turn struct {
	taken bool
	usual int // percentage of garbage
}

type turnKey struct{}

func (t *turn) take() {
	if t != nil && !t.taken {
		large.Lock()
		t.taken, t.usual = true, debug.SetGCPercent(25)
	}
}

func (t *turn) end() {
	if t.taken {
		debug.SetGCPercent(t.usual)
		large.Unlock()
	}
}

// readBody reads at most so many bytes, and no more when stop says so of what is
// there already, which it is asked now and then.
func readBody(ctx context.Context, from io.Reader, most int, stop func([]byte) bool) ([]byte, error) {
	var b bytes.Buffer
	for next := min(most, largeReply); ; next = min(most, 2*next) {
		b.Grow(next - b.Len() + bytes.MinRead)
		_, err := b.ReadFrom(io.LimitReader(from, int64(next-b.Len())))
		if err != nil || b.Len() < next || b.Len() == most || stop(b.Bytes()) {
			return b.Bytes(), err
		}
		t, _ := ctx.Value(turnKey{}).(*turn)
		t.take()
	}
}
