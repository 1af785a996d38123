package explain

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
)

type env struct{}

type instance struct{ ID string }

func (instance) Find(context.Context, *env, *dag.Task) (instance, error) { return instance{"i"}, nil }
func (instance) Undo(context.Context, *env, *dag.Task) error             { return nil }

type launch struct{ Type string }

func (launch) Kind() string    { return "launch" }
func (l launch) Title() string { return "launch " + l.Type }
func (launch) Do(context.Context, *env, *dag.Task) (instance, error) {
	return instance{"i"}, nil
}

type machine struct{ ID string }

type connect struct {
	To dag.Take[instance] `json:"to"`
}

func (connect) Kind() string { return "connect" }
func (connect) Do(context.Context, *env, *dag.Task) (machine, error) {
	return machine{"i"}, nil
}

type script struct {
	On   dag.Take[machine] `json:"on"`
	Text string            `json:"text"`
	File file              `json:"file"`
}

type file struct {
	Path   string `json:"path"`
	Digest string `json:"digest"`
}

func (f file) CanonKey() string { return f.Digest }

func (script) Kind() string { return "script" }
func (s script) Do(_ context.Context, _ *env, _ *dag.Task) (machine, error) {
	if s.Text == "fail" {
		return machine{}, fmt.Errorf("the script fails")
	}
	return s.On.Value(), nil
}

type image struct {
	Of   dag.Take[machine] `json:"of"`
	Name string            `json:"name"`
}

func (image) Kind() string                                            { return "image" }
func (image) Do(context.Context, *env, *dag.Task) (instanceID, error) { return "ami", nil }

type instanceID string

// wish is a build in short: its type, and the texts of its scripts.
func wish(kind string, scripts ...script) *dag.Graph {
	g := dag.NewGraph(nil)
	b := dag.Build{Name: "web"}
	on := dag.Add(g, b, "connect", connect{dag.Add(g, b, "launch", launch{kind}).Take()})
	for i, s := range scripts {
		s.On = on.Take()
		on = dag.Add(g, b, fmt.Sprint("script", i), s)
	}
	dag.Goal(g, dag.Add(g, b, "image", image{Of: on.Take(), Name: "x"}))
	return g
}

// history solves one graph after the other, and explains what the last would do then.
func history(t *testing.T, graphs ...*dag.Graph) map[string]Step {
	t.Helper()
	st := &dag.MemStore{}
	var old *dag.Graph
	for i, g := range graphs {
		e, err := dag.New(dag.Options{Store: st, Kinds: []dag.Kind{dag.Bind[launch](&env{}), dag.Bind[connect](&env{}), dag.Bind[script](&env{}), dag.Bind[image](&env{})},
			OnFailure: func(context.Context, dag.Node, error) dag.Decision { return dag.Suspend }})
		if err != nil {
			t.Fatal(err)
		}
		if i < len(graphs)-1 {
			if _, err := e.Solve(t.Context(), g); err != nil {
				t.Fatal(err)
			}
			old = g
			continue
		}
		p, err := e.Plan(g)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]Step{}
		for _, s := range Steps(old, e.Records(), g, p) {
			out[s.Name] = s
		}
		return out
	}
	return nil
}

func expect(t *testing.T, steps map[string]Step, want ...string) {
	t.Helper()
	for _, w := range want {
		name, rest, _ := strings.Cut(w, ": ")
		if got := fmt.Sprintf("%s %s", steps[name].Change, steps[name].Why); got != rest {
			t.Errorf("%s: %s, want %s", name, got, rest)
		}
	}
}

func TestAFirstRunNeedsNoReason(t *testing.T) {
	expect(t, history(t, wish("small", script{Text: "a"})), "launch: create ", "script0: create ", "image: create ")
}

func TestDoneStaysAndFailedRuns(t *testing.T) {
	g := wish("small", script{Text: "a"}, script{Text: "fail"})
	expect(t, history(t, g, g),
		"launch: reuse its key is unchanged, and it is done",
		"script0: reuse its key is unchanged, and it is done",
		"script1: rerun it failed before: the script fails",
		"image: create it was not run yet")
}

func TestAMendedStepRunsOnItsMachine(t *testing.T) {
	steps := history(t, wish("small", script{Text: "a"}, script{Text: "fail"}), wish("small", script{Text: "a"}, script{Text: "works"}))
	expect(t, steps,
		"script0: reuse its key is unchanged, and it is done",
		"script1: rerun because its settings have changed",
		"image: create since script1 before it has changed")
	if want := []Line{{"-", `text: "fail"`}, {"+", `text: "works"`}}; !reflect.DeepEqual(steps["script1"].Diff, want) || !reflect.DeepEqual(steps["image"].Diff, want) {
		t.Errorf("the difference is %v, and that of the image %v", steps["script1"].Diff, steps["image"].Diff)
	}
	if c := steps["image"].Chain(); !slices.Equal(c, []string{"script1"}) || steps["script1"].Chain() != nil {
		t.Errorf("the chains are %v and %v", c, steps["script1"].Chain())
	}
	if w := steps["script1"].Was; w == nil || w.Key == steps["script1"].Key {
		t.Errorf("the earlier form is %v", w)
	}
}

func TestADoneStepThatChangesReplacesTheMachine(t *testing.T) {
	before, after := file{"dir/setup.sh", "sha256:aaaa"}, file{"dir/setup.sh", "sha256:bbbb"}
	steps := history(t, wish("small", script{File: before}, script{Text: "b"}, script{Text: "fail"}), wish("small", script{File: after}, script{Text: "b"}, script{Text: "fail"}))
	expect(t, steps,
		"launch: replace because script0 has changed the machine in its earlier form",
		"connect: rerun because launch is made again",
		"script0: rerun because setup.sh has other content",
		"script1: rerun since script0 before it has changed",
		"script2: rerun since script0 before it has changed",
		"image: create since script0 before it has changed")
	if c := steps["image"].Chain(); !slices.Equal(c, []string{"script0", "script1", "script2"}) {
		t.Errorf("the chain is %v", c)
	}
}

func TestAnEditedLaunchReplacesIt(t *testing.T) {
	expect(t, history(t, wish("small", script{Text: "fail"}), wish("large", script{Text: "fail"})),
		"launch: replace because its settings have changed",
		"script0: rerun since launch before it has changed")
}

// What was put in between is new; what stood behind it has the same settings, whatever it is called now.
func TestAStepThatIsPutIn(t *testing.T) {
	expect(t, history(t, wish("small", script{Text: "a"}, script{Text: "fail"}), wish("small", script{Text: "a"}, script{Text: "new"}, script{Text: "fail"})),
		"script0: reuse its key is unchanged, and it is done",
		"script1: create it is new in the template",
		"script2: rerun since script1 before it is new")
}

func TestFind(t *testing.T) {
	var steps []Step
	for _, n := range []dag.Node{{Name: "shell", Builds: []string{"web"}}, {Name: "shell-2", Builds: []string{"web"}}, {Name: "stop", Builds: []string{"web"}}, {Name: "shell", Builds: []string{"db"}}} {
		steps = append(steps, Step{Node: n})
	}
	for name, want := range map[string]int{"shell": 2, "web.shell": 1, "db/shell": 1, "shell-": 1, "st": 1, "web.st": 1} {
		if got, err := Find(steps, name, nil); err != nil || len(got) != want {
			t.Errorf("%q is %d steps (%v), want %d", name, len(got), err, want)
		}
	}
	near := func(string, []string) string { return "stop" }
	for name, want := range map[string]string{"sh": "shell, shell-2", "stopp": "did you mean stop?", "": "There are shell, shell-2, stop"} {
		if _, err := Find(steps, name, near); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", name, err, want)
		}
	}
}

func TestCompare(t *testing.T) {
	changed, gone := Compare(wish("small", script{Text: "a"}, script{Text: "b"}), wish("small", script{Text: "c"}))
	if len(changed) != 1 || changed[0].Name != "script0" || len(changed[0].Diff) != 2 || len(gone) != 1 || gone[0].Name != "script1" {
		t.Errorf("changed %v, gone %v", changed, gone)
	}
}

// A difference leads from the one text to the other, and takes out no more than it must.
func TestDiff(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	text := func() (lines []string) {
		for range r.IntN(8) {
			lines = append(lines, string(rune('a'+r.IntN(3))))
		}
		return lines
	}
	for range 3000 {
		a, b := text(), text()
		kept := len(a)
		var minus, plus []string
		for _, l := range Diff(a, b) {
			if l.Op == "-" {
				minus, kept = append(minus, l.Text), kept-1
			} else {
				plus = append(plus, l.Text)
			}
		}
		if len(b)-len(plus) != kept || kept != int(longest(a, b)[0][0]) || !within(minus, a) || !within(plus, b) {
			t.Fatalf("%v to %v: %v", a, b, Diff(a, b))
		}
	}
	long := make([]string, 5000)
	other := slices.Clone(long)
	for i := range long {
		long[i], other[i] = fmt.Sprint("a", i), fmt.Sprint("b", i)
	}
	if begun := time.Now(); len(Diff(long, other)) != 10000 {
		t.Errorf("a long text has lost lines in %v", time.Since(begun))
	}
}

// within tells whether the lines stand in the text in their order.
func within(lines, text []string) bool {
	for _, l := range text {
		if len(lines) > 0 && lines[0] == l {
			lines = lines[1:]
		}
	}
	return len(lines) == 0
}
