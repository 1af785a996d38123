package state

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

// onDisk is how many records the file of a run holds.
func onDisk(r *Run) (n int) {
	dbOf(r).view(func(tx *bbolt.Tx) error {
		n = tx.Bucket([]byte(Records)).Stats().KeyN
		return nil
	})
	return n
}

func later(t *testing.T, r *Run, i int) {
	t.Helper()
	if err := r.Later(rec(i)); err != nil {
		t.Fatal(err)
	}
}

// hold keeps what is put off from now on from coming to the disk by itself, so that a
// slow machine cannot do it.
func hold(r *Run) { dbOf(r).queue.Wait = time.Hour }

// TestLater shows what brings to the disk what was put off.
func TestLater(t *testing.T) {
	for name, write := range map[string]func(r *Run) error{
		"a record":   func(r *Run) error { return r.Put(rec(3)) },
		"nothing":    func(r *Run) error { return r.Put() },
		"a document": func(r *Run) error { return r.SetDoc("meta", 1) },
		"a secret":   func(r *Run) error { return r.Vault().Put("key", []byte("hunter22")) },
	} {
		r := create(t, home(t))
		r.Put() // the salt
		hold(r)
		before := commits(r)
		later(t, r, 1)
		later(t, r, 2)
		// A look sees them, on a full disk, too.
		if rs, err := r.All(); err != nil || len(rs) != 2 {
			t.Errorf("%s: before it there are %d records, %v", name, len(rs), err)
		}
		if n := onDisk(r); n != 0 || commits(r) != before {
			t.Errorf("%s: %d records were on the disk before", name, n)
		}
		if err := write(r); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if n := onDisk(r); n < 2 || commits(r) != before+1 {
			t.Errorf("%s: %d records are on the disk after %d commits", name, n, commits(r)-before)
		}
	}

	h := home(t)
	r := create(t, h)
	hold(r)
	later(t, r, 1)
	r.Close()
	if rs, err := open(t, h, r.ID()).All(); err != nil || len(rs) != 1 {
		t.Errorf("after the end: %v, %v", rs, err)
	}
	if err := r.Later(rec(2)); err == nil {
		t.Error("something was put off in a run that is closed")
	}
}

// What was put off is lost with the process, from its end: nothing is on the disk
// without what came before it.
func TestLaterIsLost(t *testing.T) {
	h := home(t)
	r := create(t, h)
	hold(r)
	later(t, r, 1)
	if err := r.Put(rec(2)); err != nil {
		t.Fatal(err)
	}
	hold(r)
	later(t, r, 3)
	later(t, r, 2) // again
	other, err := OpenHome(t.TempDir())
	if err == nil {
		err = os.CopyFS(filepath.Join(other.Dir(), "runs"), os.DirFS(filepath.Join(h.Dir(), "runs")))
	}
	if err != nil {
		t.Fatal(err)
	}
	rs, err := open(t, other, r.ID()).All()
	if err != nil || len(rs) != 2 {
		t.Errorf("%d records, %v", len(rs), err)
	}
}

// Whoever asks sees what is not on the disk yet.
func TestLaterIsSeen(t *testing.T) {
	r := create(t, home(t))
	r.Put()
	hold(r)
	before := commits(r)
	var n int
	if err := errors.Join(r.SetDocLater("n", 1), r.SetDocLater("n", 2), r.Doc("n", &n)); err != nil || n != 2 {
		t.Errorf("the document is %d, %v", n, err)
	}
	if err := r.Vault().Later("key", []byte("hunter22")); err != nil {
		t.Error(err)
	}
	if v, err := r.Vault().Get("key"); err != nil || string(v) != "hunter22" {
		t.Errorf("the secret is %q, %v", v, err)
	}
	if commits(r) != before {
		t.Error("a look has waited for the disk")
	}
	salt, err := create(t, home(t)).Salt()
	if err != nil || len(salt) == 0 {
		t.Fatal(err)
	}
	other := create(t, home(t))
	hold(other)
	a, _ := other.Salt()
	if b, err := other.Salt(); err != nil || !bytes.Equal(a, b) {
		t.Errorf("two salts before either is on the disk, %v", err)
	}
}

// A summary that has not changed is not written again, unless the file is behind.
func TestSummaryIsNews(t *testing.T) {
	h := home(t)
	r := create(t, h)
	path := filepath.Join(dirOf(r), summaryFile)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	same := func(s *Summary) { s.Status, s.Builds = Running, append(s.Builds[:0:0], s.Builds...) }
	if err := r.SetSummary(same); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("what was no news was written")
	}
	change := func(s *Summary) { s.Builds = []BuildSummary{{Name: "a", Status: Running}} }
	if os.Rename(dirOf(r), dirOf(r)+"x"); r.SetSummary(change) == nil {
		t.Error("it was written where no directory is")
	}
	if os.Rename(dirOf(r)+"x", dirOf(r)); r.SetSummary(func(*Summary) {}) != nil {
		t.Error("the file is not written when it can be")
	}
	if s, err := h.Summary(r.ID()); err != nil || len(s.Builds) != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	if r.SetSummary(func(s *Summary) { s.Builds[0].Status = Failed }); r.sum.Builds[0].Status != Failed {
		t.Error(r.sum)
	}
	if s, err := h.Summary(r.ID()); err != nil || s.Builds[0].Status != Failed {
		t.Errorf("a build that has failed is %+v, %v", s, err)
	}
}
