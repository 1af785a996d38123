package post

import (
	"context"
	"io"
	"time"

	"github.com/imgflow/imgflow/dag"
)

// begun is when the first attempt of a making began: what is known by it is the same
// after an interruption.
func begun(t *dag.Task) (time.Time, error) {
	var at time.Time
	if found, err := t.Load("begun", &at); found || err != nil {
		return at, err
	}
	at = time.Now()
	return at, t.Save("begun", at)
}

// stopped reads until a context has ended.
type stopped struct {
	ctx context.Context
	io.Reader
}

func (r *stopped) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}
