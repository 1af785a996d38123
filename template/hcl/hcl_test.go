package hcl

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"github.com/imgflow/imgflow/template"
)

var update = flag.Bool("update", false, "write down what the templates of testdata come to")

// TestTemplates evaluates the templates of testdata. Each archive holds the files of a folder, and what they come to: the
// builds with their options, or what is wrong. Lines before the files are what the command line gives:
//
//	var name=value | env NAME=value | only pattern | except pattern | strict | file name (a -var-file, of the archive)
//	known type.name={…} (what a data source yields; a text that begins with ! is a secret)
//	made build={…} (what a build has made)
//
// With a line of known or made, what the template comes to before anything is known comes first.
func TestTemplates(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) < 40 {
		t.Fatalf("%d archives: %v", len(archives), err)
	}
	for _, path := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got := try(t, a)
			i := slices.IndexFunc(a.Files, func(f txtar.File) bool { return f.Name == "want" })
			if *update {
				if i < 0 {
					a.Files, i = append(a.Files, txtar.File{Name: "want"}), len(a.Files)
				}
				a.Files[i].Data = got
				if err := os.WriteFile(path, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if i < 0 || !bytes.Equal(got, a.Files[i].Data) {
				t.Errorf("it comes to\n%s", got)
			}
		})
	}
}

// inputs are what a user gives with a template, always the same.
func inputs(dir string) template.Inputs {
	n := 0
	return template.Inputs{Vars: map[string]string{}, Dir: dir, Cwd: "/cwd", Clock: time.Date(2026, 11, 29, 10, 20, 30, 0, time.UTC),
		UUID: func() string { n++; return fmt.Sprintf("00000000-0000-4000-8000-%012d", n) }}
}

// try evaluates the template of an archive.
func try(t *testing.T, a *txtar.Archive) []byte {
	dir := t.TempDir()
	in := inputs(dir)
	env := map[string]string{"HOME": "/home/me"}
	in.Environ = func(name string) string { return env[name] }
	var files, auto, explicit []template.VarFile
	named, known, made := map[string]bool{}, map[string]template.Looked{}, template.Made{}
	for _, line := range strings.Split(strings.TrimSpace(string(a.Comment)), "\n") {
		word, rest, _ := strings.Cut(line, " ")
		name, value, _ := strings.Cut(rest, "=")
		switch word {
		case "var":
			in.Vars[name] = value
		case "env":
			env[name] = value
		case "only":
			in.Only = append(in.Only, rest)
		case "except":
			in.Except = append(in.Except, rest)
		case "strict":
			in.Strict = true
		case "known":
			known[name] = looked(t, name, value)
		case "made":
			var fields map[string]string
			if err := json.Unmarshal([]byte(value), &fields); err != nil {
				t.Fatal(line, err)
			}
			made[name] = fields
		case "file":
			named[rest] = true
		}
	}
	for _, f := range a.Files {
		src := template.VarFile{Name: f.Name, Src: f.Data}
		switch {
		case f.Name == "want":
		case named[f.Name]:
			explicit = append(explicit, src)
		case strings.HasSuffix(f.Name, ".auto.pkrvars.hcl"), strings.HasSuffix(f.Name, ".auto.pkrvars.json"):
			auto = append(auto, src)
		case strings.HasSuffix(f.Name, ".pkr.hcl"), strings.HasSuffix(f.Name, ".pkr.json"):
			files = append(files, src)
		default:
			at := filepath.Join(dir, f.Name)
			if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(at, f.Data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	in.VarFiles = append(auto, explicit...)
	in.DataTypes = dataTypes
	var out bytes.Buffer
	if len(known)+len(made) > 0 {
		out.WriteString("before:\n")
		comesTo(&out, files, in)
		out.WriteString("after:\n")
		in.Known, in.Made = known, made
	}
	comesTo(&out, files, in)
	return bytes.ReplaceAll(out.Bytes(), []byte(dir), []byte("$DIR"))
}

// dataTypes are what data sources of the tests yield.
var dataTypes = map[string]cty.Type{
	"amazon-secretsmanager": cty.Object(map[string]cty.Type{"value": cty.String, "secret_string": cty.String}),
	"amazon-ami":            cty.Object(map[string]cty.Type{"id": cty.String, "name": cty.String, "tags": cty.Map(cty.String)}),
	"http":                  cty.Object(map[string]cty.Type{"url": cty.String, "body": cty.String}),
	"vault":                 cty.Object(map[string]cty.Type{"value": cty.String}),
	"consul":                cty.Object(map[string]cty.Type{"value": cty.String}),
	"facts":                 cty.Object(map[string]cty.Type{"size": cty.Number, "big": cty.Bool, "list": cty.List(cty.String), "whatever": cty.DynamicPseudoType}),
}

// looked is what a data source yields.
func looked(t *testing.T, label, text string) template.Looked {
	kind, _, _ := strings.Cut(label, ".")
	v := cty.EmptyObjectVal
	implied, err := ctyjson.ImpliedType([]byte(text))
	if err == nil {
		v, err = ctyjson.Unmarshal([]byte(text), implied)
	}
	if err == nil {
		v, err = convert.Convert(v, dataTypes[kind])
	}
	if err != nil {
		t.Fatal(label, err)
	}
	l := template.Looked{Secrets: map[string]string{}}
	l.Value, _ = cty.Transform(v, func(p cty.Path, x cty.Value) (cty.Value, error) {
		if x.Type() != cty.String || x.IsNull() || !strings.HasPrefix(x.AsString(), "!") {
			return x, nil
		}
		name := "data." + label + "." + p[0].(cty.GetAttrStep).Name
		l.Secrets[name] = x.AsString()[1:]
		return cty.StringVal(l.Secrets[name]).Mark(template.Secret(name)), nil
	})
	return l
}

// comesTo evaluates a template and writes down what that comes to.
func comesTo(out *bytes.Buffer, files []template.VarFile, in template.Inputs) {
	parsed, errs := Parse(files)
	config, more := parsed.Evaluate(in)
	if errs = append(errs, more...).Sorted(); len(errs) > 0 {
		fmt.Fprintln(out, errs)
	}
	if len(config.Warnings) > 0 {
		fmt.Fprintf(out, "warnings:\n%s\n", config.Warnings)
	}
	if len(errs) == 0 {
		show(out, config)
	}
}

// TestExample holds that the example of the repository is a template without faults or warnings.
func TestExample(t *testing.T) {
	const file = "../../examples/hcl/image.pkr.hcl"
	src, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	parsed, errs := Parse([]template.VarFile{{Name: file, Src: src}})
	config, more := parsed.Evaluate(inputs(t.TempDir()))
	if errs = slices.Concat(errs, more, config.Warnings); len(errs) > 0 || len(config.Builds) != 1 || len(config.Builds[0].Provisioners) != 1 {
		t.Errorf("%d builds: %v", len(config.Builds), errs)
	}
	in := inputs(t.TempDir())
	in.Vars["motd"] = strings.Repeat("x", 80)
	if _, errs := parsed.Evaluate(in); !strings.Contains(errs.Error(), "must fit on one line") {
		t.Errorf("a greeting of 80 characters: %v", errs)
	}
}

// show writes down the builds of a config.
func show(out *bytes.Buffer, c *template.Config) {
	part := func(what string, p template.Part) {
		fmt.Fprintf(out, "  %s %s %s\n", what, p.Type, plain(p.Options))
	}
	for _, d := range c.Data {
		fmt.Fprintf(out, "data %s %s\n", d.Label(), plain(d.Options))
		if len(d.Refers) > 0 {
			fmt.Fprintf(out, "  refers to %s\n", strings.Join(d.Refers, ", "))
		}
	}
	for _, b := range c.Builds {
		fmt.Fprintf(out, "%s (%s) %s\n", b.Name, b.Type, plain(b.Options))
		if len(b.Refers) > 0 {
			fmt.Fprintf(out, "  refers to %s\n", strings.Join(b.Refers, ", "))
		}
		for _, n := range b.Needs {
			fmt.Fprintf(out, "  needs the %s of %s, at %s\n", n.Field, n.Build, n.Pos)
		}
		for _, p := range b.Provisioners {
			part("provisioner", p)
		}
		if b.ErrorCleanup != nil {
			part("cleanup", *b.ErrorCleanup)
		}
		for _, x := range b.Tests {
			fmt.Fprintf(out, "  test %q %s\n", x.Name, plain(x.Options))
			for _, p := range x.Provisioners {
				part("  provisioner", p)
			}
		}
		for _, seq := range b.PostProcessors {
			for i, p := range seq {
				part(strings.Repeat("> ", i)+"post-processor", p)
			}
		}
	}
	secrets := make([]string, 0, len(c.Secrets))
	for name, text := range c.Secrets {
		secrets = append(secrets, name+"="+text)
	}
	if slices.Sort(secrets); len(secrets) > 0 {
		fmt.Fprintf(out, "secrets: %s\n", strings.Join(secrets, ", "))
	}
}

// plain is a value as JSON. A secret stands in angle brackets, and what waits for the build as it is written.
func plain(v template.Value) string {
	b, err := json.Marshal(simple(v))
	if err != nil {
		return err.Error()
	}
	return strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(string(b))
}

func simple(v template.Value) any {
	switch v.Kind() {
	case template.Null:
		return nil
	case template.Later, template.Faulty:
		return "<" + v.Kind().String() + ">"
	case template.List:
		list := []any{}
		for _, x := range v.Elements() {
			list = append(list, simple(x))
		}
		return list
	case template.Object:
		m := map[string]any{}
		for _, f := range v.Fields() {
			m[f.Name] = simple(f.Value)
		}
		return m
	}
	text, err := v.Text()
	switch {
	case err != nil:
		return "<" + err.Error() + ">"
	case v.IsMarked() && v.Form == nil:
		_, marks := v.Unmark()
		return "<secret " + strings.Join(sorted(marks), " ") + ": " + string(text) + ">"
	case v.Kind() == template.Number:
		return json.Number(text)
	case v.Kind() == template.Bool:
		return text == "true"
	}
	return text.String()
}
