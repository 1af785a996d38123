//go:build unix

package state

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
)

// TestOddFiles puts what is no file in the place of each file of a run. Reading a
// device or a pipe may never end, and opening one may do things.
func TestOddFiles(t *testing.T) {
	place := map[string]func(path string) error{
		"a link to a device": func(p string) error { return os.Symlink("/dev/zero", p) },
		"a pipe":             func(p string) error { return syscall.Mkfifo(p, 0o600) },
		"a link to a pipe": func(p string) error {
			to := filepath.Join(filepath.Dir(p), "pipe")
			os.Remove(to)
			if err := syscall.Mkfifo(to, 0o600); err != nil {
				return err
			}
			return os.Symlink(to, p)
		},
		"a folder": func(p string) error { return os.Mkdir(p, 0o700) },
	}
	for what, put := range place {
		for _, name := range []string{summaryFile, dbFile, eventsFile, identityFile} {
			t.Run(what+" as "+name, func(t *testing.T) {
				h := home(t)
				r := create(t, h)
				r.Vault().Put("key", []byte("hunter22"))
				emit(t, r, said("x"))
				r.Close()
				path := filepath.Join(dirOf(r), name)
				if name == identityFile {
					path = filepath.Join(h.Dir(), name)
				}
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
				if err := put(path); err != nil {
					t.Fatal(err)
				}
				done := make(chan []error, 1)
				go func() {
					runs, _ := h.Runs()
					_, err1 := h.Summary(r.ID())
					_, _, err2 := h.Events(r.ID(), 0)
					h.Driven(r.ID())
					r, err3 := h.Open(r.ID())
					if err3 == nil {
						_, err3 = r.Vault().Get("key")
						r.Close()
					}
					if len(runs) != 1 {
						t.Errorf("%d runs are listed", len(runs))
					}
					done <- []error{err1, err2, err3}
				}()
				select {
				case errs := <-done:
					told := false
					for _, err := range errs {
						told = told || err != nil && strings.Contains(err.Error(), path) && strings.Contains(err.Error(), "regular file")
					}
					if !told && name != summaryFile || name == summaryFile && errs[0] == nil {
						t.Errorf("nothing says what is wrong: %v", errs)
					}
				case <-time.After(time.Minute):
					t.Fatal("it hangs")
				}
			})
		}
	}
}

// An identity that the user names may come from a pipe, as a shell makes it.
func TestIdentityFromAPipe(t *testing.T) {
	h := home(t)
	r := create(t, h)
	if err := r.Vault().Put("key", []byte("hunter22")); err != nil {
		t.Fatal(err)
	}
	r.Close()
	id, err := os.ReadFile(filepath.Join(h.Dir(), identityFile))
	if err != nil {
		t.Fatal(err)
	}
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	go os.WriteFile(pipe, id, 0)
	if got, err := open(t, h.WithIdentity(pipe), r.ID()).Vault().Get("key"); err != nil || string(got) != "hunter22" {
		t.Errorf("%q, %v", got, err)
	}
}

// A summary and a line of the log that nobody can have written are not read
// whole; what stands around such a line is.
func TestHugeFiles(t *testing.T) {
	h := home(t)
	r := create(t, h)
	emit(t, r, said("before"))
	r.Close()
	path := filepath.Join(dirOf(r), eventsFile)
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	const hole = 1 << 28
	if err := os.Truncate(path, fi.Size()+hole); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString("\n")
	f.Close()
	r = open(t, h, r.ID())
	emit(t, r, said("after"))
	events, _, err := h.Events(r.ID(), 0)
	if err != nil || len(events) != 3 || events[0].Text != "before" || events[1].Type != dag.Warned || events[2].Text != "after" {
		t.Errorf("%d events, %v: %.200v", len(events), err, events)
	}
	if err := os.Truncate(filepath.Join(dirOf(r), summaryFile), hole); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Summary(r.ID()); err == nil || !strings.Contains(err.Error(), "more than 16 MiB") {
		t.Errorf("%v", err)
	}
}

// To look at runs nothing is written, and a home that is not there has none.
func TestFindHome(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	h, err := FindHome(dir)
	if err != nil {
		t.Fatal(err)
	}
	if runs, err := h.Runs(); err != nil || len(runs) != 0 {
		t.Errorf("%v, %v", runs, err)
	}
	if h.Driven("x") {
		t.Error("a run is driven")
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the home was made: %v", err)
	}
}
