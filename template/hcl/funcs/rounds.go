package funcs

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// MaxRounds bounds how often all for expressions of a template go round, together: three of 1,000 inside each other
// would take hours and all memory.
const MaxRounds = 100_000

// maxRead bounds what the functions of a template read of files, together, in bytes: an expression is measured
// only when it has come to its end, and may read one file a thousand times until then.
const maxRead = 256 << 20

// Rounds counts how often for expressions go round, and what is read of files meanwhile.
type Rounds struct{ n, bytes int }

// Reset begins to count again.
func (r *Rounds) Reset() { *r = Rounds{} }

// load counts bytes of a file, and tells whether there were too many of them.
func (r *Rounds) load(n int) bool {
	if r == nil {
		return false
	}
	r.bytes += n
	return r.bytes > maxRead
}

// spend counts some rounds, and tells whether there were too many of them.
func (r *Rounds) spend(n int) bool {
	if r == nil {
		return false
	}
	r.n += n
	return r.n > MaxRounds
}

// Watch counts the for expressions below a node from now on.
func (r *Rounds) Watch(node hclsyntax.Node) {
	hclsyntax.VisitAll(node, func(n hclsyntax.Node) hcl.Diagnostics {
		if x, ok := n.(*hclsyntax.ForExpr); ok {
			over := x.CollExpr
			// Whoever walks the expression comes by the brackets to what stands in them.
			x.CollExpr = &collection{&hclsyntax.ParenthesesExpr{Expression: over, SrcRange: over.Range()}, r,
				&hcl.Diagnostic{Severity: hcl.DiagError, Extra: Limit{}, Summary: "Too many rounds", Subject: x.SrcRange.Ptr(),
					Detail: fmt.Sprintf("all for expressions of a template together go round more than %d times", MaxRounds)}}
		}
		return nil
	})
}

// collection is what a for expression goes over. It is there that it can be stopped: what it does in each round, it does
// to the end, whatever is wrong.
type collection struct {
	*hclsyntax.ParenthesesExpr
	rounds  *Rounds
	tooMany *hcl.Diagnostic
}

func (c *collection) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	if c.rounds.n > MaxRounds {
		return cty.EmptyTupleVal, hcl.Diagnostics{c.tooMany}
	}
	v, diags := c.ParenthesesExpr.Value(ctx)
	if plain, _ := v.Unmark(); !diags.HasErrors() && plain.IsKnown() && !plain.IsNull() && plain.CanIterateElements() {
		c.rounds.spend(plain.LengthInt())
	}
	if c.rounds.n > MaxRounds {
		return cty.EmptyTupleVal, append(diags, c.tooMany)
	}
	return v, diags
}
