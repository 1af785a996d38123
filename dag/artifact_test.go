package dag

import (
	"context"
	"encoding/json"
	"testing"
)

type printed struct {
	Artifact
	Pages int `json:"pages"`
}

type press struct {
	Name string `json:"name"`
}

func (press) Kind() string { return "test.press" }
func (p press) Do(context.Context, struct{}, *Task) (printed, error) {
	return printed{Artifact{Kind: "book", ID: "b-1", Region: "shelf", Name: p.Name}, 7}, nil
}

type read struct {
	Of Out[Artifact] `json:"of"`
}

func (read) Kind() string { return "test.read" }
func (r read) Do(context.Context, struct{}, *Task) (string, error) {
	return r.Of.Value().Name, nil
}

// The record of a step carries what it has made, also where an earlier version
// has written it; and who reads an artifact need not know whose output it is.
func TestArtifactsAreInRecords(t *testing.T) {
	g := NewGraph(nil)
	book := Add(g, Build{Name: "b"}, "press", press{"one"})
	Goal(g, Add(g, Build{Name: "b"}, "read", read{As[Artifact](book)}))
	store := &MemStore{}
	kinds := []Kind{Bind[press](struct{}{}), Bind[read](struct{}{})}
	e, err := New(Options{Run: "r", Store: store, Kinds: kinds})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := e.Solve(t.Context(), g); err != nil || len(r.Failed) > 0 {
		t.Fatal(r, err)
	}
	want := Artifact{Kind: "book", ID: "b-1", Region: "shelf", Name: "one"}
	old := &MemStore{}
	stored, _ := store.All()
	for _, r := range stored {
		if r.Kind == "test.press" && (len(r.Artifacts) != 1 || r.Artifacts[0] != want) {
			t.Errorf("stored are %v", r.Artifacts)
		}
		if r.Kind == "test.read" && (len(r.Artifacts) > 0 || string(r.Out) != `"one"`) {
			t.Errorf("what reads it has %v, %s", r.Artifacts, r.Out)
		}
		p, _ := json.Marshal(r)
		var back Record
		if err := json.Unmarshal(p, &back); err != nil {
			t.Fatal(err)
		}
		back.Artifacts = nil
		old.Put(back)
	}
	if e, err = New(Options{Run: "r", Store: old, Kinds: kinds}); err != nil {
		t.Fatal(err)
	}
	for _, r := range e.Records() {
		if r.Kind == "test.press" && (len(r.Artifacts) != 1 || r.Artifacts[0] != want) {
			t.Errorf("of an earlier version are %v", r.Artifacts)
		}
	}
}

// hired is a thing of which something is known when it is gone.
type hired struct{ Name string }

type boot struct{ Name string }

func (boot) Kind() string                                            { return "test.boot" }
func (s boot) Do(context.Context, struct{}, *Task) (hired, error)    { return hired(s), nil }
func (h hired) Find(context.Context, struct{}, *Task) (hired, error) { return h, nil }
func (hired) Undo(context.Context, struct{}, *Task) error            { return nil }

type listed struct{ Name, Packages string }

func (l listed) Report() string { return l.Packages }

type list struct{ On Take[hired] }

func (list) Kind() string { return "test.list" }
func (s list) Do(context.Context, struct{}, *Task) (listed, error) {
	return listed{s.On.Value().Name, "bash"}, nil
}

type ship struct{ From Out[listed] }

func (ship) Kind() string                                          { return "test.ship" }
func (s ship) Do(context.Context, struct{}, *Task) (string, error) { return s.From.Value().Name, nil }

// What a step has to report stays, with the time of its end, when the thing is gone
// that it tells of, and its output with it.
func TestReportsStay(t *testing.T) {
	g := NewGraph(nil)
	b := Build{Name: "b"}
	Goal(g, Add(g, b, "ship", ship{Add(g, b, "list", list{Add(g, b, "boot", boot{"one"}).Take()})}))
	store := &MemStore{}
	e, err := New(Options{Run: "r", Store: store, Kinds: []Kind{Bind[boot](struct{}{}), Bind[list](struct{}{}), Bind[ship](struct{}{})}})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := e.Solve(t.Context(), g); err != nil || len(r.Failed)+len(r.Left) > 0 {
		t.Fatal(r, err)
	}
	stored, _ := store.All()
	for _, r := range stored {
		if r.Finished.IsZero() || r.Finished.After(r.Ended) || r.Finished.Before(r.Begun) {
			t.Errorf("%s: begun %s, finished %s, ended %s", r.Name, r.Begun, r.Finished, r.Ended)
		}
		if want := map[string]string{"list": "bash"}[r.Name]; r.Report != want || r.Name == "list" && (r.Status != Gone || r.Out != nil) {
			t.Errorf("%s is %s, %s, and reports %q", r.Name, r.Status, r.Out, r.Report)
		}
	}
}

func TestAsTakesOnlyWhatIsEmbedded(t *testing.T) {
	for name, wrong := range map[string]func(){
		"a literal":    func() { As[Artifact](Lit(printed{})) },
		"not embedded": func() { As[printed](Out[Artifact]{}) },
		"no struct":    func() { As[Artifact](Out[string]{}) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s was taken", name)
				}
			}()
			wrong()
		}()
	}
}
