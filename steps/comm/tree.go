package comm

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/tree"
)

// smallTree is the size up to which a tree is not worth compressing, in bytes.
const smallTree = 32 << 10

// A larger one is compressed if that makes what its stream begins with smaller by a
// quarter, in bytes. Compressing takes longer than a fast network, and what shrinks
// by less has been compressed before.
const (
	sampleSize = 256 << 10
	sampleMost = sampleSize / 4 * 3
)

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
	if total > smallTree && pays(src) {
		zip = "1"
	}
	for {
		err := r.attempt(ctx, func(l *link) error {
			pr, pw := io.Pipe()
			m := &meter{t: r.t, total: total}
			packed := make(chan error, 1)
			go func() {
				err := send(pw, src, zip == "1", m)
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

// send writes what the directory holds as untarScript takes it.
func send(w io.Writer, src string, zip bool, m *meter) error {
	if !zip {
		return pack(w, src, m)
	}
	zw, _ := gzip.NewWriterLevel(w, gzip.BestSpeed) // the level is a good one
	if err := pack(zw, src, m); err != nil {
		return err
	}
	return zw.Close()
}

// pays tells whether the stream of pack is worth compressing, by what it begins
// with. What cannot be read is told when it is sent.
func pays(src string) bool {
	var b bytes.Buffer
	zw, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	pack(&capped{zw, sampleSize}, src, &meter{})
	zw.Close()
	return b.Len() < sampleMost
}

// pack writes what the directory holds as a tar stream.
func pack(w io.Writer, src string, m *meter) error {
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
