package state

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/errcode"
)

// tiny mounts a file system of so many bytes.
func tiny(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("NOT TESTED: a full disk: cannot mount a small file system (root is needed): %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

func TestFullDisk(t *testing.T) {
	dir := tiny(t, "1m")
	h, err := OpenHome(dir)
	if err != nil {
		t.Fatal(err)
	}
	r := create(t, h)
	n, m := 0, 0
	big := rec(1)
	big.Canon = strings.Repeat("x", 20000)
	for err = nil; err == nil && n < 1000; n++ {
		big.Key[0], big.Key[1] = byte(n), byte(n>>8)
		err = r.Put(big)
	}
	n-- // the last one failed
	var full *WriteError
	if !errors.As(err, &full) || !errors.Is(err, syscall.ENOSPC) || errcode.Of(err) != errcode.StateUnwritable {
		t.Fatalf("after %d records: %v", n, err)
	}
	for _, want := range []string{dbOf(r).path, "i-1", "imgflow destroy " + r.ID()} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q: %v", want, err)
		}
	}
	for err = nil; err == nil && m < 100000; m++ {
		err = r.Emit(said(strings.Repeat("y", 1000)))
	}
	m--
	if !errors.As(err, &full) || !strings.Contains(err.Error(), eventsFile) || !strings.Contains(err.Error(), "i-1") {
		t.Fatalf("after %d events: %v", m, err)
	}
	if err := r.SetSummary(func(s *Summary) { s.Status = Failed }); !errors.As(err, &full) {
		t.Errorf("summary on a full disk: %v", err)
	}
	if s, err := h.Summary(r.ID()); err != nil || s.Status != Running {
		t.Errorf("the summary of before is %+v, %v", s, err)
	}
	if rs, err := r.All(); err != nil || len(rs) != n {
		t.Errorf("%d of %d records, %v", len(rs), n, err)
	}
	if events, _, err := h.Events(r.ID(), 0); err != nil || len(events) != m {
		t.Errorf("%d of %d events, %v", len(events), m, err)
	}
	if _, err := h.Create(Summary{}); err == nil {
		t.Error("a run was begun on a full disk")
	}

	// With room again, everything goes on: no half line, no lost record.
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=8m"); err != nil {
		t.Fatal(err)
	}
	emit(t, r, said("room"))
	if err := r.Put(rec(5000)); err != nil {
		t.Error(err)
	}
	r.Close()
	r = open(t, h, r.ID())
	if rs, err := r.All(); err != nil || len(rs) != n+1 {
		t.Errorf("%d of %d records, %v", len(rs), n+1, err)
	}
	events, _, err := h.Events(r.ID(), 0)
	if err != nil || len(events) != m+1 || events[m].Text != "room" {
		t.Errorf("%d of %d events, %v", len(events), m+1, err)
	}
	for _, e := range events {
		if e.Type == dag.Warned {
			t.Error(e.Text)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dirOf(r), ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestReadOnlyHome(t *testing.T) {
	dir := tiny(t, "1m")
	os.Mkdir(filepath.Join(dir, "runs"), 0o700)
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenHome(dir); err == nil || !strings.Contains(err.Error(), "IMGFLOW_HOME") || !strings.Contains(err.Error(), dir) {
		t.Errorf("%v", err)
	}
}
