package steps_test

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// What follows is what CONTRIBUTING shows: a test compares it, and the example runs it.

// Note tells the user a text while the machine stands.
type Note struct {
	On           dag.Take[comm.Machine] `json:"on"`
	steps.Common `option:"-"`
	Text         string `json:"text,omitempty" option:"required"`
	Times        int    `json:"times,omitempty" key:"-"` // does not change what the step is
}

func (Note) Kind() string    { return "provision.note" } // changed meaning: "provision.note/2"
func (n Note) Title() string { return "note" }

func (n Note) Do(ctx context.Context, e *comm.Env, t *dag.Task) (comm.Machine, error) {
	return n.On.Value(), n.Try(ctx, t, func(ctx context.Context, try int) error {
		for range max(n.Times, 1) {
			t.Say("%s", n.Text)
		}
		return nil
	})
}

// Check says what is wrong with the options.
func (n *Note) Check() []steps.OptionError {
	var f steps.OptionErrors
	if n.Times < 0 {
		f.Add("times", "it cannot be negative")
	}
	return f
}

// Communicators is any: the machine is left alone.
func (*Note) Communicators() []string { return nil }

// Add adds the step, which takes the machine and gives it back.
func (n *Note) Add(g *dag.Graph, b dag.Build, name string, on dag.Out[comm.Machine]) dag.Out[comm.Machine] {
	step := *n
	step.On = on.Take()
	return dag.Add(g, b, name, step)
}

// spoken keeps what steps say.
type spoken struct{ texts []string }

func (s *spoken) Emit(e dag.Event) error {
	if e.Type == dag.Said {
		s.texts = append(s.texts, strings.Join(e.Builds, ", ")+": "+e.Text)
	}
	return nil
}
func (*spoken) Sync() error                  { return nil }
func (*spoken) Offset(_, _ string) int64     { return 0 }
func (*spoken) Break(line []byte, _ int) int { return 0 }

func ExampleProvisioner() {
	g := dag.NewGraph(nil)
	var p steps.Provisioner = &Note{Text: "hello", Times: 2}
	dag.Goal(g, p.Add(g, dag.Build{Name: "web"}, "note", dag.Lit(comm.Machine{})))

	said := &spoken{}
	e, err := dag.New(dag.Options{Store: &dag.MemStore{}, Sink: said, Kinds: []dag.Kind{dag.Bind[Note](comm.NewEnv(nil))}})
	if err == nil {
		_, err = e.Solve(context.Background(), g)
	}
	fmt.Println(said.texts, err, (&Note{Times: -1}).Check())
	// Output: [web: hello web: hello] <nil> [times: it cannot be negative]
}

// CONTRIBUTING shows code that compiles and runs: this file's.
func TestContributingShowsTheExample(t *testing.T) {
	text, err := os.ReadFile("../CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	own, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	flat := func(code string) string { // without what only aligns
		var lines []string
		for line := range strings.Lines(code) {
			lines = append(lines, strings.Join(strings.Fields(line), " "))
		}
		return strings.TrimSpace(strings.Join(lines, "\n"))
	}
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) < 3 {
		t.Fatalf("CONTRIBUTING shows %d pieces of code", len(blocks))
	}
	for _, b := range blocks {
		if !strings.Contains(flat(string(own)), flat(b[1])) {
			t.Errorf("this is not in the example, which compiles:\n%s", b[1])
		}
	}
}
