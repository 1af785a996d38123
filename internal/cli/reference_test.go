package cli

import (
	"bytes"
	"encoding/json"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/internal/optiondoc"
	"github.com/imgflow/imgflow/internal/optiondoc/docgen"
	"github.com/imgflow/imgflow/template/compile"
)

var updateReference = flag.Bool("update", false, "write docs/reference and the texts of options anew")

const howToUpdate = "run go test ./internal/cli -run TestReference -update"

// TestReference holds what is told of options against the comments of their fields.
func TestReference(t *testing.T) {
	const root = "../.."
	texts, err := docgen.Collect(root, docgen.Structs(catalog()))
	if err != nil {
		t.Fatal(err)
	}
	var written bytes.Buffer
	e := json.NewEncoder(&written)
	e.SetEscapeHTML(false)
	e.SetIndent("", "")
	if err := e.Encode(texts); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{filepath.Join(root, "internal/optiondoc/options.json"): written.String()}
	folder := filepath.Join(root, "docs/reference")
	for path, text := range docgen.Pages(catalog(), texts) {
		want[filepath.Join(folder, path)] = text
	}
	var there []string
	filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			there = append(there, path)
		}
		return nil // without the folder every page is missing
	})
	for _, path := range there {
		if _, ok := want[path]; ok {
			continue
		}
		if !*updateReference {
			t.Errorf("%s is about nothing that there is: %s", path, howToUpdate)
		} else if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	for path, text := range want {
		got, _ := os.ReadFile(path)
		if string(got) == text {
			continue
		}
		if !*updateReference {
			t.Errorf("%s is stale: %s", path, howToUpdate)
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if n := written.Len(); n > 80_000 {
		t.Errorf("the texts of options have %d bytes, and may have 80000: everybody who fetches the program pays for them", n)
	}
}

// TestEveryOptionIsExplained: what an option does stands beside its field.
func TestEveryOptionIsExplained(t *testing.T) {
	texts, err := docgen.Collect("../..", docgen.Structs(catalog()))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	told := map[string]bool{}
	var look func(list []compile.Option)
	look = func(list []compile.Option) {
		for _, o := range list {
			n++
			field := optiondoc.Name(o.Of) + "." + o.Field
			what, byDefault, _ := texts.Of(o.Of, o.Field)
			if len(strings.Fields(what)) < 3 && !told[field] {
				t.Errorf("the option %s is not explained: give the field %s a comment that says what it does (%q)", o.Name, field, what+byDefault)
			}
			told[field] = true
			inner := &o.Shape
			for inner.Elem != nil {
				inner = inner.Elem
			}
			look(inner.Options)
		}
	}
	look(compile.CommonOptions())
	for _, p := range catalog().Parts() {
		look(p.Options)
		if p.Struct != nil && texts.Struct(p.Struct, p.Type) == "" {
			t.Errorf("the %s %s is not explained: give the struct %s a comment", p.Role, p.Type, optiondoc.Name(p.Struct))
		}
	}
	if n < 200 {
		t.Errorf("only %d options were found", n)
	}
}
