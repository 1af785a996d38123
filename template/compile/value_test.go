package compile_test

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"

	"github.com/zclconf/go-cty/cty"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/template"
	"github.com/imgflow/imgflow/template/compile"
)

// at is a place in a file that another front end has read.
func at(line int) *template.Place {
	return &template.Place{Pos: template.NewFile("t.hcl", []byte("1\n2\n3\n4\n5\n6\n7\n8\n9\n")).Pos(2 * (line - 1))}
}

// What no JSON template can hold: values whose places stand no deeper than they do, collections of one type, marks that
// functions have passed on, and what is not known.
func TestValuesOfAnotherFrontEnd(t *testing.T) {
	secret := cty.StringVal("hunter2").Mark(template.Secret("pw"))
	made := cty.StringVal("x-hunter2").Mark(template.Secret("pw"))
	yes := true
	for name, tt := range map[string]struct {
		options map[string]cty.Value
		want    all
		secrets map[string]string // besides pw
	}{
		"collections": {map[string]cty.Value{
			"owners": cty.ListVal([]cty.Value{cty.StringVal("a,b"), cty.StringVal("c")}), "codes": cty.SetVal([]cty.Value{cty.NumberIntVal(7)}),
			"tags": cty.MapVal(map[string]cty.Value{"k": cty.StringVal("{{ .Literal }}")}), "disks": cty.ListVal([]cty.Value{cty.ObjectVal(map[string]cty.Value{"size": cty.NumberIntVal(1)})}),
		}, all{Owners: []string{"a,b", "c"}, Codes: []int{7}, Tags: map[dag.Text]dag.Text{"k": "{{ .Literal }}"}, Disks: []inner{{Size: 1}}}, nil},
		"weak types": {map[string]cty.Value{
			"text": cty.NumberFloatVal(1.5), "tri": cty.StringVal("yes").Equals(cty.StringVal("yes")), "port": cty.StringVal("22"), "count": cty.NullVal(cty.Number),
		}, all{Text: "1.5", Tri: &yes, Port: 22}, nil},
		"the secret itself": {map[string]cty.Value{"text": secret, "secret": secret}, all{Text: dag.Mark("pw"), Secret: dag.Secret(dag.Mark("pw"))}, nil},
		"made of a secret": {map[string]cty.Value{"text": made, "secret": made}, all{Text: dag.Mark("web.x.text"), Secret: dag.Secret(dag.Mark("web.x.secret"))},
			map[string]string{"web.x.text": "x-hunter2", "web.x.secret": "x-hunter2"}},
		"a list made of one": {map[string]cty.Value{"owners": cty.ListVal([]cty.Value{cty.StringVal("a")}).Mark(template.Secret("pw"))},
			all{Owners: []string{dag.Mark("web.x.owners[0]")}}, map[string]string{"web.x.owners[0]": "a"}},
	} {
		secrets := map[string]string{"pw": "hunter2"}
		var got all
		errs := compile.Decode(template.Value{Value: cty.ObjectVal(tt.options), Place: at(1)}, &got, compile.Scope{What: "x", Path: "web.x", Secrets: secrets})
		delete(secrets, "pw")
		if len(errs) > 0 || !reflect.DeepEqual(got, tt.want) || !maps.Equal(secrets, tt.secrets) {
			t.Errorf("%s:\ngot  %+v %q\nwant %+v %q\n%v", name, got, secrets, tt.want, tt.secrets, errs)
		}
	}
}

func TestValuesThatCannotBe(t *testing.T) {
	secret := template.Secret("pw")
	for want, options := range map[string]map[string]cty.Value{
		"3: cannot use text: it is made of what is known only at build time":            {"text": cty.UnknownVal(cty.String)},
		"3: cannot use port: it is made of what is known only at build time":            {"port": cty.UnknownVal(cty.Number)},
		"3: cannot use port: a sensitive variable can only stand in a text":             {"port": cty.NumberIntVal(22).Mark(secret)},
		"3: cannot use bool: a sensitive variable can only stand in a text":             {"bool": cty.True.Mark(secret)},
		"3: cannot use script: a sensitive variable cannot stand in the name of a file": {"script": cty.StringVal("hunter2").Mark(secret)},
		"": {"disks": cty.DynamicVal}, // it has been reported
		"3: cannot use disk.size: a whole number is expected, not \"1.5\"": {"disk": cty.ObjectVal(map[string]cty.Value{"size": cty.NumberFloatVal(1.5)})},
	} {
		place := at(1)
		for name := range options {
			place.Inside = append(place.Inside, template.Inner{Name: name, Key: *at(2), Value: *at(3)})
		}
		var got []string
		for _, e := range compile.Decode(template.Value{Value: cty.ObjectVal(options), Place: place}, &all{}, compile.Scope{What: "x", Secrets: map[string]string{"pw": "hunter2"}}) {
			got = append(got, fmt.Sprintf("%d: %s", e.Pos.Line, e.Text))
		}
		if s := strings.Join(got, "\n"); s != want {
			t.Errorf("got  %s\nwant %s", s, want)
		}
	}
}

// label is a step with a text.
type label struct {
	Text  dag.Text `json:"text" option:"late"`
	Plain string   `json:"plain"`
}

func (label) Kind() string                                              { return "test.label" }
func (label) Do(context.Context, struct{}, *dag.Task) (struct{}, error) { return struct{}{}, nil }

// A front end refers to what another step makes: the option holds the reference, and the step comes after that one.
func TestOptionsReferToSteps(t *testing.T) {
	g, b := dag.NewGraph(nil), dag.Build{Name: "b"}
	from := dag.Add(g, b, "launch", launch{Size: "big"})
	options := func(name string) template.Value {
		place := at(1)
		place.Inside = []template.Inner{{Name: name, Key: *at(2), Value: *at(3)}}
		place.Inside[0].Value.Form = &template.Form{Text: "on " + dag.Path(from, "ID")}
		return template.Value{Value: cty.ObjectVal(map[string]cty.Value{name: cty.UnknownVal(cty.String)}), Place: place}
	}
	var l label
	if errs := compile.Decode(options("text"), &l, compile.Scope{What: "x"}); len(errs) > 0 {
		t.Fatal(errs)
	}
	n, _ := g.Node(dag.Add(g, b, "label", l).Key())
	if len(n.Needs) != 1 || n.Needs[0] != from.Key() || !strings.Contains(n.Canon, from.Key().String()+".ID") {
		t.Errorf("needs %v, canon %q", n.Needs, n.Canon)
	}
	errs := compile.Decode(options("plain"), &l, compile.Scope{What: "x"})
	if len(errs) != 1 || errs[0].Pos.Line != 3 || errs[0].Text != "cannot use plain: on .ID is known only at build time, too late for this" {
		t.Errorf("%v", errs)
	}
}

// Options that could not be evaluated have been reported, and what they lack is not told besides.
func TestFaultyOptions(t *testing.T) {
	c := &template.Config{Builds: []template.Build{{Name: "b", Type: "test", Options: template.Value{Value: cty.DynamicVal, Place: at(1)}}}}
	if _, errs := compile.Compile(context.Background(), c, catalog(), compile.Options{ForRun: true}); len(errs) > 0 {
		t.Error(errs)
	}
	var must struct {
		Name string `json:"name" option:"required"`
	}
	if errs := compile.Decode(c.Builds[0].Options, &must, compile.Scope{What: "x"}); len(errs) > 0 {
		t.Error(errs)
	}
}

// Decoding anything must not panic, whatever options are asked for.
func FuzzDecode(f *testing.F) {
	for _, src := range []string{
		`{"owners": "a,{{ .SourceAMI }},{{user ` + "`pw`" + `}}", "tags": {"{{ .SourceAMI }}": 1.50, "é": null}, "disks": [{"size": "1"}, null], "port": 1e3}`,
		`{"text": "{{ $ | upper }}", "secret": "a{{user ` + "`pw`" + ` | upper}}", "late": "{{.Path}}", "wait": 5, "never": [], "old": {}, "text": [[]]}`,
	} {
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, options string) {
		tmpl, _ := template.Parse("t.json", []byte(`{"variables": {"pw": "hunter2"}, "sensitive-variables": ["pw"], "builders": [{"type": "test", "ami_name": "name", "o": `+options+`}]}`))
		if tmpl == nil {
			return
		}
		c, errs := tmpl.Evaluate(template.Inputs{})
		for _, b := range c.Builds {
			o, ok := b.Options.Get("o")
			if !ok {
				continue
			}
			var got all
			errs = append(errs, compile.Decode(o, &got, compile.Scope{What: "x", Path: "web.x", Secrets: c.Secrets})...)
			if len(errs) == 0 && strings.Contains(fmt.Sprintf("%+v", got), "hunter2") && !strings.Contains(options, "hunter2") {
				t.Errorf("%s is decoded with the value of a secret: %+v", options, got)
			}
		}
		_, _ = compile.Compile(context.Background(), c, catalog(), compile.Options{ForRun: len(errs) == 0})
		_ = errs.Error()
	})
}
