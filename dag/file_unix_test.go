//go:build unix

package dag

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

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
		if _, err := NewFile(path); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("NewFile(%s): %v", path, err)
		}
		if _, err := ReadFile(path, 1024); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("ReadFile(%s): %v", path, err)
		}
	}
	if _, err := ReadFile(d, 1024); err == nil || !strings.Contains(err.Error(), "it is a directory, not a file") {
		t.Error(err)
	}
	if _, err := ReadFile(big, 1024); err == nil || !strings.HasSuffix(err.Error(), "big: it has more than 1 KiB") {
		t.Error(err)
	}
	if f, err := NewFile("/dev/null"); err != nil || f.Digest == "" {
		t.Error("the empty device", err)
	}
	if p, err := ReadFile("/dev/null", 0); err != nil || len(p) > 0 {
		t.Error("the empty device", err)
	}
	if p, err := ReadFile(big, 2048); err != nil || len(p) != 1025 {
		t.Errorf("%d bytes, %v", len(p), err)
	}
}
