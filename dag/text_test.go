package dag

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
)

// source is an output that texts refer to by the names of its fields.
type source struct {
	Name string `json:"name"`
	Size string `json:"size"`
}

func (s source) Evaluate(expr string) (string, error) {
	switch expr {
	case "name":
		return s.Name, nil
	case "size of " + Mark("pw"):
		return Mark("pw") + " has " + s.Size, nil
	}
	return "", errors.New("there is no " + expr)
}

type findSource struct {
	Name string `json:"name"`
}

func (findSource) Kind() string { return "text.source" }
func (f findSource) Do(context.Context, struct{}, *Task) (source, error) {
	return source{Name: f.Name + " {{x}} \uE002y\uE003", Size: "7"}, nil
}

type sticker struct {
	Text Text          `json:"text"`
	Tags map[Text]Text `json:"tags,omitempty"`
	Also string        `json:"also,omitempty"`
}

func (sticker) Kind() string { return "text.label" }
func (l sticker) Title() string {
	return "label " + string(l.Text)
}
func (l sticker) Do(_ context.Context, _ struct{}, t *Task) (string, error) {
	word := func(expr string) (string, error) { return "<" + expr + ">", nil }
	out, err := t.Fill(l.Text, word)
	for k, v := range l.Tags {
		k, kerr := t.Fill(k, nil)
		v, verr := t.Fill(v, nil)
		out, err = out+" "+k+"="+v, errors.Join(err, kerr, verr)
	}
	return out + l.Also, err
}

func textEngine(t *testing.T, store Store) *Engine {
	t.Helper()
	e, err := New(Options{Run: "r", Store: store, Kinds: []Kind{Bind[findSource](struct{}{}), Bind[sticker](struct{}{})},
		Secret: func(name string) (string, error) { return "{{" + name + "}}", nil }})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func output(t *testing.T, e *Engine, g *Graph, name string) (string, *Report) {
	t.Helper()
	r, err := e.Solve(t.Context(), g)
	if err != nil {
		t.Fatal(err)
	}
	var out string
	for _, r := range e.Records() {
		if r.Name == name && r.Status == Done {
			if err := json.Unmarshal(r.Out, &out); err != nil {
				t.Fatal(err)
			}
		}
	}
	return out, r
}

// A text refers to what another step makes: that comes first, stands in the key by
// its own, and what it says is no text to be looked at again. Nor is a secret.
func TestTextIsFilled(t *testing.T) {
	made := func(name string) (*Graph, Node) {
		g := NewGraph(func(text string) string {
			return "digest of " + strings.NewReplacer(MarkOpen, "[", MarkClose, "]").Replace(text)
		})
		b := Build{Name: "b"}
		src := Add(g, b, "source", findSource{name})
		l := Add(g, b, "label", sticker{
			Text: "a " + Ref(src, "name") + " b " + Text(Mark("pw")) + " c " + Word("w"+Mark("pw")) + " {{d}}",
			Tags: map[Text]Text{"k " + Ref(src, "size of "+Mark("pw")): Text(Mark("tag"))},
			Also: Mark("plain"),
		})
		Goal(g, l)
		n, _ := g.Node(l.Key())
		return g, n
	}
	g, n := made("one")
	if len(n.Needs) != 1 || n.Needs[0] != g.Nodes[0].Key || len(n.Texts) != 2 {
		t.Errorf("needs %v, refers to %v", n.Needs, n.Texts)
	}
	if !strings.Contains(n.Canon, g.Nodes[0].Key.String()) || strings.Contains(n.Canon, Mark("pw")) || !strings.Contains(n.Canon, "digest of  b [pw] c ") || !strings.Contains(n.Canon, "w"+MarkOpen+"digest of [pw]"+MarkClose) {
		t.Errorf("canon %q", n.Canon)
	}
	if _, other := made("two"); other.Key == n.Key || other.Own() != n.Own() {
		t.Errorf("another source: the same key, or %q instead of %q", other.Own(), n.Own())
	}
	if want := "label a name b <sensitive> c w<sensitive> {{d}}"; n.Title != want {
		t.Errorf("title %q, want %q", n.Title, want)
	}
	out, _ := output(t, textEngine(t, &MemStore{}), g, "label")
	want := "a one {{x}} \uE002y\uE003 b {{pw}} c <w{{pw}}> {{d}} k {{pw}} has 7={{tag}}{{plain}}"
	if out != want {
		t.Errorf("filled  %q\nwant    %q", out, want)
	}
}

// parcel is an output of plain data, with paths into it.
type parcel struct {
	Artifact
	Tags  map[string]string `json:"tags"`
	Sizes []int             `json:"sizes"`
	Key   Secret            `json:"key"`
	Next  *parcel           `json:"next,omitempty"`
}

type makeParcel struct{ Name string }

func (makeParcel) Kind() string { return "text.parcel" }
func (m makeParcel) Do(context.Context, struct{}, *Task) (parcel, error) {
	return parcel{Artifact{ID: "i-" + m.Name}, map[string]string{"k": "v"}, []int{7, 8}, Secret(Mark("pw")), nil}, nil
}

// A text refers to plain data by a path, also where it is read as what it embeds.
func TestTextRefersByPath(t *testing.T) {
	engine := func() *Engine {
		e, err := New(Options{Run: "r", Store: &MemStore{}, Kinds: []Kind{Bind[makeParcel](struct{}{}), Bind[sticker](struct{}{})},
			Secret: func(name string) (string, error) { return "{{" + name + "}}", nil }})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	made := func(name string, text func(Out[parcel]) Text) (*Graph, Node) {
		g, b := NewGraph(nil), Build{Name: "b"}
		l := Add(g, b, "label", sticker{Text: text(Add(g, b, "parcel", makeParcel{name}))})
		Goal(g, l)
		n, _ := g.Node(l.Key())
		return g, n
	}
	all := func(p Out[parcel]) Text {
		return Path(As[Artifact](p), "ID") + " " + Path(p, "Tags.k") + " " + Path(p, "Sizes.1") + " " + Path(p, "Key")
	}
	g, n := made("1", all)
	if len(n.Needs) != 1 || n.Needs[0] != g.Nodes[0].Key || !strings.Contains(n.Canon, g.Nodes[0].Key.String()+".ID") {
		t.Errorf("needs %v, canon %q", n.Needs, n.Canon)
	}
	if _, other := made("2", all); other.Key == n.Key || other.Own() != n.Own() {
		t.Error("another source, the same key")
	}
	if out, _ := output(t, engine(), g, "label"); out != "i-1 v 8 {{pw}}" {
		t.Errorf("filled %q", out)
	}
	for _, path := range []string{"Sizes.2", "Next.ID", "Tags.none"} {
		g, _ := made("1", func(p Out[parcel]) Text { return Path(p, path) })
		if _, r := output(t, engine(), g, "label"); len(r.Failed) != 1 || !strings.Contains(r.Failed[0].Err.Error(), "there is no "+path+" in what was made") {
			t.Errorf("%s: %v", path, r.Failed)
		}
	}
	for path, want := range map[string]string{"": "has no", "Nope": "has no Nope", "Sizes.x": "no place", "Tags": "is no text", "ID.x": "has no parts", "Next.Next.ID": ""} {
		if err := CheckPath[parcel](path); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", path, err)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a path leads nowhere")
		}
	}()
	made("1", func(p Out[parcel]) Text { return Path(p, "Nope") })
}

func TestTextThatCannotBeFilled(t *testing.T) {
	for name, c := range map[string]struct {
		text func(src Out[source]) sticker
		want string
	}{
		"no such expression": {func(src Out[source]) sticker { return sticker{Text: Ref(src, "age")} }, "there is no age"},
		"a word in a key":    {func(src Out[source]) sticker { return sticker{Tags: map[Text]Text{Word("w"): ""}} }, "w is not known here"},
	} {
		g := NewGraph(nil)
		Goal(g, Add(g, Build{Name: "b"}, "label", c.text(Add(g, Build{Name: "b"}, "source", findSource{"x"}))))
		_, r := output(t, textEngine(t, &MemStore{}), g, "label")
		if len(r.Failed) != 1 || !strings.Contains(r.Failed[0].Err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, r.Failed, c.want)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a text refers to a literal")
		}
	}()
	Ref(Lit(source{}), "name")
}

// What an earlier version has stored with words in braces is not taken for literal.
func TestTextOfAnEarlierFormatIsRefused(t *testing.T) {
	for text, refused := range map[Text]bool{"a {{ .Word }}": true, "plain": false} {
		g := NewGraph(nil)
		Goal(g, Add(g, Build{Name: "b"}, "label", sticker{Text: text}))
		g.Nodes[0].Format = 0
		out, r := output(t, textEngine(t, &MemStore{}), g, "label")
		if failed := len(r.Failed) == 1 && strings.Contains(r.Failed[0].Err.Error(), "without --frozen"); failed != refused || !refused && out != "plain" {
			t.Errorf("%s: %q, %v", text, out, r.Failed)
		}
	}
}

func TestTextParts(t *testing.T) {
	g := NewGraph(nil)
	src := Add(g, Build{Name: "b"}, "source", findSource{"x"})
	x := "a" + Word("w") + Text(Mark("s")) + Ref(src, "name") + "b" + Word("v"+Mark("s"))
	if x.Known() || !Text("a {{b}}").Known() || x.Literal() != "ab" || !slices.Equal(x.Words(), []string{"w", "v" + Mark("s")}) {
		t.Errorf("known %t, literal %q, words %q", x.Known(), x.Literal(), x.Words())
	}
	if got := x.String(); got != "aw"+Mark("s")+"namebv"+Mark("s") {
		t.Errorf("shown as %q", got)
	}
	if x.Final() || !(Text("a") + Text(Mark("s"))).Final() || (Ref(src, "name")).Final() || !slices.Equal(x.Secrets(), []string{"s", "s"}) {
		t.Errorf("final %t, secrets %q", x.Final(), x.Secrets())
	}
	list := ("a," + Word("v,w") + "," + Text(Mark("s,t")) + "b,").Split(",")
	if !slices.Equal(list, []Text{"a", Word("v,w"), Text(Mark("s,t")) + "b", ""}) {
		t.Errorf("split into %q", list)
	}
	bound := x.Bind(func(expr string) Text { return "[" + Text(expr) + "]" })
	if want := "a[w]" + Text(Mark("s")) + Ref(src, "name") + "b[v" + Text(Mark("s")) + "]"; bound != want {
		t.Errorf("bound %q, want %q", string(bound), string(want))
	}
}

func FuzzText(f *testing.F) {
	f.Add("a" + string(Word("b")) + Mark("c") + "\uE004short\uE005 \uE002open")
	f.Fuzz(func(t *testing.T, s string) {
		x := Text(s)
		if same := x.Bind(Word); same != x {
			t.Errorf("%q became %q", s, string(same))
		}
		if _, err := (&Task{}).Fill(x, nil); (err == nil) != (x.Known() || !x.Known() && x.Literal() == s) {
			t.Errorf("%q: %v", s, err)
		}
		if joined := strings.Join(strs(x.Split(",")), ","); joined != s {
			t.Errorf("%q is split into %q", s, joined)
		}
		_, _, _, _ = x.Literal(), x.String(), x.references(), x.Secrets()
	})
}

func strs(list []Text) (out []string) {
	for _, x := range list {
		out = append(out, string(x))
	}
	return out
}
