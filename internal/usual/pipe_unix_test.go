//go:build unix

package usual

import (
	"path/filepath"
	"syscall"
	"testing"
)

// A pipe in the file's place is not waited for.
func TestPipe(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "times.json")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip(err)
	}
	if a := Open(pipe); len(a.things) > 0 {
		t.Error(a.things)
	}
}
