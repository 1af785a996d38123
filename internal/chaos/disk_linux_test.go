package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestStateDiskFull: the disk of the state fills up in the middle of a build.
// imgflow says so, and what still exists; with more room it goes on.
func TestStateDiskFull(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	small := func(flags uintptr, size string) error {
		return syscall.Mount("tmpfs", s.home(), "tmpfs", flags, "size="+size)
	}
	if err := small(0, "1m"); err != nil {
		if os.Getenv("CI") != "" && os.Getuid() == 0 {
			t.Fatal(err)
		}
		t.Skipf("SKIPPED: cannot mount a small file system (root is needed): %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(s.home(), syscall.MNT_DETACH) })
	const lines = 8000
	s.template(nil, inline("echo once >> ~/ran", fmt.Sprintf(`i=0; while [ $i -lt %d ]; do i=$((i+1)); echo "tick <$i> %s"; done`, lines, strings.Repeat("x", 100))),
		inline(`test "$(cat ~/ran)" = once`))
	out := s.fails(1, "run", "t.json")
	if len(s.things().living()) == 0 {
		t.Fatalf("the machine is gone:\n%s", indent(out))
	}
	machine := s.machine()
	for _, want := range []string{"no space left on device", s.home(), machine, "imgflow resume", "imgflow destroy"} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, indent(out))
		}
	}
	if err := small(syscall.MS_REMOUNT, "64m"); err != nil {
		t.Fatal(err)
	}
	s.must("resume", s.only())
	seen := map[string]int{}
	for l := range strings.Lines(s.must("logs")) {
		if i, j := strings.Index(l, "<"), strings.Index(l, ">"); i >= 0 && j > i {
			seen[l[i:j]]++
		}
	}
	for i := 1; i <= lines; i++ {
		if n := seen[fmt.Sprintf("<%d", i)]; n != 1 {
			t.Fatalf("line %d stands %d times in the log", i, n)
		}
	}
	if n := s.launched(); n != 1 {
		t.Errorf("there were %d instances", n)
	}
	s.leaves(1)
}

// TestHomeNotWritable: a home that cannot be written is an error that says what
// to do, before anything is made.
func TestHomeNotWritable(t *testing.T) {
	t.Parallel()
	s := stageOf(t, imgflow(t), "--guest", "none")
	s.template(map[string]any{"communicator": "none"})
	blocked := filepath.Join(s.dir, "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p := s.begin([]string{"IMGFLOW_HOME=" + filepath.Join(blocked, "home")}, "run", "t.json")
	if out := s.ends(p, 1); !strings.Contains(out, "set IMGFLOW_HOME") {
		t.Errorf("it does not say what to do:\n%s", indent(out))
	}
	s.leaves(0)
}
