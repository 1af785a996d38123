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

// provable is a builder whose images can be tested.
type provable struct {
	builder
	Skip bool `json:"skip"`

	tests []func(*dag.Graph, dag.Build, dag.Out[steps.Artifact])
}

// proof is a test of an image.
type proof struct {
	Size string `json:"instance_type"`

	of *provable
}

type proving struct {
	Of   dag.Out[steps.Artifact] `json:"of"`
	Name string                  `json:"name"`
	Size string                  `json:"size"`
}

func (proving) Kind() string { return "test.proving" }
func (proving) Do(context.Context, struct{}, *dag.Task) (instance, error) {
	return instance{}, nil
}

func (b *provable) Test() steps.Test { return &proof{of: b} }

func (b *provable) WithoutProduct() string {
	if b.Skip {
		return "there is no image"
	}
	return ""
}

func (p *proof) Check() []steps.OptionError {
	if p.Size == "none" {
		return []steps.OptionError{{Field: "instance_type", Text: "it has no size"}}
	}
	return nil
}

func (p *proof) Add(name string, provision func(dag.Out[comm.Machine]) dag.Out[comm.Machine]) {
	p.of.tests = append(p.of.tests, func(g *dag.Graph, b dag.Build, image dag.Out[steps.Artifact]) {
		i := dag.Add(g, b, name+".launch", proving{image, name, p.Size})
		dag.Goal(g, provision(dag.Add(g, b, name+".connect", connect{To: i.Take()})))
	})
}

func (b *provable) Wire(g *dag.Graph, build dag.Build, provision func(dag.Out[comm.Machine]) dag.Out[comm.Machine]) steps.Made {
	made := b.builder.Wire(g, build, provision)
	for _, t := range b.tests {
		t(g, build, made.Artifacts[0])
	}
	return made
}

// compileTests compiles a template in which the builder sure makes what can be tested.
func compileTests(t *testing.T, src string) (*dag.Graph, *template.Config, template.Errors) {
	t.Helper()
	tmpl, errs := template.Parse("t.json", []byte(src))
	ev, more := tmpl.Evaluate(template.Inputs{})
	c := catalog()
	c.Builders["sure"] = func() steps.Source { return &provable{} }
	var warnings template.Errors
	g, wrong := compile.Compile(t.Context(), ev, c, compile.Options{ForRun: true, Digest: func(name string) string { return name }, Warn: func(w template.Error) { warnings = append(warnings, w) }})
	return g, ev, append(slices.Concat(errs, more, wrong), warnings...).Sorted()
}

func TestTests(t *testing.T) {
	g, ev, errs := compileTests(t, `{
		"builders": [{"type": "sure", "ami_name": "name", "instance_type": "s"}],
		"provisioners": [{"type": "local", "inline": "build"}],
		"tests": [
			{"provisioners": [{"type": "shell", "inline": "a", "password": "sesame"}, {"type": "local", "inline": "b"}, {"type": "shell", "inline": "c"}]},
			{"name": "smoke", "instance_type": "big"},
			{"provisioners": [{"type": "shell", "inline": "a"}]}]}`)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	var names []string
	for _, n := range g.Nodes {
		names = append(names, n.Name)
		if n.Name == "test-smoke.launch" && !strings.Contains(n.Canon, "big") {
			t.Errorf("options of the test are lost: %s", n.Canon)
		}
	}
	want := "launch connect local image test.launch test.connect test.shell test.local test.shell-2 test-smoke.launch test-smoke.connect test-2.launch test-2.connect test-2.shell"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if ev.Secrets["sure.test.shell.password"] != "sesame" {
		t.Errorf("secrets %q", ev.Secrets)
	}
}

// All that is wrong with tests is told with its place.
func TestFaultsOfTests(t *testing.T) {
	const of = `{"builders": [{"type": %q, "ami_name": "name", "instance_type": "s"%s}],
"tests": [%s]}`
	for _, x := range []struct{ builder, options, tests, want string }{
		{"sure", "", `{"size": 1}`, `t.json:2:12: cannot use size: test has no such option`},
		{"sure", "", `{"instance_type": "none"}`, `t.json:2:29: cannot use instance_type: it has no size`},
		{"sure", "", `{"name": "a b"}`, `t.json:2:20: cannot use the name of the test: "a b" is not made of letters, digits, - and _, at most 63`},
		{"sure", "", `{"name": "a"}, {"name": "a"}`, `t.json:2:35: cannot use the test: sure has another that is called "a"`},
		{"sure", "", `{"name": "2"}, {}, {}, {"name": "3"}`, ``},
		{"sure", "", `{"provisioners": [{"type": "shel"}]}`, `t.json:2:38: cannot build: there is no provisioner called "shel"`},
		{"sure", "", `{"provisioners": [{"type": "shell"}]}`, `t.json:2:38: cannot use inline: there is nothing to run`},
		{"sure", "", `{"provisioners": [{"type": "batch", "inline": "x"}]}`, `t.json:2:38: cannot use batch: it works over winrm, and sure reaches its machine over ssh`},
		{"sure", "", `{"provisioners": [{"type": "ansible"}]}`, `t.json:2:38: cannot run the provisioner ansible: not supported yet`},
		{"sure", `, "skip": true`, `{}`, `t.json:2:11: the test has no effect in sure: there is no image`},
		{"test", "", `{}`, `t.json:2:11: cannot test test: no machine can be started of what the builder test makes (say in only which builds it is for)`},
		{"test", "", `{"provisioners": [{"type": "shel"}], "except": "test"}`, ``},
	} {
		g, _, errs := compileTests(t, fmt.Sprintf(of, x.builder, x.options, x.tests))
		got := ""
		if len(errs) > 0 {
			got = errs[0].Error()
		}
		if !strings.HasPrefix(got, x.want) || (x.want == "") != (len(errs) == 0) || len(errs) > 1 {
			t.Errorf("%s: %v, want %s", x.tests, errs, x.want)
		}
		if x.options != "" && (g == nil || slices.ContainsFunc(g.Nodes, func(n dag.Node) bool { return strings.HasPrefix(n.Name, "test.") })) {
			t.Error("a test without effect is wired")
		}
	}
}
