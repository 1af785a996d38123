package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/imgflow/imgflow/dag"
)

const eventSchema = "../../docs/events.schema.json"

// compiledSchema is a schema of this repository.
func compiledSchema(path string) (*jsonschema.Schema, error) {
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	return c.Compile(path)
}

// eventTypes are the constants of dag.EventType.
func eventTypes(t *testing.T) (types []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "../../dag/event.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && len(v.Values) == 1 {
			if lit, ok := v.Values[0].(*ast.BasicLit); ok && lit.Kind == token.STRING {
				text, _ := strconv.Unquote(lit.Value)
				types = append(types, text)
			}
		}
		return true
	})
	return types
}

// rawSchema is what of the schema of events the documentation repeats.
type rawSchema struct {
	Properties map[string]struct {
		Type  string
		Const any
		Enum  []string
		Ref   string `json:"$ref"`
	}
	AllOf []struct {
		If struct {
			Properties struct{ Type struct{ Const string } }
		}
		Then struct {
			Required      []string
			PropertyNames struct{ Enum []string }
		}
	}
}

func readEventSchema(t *testing.T) (raw rawSchema) {
	t.Helper()
	p, err := os.ReadFile(eventSchema)
	if err == nil {
		err = json.Unmarshal(p, &raw)
	}
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// The schema has the fields of the type, with their types, and its types of events.
func TestEventSchemaIsTheType(t *testing.T) {
	raw := readEventSchema(t)
	forms := map[string]string{"int64": "integer", "int": "integer", "string": "string", "[]string": "array", "[]dag.Key": "array", "time.Duration": "integer", "time.Time": "string"}
	var fields []string
	for i := range reflect.TypeFor[dag.Event]().NumField() {
		f := reflect.TypeFor[dag.Event]().Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		fields = append(fields, name)
		p := raw.Properties[name]
		switch want := forms[f.Type.String()]; {
		case name == "v":
			if p.Const != float64(dag.EventVersion) {
				t.Errorf("the schema is of version %v, the events are of %d", p.Const, dag.EventVersion)
			}
		case name == "type":
			if types := eventTypes(t); !slices.Equal(slices.Sorted(slices.Values(p.Enum)), slices.Sorted(slices.Values(types))) {
				t.Errorf("the schema knows the types\n%q\nand there are\n%q", p.Enum, types)
			}
		case p.Ref == "" && p.Type != want:
			t.Errorf("the field %s is %q in the schema, and %s here", name, p.Type, f.Type)
		}
	}
	if in := slices.Sorted(maps.Keys(raw.Properties)); !slices.Equal(in, slices.Sorted(slices.Values(fields))) {
		t.Errorf("the schema has the fields\n%q\nand there are\n%q", in, fields)
	}
	if len(raw.AllOf) != len(eventTypes(t)) {
		t.Errorf("%d types have their fields in the schema, of %d", len(raw.AllOf), len(eventTypes(t)))
	}
}

// everywhere are the fields that an event of any type may have.
var everywhere = []string{"v", "time", "type", "trace"}

// docs/events.md has a section for each type, with exactly its fields and a line that has all of them.
func TestEventsAreDocumented(t *testing.T) {
	text, examples := eventExamples(t)
	raw := readEventSchema(t)
	schema, err := compiledSchema(eventSchema)
	if err != nil {
		t.Fatal(err)
	}
	for name := range raw.Properties {
		if !strings.Contains(text, "\n| `"+name+"` | ") {
			t.Errorf("the field %s is not in the table of fields", name)
		}
	}
	for _, c := range raw.AllOf {
		typ := c.If.Properties.Type.Const
		e := examples[typ]
		if e.line == "" {
			t.Errorf("%s has no section with its fields and a line", typ)
			continue
		}
		var want []string
		for _, f := range c.Then.PropertyNames.Enum {
			switch {
			case slices.Contains(everywhere, f):
			case slices.Contains(c.Then.Required, f):
				want = append(want, "`"+f+"`")
			default:
				want = append(want, "[`"+f+"`]")
			}
		}
		if got := strings.Join(want, ", "); got != e.fields {
			t.Errorf("%s has the fields\n%s\nand the documentation says\n%s", typ, got, e.fields)
		}
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(e.line))
		if err == nil {
			err = schema.Validate(v)
		}
		if err != nil {
			t.Errorf("the line of %s: %v", typ, err)
			continue
		}
		for _, f := range c.Then.PropertyNames.Enum {
			if _, has := v.(map[string]any)[f]; !has && f != "trace" {
				t.Errorf("the line of %s lacks %s", typ, f)
			}
		}
	}
	if len(examples) != len(raw.AllOf) {
		t.Errorf("%d types are documented, of %d", len(examples), len(raw.AllOf))
	}
}

type eventExample struct{ fields, line string }

// eventExamples is the documentation, and what it says of each type.
func eventExamples(t *testing.T) (text string, of map[string]eventExample) {
	t.Helper()
	p, err := os.ReadFile("../../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	of = map[string]eventExample{}
	for _, m := range regexp.MustCompile("(?m)^### (.*)\n\n.+\n\nFields: (.*)\n\n```json\n(.*)\n```$").FindAllStringSubmatch(string(p), -1) {
		of[m[1]] = eventExample{m[2], m[3]}
	}
	return string(p), of
}

// Each recipe for jq prints something when it reads the lines of the documentation.
func TestEventRecipes(t *testing.T) {
	if _, err := exec.LookPath("jq"); err != nil && os.Getenv("CI") != "true" {
		t.Skip("NOT TESTED: jq is missing")
	}
	text, examples := eventExamples(t)
	dir := t.TempDir()
	var lines strings.Builder
	for _, typ := range slices.Sorted(maps.Keys(examples)) { // finished comes before released, as it should
		lines.WriteString(examples[typ].line + "\n")
	}
	if err := os.WriteFile(filepath.Join(dir, "events.jsonl"), []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	recipes := regexp.MustCompile("(?s)```sh\n(jq .*?)```").FindAllStringSubmatch(text, -1)
	if len(recipes) < 5 {
		t.Fatalf("only %d recipes were found", len(recipes))
	}
	for _, m := range recipes {
		cmd := exec.Command("sh", "-ec", m[1])
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil || len(bytes.TrimSpace(out)) == 0 {
			t.Errorf("%s%s%v", m[1], out, err)
		}
	}
}

// eventsIn FILE TYPE... holds each line of a file against the schema of events; the types must be among them.
func eventsIn(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: events FILE TYPE...")
	}
	schema, err := compiledSchema(eventSchema)
	ts.Check(err)
	seen := map[string]bool{}
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		if strings.HasPrefix(line, `{"error":`) {
			continue // it is no event
		}
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
		if err == nil {
			err = schema.Validate(v)
		}
		if err != nil {
			ts.Fatalf("%s%v", line, err)
		}
		seen[fmt.Sprint(v.(map[string]any)["type"])] = true
	}
	for _, typ := range args[1:] {
		if !seen[typ] {
			ts.Fatalf("there is no event %s among %q", typ, slices.Sorted(maps.Keys(seen)))
		}
	}
}
