package tree

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"
)

// What is no file is left out and told, behind a link, too.
func TestDevices(t *testing.T) {
	t.Parallel()
	base := lay(t, "t/f", "t/null -> /dev/null", "t/in -> pipe")
	if err := syscall.Mkfifo(base+"/t/pipe", 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", base+"/t/sock")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	all, notes, err := list(t, Walk{}, base+"/t")
	why := ": it is neither a file nor a directory nor a symbolic link to one"
	if want := []string{"in" + why, "null" + why, "pipe" + why, "sock" + why}; err != nil || !slices.Equal(all, []string{"f = t/f"}) || !slices.Equal(notes, want) {
		t.Errorf("%q %q %v", all, notes, err)
	}
}

// What is there and cannot be read is an error: without it the copy would not be
// what was asked for.
func TestUnreadable(t *testing.T) {
	for _, path := range []string{"t/closed", "o/closed"} {
		base := lay(t, "t/f", path+"/f", "t/l -> ../"+path+"/f")
		for dir, mode := range map[string]os.FileMode{filepath.Dir(base): 0o755, base: 0o755, base + "/" + path: 0} {
			if err := os.Chmod(dir, mode); err != nil {
				t.Fatal(err)
			}
		}
		failed := make(chan error)
		go func() {
			// Root reads everything; this thread, which ends with the goroutine, is somebody else.
			runtime.LockOSThread()
			if os.Getuid() == 0 {
				syscall.Setfsuid(65534)
			}
			failed <- Walk{}.Each(base+"/t", func(Entry) error { return nil })
		}()
		if err := <-failed; !errors.Is(err, fs.ErrPermission) {
			t.Error(path, err)
		}
		os.Chmod(base+"/"+path, 0o755)
	}
}
