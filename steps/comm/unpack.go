package comm

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// unpacker writes what a machine sends below a local directory, and nowhere
// else: os.Root follows no link out of it, and no link is made that leads out.
type unpacker struct {
	root   *os.Root
	dir    string // below the root, where the names of the machine begin
	out    omitted
	m      *meter
	open   []pendingDir // each lies in the one before it
	parent parent
	buf    [block]byte
}

// parent is the directory of the file that came last, open for those that follow: most
// files come with their neighbours, and each way from the root costs.
type parent struct {
	dir  *os.Root // nil: none
	name string
}

// pendingDir is a directory whose mode and time are set when all in it is there.
type pendingDir struct {
	name string
	mode fs.FileMode
	time time.Time
}

// placing is held while names are looked at and made: of two downloads into one
// directory, none changes what the other has just looked at.
var placing sync.Mutex

// localError is a failure on this side.
type localError struct{ err error }

func (e *localError) Error() string { return e.err.Error() }
func (e *localError) Unwrap() error { return e.err }

// omitted tells what is left out, up to a number: a machine can have any number.
type omitted struct {
	warn func(format string, a ...any)
	n    int
}

const maxOmitted = 20

func (o *omitted) tell(format string, a ...any) {
	if o.n++; o.n <= maxOmitted {
		o.warn("not downloaded: "+format, a...)
	}
}

func (o *omitted) end() {
	if o.n > maxOmitted {
		o.warn("not downloaded: %d more of this kind", o.n-maxOmitted)
	}
}

func damaged(err error) error { return fmt.Errorf("the machine's archive is damaged: %w", err) }

// stream unpacks what tarScript sends.
func (u *unpacker) stream(r io.Reader) error {
	defer u.closeDir()
	br := bufio.NewReaderSize(r, maxFrame)
	line, err := br.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return damaged(errors.New("it begins with a line without an end"))
	case err != nil:
		return errDropped
	}
	var src io.Reader = br
	if strings.TrimSpace(string(line)) == "1" {
		zr, err := gzip.NewReader(br)
		if err != nil {
			return damaged(err)
		}
		src = zr
	}
	tr := tar.NewReader(src)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return damaged(err)
		}
		if err := u.entry(h, tr); err != nil {
			return err
		}
	}
	// What follows the archive's end, such as padding and the checksum of gzip.
	switch n, err := io.Copy(io.Discard, io.LimitReader(src, maxNoise+1)); {
	case err != nil:
		return damaged(err)
	case n > maxNoise:
		return damaged(fmt.Errorf("more than %d MiB follow its end", maxNoise>>20))
	}
	return u.finish()
}

// What a name may be: longer and deeper than any that a program makes.
const (
	maxPath  = 4096 // bytes
	maxDepth = 256  // directories
)

// local makes a name of the machine one below the directory.
func local(name string) (string, error) {
	p := filepath.FromSlash(path.Clean(name))
	why := ""
	switch {
	case len(name) > maxPath || strings.Count(name, "/") > maxDepth:
		why = "is longer or deeper than any path should be"
	case strings.HasPrefix(name, "/") || slices.Contains(strings.Split(name, "/"), ".."):
		why = "leads out of the directory"
	case name == "" || strings.ContainsRune(name, 0) || filepath.Separator != '/' && strings.ContainsAny(name, `\:`) || !filepath.IsLocal(p):
		why = "cannot be the name of a file here"
	default:
		return p, nil
	}
	return "", &localError{fmt.Errorf("the machine sent a file for the path %.200q, which %s; refused", name, why)}
}

// entry makes one file, directory or link.
func (u *unpacker) entry(h *tar.Header, body io.Reader) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	p, err := local(h.Name)
	if err != nil || p == "." {
		return err
	}
	err = u.make(filepath.Join(u.dir, p), h, body)
	var pe *fs.PathError
	var lk *os.LinkError
	if errors.As(err, &pe) || errors.As(err, &lk) {
		return &localError{err}
	}
	return err
}

func (u *unpacker) make(p string, h *tar.Header, body io.Reader) error {
	if err := u.finishDirs(p); err != nil {
		return err
	}
	if sparse(h) {
		u.out.tell("%s is a sparse file, which may be larger than any disk", h.Name)
		return nil
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return u.makeDir(p, h)
	case tar.TypeReg:
		return u.file(p, h, body)
	case tar.TypeSymlink:
		return u.symlink(p, h.Name, h.Linkname)
	case tar.TypeLink:
		return u.hardLink(p, h)
	}
	u.out.tell("%s is neither a file nor a directory nor a link", h.Name)
	return nil
}

// sparse tells of a file most of which is not in the archive.
func sparse(h *tar.Header) bool {
	for k := range h.PAXRecords {
		if strings.HasPrefix(k, "GNU.sparse.") {
			return true
		}
	}
	return h.Typeflag == tar.TypeGNUSparse
}

// clear makes room for what is called p: never through a link that is there.
func (u *unpacker) clear(p string) error {
	u.closeDir() // it may be what has to go
	if dir := filepath.Dir(p); dir != "." {
		if err := u.root.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := u.root.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (u *unpacker) makeDir(p string, h *tar.Header) error {
	placing.Lock()
	defer placing.Unlock()
	if old, err := u.root.Lstat(p); err != nil || !old.IsDir() {
		if err := u.clear(p); err != nil {
			return err
		}
		if err := u.root.Mkdir(p, 0o755); err != nil {
			return err
		}
	}
	u.open = append(u.open, pendingDir{p, fs.FileMode(h.Mode & 0o777), h.ModTime})
	return nil
}

func (u *unpacker) file(p string, h *tar.Header, body io.Reader) (err error) {
	defer func() {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			pe.Path = p // not only its name in the directory
		}
	}()
	f, err := u.create(p)
	if err != nil {
		return err
	}
	to := &limitedWriter{meteredWriter{f, u.m}, h.Size}
	_, err = io.CopyBuffer(to, body, u.buf[:])
	if errors.Is(err, errCapped) { // it has grown since it was listed
		err = nil
	}
	if err == nil && to.left > 0 {
		err = fmt.Errorf("%s was cut short", h.Name)
	}
	if err == nil {
		err = f.Chmod(fs.FileMode(h.Mode & 0o777))
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	name := filepath.Base(p)
	if err == nil && !h.ModTime.IsZero() {
		err = u.parent.dir.Chtimes(name, h.ModTime, h.ModTime)
	}
	if err != nil {
		u.parent.dir.Remove(name)
	}
	return err
}

// create makes a new file in place of what is called p, and holds its directory.
func (u *unpacker) create(p string) (*os.File, error) {
	placing.Lock()
	defer placing.Unlock()
	f, err := u.place(p)
	if errors.Is(err, fs.ErrNotExist) { // another download has removed the directory
		u.closeDir()
		f, err = u.place(p)
	}
	return f, err
}

func (u *unpacker) place(p string) (*os.File, error) {
	if err := u.openDir(filepath.Dir(p)); err != nil {
		return nil, err
	}
	const fresh = os.O_WRONLY | os.O_CREATE | os.O_EXCL
	name := filepath.Base(p)
	f, err := u.parent.dir.OpenFile(name, fresh, 0o600)
	if !errors.Is(err, fs.ErrExist) {
		return f, err
	}
	if err := u.parent.dir.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return u.parent.dir.OpenFile(name, fresh, 0o600)
}

// openDir opens a directory, which it makes if there is none.
func (u *unpacker) openDir(name string) error {
	if u.parent.dir != nil && u.parent.name == name {
		return nil
	}
	u.closeDir()
	if err := u.root.MkdirAll(name, 0o755); err != nil {
		return err
	}
	dir, err := u.root.OpenRoot(name)
	if err == nil {
		u.parent = parent{dir, name}
	}
	return err
}

func (u *unpacker) closeDir() {
	if u.parent.dir != nil {
		u.parent.dir.Close()
		u.parent = parent{}
	}
}

// hardLink gives a file another name. One of a symbolic link is a link with the
// same text, which leads elsewhere from another place.
func (u *unpacker) hardLink(p string, h *tar.Header) error {
	to, err := local(h.Linkname)
	if err != nil {
		return err
	}
	to = filepath.Join(u.dir, to)
	old, err := u.root.Lstat(to)
	switch {
	case err == nil && old.Mode().IsRegular():
	case err == nil && old.Mode()&fs.ModeSymlink != 0:
		text, err := u.root.Readlink(to)
		if err != nil {
			return err
		}
		return u.symlink(p, h.Name, filepath.ToSlash(text))
	default:
		u.out.tell("%s is another name of %.200s, which is no file here", h.Name, h.Linkname)
		return nil
	}
	placing.Lock()
	defer placing.Unlock()
	if now, err := u.root.Lstat(p); err == nil && os.SameFile(old, now) {
		return nil
	}
	if err := u.clear(p); err != nil {
		return err
	}
	return u.root.Link(to, p)
}

// finishDirs sets the modes and times of the directories that p does not lie in: an
// archive has all of a directory in one piece.
func (u *unpacker) finishDirs(p string) error {
	for len(u.open) > 0 {
		f := u.open[len(u.open)-1]
		if strings.HasPrefix(p, f.name+string(filepath.Separator)) {
			return nil
		}
		u.open = u.open[:len(u.open)-1]
		if err := u.setMetadata(f); err != nil {
			return &localError{err}
		}
	}
	return nil
}

// setMetadata sets a directory's mode and time. Its owner can always write there, for
// the next download.
func (u *unpacker) setMetadata(f pendingDir) error {
	placing.Lock()
	defer placing.Unlock()
	if fi, err := u.root.Lstat(f.name); err != nil || !fi.IsDir() {
		return err
	}
	if err := u.root.Chmod(f.name, f.mode|0o700); err != nil {
		return err
	}
	return u.root.Chtimes(f.name, f.time, f.time)
}

// finish ends an archive that has come whole.
func (u *unpacker) finish() error {
	u.closeDir()
	u.out.end()
	return u.finishDirs("")
}
