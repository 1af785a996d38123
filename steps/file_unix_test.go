//go:build unix

package steps

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A file without an end, or that keeps its reader waiting, has no digest.
func TestSpecialFilesHaveNoDigest(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, why := range map[string]string{"/dev/zero": "/dev/zero: it is a device, not a file", pipe: "it is a named pipe, not a file"} {
		if _, err := NewFile(path); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("NewFile(%s): %v", path, err)
		}
	}
	if f, err := NewFile("/dev/null"); err != nil || f.Digest == "" {
		t.Error("the empty device", err)
	}
}
