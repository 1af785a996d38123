// Crosscheck checks the types of the whole module for other systems than this one:
//
//	go run ./internal/crosscheck windows/amd64 darwin/arm64
//
// It finds what a compiler would find, in a fraction of the time, since nothing is
// compiled: of what comes from elsewhere not even the bodies of functions are looked at.
// Tests are not checked, nor what only a linker sees. Its exit status is 1 if anything
// was found.
package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/tools/go/packages"
)

func main() {
	root, err := os.Getwd()
	if err != nil {
		fmt.Fprintln(os.Stderr, "crosscheck:", err)
		os.Exit(1)
	}
	failed := false
	for _, target := range os.Args[1:] {
		faults, n, err := check(root, target, "./...")
		for _, f := range faults {
			fmt.Fprintf(os.Stderr, "%s: %s\n", target, f)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "crosscheck: %s: %v\n", target, err)
		}
		failed = failed || err != nil || len(faults) > 0
		fmt.Printf("%s: %d packages, %d faults\n", target, n, len(faults))
	}
	if failed {
		os.Exit(1)
	}
}

// check checks packages of a module for a GOOS/GOARCH, and returns what is wrong and how
// many packages were looked at.
func check(root, target string, patterns ...string) (faults []string, looked int, err error) {
	goos, goarch, ok := strings.Cut(target, "/")
	if !ok {
		return nil, 0, fmt.Errorf("cannot check %q: give GOOS/GOARCH", target)
	}
	ps, err := packages.Load(&packages.Config{
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedImports | packages.NeedDeps | packages.NeedTypes | packages.NeedTypesSizes | packages.NeedSyntax,
		Dir:  root,
		Env:  append(os.Environ(), "GOOS="+goos, "GOARCH="+goarch, "CGO_ENABLED=0"),
		ParseFile: func(fset *token.FileSet, name string, src []byte) (*ast.File, error) {
			f, err := parser.ParseFile(fset, name, src, parser.SkipObjectResolution)
			if f != nil && !strings.HasPrefix(name, root+string(filepath.Separator)) {
				withoutBodies(f)
			}
			return f, err
		},
	}, patterns...)
	if err != nil {
		return nil, 0, err
	}
	for _, p := range ps {
		for _, e := range p.Errors {
			faults = append(faults, e.Error())
		}
	}
	return faults, len(ps), nil
}

// withoutBodies leaves declarations alone. Imports that are then not used are no fault
// of a package that comes from elsewhere.
func withoutBodies(f *ast.File) {
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok {
			fn.Body = nil
		}
	}
}
