package hostile

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/pkg/sftp"
)

// Files are what SFTP shows. A field that is nil shows a machine on which every
// path is a short file, but for those that end with "/dir".
type Files struct {
	Stat func(path string) (fs.FileInfo, error)
	List func(path string) []fs.FileInfo
	Each func(n int64) fs.FileInfo // the nth of a listing without an end, in place of List
	Link func(path string) string
	Open func(path string) io.ReaderAt
}

const shortFile = "from the machine\n"

// Info is a file of a hostile machine: its name may be anything.
type Info struct {
	Called string
	Type   fs.FileMode // with the permissions
	Length int64
}

func (i Info) Name() string       { return i.Called }
func (i Info) Size() int64        { return i.Length }
func (i Info) Mode() fs.FileMode  { return i.Type }
func (i Info) ModTime() time.Time { return time.Unix(1e9, 0) }
func (i Info) IsDir() bool        { return i.Type.IsDir() }
func (i Info) Sys() any           { return nil }

func (f *Files) serve(rw io.ReadWriteCloser) {
	if f == nil {
		f = &Files{}
	}
	s := sftp.NewRequestServer(rw, sftp.Handlers{FileGet: f, FilePut: f, FileCmd: f, FileList: f})
	s.Serve()
}

func (f *Files) Fileread(r *sftp.Request) (io.ReaderAt, error) {
	if f.Open != nil {
		return f.Open(r.Filepath), nil
	}
	return strings.NewReader(shortFile), nil
}

func (f *Files) Filewrite(*sftp.Request) (io.WriterAt, error) { return discard{}, nil }

type discard struct{}

func (discard) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }

func (f *Files) Filecmd(*sftp.Request) error { return nil }

func (f *Files) Filelist(r *sftp.Request) (sftp.ListerAt, error) {
	switch r.Method {
	case "List":
		switch {
		case f.Each != nil:
			return without(f.Each), nil
		case f.List == nil:
			return infos(nil), nil
		}
		return infos(f.List(r.Filepath)), nil
	case "Readlink":
		to := "."
		if f.Link != nil {
			to = f.Link(r.Filepath)
		}
		return infos{Info{Called: to}}, nil
	}
	fi, err := f.stat(r.Filepath)
	return infos{fi}, err
}

func (f *Files) stat(p string) (fs.FileInfo, error) {
	switch {
	case f.Stat != nil:
		return f.Stat(p)
	case strings.HasSuffix(p, "/dir"):
		return Info{path.Base(p), fs.ModeDir | 0o755, 4096}, nil
	}
	return Info{path.Base(p), 0o644, int64(len(shortFile))}, nil
}

// Lstat implements sftp.LstatFileLister.
func (f *Files) Lstat(r *sftp.Request) (sftp.ListerAt, error) {
	fi, err := f.stat(r.Filepath)
	return infos{fi}, err
}

type infos []fs.FileInfo

func (l infos) ListAt(to []os.FileInfo, at int64) (int, error) {
	if at >= int64(len(l)) {
		return 0, io.EOF
	}
	n := copy(to, l[at:])
	if n < len(to) {
		return n, io.EOF
	}
	return n, nil
}

// without is a listing without an end.
type without func(n int64) fs.FileInfo

func (w without) ListAt(to []os.FileInfo, at int64) (int, error) {
	for i := range to {
		to[i] = w(at + int64(i))
	}
	return len(to), nil
}

// endless is a text without an end, of its pattern again and again.
type endless string

func (e endless) ReadAt(p []byte, off int64) (int, error) {
	for i := range p {
		p[i] = e[(off+int64(i))%int64(len(e))]
	}
	return len(p), nil
}

// flood writes the pattern until nobody takes it any more.
func flood(w io.Writer, pattern string) {
	b := bytes.Repeat([]byte(pattern), max(1, 32<<10/len(pattern)))
	for {
		if _, err := w.Write(b); err != nil {
			return
		}
	}
}

// dirs shows a machine on which every path is a directory.
func dirs() *Files {
	return &Files{Stat: func(p string) (fs.FileInfo, error) { return Info{path.Base(p), fs.ModeDir | 0o755, 4096}, nil }}
}
