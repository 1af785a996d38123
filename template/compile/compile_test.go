package compile_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
	"github.com/imgflow/imgflow/template"
	"github.com/imgflow/imgflow/template/compile"
)

// A little cloud: a machine is launched, connected to, changed and imaged.

type instance struct {
	ID string `json:"id"`
}

func (instance) Find(context.Context, struct{}, *dag.Task) (instance, error) {
	return instance{}, dag.ErrNotFound
}
func (instance) Undo(context.Context, struct{}, *dag.Task) error { return nil }

type launch struct {
	Build string `json:"build"`
	Size  string `json:"size"`
}

func (launch) Kind() string { return "test.launch" }
func (launch) Do(context.Context, struct{}, *dag.Task) (instance, error) {
	return instance{ID: "i-1"}, nil
}

type connect struct {
	To dag.Take[instance] `json:"to"`
}

func (connect) Kind() string { return "test.connect" }
func (connect) Do(context.Context, struct{}, *dag.Task) (comm.Machine, error) {
	return comm.Machine{}, nil
}

type script struct {
	On           dag.Take[comm.Machine] `json:"on"`
	Inline       []string               `json:"inline"`
	Password     dag.Secret             `json:"password"`
	steps.Common `option:"-"`
	Over         []string `json:"-"`
}

func (script) Kind() string { return "test.script" }
func (script) Do(context.Context, struct{}, *dag.Task) (comm.Machine, error) {
	return comm.Machine{}, nil
}
func (s *script) Communicators() []string { return s.Over }
func (s *script) Check() []steps.OptionError {
	if len(s.Inline) == 0 {
		return []steps.OptionError{{Field: "inline", Text: "there is nothing to run"}}
	}
	return nil
}
func (s *script) Add(g *dag.Graph, b dag.Build, name string, on dag.Out[comm.Machine]) dag.Out[comm.Machine] {
	s.On = on.Take()
	return dag.Add(g, b, name, *s)
}

// copier looks for its file when it has all its options.
type copier struct {
	script
	From string `json:"from"`
}

func (c *copier) ResolveFiles(find func(string) (steps.File, error)) []steps.OptionError {
	if _, err := find(c.From); err != nil {
		return []steps.OptionError{{Field: "from", Text: err.Error()}}
	}
	return nil
}

// windows is known, but cannot run.
type windows struct {
	steps.Common `option:"-"`
	Inline       []string `json:"inline"`
}

func (*windows) Check() []steps.OptionError { return nil }
func (*windows) Communicators() []string    { return nil }
func (*windows) Prepare(context.Context) error {
	return errors.New("Windows machines are not supported yet")
}
func (*windows) Add(_ *dag.Graph, _ dag.Build, _ string, on dag.Out[comm.Machine]) dag.Out[comm.Machine] {
	return on
}

type image struct {
	From dag.Take[comm.Machine] `json:"from"`
	Name string                 `json:"name"`
}

func (image) Kind() string { return "test.image" }
func (image) Do(context.Context, struct{}, *dag.Task) (steps.Artifact, error) {
	return steps.Artifact{ID: "ami-1"}, nil
}

type disk struct {
	Size int `json:"volume_size"`
}

type builder struct {
	Name  string            `json:"ami_name" option:"required"`
	Type  string            `json:"instance_type"`
	Disks []disk            `json:"disks"`
	Tags  map[string]string `json:"tags"`
	Comm  string            `json:"communicator"`
	Taken []string          `json:"taken"`
}

func (b *builder) Claims() (cs []steps.Claim) {
	for _, name := range b.Taken {
		cs = append(cs, steps.Claim{Field: "taken", Key: name, What: name})
	}
	return cs
}

func (b *builder) Check() []steps.OptionError {
	var fs []steps.OptionError
	if b.Type == "" {
		fs = append(fs, steps.OptionError{Field: "instance_type", Text: "it must be given"})
	}
	if b.Type == "idle" {
		fs = append(fs, steps.OptionError{Field: "instance_type", Text: "nobody looks at it", Harmless: true})
	}
	if len(b.Name) < 3 {
		fs = append(fs, steps.OptionError{Field: "ami_name", Text: "it is too short"})
	}
	for i, d := range b.Disks {
		if d.Size == 0 {
			fs = append(fs, steps.OptionError{Field: "disks[" + string(rune('0'+i)) + "].volume_size", Text: "it must be more than 0"})
		}
	}
	for k, v := range b.Tags {
		if v == "" {
			fs = append(fs, steps.OptionError{Field: "tags." + k, Text: "it is empty"})
		}
	}
	if b.Name == "whole" {
		fs = append(fs, steps.OptionError{Text: "nothing fits"})
	}
	return fs
}

func (*builder) Prepare(context.Context) error { return nil }

func (b *builder) Wire(g *dag.Graph, build dag.Build, provision func(dag.Out[comm.Machine]) dag.Out[comm.Machine]) steps.Made {
	i := dag.Add(g, build, "launch", launch{Build: build.Name, Size: b.Type})
	m := provision(dag.Add(g, build, "connect", connect{To: i.Take()}))
	im := dag.Add(g, build, "image", image{From: m.Take(), Name: b.Name})
	dag.Keep(g, im, im)
	return steps.Made{Artifacts: []dag.Out[steps.Artifact]{im}, Product: func() dag.Out[steps.Product] { return dag.Add(g, build, "product", product{Of: im}) }}
}

func catalog() compile.Catalog {
	return compile.Catalog{
		Builders: map[string]func() steps.Source{"test": func() steps.Source { return &builder{} }},
		Provisioners: map[string]func() steps.Provisioner{
			"shell":      func() steps.Provisioner { return &script{Over: []string{"ssh"}} },
			"powershell": func() steps.Provisioner { return &windows{} },
			"copy":       func() steps.Provisioner { return &copier{} },
			"local":      func() steps.Provisioner { return &script{} },
			"batch":      func() steps.Provisioner { return &script{Over: []string{"winrm"}} },
		},
		PostProcessors: map[string]func() steps.PostProcessor{
			"note":  func() steps.PostProcessor { return &after{Hands: steps.GivesSame} },
			"pack":  func() steps.PostProcessor { return &after{Hands: steps.GivesOwn} },
			"found": func() steps.PostProcessor { return &after{Hands: steps.GivesFound} },
		},
		LaterBuilders:       map[string]string{"test-chroot": "not supported yet"},
		LaterProvisioners:   map[string]string{"ansible": "not supported yet"},
		LaterPostProcessors: map[string]string{"manifest": "not supported yet"},
	}
}

func build(t *testing.T, src string, forRun bool) (*dag.Graph, *template.Config, template.Errors) {
	t.Helper()
	tmpl, errs := template.Parse("t.json", []byte(src))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	ev, errs := tmpl.Evaluate(template.Inputs{})
	g, more := compile.Compile(context.Background(), ev, catalog(), compile.Options{ForRun: forRun, Digest: func(name string) string { return "digest of " + name }})
	return g, ev, append(errs, more...).Sorted()
}

// What has no effect is told once, with its place, and stops nothing.
func TestWarnings(t *testing.T) {
	told := func(src string) (warnings []string, errs template.Errors) {
		tmpl, _ := template.Parse("t.json", []byte(src))
		ev, _ := tmpl.Evaluate(template.Inputs{})
		_, errs = compile.Compile(context.Background(), ev, catalog(), compile.Options{Warn: func(w template.Error) { warnings = append(warnings, w.Error()) }})
		return warnings, errs
	}
	warnings, errs := told(`{"builders": [{"type": "test", "ami_name": "name", "instance_type": "idle"}]}`)
	if len(errs) > 0 || !slices.Equal(warnings, []string{"t.json:1:69: instance_type has no effect: nobody looks at it"}) {
		t.Errorf("warnings %q, errors %v", warnings, errs)
	}
	if warnings, errs := told(`{"builders": [{"type": "test", "instance_type": "idle"}]}`); len(errs) != 1 || len(warnings) != 1 {
		t.Errorf("beside a fault: warnings %q, errors %v", warnings, errs)
	}
}

func TestCompile(t *testing.T) {
	g, ev, errs := build(t, `{
		"builders": [
			{"type": "test", "ami_name": "{{build_name}}", "instance_type": "s"},
			{"type": "test", "name": "web", "ami_name": "web image", "instance_type": "s"}
		],
		"provisioners": [
			{"type": "shell", "inline": "true", "pause_before": "5s", "timeout": "1m", "max_retries": "2"},
			{"type": "shell", "inline": "false", "only": ["web"], "password": "open sesame"},
			{"type": "shell", "inline": ["true"]}
		]}`, true)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	order, err := g.Order()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, n := range order {
		names = append(names, strings.Join(n.Builds, "+")+":"+n.Name)
	}
	slices.Sort(names)
	want := "test:connect test:image test:launch test:shell test:shell-2 web:connect web:image web:launch web:shell web:shell-2 web:shell-3"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if len(g.Goals) != 2 {
		t.Errorf("%d goals", len(g.Goals))
	}
	for _, goal := range g.Goals {
		if n, _ := g.Node(goal); n.Name != "image" {
			t.Errorf("%s is a goal", n.Name)
		}
	}
	for _, n := range g.Nodes {
		if strings.Contains(string(n.Spec)+n.Canon, "sesame") {
			t.Errorf("%s shows the password: %s %s", n.Name, n.Spec, n.Canon)
		}
		if n.Name == "shell" {
			var s script
			if err := json.Unmarshal(n.Spec, &s); err != nil || s.Common.PauseBefore.String() != "5s" || s.Common.Timeout.String() != "1m0s" || s.Common.MaxRetries != 2 {
				t.Errorf("common options %+v, %v", s.Common, err)
			}
		}
	}
	if ev.Secrets["web.shell-2.password"] != "open sesame" {
		t.Errorf("secrets %q", ev.Secrets)
	}
}

// What cleans up after a failure is a guard of its build's provisioners, and has its time.
func TestCleanupHasItsTime(t *testing.T) {
	for options, want := range map[string]string{"": "10m0s", `, "timeout": "3s"`: "3s"} {
		g, _, errs := build(t, `{
			"builders": [{"type": "test", "ami_name": "one", "instance_type": "s"}],
			"provisioners": [{"type": "shell", "inline": "one"}, {"type": "shell", "inline": "two"}],
			"error-cleanup-provisioner": {"type": "shell", "inline": "clean"`+options+`}}`, true)
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		i := slices.IndexFunc(g.Nodes, func(n dag.Node) bool { return n.Name == "error-cleanup-provisioner" })
		var s script
		if err := json.Unmarshal(g.Nodes[i].Spec, &s); err != nil || s.Common.Timeout.String() != want || !g.Nodes[i].Guard {
			t.Errorf("%+v, %+v, %v", g.Nodes[i], s.Common, err)
		}
		for _, n := range g.Nodes {
			if is := slices.Contains(n.After, g.Nodes[i].Key); is != (n.Kind == g.Nodes[i].Kind && !n.Guard) {
				t.Errorf("%s comes after it: %v", n.Name, is)
			}
			if last := g.Guards[g.Nodes[i].Key] == n.Key; last != (n.Name == "shell-2") {
				t.Errorf("it is over with %s: %v", n.Name, last)
			}
		}
	}
}

const faulty = `{
"builders": [
  {"type": "test", "ami_name": [], "disks": [{"volume_size": 1}, {}], "tags": {"a.b": ""}},
  {"type": "test", "name": "two", "ami_name": "{{noope}}", "instance_type": "s", "disks": {"volume_size": 0}},
  {"type": "test", "name": "three", "ami_name": "whole", "instance_type": "s", "instnace_type": 1},
  {"type": "tset", "name": "four"},
  {"type": "test-chroot", "name": "five", "anything": true}
],
"provisioners": [
  {"type": "shell", "timeout": 5, "only": "two", "max_retries": -1},
  {"type": "shel", "only": "two"},
  {"type": "powershell", "only": "two", "pause_before": "1s"},
  {"type": "ansible", "only": "two"}
],
"error-cleanup-provisioner": {"type": "shell", "only": "two"},
"post-processors": ["manifest", "manifset"]
}`

func TestAllFaultsAtOnce(t *testing.T) {
	always := []string{
		`t.json:3:12: cannot use instance_type: it must be given`,
		`t.json:3:32: cannot use ami_name: a text is expected, not a list`,
		`t.json:3:66: cannot use disks[1].volume_size: it must be more than 0`,
		`t.json:3:87: cannot use tags.a.b: it is empty`,
		"t.json:4:50: cannot evaluate two.ami_name: unknown function noope",
		`t.json:4:107: cannot use disks[0].volume_size: it must be more than 0`,
		`t.json:5:12: cannot use test: nothing fits`,
		`t.json:5:80: cannot use instnace_type: test has no such option (did you mean "instance_type"?)`,
		`t.json:6:12: cannot build: there is no builder called "tset" (did you mean "test"?)`,
		`t.json:10:12: cannot use inline: there is nothing to run`,
		`t.json:10:32: cannot use timeout: a duration needs a unit (write "5s" for seconds or "5m" for minutes)`,
		`t.json:10:65: cannot use max_retries: it must not be negative`,
		`t.json:11:12: cannot build: there is no provisioner called "shel" (did you mean "shell"?)`,
		`t.json:15:39: cannot use inline: there is nothing to run`,
		`t.json:16:33: cannot build: there is no post-processor called "manifset" (did you mean "manifest"?)`,
	}
	run := append([]string{
		`t.json:7:12: cannot run the builder test-chroot: not supported yet`,
		`t.json:12:12: cannot run powershell: Windows machines are not supported yet`,
		`t.json:13:12: cannot run the provisioner ansible: not supported yet`,
		`t.json:16:21: cannot run the post-processor manifest: not supported yet`,
	}, always...)
	for _, tt := range []struct {
		forRun bool
		want   []string
	}{{false, always}, {true, run}} {
		g, _, errs := build(t, faulty, tt.forRun)
		if g != nil {
			t.Error("a graph in spite of faults")
		}
		var got []string
		for _, e := range errs {
			got = append(got, e.Error())
		}
		for _, w := range tt.want {
			if !slices.Contains(got, w) {
				t.Errorf("for run %v: missing %s", tt.forRun, w)
			}
		}
		for _, g := range got {
			if !slices.Contains(tt.want, g) {
				t.Errorf("for run %v: unexpected %s", tt.forRun, g)
			}
		}
	}
}

// What looks for files is asked before it checks itself, and instead of that.
func TestFilesAreResolvedFirst(t *testing.T) {
	for from, want := range map[string]string{
		"none": "t.json:1:118: cannot use from: there is no file or directory none",
		".":    "t.json:1:102: cannot use inline: there is nothing to run",
	} {
		_, _, errs := build(t, `{"builders": [{"type": "test", "ami_name": "name", "instance_type": "s"}], "provisioners": [{"type": "copy", "from": "`+from+`"}]}`, false)
		if len(errs) != 1 || !strings.HasPrefix(errs[0].Error(), want) {
			t.Errorf("%s: %v, want %s", from, errs, want)
		}
	}
}

// A fault hides its consequences, and nothing else.
func TestConsequences(t *testing.T) {
	for src, want := range map[string][]string{
		`"builders": [{"type": "test", "ami_name": "abc", "instance_type": "s", "disks": [{"volume_size": "big"}, {}, {"volume_siez": 1}]}]`: {
			`t.json:1:99: cannot use disks[0].volume_size: a whole number is expected, not "big"`,
			`t.json:1:107: cannot use disks[1].volume_size: it must be more than 0`,
			`t.json:1:112: cannot use disks[2].volume_siez: test has no such option (did you mean "volume_size"?)`,
		},
		`"builders": [{"type": "test", "ami_name": "abc", "instance_type": "s", "tags": [{"a": [], "b": ""}]}]`: {
			`t.json:1:88: cannot use tags[0].a: a text is expected, not a list`,
			`t.json:1:81: cannot use tags.b: it is empty`,
		},
		`"builders": [{"type": "test", "ami_nmae": "abc", "instance_type": "s"}], "provisioners": [{"type": "shell", "inlin": ["x"], "timeot": "1s"}]`: {
			`t.json:1:32: cannot use ami_nmae: test has no such option (did you mean "ami_name"?)`,
			`t.json:1:110: cannot use inlin: shell has no such option (did you mean "inline"?)`,
			`t.json:1:126: cannot use timeot: shell has no such option (did you mean "timeout"?)`,
		},
		`"builders": [{"type": "test", "ami_name": "abc", "instance_type": "s", "communicator": "none"}, {"type": "test", "name": "two", "ami_name": "abc", "instance_type": "s", "communicator": "ssh"}],
"provisioners": [{"type": "shell", "inline": ["x"]}, {"type": "local", "inline": ["x"]}]`: {
			`t.json:2:27: cannot use shell: test makes no connection to its machine (take it away, or give the builder another communicator than "none")`,
		},
		`"builders": [{"type": "test", "ami_name": "abc", "instance_type": "s", "communicator": "winrm"}, {"type": "test", "name": "two", "ami_name": "abc", "instance_type": "s", "communicator": null}],
"provisioners": [{"type": "shell", "inline": ["x"]}, {"type": "batch", "inline": ["x"]}, {"type": "local", "inline": ["x"]}]`: {
			`t.json:2:27: cannot use shell: it works over ssh, and test reaches its machine over winrm (take it away, or give the builder "communicator": "ssh")`,
			`t.json:2:63: cannot use batch: it works over winrm, and two reaches its machine over ssh (take it away, or give the builder "communicator": "winrm")`,
		},
	} {
		_, _, errs := build(t, "{"+src+"}", false)
		var got []string
		for _, e := range errs {
			got = append(got, e.Error())
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s:\ngot\n%s\nwant\n%s", src, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// validate accepts what is known but cannot run.
func TestValidOnly(t *testing.T) {
	src := `{"builders": [{"type": "test", "ami_name": "abc", "instance_type": "s"}], "provisioners": [{"type": "powershell", "inline": ["x"]}]}`
	if g, _, errs := build(t, src, false); g != nil || len(errs) > 0 {
		t.Errorf("graph %v, errors %v", g, errs)
	}
}

func TestPins(t *testing.T) {
	var p compile.Pins
	clock := p.Clock()
	next := p.UUID()
	a, b := next(), next()
	if a == b || len(a) != 36 || a[14] != '7' {
		t.Errorf("ids %s, %s", a, b)
	}
	stored, err := json.Marshal(&p)
	if err != nil {
		t.Fatal(err)
	}
	var q compile.Pins
	if err := json.Unmarshal(stored, &q); err != nil {
		t.Fatal(err)
	}
	again := q.UUID()
	if !q.Clock().Equal(clock) || again() != a || again() != b {
		t.Errorf("not replayed: %+v, want %+v", q, p)
	}
	if c := again(); c == a || c == b || len(q.UUIDs) != 3 {
		t.Errorf("third id %s of %v", c, q.UUIDs)
	}
}

// What two builds would both take is a fault of the second, once for each option, and
// none where the option is faulty anyway.
func TestClaims(t *testing.T) {
	_, _, errs := build(t, `{"builders": [
{"type": "test", "name": "a", "ami_name": "name", "instance_type": "s", "taken": ["x", "y", "x"]},
{"type": "test", "name": "b", "ami_name": "name", "instance_type": "s", "taken": ["z", "y", "x"]},
{"type": "test", "name": "c", "ami_name": "name", "instance_type": "s", "taken": ["z", "x", {}]},
{"type": "test", "name": "d", "ami_name": "name", "instance_type": "s", "taken": ["free"]}]}`, false)
	var got []string
	for _, e := range errs {
		got = append(got, e.Pos.String()+" "+e.Text)
	}
	want := []string{`t.json:3:82 cannot use taken: the build a makes y, too`, `t.json:4:93 cannot use taken[2]: a text is expected, not an object`}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
