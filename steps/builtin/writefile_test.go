package builtin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

func hidden(t *testing.T, dir string) (names []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		if strings.HasPrefix(f.Name(), ".") {
			names = append(names, f.Name())
		}
	}
	return names
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	r := &run{t: t, dir: dir, secrets: map[string]string{"pw": "opensesame"}}
	b := &File{Content: dag.Text("password " + dag.Mark("pw")), Target: "out"}
	r.good(graph(t, b))
	if got := read(t, dir, "out"); got != "password opensesame" {
		t.Errorf("%q", got)
	}
	fi, err := os.Stat(filepath.Join(dir, "out"))
	if err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", fi.Mode(), err)
	}
	recs, _ := r.store.All()
	if len(recs) != 1 || !recs[0].Kept || fmt.Sprint(recs[0].Artifacts) != fmt.Sprint([]dag.Artifact{{Kind: "file", ID: filepath.Join(dir, "out"), Name: "out"}}) || strings.Contains(fmt.Sprintf("%+v", recs), "opensesame") {
		t.Errorf("%+v", recs)
	}
	// It stays with the run, and goes with its artifacts.
	destroy := func(which func(dag.Record) bool) {
		t.Helper()
		e, _ := r.engine()
		if left, err := e.Destroy(context.Background(), which); err != nil || len(left) > 0 {
			t.Fatal(left, err)
		}
	}
	destroy(dag.Unkept)
	read(t, dir, "out")
	destroy(func(dag.Record) bool { return true })
	if _, err := os.Stat(filepath.Join(dir, "out")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	// What somebody has changed is theirs.
	r.good(graph(t, b))
	os.WriteFile(filepath.Join(dir, "out"), []byte("mine"), 0o600)
	destroy(func(dag.Record) bool { return true })
	if w := r.sink.texts(dag.Warned); read(t, dir, "out") != "mine" || len(w) != 1 || !strings.Contains(w[0], "was changed") {
		t.Errorf("%q", w)
	}
}

// A copy has the content of its source, through a link to the target, with the
// permissions that are there.
func TestWriteFileCopies(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "from"), []byte("\x00bytes\xff"), 0o755)
	os.WriteFile(filepath.Join(dir, "real"), []byte("old"), 0o640)
	os.Symlink("real", filepath.Join(dir, "to"))
	from, err := steps.NewFile(filepath.Join(dir, "from"))
	if err != nil {
		t.Fatal(err)
	}
	r := &run{t: t, dir: dir}
	r.good(graph(t, &File{Source: from, Target: "to"}))
	fi, err := os.Stat(filepath.Join(dir, "real"))
	if err != nil || fi.Mode().Perm() != 0o640 || read(t, dir, "real") != "\x00bytes\xff" {
		t.Errorf("%v %v", fi, err)
	}
	r.good(graph(t, &File{Source: from, Target: "new"}))
	if fi, _ = os.Stat(filepath.Join(dir, "new")); fi.Mode().Perm() != 0o644 {
		t.Errorf("%v", fi.Mode())
	}
}

// What cannot be written leaves everything as it was.
func TestWriteFileRefuses(t *testing.T) {
	dir := t.TempDir()
	os.Mkdir(filepath.Join(dir, "directory"), 0o755)
	os.Symlink("nothing", filepath.Join(dir, "dangling"))
	for target, why := range map[string]string{
		"nowhere/out": "nowhere is not there: make it first", "directory": "it is a directory", "dangling": "it is a link to nothing", "/dev/full": "it is a device",
	} {
		r := &run{t: t, dir: dir}
		rep := r.solve(context.Background(), graph(t, &File{Content: "x", Target: target}))
		if len(rep.Failed) != 1 || !strings.Contains(rep.Failed[0].Err.Error(), "cannot write "+target+": ") || !strings.Contains(rep.Failed[0].Err.Error(), why) {
			t.Errorf("%s: %+v", target, rep.Failed)
		}
		if recs, _ := r.store.All(); recs[0].Alive() {
			t.Errorf("%s: %+v", target, recs)
		}
	}
	if h := hidden(t, dir); len(h) > 0 {
		t.Errorf("%q", h)
	}
}

// A process may end anywhere: what it has written is found by what it holds, and
// what was not finished goes.
func TestWriteFileInterrupted(t *testing.T) {
	dir := t.TempDir()
	env := comm.NewEnv(nil)
	env.Dir = dir
	defer env.Close()
	s := WriteFile{Content: "text", Target: "out"}
	task := dag.NewTask("run", "file", "imgflow-token", nil, nil)
	w, err := s.Do(context.Background(), env, task)
	if err != nil {
		t.Fatal(err)
	}
	if found, err := (Written{}).Find(context.Background(), env, task); err != nil || found != w {
		t.Errorf("%+v %v", found, err)
	}
	os.WriteFile(filepath.Join(dir, "out"), []byte("other"), 0o600)
	os.WriteFile(filepath.Join(dir, ".imgflow-token.tmp"), []byte("te"), 0o600)
	if _, err := (Written{}).Find(context.Background(), env, task); !errors.Is(err, dag.ErrNotFound) || len(hidden(t, dir)) > 0 {
		t.Errorf("%v %q", err, hidden(t, dir))
	}
	os.WriteFile(filepath.Join(dir, ".imgflow-token.tmp"), []byte("te"), 0o600)
	if _, err := s.Do(context.Background(), env, task); err != nil || read(t, dir, "out") != "text" {
		t.Error(err)
	}
	os.Remove(filepath.Join(dir, "out"))
	if _, err := w.Find(context.Background(), env, task); !errors.Is(err, dag.ErrNotFound) {
		t.Error(err)
	}
	if err := w.Undo(context.Background(), env, task); err != nil {
		t.Error(err)
	}
}

func TestFileOptions(t *testing.T) {
	for want, b := range map[string]File{
		"content must be set, or source":               {Target: "x"},
		"source: cannot be used together with content": {Target: "x", Content: "y", Source: steps.File{Path: "/z"}},
	} {
		if got := refusals(b.Check()); len(got) != 1 || got[0] != want {
			t.Errorf("%+v: %q", b, got)
		}
	}
	a, b := File{Target: "./x"}, File{Target: "x"}
	if a.Claims()[0].Key != b.Claims()[0].Key {
		t.Error("two builds may write one file")
	}
}
