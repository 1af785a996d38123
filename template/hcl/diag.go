package hcl

import (
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/imgflow/imgflow/template"
)

// sources finds places in the files of a template.
type sources map[string]*template.File

func (s sources) pos(r hcl.Range) template.Pos {
	f := s[r.Filename]
	if f == nil {
		return template.Pos{File: r.Filename}
	}
	return f.Pos(r.Start.Byte)
}

// report makes errors of ours of hcl's. What is how the message begins: cannot …
func (s sources) report(errs *template.Errors, what string, diags hcl.Diagnostics) {
	for _, d := range diags {
		if d.Severity != hcl.DiagError {
			continue
		}
		if _, told := hcl.DiagnosticExtra[alreadyTold](d); told {
			continue
		}
		var at template.Pos
		switch {
		case d.Subject != nil:
			at = s.pos(*d.Subject)
		case d.Context != nil:
			at = s.pos(*d.Context)
		}
		text, hint := sentence(d)
		if hint == "" {
			hint = s.meant(d)
		}
		errs.Add(at, hint, "%s: %s", what, text)
	}
}

// meant is the nearest to a name of an attribute or a type that is not there.
func (s sources) meant(d *hcl.Diagnostic) string {
	if tr, ok := d.Expression.(*hclsyntax.ScopeTraversalExpr); ok {
		for i := 2; i <= len(tr.Traversal); i++ {
			if _, diags := tr.Traversal[:i].TraverseAbs(d.EvalContext); !diags.HasErrors() {
				continue
			}
			within, _ := tr.Traversal[:i-1].TraverseAbs(d.EvalContext)
			if a, ok := tr.Traversal[i-1].(hcl.TraverseAttr); ok && within.Type().IsObjectType() {
				return nearest(a.Name, slices.Collect(maps.Keys(within.Type().AttributeTypes())))
			}
			return ""
		}
	}
	if f := s[rangeOf(d).Filename]; f != nil && strings.Contains(d.Detail, "type specification") {
		return nearest(f.Text(rangeOf(d).Start.Byte, rangeOf(d).End.Byte), []string{"string", "number", "bool", "any", "list", "set", "map", "object", "tuple", "optional"})
	}
	return ""
}

func rangeOf(d *hcl.Diagnostic) hcl.Range {
	if d.Subject == nil {
		return hcl.Range{}
	}
	return *d.Subject
}

// alreadyTold is the extra of a diagnostic whose cause has been reported.
type alreadyTold struct{}

// sentence is what a diagnostic says, in lower case and without a full stop; a question in it is the hint.
func sentence(d *hcl.Diagnostic) (text, hint string) {
	text = strings.Join(strings.Fields(d.Detail), " ")
	if text == "" {
		text = d.Summary
	}
	if i := strings.LastIndex(text, " Did you mean "); i >= 0 {
		text, hint = text[:i], lower(strings.TrimSpace(text[i:]))
	}
	return lower(strings.TrimSuffix(text, ".")), hint
}

// lower writes the first letter small, but for what is a name or an abbreviation.
func lower(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	next, _ := utf8.DecodeRuneInString(s[n:])
	if unicode.IsUpper(next) {
		return s
	}
	return string(unicode.ToLower(r)) + s[n:]
}
