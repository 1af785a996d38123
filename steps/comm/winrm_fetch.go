package comm

import (
	"archive/tar"
	"archive/zip"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// DownloadDir implements Remote. The machine is not trusted: what would lie
// outside of the root is refused.
func (r *winremote) DownloadDir(ctx context.Context, src string, to *os.Root, dir string) error {
	if err := r.downloadDir(ctx, src, to, dir); err != nil {
		return fmt.Errorf("cannot download the directory %s from %s to %s: %w", src, r.m.label(), filepath.Join(to.Name(), dir), err)
	}
	return nil
}

func (r *winremote) downloadDir(ctx context.Context, src string, to *os.Root, dir string) error {
	if err := to.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp("", "imgflow-*.zip")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if err := r.fetch(ctx, src, true, f); err != nil {
		return err
	}
	zr, err := openZip(f)
	if err != nil {
		return err
	}
	u := &unpacker{root: to, dir: dir, out: omitted{warn: r.t.Warn}, m: &meter{t: r.t}}
	for _, e := range zr.File {
		if err := unzip(u, e); err != nil {
			return err
		}
	}
	return u.finish()
}

// maxDirectory bounds what an archive may say about what it holds, in bytes: some
// 80,000 files with names of usual length. All of it is kept in memory.
const maxDirectory = 8 << 20

// openZip reads what an archive says that it holds.
func openZip(f *os.File) (*zip.Reader, error) {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	in := &boundedReader{f, maxDirectory}
	zr, err := zip.NewReader(in, size)
	if in.left < 0 {
		return nil, fmt.Errorf("it holds more files than one archive may list (%d MiB of names): download its directories one by one", maxDirectory>>20)
	}
	if err != nil {
		return nil, damaged(err)
	}
	in.left = 1<<63 - 1 // what the files themselves hold streams through
	return zr, nil
}

// boundedReader reads no more than so many bytes.
type boundedReader struct {
	r    io.ReaderAt
	left int64
}

func (b *boundedReader) ReadAt(p []byte, at int64) (int, error) {
	if b.left -= int64(len(p)); b.left < 0 {
		return 0, errQuota
	}
	return b.r.ReadAt(p, at)
}

// unzip makes what an archive of Windows holds. Our script writes names with
// slashes; a backslash or a drive's colon in one is an attack.
func unzip(u *unpacker, e *zip.File) error {
	if strings.ContainsAny(e.Name, `\:`) {
		return fmt.Errorf("the machine sent a file for the path %.200q, which cannot be one below a directory; refused", e.Name)
	}
	if strings.HasSuffix(e.Name, "/") {
		return u.entry(&tar.Header{Typeflag: tar.TypeDir, Name: e.Name, Mode: 0o755}, nil)
	}
	body, err := e.Open()
	if err != nil {
		return damaged(err)
	}
	defer body.Close()
	if err := u.entry(&tar.Header{Typeflag: tar.TypeReg, Name: e.Name, Mode: 0o644, Size: int64(min(e.UncompressedSize64, 1<<62))}, body); err != nil {
		return err
	}
	if _, err := io.ReadFull(body, make([]byte, 1)); err != io.EOF { // its checksum is known at its end
		return damaged(fmt.Errorf("%s is not what it should be", e.Name))
	}
	return nil
}
