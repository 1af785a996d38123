package files

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
)

// memory is a store in memory.
type memory map[string][]byte

func (m memory) PutBlob(r io.Reader) (string, error) {
	p, err := io.ReadAll(r)
	if err != nil {
		return "", err
	}
	if len(p) > pieceBytes {
		return "", errors.New("too long")
	}
	sum := sha256.Sum256(p)
	name := hex.EncodeToString(sum[:])
	m[name] = p
	return name, nil
}

func (m memory) Blob(sum string) ([]byte, error) {
	p, ok := m[sum]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return p, nil
}

// checkout makes a folder of a template, and returns it.
func checkout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"x.sh": "#!/bin/sh\n", "tree/a": "A", "tree/sub/b": "", "outside": "O", "id": "KEY"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, err := range []error{
		os.Chmod(dir+"/x.sh", 0o751), os.Chmod(dir+"/tree/sub", 0o2750), os.Chmod(dir+"/id", 0o600),
		os.Symlink("sub/b", dir+"/tree/in"), os.Symlink("../outside", dir+"/tree/out"), os.Symlink("nothing", dir+"/tree/dangling"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// node is a step with these settings.
func node(t *testing.T, settings any) dag.Node {
	t.Helper()
	spec, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	return dag.Node{Name: "shell", Spec: spec}
}

func file(t *testing.T, path string) steps.File {
	t.Helper()
	f, err := steps.NewFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// settings name local files in every way.
type settings struct {
	Scripts []steps.File `json:"scripts"`
	Tree    steps.File   `json:"tree"`
	Token   steps.File   `json:"client_key"`
	Key     string       `json:"ssh_private_key_file"`
	Remote  string       `json:"destination"`
}

func TestLaidOutFilesAreThoseOfTheSubmitter(t *testing.T) {
	dir := checkout(t)
	s := settings{Scripts: []steps.File{file(t, dir+"/x.sh")}, Tree: file(t, dir+"/tree"), Token: file(t, dir+"/outside"), Key: "~/id", Remote: dir + "/x.sh"}
	n := node(t, s)
	store := memory{}
	m, keys, err := Gather([]dag.Node{n, node(t, settings{Scripts: []steps.File{{Path: dir + "/not-yet"}, {Path: os.DevNull, Digest: "x"}}})}, Also{}, Place{dir, dir, dir}, store)
	if err != nil {
		t.Fatal(err)
	}
	if got := slices.Sorted(maps.Keys(keys)); !slices.Equal(got, []string{dir + "/id", dir + "/outside"}) || string(keys[dir+"/id"]) != "KEY" {
		t.Errorf("secret are %q", got)
	}
	for _, p := range store {
		if bytes.Equal(p, []byte("KEY")) {
			t.Error("a key is in the store")
		}
	}
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	m = new(Manifest)
	if err := json.Unmarshal(text, m); err != nil {
		t.Fatal(err)
	}
	folder := Folder(filepath.Join(t.TempDir(), "folder"))
	root := folder.Root()
	if err := m.Lay(t.Context(), folder, store, keys); err != nil {
		t.Fatal(err)
	}
	for _, f := range []steps.File{s.Scripts[0], s.Tree, s.Token} {
		if now := file(t, root+f.Path); now.Digest != f.Digest {
			t.Errorf("%s is another one", f.Path)
		}
	}
	for path, mode := range map[string]fs.FileMode{"": 0o700, dir + "/id": 0o600, dir: 0o700} {
		if fi, err := os.Stat(root + path); err != nil || fi.Mode().Perm() != mode {
			t.Errorf("%s: %v %v", path, fi, err)
		}
	}

	// A step finds them there, and is told what it was told.
	own := root + dir
	m.Runner(runner(func(c dag.Call, h dag.Host) dag.Result {
		var got settings
		if err := json.Unmarshal(c.Spec, &got); err != nil {
			t.Fatal(err)
		}
		if got.Scripts[0].Path != own+"/x.sh" || got.Tree.Path != own+"/tree" || got.Key != own+"/id" || got.Remote != dir+"/x.sh" {
			t.Errorf("the step has %+v", got)
		}
		if string(c.Inputs[dag.Key{1}]) != fmt.Sprintf(`{"ssh_private_key_file":"%s/id"}`, own) || string(c.Inputs[dag.Key{2}]) != `{"path":"/a","digest":"b"}` {
			t.Errorf("it reads %s", c.Inputs)
		}
		h.Emit(dag.Event{Text: "uploading " + own + "/x.sh"})
		return dag.Result{Class: dag.OK, Err: own + "/x.sh", Out: json.RawMessage(`{"key_file":"` + own + `/id"}`)}
	}), folder, NewMade(store, nil), func(string) bool { return false }, nil).Do(t.Context(), dag.Call{Spec: n.Spec, Inputs: map[dag.Key]json.RawMessage{{1}: []byte(`{"ssh_private_key_file":"~/id"}`), {2}: []byte(`{"path":"/a","digest":"b"}`)}},
		host{emit: func(e dag.Event) {
			if e.Text != "uploading "+dir+"/x.sh" {
				t.Errorf("it says %q", e.Text)
			}
		}})
	res := m.Runner(runner(func(dag.Call, dag.Host) dag.Result {
		return dag.Result{Class: dag.OK, Err: "no " + own + "/x.sh", Out: json.RawMessage(`{"key_file":"` + own + `/id"}`)}
	}), folder, NewMade(store, nil), func(string) bool { return false }, nil).Find(t.Context(), dag.Call{Spec: n.Spec}, nil)
	if res.Err != "no "+dir+"/x.sh" || string(res.Out) != `{"key_file":"`+dir+`/id"}` {
		t.Errorf("it ended with %s %s", res.Err, res.Out)
	}
}

// runner does every call in one way.
type runner func(dag.Call, dag.Host) dag.Result

func (r runner) Do(_ context.Context, c dag.Call, h dag.Host) dag.Result   { return r(c, h) }
func (r runner) Find(_ context.Context, c dag.Call, h dag.Host) dag.Result { return r(c, h) }
func (r runner) Undo(_ context.Context, c dag.Call, h dag.Host) dag.Result { return r(c, h) }

type host struct {
	dag.Host
	emit func(dag.Event)
}

func (h host) Emit(e dag.Event) error { h.emit(e); return nil }

// Nothing that a manifest says leads out of the root, or brings what it should not.
func TestWhatAManifestMayNotSay(t *testing.T) {
	good, _ := memory{}.PutBlob(strings.NewReader("text"))
	entry := func(e Entry) []Entry { return []Entry{e} }
	for name, tt := range map[string]struct {
		entries []Entry
		why     string
	}{
		"up":             {entry(Entry{Path: "/a/../../x", Mode: 0o600}), "its path leads elsewhere"},
		"relative":       {entry(Entry{Path: "x", Mode: 0o600}), "no absolute path"},
		"absolute link":  {entry(Entry{Path: "/l", Mode: fs.ModeSymlink, Link: "/etc/passwd"}), "leads out"},
		"link out":       {entry(Entry{Path: "/l", Mode: fs.ModeSymlink, Link: "../../x"}), "escapes"},
		"by two links":   {[]Entry{{Path: "/p/q/a", Mode: fs.ModeSymlink, Link: "../.."}, {Path: "/p/q/b", Mode: fs.ModeSymlink, Link: "a/../x"}}, "escapes"},
		"through a link": {[]Entry{{Path: "/l", Mode: fs.ModeSymlink, Link: "../.."}, {Path: "/l/x", Mode: 0o600}}, "escapes"},
		"twice":          {[]Entry{{Path: "/x", Mode: 0o600}, {Path: "/x", Mode: 0o600}}, "exists"},
		"a device":       {entry(Entry{Path: "/x", Mode: fs.ModeDevice | 0o600}), "neither a file nor a directory"},
		"too short":      {entry(Entry{Path: "/x", Mode: 0o600, Size: 5, Pieces: []string{good}}), "has 4 bytes, and should have 5"},
		"too long":       {entry(Entry{Path: "/x", Mode: 0o600, Size: 3, Pieces: []string{good}}), "longer than it should be"},
		"altered":        {entry(Entry{Path: "/x", Mode: 0o600, Size: 4, Pieces: []string{"altered"}}), "not what was stored"},
		"missing":        {entry(Entry{Path: "/x", Mode: 0o600, Size: 4, Pieces: []string{"missing"}}), "does not exist"},
		"no key":         {entry(Entry{Path: "/x", Mode: 0o600, Size: 4, Secret: true}), "not handed on"},
		"too large":      {entry(Entry{Path: "/x", Mode: 0o600, Size: mostBytes + 1}), "more than 16 GiB"},
		"too many":       {make([]Entry, mostEntries+1), "more than 100000"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := Folder(filepath.Join(t.TempDir(), "folder"))
			err := (&Manifest{Place: Place{"/w", "/w", "/h"}, Entries: tt.entries}).Lay(t.Context(), folder, memory{good: []byte("text"), "altered": []byte("TEXT")}, nil)
			if err == nil || !strings.Contains(err.Error(), tt.why) {
				t.Errorf("%v", err)
			}
			if left, _ := filepath.Glob(filepath.Dir(string(folder)) + "/*"); len(left) != 1 {
				t.Errorf("there is %q", left)
			}
		})
	}
}

// A long file is many pieces, and its pieces are in order.
func TestPieces(t *testing.T) {
	dir := t.TempDir()
	f, err := os.Create(dir + "/long")
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{f.Truncate(pieceBytes + 2), func() error { _, err := f.WriteAt([]byte("end"), pieceBytes-1); return err }(), f.Close()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	store := memory{}
	want := file(t, dir+"/long")
	m, _, err := Gather([]dag.Node{node(t, settings{Tree: want})}, Also{}, Place{dir, dir, dir}, store)
	if err != nil || len(m.Entries) != 1 || len(m.Entries[0].Pieces) != 2 {
		t.Fatal(m, err)
	}
	folder := Folder(filepath.Join(t.TempDir(), "folder"))
	root := folder.Root()
	if err := m.Lay(t.Context(), folder, store, nil); err != nil {
		t.Fatal(err)
	}
	if got := file(t, root+want.Path); got.Digest != want.Digest {
		t.Error("it is another file")
	}
}

// What has no end is not taken along.
func TestNoDevice(t *testing.T) {
	_, _, err := Gather([]dag.Node{node(t, settings{Key: "/dev/zero"})}, Also{}, Place{Cwd: "/", Dir: "/"}, memory{})
	if err == nil || !strings.Contains(err.Error(), "it is a device") {
		t.Error(err)
	}
}
