package guest

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Layers are overlay upper directories in the form that needs no privilege:
// a deleted thing is a character device 0:0, a directory that hides what is
// below it carries user.overlay.opaque.

func isWhiteout(st *unix.Stat_t) bool { return st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == 0 }

func isOpaque(p string) bool {
	b := make([]byte, 1)
	n, err := unix.Lgetxattr(p, "user.overlay.opaque", b)
	return err == nil && n == 1 && b[0] == 'y'
}

func xattrs(p string) map[string][]byte {
	out, list := map[string][]byte{}, make([]byte, 4096)
	n, err := unix.Llistxattr(p, list)
	if err != nil {
		return out
	}
	for _, k := range bytes.Split(bytes.Trim(list[:n], "\x00"), []byte{0}) {
		v := make([]byte, 4096)
		if n, err := unix.Lgetxattr(p, string(k), v); err == nil && len(k) > 0 {
			out[string(k)] = v[:n]
		}
	}
	return out
}

// copyTree copies a layer, whiteouts and opaque marks included.
func copyTree(src, dst string) error {
	seen := map[uint64]string{}
	return filepath.WalkDir(src, func(p string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // the guest runs on
		}
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(p, &st); err != nil {
			return nil
		}
		to := filepath.Join(dst, strings.TrimPrefix(p, src))
		if old := seen[st.Ino]; old != "" && st.Nlink > 1 && !d.IsDir() {
			return os.Link(old, to)
		}
		seen[st.Ino] = to
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFDIR:
			err = os.MkdirAll(to, 0o755)
		case unix.S_IFLNK:
			t, _ := os.Readlink(p)
			err = os.Symlink(t, to)
		case unix.S_IFREG:
			err = copyFile(to, p)
		default:
			err = unix.Mknod(to, st.Mode, int(st.Rdev))
		}
		if err != nil {
			return err
		}
		os.Lchown(to, int(st.Uid), int(st.Gid))
		if st.Mode&unix.S_IFMT != unix.S_IFLNK {
			unix.Chmod(to, st.Mode&0o7777)
		}
		for k, v := range xattrs(p) {
			unix.Lsetxattr(to, k, v, 0)
		}
		return unix.UtimesNanoAt(unix.AT_FDCWD, to, []unix.Timespec{st.Atim, st.Mtim}, unix.AT_SYMLINK_NOFOLLOW)
	})
}
