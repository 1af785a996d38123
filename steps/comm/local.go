package comm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/localfile"
)

// Away says that the local files of steps are taken from computer to computer: below a root
// here, each lies where it has lain where the run was submitted.
type Away struct {
	Root   string `json:"root"`
	Folder string `json:"folder"` // that of the template, there
	Notes  string `json:"notes"`  // a folder in which steps note what they write, each in a file of its token
}

// Local is where a local path leads that a template or an output names. Relative ones begin
// in Dir.
func (e *Env) Local(path string) string { return e.Away.Local(e.Dir, path) }

// Local is where a local path leads; relative ones begin in dir.
func (a Away) Local(dir, path string) string {
	if a.Root == "" {
		if filepath.IsAbs(path) {
			return path
		}
		return filepath.Join(dir, path)
	}
	if path == os.DevNull || strings.HasPrefix(path, a.Root+"/") {
		return path
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(a.named(dir), path)
	}
	return filepath.Join(a.Root, filepath.Clean(path))
}

// Named is the path by which a local file is known where the run was submitted.
func (e *Env) Named(path string) string { return e.Away.named(path) }

func (a Away) named(path string) string {
	if rest, ok := strings.CutPrefix(path, a.Root+"/"); ok && a.Root != "" {
		return "/" + rest
	}
	return path
}

// Here is a text for a program of this computer: absolute paths in it of the directory that
// Dir is where the run was submitted, and of the template's folder, lead to where those are.
func (e *Env) Here(text string) string {
	if e.Away.Root == "" {
		return text
	}
	for _, dir := range []string{e.Named(e.Dir), e.Named(e.Away.Folder)} {
		if len(dir) > 1 {
			text = moved(text, dir, e.Away.Root+dir)
		}
	}
	return text
}

// moved is a text in which a path, and all that begin with it, are others.
func moved(text, from, to string) string {
	var b strings.Builder
	last := ""
	for {
		before, after, found := strings.Cut(text, from)
		if b.WriteString(before); !found {
			return b.String()
		}
		if before != "" {
			last = before[len(before)-1:]
		}
		if part(last, "/") || part(after[:min(1, len(after))], "") { // it is in another
			b.WriteString(from)
		} else {
			b.WriteString(to)
		}
		text, last = after, from[len(from)-1:]
	}
}

// part tells whether a character goes on with a name of a file, or is one of those.
func part(c, or string) bool {
	return c != "" && (c[0] >= 0x80 || c[0] >= 'a' && c[0] <= 'z' || c[0] >= 'A' && c[0] <= 'Z' || c[0] >= '0' && c[0] <= '9' || strings.Contains("_.-"+or, c))
}

// Wrote notes that a step has written a local file, or has made a directory.
func (e *Env) Wrote(t *dag.Task, path string) error { return e.note(t, localfile.Note{Path: path}) }

func (e *Env) note(t *dag.Task, ns ...localfile.Note) error {
	if e.Away.Root == "" || len(ns) == 0 {
		return nil
	}
	for i := range ns {
		ns[i].Path = e.Named(ns[i].Path)
	}
	if err := localfile.AddNotes(filepath.Join(e.Away.Notes, t.Token), ns...); err != nil {
		return fmt.Errorf("cannot note which local files were written: %w", err)
	}
	return nil
}

// Amend adds to a local file that other steps add to, too. Have is asked how much of it
// the file may have already, and told how much it has; a new file has the mode.
func (e *Env) Amend(ctx context.Context, t *dag.Task, path string, mode fs.FileMode, a localfile.Addition, have func(there int) (already bool, err error)) error {
	if e.Away.Root != "" { // whoever keeps the files adds it, once
		return e.note(t, localfile.Note{Path: path, Mode: mode, Add: &a})
	}
	return localfile.Amend(ctx, path, mode, func(was []byte) ([]byte, error) {
		there, err := a.Count(was)
		if err != nil {
			return nil, err
		}
		if already, err := have(there); already || err != nil {
			return nil, err
		}
		return localfile.Add(was, a)
	})
}

// WatchHere is Watch for what runs on this computer: it may write anything in the directory
// that it runs in, and in that of the template.
func (e *Env) WatchHere(t *dag.Task) (done func(error) error, err error) {
	return e.Watch(t, e.Dir, e.Away.Folder)
}

// Watch looks at the local files in directories, which need not be there. What is another when done is called is
// noted as what the step has written, whatever has come of it.
func (e *Env) Watch(t *dag.Task, dirs ...string) (done func(error) error, err error) {
	if e.Away.Root == "" {
		return func(err error) error { return err }, nil
	}
	before, err := look(dirs)
	if err != nil {
		return nil, fmt.Errorf("cannot tell which local files are there: %w", err)
	}
	return func(err error) error {
		after, lerr := look(dirs)
		if lerr != nil {
			return errors.Join(err, fmt.Errorf("cannot tell which local files were written: %w", lerr))
		}
		var ns []localfile.Note
		for _, path := range slices.Sorted(maps.Keys(after)) {
			if was, there := before[path]; !there || was != after[path] {
				ns = append(ns, localfile.Note{Path: path})
			}
		}
		for _, path := range slices.Sorted(maps.Keys(before)) {
			if _, there := after[path]; !there {
				ns = append(ns, localfile.Note{Path: path, Gone: true})
			}
		}
		return errors.Join(err, e.note(t, ns...))
	}, nil
}

// looks is how a file looks from outside.
type looks struct {
	mode fs.FileMode
	size int64
	time int64 // when it was changed last, in nanoseconds
}

// mostWatched is how many files may lie in a directory whose changes are looked for.
var mostWatched = 100_000 // less in tests

// look is how all looks that directories hold.
func look(dirs []string) (map[string]looks, error) {
	all := map[string]looks{}
	for _, dir := range dirs {
		if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) { // of another step, which has removed it meanwhile
				return nil
			}
			if err != nil || ours(d.Name()) {
				return err
			}
			fi, err := d.Info()
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return nil
			case err != nil:
				return err
			case fi.IsDir():
				all[path] = looks{mode: fi.Mode()}
			case fi.Mode().IsRegular() || fi.Mode()&fs.ModeSymlink != 0:
				all[path] = looks{fi.Mode(), fi.Size(), fi.ModTime().UnixNano()}
			}
			if len(all) > mostWatched {
				return fmt.Errorf("more than %d are in %s: have what no other step needs written elsewhere, such as in $TMPDIR", mostWatched, dir)
			}
			return nil
		}); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// ours tells by its name whether a file is one that this program has only until another is
// whole, or a lock.
func ours(name string) bool {
	return strings.HasPrefix(name, ".imgflow-") || strings.HasPrefix(name, ".") && strings.HasSuffix(name, ".lock")
}

// LocalUser is a step that reads or writes local files beside those that its settings name
// as files.
type LocalUser interface{ LocalFiles() LocalFiles }

// LocalFiles says which those are. Relative paths begin in the working directory.
type LocalFiles struct {
	Reads   []string // patterns, as path.Match has them, of what it reads if it is there before the run
	Folders []string // directories that have to be there, whatever they hold
	Writes  []string // patterns of files that it writes
	Fills   []string // patterns of files that it writes, or of directories with all that they then hold
	Any     bool     // it runs what may write anything
}
