//go:build unix

package app

import (
	"io/fs"
	"os"
	"syscall"
)

// private tells whether nobody but this user can look into a directory.
func private(fi fs.FileInfo) bool {
	st, ok := fi.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid() && fi.Mode().Perm()&0o077 == 0
}
