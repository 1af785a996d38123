package local

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

const programPrefix = "program-"

// Program copies the program exe into the directory, unless it is there, and
// returns the copy for a server to be started from. A server outlives the file
// that it would be started from otherwise: `go run` removes it, an upgrade
// replaces it, and the server still needs it for each guest that boots.
func Program(dir, exe string) (string, error) {
	src, err := os.Open(exe)
	if err != nil {
		return "", fmt.Errorf("cannot copy the program: %w", err)
	}
	defer src.Close()
	fi, err := src.Stat()
	if err != nil {
		return "", fmt.Errorf("cannot copy the program: %w", err)
	}
	path := filepath.Join(dir, fmt.Sprintf("%s%x-%x%s", programPrefix, fi.ModTime().UnixNano(), fi.Size(), filepath.Ext(exe)))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	// Whoever starts a server at the same time makes the same copy, and the first
	// one stays: a rename would take it from under the other's server.
	tmp, err := os.CreateTemp(dir, ".program-*")
	if err == nil {
		defer os.Remove(tmp.Name())
		_, err = io.Copy(tmp, src)
		if err == nil {
			err = tmp.Chmod(0o755) // the users of a guest run it, too; the directory keeps others out
		}
		if cerr := tmp.Close(); err == nil {
			err = cerr
		}
	}
	if err == nil {
		err = os.Chtimes(tmp.Name(), time.Time{}, fi.ModTime())
	}
	if err == nil {
		if err = os.Link(tmp.Name(), path); errors.Is(err, fs.ErrExist) {
			err = nil
		}
	}
	if err != nil {
		return "", fmt.Errorf("cannot copy the program: %w", err)
	}
	return path, nil
}

// Sweep removes the copies of the program that servers before had, all but the
// one given. Only the owner of the directory may.
func Sweep(dir, but string) {
	old, _ := filepath.Glob(filepath.Join(dir, programPrefix+"*"))
	for _, p := range old {
		if p != but {
			os.Remove(p)
		}
	}
}
