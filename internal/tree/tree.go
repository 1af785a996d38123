package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"syscall"
)

// Entry is something that a directory holds.
type Entry struct {
	Name string      // below the directory, with slashes
	Path string      // where it can be opened
	Info fs.FileInfo // of a regular file, a directory, or a link that is kept
	Link string      // where a link that is kept leads, as its text says, with slashes
}

// Walk is how to walk a directory.
type Walk struct {
	// Follow is set where the copy cannot have symbolic links.
	Follow bool
	// Note hears of what is left out, and of kept links that lead to nothing;
	// nil is nobody.
	Note func(path, why string)

	most int // in place of mostFollowed
}

// mostFollowed is how many files and directories may lie in directories that
// links led to: links between a few directories can lead on and on.
const mostFollowed = 1 << 20

// Each calls visit for all that the directory holds, without itself, in the order
// of names, each directory before what it holds. It may be a link to a directory.
func (w Walk) Each(dir string, visit func(Entry) error) error {
	root, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	fi, err := os.Stat(root)
	if err != nil {
		return err
	}
	if !fi.IsDir() {
		return fmt.Errorf("%s is not a directory", dir)
	}
	k := walker{Walk: w, visit: visit}
	if k.Note == nil {
		k.Note = func(string, string) {}
	}
	if k.most == 0 {
		k.most = mostFollowed
	}
	return k.dir(place{root: root, at: root}, "", []fs.FileInfo{fi})
}

type walker struct {
	Walk
	visit    func(Entry) error
	followed int // what lay in directories that links led to
}

// place is a directory on the walk.
type place struct {
	root   string // what links must stay in: the directory of the walk, or a link that was followed to one
	at     string // the directory
	linked bool   // root is such a link
}

// dir visits what the directory holds. Above are the directory and those that it
// lies in.
func (w *walker) dir(p place, name string, above []fs.FileInfo) error {
	list, err := os.ReadDir(p.at)
	if err != nil {
		return err
	}
	for _, d := range list {
		if p.linked {
			if w.followed++; w.followed > w.most {
				return fmt.Errorf("cannot follow the symbolic links to %s: more than %d files lie where they lead", p.root, w.most)
			}
		}
		e := Entry{Name: path.Join(name, d.Name()), Path: filepath.Join(p.at, d.Name())}
		if e.Info, err = d.Info(); err != nil {
			return err
		}
		in := place{p.root, e.Path, p.linked}
		if d.Type() == fs.ModeSymlink {
			in = place{e.Path, e.Path, true}
			if err := w.link(p, &e); err != nil {
				return err
			}
		}
		switch t := e.Info; {
		case t == nil:
			continue
		case t.IsDir() && in.linked && slices.ContainsFunc(above, func(a fs.FileInfo) bool { return os.SameFile(a, t) }):
			w.Note(e.Path, "it leads back to a directory that it lies in")
			continue
		case t.Mode().IsRegular(), t.IsDir(), e.Link != "":
		default:
			w.Note(e.Path, "it is neither a file nor a directory nor a symbolic link to one")
			continue
		}
		if err := w.visit(e); err != nil {
			return err
		}
		if e.Info.IsDir() {
			if err := w.dir(in, e.Name, append(above, e.Info)); err != nil {
				return err
			}
		}
	}
	return nil
}

// link decides about a symbolic link: it gets the text of one that is kept, or
// the information on what it leads to, or none if it is left out.
func (w *walker) link(p place, e *Entry) error {
	to, err := os.Readlink(e.Path)
	if err != nil {
		return err
	}
	target, err := os.Stat(e.Path)
	switch {
	case nowhere(err):
		if !w.Follow && p.keeps(e.Path, to) {
			w.Note(e.Path, "it is a symbolic link to "+to+", where there is nothing; the link is kept")
			e.Link = filepath.ToSlash(to)
			return nil
		}
		w.Note(e.Path, "it is a symbolic link to "+to+", where there is nothing")
		e.Info = nil
	case errors.Is(err, syscall.ELOOP):
		w.Note(e.Path, "it is a symbolic link to "+to+", which leads back to it")
		e.Info = nil
	case err != nil:
		return err
	case !w.Follow && (target.Mode().IsRegular() || target.IsDir()) && p.keeps(e.Path, to):
		e.Link = filepath.ToSlash(to)
	default:
		e.Info = target
	}
	return nil
}

func nowhere(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// keeps reports whether the link makes sense in a copy of the root, too: its way
// leads over nothing outside, or as far as there is one.
func (p place) keeps(at, to string) bool {
	rel, err := filepath.Rel(p.root, at)
	if err != nil || filepath.IsAbs(to) || !filepath.IsLocal(filepath.Join(filepath.Dir(rel), to)) {
		return false
	}
	root, err := os.OpenRoot(p.root)
	if err != nil {
		return false
	}
	defer root.Close()
	_, err = root.Stat(rel)
	return err == nil || nowhere(err)
}
