package template_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/interp"
	"github.com/imgflow/imgflow/template"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func inputs() template.Inputs {
	n := 0
	return template.Inputs{
		Environ: func(name string) string { return map[string]string{"HOME": "/home/u", "KEY": "k{{y"}[name] },
		Clock:   time.Date(2026, 2, 3, 14, 5, 6, 0, time.UTC),
		UUID:    func() string { n++; return fmt.Sprintf("uuid-%d", n) },
		Dir:     "/t", Cwd: "/w",
	}
}

func evaluate(t *testing.T, src string, in template.Inputs) *template.Config {
	t.Helper()
	tmpl, errs := template.Parse("t.json", []byte(src))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	ev, errs := tmpl.Evaluate(in)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	return ev
}

func TestGoldenErrors(t *testing.T) {
	files, err := filepath.Glob("testdata/errors/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no templates", err)
	}
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		tmpl, errs := template.Parse(filepath.Base(f), src)
		if tmpl != nil {
			in := inputs()
			in.Strict = true
			_, more := tmpl.Evaluate(in)
			errs = append(errs, more...).Sorted()
		}
		got := errs.Error() + "\n"
		golden := strings.TrimSuffix(f, ".json") + ".golden"
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s:\ngot\n%swant\n%s", f, got, want)
		}
	}
}

// show writes a value in one line.
func show(v template.Value) string {
	switch v.Kind() {
	case template.Null:
		return "null"
	case template.Later:
		return "later"
	case template.Bool, template.Number:
		t, _ := v.Text()
		return string(t)
	case template.String:
		t, _ := v.Text()
		return fmt.Sprintf("%q", t)
	case template.List:
		var parts []string
		for _, x := range v.Elements() {
			parts = append(parts, show(x))
		}
		return "[" + strings.Join(parts, " ") + "]"
	}
	var parts []string
	for _, f := range v.Fields() {
		parts = append(parts, f.Name+":"+show(f.Value))
	}
	return "{" + strings.Join(parts, " ") + "}"
}

func TestPlaces(t *testing.T) {
	tmpl, errs := template.Parse("t.json", []byte("\uFEFF{\n\t\"builders\": [{\"type\": \"x\", \"é\": \"a\\n\\u00e9\\ud83d\\ude00{{\"}]\n}"))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	b := tmpl.Builders[0]
	f := b.Options.Fields[0]
	if got := fmt.Sprint(b.Pos, f.Pos, f.Value.Pos); got != "t.json:2:24 t.json:2:29 t.json:2:34" {
		t.Errorf("places %s", got)
	}
	if want := "a\né😀{{"; f.Value.Text != want {
		t.Errorf("text %q, want %q", f.Value.Text, want)
	}
	// The braces are byte 8 of the text, and stand 21 columns after the quote.
	if got := f.Value.At(8).Column; got != 34+1+1+2+6+12 {
		t.Errorf("At(8) is column %d", got)
	}
}

func TestValues(t *testing.T) {
	ev := evaluate(t, `{
		"min_packer_version": "1.6.0", "_c": {"any": 1}, "push": {}, "comments": [],
		"variables": {"n": 3, "b": true, "e": "{{env `+"`KEY`"+`}}"},
		"builders": [{
			"type": "null", "a": null, "t": true, "n": -1.5e3, "l": [1, "{{user `+"`n`"+`}}", {"x": []}],
			"{{user `+"`n`"+`}}": "{{build_name}} {{build_type}} {{user `+"`b`"+`}} {{user `+"`e`"+`}} {{ .Late }}"
		}]}`, inputs())
	b := ev.Builds[0]
	want := "{a:null t:true n:-1.5e3 l:[1 \"3\" {x:[]}] 3:" + fmt.Sprintf("%q", "null null true k{{y "+dag.Word("{{ .Late }}")) + "}"
	if got := show(b.Options); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if b.Name != "null" || b.Type != "null" {
		t.Errorf("build %s of type %s", b.Name, b.Type)
	}
}

func TestPrecedence(t *testing.T) {
	src := `{
		"variables": {"a": "default", "b": "default", "c": "default", "d": "default", "r": null, "url": "{{user ` + "`a`" + `}}/{{user ` + "`new`" + `}}"},
		"builders": [{"type": "x", "o": "{{user ` + "`url`" + `}}"}]}`
	in := inputs()
	in.VarFiles = []template.VarFile{
		{Name: "one.json", Src: []byte(`{"b": "one", "c": "one", "d": 1, "new": "file"}`)},
		{Name: "two.json", Src: []byte(`{"c": "two", "d": "two"}`)},
	}
	in.Vars = map[string]string{"d": "flag", "r": "flag-{{timestamp}}"}
	ev := evaluate(t, src, in)
	var got []string
	for _, v := range ev.Variables {
		got = append(got, v.Name+"="+v.Shown())
	}
	if s := strings.Join(got, " "); s != "a=default b=one c=two d=flag r=flag-1770127506 url=default/file new=file" {
		t.Error(s)
	}
	if s := show(ev.Builds[0].Options); s != `{o:"default/file"}` {
		t.Error(s)
	}
}

// A null in a variable file is empty text, as in Packer: it stands for a required variable, and instead of an earlier value.
func TestNullInAVariableFile(t *testing.T) {
	in := inputs()
	in.VarFiles = []template.VarFile{
		{Name: "one.json", Src: []byte(`{"b": "one", "d": "one"}`)},
		{Name: "two.json", Src: []byte(`{"a": null, "b": null, "c": null, "new": null}`)},
		{Name: "three.json", Src: []byte(`null`)},
	}
	in.Vars = map[string]string{"c": "flag"}
	ev := evaluate(t, `{"variables": {"a": null, "b": "x", "c": null, "d": "x"}, "sensitive-variables": ["a"],
		"builders": [{"type": "x", "o": "{{user `+"`a`"+`}}|{{user `+"`b`"+`}}|{{user `+"`c`"+`}}|{{user `+"`d`"+`}}|{{user `+"`new`"+`}}"}]}`, in)
	if s := show(ev.Builds[0].Options); s != `{o:"||flag|one|"}` {
		t.Error(s)
	}
}

// A variable that nothing gives a value is empty text and a warning outside of the variables section, as in Packer. Inside
// it is an error.
func TestUndeclared(t *testing.T) {
	tmpl, errs := template.Parse("t.json", []byte(`{"variables": {"regoin": "r", "ok": "{{user `+"`regoin`"+`}}"},
"builders": [
 {"type": "x", "name": "n{{user `+"`nobody`"+`}}", "a": "[{{user `+"`region`"+`}}{{user `+"`ok`"+`}}{{ user \"other\" | upper }}]",
  "{{user `+"`label`"+`}}k": "{{if user `+"`flag`"+`}}yes{{else}}no{{end}}", "late": "{{ printf \"%s%s\" (user `+"`gone`"+`) .SourceAMI }}"},
 {"type": "x", "name": "m", "c": "{{user (printf \"comp%s\" \"uted\")}}"}],
"provisioners": [{"type": "p", "inline": ["{{if false}}{{user `+"`unused`"+`}}{{end}}", "\u00e9 {{user `+"`shared`"+`}}{{user `+"`shared`"+`}}"]}]}`))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	ev, errs := tmpl.Evaluate(inputs())
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	if got := show(ev.Builds[0].Options); got != `{a:"[r]" k:"no" late:`+fmt.Sprintf("%q", dag.Word(`{{printf "%s%s" "" .SourceAMI}}`))+`}` {
		t.Error(got)
	}
	if got := show(ev.Builds[0].Provisioners[0].Options); got != `{inline:["" "é "]}` {
		t.Error(got)
	}
	if ev.Builds[0].Name != "n" {
		t.Errorf("the build is called %q", ev.Builds[0].Name)
	}
	var got []string
	for _, w := range ev.Warnings {
		got = append(got, w.Error())
	}
	want := []string{
		"t.json:3:28: builders[0].name uses the variable \"nobody\", which is not declared: it is empty text there (add \"nobody\" to the variables section)",
		"t.json:3:55: n.a uses the variable \"region\", which is not declared: it is empty text there (did you mean \"regoin\"?)",
		"t.json:3:86: n.a uses the variable \"other\", which is not declared: it is empty text there (add \"other\" to the variables section)",
		"t.json:4:3: n.{{user `label`}}k uses the variable \"label\", which is not declared: it is empty text there (add \"label\" to the variables section)",
		"t.json:4:30: n.{{user `label`}}k uses the variable \"flag\", which is not declared: it is empty text there (add \"flag\" to the variables section)",
		"t.json:4:95: n.late uses the variable \"gone\", which is not declared: it is empty text there (add \"gone\" to the variables section)",
		"t.json:5:34: m.c uses the variable \"computed\", which is not declared: it is empty text there (add \"computed\" to the variables section)",
		"t.json:6:93: p.inline[1] uses the variable \"shared\", which is not declared: it is empty text there (add \"shared\" to the variables section)",
		"t.json:6:110: p.inline[1] uses the variable \"shared\", which is not declared: it is empty text there (add \"shared\" to the variables section)",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestVarErrors(t *testing.T) {
	tmpl, errs := template.Parse("t.json", []byte(`{"variables": {"a": ""}, "builders": [{"type": "x"}]}`))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	in := inputs()
	in.VarFiles = []template.VarFile{
		{Name: "bad.json", Src: []byte("{\n \"a\": [1]\n}")},
		{Name: "list.json", Src: []byte("[]")},
		{Name: "broken.json", Src: []byte("{")},
	}
	in.Vars = map[string]string{"a": "{{user `nope`}}"}
	in.Only = []string{"y"}
	in.Except = []string{"xx"}
	_, errs = tmpl.Evaluate(in)
	want := `-except: cannot use -except: there is no build called "xx"
    did you mean "x"?
-only: cannot use -only: there is no build called "y"
    the builds are x
-var a: cannot evaluate variables.a: the variable "nope" is not defined
    add "nope" to the variables section
bad.json:2:7: cannot use the variable a: a text is expected, not a list
     "a": [1]
          ^
broken.json:1:1: cannot read the variable file: this { has no closing }
    {
    ^
list.json:1:1: cannot read the variable file: an object is expected, not a list
    []
    ^`
	if errs.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", errs, want)
	}
}

func TestSecrets(t *testing.T) {
	in := inputs()
	in.Vars = map[string]string{"pw": "hunter2"}
	ev := evaluate(t, `{
		"variables": {"pw": null, "none": "", "twice": "{{user `+"`pw`"+`}}{{user `+"`pw`"+`}}", "url": "u:{{user `+"`pw`"+`}}@h"},
		"sensitive-variables": ["pw", "none", "twice"],
		"builders": [{"type": "x",
			"a": "{{user `+"`url`"+`}}", "b": "{{user `+"`pw`"+` | upper}}", "c": "{{user `+"`none`"+`}}", "d": "{{user `+"`twice`"+`}}"}]}`, in)
	if s := fmt.Sprint(show(ev.Builds[0].Options), ev.Variables); strings.Contains(strings.ToLower(s), "hunter2") {
		t.Error("the value is in", s)
	}
	get := func(name string) string {
		v, _ := ev.Builds[0].Options.Get(name)
		text, _ := v.Text()
		return string(text)
	}
	for name, want := range map[string]string{
		"a": "u:" + interp.Mark("pw") + "@h", "b": interp.Mark("upper(pw)"), "c": "", "d": interp.Mark("twice"),
	} {
		if got := get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if want := map[string]string{"pw": "hunter2", "twice": "hunter2hunter2", "upper(pw)": "HUNTER2"}; !maps.Equal(ev.Secrets, want) {
		t.Errorf("secrets %q", ev.Secrets)
	}
	var shown []string
	for _, v := range ev.Variables {
		shown = append(shown, v.Shown())
	}
	if s := strings.Join(shown, " "); s != "<sensitive> <sensitive> <sensitive> u:<sensitive>@h" {
		t.Error(s)
	}
}

const several = `{
	"variables": {"n": "db"},
	"builders": [{"type": "x"}, {"type": "x", "name": "web"}, {"type": "y", "name": "{{user ` + "`n`" + `}}"}],
	"provisioners": [
		{"type": "all", "u": "{{uuid}}", "inline": ["{{build_name}}"], "override": {"web": {"inline": "other", "more": 1}}},
		{"type": "some", "only": "web"},
		{"type": "others", "except": ["web", "db"]}
	],
	"error-cleanup-provisioner": {"type": "shell", "only": ["db"]},
	"post-processors": ["manifest", ["a", {"type": "b", "name": "bee", "except": ["x"]}, {"type": "c", "keep_input_artifact": true}]]
}`

func TestBuilds(t *testing.T) {
	describe := func(in template.Inputs) string {
		var b strings.Builder
		for _, x := range evaluate(t, several, in).Builds {
			fmt.Fprintf(&b, "%s(%s):", x.Name, x.Type)
			for _, p := range x.Provisioners {
				fmt.Fprintf(&b, " %s%s", p.Type, show(p.Options))
			}
			if x.ErrorCleanup != nil {
				b.WriteString(" !" + x.ErrorCleanup.Type)
			}
			for _, seq := range x.PostProcessors {
				b.WriteString(" >")
				for _, pp := range seq {
					fmt.Fprintf(&b, " %s%s", pp.Name, show(pp.Options))
				}
			}
			b.WriteByte('\n')
		}
		return b.String()
	}
	want := `x(x): all{u:"uuid-1" inline:["x"]} others{} > manifest{} > a{} c{keep_input_artifact:true}
web(x): all{u:"uuid-2" inline:"other" more:1} some{} > manifest{} > a{} bee{} c{keep_input_artifact:true}
db(y): all{u:"uuid-3" inline:["db"]} !shell > manifest{} > a{} bee{} c{keep_input_artifact:true}
`
	if got := describe(inputs()); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	in := inputs()
	in.Only, in.Except = []string{"web", "x"}, []string{"x", "bee"}
	if got := describe(in); got != "web(x): all{u:\"uuid-1\" inline:\"other\" more:1} some{} > manifest{} > a{}\n" {
		t.Errorf("got %s", got)
	}
}

// What cannot be read hides neither other faults nor makes new ones.
func TestFaultsBeside(t *testing.T) {
	for src, want := range map[string]string{
		`[]`: `1`,
		`{"builders": [{"tpye": "x", "name": "w"}, {"type": "x", "o": "{{nope}}"}], "provisioners": [{"type": "s", "except": "w", "n": "{{nope}}"}]}`: `15 65 130`,
		`{"bilders": [{"type": "x"}], "provisioners": [{"type": "s", "only": "x"}]}`:                                                                  `2`,
		`{"builders": {}, "variables": {"a": "{{nope}}"}}`:                                                                                            `14 40`,
		`{"builders": [{"type": "x", "o": "{{user |l|}} {{user |nope|}} {{user |n|}}"}], "variables": {"l": [], "n": 01}}`:                            `50 100 109`,
		`{"builders": [{"type": "x", "o": "{{user |l|}} {{nope}}"}], "variabels": {"l": "a"}, "sensitive-variables": ["l"]}`:                          `50 61`,
		`{"builders": [{"type": "x", "o": "{{nope}}"}], "builders": [{"type": "y", "o": "{{nope}}"}], "provisioners": [{"type": "s", "only": "x"}]}`:  `37 48 83`,
		`{"builders": [{"type": "x", "o": 01, "p": "{{user |required|}}"}], "variables": {"required": null}}`:                                         `34`,
	} {
		tmpl, errs := template.Parse("t.json", []byte(strings.ReplaceAll(src, "|", "`")))
		if tmpl == nil || len(errs) == 0 {
			t.Fatalf("%s: %v", src, errs)
		}
		in := inputs()
		in.Strict = true
		broken := 0
		if strings.Contains(src, "required") {
			in.VarFiles = []template.VarFile{{Name: "v.json", Src: []byte("{")}}
			broken = 1
		}
		_, more := tmpl.Evaluate(in)
		errs = append(errs, more...).Sorted()
		var columns []string
		for _, e := range errs[:len(errs)-broken] {
			columns = append(columns, fmt.Sprint(e.Pos.Column))
		}
		if got := strings.Join(columns, " "); got != want {
			t.Errorf("%s: faults at %s, want %s:\n%v", src, got, want, errs)
		}
	}
}

// A template may be one line, and have a fault in every word.
func TestManyFaults(t *testing.T) {
	report := func(n int, space string) (string, time.Duration) {
		var b strings.Builder
		b.WriteString(`{"builders": [{"type": "x", "o": [`)
		for range n {
			b.WriteString("\"ü {{user `nope`}}\"," + space)
		}
		b.WriteString(`""]}]}`)
		begun := time.Now()
		tmpl, errs := template.Parse("t.json", []byte(b.String()))
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		in := inputs()
		in.Strict = true
		_, errs = tmpl.Evaluate(in)
		if len(errs) != n || space == " " && errs[n-1].Pos.Column != 34+(n-1)*21+6 {
			t.Fatalf("%d errors, the last one at %v", len(errs), errs[n-1].Pos)
		}
		return errs.Error(), time.Since(begun)
	}
	const n = 20000
	text, one := report(n, " ")
	if i := strings.Count(text, "is not declared"); i != 50 || !strings.HasSuffix(text, "\nand 19950 more") {
		t.Errorf("%d errors are printed, then %q", i, text[len(text)-20:])
	}
	if _, many := report(n, "\n"); one > 5*many+time.Second {
		t.Errorf("%d faults take %s in one line, and %s in lines of their own", n, one, many)
	}
}

func TestNothingLeft(t *testing.T) {
	tmpl, _ := template.Parse("t.json", []byte(several))
	in := inputs()
	in.Except = []string{"x", "web", "db"}
	if _, errs := tmpl.Evaluate(in); len(errs) != 1 || !strings.Contains(errs.Error(), "-only and -except leave no build") {
		t.Errorf("%v", errs)
	}
}

// Parsing and evaluating anything must not panic, and places must lie inside of the file.
func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/errors/*.json")
	for _, name := range files {
		src, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(src)
	}
	f.Add([]byte(several))
	f.Fuzz(func(t *testing.T, src []byte) {
		tmpl, errs := template.Parse("t.json", src)
		if tmpl != nil {
			_, more := tmpl.Evaluate(inputs())
			errs = slices.Concat(errs, more)
		} else if len(errs) == 0 {
			t.Fatal("no template and no error")
		}
		lines := strings.Count(string(src), "\n") + 1
		for _, e := range errs {
			if e.Pos.Line > lines || e.Pos.Line > 0 && e.Pos.Column < 1 {
				t.Fatalf("%v is outside of the file", e.Pos)
			}
		}
		_ = errs.Error()
	})
}
