package state

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// locked reports whether a process holds the database for writing.
// It asks for the byte that bbolt locks, the last that there could be.
func locked(path string) bool {
	f, err := openFile(path, os.O_RDONLY)
	if err != nil {
		return false
	}
	defer f.Close()
	err = windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, lockedByte())
	return errors.Is(err, windows.ERROR_LOCK_VIOLATION)
}

func lockedByte() *windows.Overlapped {
	return &windows.Overlapped{Offset: ^uint32(0), OffsetHigh: ^uint32(0)}
}

// unlock gives the lock back.
func unlock(f *os.File) { windows.UnlockFileEx(windows.Handle(f.Fd()), 0, 1, 0, lockedByte()) }

// syncDir does nothing: the file system keeps names by itself.
func syncDir(string) error { return nil }
