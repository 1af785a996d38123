package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/app/local"
	"github.com/imgflow/imgflow/state"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
	"github.com/imgflow/imgflow/template/compile"
)

// ask is a data source that answers with what it is asked.
type ask struct {
	Of string `json:"of" option:"required"`
}

// answer is what it yields.
type answer struct {
	Text  string            `json:"text"`
	Size  int               `json:"size"`
	Big   bool              `json:"big"`
	List  []string          `json:"list"`
	Tags  map[string]string `json:"tags,omitempty"`
	Token string            `json:"token"`
	Any   json.RawMessage   `json:"any"`
}

func (ask) Kind() string                { return "test.ask" }
func (*ask) Check() []steps.OptionError { return nil }
func (*ask) Output() any                { return answer{} }
func (a *ask) Add(g *dag.Graph, b dag.Build, name string) dag.Key {
	return dag.Add(g, b, name, *a).Key()
}

func (a ask) Do(_ context.Context, w *askWorld, t *dag.Task) (answer, error) {
	w.asked.add(a.Of)
	if w.fail == a.Of {
		return answer{}, errors.New("nobody answers")
	}
	sealed := steps.SealedName(t.Token, "token")
	if err := w.Vault.Put(sealed, []byte("hush-"+a.Of)); err != nil {
		return answer{}, err
	}
	out := answer{Text: "re-" + a.Of, Size: len(a.Of), Big: true, List: []string{"a", "b"}, Token: dag.Mark(sealed), Any: json.RawMessage(`{"k":[1]}`)}
	if w.answers != nil {
		w.answers(&out)
	}
	return out, nil
}

// memo is a builder of one step.
type memo struct {
	Text dag.Text          `json:"text"`
	Size int               `json:"size"`
	Big  bool              `json:"big"`
	List []string          `json:"list"`
	Tags map[string]string `json:"tags"`
	Need string            `json:"need" option:"required"`
	Tag  []struct {
		Key string `json:"key"`
	} `json:"tag"`
}

func (memo) Kind() string { return "test.memo" }
func (m memo) Do(_ context.Context, w *askWorld, t *dag.Task) (steps.Artifact, error) {
	w.tried.add(t.Builds[0])
	if w.failing == t.Builds[0] {
		if w.onFailure != nil {
			w.onFailure()
		}
		return steps.Artifact{}, errors.New("it is broken")
	}
	text, err := t.Fill(m.Text, nil)
	if err == nil {
		w.written.add(fmt.Sprint(t.Builds[0], ": ", text, m.Size, m.Big, m.List, m.Tags, m.Need, m.Tag))
	}
	return steps.Artifact{Kind: "memo", ID: t.Builds[0]}, err
}
func (m *memo) Check() []steps.OptionError {
	var f steps.OptionErrors
	if m.Size < 1 {
		f.Add("size", "it must be positive")
	}
	return f
}
func (*memo) Claims() []steps.Claim         { return nil }
func (*memo) Prepare(context.Context) error { return nil }
func (m *memo) Wire(g *dag.Graph, b dag.Build, _ func(dag.Out[comm.Machine]) dag.Out[comm.Machine]) steps.Made {
	return steps.Made{Artifacts: []dag.Out[steps.Artifact]{dag.Add(g, b, "memo", *m)}}
}

// list is what steps did, in their order.
type list struct {
	sync.Mutex
	all []string
}

func (l *list) add(s string) {
	l.Lock()
	defer l.Unlock()
	l.all = append(l.all, s)
}

func (l *list) take() string {
	l.Lock()
	defer l.Unlock()
	slices.Sort(l.all)
	s := strings.Join(l.all, "; ")
	l.all = nil
	return s
}

// asking is what the worlds of a test share.
type asking struct {
	asked, written list
	tried          list // builds of memos
	fail           string
	failing        string // the build whose memo fails
	onFailure      func()
	answers        func(*answer)
}

type askWorld struct {
	toyWorld
	*asking
}

func (*askWorld) Catalog(bool) compile.Catalog {
	return compile.Catalog{Builders: map[string]func() steps.Source{"memo": func() steps.Source { return &memo{} }},
		Data: map[string]func() steps.Data{"ask": func() steps.Data { return &ask{} }}}
}
func (w *askWorld) Kinds() []dag.Kind { return []dag.Kind{dag.Bind[ask](w), dag.Bind[memo](w)} }

const askTemplate = `
data "ask" "first" {
  of = "one"
}
data "ask" "second" {
  of = "${local.of}-two"
}
data "ask" "unused" {
  of = "nothing"
}
locals {
  of  = data.ask.first.text
  len = data.ask.second.size + 1
}
source "memo" "a" {
  text = "t ${data.ask.second.text} ${data.ask.second.token}"
  size = local.len
  big  = data.ask.first.big
  list = data.ask.second.list
  tags = { made = upper(data.ask.second.token) }
  need = data.ask.first.any.k[0]
  dynamic "tag" {
    for_each = data.ask.second.list
    content {
      key = tag.value
    }
  }
}
source "memo" "b" {
  text = "plain"
  size = 1
  need = "x"
}
build {
  sources = ["memo.a", "memo.b"]
}
`

const askedFor = "memo.a: t re-re-one-two hush-re-one-two11 true [a b] map[made:HUSH-RE-ONE-TWO]1[{a} {b}]; memo.b: plain1 false [] map[]x[]"

// askers is an app with a template in a directory.
func askers(t *testing.T, text string) (a *App, w *asking, file string) {
	t.Helper()
	dir := t.TempDir()
	file = filepath.Join(dir, "t.pkr.hcl")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	w = &asking{}
	return &App{Env: NewEnv(nil, dir), World: func(o WorldOptions) World { return &askWorld{toyWorld{WorldOptions: o}, w} }}, w, file
}

func begun(t *testing.T, a *App, home *state.Home, file string) *Session {
	t.Helper()
	s := a.New(home, Request{Template: file})
	t.Cleanup(func() { s.Close() })
	if err := s.Load(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if err := s.Begin(t.Context(), local.Settings{}); err != nil {
		t.Fatal(err)
	}
	return s
}

// What a build refers to is looked up in rounds, what it does not refer to is not, and then the build is what it is with
// that. Secrets are in no file.
func TestDataSources(t *testing.T) {
	a, w, file := askers(t, askTemplate)
	s := begun(t, a, homeIn(t, filepath.Dir(file)), file)
	if got := s.Graph().Awaited; fmt.Sprint(got) != "map[memo.a:[ask.first ask.second]]" || len(s.Graph().Nodes) != 2 {
		t.Errorf("before it awaits %v with %d steps", got, len(s.Graph().Nodes))
	}
	var said bytes.Buffer
	var mu sync.Mutex // steps speak at the same time
	res, err := s.Run(t.Context(), RunOptions{Show: func(e dag.Event) {
		mu.Lock()
		defer mu.Unlock()
		json.NewEncoder(&said).Encode(e)
	}})
	if err != nil || res.Summary.Status != state.Done {
		t.Fatalf("%+v, %v", res, err)
	}
	if asked, written := w.asked.take(), w.written.take(); asked != "one; re-one-two" || written != askedFor {
		t.Errorf("asked %s, written %s", asked, written)
	}
	for _, n := range s.Graph().Nodes {
		if n.Name == "memo" && n.Builds[0] == "memo.a" && len(n.After) != 2 || n.Name == "memo" && n.Builds[0] == "memo.b" && len(n.After) != 0 {
			t.Errorf("%s of %v comes after %d", n.Name, n.Builds, len(n.After))
		}
	}
	holdsNo(t, said.Bytes(), "what is shown")
	filepath.WalkDir(filepath.Join(filepath.Dir(file), "home"), func(path string, _ fs.DirEntry, _ error) error {
		p, _ := os.ReadFile(path)
		holdsNo(t, p, path)
		return nil
	})
}

func holdsNo(t *testing.T, p []byte, where string) {
	t.Helper()
	if bytes.Contains(bytes.ToLower(p), []byte("hush-re")) {
		t.Errorf("%s holds a secret", where)
	}
}

// Whenever a run is killed, a resume does what is left: it looks nothing up again that its records have, and comes to the
// same.
func TestDataSourcesSurviveACrash(t *testing.T) {
	a, w, file := askers(t, askTemplate)
	home := filepath.Join(filepath.Dir(file), "home")
	s := begun(t, a, homeIn(t, filepath.Dir(file)), file)
	var snapshots []string
	var found []int // lookups that are in the records
	done := 0
	var mu sync.Mutex // steps speak at the same time
	if _, err := s.Run(t.Context(), RunOptions{Parallel: 1, Show: func(e dag.Event) {
		mu.Lock()
		defer mu.Unlock()
		if e.Kind == "test.ask" && e.Type == dag.Finished {
			done++
		}
		at := filepath.Join(t.TempDir(), "home")
		if err := os.CopyFS(at, os.DirFS(home)); err != nil {
			t.Fatal(err)
		}
		snapshots, found = append(snapshots, at), append(found, done)
	}}); err != nil {
		t.Fatal(err)
	}
	id := s.Summary().ID
	if s.Close(); len(snapshots) < 10 || done != 2 {
		t.Fatalf("%d snapshots", len(snapshots))
	}
	for i, at := range snapshots {
		w.asked.take()
		w.written.take()
		home, err := state.OpenHome(at)
		if err != nil {
			t.Fatal(err)
		}
		s, err := a.Open(home, id)
		if err != nil {
			t.Fatal(err)
		}
		if s.Summary().Status == state.Done {
			s.Close()
			continue
		}
		if _, err := s.Renew(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		res, err := s.Run(t.Context(), RunOptions{})
		if err != nil || res.Summary.Status != state.Done {
			t.Errorf("snapshot %d: %+v, %v", i, res, err)
		}
		if asked := w.asked.take(); found[i] > 0 && strings.HasPrefix(asked, "one") || found[i] > 1 && asked != "" {
			t.Errorf("snapshot %d, after %d lookups: asked %s again", i, found[i], asked)
		}
		for _, line := range strings.Split(w.written.take(), "; ") {
			if !strings.Contains(askedFor, line) {
				t.Errorf("snapshot %d: written %s", i, line)
			}
		}
		s.Close()
	}
}

// A lookup that fails ends the run before anything is made; a resume tries it again. As long as the builds are not known
// there is nothing that could go on as it was stored.
func TestADataSourceThatFails(t *testing.T) {
	a, w, file := askers(t, askTemplate)
	home := homeIn(t, filepath.Dir(file))
	w.fail = "re-one-two"
	s := begun(t, a, home, file)
	res, err := s.Run(t.Context(), RunOptions{})
	if err != nil || res.Summary.Status != state.Failed || len(res.Failed) != 1 || !strings.Contains(res.Summary.Builds[0].Err, "nobody answers") {
		t.Fatalf("%+v, %v", res, err)
	}
	for _, b := range res.Summary.Builds {
		if b.Status != state.Failed {
			t.Errorf("%s is %s", b.Name, b.Status)
		}
	}
	if w.asked.take(); w.written.take() != "" {
		t.Error("a build has begun")
	}
	id := s.Summary().ID
	s.Close()

	again := func(frozen bool) error {
		s, err := a.Open(home, id)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if _, err := s.Renew(t.Context(), frozen); err != nil {
			return err
		}
		_, err = s.Run(t.Context(), RunOptions{})
		return err
	}
	if err := again(true); err == nil || !strings.Contains(err.Error(), "before its data sources were looked up") {
		t.Errorf("frozen: %v", err)
	}
	w.fail = ""
	if err := again(false); err != nil {
		t.Fatal(err)
	}
	if asked, written := w.asked.take(), w.written.take(); asked != "re-one-two" || written != askedFor {
		t.Errorf("asked %s, written %s", asked, written)
	}
}

// An edited argument is looked up again, and what the build was made with stands as long as it does.
func TestAnEditedDataSource(t *testing.T) {
	a, w, file := askers(t, askTemplate)
	home := homeIn(t, filepath.Dir(file))
	s := begun(t, a, home, file)
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := s.Run(ctx, RunOptions{BeforeStep: func(_ context.Context, n dag.Node) {
		if n.Name == "memo" {
			cancel()
		}
	}}); err != nil {
		t.Fatal(err)
	}
	id := s.Summary().ID
	s.Close()
	w.asked.take()
	if err := os.WriteFile(file, []byte(strings.Replace(askTemplate, `"one"`, `"uno"`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, _ = a.Open(home, id); s == nil {
		t.Fatal("it cannot be opened")
	}
	defer s.Close()
	if _, err := s.Renew(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if p, err := s.Plan(); err != nil || len(p.Removes) > 0 || len(s.Graph().Awaited) != 1 {
		t.Errorf("the plan is %+v, %v", p, err)
	}
	if _, err := s.Run(t.Context(), RunOptions{}); err != nil {
		t.Fatal(err)
	}
	if asked, written := w.asked.take(), w.written.take(); asked != "re-uno-two; uno" || written != strings.NewReplacer("one", "uno", "ONE", "UNO").Replace(askedFor) {
		t.Errorf("asked %s, written %s", asked, written)
	}
}

// Whoever only wants to know whether a template is right asks nobody, unless it is wished for. What is not known yet is
// no fault, and what is known to be wrong is one.
func TestTemplatesWithDataSourcesAreChecked(t *testing.T) {
	for _, x := range []struct{ name, from, to, unasked, asked string }{
		{"right", "", "", "", ""},
		{"a misspelt option", "of = \"one\"", "fo = \"one\"", `did you mean "of"?`, `did you mean "of"?`},
		{"a misspelt attribute", "data.ask.first.text", "data.ask.first.txet", `does not have an attribute named "txet"`, `does not have an attribute named "txet"`},
		{"a misspelt type", `data "ask" "unused"`, `data "aks" "unused"`, `there is no data source called "aks"`, `did you mean "ask"?`},
		{"a wrong option of a build", "big  = data", "bgi  = data", `did you mean "big"?`, `did you mean "big"?`},
		{"what is wrong by its type", "local.len\n", "data.ask.second.list\n", "", "cannot use size: "},
		{"what is wrong by its value", "data.ask.second.size + 1", "data.ask.second.size - 10", "", "it must be positive"},
		{"what is missing", "  need = data.ask.first.any.k[0]\n", "", "need is missing", "need is missing"},
		{"a cycle", `"one"`, "local.of", "it needs itself: of → data.ask.first → of", "it needs itself"},
	} {
		a, w, file := askers(t, strings.Replace(askTemplate, x.from, x.to, 1))
		for want, load := range map[string]func(*Session) error{
			"unasked: " + x.unasked: func(s *Session) error { return s.Load(t.Context(), false) },
			"planned: " + x.unasked: func(s *Session) error { return s.Load(t.Context(), true) },
			"asked: " + x.asked:     func(s *Session) error { return s.LoadLooked(t.Context(), false) },
		} {
			s := a.New(nil, Request{Template: file})
			how, want, _ := strings.Cut(want, ": ")
			if err := load(s); (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s, %s: %v", x.name, how, err)
			}
			if asked := w.asked.take(); (asked != "") != (how == "asked" && x.unasked == "") {
				t.Errorf("%s, %s: asked %q", x.name, how, asked)
			}
			s.Close()
		}
	}
}

// What was looked up is somebody else's text: it names no secret of the run, and has no parts.
func TestAnswersAreNotTrusted(t *testing.T) {
	for name, text := range map[string]string{"a secret of the run": dag.Mark("template/x"), "a word": string(dag.Word("{{.X}}")), "half of one": "\uE002"} {
		a, w, file := askers(t, askTemplate)
		w.answers = func(out *answer) { out.Text = text }
		s := begun(t, a, homeIn(t, filepath.Dir(file)), file)
		if _, err := s.Run(t.Context(), RunOptions{}); err == nil || !strings.Contains(err.Error(), `cannot use data.ask.first: "data.ask.first.text" holds private characters`) {
			t.Errorf("%s: %v", name, err)
		}
	}
	a, w, file := askers(t, strings.Replace(askTemplate, "t ${data.ask.second.text}", "{{build_name}} ${data.ask.second.text}", 1))
	w.answers = func(out *answer) { out.Text = "{{build_name}}" }
	s := begun(t, a, homeIn(t, filepath.Dir(file)), file)
	if _, err := s.Run(t.Context(), RunOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := w.written.take(); !strings.HasPrefix(got, "memo.a: a {{build_name}} hush") {
		t.Errorf("written %s", got)
	}
}

// A lookup that is run again decides again what the builds are.
func TestALookupIsRunAgain(t *testing.T) {
	a, w, file := askers(t, askTemplate)
	home := homeIn(t, filepath.Dir(file))
	s := begun(t, a, home, file)
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := s.Run(ctx, RunOptions{BeforeStep: func(_ context.Context, n dag.Node) {
		if n.Name == "memo" {
			cancel()
		}
	}}); err != nil {
		t.Fatal(err)
	}
	id := s.Summary().ID
	s.Close()
	if s, _ = a.Open(home, id); s == nil {
		t.Fatal("it cannot be opened")
	}
	defer s.Close()
	if _, err := s.Renew(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	w.answers = func(out *answer) { out.Text += "!" }
	w.asked.take()
	if err := s.Rerun(t.Context(), "data.ask.first"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Run(t.Context(), RunOptions{}); err != nil {
		t.Fatal(err)
	}
	if asked, written := w.asked.take(), w.written.take(); asked != "one; re-one!-two" || !strings.HasPrefix(written, "memo.a: t re-re-one!-two! hush-re-one!-two") {
		t.Errorf("asked %s, written %s", asked, written)
	}
}
