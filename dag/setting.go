package dag

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/imgflow/imgflow/internal/tree"
)

// Build names one source of a template on its way to an image.
type Build struct {
	Name string // as the user named it
	Type string // the kind of builder, such as amazon-ebs
}

// Fault is a setting that cannot be, named by its option.
type Fault struct {
	Field string // the option's name; list items as name[0].sub
	Text  string // why, in the user's words

	// Among are, for a fault of no one option, those of which one is wanted: what
	// is wrong with any of them may be the cause.
	Among []string

	// Harmless is set for what only has no effect: a word to the user, and no
	// reason to refuse.
	Harmless bool
}

func (f Fault) Error() string {
	if f.Field == "" {
		return f.Text
	}
	return f.Field + ": " + f.Text
}

// Secret is a string that stays sealed in a step's settings: it holds only the
// marker of a secret until Task.Reveal is called.
type Secret string

// Claim is a name that only one build of a run can take.
type Claim struct {
	Field string // the option that gives the name, as in a Fault
	Key   string // the same for whatever cannot be there twice
	What  string // for a message: an image of that name in us-east-1
}

// Mark returns the text that stands for the secret called name in a setting.
func Mark(name string) string { return MarkOpen + name + MarkClose }

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
