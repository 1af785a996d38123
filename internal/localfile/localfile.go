package localfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Read returns what a local file holds. Anything that is no ordinary file is an
// error, as is one of more than that many bytes: a device may have no end, and a
// pipe may wait for ever.
func Read(path string, most int64) ([]byte, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if err := Special(path, fi); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadAll(f, path, most)
}

// ReadAll returns what comes from r, which is called name, or an error if it is
// more than that many bytes.
func ReadAll(r io.Reader, name string, most int64) ([]byte, error) {
	p, err := io.ReadAll(io.LimitReader(r, most+1))
	if err == nil && int64(len(p)) > most {
		err = fmt.Errorf("%s: it has more than %s", name, size(most))
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// size writes a number of bytes that is a multiple of 1024.
func size(n int64) string {
	if n%(1<<20) == 0 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d KiB", n>>10)
}

// Special says what a file is that is not read like any other; nil for an
// ordinary one. The empty device is ordinary: templates upload it to make an
// empty file.
func Special(path string, fi fs.FileInfo) error {
	if fi.Mode().IsRegular() || filepath.Clean(path) == os.DevNull {
		return nil
	}
	switch m := fi.Mode(); {
	case m.IsDir():
		return errors.New("it is a directory, not a file")
	case m&fs.ModeDevice != 0:
		return errors.New("it is a device, not a file")
	case m&fs.ModeNamedPipe != 0:
		return errors.New("it is a named pipe, not a file")
	case m&fs.ModeSocket != 0:
		return errors.New("it is a socket, not a file")
	}
	return errors.New("it is no ordinary file")
}
