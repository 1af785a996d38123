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
)

// unpacker writes what a machine sends below a local directory, and nowhere
// else: os.Root follows no link out of it.
type unpacker struct {
	root *os.Root
	warn func(format string, a ...any)
	m    *meter
	dirs []*tar.Header // whose modes are set when all is there
}

// localError is a failure on this side.
type localError struct{ err error }

func (e *localError) Error() string { return e.err.Error() }
func (e *localError) Unwrap() error { return e.err }

// stream unpacks what tarScript sends.
func (u *unpacker) stream(r io.Reader) error {
	br := bufio.NewReaderSize(r, 64<<10)
	line, err := br.ReadString('\n')
	if err != nil {
		return errDropped
	}
	var src io.Reader = br
	if strings.TrimSpace(line) == "1" {
		zr, err := gzip.NewReader(br)
		if err != nil {
			return fmt.Errorf("the machine's archive is damaged: %w", err)
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
			return fmt.Errorf("the machine's archive is damaged: %w", err)
		}
		if err := u.entry(h, tr); err != nil {
			return err
		}
	}
	// What follows the archive's end, such as padding and the checksum of gzip.
	if _, err := io.Copy(io.Discard, src); err != nil {
		return fmt.Errorf("the machine's archive is damaged: %w", err)
	}
	return u.finish()
}

// local makes a name of the archive one below the directory.
func local(name string) (string, error) {
	if strings.HasPrefix(name, "/") || slices.Contains(strings.Split(name, "/"), "..") {
		return "", &localError{fmt.Errorf("the machine sent a file for the path %q, which leads out of the directory; refused", name)}
	}
	p := filepath.FromSlash(path.Clean(name))
	if !filepath.IsLocal(p) {
		return "", &localError{fmt.Errorf("the machine sent a file for the path %q, which cannot be a file name here; refused", name)}
	}
	return p, nil
}

// entry makes one file, directory or link.
func (u *unpacker) entry(h *tar.Header, body io.Reader) error {
	p, err := local(h.Name)
	if err != nil || p == "." {
		return err
	}
	err = u.make(p, h, body)
	var le *localError
	var pe *fs.PathError
	var lk *os.LinkError
	if errors.As(err, &pe) || errors.As(err, &lk) || errors.As(err, &le) {
		return &localError{err}
	}
	return err
}

func (u *unpacker) make(p string, h *tar.Header, body io.Reader) error {
	if dir := filepath.Dir(p); dir != "." {
		if err := u.root.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	old, err := u.root.Lstat(p)
	exists := err == nil
	if exists && !(old.IsDir() && h.Typeflag == tar.TypeDir) && !skipped(h) {
		// Never through a link that is there already.
		if err := u.root.Remove(p); err != nil {
			return err
		}
		exists = false
	}
	switch h.Typeflag {
	case tar.TypeDir:
		if !exists {
			if err := u.root.Mkdir(p, 0o755); err != nil {
				return err
			}
		}
		u.dirs = append(u.dirs, &tar.Header{Name: p, Mode: h.Mode, ModTime: h.ModTime})
		return nil
	case tar.TypeReg:
		return u.file(p, h, body)
	case tar.TypeSymlink:
		to := h.Linkname
		if path.IsAbs(to) || !filepath.IsLocal(filepath.FromSlash(path.Join(path.Dir(filepath.ToSlash(p)), to))) || u.linked(filepath.Dir(p)) {
			u.warn("not downloaded: %s is a symbolic link to %s, outside of the directory", h.Name, to)
			return nil
		}
		return u.root.Symlink(filepath.FromSlash(to), p)
	case tar.TypeLink:
		to, err := local(h.Linkname)
		if err != nil {
			return err
		}
		return u.root.Link(to, p)
	}
	if !skipped(h) {
		return nil
	}
	u.warn("not downloaded: %s is neither a file nor a directory nor a link", h.Name)
	return nil
}

// linked reports whether a symbolic link is part of the way to dir: then a
// relative link in it does not point to where its text says.
func (u *unpacker) linked(dir string) bool {
	for ; dir != "."; dir = filepath.Dir(dir) {
		if fi, err := u.root.Lstat(dir); err == nil && fi.Mode()&fs.ModeSymlink != 0 {
			return true
		}
	}
	return false
}

// skipped reports whether the entry is of a kind that is left out.
func skipped(h *tar.Header) bool {
	switch h.Typeflag {
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo, tar.TypeCont:
		return true
	}
	return false
}

func (u *unpacker) file(p string, h *tar.Header, body io.Reader) error {
	f, err := u.root.OpenFile(p, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	n, err := io.Copy(meteredWriter{f, u.m}, body)
	if err == nil && n != h.Size {
		err = fmt.Errorf("%s was cut short", h.Name)
	}
	if err == nil {
		err = f.Chmod(fs.FileMode(h.Mode & 0o777))
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil && !h.ModTime.IsZero() {
		err = u.root.Chtimes(p, h.ModTime, h.ModTime)
	}
	return err
}

// finish sets the directories' modes and times, the innermost first.
func (u *unpacker) finish() error {
	for _, h := range slices.Backward(u.dirs) {
		if err := u.root.Chmod(h.Name, fs.FileMode(h.Mode&0o777)); err != nil {
			return &localError{err}
		}
		if err := u.root.Chtimes(h.Name, h.ModTime, h.ModTime); err != nil {
			return &localError{err}
		}
	}
	u.dirs = nil
	return nil
}
