package dagtest

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
)

// Bound fails for every type of step in the package of a test that is not among
// the package's kinds.
func Bound(t *testing.T, kinds []dag.Kind) {
	t.Helper()
	missing, err := unbound(".", kinds)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range missing {
		t.Errorf("%s is not in Kinds", m)
	}
}

// unbound finds the steps in the folder of a package whose kind is not among those.
func unbound(dir string, kinds []dag.Kind) (missing []string, err error) {
	bound := map[string]bool{}
	for _, k := range kinds {
		bound[k.Name] = true
	}
	all, err := stepsIn(dir)
	for _, s := range all {
		if !bound[s.kind] {
			missing = append(missing, fmt.Sprintf("%s (%s)", s.name, s.kind))
		}
	}
	return missing, err
}

// OneKindAFile fails for every type of step in the package of a test that does not
// stand in a file of its own, called as its kind or its type is, with a test beside
// it: aws.keep-volumes, made by the type KeepVolumes, in keepvolumes.go and
// keepvolumes_test.go.
func OneKindAFile(t *testing.T) {
	t.Helper()
	faults, err := misplaced(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults {
		t.Error(f)
	}
}

// misplaced says which steps in the folder of a package have no file or no test of
// their own.
func misplaced(dir string) (faults []string, err error) {
	all, err := stepsIn(dir)
	if err != nil {
		return nil, err
	}
	in := map[string]string{} // the first step of each file
	for _, s := range all {
		file := strings.TrimSuffix(s.file, ".go")
		kind, _, _ := strings.Cut(s.kind[strings.LastIndexByte(s.kind, '.')+1:], "/")
		kind, name := strings.ReplaceAll(kind, "-", ""), strings.ToLower(s.name)
		if other, ok := in[file]; ok {
			faults = append(faults, fmt.Sprintf("%s stands in %s beside %s: give it a file of its own, %s.go", s.name, s.file, other, kind))
			continue
		}
		in[file] = s.name
		if file != kind && file != name {
			faults = append(faults, fmt.Sprintf("%s (%s) stands in %s: call the file %s.go or %s.go", s.name, s.kind, s.file, kind, name))
		}
		tested, err := tests(filepath.Join(dir, file+"_test.go"), s.name)
		if err != nil {
			return nil, err
		}
		if !tested {
			faults = append(faults, fmt.Sprintf("no test in %s_test.go uses %s", file, s.name))
		}
	}
	return faults, nil
}

// tests reports whether a file has a test that names the type, by itself or in a
// function beside it.
func tests(path, name string) (found bool, err error) {
	src, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	f, err := parser.ParseFile(token.NewFileSet(), path, src, 0)
	if err != nil {
		return false, err
	}
	test := false
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		test = test || ok && strings.HasPrefix(fn.Name.Name, "Test")
		ast.Inspect(d, func(n ast.Node) bool {
			id, ok := n.(*ast.Ident)
			found = found || ok && id.Name == name
			return true
		})
	}
	return found && test, nil
}

// stepType is a type with a method Kind() string.
type stepType struct{ name, kind, file string }

// stepsIn are the types of steps in the folder of a package.
func stepsIn(dir string) (all []stepType, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	fset := token.NewFileSet()
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		f, err := parser.ParseFile(fset, path, src, 0)
		if err != nil {
			return nil, err
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Recv == nil || fn.Name.Name != "Kind" || len(fn.Type.Params.List) > 0 {
				continue
			}
			kind, err := returned(fn)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", fset.Position(fn.Pos()), err)
			}
			of := fn.Recv.List[0].Type
			name := strings.TrimPrefix(string(src[fset.Position(of.Pos()).Offset:fset.Position(of.End()).Offset]), "*")
			all = append(all, stepType{name, kind, filepath.Base(path)})
		}
	}
	return all, nil
}

// returned is the text that a method returns.
func returned(fn *ast.FuncDecl) (string, error) {
	if len(fn.Body.List) == 1 {
		if r, ok := fn.Body.List[0].(*ast.ReturnStmt); ok && len(r.Results) == 1 {
			if l, ok := r.Results[0].(*ast.BasicLit); ok && l.Kind == token.STRING {
				return strconv.Unquote(l.Value)
			}
		}
	}
	return "", fmt.Errorf("cannot tell which kind it is: write it as a constant text")
}
