//go:build unix

package localfile

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// ends returns what f does, or fails the test if that has no end.
func ends(t *testing.T, what string, f func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-time.After(20 * time.Second):
		t.Fatalf("%s does not end", what)
		return nil
	}
}

// What has no end, or keeps its reader waiting, is refused and not read.
func TestSpecialFiles(t *testing.T) {
	d := t.TempDir()
	pipe, link, big := filepath.Join(d, "pipe"), filepath.Join(d, "link"), filepath.Join(d, "big")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/zero", link); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(big, make([]byte, 1025), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, why := range map[string]string{
		"/dev/zero": "/dev/zero: it is a device, not a file", link: "it is a device, not a file", pipe: "it is a named pipe, not a file",
	} {
		if err := ends(t, "Read of "+path, func() error { _, err := Read(path, 1024); return err }); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("Read(%s): %v", path, err)
		}
	}
	if _, err := Read(d, 1024); err == nil || !strings.Contains(err.Error(), "it is a directory, not a file") {
		t.Error(err)
	}
	if _, err := Read(big, 1024); err == nil || !strings.HasSuffix(err.Error(), "big: it has more than 1 KiB") {
		t.Error(err)
	}
	if p, err := Read("/dev/null", 0); err != nil || len(p) > 0 {
		t.Error("the empty device", err)
	}
	if p, err := Read(big, 2048); err != nil || len(p) != 1025 {
		t.Errorf("%d bytes, %v", len(p), err)
	}
}
