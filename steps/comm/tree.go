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
		return fmt.Errorf("cannot upload the directory %s to %s on %s: %w", src, dst, r.m.label(), plainError(err))
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
	total, err := warnOmitted(r.t, tree.Walk{}, src)
	if err != nil {
		return err
	}
	zip := "0"
	if total > smallTree && compressible(src) {
		zip = "1"
	}
	for {
		err := r.feed(ctx, assign("d", dst, "z", zip)+untarScript, total, func(w io.Writer, m *meter) error {
			return send(w, src, zip == "1", m)
		})
		var ee *exitError
		switch {
		case errors.As(err, &ee) && ee.exit.Code == exitNoGzip:
			zip = "0"
		case errors.As(err, &ee) && ee.exit.Code == exitNoTar:
			return r.feed(ctx, assign("d", dst)+treeScript, total, func(w io.Writer, m *meter) error {
				return writeShellTree(w, src, m)
			})
		default:
			return err
		}
	}
}

// feed runs a script of ours with what write writes as its input, as often as the
// connection breaks.
func (r *remote) feed(ctx context.Context, script string, total int64, write func(w io.Writer, m *meter) error) error {
	return r.attempt(ctx, func(l *sshConn) error {
		pr, pw := io.Pipe()
		m := &meter{t: r.t, total: total}
		written := make(chan error, 1)
		go func() {
			err := write(pw, m)
			written <- err
			pw.CloseWithError(err)
		}()
		err := l.script(ctx, script, pr, io.Discard)
		pr.CloseWithError(io.ErrClosedPipe)
		var local *fs.PathError
		if werr := <-written; errors.As(werr, &local) { // what could not be read here matters more than how the machine took it
			return permanent{werr}
		}
		if err == nil {
			m.end()
		}
		return err
	})
}

// warnOmitted tells the user what will not arrive as it is here, and returns the size of
// the files in bytes.
func warnOmitted(t *dag.Task, w tree.Walk, src string) (total int64, err error) {
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

// compressible tells whether the stream of pack is worth compressing, by what it begins
// with. What cannot be read is told when it is sent.
func compressible(src string) bool {
	var b bytes.Buffer
	zw, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	pack(&limitedWriter{zw, sampleSize}, src, &meter{})
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
		return content(tw, e, m)
	})
	if err == nil {
		err = tw.Close()
	}
	return err
}

// content writes as many bytes of the file as were announced.
func content(w io.Writer, e tree.Entry, m *meter) error {
	f, err := os.Open(e.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	size := e.Info.Size()
	n, err := io.Copy(meteredWriter{w, m}, io.LimitReader(f, size))
	if err == nil && n != size {
		err = &fs.PathError{Op: "read", Path: e.Path, Err: errors.New("the file became shorter while it was sent")}
	}
	return err
}
