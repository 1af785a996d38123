package main

import (
	"errors"
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
	small := smallHome(t, s)
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

// smallHome gives the stage a home of 1 MiB; with the function it is mounted again,
// with other flags and another size.
func smallHome(t *testing.T, s *stage) func(flags uintptr, size string) error {
	t.Helper()
	small := func(flags uintptr, size string) error {
		return syscall.Mount("tmpfs", s.home(), "tmpfs", flags, "size="+size)
	}
	if err := small(0, "1m"); err != nil {
		if os.Getenv("CI") != "" && os.Getuid() == 0 {
			t.Fatal(err)
		}
		t.Skipf("NOT TESTED: cannot mount a small file system (root is needed): %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(s.home(), syscall.MNT_DETACH) })
	return small
}

// TestDestroyOnAFullDisk: what exists is removed though nothing of it can be
// written down, and imgflow says what finds the rest without its files.
func TestDestroyOnAFullDisk(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	smallHome(t, s)
	s.template(nil, inline("exit 1"))
	s.fails(1, "run", "-on-error=suspend", "t.json")
	if len(s.things().living()) == 0 {
		t.Fatal("nothing is left to destroy")
	}
	f, err := os.Create(filepath.Join(s.home(), "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, n := range []int{64 << 10, 4096, 1} { // to the last byte
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, n))
		}
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	id := s.only()
	out := s.fails(1, "destroy", id, "--yes")
	for _, want := range []string{"all of it is removed", "no space left on device", "--orphans"} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, indent(out))
		}
	}
	s.leaves(0)
	for _, args := range [][]string{{"list"}, {"show", id}, {"logs", id}} {
		s.must(args...)
	}
	if err := os.Truncate(f.Name(), 0); err != nil {
		t.Fatal(err)
	}
	s.must("destroy", id, "--yes")
	if out := s.must("list"); !strings.Contains(out, "destroyed") {
		t.Errorf("with room again it says\n%s", indent(out))
	}
}

// TestHomeReadOnly: whoever only looks writes nothing, and orphans are found
// without a home that can be written, or without any.
func TestHomeReadOnly(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	small := smallHome(t, s)
	s.template(nil, inline("exit 1"))
	s.fails(1, "run", "-on-error=suspend", "t.json")
	id := s.only()
	if err := small(syscall.MS_REMOUNT|syscall.MS_RDONLY, "1m"); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"list"}, {"show", id}, {"logs", id}} {
		s.must(args...)
	}
	if out := s.fails(1, "destroy", id, "--yes"); !strings.Contains(out, "--orphans") {
		t.Errorf("it does not say what finds the things without the state:\n%s", indent(out))
	}
	for _, env := range [][]string{nil, {"IMGFLOW_HOME=", "XDG_STATE_HOME=", "HOME="}, {"IMGFLOW_HOME=" + filepath.Join(s.dir, "none")}} {
		p := s.begin(env, "destroy", "--orphans", "--region", region, "--older-than", "0s", "--dry-run")
		if out := s.ends(p, 0); !strings.Contains(out, s.machine()) {
			t.Errorf("with %q the instance is not found:\n%s", env, indent(out))
		}
	}
	s.must("destroy", "--orphans", "--region", region, "--older-than", "0s", "--yes")
	s.leaves(0)
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
