package comm

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/pkg/sftp"
)

// tarScript packs the tree. A first tar is ended when enough has come to see whether
// compressing pays. The second's pipe would swallow its status.
const tarScript = `case $d in -*) d=./$d;; esac
command -v tar >/dev/null || exit 101
cd -- "$d" || exit 1
z=0
if command -v gzip >/dev/null && [ "$(tar -c -f - . | head -c "$sample" | gzip -1c | wc -c)" -lt "$most" ]; then z=1; fi 2>/dev/null
echo $z
[ $z = 1 ] || exec tar -c -f - .
exec 4>&1
s=$({ { tar -c -f - . 4>&-; echo $? >&3; } | gzip -1c >&4 3>&-; } 3>&1)
exit "${s:-1}"
`

// DownloadDir implements Remote. The machine is not trusted: what would lie
// outside of the root is refused, and what would point outside is left out with a
// warning.
func (r *remote) DownloadDir(ctx context.Context, src string, to *os.Root, dir string) error {
	err := r.downloadDir(ctx, relative(src), to, dir)
	if err != nil {
		return fmt.Errorf("cannot download the directory %s from %s to %s: %w", src, r.m.label(), filepath.Join(to.Name(), dir), plainError(err))
	}
	return nil
}

func (r *remote) downloadDir(ctx context.Context, src string, to *os.Root, dir string) error {
	if err := to.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	script := assign("d", src, "sample", strconv.Itoa(sampleSize), "most", strconv.Itoa(sampleMost)) + tarScript
	err := r.attempt(ctx, func(l *sshConn) error { return r.fetch(ctx, l, script, src, r.unpacker(to, dir), (*unpacker).stream) })
	var ee *exitError
	if !errors.As(err, &ee) || ee.exit.Code != exitNoTar {
		return err
	}
	return r.attempt(ctx, func(l *sshConn) error {
		err := r.fetchTree(ctx, l, src, to, dir)
		if errors.Is(err, errNoSFTP) {
			return r.fetch(ctx, l, assign("d", src)+readScript, src, r.unpacker(to, dir), (*unpacker).readShellTree)
		}
		return err
	})
}

func (r *remote) unpacker(to *os.Root, dir string) *unpacker {
	return &unpacker{root: to, dir: dir, out: omitted{warn: r.t.Warn}, m: &meter{t: r.t}}
}

// fetch unpacks what a script of ours sends, by one of the unpacker's methods.
func (r *remote) fetch(ctx context.Context, l *sshConn, script, src string, u *unpacker, unpack func(*unpacker, io.Reader) error) error {
	pr, pw := io.Pipe()
	unpacked := make(chan error, 1)
	go func() {
		err := unpack(u, pr)
		pr.CloseWithError(err) // a local failure ends the transfer
		unpacked <- err
	}()
	err := l.script(ctx, script, nil, pw)
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
	case errors.Is(uerr, errDropped): // not lost: its script has ended well
		return damaged(io.ErrUnexpectedEOF)
	}
	u.m.end()
	return uerr
}

// fetchTree fetches file by file, from machines without tar.
func (r *remote) fetchTree(ctx context.Context, l *sshConn, src string, to *os.Root, dir string) error {
	q := &quota{}
	c, release, err := l.openSFTP(ctx, q)
	if err != nil {
		return err
	}
	defer release()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	t := &treeFetch{c: c, q: q, u: r.unpacker(to, dir), src: src}
	defer t.u.m.end()
	defer t.u.closeDir()
	if err = t.dir(""); err == nil {
		err = t.u.finish()
	}
	var local *localError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &local):
		return permanent{local.err}
	case errors.Is(err, sftp.ErrSSHFxConnectionLost):
		return fmt.Errorf("%w: %v", errDropped, err)
	}
	return err
}

// treeFetch walks a tree on a machine.
type treeFetch struct {
	c      *sftp.Client
	q      *quota
	u      *unpacker
	src    string
	listed int // names that were listed in directories which have not been left
}

// maxListed is how many names a machine may make us keep.
const maxListed = 100_000

// dir fetches what a directory holds; rel is its name below the source.
func (t *treeFetch) dir(rel string) error {
	infos, err := t.list(path.Join(t.src, rel))
	if err != nil {
		return err
	}
	if t.listed += len(infos); t.listed > maxListed {
		return permanent{fmt.Errorf("it holds more than %d files, and the machine has no tar to send so many with", maxListed)}
	}
	defer func() { t.listed -= len(infos) }()
	for _, fi := range infos {
		name := fi.Name()
		if name == "" || name == "." || name == ".." || strings.Contains(name, "/") {
			return permanent{fmt.Errorf("the machine lists a file called %.200q, which cannot be the name of a file; refused", name)}
		}
		if err := t.entry(path.Join(rel, name), fi); err != nil {
			return err
		}
	}
	return nil
}

func (t *treeFetch) list(dir string) ([]fs.FileInfo, error) {
	t.q.left.Store(maxOutput)
	t.q.on.Store(true)
	defer t.q.on.Store(false)
	infos, err := t.c.ReadDir(dir)
	if t.q.left.Load() < 0 {
		return nil, permanent{fmt.Errorf("the machine needs more than %d MiB to say what %s holds", maxOutput>>20, dir)}
	}
	return infos, err
}

func (t *treeFetch) entry(rel string, fi fs.FileInfo) (err error) {
	from := path.Join(t.src, rel)
	h := &tar.Header{Name: rel, Mode: int64(fi.Mode().Perm()), ModTime: fi.ModTime(), Size: fi.Size()}
	switch fi.Mode().Type() {
	case fs.ModeDir:
		h.Typeflag = tar.TypeDir
		if err := t.u.entry(h, nil); err != nil {
			return err
		}
		return t.dir(rel)
	case fs.ModeSymlink:
		h.Typeflag = tar.TypeSymlink
		if h.Linkname, err = t.c.ReadLink(from); err != nil {
			return err
		}
	case 0:
		h.Typeflag = tar.TypeReg
		f, err := t.c.Open(from)
		if err != nil {
			return err
		}
		defer f.Close()
		return t.u.entry(h, f)
	default:
		h.Typeflag = tar.TypeFifo
	}
	return t.u.entry(h, nil)
}

// quota is a bound on what a reader may bring while it is on.
type quota struct {
	r    io.Reader
	on   atomic.Bool
	left atomic.Int64
}

var errQuota = errors.New("the machine sends too much")

func (q *quota) Read(p []byte) (int, error) {
	n, err := q.r.Read(p)
	if q.on.Load() && q.left.Add(-int64(n)) < 0 {
		return 0, errQuota
	}
	return n, err
}
