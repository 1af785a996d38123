package comm

import (
	"archive/zip"
	"compress/flate"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"

	"github.com/imgflow/imgflow/internal/tree"
	"github.com/imgflow/imgflow/steps/comm/wsman"
)

// window is how many parts are sent before the machine is heard again.
const window = 32

// zipArchive is a zip archive on its way to a machine. It lies in a file: its digest
// must be known before it is sent, and after a crash the same bytes are made again.
type zipArchive struct {
	f       *os.File
	zw      *zip.Writer
	sum     hash.Hash
	size    int64  // of the archive
	digest  string // of the archive
	raw     int64  // bytes of the files
	content string // digest of the last file
}

func newZipArchive() (*zipArchive, error) {
	f, err := os.CreateTemp("", "imgflow-*.zip")
	if err != nil {
		return nil, err
	}
	p := &zipArchive{f: f, sum: sha256.New()}
	p.zw = zip.NewWriter(io.MultiWriter(f, p.sum))
	p.zw.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
	return p, nil
}

func (p *zipArchive) close() {
	p.f.Close()
	os.Remove(p.f.Name())
}

func (p *zipArchive) dir(name string) error {
	_, err := p.zw.Create(name + "/")
	return err
}

func (p *zipArchive) file(name string, r io.Reader) (n int64, err error) {
	w, err := p.zw.Create(name)
	if err != nil {
		return 0, err
	}
	h := sha256.New()
	n, err = io.Copy(io.MultiWriter(w, h), r)
	p.raw += n
	p.content = hex.EncodeToString(h.Sum(nil))
	return n, err
}

func (p *zipArchive) finish() (err error) {
	if err = p.zw.Close(); err == nil {
		p.size, err = p.f.Seek(0, io.SeekCurrent)
	}
	p.digest = hex.EncodeToString(p.sum.Sum(nil))
	return err
}

// Upload implements Remote. The mode is not for Windows, and directories that are
// missing are made, as Packer makes them there. A file that is there and is the
// same is left.
func (r *winremote) Upload(ctx context.Context, dst string, src io.Reader, size int64, _ fs.FileMode) error {
	err := r.upload(ctx, dst, src, size)
	if err != nil {
		return fmt.Errorf("cannot upload to %s on %s: %w", dst, r.m.label(), err)
	}
	return nil
}

func (r *winremote) upload(ctx context.Context, dst string, src io.Reader, size int64) error {
	if dst == "" {
		return errors.New("the remote path is empty")
	}
	p, err := newZipArchive()
	if err != nil {
		return err
	}
	defer p.close()
	n, err := p.file("file", src)
	if err == nil && size >= 0 && n != size {
		err = fmt.Errorf("%d bytes were promised and %d came", size, n)
	}
	if err == nil {
		err = p.finish()
	}
	if err != nil {
		return err
	}
	return r.sendArchive(ctx, dst, p, false)
}

// UploadDir implements Remote. Empty directories go along, modes and times do
// not; symbolic links are followed.
func (r *winremote) UploadDir(ctx context.Context, dst, src string) error {
	err := r.uploadDir(ctx, dst, src)
	if err != nil {
		return fmt.Errorf("cannot upload the directory %s to %s on %s: %w", src, dst, r.m.label(), err)
	}
	return nil
}

func (r *winremote) uploadDir(ctx context.Context, dst, src string) error {
	if dst == "" {
		return errors.New("the remote path is empty")
	}
	if _, err := warnOmitted(r.t, tree.Walk{Follow: true}, src); err != nil {
		return err
	}
	p, err := newZipArchive()
	if err != nil {
		return err
	}
	defer p.close()
	if err = zipDir(p, src); err == nil {
		err = p.finish()
	}
	if err != nil {
		return err
	}
	return r.sendArchive(ctx, dst, p, true)
}

// zipDir puts what the directory holds into the archive. Windows has no symbolic links
// that everybody may make.
func zipDir(p *zipArchive, src string) error {
	seen := map[string]string{}
	return tree.Walk{Follow: true}.Each(src, func(e tree.Entry) error {
		if !windowsName(path.Base(e.Name)) {
			return fmt.Errorf("%s cannot be the name of a file on Windows", e.Name)
		}
		if other, ok := seen[strings.ToLower(e.Name)]; ok {
			return fmt.Errorf("%s and %s are the same name on Windows", other, e.Name)
		}
		seen[strings.ToLower(e.Name)] = e.Name
		if e.Info.IsDir() {
			return p.dir(e.Name)
		}
		f, err := os.Open(e.Path)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = p.file(e.Name, f)
		return err
	})
}

// windowsName reports whether Windows allows a file of that name.
func windowsName(name string) bool {
	if name == "" || strings.ContainsAny(name, `<>:"/\|?*`) || strings.HasSuffix(name, ".") || strings.HasSuffix(name, " ") {
		return false
	}
	for _, c := range name {
		if c < ' ' {
			return false
		}
	}
	stem, _, _ := strings.Cut(strings.ToUpper(name), ".")
	switch stem = strings.TrimRight(stem, " "); stem {
	case "CON", "PRN", "AUX", "NUL":
		return false
	}
	return !(len(stem) == 4 && (strings.HasPrefix(stem, "COM") || strings.HasPrefix(stem, "LPT")) && stem[3] >= '1' && stem[3] <= '9')
}

// sendArchive sends the archive, or what the machine does not have of it yet.
func (r *winremote) sendArchive(ctx context.Context, dst string, p *zipArchive, dir bool) error {
	first, err := header(map[string]any{
		"path": dst, "dir": dir, "name": place16("put", dst),
		"digest": p.digest, "size": p.size, "content": p.content, "bytes": p.raw,
	})
	if err != nil {
		return err
	}
	damaged, gone := 0, 0
	return r.attempt(ctx, func(ctx context.Context, c *wsman.Client, heard func()) error {
		for {
			l, err := r.sendMissing(ctx, c, p, first, heard)
			if err != nil {
				return err
			}
			switch l {
			case "K", "K same", "K left":
				if l == "K left" { // by somebody who looks at it, or by one that we lost and who removes it
					r.t.Warn("what was sent for %s cannot be removed from the temporary directory of %s: somebody has it open", dst, r.m.label())
				}
				r.t.Progress(p.raw, p.raw, "bytes")
				return nil
			case "D":
				if damaged++; damaged >= 3 {
					return permanent{errors.New("it arrives damaged every time: its digest is not that of what was sent")}
				}
				r.t.Detail("%s arrived damaged at %s, sending it again", dst, r.m.label())
				continue
			case "G": // unpacked by one that we lost; if not by others, then it is there now
				if gone++; gone >= 3 {
					return permanent{errors.New("somebody else uploads to the same place")}
				}
				continue
			case "N isdir":
				return permanent{errors.New("it is a directory")}
			case "N isfile":
				return permanent{errors.New("it is a file")}
			}
			return permanent{fmt.Errorf("the machine answers %.200q", l)}
		}
	})
}

// sendMissing gives the machine what it lacks and returns its last word.
func (r *winremote) sendMissing(ctx context.Context, c *wsman.Client, p *zipArchive, first string, heard func()) (string, error) {
	k, err := startScript(ctx, c, psPut, first)
	if err != nil {
		return "", err
	}
	defer k.close()
	l, err := k.line(ctx)
	if err != nil {
		return "", err
	}
	text, ok := strings.CutPrefix(l, "H ")
	if !ok {
		return l, nil
	}
	at, err := strconv.ParseInt(text, 10, 64)
	if err != nil || at < 0 || at >= p.size {
		return "", permanent{fmt.Errorf("the machine answers %q", l)}
	}
	m := &meter{t: r.t, total: p.raw}
	b := make([]byte, partSize)
	for n := 1; at < p.size; n++ {
		part := b[:min(partSize, p.size-at)]
		if _, err := p.f.ReadAt(part, at); err != nil {
			return "", permanent{err}
		}
		if err := k.send(ctx, strconv.FormatInt(at, 10)+" "+base64.StdEncoding.EncodeToString(part)); err != nil {
			return "", err
		}
		at += int64(len(part))
		m.set(int64(float64(p.raw) * (float64(at) / float64(p.size))))
		if n%window == 0 && at < p.size {
			if l, err = k.line(ctx); err != nil || l != "P" {
				return l, err
			}
			heard()
		}
	}
	for {
		if l, err = k.line(ctx); err != nil || l != "P" {
			return l, err
		}
	}
}

// Download implements Remote. When the connection breaks it goes on where it
// was, if the file is still the same.
func (r *winremote) Download(ctx context.Context, src string, w io.Writer) error {
	if err := r.fetch(ctx, src, false, w); err != nil {
		return fmt.Errorf("cannot download %s from %s: %w", src, r.m.label(), err)
	}
	return nil
}

// fetch copies a file, or the archive of a directory.
func (r *winremote) fetch(ctx context.Context, src string, dir bool, w io.Writer) error {
	m, sum, out := &meter{t: r.t}, sha256.New(), omitted{warn: r.t.Warn}
	defer m.end()
	defer out.end()
	var size int64
	var ticks string
	return r.attempt(ctx, func(ctx context.Context, c *wsman.Client, heard func()) error {
		first, err := header(map[string]any{"path": src, "dir": dir, "name": place16("get", src), "off": m.done, "size": size, "ticks": ticks})
		if err != nil {
			return permanent{err}
		}
		k, err := startScript(ctx, c, psGet, first)
		if err != nil {
			return err
		}
		defer k.close()
		for {
			l, err := k.line(ctx)
			if err != nil {
				return err
			}
			f := append(strings.SplitN(l, " ", 3), "", "")
			bad := permanent{fmt.Errorf("the machine answers %.200q", l)}
			switch f[0] {
			case "I":
				n, err := strconv.ParseInt(f[1], 10, 64)
				if err != nil || n < 0 {
					return bad
				}
				if m.done == 0 {
					size, ticks, m.total = n, f[2], n
				}
			case "W":
				name, err := base64.StdEncoding.DecodeString(f[1])
				if err != nil {
					return bad
				}
				out.tell("%.200s is a link", name)
			case "F":
				b, err := base64.StdEncoding.DecodeString(f[1])
				if err != nil {
					return bad
				}
				if int64(len(b)) > size-m.done {
					return permanent{fmt.Errorf("the machine sends more than the %d bytes that it has announced", size)}
				}
				if _, err := w.Write(b); err != nil {
					return permanent{err}
				}
				sum.Write(b)
				m.add(len(b))
				heard()
			case "K":
				if m.done != size || f[1] != hex.EncodeToString(sum.Sum(nil)) {
					return permanent{errors.New("it changed while it was sent, or arrived damaged: its digest is not that of what came")}
				}
				if dir {
					r.removeArchive(ctx, k, src)
				}
				return nil
			case "N":
				switch f[1] {
				case "none":
					return permanent{reason{"no such file or directory", fs.ErrNotExist}}
				case "isdir":
					return permanent{errors.New("it is a directory")}
				case "isfile":
					return permanent{errors.New("it is a file")}
				case "changed":
					return permanent{errors.New("the file changed while the connection was lost")}
				}
				return bad
			default:
				return bad
			}
		}
	})
}

// removeArchive lets the machine drop the archive of a directory that has come. All is
// here: if it cannot, that is no reason to fail, or to fetch it again.
func (r *winremote) removeArchive(ctx context.Context, k *scriptSession, src string) {
	if err := k.ack(ctx); err != nil && ctx.Err() == nil {
		r.t.Warn("cannot remove the archive of %s from %s: %v", src, r.m.label(), err)
	}
}
