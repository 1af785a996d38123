package files

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The bounds of what is taken along.
const (
	mostEntries = 100_000
	mostBytes   = 16 << 30 // of all files
	pieceBytes  = 64 << 20 // of one piece in the store
	secretBytes = 1 << 20  // of one file that is sealed
)

// Store keeps pieces of at most 64 MiB by their SHA-256, in hexadecimal.
type Store interface {
	PutBlob(r io.Reader) (sha256 string, err error)
	Blob(sha256 string) ([]byte, error)
}

// Place is where the submitter was.
type Place struct {
	Cwd  string `json:"cwd"`            // the working directory
	Dir  string `json:"dir"`            // the folder of the template
	Home string `json:"home,omitempty"` // what ~ stands for
}

// Manifest is what was taken along.
type Manifest struct {
	Place
	Entries []Entry `json:"entries"` // each directory before what it holds
}

// Entry is a file, a directory, or a symbolic link that stays in its directory.
type Entry struct {
	Path   string      `json:"path"` // where it was: absolute
	Mode   fs.FileMode `json:"mode"`
	Link   string      `json:"link,omitempty"`
	Size   int64       `json:"size,omitempty"`
	Pieces []string    `json:"pieces,omitempty"` // digests of what it holds, in order
	Time   time.Time   `json:"time,omitzero"`    // when a file was changed last
	Secret bool        `json:"secret,omitempty"` // what it holds is sealed: of a file that was there before, beside the manifest
}

// Digest tells it from others, in hexadecimal.
func (m *Manifest) Digest() string {
	text, _ := json.Marshal(m) // plain data
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// Pieces are the digests of all pieces, each once, in order.
func (m *Manifest) Pieces() (sums []string) {
	for _, e := range m.Entries {
		sums = append(sums, e.Pieces...)
	}
	slices.Sort(sums)
	return slices.Compact(sums)
}

// Abs is the absolute path of a file as an option names it.
func (p Place) Abs(name string) string {
	if rest, ok := strings.CutPrefix(name, "~/"); ok && p.Home != "" {
		return filepath.Join(p.Home, rest)
	}
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	return filepath.Join(p.Cwd, name)
}

// below is where an absolute path lies in a root.
func below(path string) (string, error) {
	rel := strings.TrimLeft(filepath.ToSlash(path), "/")
	switch {
	case !strings.HasPrefix(filepath.ToSlash(path), "/") || strings.ContainsRune(path, 0):
		return "", fmt.Errorf("cannot take %q along: it is no absolute path of a Unix system", path)
	case rel == "":
		return ".", nil
	case !filepath.IsLocal(rel):
		return "", fmt.Errorf("cannot take %q along: its path leads elsewhere", path)
	}
	return rel, nil
}

var errTooMany = fmt.Errorf("cannot take the files of the template along: they are more than %d: let a provisioner fetch them where they are needed", mostEntries)

var errTooLarge = fmt.Errorf("cannot take the files of the template along: they have more than %d GiB: let a provisioner fetch them where they are needed", mostBytes>>30)
