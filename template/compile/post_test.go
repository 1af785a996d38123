package compile_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
	"github.com/imgflow/imgflow/template"
	"github.com/imgflow/imgflow/template/compile"
)

// product tells what the image is.
type product struct {
	Of dag.Out[steps.Artifact] `json:"of"`
}

func (product) Kind() string { return "test.product" }
func (product) Do(context.Context, *comm.Env, *dag.Task) (steps.Product, error) {
	return steps.Product{}, nil
}

// after is a post-processor.
type after struct {
	In dag.Out[steps.Product] `json:"in"`
	steps.InputOptions
	Text dag.Text `json:"text,omitempty" option:"late=build"`
	Size int      `json:"size,omitempty"`

	Steps bool        `json:"steps,omitempty"` // more than one: what it is made of, and a goal beside its result
	Hands steps.Gives `json:"hands,omitempty" option:"-"`
}

// part is a step of a post-processor that has some.
type part struct {
	In dag.Out[steps.Product] `json:"in"`
	Of string                 `json:"of"`
}

func (part) Kind() string { return "test.part" }
func (part) Do(context.Context, *comm.Env, *dag.Task) (steps.Product, error) {
	return steps.Product{}, nil
}

func (after) Kind() string { return "test.after" }
func (after) Do(context.Context, *comm.Env, *dag.Task) (steps.Product, error) {
	return steps.Product{}, nil
}
func (a *after) Check() []steps.OptionError {
	var f steps.OptionErrors
	if a.Size < 0 {
		f.Add("size", "it cannot be negative")
	}
	return f
}
func (a *after) Gives() steps.Gives { return a.Hands }
func (a *after) Add(g *dag.Graph, b dag.Build, name string, in dag.Out[steps.Product]) dag.Out[steps.Product] {
	step := *a
	if step.In = in; a.Steps {
		step.In = dag.Add(g, b, name+".first", part{in, "first"})
	}
	out := dag.Add(g, b, name, step)
	if a.Steps {
		dag.Goal(g, dag.Add(g, b, name+".last", part{out, "last"}))
	}
	if a.Hands == steps.GivesOwn {
		dag.Keep(g, out, out)
	}
	return out
}

const oneBuild = `{"builders": [{"type": "test", "ami_name": "name", "instance_type": "s"}], "post-processors": %s}`

// chain is what the post-processors of a template become: each with what it reads, and comes after.
func chain(t *testing.T, posts string) (lines []string, warned string) {
	t.Helper()
	tmpl, _ := template.Parse("t.json", []byte(fmt.Sprintf(oneBuild, posts)))
	ev, _ := tmpl.Evaluate(template.Inputs{})
	g, errs := compile.Compile(t.Context(), ev, catalog(), compile.Options{ForRun: true, Warn: func(w template.Error) { warned += w.Text }})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	name := func(k dag.Key) string { n, _ := g.Node(k); return n.Name }
	from := slices.IndexFunc(g.Nodes, func(n dag.Node) bool { return n.Name == "product" })
	for _, n := range g.Nodes[max(from, 0):] {
		line := n.Name
		for _, k := range n.Needs {
			line += " <" + name(k)
		}
		for _, k := range n.After {
			line += " >" + name(k)
		}
		if slices.Contains(g.Goals, n.Key) {
			line += " goal"
		}
		for _, m := range g.Nodes {
			if g.Discards[m.Key] == n.Key {
				line += " -" + m.Name
			}
		}
		lines = append(lines, line)
	}
	return lines, warned
}

func TestPostProcessors(t *testing.T) {
	const no = `"keep_input_artifact": false`
	for posts, want := range map[string]string{
		// Each sequence begins with what was built, and comes after the one before it.
		`["note", ["pack", {"type": "note", "name": "image"}], "note"]`: "product <image|note <product goal|pack <product >note goal|image-2 <pack goal|note-2 <product >image-2 goal",
		`["note", {"type": "note", "size": 1}]`:                         "product <image|note <product goal|note-2 <product >note goal",
		// One of more steps begins where it is its turn, and its goals come before the next.
		`["note", {"type": "pack", "steps": true}, {"type": "note", "size": 2}]`: "product <image|note <product goal|pack.first <product >note|pack <pack.first goal|pack.last <pack goal|note-2 <product >pack >pack.last goal",
		// What was built goes when every sequence gives it up, at the very end.
		`[{"type": "pack", ` + no + `}, ["note", {"type": "found", ` + no + `}]]`: "product <image|pack <product goal|note <product >pack|found <note goal|discard <product >found goal -image",
		`[{"type": "pack", ` + no + `}, "note"]`:                                  "product <image|pack <product goal|note <product >pack goal",
		// What a post-processor has made goes after the one that does not keep it.
		`[["pack", "note", {"type": "found", ` + no + `}]]`: "product <image|pack <product goal|note <pack|found <note goal|discard <pack >found goal -pack",
	} {
		lines, _ := chain(t, posts)
		if got := strings.Join(lines, "|"); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", posts, got, want)
		}
	}
	for posts, want := range map[string]string{
		`[{"type": "note", ` + no + `}]`:                          "keep_input_artifact has no effect: this post-processor hands on what it is given",
		`[["found", {"type": "pack", ` + no + `}]]`:               "keep_input_artifact has no effect: what it is given was not made here",
		`[{"type": "pack", ` + no + `}, "note"]`:                  "keep_input_artifact has no effect: another sequence keeps what was built",
		`[{"type": "pack", ` + no + `}]`:                          "",
		`[["pack", {"type": "pack", ` + no + `}]]`:                "",
		`["pack", {"type": "pack", "keep_input_artifact": true}]`: "",
	} {
		if _, got := chain(t, posts); got != want {
			t.Errorf("%s warns of %q, want %q", posts, got, want)
		}
	}
}

// What is wrong with a post-processor is told with its place, and what a build without result has none of.
func TestPostProcessorFaults(t *testing.T) {
	_, _, errs := build(t, `{"builders": [{"type": "test", "ami_name": "name", "instance_type": "s"}], "post-processors": [
["note", {"type": "pack", "sise": 1}],
{"type": "note", "size": -1, "keep_input_artifact": "perhaps", "text": "{{build `+"`Hots`"+`}}"}]}`, false)
	var got []string
	for _, e := range errs {
		got = append(got, strings.SplitN(e.Error(), "\n", 2)[0])
	}
	want := []string{
		`t.json:2:27: cannot use sise: pack has no such option (did you mean "size"?)`,
		"t.json:3:26: cannot use size: it cannot be negative",
	}
	for _, w := range want {
		if !slices.Contains(got, w) {
			t.Errorf("%q lacks %q", got, w)
		}
	}
	if len(got) != 4 {
		t.Errorf("%q", got)
	}
}
