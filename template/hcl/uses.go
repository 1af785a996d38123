package hcl

import (
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/template"
)

// use is a source as a build block uses it.
type use struct {
	at    template.Pos
	kind  string
	name  string     // that of the source, or the one that the build block gives it
	block *hcl.Block // of the source
	own   *block     // what the build block adds; nil: nothing
	key   string     // of the instance, such as ["eu"]; before spread: the one that is referred to, empty for all
	of    instance
}

// label is how only and except of blocks name it.
func (u use) label() string { return u.kind + "." + u.name + u.key }

// uses are the sources of a build block.
func (e *evaluation) uses(a *hcl.Attribute, blocks []block, ctx *hcl.EvalContext) (list []use) {
	const what = "cannot use the source"
	find := func(ref string, at template.Pos) (block *hcl.Block, key string) {
		rest, key := unbracket(ref)
		parts := strings.Split(rest, ".")
		if len(parts) == 3 && (parts[0] == "source" || parts[0] == "sources") {
			parts = parts[1:]
		}
		if len(parts) != 2 {
			e.errs.Add(at, `write it as "source.amazon-ebs.name"`, "%s %q: it needs a type and a name", what, ref)
			return nil, ""
		}
		name := parts[0] + "." + parts[1]
		block = e.t.blocks[name]
		if block == nil && !e.t.lost["source"] {
			e.errs.AddCode(errcode.UnknownName, at, nearest(name, slices.Collect(maps.Keys(e.t.blocks))), "%s %s: there is no such source", what, name)
		}
		return block, key
	}
	if a != nil {
		exprs, diags := hcl.ExprList(a.Expr)
		if diags.HasErrors() {
			exprs = []hcl.Expression{a.Expr}
		}
		for _, x := range exprs {
			for _, ref := range e.references(x, ctx, what) {
				if block, key := find(ref, e.pos(x.Range())); block != nil {
					list = append(list, use{at: e.pos(x.Range()), kind: block.Labels[0], name: block.Labels[1], block: block, key: key})
				}
			}
		}
	}
	for _, b := range blocks {
		if b.Type != "source" {
			continue
		}
		at := e.pos(b.DefRange)
		found, key := find(b.Labels[0], at)
		if found == nil {
			continue
		}
		ctx := b.within(ctx)
		u := use{at: at, kind: found.Labels[0], name: found.Labels[1], block: found, own: &b, key: key}
		attrs, _ := b.Body.JustAttributes() // what else is in it is read with the options
		if a := attrs["name"]; a != nil {
			if name, ok := e.text(a.Expr, ctx, what); ok {
				u.name = name
			}
		}
		if a := attrs["for_each"]; a != nil {
			e.errs.Add(e.pos(a.NameRange), "write it into the source block outside, or into the build block", "%s: a source block in a build has no for_each", what)
		}
		list = append(list, u)
	}
	return list
}

// references are the sources that an element of sources names: a text, a list of texts, or a reference without quotes.
func (e *evaluation) references(x hcl.Expression, ctx *hcl.EvalContext, what string) []string {
	if tr, diags := hcl.AbsTraversalForExpr(x); !diags.HasErrors() && (tr.RootName() == "source" || tr.RootName() == "sources") {
		ref := tr.RootName()
		for _, s := range tr[1:] {
			switch s := s.(type) {
			case hcl.TraverseAttr:
				ref += "." + s.Name
			case hcl.TraverseIndex:
				if key, err := convert.Convert(s.Key, cty.String); err == nil {
					ref += bracket(key.AsString())
				}
			}
		}
		return []string{ref}
	}
	v, ok := e.eval(x, ctx, what)
	if !ok {
		return nil
	}
	v, _ = v.UnmarkDeep()
	if e.tooLate(v, x, what) {
		return nil
	}
	if list, err := convert.Convert(v, cty.List(cty.String)); err == nil && list.IsWhollyKnown() && !list.IsNull() {
		var refs []string
		for it := list.ElementIterator(); it.Next(); {
			if _, s := it.Element(); !s.IsNull() {
				refs = append(refs, s.AsString())
			}
		}
		return refs
	}
	if s, ok := e.text(x, ctx, what); ok {
		return []string{s}
	}
	return nil
}

// only are the builds that a block is for, or not for.
type only struct{ only, except []string }

func (o only) applies(u use) bool {
	all := append(u.names("", ""), u.name, u.name+u.key)
	has := func(names []string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return slices.Contains(all, n) })
	}
	return (len(o.only) == 0 || has(o.only)) && !has(o.except)
}

// only reads the names of builds in only and except of a block.
func (e *evaluation) only(b block, ctx *hcl.EvalContext) (o only) {
	attrs := e.attributes(b.Body)
	for name, list := range map[string]*[]string{"only": &o.only, "except": &o.except} {
		if a := attrs[name]; a != nil {
			*list = e.references(a.Expr, ctx, "cannot use "+name)
		}
	}
	return o
}
