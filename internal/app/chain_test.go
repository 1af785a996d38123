package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/state"
)

// A chain whose builds are made of what others make: by functions, in an option that must be final, and by a local. One is
// made of nothing.
const chainTemplate = `
locals {
  heir = upper(build.base.id)
}
source "memo" "a" {
  need = "x"
  size = 1
}
source "memo" "b" {
  need = "b of ${build.base.id}"
  size = length(build.base.id)
}
source "memo" "c" {
  need = "c of ${lower(build.b.id)}"
  size = 1
  text = build.b.id
}
source "memo" "d" {
  need = local.heir
  size = 1
  dynamic "tag" {
    for_each = split(".", build.base.id)
    content {
      key = tag.value
    }
  }
}
build {
  name    = "c"
  sources = ["memo.c"]
}
build {
  name    = "b"
  sources = ["memo.b"]
}
build {
  sources = ["memo.d", "memo.other"]
}
build {
  name    = "base"
  sources = ["memo.a"]
}
source "memo" "other" {
  need = "y"
  size = 1
}
`

const chained = "b.memo.b: 11 false [] map[]b of base.memo.a[]; base.memo.a: 1 false [] map[]x[]; c.memo.c: b.memo.b1 false [] map[]c of b.memo.b[]; " +
	"memo.d: 1 false [] map[]BASE.MEMO.A[{base} {memo} {a}]; memo.other: 1 false [] map[]y[]"

// What is made of a build waits for it, and is then what it is with that; nothing else waits.
func TestBuildsOfBuilds(t *testing.T) {
	a, w, file := askers(t, chainTemplate)
	s := begun(t, a, homeIn(t, filepath.Dir(file)), file)
	if got := fmt.Sprint(s.Graph().Behind); got != "map[b.memo.b:[base.memo.a] c.memo.c:[b.memo.b] memo.d:[base.memo.a]]" || len(s.Graph().Nodes) != 2 {
		t.Errorf("before there wait %v with %d steps", got, len(s.Graph().Nodes))
	}
	res, err := s.Run(t.Context(), RunOptions{})
	if err != nil || res.Summary.Status != state.Done {
		t.Fatalf("%+v, %v", res, err)
	}
	if got := w.written.take(); got != chained {
		t.Errorf("written %s", got)
	}
	g := s.Graph()
	if n := g.Nodes[0]; !s.Durations().Of(n.Kind, n.Name).Known {
		t.Errorf("how long %s took was not remembered", n.Name)
	}
	for _, n := range g.Nodes {
		want := map[string]int{"b.memo.b": 1, "c.memo.c": 1, "memo.d": 1}[n.Builds[0]]
		if len(n.After) != want || g.Open() {
			t.Errorf("%v comes after %d", n.Builds, len(n.After))
		}
	}
}

// Whenever a run is killed, a resume does what is left.
func TestBuildsOfBuildsSurviveACrash(t *testing.T) {
	a, w, file := askers(t, chainTemplate)
	home := filepath.Join(filepath.Dir(file), "home")
	s := begun(t, a, homeIn(t, filepath.Dir(file)), file)
	var snapshots []string
	var mu sync.Mutex // steps speak at the same time
	if _, err := s.Run(t.Context(), RunOptions{Parallel: 1, Show: func(dag.Event) {
		mu.Lock()
		defer mu.Unlock()
		at := filepath.Join(t.TempDir(), "home")
		if err := os.CopyFS(at, os.DirFS(home)); err != nil {
			t.Error(err)
		}
		snapshots = append(snapshots, at)
	}}); err != nil {
		t.Fatal(err)
	}
	id := s.Summary().ID
	s.Close()
	w.written.take()
	most := 0
	for i, at := range snapshots {
		h, err := state.OpenHome(at)
		if err != nil {
			t.Fatal(err)
		}
		r, err := a.Open(h, id)
		if err != nil {
			t.Fatal(err)
		}
		if r.Summary().Status == state.Done {
			r.Close()
			continue
		}
		news, err := r.Renew(t.Context(), false)
		if err == nil {
			_, err = r.Run(t.Context(), RunOptions{})
		}
		if err != nil || r.Summary().Status != state.Done || len(news.Changes) > 0 {
			t.Fatalf("killed at %d: %s, %v, %v", i, r.Summary().Status, news.Changes, err)
		}
		if got := w.written.take(); got != "" {
			for _, one := range strings.Split(got, "; ") {
				if !strings.Contains(chained, one) {
					t.Errorf("killed at %d: written %s", i, one)
				}
			}
			most = max(most, strings.Count(got, "; ")+1)
		}
		r.Close()
	}
	if most != 5 || len(snapshots) < 15 {
		t.Errorf("%d kills, after which up to %d steps were left", len(snapshots), most)
	}
}

// Where a build fails, those that are made of it are not made, and all others are, none of them tried twice; when it is
// mended a resume makes what is left.
func TestABuildOfBuildsFails(t *testing.T) {
	for failing, want := range map[string]struct{ done, left string }{
		"base.memo.a": {"base.memo.a memo.other", "b.memo.b base.memo.a c.memo.c memo.d"},
		"b.memo.b":    {"b.memo.b base.memo.a memo.d memo.other", "b.memo.b c.memo.c"},
		"memo.other":  {"b.memo.b base.memo.a c.memo.c memo.d memo.other", "memo.other"},
		"memo.d":      {"b.memo.b base.memo.a c.memo.c memo.d memo.other", "memo.d"},
	} {
		a, w, file := askers(t, chainTemplate)
		s := begun(t, a, homeIn(t, filepath.Dir(file)), file)
		w.failing = failing
		res, err := s.Run(t.Context(), RunOptions{})
		if err != nil || res.Summary.Status != state.Partial && failing != "base.memo.a" || len(res.Failed) != 1 {
			t.Errorf("%s fails: %v, %+v", failing, err, res.Summary)
		}
		if got := w.tried.take(); got != strings.ReplaceAll(want.done, " ", "; ") {
			t.Errorf("%s fails: tried %s", failing, got)
		}
		for _, b := range res.Summary.Builds {
			if left := slices.Contains(strings.Fields(want.left), b.Name); left != (b.Status != state.Done) {
				t.Errorf("%s fails: %s is %s", failing, b.Name, b.Status)
			}
		}
		w.failing = ""
		if news, err := s.Renew(t.Context(), false); err != nil || len(news.Changes) > 0 {
			t.Errorf("%s has failed: %v, %v", failing, news.Changes, err)
		}
		if res, err = s.Run(t.Context(), RunOptions{}); err != nil || res.Summary.Status != state.Done {
			t.Errorf("%s is mended: %v, %+v", failing, err, res)
		}
		if got := w.tried.take(); got != strings.ReplaceAll(want.left, " ", "; ") {
			t.Errorf("%s is mended: tried %s", failing, got)
		}
	}
}

// An edit of a build makes those again that are made of it, and says so; what comes out otherwise is refused where it is known.
func TestBuildsOfBuildsAreEdited(t *testing.T) {
	a, w, file := askers(t, chainTemplate)
	s := begun(t, a, homeIn(t, filepath.Dir(file)), file)
	if _, err := s.Run(t.Context(), RunOptions{}); err != nil {
		t.Fatal(err)
	}
	w.tried.take()
	id := s.Summary().ID
	edit := func(old, new string) {
		t.Helper()
		s.Close()
		text := strings.Replace(chainTemplate, old, new, 1)
		if text == chainTemplate {
			t.Fatal(old)
		}
		err := os.WriteFile(file, []byte(text), 0o600)
		if err == nil {
			s, err = a.Open(homeIn(t, filepath.Dir(file)), id)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
	}
	edit(`"x"`, `"z"`)
	news, err := s.Renew(t.Context(), false)
	if err != nil || fmt.Sprint(news.Changes) != "[base.memo.a: memo has changed]" || !s.Graph().Open() {
		t.Fatalf("%v, %v", news.Changes, err)
	}
	if _, err := s.Run(t.Context(), RunOptions{}); err != nil {
		t.Fatal(err)
	}
	// It makes the same, so what is made of it is as it was; what comes after its step comes after the new one.
	if got := w.tried.take(); got != "base.memo.a" {
		t.Errorf("tried %s", got)
	}
	edit("size = length(build.base.id)", "size = length(build.base.id) - 11")
	if _, err := s.Renew(t.Context(), false); err == nil || !strings.Contains(err.Error(), "t.pkr.hcl:11:10: cannot use size: it must be positive") {
		t.Errorf("a size of 0: %v", err)
	}
}

// A run that is interrupted before its builds are known is not frozen, since nobody knows what is left.
func TestBuildsOfBuildsFrozen(t *testing.T) {
	a, w, file := askers(t, chainTemplate)
	s := begun(t, a, homeIn(t, filepath.Dir(file)), file)
	ctx, stop := context.WithCancel(t.Context())
	w.failing, w.onFailure = "base.memo.a", stop
	if res, err := s.Run(ctx, RunOptions{}); err != nil || res.Summary.Status == state.Done {
		t.Fatal(res, err)
	}
	if _, err := s.Renew(t.Context(), true); !errors.As(err, new(*UsageError)) || !strings.Contains(err.Error(), "before what its builds make was known") {
		t.Errorf("frozen: %v", err)
	}
}
