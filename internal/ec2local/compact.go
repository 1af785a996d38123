package ec2local

import (
	"errors"
	"fmt"
	"os"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// worthCompacting is the size below which a store is left as it is.
const worthCompacting = 1 << 20

// openStore opens the store, written anew if most of its file is empty: bbolt
// uses free pages again, but never gives them back.
func openStore(path string) (*bolt.DB, error) {
	db, err := lockStore(path)
	if err != nil {
		return nil, err
	}
	if wasteful(db) && compact(db, path) == nil {
		db.Close()
		return lockStore(path)
	}
	return db, nil
}

// lockStore opens the file and makes sure that it is still the one of that name:
// whoever waited for the lock of a file that was replaced has a dead one.
func lockStore(path string) (*bolt.DB, error) {
	var f *os.File
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Second, OpenFile: func(name string, flag int, mode os.FileMode) (_ *os.File, err error) {
		f, err = os.OpenFile(name, flag, mode)
		return f, err
	}})
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, fmt.Errorf("cannot open %s: another endpoint serves this directory", path)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot open %s: %w", path, err)
	}
	mine, err := f.Stat()
	if err == nil {
		var now os.FileInfo
		if now, err = os.Stat(path); err == nil && !os.SameFile(mine, now) {
			err = errors.New("another endpoint serves this directory")
		}
	}
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("cannot open %s: %w", path, err)
	}
	return db, nil
}

// wasteful tells whether most of the file is free.
func wasteful(db *bolt.DB) bool {
	var size int64
	db.View(func(t *bolt.Tx) error { size = t.Size(); return nil })
	if size < worthCompacting {
		return false
	}
	db.Update(func(*bolt.Tx) error { return nil }) // counts the free pages
	return int64(db.Stats().FreePageN)*int64(db.Info().PageSize) > size/2
}

// compact puts a copy without free pages in the place of the file, while the lock
// of the file is held. With an error, such as a full disk, nothing has changed.
func compact(db *bolt.DB, path string) error {
	tmp := path + ".compact"
	os.Remove(tmp)
	to, err := bolt.Open(tmp, 0o600, nil)
	if err != nil {
		return err
	}
	defer os.Remove(tmp)
	err = bolt.Compact(to, db, 1<<20)
	if err = errors.Join(err, to.Close()); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}
