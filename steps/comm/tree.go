package comm

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// smallTree is the size up to which a tree is not worth compressing, in bytes.
const smallTree = 32 << 10

// UploadDir implements Remote. Modes, modification times, symbolic links and
// empty directories go along; owners do not. A symbolic link to a directory
// that lies at the place of a directory is left and followed.
func (r *remote) UploadDir(ctx context.Context, dst, src string) error {
	err := r.uploadDir(ctx, relative(dst), src)
	if err != nil {
		return fmt.Errorf("cannot upload the directory %s to %s on %s: %w", src, dst, r.m.label(), plainer(err))
	}
	return nil
}

const (
	exitNoTar  = 101
	exitNoGzip = 102
)

// untarScript unpacks the tree. GNU tar would else replace a link such as
// /lib by a directory of that name.
const untarScript = `case $d in -*) d=./$d;; esac
command -v tar >/dev/null || exit 101
[ "$z" != 1 ] || command -v gzip >/dev/null || exit 102
[ -d "$d" ] || mkdir -- "$d" || exit 1
cd -- "$d" || exit 1
k=; case $(tar --help 2>&1) in *keep-directory-symlink*) k=--keep-directory-symlink;; esac
if [ "$z" = 1 ]; then gzip -dc | tar -x $k -p -o -f -; else tar -x $k -p -o -f -; fi
`

func (r *remote) uploadDir(ctx context.Context, dst, src string) error {
	total, err := treeSize(src)
	if err != nil {
		return permanent{err}
	}
	zip := "0"
	if total > smallTree {
		zip = "1"
	}
	for {
		err := r.attempt(ctx, func(l *link) error {
			pr, pw := io.Pipe()
			m := &meter{t: r.t, total: total}
			packed := make(chan error, 1)
			go func() {
				err := r.pack(pw, src, zip == "1", m)
				packed <- err
				pw.CloseWithError(err)
			}()
			err := l.script(ctx, assign("d", dst, "z", zip)+untarScript, pr, io.Discard)
			pr.CloseWithError(io.ErrClosedPipe)
			perr := <-packed
			var local *fs.PathError
			if errors.As(perr, &local) { // what could not be read here matters more than how tar took it
				return permanent{perr}
			}
			if err == nil {
				m.end()
			}
			return err
		})
		var ee *exitError
		switch {
		case errors.As(err, &ee) && ee.exit.Code == exitNoGzip:
			zip = "0"
		case errors.As(err, &ee) && ee.exit.Code == exitNoTar:
			return r.attempt(ctx, func(l *link) error { return r.uploadTree(ctx, l, dst, src, total) })
		default:
			return err
		}
	}
}

func treeSize(src string) (total int64, err error) {
	fi, err := os.Stat(src)
	if err != nil {
		return 0, err
	}
	if !fi.IsDir() {
		return 0, fmt.Errorf("%s is not a directory", src)
	}
	err = filepath.WalkDir(src, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		fi, err := d.Info()
		if err == nil {
			total += fi.Size()
		}
		return err
	})
	return total, err
}

// pack writes what the directory holds as a tar stream.
func (r *remote) pack(w io.Writer, src string, zip bool, m *meter) error {
	var zw *gzip.Writer
	if zip {
		zw, _ = gzip.NewWriterLevel(w, gzip.BestSpeed) // the level is a good one
		w = zw
	}
	tw := tar.NewWriter(w)
	// The directory may itself be a symbolic link, which a walk would not follow.
	root, err := filepath.EvalSymlinks(src)
	if err != nil {
		return err
	}
	err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == root {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		to := ""
		switch t := fi.Mode().Type(); t {
		case 0, fs.ModeDir:
		case fs.ModeSymlink:
			if to, err = os.Readlink(p); err != nil {
				return err
			}
		default:
			r.t.Warn("not uploaded: %s is neither a file nor a directory nor a symbolic link", p)
			return nil
		}
		h, err := tar.FileInfoHeader(fi, filepath.ToSlash(to))
		if err != nil {
			return err
		}
		h.Name = filepath.ToSlash(rel)
		if fi.IsDir() {
			h.Name += "/"
		}
		h.Uid, h.Gid, h.Uname, h.Gname = 0, 0, "", ""
		// GNU's place for these is where other tars look for a part of the name.
		h.AccessTime, h.ChangeTime = time.Time{}, time.Time{}
		h.Mode &= 0o777
		h.Format = tar.FormatGNU // every tar reads it, with names of any length
		if err := tw.WriteHeader(h); err != nil || !fi.Mode().IsRegular() {
			return err
		}
		f, err := os.Open(p)
		if err != nil {
			return err
		}
		defer f.Close()
		n, err := io.Copy(meteredWriter{tw, m}, io.LimitReader(f, h.Size))
		if err == nil && n != h.Size {
			err = &fs.PathError{Op: "read", Path: p, Err: errors.New("the file became shorter while it was sent")}
		}
		return err
	})
	if err == nil {
		err = tw.Close()
	}
	if err == nil && zw != nil {
		err = zw.Close()
	}
	return err
}

// uploadTree sends file by file, to machines without tar.
func (r *remote) uploadTree(ctx context.Context, l *link, dst, src string, total int64) error {
	c, err := l.sftp(ctx)
	if err != nil {
		return err
	}
	if c == nil {
		return permanent{errors.New("the machine has neither tar nor SFTP: install tar in the source image")}
	}
	defer l.abort(ctx, c)()
	m := &meter{t: r.t, total: total}
	defer m.end()
	root, err := filepath.EvalSymlinks(src)
	if err != nil {
		return permanent{err}
	}
	return filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return permanent{err}
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return permanent{err}
		}
		fi, err := d.Info()
		if err != nil {
			return permanent{err}
		}
		to := path.Join(dst, filepath.ToSlash(rel))
		switch fi.Mode().Type() {
		case fs.ModeDir:
			if old, err := c.Stat(to); err == nil && old.IsDir() {
				return nil
			}
			if err := c.Mkdir(to); err != nil {
				return err
			}
			return c.Chmod(to, fi.Mode().Perm())
		case fs.ModeSymlink:
			target, err := os.Readlink(p)
			if err != nil {
				return permanent{err}
			}
			c.Remove(to)
			return c.Symlink(filepath.ToSlash(target), to)
		case 0:
			f, err := os.Open(p)
			if err != nil {
				return permanent{err}
			}
			defer f.Close()
			return put(c, to, meteredReader{f, m}, fi.Size(), fi.Mode().Perm())
		}
		r.t.Warn("not uploaded: %s is neither a file nor a directory nor a symbolic link", p)
		return nil
	})
}

// tarScript packs the tree. The pipe would swallow tar's own status.
const tarScript = `case $d in -*) d=./$d;; esac
command -v tar >/dev/null || exit 101
command -v gzip >/dev/null && z=1 || z=0
cd -- "$d" || exit 1
echo $z
[ $z = 1 ] || exec tar -c -f - .
exec 4>&1
s=$({ { tar -c -f - . 4>&-; echo $? >&3; } | gzip -1c >&4 3>&-; } 3>&1)
exit "${s:-1}"
`

// DownloadDir implements Remote. The machine is not trusted: nothing is written
// outside of dst, and what would point outside is left out with a warning.
func (r *remote) DownloadDir(ctx context.Context, src, dst string) error {
	err := r.downloadDir(ctx, relative(src), dst)
	if err != nil {
		return fmt.Errorf("cannot download the directory %s from %s to %s: %w", src, r.m.label(), dst, plainer(err))
	}
	return nil
}

func (r *remote) downloadDir(ctx context.Context, src, dst string) error {
	if err := os.MkdirAll(dst, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dst)
	if err != nil {
		return err
	}
	defer root.Close()
	err = r.attempt(ctx, func(l *link) error { return r.fetchTar(ctx, l, src, root) })
	var ee *exitError
	if errors.As(err, &ee) && ee.exit.Code == exitNoTar {
		return r.attempt(ctx, func(l *link) error { return r.fetchTree(ctx, l, src, root) })
	}
	return err
}

func (r *remote) fetchTar(ctx context.Context, l *link, src string, root *os.Root) error {
	pr, pw := io.Pipe()
	m := &meter{t: r.t}
	u := &unpacker{root: root, warn: r.t.Warn, m: m}
	unpacked := make(chan error, 1)
	go func() {
		err := u.stream(pr)
		pr.CloseWithError(err) // a local failure ends the transfer
		unpacked <- err
	}()
	err := l.script(ctx, assign("d", src)+tarScript, nil, pw)
	pw.Close()
	uerr := <-unpacked
	var ee *exitError
	if errors.As(err, &ee) && ee.exit.Code == 1 && strings.Contains(ee.text, "as we read it") {
		r.t.Warn("some files of %s changed while they were downloaded%s", src, said(ee.text))
		err = nil
	}
	var local *localError
	switch {
	case errors.As(uerr, &local):
		return permanent{local.err}
	case err != nil:
		return err
	}
	m.end()
	return uerr
}

// fetchTree fetches file by file, from machines without tar.
func (r *remote) fetchTree(ctx context.Context, l *link, src string, root *os.Root) error {
	c, err := l.sftp(ctx)
	if err != nil {
		return err
	}
	if c == nil {
		return permanent{errors.New("the machine has neither tar nor SFTP: install tar in the source image")}
	}
	defer l.abort(ctx, c)()
	m := &meter{t: r.t}
	defer m.end()
	u := &unpacker{root: root, warn: r.t.Warn, m: m}
	for w := c.Walk(src); w.Step(); {
		if err := w.Err(); err != nil {
			return err
		}
		rel := strings.TrimPrefix(strings.TrimPrefix(w.Path(), path.Clean(src)), "/")
		if rel == "" {
			continue
		}
		fi := w.Stat()
		h := &tar.Header{Name: rel, Mode: int64(fi.Mode().Perm()), ModTime: fi.ModTime(), Size: fi.Size()}
		var body io.Reader
		switch fi.Mode().Type() {
		case fs.ModeDir:
			h.Typeflag = tar.TypeDir
		case fs.ModeSymlink:
			h.Typeflag = tar.TypeSymlink
			if h.Linkname, err = c.ReadLink(w.Path()); err != nil {
				return err
			}
		case 0:
			h.Typeflag = tar.TypeReg
			f, err := c.Open(w.Path())
			if err != nil {
				return err
			}
			body = f
			err = u.entry(h, body)
			f.Close()
			if err != nil {
				return err
			}
			continue
		default:
			h.Typeflag = tar.TypeFifo
		}
		if err := u.entry(h, nil); err != nil {
			return err
		}
	}
	return u.finish()
}
