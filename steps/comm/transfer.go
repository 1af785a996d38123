package comm

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"

	"github.com/imgflow/imgflow/internal/quote"
	"github.com/pkg/sftp"
)

// Upload implements Remote. Mode 0 leaves the mode to the file that is replaced,
// or the machine. A destination that is no plain file, that belongs to somebody
// else, or whose directory cannot be written is written in place.
func (r *remote) Upload(ctx context.Context, dst string, src io.Reader, size int64, mode fs.FileMode) error {
	if dst == "" {
		return errors.New("cannot upload: the remote path is empty")
	}
	p, again := relative(dst), rewinder(src)
	err := r.files(ctx, func(c *sftp.Client) error {
		if err := again(); err != nil {
			return err
		}
		m := &meter{t: r.t, total: size}
		defer m.end()
		return put(c, p, meteredReader{src, m}, size, mode)
	}, func(l *sshConn) error {
		if err := again(); err != nil {
			return err
		}
		m := &meter{t: r.t, total: size}
		defer m.end()
		return l.script(ctx, assign("p", p, "t", temporary(p), "m", octal(mode), "n", strconv.FormatInt(size, 10))+putScript, meteredReader{src, m}, io.Discard)
	})
	if err != nil {
		return fmt.Errorf("cannot upload to %s on %s: %w", dst, r.m.label(), plainError(err))
	}
	return nil
}

// putScript does what put does, on machines without SFTP. It tries with true, not
// with ":", whose failure would end the shell.
const putScript = `case $p in -*) p=./$p;; esac
[ ! -d "$p" ] || { echo "it is a directory" >&2; exit 1; }
cut() { echo "the upload was cut short" >&2; exit 1; }
size() { set -- $(ls -ln "$1"); echo "$5"; }
if { [ ! -e "$p" ] || [ -f "$p" -a -O "$p" ]; } && [ ! -L "$p" ] && true 2>/dev/null >"$t"; then
	cat >"$t" && { [ "$n" -lt 0 ] || [ "$(size "$t")" = "$n" ] || { rm -f "$t"; cut; }; } &&
	if [ "$m" != 0 ]; then chmod "$m" "$t"; elif [ -e "$p" ] && command -v stat >/dev/null; then chmod "$(stat -c %a "$p")" "$t"; fi &&
	mv -f "$t" "$p" || { rm -f "$t"; exit 1; }
else
	cat >"$p" || exit 1
	[ "$m" = 0 ] || [ ! -O "$p" ] || chmod "$m" "$p"
fi
`

// assign writes names and values as assignments of sh.
func assign(kv ...string) string {
	var b strings.Builder
	for i := 0; i < len(kv); i += 2 {
		b.WriteString(kv[i] + "=" + quote.Sh(kv[i+1]) + "\n")
	}
	return b.String()
}

func octal(m fs.FileMode) string { return strconv.FormatUint(uint64(m.Perm()), 8) }

// temporary is a name for a file on its way, in the directory of its end.
func temporary(p string) string {
	return path.Join(path.Dir(p), ".imgf-"+strings.ToLower(rand.Text()[:12]))
}

func put(c *sftp.Client, p string, src io.Reader, size int64, mode fs.FileMode) error {
	old, err := c.Lstat(p)
	switch {
	case err == nil && old.IsDir():
		return errors.New("it is a directory")
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	case err != nil:
		old = nil
	}
	if old != nil && !old.Mode().IsRegular() {
		return fill(c, p, src, size, mode, os.O_WRONLY|os.O_TRUNC)
	}
	tmp := temporary(p)
	f, err := c.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if errors.Is(err, fs.ErrPermission) && old != nil {
		return fill(c, p, src, size, mode, os.O_WRONLY|os.O_TRUNC)
	}
	if err != nil {
		return err
	}
	if old != nil && !sameOwner(f, old) {
		f.Close()
		c.Remove(tmp)
		return fill(c, p, src, size, mode, os.O_WRONLY|os.O_TRUNC)
	}
	n, err := f.ReadFrom(src)
	if err == nil && size >= 0 && n != size {
		err = fmt.Errorf("%d bytes were promised and %d came", size, n)
	}
	if err == nil && mode == 0 && old != nil {
		mode = old.Mode()
	}
	if err == nil && mode != 0 {
		err = f.Chmod(mode.Perm())
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = replace(c, tmp, p)
	}
	if err != nil {
		c.Remove(tmp)
	}
	return err
}

func sameOwner(f *sftp.File, old fs.FileInfo) bool {
	fi, err := f.Stat()
	if err != nil {
		return true
	}
	a, ok1 := fi.Sys().(*sftp.FileStat)
	b, ok2 := old.Sys().(*sftp.FileStat)
	return !ok1 || !ok2 || a.UID == b.UID
}

// replace renames over what is there, which plain SFTP cannot do at once.
func replace(c *sftp.Client, tmp, p string) error {
	if _, ok := c.HasExtension("posix-rename@openssh.com"); ok {
		return c.PosixRename(tmp, p)
	}
	if err := c.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return c.Rename(tmp, p)
}

// fill writes into the file that is there.
func fill(c *sftp.Client, p string, src io.Reader, size int64, mode fs.FileMode, flags int) error {
	f, err := c.OpenFile(p, flags)
	if err != nil {
		return err
	}
	n, err := f.ReadFrom(src)
	if err == nil && size >= 0 && n != size {
		err = fmt.Errorf("%d bytes were promised and %d came", size, n)
	}
	if err == nil && mode != 0 {
		if cerr := f.Chmod(mode.Perm()); cerr != nil && !errors.Is(cerr, fs.ErrPermission) {
			err = cerr
		}
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// Download implements Remote. When the connection breaks it goes on where it
// was, if the file is still the same.
func (r *remote) Download(ctx context.Context, src string, w io.Writer) error {
	p, m := relative(src), &meter{t: r.t}
	defer m.end()
	to := meteredWriter{w, m}
	var seen fs.FileInfo
	err := r.files(ctx, func(c *sftp.Client) error {
		f, err := c.Open(p)
		if err != nil {
			return err
		}
		defer f.Close()
		fi, err := f.Stat()
		if err != nil {
			return err
		}
		if fi.IsDir() {
			return permanent{errors.New("it is a directory")}
		}
		if m.done > 0 && (seen == nil || fi.Size() != seen.Size() || !fi.ModTime().Equal(seen.ModTime())) {
			return permanent{errors.New("the file changed while the connection was lost")}
		}
		seen, m.total = fi, fi.Size()
		if _, err := f.Seek(m.done, io.SeekStart); err != nil {
			return err
		}
		return drain(f, to, fi.Size()-m.done)
	}, func(l *sshConn) error {
		return l.script(ctx, assign("p", p)+`case $p in -*) p=./$p;; esac
[ ! -d "$p" ] || { echo "it is a directory" >&2; exit 1; }
exec 3<"$p" || exit 1
[ `+fmt.Sprint(m.done)+` = 0 ] || dd bs=1 skip=`+fmt.Sprint(m.done)+` count=0 <&3 2>/dev/null
exec cat <&3
`, nil, to)
	})
	if err != nil {
		return fmt.Errorf("cannot download %s from %s: %w", src, r.m.label(), plainError(err))
	}
	return nil
}

// drain copies what the file holds, up to the size that it had when it was opened:
// who writes to it may go on for ever. Files that have no size of their own, such
// as those of /proc, are short.
func drain(f *sftp.File, w io.Writer, size int64) error {
	c := &limitedWriter{w: w, left: size}
	if size <= 0 {
		c.left = maxOutput
	}
	_, err := f.WriteTo(c)
	switch {
	case !errors.Is(err, errCapped):
		return err
	case size <= 0:
		return tooMuchOutput()
	}
	return nil
}

// limitedWriter takes so many bytes and no more.
type limitedWriter struct {
	w    io.Writer
	left int64
}

var errCapped = errors.New("that is enough")

func (c *limitedWriter) Write(p []byte) (int, error) {
	most := min(int64(len(p)), c.left)
	n, err := c.w.Write(p[:most])
	c.left -= int64(n)
	if err == nil && n < len(p) {
		err = errCapped
	}
	return n, err
}

// plainError takes the protocol's words out of an error.
func plainError(err error) error {
	var se *sftp.StatusError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return reason{"no such file or directory", fs.ErrNotExist}
	case errors.Is(err, fs.ErrPermission):
		return reason{"permission denied", fs.ErrPermission}
	case errors.As(err, &se):
		if fsErr := se.FxCode(); fsErr == sftp.ErrSSHFxFailure {
			return reason{"the machine reports a failure: is its disk full, or the path a directory?", err}
		}
	}
	return err
}
