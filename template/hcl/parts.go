package hcl

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/imgflow/imgflow/template"
)

// checkNames warns of names in only and except that no build of the block has.
func (e *evaluation) checkNames(blocks []block, names map[string]bool, ctx *hcl.EvalContext) {
	check := func(b block) {
		o := e.only(b, ctx)
		for _, n := range slices.Concat(o.only, o.except) {
			if !names[n] {
				what := strings.Join(append([]string{b.Type}, b.Labels...), " ")
				e.warn(e.pos(b.DefRange), nearest(n, slices.Collect(maps.Keys(names))), "only or except of the %s names %q, which is no source of this build block", what, n)
			}
		}
	}
	for _, b := range blocks {
		switch b.Type {
		case "test":
			check(b)
		case "provisioner", "error-cleanup-provisioner", "post-processor":
			check(b)
		case "hcp_packer_registry":
			e.warn(e.pos(b.DefRange), "", "hcp_packer_registry has no effect: nothing is sent to HCP")
		}
	}
}

// reserved are the keys of blocks in a build that are no options.
var reserved = []string{"only", "except", "override", "name"}

// one makes the build of one source.
func (e *evaluation) one(blocks []block, u use, full, build string, ctx *hcl.EvalContext) template.Build {
	env := *e.env
	env.BuildName, env.BuildType = u.name, u.kind
	r := reader{e, u.of.ctx, &env, "cannot use the source " + u.label()}
	out := template.Build{Name: full, Label: u.name, Type: u.kind, Pos: e.pos(u.block.LabelRanges[0]), Options: r.options(u.block.Body, "for_each")}
	r.ctx = ctx
	if u.own != nil {
		r.what = "cannot use the source " + u.label() + " in the build"
		out.Options = r.merged(out.Options, r.within(*u.own).options(u.own.Body, "name"), blocksOf(u.block.Body, u.own.Body))
	}
	r.ctx = ctx.NewChild()
	r.ctx.Variables = map[string]cty.Value{
		"source": sourceVariables(u),
		"build":  buildVariables(build),
	}
	cleanups := 0
	for _, b := range blocks {
		r := r.within(b)
		switch b.Type {
		case "provisioner":
			if e.only(b, ctx).applies(u) {
				out.Provisioners = append(out.Provisioners, r.part(b, u))
			}
		case "error-cleanup-provisioner":
			if cleanups++; cleanups > 1 {
				e.errs.Add(e.pos(b.DefRange), "", "cannot read the build: it has two error-cleanup-provisioners")
			} else if e.only(b, ctx).applies(u) {
				p := r.part(b, u)
				out.ErrorCleanup = &p
			}
		case "test":
			if e.only(b, ctx).applies(u) {
				out.Tests = append(out.Tests, r.test(b, u))
			}
		case "post-processor":
			if p, ok := r.processor(b, u); ok {
				out.PostProcessors = append(out.PostProcessors, []template.Part{p})
			}
		case "post-processors":
			inner, diags := b.Body.Content(sequenceSchema)
			e.report("cannot read the post-processors", diags)
			var sequence []template.Part
			for _, p := range inner.Blocks {
				p, ok := r.processor(block{p, b.iterator}, u)
				if !ok && slices.Contains(e.in.Except, p.Name) {
					break // the rest of the sequence would have no input
				}
				if ok {
					sequence = append(sequence, p)
				}
			}
			if len(sequence) > 0 {
				out.PostProcessors = append(out.PostProcessors, sequence)
			}
		}
	}
	return out
}

// buildVariables are what build.… refers to: only the name is known before the build runs.
func buildVariables(name string) cty.Value {
	return cty.ObjectVal(map[string]cty.Value{"name": cty.StringVal(name)})
}

// within is the reader for a block that a dynamic block has made.
func (r reader) within(b block) reader {
	if b.iterator != nil {
		r.ctx = b.within(r.ctx)
		r.iterators[r.ctx] = r.iterators[b.iterator]
	}
	return r
}

// within is a context in which the block's iterator is known, too.
func (b block) within(ctx *hcl.EvalContext) *hcl.EvalContext {
	if b.iterator == nil {
		return ctx
	}
	inner := ctx.NewChild()
	inner.Variables = b.iterator.Variables
	return inner
}

// processorNames are the names that -except can give for a post-processor or a sequence of them.
func (e *evaluation) processorNames(b *hcl.Block, ctx *hcl.EvalContext) (names []string) {
	list := hcl.Blocks{b}
	if b.Type == "post-processors" {
		inner, _, _ := b.Body.PartialContent(sequenceSchema)
		list = inner.Blocks
	}
	for _, p := range list {
		name := p.Labels[0]
		if a := e.attributes(p.Body)["name"]; a != nil {
			if s, ok := e.text(a.Expr, ctx, "cannot use the post-processor "+name); ok {
				name = s
			}
		}
		names = append(names, name)
	}
	return names
}

// part reads a provisioner with the options that a build has of its own.
func (r reader) part(b block, u use) template.Part {
	r.what = fmt.Sprintf("cannot use the %s %s", b.Type, b.Labels[0])
	return template.Part{Type: b.Labels[0], Pos: r.pos(b.LabelRanges[0]), Options: r.own(b, u, reserved...)}
}

// own are the options of a block, with those that a build has of its own.
func (r reader) own(b block, u use, without ...string) template.Value {
	options := r.options(b.Body, without...)
	if a := r.attributes(b.Body)["override"]; a != nil {
		place := &template.Place{}
		all := template.Value{Value: r.value(a.Expr, place), Place: place}
		for _, name := range slices.Compact([]string{u.name, u.kind + "." + u.name, u.name + u.key, u.label()}) {
			if own, ok := all.Get(name); ok && own.Kind() == template.Object {
				options = r.override(options, own)
			}
		}
	}
	return options
}

// processor reads a post-processor, if it is for the build.
func (r reader) processor(b block, u use) (template.Part, bool) {
	r.what = "cannot use the post-processor " + b.Labels[0]
	p := template.Part{Type: b.Labels[0], Name: b.Labels[0], Pos: r.pos(b.LabelRanges[0])}
	if a := r.attributes(b.Body)["name"]; a != nil {
		if name, ok := r.text(a.Expr, r.ctx, r.what); ok && name != "" {
			p.Name = name
		}
	}
	if !r.only(b, r.ctx).applies(u) || slices.Contains(r.in.Except, p.Name) {
		return p, false
	}
	p.Options = r.options(b.Body, "only", "except", "name")
	return p, true
}

// merged adds what a build block says of a source. An option counts instead of the source's own; blocks come after those
// that the source has of that name.
func (r reader) merged(source, own template.Value, blocks map[string]bool) template.Value {
	o := object{&template.Place{Pos: own.Pos}, map[string]cty.Value{}}
	for _, f := range own.Fields() {
		if before, ok := source.Get(f.Name); ok && blocks[f.Name] && (!before.IsKnown() || !f.Value.IsKnown()) {
			f.Value.Value = cty.DynamicVal // of a dynamic block
		} else if ok && blocks[f.Name] {
			f.Value.Value = cty.TupleVal(slices.Concat(before.AsValueSlice(), f.Value.AsValueSlice()))
			f.Value.Place = &template.Place{Pos: before.Pos, List: true, Inside: slices.Concat(before.Inside, f.Value.Inside)}
		}
		o.take(f)
	}
	return r.override(source, template.Value{Value: cty.ObjectVal(o.values), Place: o.place})
}

// blocksOf are the names of the blocks in all of some bodies, as far as they are in native syntax.
func blocksOf(bodies ...hcl.Body) map[string]bool {
	count := map[string]int{}
	for _, body := range bodies {
		names := map[string]bool{}
		if native, ok := body.(*hclsyntax.Body); ok {
			for _, b := range native.Blocks {
				if b.Type == "dynamic" && len(b.Labels) > 0 {
					names[b.Labels[0]] = true
				} else {
					names[b.Type] = true
				}
			}
		}
		for name := range names {
			count[name]++
		}
	}
	all := map[string]bool{}
	for name, n := range count {
		all[name] = n == len(bodies)
	}
	return all
}

// override replaces and adds options.
func (r reader) override(base, own template.Value) template.Value {
	place := &template.Place{Pos: base.Pos}
	o := object{place, map[string]cty.Value{}}
	for _, f := range base.Fields() {
		if _, replaced := own.Get(f.Name); !replaced {
			o.take(f)
		}
	}
	for _, f := range own.Fields() {
		o.take(f)
	}
	return template.Value{Value: cty.ObjectVal(o.values), Place: place}
}

func (o *object) take(f template.Field) {
	o.values[f.Name] = f.Value.Value
	o.place.Inside = append(o.place.Inside, template.Inner{Name: f.Name, Key: *f.Key, Value: *f.Value.Place})
}
