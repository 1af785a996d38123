package ec2local

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestPatterns compiles every pattern of the package: none is before it is needed, so
// that a mistake would show with a call only, and no start of the program waits for
// one.
func TestPatterns(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(gotoken.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(x ast.Node) bool {
			call, ok := x.(*ast.CallExpr)
			if !ok {
				return true
			}
			if sel, ok := call.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "MustCompile" && name != "pattern.go" {
				t.Errorf("%s: a regular expression is compiled at each start of the program: make it a patternOf", name)
			}
			if fn, ok := call.Fun.(*ast.Ident); ok && fn.Name == "patternOf" {
				expr, err := strconv.Unquote(call.Args[0].(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				patternOf(expr)()
				n++
			}
			return true
		})
	}
	if n < 15 {
		t.Errorf("%d patterns were found", n)
	}
}
