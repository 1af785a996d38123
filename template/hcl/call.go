package hcl

import (
	"fmt"
	"maps"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/imgflow/imgflow/template"
	"github.com/imgflow/imgflow/template/hcl/funcs"
)

// call is what a function that asks a server yields. Its data source is one of those that what is being evaluated refers to.
func (e *evaluation) call(function string, args []string) (cty.Value, error) {
	c := template.Call{Function: function, Args: args}
	d, err := c.Data(e.pos(e.now.Range()), e.in.Known)
	if err != nil {
		return cty.NilVal, err
	}
	label := d.Label()
	looked := e.in.Known[label]
	if !e.calls[label] {
		if len(e.calls) == template.MaxCalls {
			return cty.NilVal, fmt.Errorf("a template asks for more than %d secrets", template.MaxCalls)
		}
		e.calls[label] = true
		e.config.Data = append(e.config.Data, d)
		maps.Copy(e.config.Secrets, looked.Secrets)
	}
	e.refers[label] = true
	if !d.Known {
		e.waiting = true
		return cty.UnknownVal(cty.String).Mark(template.Secret("data." + label)), nil
	}
	return c.Result(looked)
}

// asks tells whether an expression calls a function that asks.
func asks(x hcl.Expression) (any bool) {
	node, ok := x.(hclsyntax.Node)
	if !ok {
		return false
	}
	hclsyntax.VisitAll(node, func(n hclsyntax.Node) hcl.Diagnostics {
		c, ok := n.(*hclsyntax.FunctionCallExpr)
		any = any || ok && funcs.Asks(c.Name)
		return nil
	})
	return any
}

// pruned is an expression in which nothing is asked for the branch of a condition that is not taken, see referred.
func (e *evaluation) pruned(x hcl.Expression, ctx *hcl.EvalContext) hcl.Expression {
	switch c := x.(type) {
	case *hclsyntax.ParenthesesExpr:
		return e.pruned(c.Expression, ctx)
	case *hclsyntax.TemplateWrapExpr:
		return e.pruned(c.Wrapped, ctx)
	case *hclsyntax.ConditionalExpr:
		taken, known := e.takes(c, ctx)
		if !known {
			return x
		}
		part := func(branch hclsyntax.Expression, is bool) hclsyntax.Expression {
			if is {
				return e.pruned(branch, ctx).(hclsyntax.Expression)
			}
			return &unasked{&hclsyntax.ParenthesesExpr{Expression: branch, SrcRange: branch.Range()}}
		}
		copied := *c
		copied.TrueResult, copied.FalseResult = part(c.TrueResult, taken), part(c.FalseResult, !taken)
		return &copied
	}
	return x
}

// takes is the value of a condition, if it is known.
func (e *evaluation) takes(c *hclsyntax.ConditionalExpr, ctx *hcl.EvalContext) (is, known bool) {
	v, diags := c.Condition.Value(ctx)
	if v, _ = v.Unmark(); diags.HasErrors() || !v.IsKnown() || v.IsNull() || v.Type() != cty.Bool {
		return false, false
	}
	return v.True(), true
}

// unasked is an expression whose value matters only for its type: nothing is asked for it.
type unasked struct{ *hclsyntax.ParenthesesExpr }

func (u *unasked) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	ctx = ctx.NewChild()
	ctx.Functions = funcs.Unasked
	return u.ParenthesesExpr.Value(ctx)
}
