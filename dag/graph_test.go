package dag

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func key(spec any) Key {
	return digestKey(canonical("k", spec, keyForm, func(n string) string { return "digest of " + n }))
}

// content enters a key by what it holds, wherever it lies.
type content struct{ Path, Digest string }

func (c content) CanonKey() string { return c.Digest }

func TestKeys(t *testing.T) {
	type inner struct{ A, B string }
	type spec struct {
		Name    string
		Size    int
		Flag    *bool
		Tags    map[string]string
		List    []inner
		Timeout time.Duration `key:"-"`
		New     []string
		File    content
	}
	base := spec{Name: "x", Tags: map[string]string{"b": "2", "a": "1"}}
	yes, no := true, false
	same := []spec{
		{Name: "x", Tags: map[string]string{"a": "1", "b": "2"}, Timeout: 7, New: []string{}},
	}
	other := []spec{
		{Name: "y", Tags: base.Tags},
		{Name: "x", Tags: base.Tags, Flag: &yes},
		{Name: "x", Tags: base.Tags, Flag: &no},
		{Name: "x", Tags: base.Tags, List: []inner{{"a", "b"}}},
		{Name: "x", Tags: base.Tags, List: []inner{{"ab", ""}}},
		{Name: "x", Tags: base.Tags, File: content{"/p", "d1"}},
		{Name: "x", Tags: base.Tags, File: content{"/p", "d2"}},
	}
	seen := map[Key]int{key(base): -1}
	for i, s := range same {
		if key(s) != key(base) {
			t.Errorf("same %d has another key", i)
		}
	}
	for i, s := range other {
		if j, ok := seen[key(s)]; ok {
			t.Errorf("%d has the key of %d", i, j)
		}
		seen[key(s)] = i
	}
	if key(spec{File: content{"/here", "d"}}) != key(spec{File: content{"/there", "d"}}) {
		t.Error("a file's path is part of the key")
	}
	// A changed canonical form would make every stored run unreadable: this
	// value may only change together with the salt.
	if got := key(base).Short(); got != "520ec0b3" {
		t.Errorf("golden key %s for %s", got, canonical("k", base, keyForm, nil))
	}
}

// TestSecretsInKeys: which part of a text is the secret means nothing, but for what waits.
func TestSecretsInKeys(t *testing.T) {
	values := map[string]string{"pw": "ab", "a": "a", "b": "b", "whole": "x ab y"}
	reveal := func(text string) string {
		return "<" + expandMarks(text, func(name string) string { return values[name] }) + ">"
	}
	canon := func(form int, text string) string { return canonical("k", struct{ Text string }{text}, form, reveal) }
	for _, same := range [][2]string{
		{"x " + Mark("pw") + " y", Mark("whole")},
		{Mark("pw"), Mark("a") + "b"},
		{Mark("pw") + string(Word("w")) + "b" + Mark("a"), "a" + Mark("b") + string(Word("w")) + Mark("b") + "a"},
	} {
		if canon(keyForm, same[0]) != canon(keyForm, same[1]) {
			t.Errorf("%q is another key than %q", same[0], same[1])
		}
		if canon(0, same[0]) == canon(0, same[1]) {
			t.Errorf("%q was the same key as %q in the form 0, too", same[0], same[1])
		}
	}
	if canon(keyForm, Mark("pw")) == canon(keyForm, "ab") || canon(keyForm, Mark("a")) == canon(keyForm, Mark("b")) || canon(keyForm, Mark("a")) != canon(0, Mark("a")) {
		t.Error("a secret is not what it is")
	}
	if canon(keyForm, "a"+string(Word("w"))) == canon(keyForm, Mark("a")+string(Word("w"))) {
		t.Error("a secret before a word is a literal part")
	}
	if canon(keyForm, Mark("a")+string(Word("w"))+"b") == canon(keyForm, Mark("a")+"b"+string(Word("w"))) {
		t.Error("a word may stand anywhere in a text")
	}
}

func TestSecretsInKeysAndSettings(t *testing.T) {
	g := NewGraph(func(text string) string { return "hmac-of-" + text })
	b := Build{Name: "b"}
	i := Add(g, b, "launch", launch{Key: Lit(keyPairOut{}), Group: Lit(groupOut{})})
	m := Add(g, b, "connect", connect{To: i.Take()})
	Goal(g, Add(g, b, "shell", shell{On: m.Take(), Script: "echo " + Mark("pw"), Hidden: Secret(Mark("pw"))}))
	n := g.Nodes[2]
	if strings.Contains(string(n.Spec), "s3cret") || !strings.Contains(n.Canon, "hmac-of-echo "+Mark("pw")) {
		t.Errorf("spec %s, canon %s", n.Spec, n.Canon)
	}
	w, st := newWorld(), &MemStore{}
	e := toyEngine(t, w, st, Options{Secret: func(name string) (string, error) { return "s3cret", nil }})
	clean(t, solve(t, e, g))
	if w.count("sh echo s3cret") != 1 {
		t.Errorf("log %q", w.log)
	}
	rs, _ := st.All()
	p, _ := json.Marshal(rs)
	if strings.Contains(string(p), "s3cret") {
		t.Errorf("the store holds the secret: %s", p)
	}
	if v, err := NewTask("", "", "", nil, nil).Reveal(Secret(Mark("pw"))); err == nil || v != "" {
		t.Errorf("revealed %q without anybody knowing it", v)
	}
}

func TestWiring(t *testing.T) {
	g := NewGraph(nil)
	b := Build{Name: "b"}
	i := Add(g, b, "launch", launch{Key: Lit(keyPairOut{}), Group: Lit(groupOut{})})
	m := Add(g, b, "connect", connect{To: i.Take()})
	Add(g, b, "one", shell{On: m.Take(), Script: "1"})
	Add(g, b, "two", shell{On: m.Take(), Script: "2"})
	if err := g.Err(); err == nil || !strings.Contains(err.Error(), "two: one already takes the same machine") {
		t.Errorf("err %v", err)
	}
	g = NewGraph(nil)
	Add(g, b, "keyless", loner{})
	lone := Add(g, b, "lone", loner{})
	Add(g, b, "shell", shell{On: lone.Take()})
	if err := g.Err(); err == nil || !strings.Contains(err.Error(), "does not begin at a thing") {
		t.Errorf("err %v", err)
	}
}

type loner struct{}

func (loner) Kind() string                                       { return "toy.loner" }
func (loner) Do(context.Context, *world, *Task) (machine, error) { return machine{}, nil }

type badOut struct{ hidden string }
type bad struct{}

func (bad) Kind() string                                      { return "toy.bad" }
func (bad) Do(context.Context, *world, *Task) (badOut, error) { return badOut{"x"}, nil }

type undoOnly struct{}

func (undoOnly) Undo(context.Context, *world, *Task) error { return nil }

type leaky struct{}

func (leaky) Kind() string                                        { return "toy.leaky" }
func (leaky) Do(context.Context, *world, *Task) (undoOnly, error) { return undoOnly{}, nil }

func TestBindRejects(t *testing.T) {
	for name, bind := range map[string]func(){
		"unexported field":    func() { Bind[bad](newWorld()) },
		"undo without a find": func() { Bind[leaky](newWorld()) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: bound", name)
				}
			}()
			bind()
		}()
	}
}

type lossy struct{}
type lossyOut struct{ T time.Time }

func (lossy) Kind() string { return "toy.lossy" }
func (lossy) Do(context.Context, *world, *Task) (lossyOut, error) {
	return lossyOut{time.Now()}, nil // the monotonic clock does not survive
}

func TestCheckpointHonesty(t *testing.T) {
	g := NewGraph(nil)
	Goal(g, Add(g, Build{Name: "b"}, "lossy", lossy{}))
	e, _ := New(Options{Run: "r", Store: &MemStore{}, Kinds: []Kind{Bind[lossy](newWorld())}})
	r, err := e.Solve(context.Background(), g)
	if err != nil || len(r.Failed) != 1 || !strings.Contains(r.Failed[0].Err.Error(), "changes when it is stored") {
		t.Errorf("%+v %v", r, err)
	}
}

func TestGraphSurvivesJSON(t *testing.T) {
	w := newWorld()
	p, err := json.Marshal(toyGraph("a", "b"))
	if err != nil {
		t.Fatal(err)
	}
	var g Graph
	if err := json.Unmarshal(p, &g); err != nil {
		t.Fatal(err)
	}
	clean(t, solve(t, toyEngine(t, w, &MemStore{}, Options{}), &g))
	if w.left() != "image" {
		t.Errorf("world %q", w.left())
	}
}

func TestDrawings(t *testing.T) {
	for name, draw := range map[string]func(*strings.Builder) error{
		"toy.mermaid": func(b *strings.Builder) error { return toyGraph("a", "b").Mermaid(b, nil) },
	} {
		var b strings.Builder
		if err := draw(&b); err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", name)
		if os.Getenv("UPDATE_GOLDEN") != "" {
			os.MkdirAll("testdata", 0o755)
			os.WriteFile(golden, []byte(b.String()), 0o644)
		}
		want, err := os.ReadFile(golden)
		if err != nil || string(want) != b.String() {
			t.Errorf("%s differs (UPDATE_GOLDEN=1 writes it): %v\n%s", name, err, b.String())
		}
	}
	var dot strings.Builder
	if err := toyGraph("a").DOT(&dot, nil); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"release keypair", "release group", "release launch", "launching ami-0"} {
		if !strings.Contains(dot.String(), want) {
			t.Errorf("no %q in %s", want, dot.String())
		}
	}
	if strings.Contains(dot.String(), "release image") {
		t.Error("the image is released")
	}
	g := toyGraph("a")
	look := func(k Key) Look {
		if k == g.Nodes[0].Key {
			return Look{"+", "create"}
		}
		return Look{}
	}
	var looks, mermaid strings.Builder
	if err := errors.Join(g.DOT(&looks, look), g.Mermaid(&mermaid, look)); err != nil {
		t.Fatal(err)
	}
	for text, wants := range map[string][]string{
		looks.String():   {`class="create"`, `label="+ base: `},
		mermaid.String(): {`:::create`, `"+ base: `, "classDef create stroke:"},
	} {
		for _, want := range wants {
			if strings.Count(text, want) != 1 {
				t.Errorf("%q is not there once:\n%s", want, text)
			}
		}
	}
}

func FuzzExpandMarks(f *testing.F) {
	f.Add("a" + Mark("b") + "c")
	f.Add(MarkOpen)
	f.Fuzz(func(t *testing.T, s string) {
		if got := expandMarks(s, func(n string) string { return Mark(n) }); got != s {
			t.Errorf("%q became %q", s, got)
		}
	})
}

type marked struct {
	Name string `json:"name"`
}

func (marked) Kind() string                                        { return "marked" }
func (m marked) Title() string                                     { return "make " + m.Name }
func (marked) Do(context.Context, struct{}, *Task) (string, error) { return "", nil }

// A title is for people, who have no use for marks.
func TestTitlesShowNoMarks(t *testing.T) {
	g := NewGraph(func(string) string { return "digest" })
	Add(g, Build{Name: "b"}, "m", marked{Name: "web-" + Mark("stage") + "-1"})
	if err := g.Err(); err != nil || g.Nodes[0].Title != "make web-<sensitive>-1" {
		t.Errorf("%v, %+v", err, g.Nodes)
	}
}
