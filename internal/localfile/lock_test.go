package localfile

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func TestLock(t *testing.T) {
	dir := t.TempDir()
	path, sum := filepath.Join(dir, ".lock"), filepath.Join(dir, "sum")
	os.WriteFile(sum, nil, 0o640)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				unlock, err := Lock(t.Context(), path)
				if err != nil {
					t.Error(err)
					return
				}
				was, err := os.ReadFile(sum)
				if err == nil {
					err = Replace(sum, append(was, 'x'), 0o640, false)
				}
				if err != nil {
					t.Error(err)
				}
				unlock()
			}
		})
	}
	wg.Wait()
	fi, err := os.Stat(sum)
	if err != nil || fi.Size() != 80 || fi.Mode().Perm() != 0o640 {
		t.Errorf("%v %v", fi, err)
	}
	if list, _ := os.ReadDir(dir); len(list) != 1 {
		t.Errorf("left is %v", list)
	}
}

// Who waits can give up; what a process has left behind that has died is no lock.
func TestLockIsWaitedFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), ".lock")
	os.WriteFile(path, nil, 0o600)
	unlock, err := Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Lock(ctx, path); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	unlock()
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if _, err := Lock(t.Context(), filepath.Join(path, "nowhere")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
