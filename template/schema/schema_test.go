package schema

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/imgflow/imgflow/internal/optiondoc"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/template"
	"github.com/imgflow/imgflow/template/compile"
)

// every has an option of each kind.
type every struct {
	steps.Source `option:"-"`

	Text     string             `json:"text"`
	Must     string             `json:"must" option:"required"`
	Boolean  bool               `json:"boolean"`
	Tri      *bool              `json:"tri"`
	Whole    int                `json:"whole"`
	Number   float64            `json:"number"`
	Duration time.Duration      `json:"duration"`
	Texts    []string           `json:"texts"`
	Wholes   []int              `json:"wholes"`
	Truths   []bool             `json:"truths"`
	Map      map[string]string  `json:"map"`
	One      part               `json:"one"`
	Many     []part             `json:"many"`
	Parts    map[string]part    `json:"parts"`
	Later    string             `json:"later" option:"unsupported,off=no"`
	LaterOne part               `json:"later_one" option:"unsupported"`
	LaterAll []string           `json:"later_all" option:"unsupported"`
	LaterNot bool               `json:"later_not" option:"unsupported"`
	LaterNum int                `json:"later_num" option:"unsupported"`
	LaterFor time.Duration      `json:"later_for" option:"unsupported"`
	Old      string             `json:"old" option:"deprecated=text"`
	Nested   map[string][]int64 `json:"nested"`
}

type part struct {
	Name string `json:"name" option:"required"`
	Size int    `json:"size"`
}

// do is a provisioner.
type do struct {
	steps.Provisioner `option:"-"`

	Must int `json:"must" option:"required"`
}

// compiled is the schema of templates of one builder, every.
func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := json.Marshal(Of(compile.Catalog{
		Builders:            map[string]func() steps.Source{"every": func() steps.Source { return &every{} }},
		Provisioners:        map[string]func() steps.Provisioner{"do": func() steps.Provisioner { return &do{} }},
		LaterPostProcessors: map[string]string{"pack": "not supported yet"},
	}, optiondoc.Texts{}))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("template.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("template.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func accepted(t *testing.T, s *jsonschema.Schema, src string) error {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(src))
	if err != nil {
		t.Fatalf("%v: %s", err, src)
	}
	return s.Validate(v)
}

// The schema takes a value of an option if and only if the option does.
func TestValuesAsTheyAreRead(t *testing.T) {
	s := compiled(t)
	values := []string{`null`, `""`, `"a"`, `"a,b"`, `"1"`, `"1,2"`, `"1, ,2"`, `"true,f"`, `"1.00"`, `"1.5"`, `"-7"`, `" 1 "`, `"true"`, `"FALSE"`, `"t"`, `"no"`, `"yes"`, `"5m"`, `"1h30m"`, `"1.5s"`, `"0"`, `"5 m"`,
		`"{{user ` + "`yes`" + `}}"`, `true`, `false`, `0`, `1`, `1.0`, `2.5`, `-3`, `[]`, `["a"]`, `["1", 2]`, `[1, true, null]`, `[[1]]`, `[["a"]]`, `{}`, `{"a": "b"}`, `{"a": 1}`, `{"a": null}`, `{"a": {}}`,
		`{"a": {"name": "x"}}`, `{"a": [1]}`, `{"a": ["1", "2"]}`, `{"name": "x"}`, `{"name": "x", "size": "3"}`, `{"name": "x", "size": "big"}`, `{"name": "x", "sise": 3}`, `{"size": 3}`,
		`[{"name": "x"}]`, `[{"name": "x"}, {"name": "y"}]`, `[{"a": "b"}, {"c": "d"}]`, `[{"a": {"name": "x"}}]`, `[null]`, `[{}]`}
	took := 0
	for _, o := range compile.Describe(&every{}) {
		for _, v := range values {
			src := fmt.Sprintf(`{"variables": {"yes": %s}, "builders": [{"type": "every", %q: %s}]}`, forOption(o), o.Name, v)
			if o.Name != "must" {
				src = strings.Replace(src, `"every", `, `"every", "must": "x", `, 1)
			}
			tpl, errs := template.Parse("t.json", []byte(src))
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			ev, errs := tpl.Evaluate(template.Inputs{UUID: func() string { return "" }})
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			read := compile.Decode(ev.Builds[0].Options, &every{}, compile.Scope{What: "every"})
			err := accepted(t, s, src)
			if len(read) == 0 {
				took++
			}
			if (err == nil) != (len(read) == 0) {
				t.Errorf("%s: %s: the schema says %v, but it is read so: %v", o.Name, v, err, read)
			}
		}
	}
	if took < 150 {
		t.Errorf("only %d values were taken", took)
	}
}

// forOption is a text that an option can be given.
func forOption(o compile.Option) string {
	switch {
	case o.Unsupported:
		return `""`
	case o.Shape.Kind == compile.Boolean:
		return `"true"`
	case o.Shape.Kind == compile.Duration:
		return `"5m"`
	}
	return `"0"`
}

// What stands at the root, and around the options.
func TestFormOfTemplates(t *testing.T) {
	s := compiled(t)
	whole := `{"_note": {"a": 1}, "min_packer_version": "1.6.0", "description": null, "variables": {"a": null, "b": 1, "c": true}, "sensitive-variables": "b", "push": {}, "comments": [1],
"builders": [{"type": "every", "name": "one", "must": "x"}], "error-cleanup-provisioner": {"type": "do", "must": 1},
"provisioners": [{"type": "do", "must": 7, "only": ["one"], "pause_before": "5m", "override": {"one": {"must": 2}, "two": null}}, {"type": "do", "override": {"one": {"must": 1}}}],
"post-processors": ["pack", {"type": "pack", "except": "x", "a": 1}, ["pack", {"type": "pack"}]]}`
	if err := accepted(t, s, whole); err != nil {
		t.Error(err)
	}
	for _, change := range [][2]string{
		{`"_note"`, `"note"`}, {`"builders"`, `"bilders"`}, {`"type": "every", `, ``}, {`"type": "every"`, `"type": "evry"`}, {`"must"`, `"must_"`}, {`"must": "x"`, `"must": ""`},
		{`"b": 1`, `"b": [1]`}, {`"sensitive-variables": "b"`, `"sensitive-variables": {}`}, {`"name": "one"`, `"name": 1`}, {`"description": null`, `"description": 1`},
		{`"must": 7`, `"mist": 7`}, {`"must": 7`, `"must": "seven"`}, {`"must": 7, `, `"name": "x", "must": 7, `}, {`"5m"`, `5`}, {`{"must": 2}`, `{"mist": 2}`}, {`{"must": 2}`, `{"must": 2, "only": ["one"]}`}, {`{"must": 2}`, `2`},
		{`{"type": "do", "must": 1}`, `{"type": "do", "must": 1, "mist": 1}`}, {`{"type": "do", "override": {"one": {"must": 1}}}`, `{"type": "do"}`},
		{`"post-processors": ["pack"`, `"post-processors": ["pac"`}, {`["pack", {`, `["pac", {`}, {`{"type": "pack"}]`, `{"type": "pac"}]`}, {`{"type": "pack", "except"`, `{"except"`}, {`"except": "x"`, `"except": {}`},
	} {
		broken := strings.Replace(whole, change[0], change[1], 1)
		if broken == whole {
			t.Fatalf("there is no %s", change[0])
		}
		if accepted(t, s, broken) == nil {
			t.Errorf("%s is taken for %s", change[1], change[0])
		}
	}
	for name := range sections() {
		if !slices.Contains(template.Sections, name) {
			t.Errorf("there is no section %s", name)
		}
	}
	if n := len(sections()); n != len(template.Sections) {
		t.Errorf("the schema has %d sections of %d", n, len(template.Sections))
	}
}
