package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/app/files"
	"github.com/imgflow/imgflow/internal/app/local"
	"github.com/imgflow/imgflow/state"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
	"github.com/imgflow/imgflow/template/compile"
)

// parcel is a builder of one step, which reads a file.
type parcel struct {
	Text   dag.Text   `json:"text"`
	Script steps.File `json:"script"`
	Key    string     `json:"ssh_private_key_file,omitempty" option:"file"`
}

func (parcel) Kind() string { return "test.parcel" }
func (p parcel) Do(_ context.Context, w *parcelWorld, t *dag.Task) (steps.Artifact, error) {
	text, err := t.Fill(p.Text, nil)
	if err != nil {
		return steps.Artifact{}, err
	}
	script, err := os.ReadFile(p.Script.Path)
	if err != nil {
		return steps.Artifact{}, err
	}
	var key []byte
	if p.Key != "" {
		if key, err = os.ReadFile(p.Key); err != nil {
			return steps.Artifact{}, err
		}
	}
	t.Say("read %s", p.Script.Path)
	w.written.add(fmt.Sprint(t.Builds[0], ": ", text, " ", string(script), string(key)))
	return steps.Artifact{Kind: "parcel", ID: t.Builds[0]}, nil
}
func (p *parcel) Check() (f []steps.OptionError) {
	if _, err := os.Stat(p.Key); p.Key != "" && err != nil {
		f = append(f, steps.OptionError{Field: "ssh_private_key_file", Text: err.Error()})
	}
	return f
}
func (*parcel) Claims() []steps.Claim         { return nil }
func (*parcel) Prepare(context.Context) error { return nil }
func (p *parcel) Wire(g *dag.Graph, b dag.Build, _ func(dag.Out[comm.Machine]) dag.Out[comm.Machine]) steps.Made {
	return steps.Made{Artifacts: []dag.Out[steps.Artifact]{dag.Add(g, b, "parcel", *p)}}
}

type parcelWorld struct{ askWorld }

func (*parcelWorld) Catalog(force bool) compile.Catalog {
	c := (*askWorld)(nil).Catalog(force)
	c.Builders["parcel"] = func() steps.Source { return &parcel{} }
	return c
}
func (w *parcelWorld) Kinds() []dag.Kind {
	return append(w.askWorld.Kinds(), dag.Bind[parcel](w))
}

const parcelTemplate = `
variable "pw" {
  type      = string
  sensitive = true
}
variable "word" {
  default = env("WORD")
}
data "ask" "first" {
  of = var.word
}
source "parcel" "open" {
  text   = "${data.ask.first.text} ${path.root} ${file("more/words.txt")} ${join(",", fileset("more", "*"))}"
  script = "x.sh"
  ssh_private_key_file = "${path.root}/id"
}
source "parcel" "known" {
  text   = "${file("more/words.txt")} ${var.pw}"
  script = "x.sh"
}
build {
  sources = ["parcel.open", "parcel.known"]
}
`

// parcels is an app with a template, in a directory, that needs files and variables.
func parcels(t *testing.T) (a *App, dir string, written *list) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range map[string]string{"t.pkr.hcl": parcelTemplate, "x.sh": "SCRIPT", "id": "KEY", "more/words.txt": "WORDS", "more/other": ""} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o640)); err != nil {
			t.Fatal(err)
		}
	}
	return appOfParcels([]string{"WORD=w"}, dir)
}

func appOfParcels(env []string, dir string) (*App, string, *list) {
	w := &asking{}
	return &App{Env: NewEnv(env, dir), World: func(o WorldOptions) World { return &parcelWorld{askWorld{toyWorld{WorldOptions: o}, w}} }}, dir, &w.written
}

// of is a session of the template of parcels, begun.
func ofParcels(t *testing.T, a *App, home *state.Home, dir string) *Session {
	t.Helper()
	s := a.New(home, Request{Template: filepath.Join(dir, "t.pkr.hcl"), Vars: map[string]string{"pw": "hunTer2"}})
	if err := errors.Join(s.Load(t.Context(), true), s.Begin(t.Context(), local.Settings{})); err != nil {
		t.Fatal(err)
	}
	return s
}

// keys are those of the session's steps that hold no secret, by build and name.
func keysOf(s *Session) string {
	var b strings.Builder
	for _, n := range s.Graph().Nodes {
		if len(n.Secrets()) == 0 {
			fmt.Fprintln(&b, n.Builds, n.Name, n.Key, string(n.Spec))
		}
	}
	return b.String()
}

// Whoever has a packed run does its steps without the template, its files, its variables and the submitter's
// environment; the steps are the same, and find and say the same.
func TestPackedRunsGoOnElsewhere(t *testing.T) {
	a, dir, written := parcels(t)
	home := newHome(t)
	here := ofParcels(t, a, home, dir)
	defer here.Close()
	if res, err := here.Run(t.Context(), RunOptions{}); err != nil || res.Summary.Status != state.Done {
		t.Fatal(res, err)
	}
	want, keys := written.take(), keysOf(here)
	if !strings.Contains(want, "parcel.open: re-w "+dir+" WORDS other,words.txt SCRIPTKEY") {
		t.Fatalf("here it is %s", want)
	}

	s := ofParcels(t, a, home, dir)
	if err := s.Pack(t.Context()); err != nil {
		t.Fatal(err)
	}
	id := s.Summary().ID
	if err := errors.Join(s.Close(), os.RemoveAll(dir)); err != nil {
		t.Fatal(err)
	}
	filepath.WalkDir(home.Dir(), func(path string, _ fs.DirEntry, _ error) error {
		if p, _ := os.ReadFile(path); bytes.Contains(p, []byte("hunTer2")) {
			t.Errorf("%s holds a secret", path)
		}
		return nil
	})

	b, _, written := appOfParcels([]string{"WORD=other", "IMGFLOW_ENFORCE=/of/another"}, t.TempDir())
	run, err := home.Open(id)
	if err != nil {
		t.Fatal(err)
	}
	work := filepath.Join(t.TempDir(), "work")
	there, err := b.unpack(t.Context(), home, run, work)
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()
	said := ""
	if res, err := there.Run(t.Context(), RunOptions{Show: func(e dag.Event) { said += e.Text + "\n" }, Parallel: 1}); err != nil || res.Summary.Status != state.Done {
		t.Fatal(res.Failed, err)
	}
	if got := written.take(); got != want {
		t.Errorf("there it is %s, and here %s", got, want)
	}
	if got := keysOf(there); got != keys {
		t.Errorf("there the steps are\n%sand here\n%s", got, keys)
	}
	if !strings.Contains(said, "read "+dir+"/x.sh\n") || strings.Contains(said, work) {
		t.Errorf("it said %s", said)
	}
	if !there.Packed() || here.Packed() {
		t.Error("nobody knows which run is packed")
	}
	if err := Unroll(t.Context(), work, id); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(work); err != nil || len(left) > 0 {
		t.Error(left, err)
	}
}

// Files are laid out once, whoever has died over it, and never where others can see them.
func TestFilesAreLaidOutInPrivate(t *testing.T) {
	a, dir, _ := parcels(t)
	home := newHome(t)
	s := ofParcels(t, a, home, dir)
	defer s.Close()
	if err := s.Pack(t.Context()); err != nil {
		t.Fatal(err)
	}
	var m files.Manifest
	if err := s.run.Doc(filesDoc, &m); err != nil {
		t.Fatal(err)
	}
	work := filepath.Join(t.TempDir(), "work")
	folder := filepath.Join(work, s.Summary().ID+"-"+m.Digest()[:8])
	if err := os.MkdirAll(folder+".new/half", 0o700); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := a.unpack(t.Context(), home, s.run, work); err != nil {
			t.Fatal(err)
		}
	}
	found, err := filepath.Glob(work + "/*")
	if err != nil || !slices.Equal(found, []string{folder}) {
		t.Error(found, err)
	}
	if _, err := os.Stat(filepath.Join(files.Folder(folder).Root(), dir, "x.sh")); err != nil {
		t.Error(err)
	}
	if err := os.Chmod(work, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := a.unpack(t.Context(), home, s.run, work); err == nil || !strings.Contains(err.Error(), "only this user can look into") {
		t.Error(err)
	}
}
