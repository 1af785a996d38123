package state

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/imgflow/imgflow/dag"
)

// onDisk is how many records the file of a run holds.
func onDisk(r *Run) (n int) {
	r.db.view(func(tx *bbolt.Tx) error {
		n = tx.Bucket(recordsBucket).Stats().KeyN
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

// hold keeps what was put off from coming to the disk by itself, so that a slow
// machine cannot do it.
func hold(r *Run) {
	r.db.mu.Lock()
	defer r.db.mu.Unlock()
	r.db.timer = time.AfterFunc(time.Hour, func() {})
}

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
		if r.db.timer != nil {
			t.Errorf("%s: there is a timer though nothing is put off", name)
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

// What nobody asks for comes to the disk after a moment, or when there is much of it.
func TestLaterIsBounded(t *testing.T) {
	r := create(t, home(t))
	later(t, r, 1)
	for end := time.Now().Add(time.Minute); onDisk(r) == 0; time.Sleep(putOff / 20) {
		if time.Now().After(end) {
			t.Fatal("it is not on the disk after a minute")
		}
	}
	hold(r)
	for i := range 2 * mostPutOff {
		later(t, r, 2+i)
	}
	if n := onDisk(r); n < mostPutOff {
		t.Errorf("%d records of %d are on the disk", n, 1+2*mostPutOff)
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

// A commit that fails loses nothing that nobody was told of, and what came later is
// not on the disk without it.
func TestLaterIsTriedAgain(t *testing.T) {
	r := create(t, home(t))
	r.Put()
	hold(r)
	later(t, r, 1)
	later(t, r, 3)
	tx, err := r.db.db.Begin(true) // the commit waits for it
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan error)
	go func() {
		// A key that bbolt refuses stands for a full disk.
		failed <- r.db.write(put{bucket: recordsBucket, value: []byte("x")})
	}()
	for flying := false; !flying; time.Sleep(time.Millisecond) {
		r.db.mu.Lock()
		flying = r.db.flying != nil
		r.db.mu.Unlock()
	}
	newer := rec(1)
	newer.Status = dag.Gone
	if err := r.Later(newer); err != nil {
		t.Fatal(err)
	}
	tx.Rollback()
	if err := <-failed; err == nil {
		t.Fatal("a write without a key")
	}
	if n := onDisk(r); n != 0 {
		t.Fatalf("%d records of a commit that failed", n)
	}
	if err := r.Put(rec(2)); err != nil {
		t.Fatal(err)
	}
	rs, err := r.All()
	if err != nil || len(rs) != 3 || rs[0].Status != dag.Gone {
		t.Errorf("%d records, the first of which is %s, %v", len(rs), rs[0].Status, err)
	}
}

// A flush waits for the commit that is on its way, too.
func TestFlushWaits(t *testing.T) {
	r := create(t, home(t))
	r.Put()
	hold(r)
	later(t, r, 1)
	r.db.mu.Lock()
	c := r.db.next
	c.led, r.db.next, r.db.flying = true, nil, c // as somebody has who carries it out
	r.db.mu.Unlock()
	flushed := make(chan error, 1)
	go func() { flushed <- r.Put() }()
	select {
	case err := <-flushed:
		t.Errorf("it has not waited: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	c.err = errors.New("no room")
	close(c.done)
	if err := <-flushed; !errors.Is(err, c.err) {
		t.Errorf("it ends with %v", err)
	}
	r.db.flying = nil
}

// A summary that has not changed is not written again, unless the file is behind.
func TestSummaryIsNews(t *testing.T) {
	h := home(t)
	r := create(t, h)
	path := filepath.Join(r.Dir(), summaryFile)
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
	if os.Rename(r.Dir(), r.Dir()+"x"); r.SetSummary(change) == nil {
		t.Error("it was written where no directory is")
	}
	if os.Rename(r.Dir()+"x", r.Dir()); r.SetSummary(func(*Summary) {}) != nil {
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
