package cli

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/internal/cli/internal/render"
	"github.com/imgflow/imgflow/internal/provenance"
	"github.com/imgflow/imgflow/state"
)

// facts is what each command prints with --json, or why it has no such flag.
var facts = map[string]any{
	"run": "events", "resume": "events", "logs": "events",
	"destroy": render.DestroyedJSON{}, "prune": render.PrunedJSON{}, "list": []state.Summary{}, "show": render.ShownJSON{}, "plan": render.PlanJSON{}, "doctor": render.ExaminedJSON{},
	"inspect": render.Content{}, "validate": render.ValidatedJSON{}, "fmt": render.FormattedJSON{}, "init": render.PluginsJSON{}, "plugins": render.PluginsJSON{},
	"console": render.AnswerJSON{}, "verify": provenance.Statement{}, "version": render.VersionJSON{}, "explain": twoForms{[]render.CodeJSON{}, []render.Explanation{}}, "guest": []importedGuest{},

	"shell": noJSON("it is a terminal's"), "completion": noJSON("it prints a script"), "man": noJSON("it prints a manual page"), "schema": noJSON("it prints JSON anyway"), "policy": noJSON("it prints JSON anyway"), "convert": noJSON("it writes a template"), "fix": noJSON("it prints a template"),
	"report": noJSON("it writes a page; show and logs have what is on it"), "ui": noJSON("it serves a page; show and logs have what is on it"), "ec2local": noJSON("it serves; server.json in its directory says where"),
}

// twoForms is what a command prints that tells of two kinds of things.
type twoForms []any

// noJSON is why a command has no --json.
type noJSON string

// Every command has --json, or says why not; and what it prints is in docs/json.md, which is made of the structs and their
// comments. No field goes.
func TestReferenceOfJSON(t *testing.T) {
	var b strings.Builder
	b.WriteString(`# JSON of commands

Every command that tells facts has ` + "`--json`" + `: what it prints on standard output is one JSON document then, and what is for people goes to standard error. Fields are only ever added, and none comes to mean
something else; those that are marked *optional* are left out where there is nothing to say. Runs tell [events](events.md), one a line.

A command that fails keeps its exit status and prints, as one line and at the end if it has printed something before:

` + "```json" + `
{"error":{"code":"unknown-name","message":"cannot use inlin: shell has no such option","at":{"file":"t.json","line":4,"column":27},"help":"did you mean \"inline\"?"}}
` + "```" + `

` + "`code`" + ` is one of [errors.md](errors.md). For a template with faults the error is the first of them, and ` + "`faults`" + ` has all. ` + "`validate`" + ` puts the error into its document.

This page is made of the program by ` + "`go test ./internal/cli -run TestReference -update`" + `.
`)
	comments := fieldComments(t)
	fmt.Fprintf(&b, "\n## A failure\n\n%s", fieldTable(reflect.TypeFor[render.FailureJSON](), comments))
	cmds := newCommands()
	for _, c := range cmds.Commands {
		if c.Name == "help" {
			continue
		}
		told, known := facts[c.Name]
		why, none := told.(noJSON)
		switch has := flagNamed(c, "json") != nil; {
		case !known:
			t.Errorf("what does %s print with --json? say it in facts, or why nothing", c.Name)
			continue
		case has == none:
			t.Errorf("%s has --json: %v, and facts say otherwise", c.Name, has)
		case none && why == "":
			t.Errorf("%s has no --json, and nobody says why", c.Name)
		}
		fmt.Fprintf(&b, "\n## %s\n\n", c.Name)
		forms, _ := told.(twoForms)
		switch {
		case forms != nil:
			for _, f := range forms {
				b.WriteString(fieldTable(reflect.TypeOf(f), comments) + "\n")
			}
		case none:
			fmt.Fprintf(&b, "Has none: %s.\n", why)
		case told == "events":
			b.WriteString("[Events](events.md), one a line.\n")
		default:
			b.WriteString(fieldTable(reflect.TypeOf(told), comments))
		}
	}
	const path = "../../docs/json.md"
	before, err := os.ReadFile(path)
	if err != nil && !*updateReference {
		t.Fatal(err)
	}
	for _, gone := range lost(string(before), b.String()) {
		t.Errorf("a field that programs may read has gone: %s", gone)
	}
	if t.Failed() {
		return
	}
	if *updateReference {
		if err := os.WriteFile(path, []byte(b.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	} else if string(before) != b.String() {
		t.Errorf("%s is stale: %s", path, howToUpdate)
	}
}

// lost are the fields, with their sections and types, that a page had and another has not.
func lost(before, after string) (gone []string) {
	has := map[string]bool{}
	fields := func(text string, tell func(string)) {
		section := ""
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "## ") {
				section = strings.TrimSpace(line[3:])
			}
			if m := regexp.MustCompile("^\\| `([^`]+)` \\| ([a-z ]+)").FindStringSubmatch(line); m != nil {
				tell(section + ": " + m[1] + ", " + strings.TrimSpace(m[2]))
			}
		}
	}
	fields(after, func(f string) { has[f] = true })
	fields(before, func(f string) {
		if !has[f] {
			gone = append(gone, f)
		}
	})
	return gone
}

func TestALostFieldIsFound(t *testing.T) {
	before := "## list\n\n| `id` | text | |\n| `left` | text, optional | |\n"
	if gone := lost(before, "## show\n\n| `id` | text | |\n## list\n| `left` | number | |\n"); !slices.Equal(gone, []string{"list: id, text", "list: left, text"}) {
		t.Errorf("%q", gone)
	}
	if gone := lost(before, before+"| `more` | text | |\n"); len(gone) > 0 {
		t.Errorf("%q", gone)
	}
}

// fieldTable is a table of all fields of a value, those of its parts, too.
func fieldTable(typ reflect.Type, comments map[string]string) string {
	var b strings.Builder
	if typ.Kind() == reflect.Slice {
		b.WriteString("An array of:\n\n")
		typ = typ.Elem()
	}
	b.WriteString("| field | type | what it is |\n|---|---|---|\n")
	var add func(prefix string, typ reflect.Type)
	add = func(prefix string, typ reflect.Type) {
		for i := range typ.NumField() {
			f := typ.Field(i)
			name, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
			inner, many := f.Type, ""
			for inner.Kind() == reflect.Pointer || inner.Kind() == reflect.Slice {
				if inner.Kind() == reflect.Slice {
					many = "[]"
				}
				inner = inner.Elem()
			}
			object := inner.Kind() == reflect.Struct && inner != reflect.TypeFor[time.Time]()
			switch {
			case name == "-" || !f.IsExported() && !f.Anonymous:
				continue
			case f.Anonymous && name == "":
				add(prefix, inner)
				continue
			}
			if name == "" {
				name = f.Name
			}
			what := jsonType(f.Type)
			if strings.Contains(opts, "omit") {
				what += ", optional"
			}
			fmt.Fprintf(&b, "| `%s%s` | %s | %s |\n", prefix, name, what, comments[typ.String()+"."+f.Name])
			if object {
				add(prefix+name+many+".", inner)
			}
		}
	}
	add("", typ)
	return b.String()
}

// jsonType is what a value of Go is in JSON.
func jsonType(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return "time"
	case t.Implements(reflect.TypeFor[interface{ MarshalText() ([]byte, error) }]()):
		return "text"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return jsonType(t.Elem())
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return "text"
		}
		return "list of " + jsonType(t.Elem())
	case reflect.Map:
		return "object of " + jsonType(t.Elem())
	case reflect.Struct:
		return "object"
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "boolean"
	case reflect.Interface:
		return "anything"
	}
	return "number"
}

// fieldComments are the comments of the fields of structs that are printed, by package.Type.Field.
func fieldComments(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, dir := range []string{"internal/render", "../../state", "../../internal/provenance", "../../internal/ec2local/guest", "../../internal/explain"} {
		files, err := filepath.Glob(dir + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				spec, ok := n.(*ast.TypeSpec)
				if !ok {
					return true
				}
				s, ok := spec.Type.(*ast.StructType)
				if !ok {
					return true
				}
				for _, field := range s.Fields.List {
					text := strings.TrimSpace(field.Comment.Text() + " " + field.Doc.Text())
					for _, name := range field.Names {
						all[f.Name.Name+"."+spec.Name.Name+"."+name.Name] = strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "|", "\\|")
					}
				}
				return true
			})
		}
	}
	return all
}
