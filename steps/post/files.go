package post

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/localfile"
	"github.com/imgflow/imgflow/steps/comm"
)

// at is where a path of a template leads.
func at(e *comm.Env, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(e.Dir, path)
}

// maxShared bounds a file that post-processors append to, in bytes.
const maxShared = 64 << 20

// amend changes a file that others change, too, each in turn: change is told what it
// holds, and returns what it shall hold, or nothing if that is as it is. A new file
// has the mode; one that is there keeps its own, but for others' if the mode has none.
func amend(ctx context.Context, path string, mode fs.FileMode, change func(was []byte) ([]byte, error)) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	unlock, err := localfile.Lock(ctx, filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".lock"))
	if err != nil {
		return err
	}
	defer unlock()
	var was []byte
	switch fi, err := os.Stat(path); {
	case err == nil:
		if was, err = localfile.Read(path, maxShared); err != nil {
			return err
		}
		if keeps := fi.Mode().Perm(); mode&0o077 == 0 {
			mode = keeps &^ 0o077 // it will hold what others shall not read
		} else {
			mode = keeps
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	will, err := change(was)
	if err != nil || will == nil {
		return err
	}
	return localfile.Replace(path, will, mode, true)
}

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
