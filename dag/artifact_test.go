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
