package comm

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/localfile"
)

// Local paths lead to where the files of the submitter lie, and what is told of them is what the submitter knows.
func TestLocal(t *testing.T) {
	away := &Env{Dir: "/root/w", Away: Away{Root: "/root", Folder: "/root/tpl"}}
	here := &Env{Dir: "/w"}
	for path, want := range map[string][2]string{
		"x": {"/w/x", "/root/w/x"}, "/etc/x": {"/etc/x", "/root/etc/x"}, "../../../up": {"/up", "/root/up"}, "/root/w/x": {"/root/w/x", "/root/w/x"}, os.DevNull: {os.DevNull, os.DevNull},
		"/a/../../b": {"/a/../../b", "/root/b"},
	} {
		if h, a := here.Local(path), away.Local(path); h != want[0] || a != want[1] {
			t.Errorf("%s leads to %s here, and to %s away", path, h, a)
		}
	}
	for text, want := range map[string]string{
		"cat /w/x >/w": "cat /root/w/x >/root/w", "/wide /w.txt a/w /root/w/x": "/wide /w.txt a/w /root/w/x", "A=/tpl:/w:/w": "A=/root/tpl:/root/w:/root/w", "/w/w": "/root/w/w", "/w/tpl": "/root/w/tpl",
	} {
		if got := away.Here(text); got != want {
			t.Errorf("%q becomes %q", text, got)
		}
		if got := here.Here(text); got != text {
			t.Errorf("here %q becomes %q", text, got)
		}
	}
}

// What has become another is noted: made, changed, removed, and nothing of this program's own.
func TestWatch(t *testing.T) {
	root, notes := t.TempDir(), t.TempDir()
	dir := filepath.Join(root, "w")
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("same", "")
	write("changed", "a")
	write("gone", "")
	e := &Env{Dir: dir, Away: Away{Root: root, Folder: dir, Notes: notes}}
	task := dag.NewTask("r", "s", "token", nil, nil)
	done, err := e.WatchHere(task)
	if err != nil {
		t.Fatal(err)
	}
	write("changed", "ab")
	write("sub/new", "")
	write(".imgflow-token.tmp", "")
	write(".sums.lock", "")
	if err := os.Remove(filepath.Join(dir, "gone")); err != nil {
		t.Fatal(err)
	}
	if err := done(os.ErrInvalid); err == nil || err.Error() != os.ErrInvalid.Error() {
		t.Errorf("what the step says becomes %v", err)
	}
	ns, err := localfile.Notes(filepath.Join(notes, "token"))
	want := []localfile.Note{{Path: "/w/changed"}, {Path: "/w/sub"}, {Path: "/w/sub/new"}, {Path: "/w/gone", Gone: true}}
	if err != nil || !slices.Equal(ns, want) {
		t.Errorf("noted is %+v, %v", ns, err)
	}
	most := mostWatched
	mostWatched = 2
	defer func() { mostWatched = most }()
	if _, err := e.WatchHere(task); err == nil {
		t.Error("there are more than 2")
	}
}
