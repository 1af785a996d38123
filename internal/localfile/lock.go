package localfile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// Lock waits until nobody else, in this process or another, holds the lock of that
// name, and takes it. A process that ends gives its locks back, however it ends. The
// file is there only while somebody holds the lock, or has died with it.
func Lock(ctx context.Context, path string) (unlock func(), err error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		taken, err := tryLock(f)
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("cannot lock %s: %w", path, err)
		}
		if taken && current(f, path) {
			return func() { release(f, path) }, nil
		}
		f.Close()
		if taken {
			continue // whoever held it has taken the file away
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// current reports whether an open file is still the one of that name.
func current(f *os.File, path string) bool {
	ours, err := f.Stat()
	named, err2 := os.Stat(path)
	return errors.Join(err, err2) == nil && os.SameFile(ours, named)
}
