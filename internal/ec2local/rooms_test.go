package ec2local_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// TestOneResourceAFile: what the API keeps of one kind, it keeps in a file of that
// kind. What has a table of its own is a kind.
func TestOneResourceAFile(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	kinds := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		here := 0
		for _, d := range f.Decls {
			if m, ok := d.(*ast.FuncDecl); ok && m.Recv != nil && m.Name.Name == "table" {
				here++
			}
		}
		if kinds += here; here > 1 {
			t.Errorf("%s has %d kinds of resources", name, here)
		}
	}
	if kinds < 10 {
		t.Errorf("%d kinds of resources were found: the test looks for the wrong thing", kinds)
	}
}
