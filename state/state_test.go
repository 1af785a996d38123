package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/errcode"
)

func home(t testing.TB) *Home {
	t.Helper()
	h, err := OpenHome(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func create(t testing.TB, h *Home) *Run {
	t.Helper()
	r, err := h.Create(Summary{Template: "web.json"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func open(t testing.TB, h *Home, id string) *Run {
	t.Helper()
	r, err := h.Open(id)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// dbOf is the database of a run, and dirOf its directory.
func dbOf(r *Run) *database { return r.journal.(*files).db }
func dirOf(r *Run) string   { return r.journal.(*files).dir }

func rec(i int) dag.Record {
	r := dag.Record{Node: dag.Node{Name: fmt.Sprint("step-", i), Kind: "aws.launch", Spec: json.RawMessage(`{"subnet":"subnet-1"}`), Canon: strings.Repeat("canon ", 100), Thing: true}, Gen: 1, Status: dag.Done, Label: fmt.Sprint("i-", i)}
	r.Key[0], r.Key[1], r.Key[2] = byte(i), byte(i>>8), 1
	return r
}

func TestID(t *testing.T) {
	at := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	a, b := newID(at), newID(at.Add(time.Millisecond))
	if !regexp.MustCompile(`^[a-z0-9]{12}$`).MatchString(a) {
		t.Errorf("id %q", a)
	}
	if a >= b {
		t.Errorf("%q does not sort before the later %q", a, b)
	}
	if a == newID(at) {
		t.Error("two ids of one millisecond are the same")
	}
	if !idTime(a).Equal(at) {
		t.Errorf("idTime = %v", idTime(a))
	}
	if token := (dag.Record{Gen: 999}).Token(a); len(token) > 64 {
		t.Errorf("token %q has %d characters", token, len(token))
	}
}

func TestHomePlace(t *testing.T) {
	dir := t.TempDir()
	env := map[string]string{"HOME": "/home/me"}
	place := func() string {
		dir, err := DefaultDir(func(name string) string { return env[name] })
		if err != nil {
			t.Error(err)
		}
		return dir
	}
	if got := place(); runtime.GOOS == "linux" && got != "/home/me/.local/state/imgflow" {
		t.Errorf("without a word the home is %s", got)
	}
	env["XDG_STATE_HOME"] = dir
	h, err := OpenHome(place())
	if err != nil || h.Dir() != filepath.Join(dir, "imgflow") {
		t.Fatalf("home is %v, %v", h, err)
	}
	for _, d := range []string{h.Dir(), filepath.Join(h.Dir(), "runs")} {
		if fi, err := os.Stat(d); err != nil || fi.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v %v", d, fi.Mode(), err)
		}
	}
	env["IMGFLOW_HOME"] = filepath.Join(dir, "mine")
	if got := place(); got != filepath.Join(dir, "mine") {
		t.Errorf("home is %s", got)
	}
	if dir, err := DefaultDir(func(string) string { return "" }); err == nil || !strings.Contains(err.Error(), "IMGFLOW_HOME") {
		t.Errorf("from nothing comes %s, %v", dir, err)
	}

	file := filepath.Join(dir, "file")
	os.WriteFile(file, nil, 0o600)
	if _, err := OpenHome(filepath.Join(file, "home")); err == nil || !strings.Contains(err.Error(), "IMGFLOW_HOME") {
		t.Errorf("a home below a file: %v", err)
	}
}

func TestBusy(t *testing.T) {
	h := home(t)
	r := create(t, h)
	if !h.Driven(r.ID()) {
		t.Error("a created run is not driven")
	}
	_, err := h.Open(r.ID())
	var busy *BusyError
	if !errors.As(err, &busy) {
		t.Fatalf("the second opener got %v", err)
	}
	if busy.PID != os.Getpid() || busy.Command == "" || busy.Since.IsZero() || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Errorf("the busy error is %+v: %v", busy, err)
	}
	r.Close()
	if h.Driven(r.ID()) {
		t.Error("a closed run is driven")
	}
	open(t, h, r.ID())
}

func TestRuns(t *testing.T) {
	h := home(t)
	a := create(t, h)
	b := create(t, h)
	err := b.SetSummary(func(s *Summary) {
		s.Status = Done
		s.Builds = []BuildSummary{{Name: "web", Type: "amazon-ebs", Status: Done, Artifacts: []Artifact{{Region: "us-east-1", ID: "ami-1", Name: "web 1"}}}}
	})
	if err != nil {
		t.Fatal(err)
	}
	bad := newID(time.Now().Add(-time.Hour))
	os.Mkdir(h.RunDir(bad), 0o700)
	os.WriteFile(filepath.Join(h.RunDir(bad), summaryFile), []byte(`{"id":`), 0o600)
	runs, err := h.Runs()
	if err != nil || len(runs) != 3 {
		t.Fatalf("Runs = %+v, %v", runs, err)
	}
	if runs[0].ID != b.ID() || runs[1].ID != a.ID() || runs[2].ID != bad {
		t.Errorf("order: %s %s %s", runs[0].ID, runs[1].ID, runs[2].ID)
	}
	if runs[1].Status != Running || runs[2].Status != Unreadable || runs[2].Problem == "" {
		t.Errorf("%+v", runs)
	}
	var js []map[string]any
	p, _ := json.Marshal(runs)
	json.Unmarshal(p, &js)
	for _, k := range []string{"id", "status", "template", "started", "builds"} {
		if js[0][k] == nil {
			t.Errorf("a run has no %s: %v", k, js[0])
		}
	}

	if _, err := h.Open("nosuch"); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "nosuch") {
		t.Errorf("unknown run: %v", err)
	}
	if _, err := h.Summary(a.ID()[:1]); err == nil || !strings.Contains(err.Error(), a.ID()) {
		t.Errorf("ambiguous prefix: %v", err)
	}
	for _, id := range []string{"", "..", "../runs", a.ID() + "/."} {
		if _, err := h.Summary(id); err == nil {
			t.Errorf("Summary(%q) found a run", id)
		}
	}
}

func TestSummaryKeepsNoSecrets(t *testing.T) {
	args := publicArgs([]string{"imgflow", "run", "-var", "pw=hunter2", "--var=token=s3cret=", "-var-file=x.json", "web.json"})
	if strings.Contains(args, "hunter2") || strings.Contains(args, "s3cret") || !strings.Contains(args, "-var-file=x.json") || !strings.Contains(args, "pw=") {
		t.Errorf("%s", args)
	}
	h := home(t)
	r := create(t, h)
	r.Redact().Add("hunter2hunter2")
	r.SetSummary(func(s *Summary) { s.Err = "login with hunter2hunter2 failed" })
	if s, _ := h.Summary(r.ID()); strings.Contains(s.Err, "hunter2") || !strings.Contains(s.Err, "login") {
		t.Errorf("err = %q", s.Err)
	}
}

func TestSchema(t *testing.T) {
	h := home(t)
	r := create(t, h)
	if err := r.SetDoc("meta", "old"); err != nil {
		t.Fatal(err)
	}
	r.Close()
	path := filepath.Join(dirOf(r), dbFile)

	two := schema{level: 4, up: map[int]func(*bbolt.Tx) error{
		2: func(tx *bbolt.Tx) error { return tx.Bucket([]byte(Docs)).Put([]byte("meta"), Frame([]byte(`"two"`))) },
		3: func(tx *bbolt.Tx) error {
			b := tx.Bucket([]byte(Docs))
			return b.Put([]byte("three"), b.Get([]byte("meta")))
		},
	}}
	half := schema{level: 4, up: map[int]func(*bbolt.Tx) error{2: two.up[2], 3: func(*bbolt.Tx) error { return errors.New("no luck") }}}
	if _, err := openDB(path, r.ID(), existing, half); err == nil || !strings.Contains(err.Error(), "no luck") {
		t.Errorf("a migration that fails: %v", err)
	}
	var doc string
	same := open(t, h, r.ID())
	if err := same.Doc("meta", &doc); err != nil || doc != "old" {
		t.Errorf("after a failed migration: %q, %v", doc, err)
	}
	same.Close()
	if _, err := openDB(path, r.ID(), existing, schema{level: 3}); err == nil || !strings.Contains(err.Error(), "level 2 to 3") {
		t.Errorf("a level that nothing leads to: %v", err)
	}
	db, err := openDB(path, r.ID(), existing, two)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := db.get(Docs, "three"); err != nil || string(p) != `"two"` {
		t.Errorf("migrated: %s, %v", p, err)
	}
	db.close()
	if _, err := h.Open(r.ID()); errcode.Of(err) != errcode.StateNewer || !strings.Contains(err.Error(), "newer imgflow") || !strings.Contains(err.Error(), path) {
		t.Errorf("a newer level: %v", err)
	}
	if h.Driven(r.ID()) {
		t.Error("the lock is held after a refusal")
	}
}

// What an older imgflow has written is read as it is, and needs no room to be
// written anew; an older one refuses what this one has made.
func TestSchemaOfOlderRuns(t *testing.T) {
	h := home(t)
	r := create(t, h)
	r.Close()
	path := filepath.Join(dirOf(r), dbFile)
	older := schema{level: 1}
	if _, err := openDB(path, r.ID(), existing, older); err == nil || !strings.Contains(err.Error(), "newer imgflow (level 2; this one knows up to 1)") {
		t.Errorf("an older imgflow: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	db, err := openDB(path, r.ID(), fresh, older)
	if err != nil {
		t.Fatal(err)
	}
	db.close()
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if db, err = openDB(path, r.ID(), existing, current); err != nil {
		t.Fatal(err)
	}
	db.close()
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("it was changed: %v", err)
	}
	if db, err = openDB(path, r.ID(), existing, older); err != nil {
		t.Errorf("an older imgflow cannot go on with its own run: %v", err)
	} else {
		db.close()
	}
}

var damaged = flag.Int("damaged", 100, "files that TestDamage flips bytes of")

// TestDamage flips and cuts bytes all over the file: whatever happens, it is an
// error that names the file, or the data is right.
func TestDamage(t *testing.T) {
	h := home(t)
	r := create(t, h)
	var rs []dag.Record
	for i := range 120 {
		rs = append(rs, rec(i))
		if err := r.Put(rec(i)); err != nil {
			t.Fatal(err)
		}
	}
	r.SetDoc("meta", "kept")
	r.Close()
	path := filepath.Join(dirOf(r), dbFile)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprint(rs)
	rng := rand.New(rand.NewPCG(1, 2))
	n := *damaged
	silent, refused := 0, 0
	try := func(what string, content []byte) {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		err := func() error {
			r, err := h.Open(r.ID())
			if err != nil {
				return err
			}
			defer r.Close()
			got, err := r.All()
			if err != nil {
				return err
			}
			if fmt.Sprint(got) != want {
				t.Errorf("%s: %d records of %d, wrong without an error", what, len(got), len(rs))
			}
			for i := range 40 {
				if err := r.Put(rec(1000 + i)); err != nil {
					return err
				}
			}
			_, err = r.All()
			return err
		}()
		if err == nil {
			silent++
			return
		}
		refused++
		var corrupt *CorruptError
		if !errors.As(err, &corrupt) || errcode.Of(err) != errcode.StateDamaged || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "--orphans") {
			t.Errorf("%s: %v", what, err)
		}
	}
	for range n {
		bad := bytes.Clone(good)
		at := rng.IntN(len(bad))
		bad[at] ^= byte(1 + rng.IntN(255))
		try(fmt.Sprintf("byte %d is %#x", at, bad[at]), bad)
	}
	for range n / 5 {
		bad := bytes.Clone(good)
		page := rng.IntN(len(bad)/4096) * 4096
		for i := range 64 {
			bad[page+i] ^= byte(rng.Uint32())
		}
		try(fmt.Sprintf("the head of page %d is noise", page/4096), bad)
	}
	for range n / 5 {
		size := rng.IntN(len(good))
		try(fmt.Sprintf("cut to %d bytes", size), good[:size])
	}
	try("empty", nil)
	try("text", []byte(strings.Repeat("this is no database\n", 1000)))
	t.Logf("%d refused, %d unharmed", refused, silent)
	if refused == 0 {
		t.Error("no damage was ever noticed")
	}
}

func TestConcurrentWritesShareCommits(t *testing.T) {
	h := home(t)
	r := create(t, h)
	before := commits(r)
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			if err := r.Put(rec(i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := commits(r) - before; n >= 64 {
		t.Errorf("64 concurrent puts took %d commits", n)
	}
}

func commits(r *Run) int {
	var id int
	dbOf(r).view(func(tx *bbolt.Tx) error { id = tx.ID(); return nil })
	return id
}

// A process that dies while it makes a run leaves one that can be opened, and
// that has made nothing.
func TestDeathWhileCreating(t *testing.T) {
	h := home(t)
	stages := map[string]func(db string) error{
		"directory":       func(string) error { return nil },
		"empty file":      func(db string) error { return os.WriteFile(db, nil, 0o600) },
		"empty database":  func(db string) error { b, err := bbolt.Open(db, 0o600, nil); return errors.Join(err, b.Close()) },
		"before the rest": func(db string) error { d, err := openDB(db, "r", fresh, current); return errors.Join(err, d.close()) },
	}
	for name, die := range stages {
		id := newID(time.Now())
		if err := os.Mkdir(h.RunDir(id), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := die(filepath.Join(h.RunDir(id), dbFile)); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			r, err := h.Open(id)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if rs, err := r.All(); err != nil || len(rs) > 0 {
				t.Errorf("%s: %v, %v", name, rs, err)
			}
			if _, err := r.Graph(); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: graph: %v", name, err)
			}
			if err := r.Close(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if s, err := h.Summary(id); err != nil || s.Status != Interrupted {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
}
