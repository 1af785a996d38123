package pscheck

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// takers are the functions that take PowerShell's text, and where among their
// arguments. Within them, a parameter may be handed on.
var takers = map[string]int{"PowerShell": 1, "powershell": 0, "startScript": 2, "call": 2, "runPS": 2}

// wrappers leave a text as it is for PowerShell.
var wrappers = map[string]bool{"lean": true, "code": true}

// goPackages hand scripts to machines.
var goPackages = []string{"steps/comm", "steps/provision", "steps/aws"}

// A reader looks for PowerShell in the Go files of a package.
type reader struct {
	fset   *token.FileSet
	texts  map[string]string // constants of the package that are strings
	embeds map[string]bool   // variables that hold a .ps1 file
	used   map[string]string // constants that are handed over as PowerShell, and where
	faults []string
}

func read(t *testing.T, fset *token.FileSet, files []*ast.File) *reader {
	t.Helper()
	r := &reader{fset: fset, texts: map[string]string{}, embeds: map[string]bool{}, used: map[string]string{}}
	for _, f := range files {
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, s := range g.Specs {
				v, ok := s.(*ast.ValueSpec)
				if !ok {
					continue
				}
				doc := v.Doc
				if doc == nil && len(g.Specs) == 1 {
					doc = g.Doc
				}
				for i, n := range v.Names {
					if g.Tok == token.CONST && i < len(v.Values) {
						if l, ok := v.Values[i].(*ast.BasicLit); ok && l.Kind == token.STRING {
							r.texts[n.Name], _ = strconv.Unquote(l.Value)
						}
					}
					if doc != nil {
						for _, c := range doc.List {
							if strings.HasPrefix(c.Text, "//go:embed ") && strings.HasSuffix(c.Text, ".ps1") {
								r.embeds[n.Name] = true
							}
						}
					}
				}
			}
		}
	}
	for _, f := range files {
		var up []ast.Node
		ast.Inspect(f, func(n ast.Node) bool {
			if n == nil {
				up = up[:len(up)-1]
				return true
			}
			switch n := n.(type) {
			case *ast.CallExpr:
				if at, ok := takers[called(n)]; ok && at < len(n.Args) {
					r.handed(n.Args[at], up)
				}
			case *ast.Ident:
				if r.embeds[n.Name] {
					r.use(n, up)
				}
			}
			up = append(up, n)
			return true
		})
	}
	return r
}

func (r *reader) add(n ast.Node, text string) {
	f := r.fset.Position(n.Pos()).String() + ": " + text
	if !slices.Contains(r.faults, f) {
		r.faults = append(r.faults, f)
	}
}

func called(c *ast.CallExpr) string {
	switch f := c.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	}
	return ""
}

// handed checks what a taker is given: constants, or a parameter of a taker.
func (r *reader) handed(e ast.Expr, up []ast.Node) {
	switch e := e.(type) {
	case *ast.ParenExpr:
		r.handed(e.X, up)
		return
	case *ast.BinaryExpr:
		if e.Op == token.ADD {
			r.handed(e.X, up)
			r.handed(e.Y, up)
			return
		}
	case *ast.BasicLit:
		s, _ := strconv.Unquote(e.Value)
		r.used[s] = r.fset.Position(e.Pos()).String()
		return
	case *ast.CallExpr:
		if wrappers[called(e)] {
			r.handed(e.Args[0], up)
			return
		}
	case *ast.Ident:
		if s, ok := r.texts[e.Name]; ok {
			r.used[s] = r.fset.Position(e.Pos()).String()
			return
		}
		if r.embeds[e.Name] || parameter(e.Name, up) {
			return
		}
	}
	r.add(e, "PowerShell is given a text that is not a constant: put it into a .ps1 file and hand values over as data")
}

// parameter says whether the function around is a taker and has that name where
// it takes a script.
func parameter(name string, up []ast.Node) bool {
	for _, n := range up {
		f, ok := n.(*ast.FuncDecl)
		if !ok {
			continue
		}
		at, taker := takers[f.Name.Name]
		i := 0
		for _, p := range f.Type.Params.List {
			for _, n := range p.Names {
				if taker && i == at && n.Name == name {
					return true
				}
				i++
			}
		}
	}
	return false
}

// use checks what becomes of a script: it is handed to a taker, or is the content
// of a file.
func (r *reader) use(n *ast.Ident, up []ast.Node) {
	var e ast.Node = n
	for i := len(up) - 1; i >= 0; i-- {
		switch p := up[i].(type) {
		case *ast.ParenExpr:
		case *ast.BinaryExpr:
			r.handed(p, up)
		case *ast.CallExpr:
			_, conversion := p.Fun.(*ast.ArrayType) // []byte(text)
			if conversion || wrappers[called(p)] {
				break
			}
			if at, ok := takers[called(p)]; !ok || at >= len(p.Args) || p.Args[at] != e {
				r.add(n, "the script "+n.Name+" is given to "+called(p)+", which is not known to leave it as it is")
			}
			return
		default:
			return
		}
		e = up[i]
	}
}

func parseGo(t *testing.T, fset *token.FileSet, dir string) (files []*ast.File) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(root, dir, "*.go"))
	if err != nil || len(names) == 0 {
		t.Fatalf("%s has no Go files: %v", dir, err)
	}
	for _, n := range names {
		if strings.HasSuffix(n, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, n, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

// TestScriptsAreConstants: no value gets into PowerShell's text.
func TestScriptsAreConstants(t *testing.T) {
	embeds := 0
	for _, dir := range goPackages {
		fset := token.NewFileSet()
		r := read(t, fset, parseGo(t, fset, dir))
		for _, f := range r.faults {
			t.Error(f)
		}
		embeds += len(r.embeds)
	}
	if n := len(embedded(t)); embeds != n {
		t.Errorf("%d variables hold scripts of %d files", embeds, n)
	}
}

// embedded are the scripts that lie beside the packages.
func embedded(t *testing.T) (files []string) {
	for _, dir := range goPackages {
		all, err := filepath.Glob(filepath.Join(root, dir, "ps", "*.ps1"))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, all...)
	}
	return files
}

// TestConstantsRule: each of these is found.
func TestConstantsRule(t *testing.T) {
	const head = "package p\nimport _ \"embed\"\n//go:embed ps/a.ps1\nvar psA string\nvar (\n//go:embed ps/b.ps1\npsB string\n)\nconst psC = `'c'`\n"
	for body, want := range map[string]int{
		"r.PowerShell(ctx, psA, x, &y)":                              0,
		"r.PowerShell(ctx, psC, x, &y)":                              0,
		"startScript(ctx, c, lean(psA+psB), x)":                      0,
		"files[`a`] = []byte(lean(psA))":                             0,
		"f(map[string]string{``: psA, `.txt`: x})":                   0,
		"r.PowerShell(ctx, psA + x, nil, nil)":                       1,
		"r.PowerShell(ctx, x, nil, nil)":                             1,
		"r.PowerShell(ctx, fmt.Sprintf(psC, x), nil, nil)":           1,
		"r.PowerShell(ctx, fmt.Sprintf(psA, x), nil, nil)":           2,
		"r.PowerShell(ctx, strings.Replace(`a`, `a`, x, 1), 1)":      1,
		"s := strings.ReplaceAll(psB, `x`, y); _ = s":                1,
		"template.New(``).Parse(psA)":                                1,
		"powershell(`Get-Item ` + name)":                             1,
		"func() { startScript(ctx, c, `Remove-Item ` + path, x) }()": 1,
	} {
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, "x.go", head+"func g() {\n"+body+"\n}\n", parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if r := read(t, fset, []*ast.File{f}); len(r.faults) != want || len(r.embeds) != 2 {
			t.Errorf("%s: %q, want %d", body, r.faults, want)
		}
	}
}

// constants writes the scripts that Go code holds as constants into files, and
// returns them with their places.
func constants(t *testing.T) (files []string, places map[string]string) {
	t.Helper()
	dir, places := t.TempDir(), map[string]string{}
	for _, p := range goPackages {
		fset := token.NewFileSet()
		for text, place := range read(t, fset, parseGo(t, fset, p)).used {
			f := filepath.Join(dir, strconv.Itoa(len(files))+".ps1")
			if err := os.WriteFile(f, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			files, places[f] = append(files, f), place
		}
	}
	return files, places
}
