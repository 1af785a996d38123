package post

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/imgflow/imgflow/dag"
)

// Where the disk is full, files are as they were, and nothing else is left.
func TestNoRoom(t *testing.T) {
	e, dir := place(t)
	small := filepath.Join(dir, "small")
	if err := os.Mkdir(small, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=64k"); err != nil {
		if os.Getenv("CI") == "true" && os.Getuid() == 0 {
			t.Fatal(err)
		}
		t.Skip("NOT TESTED: a full disk: ", err)
	}
	t.Cleanup(func() { syscall.Unmount(small, 0) })
	write(t, strings.Repeat("not much of this can be packed away, since nothing is packed at all\n", 2000), dir, "in")
	const was = `{"builds": [], "last_run_uuid": ""}`
	write(t, was, small, "m.json")
	write(t, "was", small, "sums")
	for left := 4096; left > 0; left /= 2 { // fills what is left
		f, err := os.OpenFile(filepath.Join(small, "full"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		for err == nil {
			_, err = f.Write(make([]byte, left))
		}
		f.Close()
	}
	b := dag.Build{Name: "web", Type: "file"}
	var errs [3]error
	_, errs[0] = Compress{Of: files("in"), Build: b, Output: "small/x.tar"}.Do(t.Context(), e, (&making{token: "t"}).task())
	_, errs[1] = Manifest{Of: image, Build: b, Output: "small/m.json"}.Do(t.Context(), e, (&making{run: "run1", token: "t"}).task())
	_, errs[2] = Checksum{Of: files("in"), Build: b, Output: "small/sums"}.Do(t.Context(), e, (&making{token: "t"}).task())
	for i, err := range errs {
		if !errors.Is(err, syscall.ENOSPC) || !strings.HasPrefix(err.Error(), "cannot ") {
			t.Errorf("%d: %v", i, err)
		}
	}
	if read(t, small, "m.json") != was || read(t, small, "sums") != "was" {
		t.Errorf("%q %q", read(t, small, "m.json"), read(t, small, "sums"))
	}
	if list, _ := os.ReadDir(small); len(list) != 3 {
		t.Errorf("left is %v", list)
	}
}
