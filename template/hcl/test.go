package hcl

import (
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/imgflow/imgflow/template"
)

var testSchema = &hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: "provisioner", LabelNames: []string{"type"}}, {Type: "dynamic", LabelNames: []string{"name"}}}}

// test reads a test, which holds provisioners beside its options.
func (r reader) test(b block, u use) template.BuildTest {
	r.what = "cannot use the test"
	x := template.BuildTest{Pos: r.pos(b.DefRange)}
	switch a := r.attributes(b.Body)["name"]; {
	case len(b.Labels) > 0:
		x.Name = b.Labels[0]
		if a != nil {
			r.errs.Add(r.pos(a.NameRange), "", "%s: its name is its label, so it cannot be an option", r.what)
		}
	case a != nil:
		x.Name, _ = r.text(a.Expr, r.ctx, r.what)
	}
	provisioners, rest := r.inTest(b.Body)
	for _, p := range provisioners {
		if len(p.Labels) != 1 {
			r.errs.Add(r.pos(p.DefRange), `write provisioner "shell" { … }`, "%s: a provisioner has one label, its type", r.what)
			continue
		}
		if r.only(p, r.ctx).applies(u) {
			x.Provisioners = append(x.Provisioners, r.within(p).part(p, u))
		}
	}
	plain := *b.Block
	plain.Body = rest
	x.Options = r.own(block{&plain, b.iterator}, u, reserved...)
	return x
}

// inTest are the provisioners of a test, and the rest of it.
func (r reader) inTest(body hcl.Body) (provisioners []block, rest hcl.Body) {
	var dynamic hcl.Blocks
	take := func(b *hcl.Block) {
		if b.Type == "dynamic" {
			dynamic = append(dynamic, b)
		} else {
			provisioners = append(provisioners, block{b, nil})
		}
	}
	if native, ok := body.(*hclsyntax.Body); ok {
		plain := *native
		plain.Blocks, rest = nil, &plain
		for _, b := range native.Blocks {
			if b.Type != "provisioner" && b.Type != "dynamic" {
				r.errs.Add(r.pos(b.TypeRange), "", "%s: it has options and provisioners, and no block %q", r.what, b.Type)
				continue
			}
			take(b.AsHCLBlock())
		}
	} else {
		content, others, diags := body.PartialContent(testSchema)
		r.report(r.what, diags)
		for _, b := range content.Blocks {
			take(b)
		}
		rest = others
	}
	provisioners = append(provisioners, r.expanded(dynamic, "provisioner")...)
	slices.SortStableFunc(provisioners, func(a, b block) int { return a.DefRange.Start.Byte - b.DefRange.Start.Byte })
	return provisioners, rest
}

// testsOf are the tests of a build block as they are written.
func testsOf(body hcl.Body) (list hcl.Blocks) {
	if native, ok := body.(*hclsyntax.Body); ok {
		for _, b := range native.Blocks {
			if b.Type == "test" {
				list = append(list, b.AsHCLBlock())
			}
		}
		return list
	}
	content, _, _ := body.PartialContent(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: "test"}}})
	return content.Blocks
}
