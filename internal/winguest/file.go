package winguest

import (
	"io"
	"os"
	"path"
)

// File is an open file. As long as it is open, others can do with the file what
// its Mode shares and no more.
type File struct {
	d    *disk
	f    *os.File // nil for NUL
	key  string   // guarded by d.mu
	path string
	mode Mode

	owner *Process
}

func (d *disk) openFile(full string, m Mode) (*File, error) {
	if full == nul {
		return &File{path: nul, mode: m}, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	actual, in, err := d.look(full)
	if err != nil {
		return nil, err
	}
	flag := os.O_RDONLY
	switch {
	case m.Read && m.Write:
		flag = os.O_RDWR
	case m.Write:
		flag = os.O_WRONLY
	}
	if m.Append {
		flag |= os.O_APPEND
	}
	switch {
	case in == nil && (m.Disposition == OpenExisting || m.Disposition == TruncateExisting):
		return nil, fail("open", full, FileNotFound)
	case in == nil:
		flag |= os.O_CREATE | os.O_EXCL
	case m.Disposition == CreateNew:
		return nil, fail("open", full, FileExists)
	case !in.Mode().IsRegular() || d.doomed[actual]:
		return nil, fail("open", full, AccessDenied)
	case m.Write && in.Mode().Perm()&0o200 == 0:
		return nil, fail("open", full, AccessDenied)
	}
	for _, o := range d.open[actual] {
		if m.Read && !o.mode.ShareRead || m.Write && !o.mode.ShareWrite || o.mode.Read && !m.ShareRead || o.mode.Write && !m.ShareWrite {
			return nil, fail("open", full, SharingViolation)
		}
	}
	if in != nil && (m.Disposition == CreateAlways || m.Disposition == TruncateExisting) {
		flag |= os.O_TRUNC
	}
	var h *os.File
	open := func() (err error) {
		h, err = d.root.OpenFile(actual, flag, 0o644)
		return err
	}
	if in == nil {
		err = d.alter(path.Dir(actual), path.Base(actual), open)
	} else {
		err = open()
	}
	if err != nil {
		return nil, fail("open", full, codeOfHost(err))
	}
	f := &File{d: d, f: h, key: actual, path: full, mode: m}
	d.open[actual] = append(d.open[actual], f)
	return f, nil
}

// Name is the path that the file was opened by, resolved.
func (f *File) Name() string { return f.path }

func (f *File) Read(b []byte) (int, error) {
	if f.f == nil {
		return 0, io.EOF
	}
	n, err := f.f.Read(b)
	return n, f.code("read", err)
}

func (f *File) Write(b []byte) (int, error) {
	if f.f == nil {
		return len(b), nil
	}
	n, err := f.f.Write(b)
	return n, f.code("write", err)
}

func (f *File) Seek(offset int64, whence int) (int64, error) {
	if f.f == nil {
		return 0, nil
	}
	n, err := f.f.Seek(offset, whence)
	return n, f.code("seek", err)
}

// Truncate makes the file longer or shorter.
func (f *File) Truncate(size int64) error {
	if f.f == nil {
		return nil
	}
	return f.code("truncate", f.f.Truncate(size))
}

// Size is how long the file is now.
func (f *File) Size() (int64, error) {
	if f.f == nil {
		return 0, nil
	}
	st, err := f.f.Stat()
	if err != nil {
		return 0, f.code("stat", err)
	}
	return st.Size(), nil
}

// Sync puts what was written on the host's disk.
func (f *File) Sync() error {
	if f.f == nil {
		return nil
	}
	return f.code("flush", f.f.Sync())
}

func (f *File) code(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return fail(op, f.path, codeOfHost(err))
}

// Close gives the file free. Closing again is no error.
func (f *File) Close() error {
	if f.f == nil {
		return nil
	}
	f.d.release(f)
	if f.owner != nil {
		f.owner.mu.Lock()
		delete(f.owner.handles, f)
		f.owner.mu.Unlock()
	}
	f.f.Close()
	return nil
}
