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
	"sync"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/pkg/sftp"
)

// errNoSFTP is a server without such a subsystem.
var errNoSFTP = errors.New("the machine has no SFTP")

// sftp returns the connection's SFTP client, nil if the server has none.
func (l *link) sftp(ctx context.Context) (*sftp.Client, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.files != nil || l.noSFTP {
		return l.files, nil
	}
	c, release, err := l.openSFTP(ctx, nil)
	if errors.Is(err, errNoSFTP) {
		l.noSFTP = true
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	l.files = c
	go func() {
		c.Wait()
		release()
	}()
	return c, nil
}

// openSFTP starts an SFTP client on a channel of its own, which release ends.
// What it reads comes through the quota, if there is one.
func (l *link) openSFTP(ctx context.Context, q *quota) (c *sftp.Client, release func(), err error) {
	s, end, err := l.session(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			end()
		}
	}()
	unhook := context.AfterFunc(ctx, end)
	defer unhook()
	in, err := s.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	out, err := s.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if q != nil {
		q.r, out = out, q
	}
	if err = s.RequestSubsystem("sftp"); err == nil {
		c, err = sftp.NewClientPipe(out, in, sftp.UseConcurrentWrites(true))
	}
	switch {
	case err == nil:
		return c, end, l.widen(c)
	case ctx.Err() != nil:
		return nil, nil, ctx.Err()
	case l.broke():
		return nil, nil, errDropped
	}
	return nil, nil, errNoSFTP // refused, or no server behind it
}

// What OpenSSH's server takes in one message (limits@openssh.com in its PROTOCOL;
// SFTP_MAX_MSG_LENGTH less 1024), and how many of them fill a channel's window of
// 2 MiB twice.
const (
	wideMessage  = 255 << 10
	wideMessages = 16
)

// widen lets the client use messages of 255 KiB where they are known to be taken:
// each is answered, so with the 32 KiB that every server takes there are eight
// times as many, and they cost more than the data.
func (l *link) widen(c *sftp.Client) error {
	if _, ok := c.HasExtension("limits@openssh.com"); !ok || !strings.HasPrefix(string(l.client.ServerVersion()), "SSH-2.0-OpenSSH") {
		return nil
	}
	return errors.Join(sftp.MaxPacketUnchecked(wideMessage)(c), sftp.MaxConcurrentRequestsPerFile(wideMessages)(c))
}

// abort makes ctx end whatever the SFTP client is doing: it has no other way.
// A client that was aborted is replaced by the next one that asks.
func (l *link) abort(ctx context.Context, c *sftp.Client) (stop func() bool) {
	return context.AfterFunc(ctx, func() {
		l.mu.Lock()
		if l.files == c {
			l.files = nil
		}
		l.mu.Unlock()
		c.Close()
	})
}

// files calls over with a live SFTP client, or without when the server has none.
func (r *remote) files(ctx context.Context, over func(c *sftp.Client) error, without func(l *link) error) error {
	return r.attempt(ctx, func(l *link) error {
		c, err := l.sftp(ctx)
		if err != nil {
			return err
		}
		if c == nil {
			return without(l)
		}
		stop := l.abort(ctx, c)
		err = over(c)
		if !stop() && ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, sftp.ErrSSHFxConnectionLost) {
			l.mu.Lock()
			if l.files == c {
				l.files = nil
			}
			l.mu.Unlock()
			return fmt.Errorf("%w: %v", errDropped, err)
		}
		return err
	})
}

// relative makes a path that begins with ~/ one below the login directory,
// where both SFTP and our scripts begin.
func relative(p string) string {
	switch {
	case p == "~":
		return "."
	case strings.HasPrefix(p, "~/"):
		return "./" + strings.TrimLeft(p[2:], "/")
	}
	return p
}

// meter reports progress a few times a second.
type meter struct {
	t           *dag.Task  // nil: to nobody
	mu          sync.Mutex // what a script has not read may still be on its way when it has ended
	done, total int64
	next        time.Time
}

func (m *meter) add(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done += int64(n)
	if now := time.Now(); m.t != nil && now.After(m.next) {
		m.next = now.Add(200 * time.Millisecond)
		m.t.Progress(m.done, max(m.total, 0), "bytes")
	}
}

// set says how much is done when that is known otherwise.
func (m *meter) set(done int64) { m.add(int(done - m.done)) }

func (m *meter) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.t.Progress(m.done, max(m.total, m.done), "bytes")
}

type meteredReader struct {
	r io.Reader
	m *meter
}

func (r meteredReader) Read(b []byte) (int, error) {
	n, err := r.r.Read(b)
	r.m.add(n)
	return n, err
}

type meteredWriter struct {
	w io.Writer
	m *meter
}

func (w meteredWriter) Write(b []byte) (int, error) {
	n, err := w.w.Write(b)
	w.m.add(n)
	return n, err
}

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
	}, func(l *link) error {
		if err := again(); err != nil {
			return err
		}
		m := &meter{t: r.t, total: size}
		defer m.end()
		return l.script(ctx, assign("p", p, "t", temporary(p), "m", octal(mode), "n", strconv.FormatInt(size, 10))+putScript, meteredReader{src, m}, io.Discard)
	})
	if err != nil {
		return fmt.Errorf("cannot upload to %s on %s: %w", dst, r.m.label(), plainer(err))
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
		b.WriteString(kv[i] + "=" + quote(kv[i+1]) + "\n")
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
	}, func(l *link) error {
		return l.script(ctx, assign("p", p)+`case $p in -*) p=./$p;; esac
[ ! -d "$p" ] || { echo "it is a directory" >&2; exit 1; }
exec 3<"$p" || exit 1
[ `+fmt.Sprint(m.done)+` = 0 ] || dd bs=1 skip=`+fmt.Sprint(m.done)+` count=0 <&3 2>/dev/null
exec cat <&3
`, nil, to)
	})
	if err != nil {
		return fmt.Errorf("cannot download %s from %s: %w", src, r.m.label(), plainer(err))
	}
	return nil
}

// drain copies what the file holds, up to the size that it had when it was opened:
// who writes to it may go on for ever. Files that have no size of their own, such
// as those of /proc, are short.
func drain(f *sftp.File, w io.Writer, size int64) error {
	c := &capped{w: w, left: size}
	if size <= 0 {
		c.left = maxOutput
	}
	_, err := f.WriteTo(c)
	switch {
	case !errors.Is(err, errCapped):
		return err
	case size <= 0:
		return talkative()
	}
	return nil
}

// capped takes so many bytes and no more.
type capped struct {
	w    io.Writer
	left int64
}

var errCapped = errors.New("that is enough")

func (c *capped) Write(p []byte) (int, error) {
	most := min(int64(len(p)), c.left)
	n, err := c.w.Write(p[:most])
	c.left -= int64(n)
	if err == nil && n < len(p) {
		err = errCapped
	}
	return n, err
}

// Stat implements Remote.
func (r *remote) Stat(ctx context.Context, name string) (fs.FileInfo, error) {
	p := relative(name)
	var fi fs.FileInfo
	err := r.files(ctx, func(c *sftp.Client) (err error) {
		fi, err = c.Stat(p)
		return err
	}, func(l *link) error {
		var out output
		err := l.script(ctx, assign("p", p)+`case $p in -*) p=./$p;; esac
[ -e "$p" ] || { echo none; exit; }
stat -L -c '%f %s %Y' "$p"
`, nil, &out)
		if err != nil {
			return err
		}
		fi, err = parseStat(path.Base(p), out.String())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot look at %s on %s: %w", name, r.m.label(), plainer(err))
	}
	return fi, nil
}

// statInfo is what stat tells of a file.
type statInfo struct {
	name string
	mode fs.FileMode
	size int64
	time time.Time
}

func (s statInfo) Name() string       { return s.name }
func (s statInfo) Size() int64        { return s.size }
func (s statInfo) Mode() fs.FileMode  { return s.mode }
func (s statInfo) ModTime() time.Time { return s.time }
func (s statInfo) IsDir() bool        { return s.mode.IsDir() }
func (s statInfo) Sys() any           { return nil }

// parseStat reads a raw hexadecimal mode, a size and a time.
func parseStat(name, text string) (fs.FileInfo, error) {
	if strings.TrimSpace(text) == "none" {
		return nil, fs.ErrNotExist
	}
	var raw uint32
	var unix int64
	s := statInfo{name: name}
	if _, err := fmt.Sscanf(text, "%x %d %d", &raw, &s.size, &unix); err != nil {
		return nil, fmt.Errorf("the machine answers %.200q", text)
	}
	s.mode = fs.FileMode(raw & 0o777)
	switch raw & 0o170000 {
	case 0o040000:
		s.mode |= fs.ModeDir
	case 0o100000:
	default:
		s.mode |= fs.ModeIrregular
	}
	s.time = time.Unix(unix, 0)
	return s, nil
}

// plainer takes the protocol's words out of an error.
func plainer(err error) error {
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
