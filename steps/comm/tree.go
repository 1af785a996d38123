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
	"strings"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/tree"
)

// smallTree is the size up to which a tree is not worth compressing, in bytes.
const smallTree = 32 << 10

// mostNotes is how much is told of what a tree holds and cannot be sent.
const mostNotes = 20

// UploadDir implements Remote. Modes, modification times, symbolic links that stay
// inside and empty directories go along; owners do not. A symbolic link to a
// directory that lies at the place of a directory on the machine is left and
// followed.
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
	total, err := survey(r.t, tree.Walk{}, src)
	if err != nil {
		return err
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
				err := pack(pw, src, zip == "1", m)
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

// survey tells the user what will not arrive as it is here, and returns the size of
// the files in bytes.
func survey(t *dag.Task, w tree.Walk, src string) (total int64, err error) {
	notes := 0
	w.Note = func(path, why string) {
		if notes++; notes <= mostNotes {
			t.Warn("%s: %s", path, why)
		}
	}
	err = w.Each(src, func(e tree.Entry) error {
		if e.Info.Mode().IsRegular() {
			total += e.Info.Size()
		}
		return nil
	})
	if notes > mostNotes {
		t.Warn("%s: there are %d more of them", src, notes-mostNotes)
	}
	return total, err
}

// pack writes what the directory holds as a tar stream.
func pack(w io.Writer, src string, zip bool, m *meter) error {
	var zw *gzip.Writer
	if zip {
		zw, _ = gzip.NewWriterLevel(w, gzip.BestSpeed) // the level is a good one
		w = zw
	}
	tw := tar.NewWriter(w)
	err := tree.Walk{}.Each(src, func(e tree.Entry) error {
		h, err := tar.FileInfoHeader(e.Info, e.Link)
		if err != nil {
			return err
		}
		h.Name = e.Name
		if e.Info.IsDir() {
			h.Name += "/"
		}
		h.Uid, h.Gid, h.Uname, h.Gname = 0, 0, "", ""
		// GNU's place for these is where other tars look for a part of the name.
		h.AccessTime, h.ChangeTime = time.Time{}, time.Time{}
		h.Mode &= 0o777
		h.Format = tar.FormatGNU // every tar reads it, with names of any length
		if err := tw.WriteHeader(h); err != nil || !e.Info.Mode().IsRegular() {
			return err
		}
		f, err := os.Open(e.Path)
		if err != nil {
			return err
		}
		defer f.Close()
		n, err := io.Copy(meteredWriter{tw, m}, io.LimitReader(f, h.Size))
		if err == nil && n != h.Size {
			err = &fs.PathError{Op: "read", Path: e.Path, Err: errors.New("the file became shorter while it was sent")}
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
	top, err := os.Stat(src)
	if err != nil {
		return permanent{err}
	}
	dir := func(to string, fi fs.FileInfo) error {
		if old, err := c.Stat(to); err == nil && old.IsDir() {
			return nil
		}
		if err := c.Mkdir(to); err != nil {
			return err
		}
		return c.Chmod(to, fi.Mode().Perm())
	}
	if err := dir(dst, top); err != nil {
		return err
	}
	var there error // what the machine or the way to it says, which may pass
	err = tree.Walk{}.Each(src, func(e tree.Entry) error {
		to := path.Join(dst, e.Name)
		switch {
		case e.Link != "":
			c.Remove(to)
			there = c.Symlink(e.Link, to)
			return there
		case e.Info.IsDir():
			there = dir(to, e.Info)
			return there
		}
		f, err := os.Open(e.Path)
		if err != nil {
			return err
		}
		defer f.Close()
		there = put(c, to, meteredReader{f, m}, e.Info.Size(), e.Info.Mode().Perm())
		return there
	})
	if err != nil && there == nil {
		return permanent{err}
	}
	return err
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
