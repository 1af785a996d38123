package winguest

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode"
)

// What the disk is.
//
// Drive C: is the folder c. Names keep their case and are found in any; / and \
// are the same; \\?\, drive-relative and relative paths work, .. ends at the root;
// 260 characters are the limit without \\?\. What no file of Windows may be called
// is refused, streams (a:b) and devices too, but for NUL. A file that is open can
// be opened, deleted and renamed by others as its share mode says; handles end
// with their process. The current folder of a process stays where it is, and so
// does a folder that something below is open in. A file that is deleted while it
// is open loses its name at once since Windows 10 1903, and with the last handle
// before. There are the attributes read-only, hidden and system, and
// one time, that of the last change. Everybody may do everything until icacls
// closes a folder: then only those whom it lists may read or write what is below.
// There are no other drives, no links, no owners, no 8.3 names, no network paths.

// disk is drive C:, a folder of the host's. Names are kept as they are written
// and found in any case. Nothing outside of the folder can be reached: every
// operation goes through an os.Root.
type disk struct {
	root *os.Root

	mu     sync.Mutex
	open   map[string][]*File    // by the host's name
	within map[*Process]string   // the host's names of the processes' current folders
	names  map[string]*nameIndex // of folders, by the host's name

	keepNames bool            // a deleted file keeps its name until it is closed
	doomed    map[string]bool // such files, by the host's name
}

// A nameIndex has the names of a folder's entries by what they are in any case: a
// name that is not there would otherwise be looked for among all of them, each time
// that a file is made.
type nameIndex struct {
	at    time.Time // of the folder's last change, which this is the state after
	names map[string]string
}

// indexes is how many of them are kept.
const indexes = 64

// FileInfo is what the disk tells of a file or folder.
type FileInfo struct {
	Path     string // in full, as its parts are written on the disk
	Name     string
	Dir      bool
	Size     int64
	Modified time.Time
	ReadOnly bool
	Hidden   bool
	System   bool
}

// The attributes that the host has no word for are bits of its own that are
// never set otherwise: no mode here lets a group or others write.
const (
	hiddenBit = 0o020
	systemBit = 0o002
)

// Disposition is what opening does about a file that is there or is not.
type Disposition int

const (
	OpenExisting Disposition = iota // FileNotFound without
	OpenAlways                      // made if need be
	CreateNew                       // FileExists if it is there
	CreateAlways                    // emptied or made
	TruncateExisting
)

// Mode is how a file is opened, and what others may do with it meanwhile.
type Mode struct {
	Disposition                        Disposition
	Read, Write                        bool
	Append                             bool // each write goes to the end
	ShareRead, ShareWrite, ShareDelete bool
}

// The modes of common use: as .NET opens for reading and for writing.
var (
	ForReading   = Mode{Disposition: OpenExisting, Read: true, ShareRead: true}
	ForWriting   = Mode{Disposition: CreateAlways, Write: true, ShareRead: true}
	ForAppending = Mode{Disposition: OpenAlways, Write: true, Append: true, ShareRead: true}
)

func openDisk(dir string, release Release) (*disk, error) {
	r, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	build, _ := strconv.Atoi(release.build())
	return &disk{root: r, open: map[string][]*File{}, within: map[*Process]string{}, names: map[string]*nameIndex{},
		keepNames: build < posixDelete, doomed: map[string]bool{}}, nil
}

func (d *disk) close() { d.root.Close() }

// look finds a resolved path. actual is the host's name of it, as far as it
// exists, with the rest as it was asked for; info is nil where it does not, and
// the error PathNotFound where its folder does not either.
func (d *disk) look(full string) (actual string, info fs.FileInfo, err error) {
	actual = "."
	if info, err = d.root.Lstat("."); err != nil {
		return "", nil, fail("open", full, codeOfHost(err))
	}
	rel := relative(full)
	if rel == "." {
		return actual, info, nil
	}
	parts := strings.Split(rel, "/")
	for i, want := range parts {
		if !info.IsDir() {
			return "", nil, fail("open", full, PathNotFound)
		}
		next, in, err := d.child(actual, want)
		if err != nil {
			return "", nil, fail("open", full, codeOfHost(err))
		}
		actual = path.Join(actual, next)
		if info = in; info != nil {
			continue
		}
		if i < len(parts)-1 {
			return "", nil, fail("open", full, PathNotFound)
		}
	}
	return actual, info, nil
}

// child is the entry of a folder that has a name in any case; without one, the
// name as it is and no info.
func (d *disk) child(dir, want string) (string, fs.FileInfo, error) {
	info, err := d.root.Lstat(path.Join(dir, want))
	if err == nil {
		return want, info, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", nil, err
	}
	names, err := d.index(dir)
	if err != nil {
		return "", nil, err
	}
	if name, ok := names[anyCase(want)]; ok {
		if info, err := d.root.Lstat(path.Join(dir, name)); err == nil {
			return name, info, nil
		}
	}
	return want, nil, nil
}

// anyCase is the same for names that differ in case only.
func anyCase(name string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for q := unicode.SimpleFold(r); q != r; q = unicode.SimpleFold(q) {
			least = min(least, q)
		}
		return least
	}, name)
}

// index returns the names in a folder. It may still have some that are gone.
func (d *disk) index(dir string) (map[string]string, error) {
	at := d.changed(dir)
	if x := d.names[dir]; x != nil && x.at.Equal(at) {
		return x.names, nil
	}
	es, err := d.entries(dir)
	if err != nil {
		return nil, err
	}
	x := &nameIndex{at, make(map[string]string, len(es))}
	for _, e := range es {
		x.names[anyCase(e.Name())] = e.Name()
	}
	if len(d.names) >= indexes {
		clear(d.names)
	}
	d.names[dir] = x
	return x.names, nil
}

func (d *disk) changed(dir string) (at time.Time) {
	if st, err := d.root.Lstat(dir); err == nil {
		at = st.ModTime()
	}
	return at
}

// alter changes what is in a folder, where name is new or nothing is, and keeps
// its index.
func (d *disk) alter(dir, name string, change func() error) error {
	x := d.names[dir]
	if x != nil && !x.at.Equal(d.changed(dir)) {
		x = nil
	}
	if err := change(); err != nil || x == nil {
		return err
	}
	if name != "" {
		x.names[anyCase(name)] = name
	}
	x.at = d.changed(dir)
	return nil
}

func (d *disk) entries(dir string) ([]fs.DirEntry, error) {
	f, err := d.root.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.ReadDir(-1)
}

// codeOfHost says in the machine's words what the host's file system said.
func codeOfHost(err error) Code {
	var c Code
	switch {
	case errors.As(err, &c):
		return c
	case errors.Is(err, fs.ErrNotExist):
		return FileNotFound
	case errors.Is(err, syscall.ENOTEMPTY): // is fs.ErrExist, too
		return DirNotEmpty
	case errors.Is(err, fs.ErrExist):
		return AlreadyExists
	case errors.Is(err, syscall.ENAMETOOLONG):
		return TooLong
	case errors.Is(err, syscall.ENOSPC):
		return DiskFull
	}
	return AccessDenied
}

func (d *disk) info(actual string, in fs.FileInfo) FileInfo {
	full := `C:\`
	if actual != "." {
		full += strings.ReplaceAll(actual, "/", `\`)
	}
	i := FileInfo{Path: full, Name: baseName(full), Dir: in.IsDir(), Modified: in.ModTime(), ReadOnly: in.Mode().Perm()&0o200 == 0}
	i.Hidden, i.System = in.Mode().Perm()&hiddenBit != 0, in.Mode().Perm()&systemBit != 0
	if !i.Dir {
		i.Size = in.Size()
	}
	return i
}

func (d *disk) stat(full string) (FileInfo, error) {
	if full == nul {
		return FileInfo{Path: nul, Name: "NUL"}, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	actual, in, err := d.look(full)
	if err != nil {
		return FileInfo{}, err
	}
	if in == nil {
		return FileInfo{}, fail("stat", full, FileNotFound)
	}
	return d.info(actual, in), nil
}

func (d *disk) list(full string) ([]FileInfo, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	actual, in, err := d.look(full)
	switch {
	case err != nil:
		return nil, err
	case in == nil:
		return nil, fail("list", full, PathNotFound)
	case !in.IsDir():
		return nil, fail("list", full, InvalidDirectory)
	}
	es, err := d.entries(actual)
	if err != nil {
		return nil, fail("list", full, codeOfHost(err))
	}
	var list []FileInfo
	for _, e := range es {
		if in, err := e.Info(); err == nil {
			list = append(list, d.info(path.Join(actual, e.Name()), in))
		}
	}
	slices.SortFunc(list, func(a, b FileInfo) int { return cmp.Compare(strings.ToUpper(a.Name), strings.ToUpper(b.Name)) })
	return list, nil
}

// head is the beginning of a file.
func (d *disk) head(full string, n int) ([]byte, error) {
	f, err := d.openFile(full, Mode{Read: true, ShareRead: true, ShareWrite: true, ShareDelete: true})
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, int64(n)))
}

func (d *disk) mkdir(full string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	actual, in, err := d.look(full)
	if err != nil {
		return err
	}
	if in != nil {
		return fail("mkdir", full, AlreadyExists)
	}
	if err := d.alter(path.Dir(actual), path.Base(actual), func() error { return d.root.Mkdir(actual, 0o755) }); err != nil {
		return fail("mkdir", full, codeOfHost(err))
	}
	return nil
}

func (d *disk) mkdirAll(full string) error {
	st, err := d.stat(full)
	switch {
	case err == nil && st.Dir:
		return nil
	case err == nil:
		return fail("mkdir", full, AlreadyExists)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if up := full[:strings.LastIndexByte(full, '\\')]; len(up) > 2 {
		switch err := d.mkdirAll(up); {
		case CodeOf(err) == AlreadyExists: // a file
			return fail("mkdir", full, PathNotFound)
		case err != nil:
			return err
		}
	}
	if err := d.mkdir(full); err != nil && CodeOf(err) != AlreadyExists {
		return err
	}
	return nil
}

// remove deletes a file or an empty folder.
func (d *disk) remove(full string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	actual, in, err := d.look(full)
	switch {
	case err != nil:
		return err
	case in == nil:
		return fail("delete", full, FileNotFound)
	case actual == "." || d.doomed[actual] || !in.IsDir() && in.Mode().Perm()&0o200 == 0:
		return fail("delete", full, AccessDenied)
	case d.held(actual):
		return fail("delete", full, SharingViolation)
	}
	if err := d.unlink(actual); err != nil {
		return fail("delete", full, codeOfHost(err))
	}
	return nil
}

// rename moves a file or folder. What is at the new place is an error, but for a
// file that replace allows to be replaced by a file.
func (d *disk) rename(from, to string, replace bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	src, in, err := d.look(from)
	switch {
	case err != nil:
		return err
	case in == nil:
		return fail("rename", from, FileNotFound)
	case src == "." || d.doomed[src] || d.busy(src):
		return fail("rename", from, AccessDenied)
	case d.held(src):
		return fail("rename", from, SharingViolation)
	}
	dst, there, err := d.look(to)
	switch {
	case err != nil:
		return err
	case strings.HasPrefix(dst+"/", src+"/") && dst != src:
		return fail("rename", to, SharingViolation)
	case dst == src: // only the case of a name changes, if anything
		dst = path.Join(path.Dir(src), path.Base(relative(to)))
	case there == nil:
	case !replace || there.IsDir() || in.IsDir():
		return fail("rename", to, AlreadyExists)
	case there.Mode().Perm()&0o200 == 0 || d.doomed[dst]:
		return fail("rename", to, AccessDenied)
	case d.held(dst):
		return fail("rename", to, SharingViolation)
	}
	if err := d.alter(path.Dir(src), "", func() error {
		return d.alter(path.Dir(dst), path.Base(dst), func() error { return d.root.Rename(src, dst) })
	}); err != nil {
		return fail("rename", from, codeOfHost(err))
	}
	if in.IsDir() {
		clear(d.names)
	}
	files := d.open[src] // opened with the right to be moved
	delete(d.open, src)
	for _, f := range files {
		f.key = dst
	}
	if len(files) > 0 {
		d.open[dst] = append(d.open[dst], files...)
	}
	return nil
}

func (d *disk) setReadOnly(full string, on bool) error {
	return d.touch("attributes", full, func(actual string, in fs.FileInfo) error {
		return d.root.Chmod(actual, attribute(in.Mode().Perm(), 0o200, !on || in.IsDir()))
	})
}

func (d *disk) setAttributes(full string, readOnly, hidden, system bool) error {
	return d.touch("attributes", full, func(actual string, in fs.FileInfo) error {
		mode := attribute(in.Mode().Perm(), 0o200, !readOnly || in.IsDir())
		return d.root.Chmod(actual, attribute(attribute(mode, hiddenBit, hidden), systemBit, system))
	})
}

func attribute(mode, bit fs.FileMode, on bool) fs.FileMode {
	if on {
		return mode | bit
	}
	return mode &^ bit
}

func (d *disk) setModified(full string, at time.Time) error {
	return d.touch("times", full, func(actual string, _ fs.FileInfo) error { return d.root.Chtimes(actual, at, at) })
}

func (d *disk) touch(op, full string, f func(string, fs.FileInfo) error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	actual, in, err := d.look(full)
	switch {
	case err != nil:
		return err
	case in == nil:
		return fail(op, full, FileNotFound)
	}
	if err := f(actual, in); err != nil {
		return fail(op, full, codeOfHost(err))
	}
	return nil
}
