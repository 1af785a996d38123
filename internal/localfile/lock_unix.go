//go:build unix && !aix && !solaris

package localfile

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

func tryLock(f *os.File) (bool, error) {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, unix.EWOULDBLOCK):
			return false, nil
		case !errors.Is(err, unix.EINTR):
			return false, err
		}
	}
}

// release takes the file away while it is locked: who waits for it sees that, and
// makes another.
func release(f *os.File, path string) {
	os.Remove(path)
	f.Close()
}
