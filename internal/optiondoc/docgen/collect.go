// Package docgen makes what is told of options from the source: the texts of package optiondoc, and the pages of
// docs/reference.
package docgen

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/imgflow/imgflow/internal/optiondoc"
	"github.com/imgflow/imgflow/template/compile"
)

// Structs are those whose fields are options of a catalogue, and the common ones.
func Structs(c compile.Catalog) (all []reflect.Type) {
	add := func(t reflect.Type) {
		if !slices.Contains(all, t) {
			all = append(all, t)
		}
	}
	var options func(list []compile.Option)
	options = func(list []compile.Option) {
		for _, o := range list {
			add(o.Of)
			shape := &o.Shape
			for shape.Elem != nil {
				shape = shape.Elem
			}
			options(shape.Options)
		}
	}
	options(compile.CommonOptions())
	for _, p := range c.Parts() {
		if p.Struct != nil {
			add(p.Struct)
		}
		options(p.Options)
	}
	return all
}

// Collect reads the comments of structs, and of their fields, below the root of the module.
func Collect(root string, structs []reflect.Type) (optiondoc.Texts, error) {
	texts := optiondoc.Texts{}
	for _, s := range structs {
		texts[optiondoc.Name(s)] = nil
	}
	folders := map[string]bool{}
	for _, s := range structs {
		folders[strings.TrimPrefix(s.PkgPath(), optiondoc.Module)] = true
	}
	for folder := range folders {
		names, err := filepath.Glob(filepath.Join(root, folder, "*.go"))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if err := collectFile(texts, name, folder); err != nil {
				return nil, err
			}
		}
	}
	return texts, nil
}

func collectFile(texts optiondoc.Texts, name, folder string) error {
	src, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	f, err := parser.ParseFile(token.NewFileSet(), name, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return fmt.Errorf("cannot read the comments: %w", err)
	}
	for _, d := range f.Decls {
		decl, ok := d.(*ast.GenDecl)
		if !ok || decl.Tok != token.TYPE {
			continue
		}
		for _, spec := range decl.Specs {
			of := spec.(*ast.TypeSpec)
			str, ok := of.Type.(*ast.StructType)
			if _, wanted := texts[folder+"."+of.Name.Name]; !ok || !wanted {
				continue
			}
			doc := of.Doc
			if doc == nil {
				doc = decl.Doc
			}
			texts[folder+"."+of.Name.Name] = comments(doc, str)
		}
	}
	return nil
}

// comments are those of a struct and of the fields with a name.
func comments(doc *ast.CommentGroup, s *ast.StructType) map[string]string {
	texts := map[string]string{}
	put := func(name, text string) {
		if text != "" {
			texts[name] = text
		}
	}
	first, _, _ := strings.Cut(doc.Text(), "\n\n") // the rest is for who reads the source
	put("", strings.Join(strings.Fields(first), " "))
	for _, f := range s.Fields.List {
		for _, name := range f.Names {
			if name.IsExported() {
				put(name.Name, sentence(strings.TrimSpace(line(f.Doc)+" "+line(f.Comment))))
			}
		}
	}
	return texts
}

// line is a comment without its line breaks.
func line(c *ast.CommentGroup) string {
	return strings.Join(strings.Fields(c.Text()), " ")
}

// sentence begins with a capital letter and ends with a dot: a comment beside a field need not.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	if !strings.HasSuffix(text, ".") {
		text += "."
	}
	first, n := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[n:]
}
