//go:build unix && !aix && !solaris

package state

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// locked reports whether a process holds the database for writing. It asks for
// a shared lock and gives it back at once, for which a writer waits if it must.
func locked(path string) bool {
	f, err := openFile(path, os.O_RDONLY)
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK)
}

// unlock gives the lock back. Closing alone does not where the file is still
// mapped.
func unlock(f *os.File) { unix.Flock(int(f.Fd()), unix.LOCK_UN) }

// syncDir makes the names in a directory survive a power cut.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
