package hcl

import (
	"bytes"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/imgflow/imgflow/template"
)

func evaluate(name, src string) (*template.Config, template.Errors) {
	t, errs := Parse([]template.VarFile{{Name: name, Src: []byte(src)}})
	config, more := t.Evaluate(inputs("/dir"))
	return config, append(errs, more...)
}

// loops go round too often, without a function.
var loops = fmt.Sprintf("[for a in [%[1]s]: [for b in [%[1]s]: b]]", strings.Repeat("1, ", 400))

// TestDeep gives the parser and the evaluation what would take them too deep: each is an error, and said soon.
func TestDeep(t *testing.T) {
	n := 100_000
	chain := func(n int) string {
		var b strings.Builder
		b.WriteString("locals {\n")
		for i := range n {
			fmt.Fprintf(&b, "  l%d = local.l%d\n", i, i+1)
		}
		return b.String() + fmt.Sprintf("  l%d = 1\n}\n", n)
	}
	chainOf := func(form string, n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "  l%d = "+form+"\n", i, i+1, i+1)
		}
		return "locals {\n" + b.String() + fmt.Sprintf("  l%d = 1\n}\n", n)
	}
	for name, row := range map[string][2]string{
		"lists":                 {"locals {\n  x = " + strings.Repeat("[", n) + strings.Repeat("]", n) + "\n}\n", "lie inside each other"},
		"blocks":                {strings.Repeat("build {\n", n) + strings.Repeat("}\n", n), "lie inside each other"},
		"templates":             {"locals {\n  x = " + strings.Repeat(`"${`, n) + "1" + strings.Repeat(`}"`, n) + "\n}\n", "lie inside each other"},
		"sums":                  {"locals {\n  x = 1" + strings.Repeat(" + 1", n) + "\n}\n", "operators in a row"},
		"nots":                  {"locals {\n  x = " + strings.Repeat("!", n) + "true\n}\n", "operators in a row"},
		"conditions":            {"locals {\n  x = " + strings.Repeat("true ? 1 : ", n) + "1\n}\n", "operators in a row"},
		"indexes":               {"locals {\n  x = local.y" + strings.Repeat("[local.y]", n) + "\n}\n", "operators in a row"},
		"locals":                {chain(5000), "need one another in a row"},
		"json":                  {strings.Repeat("[", n), "lie inside each other"},
		"json texts":            {`{"locals": {"x": "${` + strings.Repeat("(", n) + `"}}`, "lie inside each other"},
		"doubling":              {chainOf("[local.l%d, local.l%d]", 60), "all values together would be more than 2000000"},
		"deeper":                {chainOf(strings.Repeat("[", 400)+"local.l%d"+strings.Repeat("]", 400)+" # %d", 60), "nested deeper than 500 levels"},
		"rounds":                {"locals {\n  x = [for a in range(1000): [for b in range(1000): [for c in range(1000): a]]]\n}\n", "go round more than 100000 times"},
		"text":                  {"locals {\n  l = range(1000)\n  x = \"%{ for a in local.l }%{ for b in local.l }%{ for c in local.l }x%{ endfor }%{ endfor }%{ endfor }\"\n}\n", "go round more than 100000 times"},
		"many":                  {"locals {\n  l = range(1000)\n  x = try([for a in range(200): [for b in local.l: b]], [])\n  y = [for a in range(200): [for b in local.l: b]]\n}\n", "go round more than 100000 times"},
		"json loops":            {`{"locals": {"x": 1}, "source": {"null": {"a": {"x": "${[for a in range(1000): [for b in range(1000): a]]}"}}}, "build": {"sources": ["null.a"]}}`, "go round more than 100000 times"},
		"json local":            {`{"locals": {"x": "${[for a in range(1000): [for b in range(1000): a]]}"}}`, "go round more than 100000 times"},
		"json default":          {`{"variable": {"x": {"default": "${` + loops + `}"}}}`, "go round more than 100000 times"},
		"json check":            {`{"variable": {"x": {"default": "1", "validation": {"condition": "${length([for a in range(1000): [for b in range(1000): var.x]]) > 0}", "error_message": "No."}}}}`, "go round more than 100000 times"},
		"json texts with parts": {`{"locals": {"x": ["` + strings.Repeat(`${1}", "`, n+1) + `"]}}`, "more than 100000 ${…} and %{…}"},
		"parts":                 {"locals {\n  x = \"" + strings.Repeat("${1}", n+1) + "\"\n}\n", "more than 100000 ${…} and %{…}"},
		"growth":                {"locals {\n  a = \"" + strings.Repeat("x", 1<<20) + "\"\n  b = \"" + strings.Repeat("${local.a}", 100) + "\"\n}\n", "longer than 64 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			file := "t.pkr.hcl"
			if strings.HasPrefix(name, "json") {
				file = "t.pkr.json"
			}
			_, errs := evaluate(file, row[0])
			if len(errs) == 0 || !strings.Contains(errs.Error(), row[1]) {
				t.Errorf("%.300s", errs.Error())
			}
		})
	}
}

// TestLoopsOfValues holds that loops in values of variables are bounded, wherever the values are given.
func TestLoopsOfValues(t *testing.T) {
	parsed, errs := Parse([]template.VarFile{{Name: "t.pkr.hcl", Src: []byte("variable \"x\" {\n  type = any\n}\nsource \"null\" \"a\" {}\nbuild {\n  sources = [\"null.a\"]\n}\n")}})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	for name, give := range map[string]func(*template.Inputs, string){
		"-var":        func(in *template.Inputs, x string) { in.Vars["x"] = x },
		"environment": func(in *template.Inputs, x string) { in.Environ = func(string) string { return x } },
		"file": func(in *template.Inputs, x string) {
			in.VarFiles = []template.VarFile{{Name: "v.pkrvars.hcl", Src: []byte("x = " + x + "\n")}}
		},
	} {
		for x, words := range map[string]string{loops: "", "[for a in [1, 2]: a + 1]": ""} {
			if x == loops {
				words = "cannot set the variable x: all for expressions of a template together go round more than 100000 times"
			}
			in := inputs("/dir")
			give(&in, x)
			config, errs := parsed.Evaluate(in)
			if words == "" && (len(errs) > 0 || config.Variables[0].Value != "[2,3]") || words != "" && !strings.Contains(errs.Error(), words) {
				t.Errorf("%s: %s: %.300v", name, x[:20], errs)
			}
		}
	}
}

// FuzzHCL looks for input that makes the front end panic, or that it neither makes sense of nor reports.
func FuzzHCL(f *testing.F) {
	for _, s := range []string{
		"source \"null\" \"a\" {\n  x = \"${var.v}{{timestamp}}\"\n}\nbuild {\n  sources = [\"null.a\"]\n}\n",
		"variable \"v\" {\n  type = object({ a = optional(string, \"x\") })\n  default = {}\n}\n",
		"build {\n  source \"null.a\" {\n    name = \"x\"\n  }\n  dynamic \"provisioner\" {\n    for_each = [1]\n    labels = [\"shell\"]\n    content {}\n  }\n}\nsource \"null\" \"a\" {}\n",
		"locals {\n  a = [for k, v in { x = 1 } : \"${k}\" if v > 0]\n  b = local.a[*]\n  c = try(local.a[7], \"d\")\n}\n",
		`{"source": {"null": {"a": {"x": "${upper("y")}"}}}, "build": {"sources": ["null.a"]}}`,
	} {
		f.Add(s, false)
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, src string, json bool) {
		name := "t.pkr.hcl"
		if json {
			name = "t.pkr.json"
		}
		config, errs := evaluate(name, src)
		if len(errs) == 0 && len(config.Builds) == 0 {
			t.Error("it comes to nothing, and nothing is wrong with it")
		}
		for _, e := range errs {
			if e.Text == "" {
				t.Errorf("an error says nothing: %+v", e)
			}
		}
		parsed, _ := Parse([]template.VarFile{{Name: name, Src: []byte(src)}})
		parsed.Outline()
	})
}

// A secret may stand wherever a value may: a template of whose variables and locals all are sensitive comes to values or to
// errors as any other does.
func TestEverythingMayBeSecret(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) < 40 {
		t.Fatalf("%d archives: %v", len(archives), err)
	}
	open := regexp.MustCompile(`(?m)^(variable "\w+") \{`)
	sealed := 0
	for _, path := range archives {
		a, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range a.Files {
			if f.Name == "want" || !strings.HasSuffix(f.Name, ".hcl") {
				continue
			}
			text := open.ReplaceAll(f.Data, []byte("$1 {\n  sensitive = true\n"))
			text = oneLocal.ReplaceAllFunc(text, func(block []byte) []byte { return inLocals(oneLocal.FindSubmatch(block)[1]) })
			if !bytes.Equal(text, f.Data) {
				sealed++
			}
			a.Files[i].Data = text
		}
		t.Run(filepath.Base(path), func(t *testing.T) { try(t, a) })
	}
	if sealed < 20 {
		t.Errorf("only %d templates have something that can be made a secret", sealed)
	}
}

var (
	oneLocal   = regexp.MustCompile(`(?ms)^locals \{\n(.*?)^\}`)
	assignment = regexp.MustCompile(`(?m)^  (\w+)\s*= (.*)$`)
)

// inLocals writes each assignment of one line as a sensitive local.
func inLocals(body []byte) []byte {
	if n := len(assignment.FindAll(body, -1)); n != bytes.Count(bytes.TrimSpace(body), []byte("\n"))+1 {
		return append(append([]byte("locals {\n"), body...), '}')
	}
	return assignment.ReplaceAll(body, []byte("local \"$1\" {\n  expression = $2\n  sensitive = true\n}"))
}

// A file that is too large is refused unread.
func TestLargeFile(t *testing.T) {
	for _, name := range []string{"t.pkr.hcl", "t.pkr.json"} {
		_, errs := evaluate(name, strings.Repeat(" ", maxFile)+"{")
		if text := fmt.Sprint(errs); !strings.Contains(text, name+": cannot read the template: it has more than 2 MiB. Data of that size can be read with jsondecode(file(\"data.json\"))") {
			t.Error(text)
		}
	}
}
