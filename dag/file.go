package dag

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/imgflow/imgflow/internal/tree"
)

// File is a local file or directory that a step reads. It enters the step's key
// by its content; where it lies does not matter.
type File struct {
	Path   string `json:"path"`
	Digest string `json:"digest"`
}

// CanonKey is the content's digest.
func (f File) CanonKey() string { return f.Digest }

// NewFile takes the digest of what path holds; of a directory, of every name,
// permission and content in it, and of what links in it lead to outside.
func NewFile(path string) (File, error) {
	h := sha256.New()
	add := func(p string) error {
		r, err := os.Open(p)
		if err != nil {
			return err
		}
		defer r.Close()
		_, err = io.Copy(h, r)
		return err
	}
	fi, err := os.Stat(path)
	switch {
	case err != nil:
	case !fi.IsDir() && !ordinary(path, fi):
		err = special(fi)
	case !fi.IsDir():
		fmt.Fprintf(h, "file %o\n", fi.Mode().Perm())
		err = add(path)
	default:
		err = tree.Walk{}.Each(path, func(e tree.Entry) error {
			fmt.Fprintf(h, "%q %v %d\n", e.Name, e.Info.Mode(), fileSize(e.Info))
			switch {
			case e.Link != "":
				fmt.Fprintf(h, "%q\n", e.Link)
			case e.Info.Mode().IsRegular():
				return add(e.Path)
			}
			return nil
		})
	}
	if err != nil {
		return File{}, fmt.Errorf("cannot read %s: %w", path, err)
	}
	return File{Path: path, Digest: "sha256:" + hex.EncodeToString(h.Sum(nil))}, nil
}

func fileSize(fi fs.FileInfo) int64 {
	if fi.Mode().IsRegular() {
		return fi.Size()
	}
	return 0
}

// ReadFile returns what a local file holds. Anything that is no ordinary file
// is an error, as is one of more than that many bytes: a device may have no end,
// and a pipe may wait for ever.
func ReadFile(path string, most int64) ([]byte, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !ordinary(path, fi) {
		return nil, fmt.Errorf("%s: %w", path, special(fi))
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

// ordinary says whether a file is read like any other. The empty device is: templates
// upload it to make an empty file.
func ordinary(path string, fi fs.FileInfo) bool {
	return fi.Mode().IsRegular() || filepath.Clean(path) == os.DevNull
}

// special says what a file is that holds no bytes of its own.
func special(fi fs.FileInfo) error {
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
