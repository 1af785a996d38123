package app

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/state"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
	"github.com/imgflow/imgflow/template/compile"
)

// note is a builder whose only step holds a text and a list of secrets.
type note struct {
	Text  dag.Text   `json:"text" option:"late"`
	Words []string   `json:"words"`
	Own   dag.Secret `json:"own"`
}

func (note) Kind() string { return "test.note" }
func (note) Do(context.Context, struct{}, *dag.Task) (steps.Artifact, error) {
	return steps.Artifact{}, nil
}
func (*note) Check() []steps.OptionError    { return nil }
func (*note) Claims() []steps.Claim         { return nil }
func (*note) Prepare(context.Context) error { return nil }
func (n *note) Wire(g *dag.Graph, b dag.Build, _ func(dag.Out[comm.Machine]) dag.Out[comm.Machine]) steps.Made {
	return steps.Made{Artifacts: []dag.Out[steps.Artifact]{dag.Add(g, b, "note", *n)}}
}

type noteWorld struct{ toyWorld }

func (*noteWorld) Catalog(bool) compile.Catalog {
	return compile.Catalog{Builders: map[string]func() steps.Source{"note": func() steps.Source { return &note{} }}}
}

const noteTemplate = `{"variables": {"pw": null, "unused": "{{user ~pw~ | lower}}"}, "sensitive-variables": ["pw"],
 "builders": [{"type": "note", "name": "web (1)", "text": "{{user ~pw~ | upper}} {{.X}}", "words": ["{{user ~pw~}}", "{{user ~pw~ | replace ~T~ ~7~ 1 | printf ~<%s>~}}"], "own": "writ{{print ~ten~}}"}]}`

func homeIn(t *testing.T, dir string) *state.Home {
	t.Helper()
	home, err := state.OpenHome(filepath.Join(dir, "home"))
	if err != nil {
		t.Fatal(err)
	}
	return home
}

// notes is a session of a run that is stored as an imgflow stores it; and the run's id.
func notes(t *testing.T, store func(*Session) error) (a *App, dir, id string) {
	t.Helper()
	dir = t.TempDir()
	file := filepath.Join(dir, "t.json")
	if err := os.WriteFile(file, bytes.ReplaceAll([]byte(noteTemplate), []byte("~"), []byte("`")), 0o600); err != nil {
		t.Fatal(err)
	}
	a = &App{Env: NewEnv(nil, dir), World: func(WorldOptions) World { return &noteWorld{} }}
	s := a.New(homeIn(t, dir), Request{Template: file, Local: true, Vars: map[string]string{"pw": "hunTer2"}})
	defer s.Close()
	if err := s.Load(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if err := store(s); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	return a, dir, s.Summary().ID
}

// What functions make of secrets is sealed with the run, like what the template holds itself: a resume needs neither the
// template nor the variables for it. Variables are not kept, and nothing is written as it is.
func TestMadeSecretsAreSealed(t *testing.T) {
	a, dir, id := notes(t, (*Session).store)
	filepath.WalkDir(filepath.Join(dir, "home"), func(path string, d fs.DirEntry, err error) error {
		p, _ := os.ReadFile(path)
		for _, secret := range []string{"hunTer2", "HUNTER2", "hunter2", "hun7er2", "written"} {
			if bytes.Contains(p, []byte(secret)) {
				t.Errorf("%s holds %s", path, secret)
			}
		}
		return err
	})
	s, err := a.Open(homeIn(t, dir), id)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if news, err := s.Renew(t.Context(), true); err != nil || news.Stored != Frozen {
		t.Fatal(news, err)
	}
	names := s.Graph().Nodes[0].Secrets()
	if len(names) != 4 {
		t.Fatalf("the step holds the secrets %q", names)
	}
	for name, want := range map[string]string{"upper(pw)": "HUNTER2", `printf("<%s>",replace("T","7",1,pw))`: "<hun7er2>", "web (1).own": "written", "pw": "", `replace("T","7",1,pw)`: "", "lower(pw)": ""} {
		if got, err := s.secret(name); got != want || (err == nil) != (want != "") {
			t.Errorf("%s is %q, %v; want %q", name, got, err, want)
		}
	}
}

// An earlier imgflow sealed what stands in the template, and made the rest again from the variables.
func TestMadeSecretsOfAnEarlierRun(t *testing.T) {
	a, dir, id := notes(t, func(s *Session) error {
		if err := (vault{s}).Put("template/web (1).own", []byte("written")); err != nil {
			return err
		}
		if err := s.run.SetGraph(s.graph); err != nil {
			return err
		}
		return s.run.SetDoc(requestDoc, s.req.stored(s.ev))
	})
	for _, given := range []map[string]string{nil, {"pw": "hunTer2"}} {
		s, err := a.Open(homeIn(t, dir), id)
		if err != nil {
			t.Fatal(err)
		}
		s.Give(given, nil)
		if _, err := s.Renew(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		if got, err := s.secret("upper(pw)"); given == nil && err == nil || given != nil && got != "HUNTER2" {
			t.Errorf("given %v it is %q, %v", given, got, err)
		}
		if got, err := s.secret("web (1).own"); got != "written" {
			t.Errorf("what the template held is %q, %v", got, err)
		}
		s.Close()
	}
}
