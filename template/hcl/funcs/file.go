package funcs

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"

	"github.com/imgflow/imgflow/internal/localfile"
)

const (
	mostBytes = 16 << 20 // of one file
	mostFiles = 10_000   // that fileset finds
)

var (
	baseName = text(func(a []string) (string, error) { return filepath.Base(a[0]), nil }, "path")
	dirName  = text(func(a []string) (string, error) { return filepath.Dir(a[0]), nil }, "path")
)

func (w World) absPath() function.Function {
	return text(func(a []string) (string, error) {
		if filepath.IsAbs(a[0]) {
			return filepath.ToSlash(filepath.Clean(a[0])), nil
		}
		return filepath.ToSlash(filepath.Join(w.Cwd, a[0])), nil
	}, "path")
}

func (w World) pathExpand() function.Function {
	return text(func(a []string) (string, error) { return w.expand(a[0]) }, "path")
}

func (w World) expand(path string) (string, error) {
	if path != "~" && !strings.HasPrefix(path, "~/") {
		if strings.HasPrefix(path, "~") {
			return "", fmt.Errorf("the home of another user is not looked for: %s", path)
		}
		return path, nil
	}
	if w.Home == "" {
		return "", errors.New("the home is not known: set HOME")
	}
	return w.Home + path[1:], nil
}

// at is where a path of the template leads.
func (w World) at(path string) (string, error) {
	path, err := w.expand(path)
	if err != nil {
		return "", err
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(w.Dir, path)
	}
	return w.found(path), nil
}

// found is where a file is to be read.
func (w World) found(path string) string {
	if w.Files == nil {
		return path
	}
	return w.Files(path)
}

func (w World) read(path string) ([]byte, error) {
	at, err := w.at(path)
	if err != nil {
		return nil, err
	}
	b, err := localfile.Read(at, mostBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no file %s: a relative path begins at the folder of the template", at)
	}
	if err == nil && w.Rounds.load(len(b)) {
		return nil, fmt.Errorf("%s: all that a template reads of files together is more than %d MiB; the file provisioner uploads large files", at, maxRead>>20)
	}
	return b, err
}

func (w World) readText(path string) (string, error) {
	b, err := w.read(path)
	if err == nil && !utf8.Valid(b) {
		err = fmt.Errorf("%s is no UTF-8 text: take filebase64, or the file provisioner", path)
	}
	return string(b), err
}

func (w World) file() function.Function {
	return text(func(a []string) (string, error) { return w.readText(a[0]) }, "path")
}

func (w World) fileBase64() function.Function {
	return text(func(a []string) (string, error) {
		b, err := w.read(a[0])
		return base64.StdEncoding.EncodeToString(b), err
	}, "path")
}

func (w World) fileExists() function.Function {
	return of(cty.Bool, func(a []cty.Value) (cty.Value, error) {
		at, err := w.at(a[0].AsString())
		if err != nil {
			return cty.NilVal, err
		}
		fi, err := os.Stat(at)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return cty.False, nil
		case err != nil:
			return cty.NilVal, err
		case !fi.Mode().IsRegular():
			return cty.NilVal, fmt.Errorf("%s is not a file", at)
		}
		return cty.True, nil
	}, params(cty.String, "path")...)
}

// fileSet finds the files below a folder that a pattern matches; ** stands for any folders.
func (w World) fileSet() function.Function {
	return of(cty.Set(cty.String), func(a []cty.Value) (cty.Value, error) {
		dir, err := w.at(a[0].AsString())
		if err != nil {
			return cty.NilVal, err
		}
		named, err := World{Dir: w.Dir, Home: w.Home}.at(a[0].AsString())
		if err != nil {
			return cty.NilVal, err
		}
		pattern := filepath.ToSlash(filepath.Clean(a[1].AsString()))
		if !doublestar.ValidatePattern(pattern) {
			return cty.NilVal, function.NewArgErrorf(1, "%q is no pattern", pattern)
		}
		var found []cty.Value
		err = doublestar.GlobWalk(os.DirFS(dir), pattern, func(path string, _ fs.DirEntry) error {
			if fi, err := os.Stat(filepath.Join(dir, path)); err != nil || !fi.Mode().IsRegular() {
				return nil // a folder, or a link that leads to none
			}
			if len(found) == mostFiles {
				return fmt.Errorf("more than %d files match", mostFiles)
			}
			w.found(filepath.Join(named, path))
			found = append(found, cty.StringVal(path))
			return nil
		})
		if err != nil {
			return cty.NilVal, fmt.Errorf("%s: %w", a[0].AsString(), err)
		}
		if len(found) == 0 {
			return cty.SetValEmpty(cty.String), nil
		}
		return cty.SetVal(found), nil
	}, params(cty.String, "folder", "pattern")...)
}

// templateFile fills the text of a file, which is a template of HCL2.
func (w World) templateFile(fns map[string]function.Function) function.Function {
	fill := func(a []cty.Value) (cty.Value, error) {
		path := a[0].AsString()
		vars := map[string]cty.Value{}
		t := a[1].Type()
		if !t.IsObjectType() && !t.IsMapType() {
			return cty.DynamicVal, function.NewArgErrorf(1, "an object is needed, not %s", t.FriendlyName())
		}
		if !a[1].IsKnown() {
			return cty.DynamicVal, nil
		}
		for it := a[1].ElementIterator(); it.Next(); {
			k, v := it.Element()
			if !hclsyntax.ValidIdentifier(k.AsString()) {
				return cty.DynamicVal, function.NewArgErrorf(1, "%q is no name that a template can use", k.AsString())
			}
			vars[k.AsString()] = v
		}
		src, err := w.readText(path)
		if err != nil {
			return cty.DynamicVal, err
		}
		if w.Rounds.spend(parts([]byte(src))) {
			return cty.DynamicVal, fmt.Errorf("%s: all for expressions of a template together with all ${…} of the files that it fills go round more than %d times", path, MaxRounds)
		}
		if d := tooDeepText(path, []byte(src)); d != nil {
			return cty.DynamicVal, oneLine(hcl.Diagnostics{d})
		}
		expr, diags := hclsyntax.ParseTemplate([]byte(src), path, hcl.InitialPos)
		if diags.HasErrors() {
			return cty.DynamicVal, oneLine(diags)
		}
		if w.Rounds != nil {
			w.Rounds.Watch(expr)
		}
		for _, tr := range expr.Variables() {
			if _, there := vars[tr.RootName()]; !there {
				return cty.DynamicVal, fmt.Errorf("%s: it uses %s, which the second argument does not give (%s)",
					place(tr.SourceRange()), tr.RootName(), given(vars))
			}
		}
		v, diags := expr.Value(&hcl.EvalContext{Variables: vars, Functions: fns})
		if diags.HasErrors() {
			return cty.DynamicVal, oneLine(diags)
		}
		return v, nil
	}
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "path", Type: cty.String}, {Name: "values", Type: cty.DynamicPseudoType, AllowDynamicType: true}},
		Type:   function.StaticReturnType(cty.DynamicPseudoType), // to tell more, it would have to be filled twice
		Impl:   func(a []cty.Value, _ cty.Type) (cty.Value, error) { return fill(a) },
	})
}

func given(vars map[string]cty.Value) string {
	if len(vars) == 0 {
		return "it gives nothing"
	}
	names := make([]string, 0, len(vars))
	for n := range vars {
		names = append(names, n)
	}
	slices.Sort(names)
	return "it gives " + strings.Join(names, ", ")
}

func place(r hcl.Range) string {
	return fmt.Sprintf("%s:%d:%d", r.Filename, r.Start.Line, r.Start.Column)
}

// oneLine says what is wrong first, with its place in the file.
func oneLine(diags hcl.Diagnostics) error {
	d := diags.Errs()[0].(*hcl.Diagnostic)
	at := hcl.Range{Filename: "the template"}
	if d.Subject != nil {
		at = *d.Subject
	}
	return fmt.Errorf("%s: %s: %s", place(at), d.Summary, strings.TrimSuffix(d.Detail, "."))
}
