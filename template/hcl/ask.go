package hcl

import (
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"

	"github.com/imgflow/imgflow/template"
	"github.com/imgflow/imgflow/template/hcl/funcs"
)

// ask evaluates an expression that is no part of the template.
func (e *evaluation) ask(expression string) (string, template.Errors) {
	const name, what = "console", "cannot evaluate the expression"
	src := []byte(expression)
	e.t.sources[name] = template.NewFile(name, src)
	before, texts, made := e.errs, e.texts, e.made
	e.errs = nil
	defer func() { e.errs, e.texts, e.made = before, texts, made }()
	if d := funcs.TooDeep(name, src); d != nil {
		e.report(what, hcl.Diagnostics{d})
		return "", e.errs
	}
	x, diags := hclsyntax.ParseExpression(src, name, hcl.InitialPos)
	if e.report(what, diags); diags.HasErrors() {
		return "", e.errs.Sorted()
	}
	e.t.rounds.Reset()
	e.t.rounds.Watch(x)
	v, ok := e.eval(x, &hcl.EvalContext{Functions: e.functions, Variables: e.root}, what)
	if !ok {
		return "", e.errs.Sorted()
	}
	return readable(v), nil
}

// readable is a value as an expression that makes it; a text alone is as it is. What is secret, or not known, is not shown.
func readable(v cty.Value) string {
	v, _ = cty.Transform(v, func(_ cty.Path, x cty.Value) (cty.Value, error) {
		switch {
		case x.IsMarked():
			return cty.StringVal("<sensitive>"), nil
		case !x.IsKnown():
			return cty.StringVal("<known when it runs>"), nil
		}
		return x, nil
	})
	if v.Type() == cty.String && !v.IsNull() {
		return v.AsString()
	}
	return strings.TrimSpace(string(hclwrite.Format(hclwrite.TokensForValue(v).Bytes())))
}
