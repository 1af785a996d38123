package template_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/zclconf/go-cty/cty"

	"github.com/imgflow/imgflow/template"
)

// looked is what a lookup has found: everything in it is secret.
func looked(label string, texts map[string]string) template.Looked {
	l, values := template.Looked{Secrets: map[string]string{}}, map[string]cty.Value{}
	for name, text := range texts {
		secret := "data." + label + "." + name
		l.Secrets[secret] = text
		values[name] = cty.StringVal(text).Mark(template.Secret(secret))
	}
	l.Value = cty.ObjectVal(values)
	return l
}

func TestCalls(t *testing.T) {
	const src = `{
  "variables": {
    "path":   "secret/data/{{env ` + "`HOME`" + `}}",
    "pw":     "{{vault (user ` + "`path`" + `) ` + "`password`" + `}}",
    "again":  "{{vault ` + "`secret/data//home/u` `password`" + `}}",
    "port":   "{{consul_key ` + "`app/port`" + `}}",
    "url":    "https://{{user ` + "`port`" + `}}/{{timestamp}}",
    "raw":    "{{aws_secretsmanager_raw ` + "`db`" + `}}",
    "user":   "{{aws_secretsmanager ` + "`db` `user`" + ` | upper}}",
    "unused": "{{vault ` + "`un` `used`" + `}}",
    "hidden": "{{consul_key ` + "`hidden`" + `}}"
  },
  "sensitive-variables": ["hidden"],
  "builders": [
    {"type": "a", "x": "{{user ` + "`pw`" + `}} {{user ` + "`again`" + `}}", "y": ["{{user ` + "`url`" + `}}"], "z": "{{user ` + "`hidden`" + `}} {{ .X }}"},
    {"type": "b", "x": "{{user ` + "`raw`" + `}}", "y": "{{timestamp}}"},
    {"type": "c", "x": "{{timestamp}}"}
  ],
  "provisioners": [{"type": "p", "only": ["c"], "x": "{{user ` + "`user`" + `}}"}]
}`
	describe := func(ev *template.Config) string {
		var b strings.Builder
		for _, d := range ev.Data {
			fmt.Fprintln(&b, d.Label(), show(d.Options), d.Known)
		}
		for _, x := range ev.Builds {
			fmt.Fprintln(&b, x.Name, show(x.Options), x.Refers)
			for _, p := range x.Provisioners {
				fmt.Fprintln(&b, p.Type, show(p.Options))
			}
		}
		fmt.Fprint(&b, slices.Sorted(maps.Keys(ev.Secrets)))
		return strings.NewReplacer(`\ue000`, "<", `\ue001`, ">").Replace(b.String())
	}
	in := inputs()
	want := `vault.(secret/data//home/u,password) {path:"secret/data//home/u" key:"password"} false
consul.(app/port) {key:"app/port"} false
amazon-secretsmanager.(db) {name:"db"} false
amazon-secretsmanager.(db,user) {name:"db" key:"user"} false
vault.(un,used) {path:"un" key:"used"} false
consul.(hidden) {key:"hidden"} false
a {x:later y:[later] z:later} [consul.(app/port) consul.(hidden) vault.(secret/data//home/u,password)]
b {x:later y:"1770127506"} [amazon-secretsmanager.(db)]
c {x:"1770127506"} [amazon-secretsmanager.(db,user)]
p {x:later}
[]`
	if got := describe(evaluate(t, src, in)); got != want {
		t.Errorf("before anything is known:\n%s", got)
	}
	in.Known = map[string]template.Looked{}
	for label, texts := range map[string]map[string]string{
		"vault.(secret/data//home/u,password)": {"value": "hush {{timestamp}}"}, "consul.(app/port)": {"value": "8443"}, "consul.(hidden)": {"value": "h"},
		"amazon-secretsmanager.(db)": {"value": "v", "secret_string": "s"}, "amazon-secretsmanager.(db,user)": {"value": "me", "secret_string": "s"},
	} {
		in.Known[label] = looked(label, texts)
	}
	ev := evaluate(t, src, in)
	got := describe(ev)
	for _, want := range []string{
		`a {x:"<data.vault.(secret/data//home/u,password).value> <data.vault.(secret/data//home/u,password).value>" y:["https://<data.consul.(app/port).value>/1770127506"] z:"<hidden> {{ .X }}"} [consul.(app/port) consul.(hidden) vault.`,
		`b {x:"<data.amazon-secretsmanager.(db).secret_string>" y:`,
		`p {x:"<upper(`, `vault.(un,used) {path:"un" key:"used"} false`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("what is known comes to\n%s\nnot to\n%s", got, want)
		}
	}
	if ev.Secrets["hidden"] != "h" || ev.Secrets["data.vault.(secret/data//home/u,password).value"] != "hush {{timestamp}}" {
		t.Errorf("%v", ev.Secrets)
	}
	if !slices.Contains(slices.Collect(maps.Values(ev.Secrets)), "ME") {
		t.Errorf("what a function makes of a secret is none: %v", ev.Secrets)
	}
	for _, v := range ev.Variables {
		if v.Name != "path" && v.Name != "unused" && !strings.Contains(v.Shown(), "<sensitive>") {
			t.Errorf("%s is shown as %q", v.Name, v.Shown())
		}
	}
}

func TestCallsRefused(t *testing.T) {
	for _, x := range []struct{ variables, builder, words string }{
		{`"a": "{{vault ` + "`x`" + `}}"`, ``, `t.json:1:24: cannot evaluate variables.a: it takes path and key`},
		{`"a": "{{consul_key}}"`, ``, `it takes key`},
		{`"a": "{{aws_secretsmanager ` + "`a` `b` `c`" + `}}"`, ``, `it takes name and key`},
		{`"a": "{{consul_key ` + "`a`" + `}}", "b": "{{consul_key (user ` + "`a`" + `)}}"`, ``, `cannot evaluate variables.b: its arguments say in plans what is looked up, so they cannot be sensitive`},
		{`"s": "s", "b": "{{consul_key (user ` + "`s`" + `)}}"`, ``, `cannot evaluate variables.b: its arguments say in plans`},
		{``, `"x": "{{vault ` + "`a` `b`" + `}}"`, `vault is available only in the variables section`},
		{`"a": "{{consul_key ` + "`a`" + `}}"`, `"name": "{{user ` + "`a`" + `}}"`, `cannot use a sensitive variable in the name of a build`},
		{`"a": "{{consul_key ` + "`a`" + `}}"`, `"x": {"{{user ` + "`a`" + `}}": 1}`, `cannot use a sensitive variable in the name of a key`},
		{`"a": "{{aws_secretsmanager ` + "`many`" + `}}"`, ``, "the secret many has 2 members: say as the second argument which"},
		{`"a": "{{consul_key ` + "`a`" + `}} {{upper}}"`, ``, "cannot evaluate variables.a: wrong number of args"},
	} {
		src := `{"variables": {` + x.variables + `}, "sensitive-variables": [], "builders": [{"type": "b"`
		if strings.Contains(x.variables, `"s":`) {
			src = strings.Replace(src, `[]`, `["s"]`, 1)
		}
		if x.builder != "" {
			src += ", " + x.builder
		}
		in := inputs()
		const many = `{"a": "1", "b": "2"}`
		in.Known = map[string]template.Looked{"amazon-secretsmanager.(many)": looked("amazon-secretsmanager.(many)", map[string]string{"value": many, "secret_string": many})}
		if strings.Contains(x.words, "variables.b") && strings.Contains(x.variables, `"a"`) {
			in.Known["consul.(a)"] = looked("consul.(a)", map[string]string{"value": "k"})
		}
		tmpl, errs := template.Parse("t.json", []byte(src+"}]}"))
		if len(errs) > 0 {
			t.Fatal(src, errs)
		}
		_, errs = tmpl.Evaluate(in)
		if len(errs) != 1 || !strings.Contains(errs.Error(), x.words) {
			t.Errorf("%s\n%v\nis not: %s", src, errs, x.words)
		}
	}
	var b strings.Builder
	for i := range template.MaxCalls + 1 {
		fmt.Fprintf(&b, "{{consul_key `k%d`}}", i)
	}
	tmpl, _ := template.Parse("t.json", []byte(`{"variables": {"a": "`+b.String()+`"}, "builders": [{"type": "b"}]}`))
	if _, errs := tmpl.Evaluate(inputs()); !strings.Contains(errs.Error(), "a template asks for more than 200 secrets") {
		t.Errorf("%v", errs)
	}
}
