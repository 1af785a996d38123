package guest

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

// unpacked is what the role that imports a root file system tells.
type unpacked struct {
	ID, Version, Title string // of its /etc/os-release
	Files              int
	Bytes              int64
	LeftOut            int
	Err                string
}

// unpackLimits bound what an archive may hold.
type unpackLimits struct {
	files int
	bytes int64
}

var rootLimits = unpackLimits{files: 4 << 20, bytes: 256 << 30}

// importRole runs with the ids of guests: args are the directory, the ids, and
// os-release where the system's name is to be found there.
func importRole(args []string) error {
	if len(args) != 3 {
		return errors.New("expected a directory, the ids and a source of the name")
	}
	var u unpacked
	err := u.make(args[0], args[1] == rootIDs.String(), args[1] == oneID.String(), args[2] == "os-release", os.Stdin)
	if err != nil {
		u.Err = err.Error()
	}
	return json.NewEncoder(os.Stdout).Encode(u)
}

func (u *unpacked) make(dir string, asRoot, one, named bool, in io.Reader) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := u.unpack(root, in, rootLimits); err != nil {
		return err
	}
	r := rootfs{root}
	if err := u.release(r, named); err != nil {
		return err
	}
	if err := errors.Join(r.whole(), r.fits()); err != nil {
		return err
	}
	return r.dress(asRoot, one)
}

// unpack writes the entries of an archive below root and nowhere else, whatever
// it holds: see [os.Root]. What a guest may not have is left out and counted.
func (u *unpacked) unpack(root *os.Root, in io.Reader, most unpackLimits) error {
	buf := bufio.NewReaderSize(in, 64<<10)
	in = buf
	if b, _ := buf.Peek(2); string(b) == "\x1f\x8b" {
		z, err := gzip.NewReader(buf)
		if err != nil {
			return fmt.Errorf("it is no gzip file: %w", err)
		}
		in = z
	}
	for t := tar.NewReader(in); ; {
		h, err := t.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("it must be a tar, gzipped or not: %w", err)
		}
		if u.Files++; u.Files > most.files {
			return fmt.Errorf("it holds more than %d files", most.files)
		}
		if h.Size > most.bytes-u.Bytes {
			return fmt.Errorf("it holds more than %d GiB", most.bytes>>30)
		}
		if err := u.entry(root, h, t); err != nil {
			return fmt.Errorf("%q: %w", h.Name, err)
		}
	}
}

func (u *unpacked) entry(root *os.Root, h *tar.Header, data io.Reader) error {
	name, err := entryName(h.Name)
	if err != nil {
		return err
	}
	if strings.HasPrefix(path.Base(name), ".wh.") {
		return errors.New("it is one layer of a container image: import a whole root file system, as of `docker export`")
	}
	mode := h.FileInfo().Mode()
	switch {
	case h.Typeflag == tar.TypeXGlobalHeader:
		u.Files--
		return nil
	case h.Typeflag != tar.TypeLink && mode.Type()&^(fs.ModeDir|fs.ModeSymlink) != 0:
		u.Files--
		u.LeftOut++
		return nil
	case name == ".":
		return nil // the root's own directory stays as guests need it
	}
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	if st, err := root.Lstat(name); err == nil && !(st.IsDir() && mode.IsDir()) { // a later entry counts
		if err := root.RemoveAll(name); err != nil {
			return err
		}
	}
	switch {
	case h.Typeflag == tar.TypeLink:
		to, err := entryName(h.Linkname)
		if err != nil {
			return err
		}
		if err := root.Link(to, name); errors.Is(err, fs.ErrNotExist) { // of what was left out
			u.Files--
			u.LeftOut++
		} else if err != nil {
			return err
		}
		return nil
	case mode&fs.ModeSymlink != 0:
		if err := root.Symlink(h.Linkname, name); err != nil {
			return err
		}
		root.Lchown(name, h.Uid, h.Gid)
		return nil
	case mode.IsDir():
		if err := root.MkdirAll(name, 0o755); err != nil {
			return err
		}
	default:
		if err := u.file(root, name, data); err != nil {
			return err
		}
	}
	root.Lchown(name, h.Uid, h.Gid) // an owner that is not mapped stays root
	if err := root.Chmod(name, mode&(fs.ModePerm|fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky)); err != nil {
		return err
	}
	return root.Chtimes(name, h.ModTime, h.ModTime)
}

func (u *unpacked) file(root *os.Root, name string, data io.Reader) error {
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	n, err := io.Copy(f, data)
	u.Bytes += n
	return errors.Join(err, f.Close())
}

// entryName is the name of an entry without what begins it, as tar itself takes it.
func entryName(name string) (string, error) {
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "", errors.New("a name with .. may lead out of the root file system")
		}
	}
	return path.Clean(strings.TrimLeft("./"+strings.TrimLeft(name, "/"), "/")), nil
}

// release reads what system it is. Where the user named it, that need not be told.
func (u *unpacked) release(r rootfs, named bool) error {
	b, err := r.read("etc/os-release", 64<<10)
	if err != nil {
		if b, err = r.read("usr/lib/os-release", 64<<10); err != nil && named {
			return errors.New("it has no /etc/os-release: it must be a whole root file system, as of `docker export` or debootstrap, or be named with --as ID:VERSION")
		}
	}
	says := map[string]string{}
	for l := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(strings.TrimSpace(l), "="); ok {
			says[k] = strings.Trim(v, `"'`)
		}
	}
	u.ID, u.Version, u.Title = says["ID"], says["VERSION_ID"], says["PRETTY_NAME"]
	if named && (!systemWord(u.ID) || u.Version != "" && !systemWord(u.Version)) {
		return fmt.Errorf("its /etc/os-release says ID=%q VERSION_ID=%q, which names no system: name it with --as ID:VERSION", u.ID, u.Version)
	}
	if len(u.Title) > 200 {
		u.Title = ""
	}
	return nil
}
