package files

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/cputime"
	"github.com/imgflow/imgflow/internal/localfile"
)

// lid is a vault that hides what it seals.
type lid struct{}

func (lid) Seal(p []byte) ([]byte, error) { return append([]byte("sealed "), rot(p)...), nil }

func (lid) Unseal(p []byte) ([]byte, error) {
	p, ok := bytes.CutPrefix(p, []byte("sealed "))
	if !ok {
		return nil, errors.New("it is not sealed")
	}
	return rot(p), nil
}

func rot(p []byte) []byte {
	q := bytes.Clone(p)
	for i := range q {
		q[i] ^= 0x55
	}
	return q
}

// fleet are workers of one run, with what the records say.
type fleet struct {
	t     *testing.T
	store Store
	recs  map[dag.Key]dag.Record
}

func newFleet(t *testing.T) *fleet { return &fleet{t, memory{}, map[dag.Key]dag.Record{}} }

// computer is one of the workers.
type computer struct {
	*fleet
	folder Folder
	made   *Made
}

func (f *fleet) computer() *computer {
	f.t.Helper()
	w := &computer{f, Folder(filepath.Join(f.t.TempDir(), "folder")), NewMade(f.store, lid{})}
	if err := (&Manifest{Place: Place{Cwd: "/w", Dir: "/w"}}).Lay(f.t.Context(), w.folder, f.store, nil); err != nil {
		f.t.Fatal(err)
	}
	return w
}

// keeper is the host of a step, which keeps what it saves.
type keeper struct {
	dag.Host
	f    *fleet
	key  dag.Key
	fail error
	said []string
}

func (k *keeper) Save(name string, value json.RawMessage) error {
	if k.fail == nil {
		k.f.recs[k.key] = dag.Record{Node: dag.Node{Key: k.key}, Status: dag.Done, State: map[string]json.RawMessage{name: value}}
	}
	return k.fail
}

func (k *keeper) Emit(e dag.Event) error { k.said = append(k.said, e.Text); return nil }

// do does a step, whose notes do writes.
func (w *computer) do(n byte, spec string, h *keeper, do func(root string) []localfile.Note) dag.Result {
	w.t.Helper()
	for _, r := range w.recs {
		w.made.Learn(r)
	}
	if h == nil {
		h = &keeper{}
	}
	h.f, h.key = w.fleet, dag.Key{n}
	m := &Manifest{Place: Place{Cwd: "/w", Dir: "/w"}}
	r := m.Runner(runner(func(c dag.Call, _ dag.Host) dag.Result {
		if err := localfile.AddNotes(filepath.Join(w.folder.Notes(), c.Token), do(w.folder.Root())...); err != nil {
			w.t.Fatal(err)
		}
		return dag.Result{Class: dag.OK}
	}), w.folder, w.made, func(string) bool { return true }, func(json.RawMessage) bool { return false })
	return r.Do(w.t.Context(), dag.Call{Key: h.key, Token: fmt.Sprintf("token-%d", n), Spec: json.RawMessage(spec), State: w.recs[h.key].State}, h)
}

func put(t *testing.T, path, text string, mode fs.FileMode) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = os.WriteFile(path, []byte(text), mode)
	}
	if err == nil {
		err = os.Chmod(path, mode)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func held(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "nothing"
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func line(text string) *localfile.Addition { return &localfile.Addition{Line: text + "\n"} }

// What a step has written lies on each computer whose step comes after it, once, as it was; and what is or may
// be secret is sealed.
func TestWhatStepsWriteGoesAlong(t *testing.T) {
	f := newFleet(t)
	one, two := f.computer(), f.computer()
	res := one.do(1, `{}`, nil, func(root string) []localfile.Note {
		put(t, root+"/w/run.sh", "#!/bin/sh", 0o755)
		put(t, root+"/w/key", "hunTer2", 0o600)
		put(t, root+"/w/gone", "", 0o600)
		if err := os.Symlink("run.sh", root+"/w/link"); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("/etc/passwd", root+"/w/out"); err != nil {
			t.Fatal(err)
		}
		return []localfile.Note{{Path: "/w/run.sh"}, {Path: "/w/key"}, {Path: "/w/gone"}, {Path: "/w/link"}, {Path: "/w/sums", Add: line("a"), Mode: 0o644}}
	})
	if res.Class != dag.OK || len(f.recs) != 1 {
		t.Fatalf("%+v", res)
	}
	two.do(2, `{}`, nil, func(root string) []localfile.Note {
		if got := held(t, root+"/w/link") + held(t, root+"/w/key") + held(t, root+"/w/sums"); got != "#!/bin/shhunTer2a\n" {
			t.Errorf("there is %q", got)
		}
		for name, mode := range map[string]fs.FileMode{"run.sh": 0o755, "key": 0o600, "sums": 0o644} {
			a, err1 := os.Stat(one.folder.Root() + "/w/" + name)
			b, err2 := os.Stat(root + "/w/" + name)
			if err2 != nil || b.Mode() != mode || err1 == nil && name != "sums" && !a.ModTime().Equal(b.ModTime()) {
				t.Errorf("%s: %v %v", name, b, err2)
			}
		}
		put(t, root+"/w/next", "from a secret, perhaps", 0o644)
		return []localfile.Note{{Path: "/w/next"}, {Path: "/w/gone", Gone: true}, {Path: "/w/sums", Add: line("b"), Mode: 0o644}, {Path: "/w/sums", Add: line("c"), Mode: 0o644}}
	})
	one.do(3, `{}`, nil, func(root string) []localfile.Note {
		if got := held(t, root+"/w/sums") + held(t, root+"/w/gone"); got != "a\nb\nc\nnothing" {
			t.Errorf("the first one has %q", got)
		}
		return nil
	})
	for _, p := range f.store.(memory) {
		if bytes.Contains(p, []byte("hunTer2")) || bytes.Contains(p, []byte("from a secret")) {
			t.Errorf("the store has %q", p)
		}
	}
	// Another process of the same computer does nothing again.
	same := &computer{f, one.folder, NewMade(f.store, lid{})}
	same.do(4, `{}`, nil, func(root string) []localfile.Note {
		if got := held(t, root+"/w/sums"); got != "a\nb\nc\n" {
			t.Errorf("it has %q", got)
		}
		return nil
	})
}

// A step whose computer dies between making and keeping is done again elsewhere: what it has added is there once.
func TestWhatWasNotKeptIsMadeAgain(t *testing.T) {
	f := newFleet(t)
	one, two := f.computer(), f.computer()
	note := func(root string) []localfile.Note {
		put(t, root+"/w/made", "made", 0o644)
		return []localfile.Note{{Path: "/w/made"}, {Path: "/w/sums", Add: line("a"), Mode: 0o644}}
	}
	if res := one.do(1, `{}`, &keeper{fail: errors.New("the database is gone")}, note); res.Class != dag.NotKept || !strings.Contains(res.Err, "the database is gone") {
		t.Errorf("%+v", res)
	}
	found := (&Manifest{}).Runner(runner(func(dag.Call, dag.Host) dag.Result { return dag.Result{Class: dag.OK} }), one.folder, one.made, func(string) bool { return true }, func(json.RawMessage) bool { return false }).
		Find(t.Context(), dag.Call{Key: dag.Key{1}}, nil)
	if found.Class != dag.NotFound {
		t.Errorf("what nobody else can have is found: %+v", found)
	}
	two.do(1, `{}`, nil, note)
	for _, w := range []*computer{one, two, f.computer()} {
		w.do(2, `{}`, nil, func(root string) []localfile.Note {
			if got := held(t, root+"/w/made") + held(t, root+"/w/sums"); got != "madea\n" {
				t.Errorf("there is %q", got)
			}
			return nil
		})
	}
}

// What a first attempt has written stays written when the second one finds it there; what both add is there once.
func TestWhatAnEarlierAttemptHasWritten(t *testing.T) {
	f := newFleet(t)
	one := f.computer()
	one.do(1, `{}`, nil, func(root string) []localfile.Note {
		put(t, root+"/w/first", "first", 0o644)
		put(t, root+"/w/both", "once", 0o644)
		return []localfile.Note{{Path: "/w/first"}, {Path: "/w/both"}, {Path: "/w/sums", Add: line("a"), Mode: 0o644}}
	})
	f.computer().do(1, `{}`, nil, func(root string) []localfile.Note {
		put(t, root+"/w/both", "twice", 0o644)
		return []localfile.Note{{Path: "/w/both"}, {Path: "/w/sums", Add: line("a"), Mode: 0o644}}
	})
	f.computer().do(2, `{}`, nil, func(root string) []localfile.Note {
		if got := held(t, root+"/w/first") + held(t, root+"/w/both") + held(t, root+"/w/sums"); got != "firsttwicea\n" {
			t.Errorf("there is %q", got)
		}
		return nil
	})
}

// bringTo brings all that was made to a folder; what was refused is returned by its path.
func (f *fleet) bringTo(run, memory string, place func(path string) (Spot, string)) map[string]string {
	f.t.Helper()
	m := NewMade(f.store, lid{})
	for _, r := range f.recs {
		m.Learn(r)
	}
	not, err := m.Bring(f.t.Context(), Bringing{Run: run, Place: place, Memory: memory})
	if err != nil {
		f.t.Fatal(err)
	}
	why := map[string]string{}
	for _, r := range not {
		why[r.Path] = r.Why
	}
	return why
}

func entry(run, text string) *localfile.Addition {
	return &localfile.Addition{Entry: json.RawMessage(`{"x":"` + text + `"}`), Run: run}
}

// What is brought is there once, however often; a file that steps add to keeps what others have added.
func TestBroughtOnce(t *testing.T) {
	f := newFleet(t)
	w := f.computer()
	w.do(1, `{}`, nil, func(root string) []localfile.Note {
		put(t, root+"/w/key", "hunTer2", 0o600)
		put(t, root+"/w/sub/old", "old", 0o644)
		return []localfile.Note{{Path: "/w/key"}, {Path: "/w/sub"}, {Path: "/w/sub/old"}, {Path: "/w/m", Add: entry("r", "a"), Mode: 0o644}, {Path: "/w/sums", Add: line("a"), Mode: 0o644}}
	})
	home, memory := t.TempDir(), filepath.Join(t.TempDir(), "brought")
	put(t, home+"/m", `{"builds":[{"x":"theirs"}],"last_run_uuid":"q"}`, 0o640)
	put(t, home+"/sums", "theirs", 0o644)
	over := func(path string) (Spot, string) {
		return Spot{Base: home, Rel: strings.TrimPrefix(path, "/w/"), Over: true}, ""
	}
	for range 2 {
		if why := f.bringTo("r", memory, over); len(why) > 0 {
			t.Errorf("refused: %q", why)
		}
		if got := held(t, home+"/key") + held(t, home+"/sub/old") + held(t, home+"/sums"); got != "hunTer2oldtheirs\na\n" {
			t.Errorf("there is %q", got)
		}
	}
	w.do(2, `{}`, nil, func(root string) []localfile.Note {
		put(t, root+"/w/sub/old", "new", 0o644)
		return []localfile.Note{{Path: "/w/sub/old"}, {Path: "/w/m", Add: entry("r", "b"), Mode: 0o644}}
	})
	put(t, home+"/key", "mine by now", 0o600)
	f.bringTo("r", memory, over)
	var m struct {
		Builds []struct{ X string }
		Run    string `json:"last_run_uuid"`
	}
	if err := json.Unmarshal([]byte(held(t, home+"/m")), &m); err != nil || fmt.Sprint(m) != "{[{theirs} {a} {b}] r}" {
		t.Errorf("the manifest is %v, %v", m, err)
	}
	if got := held(t, home+"/key") + held(t, home+"/sub/old"); got != "mine by nownew" {
		t.Errorf("there is %q", got)
	}
	for name, mode := range map[string]fs.FileMode{"key": 0o600, "m": 0o640, "sub/old": 0o644} {
		if fi, err := os.Stat(home + "/" + name); err != nil || fi.Mode() != mode {
			t.Errorf("%s: %v %v", name, fi, err)
		}
	}
	// A process that is killed between writing and noting it does not add twice.
	for _, n := range []string{"m"} {
		b := Bringing{Memory: memory}
		k, err := b.known(home + "/" + n)
		if err != nil {
			t.Fatal(err)
		}
		k.Pending, k.Next, k.Adds = k.Digest, k.Adds[1:], k.Adds[:1]
		if err := b.keep(k); err != nil {
			t.Fatal(err)
		}
	}
	f.bringTo("r", memory, over)
	if again := held(t, home+"/m"); strings.Count(again, `"b"`) != 1 {
		t.Errorf("the manifest is %s", again)
	}
	// What the run has not any more goes, but for what somebody has changed.
	delete(f.recs, dag.Key{1})
	delete(f.recs, dag.Key{2})
	made := NewMade(f.store, lid{})
	put(t, home+"/sub/old", "new", 0o644)
	if err := made.Forget(t.Context(), Bringing{Run: "r", Memory: memory}); err != nil {
		t.Fatal(err)
	}
	if got := held(t, home+"/key") + held(t, home+"/sub/old"); got != "mine by nownothing" {
		t.Errorf("there is %q", got)
	}
}

// A worker, or who can write to the store, has nothing written here but where it may be.
func TestWhatIsNotBrought(t *testing.T) {
	home := t.TempDir()
	outside := filepath.Join(t.TempDir(), "outside")
	put(t, outside, "safe", 0o644)
	put(t, home+"/there", "mine", 0o644)
	put(t, home+"/sums", "mine\n", 0o644)
	put(t, home+"/file", "", 0o644)
	for _, err := range []error{os.Symlink(outside, home+"/link"), os.Symlink(filepath.Dir(outside), home+"/dir"), os.Symlink("sub", home+"/inner"), os.Mkdir(home+"/sub", 0o755)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	store := memory{}
	text, _ := store.PutBlob(strings.NewReader("evil"))
	regular := func(path string) Item {
		return Item{Entry: Entry{Path: path, Mode: 0o644, Size: 4, Pieces: []string{text}}}
	}
	for name, x := range map[string]struct {
		it  Item
		why string
	}{
		"over another":          {regular("/w/there"), "another is there already"},
		"added to another":      {Item{Entry: Entry{Path: "/w/sums", Mode: 0o644}, Add: line("x")}, "another is there already"},
		"no manifest":           {Item{Entry: Entry{Path: "/w/there", Mode: 0o644}, Add: entry("r", "x")}, "is no manifest"},
		"through a link":        {regular("/w/link"), "it is a link here"},
		"below a link":          {regular("/w/dir/outside"), "dir is no directory here"},
		"below a link inside":   {regular("/w/inner/x"), "inner is no directory here"},
		"below a file":          {regular("/w/file/x"), "file is no directory here"},
		"a link that leads out": {Item{Entry: Entry{Path: "/w/l", Mode: fs.ModeSymlink, Link: "../../x"}}, "leads elsewhere"},
		"an absolute link":      {Item{Entry: Entry{Path: "/w/l", Mode: fs.ModeSymlink, Link: "/etc"}}, "leads elsewhere"},
		"a device":              {Item{Entry: Entry{Path: "/w/x", Mode: fs.ModeDevice | 0o600}}, "neither a file nor a directory"},
		"too long":              {Item{Entry: Entry{Path: "/w/x", Mode: 0o644, Size: 3, Pieces: []string{text}}}, "longer than it should be"},
		"too short":             {Item{Entry: Entry{Path: "/w/x", Mode: 0o644, Size: 5, Pieces: []string{text}}}, "should have 5"},
		"not sealed":            {Item{Entry: Entry{Path: "/w/x", Mode: 0o644, Size: 4, Secret: true, Pieces: []string{text}}}, "not sealed"},
		"up":                    {regular("/w/../../x"), "leads elsewhere"},
	} {
		t.Run(name, func(t *testing.T) {
			l, _ := json.Marshal(list{Items: []Item{x.it}})
			sum, _ := store.PutBlob(bytes.NewReader(l))
			value, _ := json.Marshal(ref{List: sum})
			m := NewMade(store, lid{})
			m.Learn(dag.Record{Node: dag.Node{Key: dag.Key{1}}, State: map[string]json.RawMessage{dag.Besides: value}})
			not, err := m.Bring(t.Context(), Bringing{Run: "r", Memory: t.TempDir(), Place: func(path string) (Spot, string) {
				return Spot{Base: home, Rel: strings.TrimPrefix(path, "/w/")}, ""
			}})
			why := fmt.Sprint(err)
			if len(not) > 0 {
				why = not[0].Why
			}
			if !strings.Contains(why, x.why) {
				t.Errorf("%q", why)
			}
		})
	}
	if got := held(t, outside) + held(t, home+"/there") + held(t, home+"/sums"); got != "safemine"+"mine\n" {
		t.Errorf("there is %q", got)
	}
	left, _ := filepath.Glob(home + "/*")
	for i := range left {
		left[i] = filepath.Base(left[i])
	}
	if want := []string{"dir", "file", "inner", "link", "sub", "sums", "there"}; !slices.Equal(left, want) {
		t.Errorf("there is %q", left)
	}
}

// stranger is a vault that can open nothing.
type stranger struct{ lid }

func (stranger) Unseal([]byte) ([]byte, error) { return nil, errors.New("it is sealed for others") }

// gone is a store that cannot be reached for one thing.
type gone struct {
	Store
	sum string
}

func (g gone) Blob(sum string) ([]byte, error) {
	if sum == g.sum {
		return nil, errors.New("the database is away")
	}
	return g.Store.Blob(sum)
}

// What cannot be opened or written keeps nothing else from coming; a store that cannot be read does.
func TestOneFileStopsNoOther(t *testing.T) {
	f := newFleet(t)
	f.computer().do(1, `{}`, nil, func(root string) []localfile.Note {
		put(t, root+"/w/a-key", "hunTer2", 0o600)
		put(t, root+"/w/c-nowhere", "c", 0o644)
		put(t, root+"/w/d", "d", 0o644)
		return []localfile.Note{{Path: "/w/c-nowhere"}, {Path: "/w/d"}, {Path: "/w/a-key"}, {Path: "/w/b-sums", Add: line("b"), Mode: 0o600}}
	})
	home := t.TempDir()
	put(t, home+"/file", "", 0o644)
	b := Bringing{Run: "r", Memory: t.TempDir(), Place: func(path string) (Spot, string) {
		switch name := filepath.Base(path); name {
		case "c-nowhere":
			return Spot{Base: home + "/file/below", Rel: name, Over: true}, ""
		default:
			return Spot{Base: home, Rel: name, Over: true}, ""
		}
	}}
	bring := func(v Vault, s Store) (told []string, err error) {
		m := NewMade(s, v)
		m.Learn(f.recs[dag.Key{1}])
		not, err := m.Bring(t.Context(), b)
		for _, r := range not {
			told = append(told, fmt.Sprintf("%s %t %s", filepath.Base(r.Path), r.Failed, r.Why))
		}
		return told, err
	}
	told, err := bring(stranger{}, f.store)
	if all := strings.Join(told, "\n"); err != nil || len(told) != 3 || strings.Count(all, "true cannot write "+home) != 3 || strings.Count(all, "it is sealed for others") != 2 {
		t.Errorf("%v, and these were told:\n%s", err, all)
	}
	if got := held(t, home+"/a-key") + " " + held(t, home+"/b-sums") + " " + held(t, home+"/d"); got != "nothing nothing d" {
		t.Errorf("there is %s", got)
	}
	// With the right identity the rest comes.
	if told, err := bring(lid{}, f.store); err != nil || len(told) != 1 {
		t.Errorf("%v, and these were told:\n%q", err, told)
	}
	if got := held(t, home+"/a-key") + " " + held(t, home+"/b-sums"); got != "hunTer2 b\n" {
		t.Errorf("there is %s", got)
	}
	b.Memory = t.TempDir()
	sum, _ := f.store.PutBlob(strings.NewReader("d"))
	if _, err := bring(lid{}, gone{f.store, sum}); err == nil || !strings.Contains(err.Error(), "the database is away") {
		t.Errorf("without its database: %v", err)
	}
}

// Whoever has the store, and no identity, can open a private file to nobody.
func TestAPrivateFileStaysPrivate(t *testing.T) {
	f := newFleet(t)
	f.computer().do(1, `{}`, nil, func(root string) []localfile.Note {
		put(t, root+"/w/key", "hunTer2", 0o600)
		return []localfile.Note{{Path: "/w/key"}}
	})
	var r ref
	if err := json.Unmarshal(f.recs[dag.Key{1}].State[dag.Besides], &r); err != nil {
		t.Fatal(err)
	}
	text, _ := f.store.Blob(r.List)
	r.List, _ = f.store.PutBlob(strings.NewReader(strings.ReplaceAll(string(text), `"mode":384`, `"mode":420`)))
	value, _ := json.Marshal(r)
	f.recs[dag.Key{1}] = dag.Record{Node: dag.Node{Key: dag.Key{1}}, State: map[string]json.RawMessage{dag.Besides: value}}
	home := t.TempDir()
	f.bringTo("r", t.TempDir(), func(path string) (Spot, string) { return Spot{Base: home, Rel: filepath.Base(path)}, "" })
	if fi, err := os.Stat(home + "/key"); err != nil || fi.Mode() != 0o600 {
		t.Errorf("%v %v", fi, err)
	}
}

// forgetful is a store that has each piece only until the next comes.
type forgetful struct{ n, most int }

func (s *forgetful) PutBlob(r io.Reader) (string, error) {
	h := sha256.New()
	n, err := io.Copy(h, r)
	s.n, s.most = s.n+1, max(s.most, int(n))
	return hex.EncodeToString(h.Sum(nil)), err
}
func (*forgetful) Blob(string) ([]byte, error) { return nil, fs.ErrNotExist }

// A file of a GiB is kept piece by piece, in memory that does not depend on it.
func TestCostOfALargeFile(t *testing.T) {
	cputime.Measures(t)
	if testing.Short() {
		t.Skip("NOT TESTED: a file of a GiB: it takes seconds")
	}
	f := newFleet(t)
	store := &forgetful{}
	f.store = store
	w := f.computer()
	path := w.folder.Root() + "/w/large"
	put(t, path, "", 0o644)
	if err := os.Truncate(path, 1<<30); err != nil { // of which the disk has nothing
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	if res := w.do(1, `{}`, nil, func(string) []localfile.Note { return []localfile.Note{{Path: "/w/large"}} }); res.Class != dag.OK {
		t.Fatal(res.Err)
	}
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapSys) - int64(before.HeapSys); store.n != 1<<30/madeBytes+1 || store.most != madeBytes || grown > 16*madeBytes {
		t.Errorf("%d pieces of at most %d bytes, and %d bytes of memory", store.n, store.most, grown)
	}
}

// Files cost what each costs, to keep, to lay out and to bring, and nothing for each other: ten times as many would take
// a hundred times as long otherwise.
func TestCostOfManyFiles(t *testing.T) {
	cputime.Measures(t)
	if testing.Short() {
		t.Skip("NOT TESTED: many files: it takes seconds")
	}
	took := func(steps, files int) time.Duration {
		began := time.Now()
		f := newFleet(t)
		one, two := f.computer(), f.computer()
		for i := range steps {
			one.do(byte(i), `{}`, nil, func(root string) (ns []localfile.Note) {
				for n := range files {
					path := fmt.Sprintf("/w/%d-%d", i, n)
					put(t, root+path, path, 0o644)
					ns = append(ns, localfile.Note{Path: path})
				}
				return ns
			})
		}
		two.do(255, `{}`, nil, func(string) []localfile.Note { return nil })
		home := t.TempDir()
		f.bringTo("r", t.TempDir(), func(path string) (Spot, string) { return Spot{Base: home, Rel: filepath.Base(path)}, "" })
		if all, err := os.ReadDir(home); err != nil || len(all) != steps*files {
			t.Fatal(len(all), err)
		}
		return time.Since(began)
	}
	for _, x := range [][2]int{{1, 1}, {1, 10}, {1, 100}, {1, 1000}, {100, 10}} {
		t.Logf("%d steps of %d files: %s", x[0], x[1], took(x[0], x[1]))
	}
	few, many := min(took(1, 100), took(1, 100)), min(took(1, 1000), took(1, 1000))
	if many > 50*few {
		t.Errorf("1000 files take %s, and 100 take %s", many, few)
	}
}
