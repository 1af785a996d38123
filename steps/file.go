package steps

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/imgflow/imgflow/internal/localfile"
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
	case !fi.IsDir():
		if err = localfile.Special(path, fi); err == nil {
			fmt.Fprintf(h, "file %o\n", fi.Mode().Perm())
			err = add(path)
		}
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
