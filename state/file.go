package state

import (
	"errors"
	"io/fs"
	"os"

	"github.com/imgflow/imgflow/internal/localfile"
)

// maxRecord bounds what is read at once of a run's files, in bytes: a longer
// line of events or a longer summary is none that imgflow has written.
const maxRecord = 16 << 20

// openFile opens a file of a run or of the home, and nothing else: a device, a
// pipe or a folder in its place is refused, also behind a symbolic link, before
// anything is read that may never end, or written that it would not keep.
func openFile(path string, flag int) (*os.File, error) {
	// Asked before it is opened, since to open some devices is to act on them,
	// and after, since it may be another by then.
	if fi, err := os.Stat(path); err == nil {
		if err := regular(path, fi); err != nil {
			return nil, err
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f, err := os.OpenFile(path, flag|nonblock, 0o600)
	if err != nil {
		return nil, err
	}
	fi, err := f.Stat()
	if err == nil {
		err = regular(path, fi)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func regular(path string, fi fs.FileInfo) error {
	if fi.Mode().IsRegular() {
		return nil
	}
	return &fs.PathError{Op: "open", Path: path, Err: errors.New("it is not a regular file: move what is in its place away")}
}

// readFile reads a small file of a run or of the home.
func readFile(path string) ([]byte, error) {
	f, err := openFile(path, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return localfile.ReadAll(f, path, maxRecord)
}
