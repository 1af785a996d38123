package hcl

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// native is an expression of a JSON file, whose texts are templates, as it would be in native syntax: all that looks into
// expressions knows that one. Its loops are counted.
func (t *Template) native(x hcl.Expression) (hcl.Expression, hcl.Diagnostics) {
	if _, is := x.(hclsyntax.Node); is {
		return x, nil
	}
	n, diags := fromJSON(x)
	if diags.HasErrors() {
		return nil, diags
	}
	t.rounds.Watch(n)
	return n, nil
}

func fromJSON(x hcl.Expression) (hclsyntax.Expression, hcl.Diagnostics) {
	var all hcl.Diagnostics
	part := func(x hcl.Expression) hclsyntax.Expression {
		n, diags := fromJSON(x)
		all = append(all, diags...)
		return n
	}
	if list, diags := hcl.ExprList(x); !diags.HasErrors() {
		n := &hclsyntax.TupleConsExpr{SrcRange: x.Range(), OpenRange: x.StartRange()}
		for _, e := range list {
			n.Exprs = append(n.Exprs, part(e))
		}
		return n, all
	}
	if pairs, diags := hcl.ExprMap(x); !diags.HasErrors() {
		n := &hclsyntax.ObjectConsExpr{SrcRange: x.Range(), OpenRange: x.StartRange()}
		seen := map[string]bool{}
		for _, p := range pairs {
			if name, _ := p.Key.Value(nil); seen[name.AsString()] {
				all = append(all, &hcl.Diagnostic{Severity: hcl.DiagError, Subject: p.Key.Range().Ptr(), Detail: fmt.Sprintf("the key %q comes twice", name.AsString())})
			} else {
				seen[name.AsString()] = true
			}
			n.Items = append(n.Items, hclsyntax.ObjectConsItem{KeyExpr: part(p.Key), ValueExpr: part(p.Value)})
		}
		return n, all
	}
	v, _ := x.Value(nil) // without a context a text is as it is written
	if v.Type() != cty.String || v.IsNull() {
		return &hclsyntax.LiteralValueExpr{Val: v, SrcRange: x.Range()}, nil
	}
	start := x.Range().Start
	start.Byte++ // the quote
	return hclsyntax.ParseTemplate([]byte(v.AsString()), x.Range().Filename, start)
}
