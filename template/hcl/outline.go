package hcl

import (
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/imgflow/imgflow/template"
)

// Outline lists what the template holds, as it is written: a source for each time that a build block uses it.
func (t *Template) Outline() template.Outline {
	e := &evaluation{t: t, config: &template.Config{}, failed: map[string]bool{}, root: nil}
	out := template.Outline{Plugins: t.plugins}
	for _, v := range t.variables {
		x := template.OutlineVariable{Name: v.name, Required: v.init == nil, Sensitive: v.sensitive}
		if v.init != nil && !v.sensitive {
			x.Default = t.written(v.init)
		}
		out.Variables = append(out.Variables, x)
	}
	for _, l := range t.locals {
		x := template.OutlineVariable{Name: l.name, Sensitive: l.sensitive}
		if !l.sensitive {
			x.Default = t.written(l.expr)
		}
		out.Locals = append(out.Locals, x)
	}
	for _, label := range slices.Sorted(maps.Keys(t.data)) {
		out.Data = append(out.Data, template.OutlinePart{Name: t.data[label].Labels[1], Type: t.data[label].Labels[0]})
	}
	ctx := &hcl.EvalContext{}
	for _, b := range t.builds {
		content, _, _ := b.Body.PartialContent(buildSchema)
		var blocks []block
		for _, p := range content.Blocks {
			blocks = append(blocks, block{p, nil})
		}
		if a := content.Attributes["description"]; a != nil && out.Description == "" {
			out.Description, _ = e.text(a.Expr, ctx, "")
		}
		for _, u := range e.uses(content.Attributes["sources"], blocks, ctx) {
			out.Builders = append(out.Builders, template.OutlinePart{Name: u.label(), Type: u.kind})
		}
		for _, b := range testsOf(b.Body) {
			o := e.only(block{b, nil}, ctx)
			x := template.OutlineTest{Only: o.only, Except: o.except}
			if len(b.Labels) > 0 {
				x.Name = b.Labels[0]
			}
			inner, _, _ := b.Body.PartialContent(testSchema)
			for _, p := range inner.Blocks {
				if p.Type == "provisioner" {
					x.Provisioners = append(x.Provisioners, p.Labels[0])
				}
			}
			out.Tests = append(out.Tests, x)
		}
		for _, p := range content.Blocks {
			switch p.Type {
			case "provisioner":
				o := e.only(block{p, nil}, ctx)
				out.Provisioners = append(out.Provisioners, template.OutlinePart{Type: p.Labels[0], Only: o.only, Except: o.except})
			case "post-processor":
				out.PostProcessors = append(out.PostProcessors, []string{p.Labels[0]})
			case "post-processors":
				inner, _, _ := p.Body.PartialContent(sequenceSchema)
				var types []string
				for _, q := range inner.Blocks {
					types = append(types, q.Labels[0])
				}
				out.PostProcessors = append(out.PostProcessors, types)
			}
		}
	}
	return out
}

// written is the text of an expression.
func (t *Template) written(x hcl.Expression) string {
	if v, diags := x.Value(nil); !diags.HasErrors() {
		return shown(v)
	}
	r := x.Range()
	f := t.sources[r.Filename]
	if f == nil {
		return ""
	}
	return strings.TrimSpace(f.Text(r.Start.Byte, r.End.Byte))
}
