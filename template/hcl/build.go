package hcl

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"github.com/imgflow/imgflow/template"
)

var buildSchema = &hcl.BodySchema{
	Attributes: []hcl.AttributeSchema{{Name: "name"}, {Name: "description"}, {Name: "sources"}, {Name: "for_each"}},
	Blocks: []hcl.BlockHeaderSchema{
		{Type: "source", LabelNames: []string{"reference"}}, {Type: "from", LabelNames: []string{"type"}},
		{Type: "provisioner", LabelNames: []string{"type"}}, {Type: "error-cleanup-provisioner", LabelNames: []string{"type"}},
		{Type: "post-processor", LabelNames: []string{"type"}}, {Type: "post-processors"}, {Type: "hcp_packer_registry"}, {Type: "test"},
	},
}

var sequenceSchema = &hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: "post-processor", LabelNames: []string{"type"}}}}

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

// builds makes the builds of all build blocks.
func (e *evaluation) builds() {
	if len(e.t.builds) == 0 {
		if !e.t.lost["build"] {
			e.errs.Add(template.Pos{File: e.t.first()}, "add a build block that names a source", "cannot build: the template has no build block")
		}
		return
	}
	c := &choice{used: map[string]template.Pos{}, read: map[string]bool{}}
	e.results = map[string][]result{}
	var makers []func()
	for _, b := range e.t.builds {
		makers = append(makers, e.build(b, c)...)
	}
	e.named = true
	e.resolveAll()
	for _, make := range makers { // now it is known what others they can refer to
		make()
	}
	if len(e.errs) > 0 { // what is wrong in a source that no build reached is said, too
		e.unread(c.read)
	}
	for _, flag := range []struct {
		name     string
		patterns []string
	}{{"-only", e.in.Only}, {"-except", e.in.Except}} {
		names := c.names
		if flag.name == "-except" {
			names = slices.Concat(names, c.processors)
		}
		for _, p := range flag.patterns {
			named := slices.ContainsFunc(names, func(n string) bool { return matches(p, n) })
			if !named && !doublestar.ValidatePattern(keyPattern.Replace(p)) {
				e.errs.Add(template.Pos{File: flag.name}, "", "cannot use %s: %q is no pattern", flag.name, p)
			} else if !named && len(e.errs) == 0 {
				hint := "the builds are " + strings.Join(c.all[:min(len(c.all), 20)], ", ")
				if near := nearest(p, names); near != "" {
					hint = near
				}
				e.errs.Add(template.Pos{File: flag.name}, hint, "cannot use %s: no build is called %q", flag.name, p)
			}
		}
	}
	if len(e.config.Builds) == 0 && len(e.errs) == 0 {
		if len(c.all) == 0 {
			e.errs.Add(e.pos(e.t.builds[0].DefRange), "", "cannot build: all that for_each goes over is empty, so there is no build")
			return
		}
		e.errs.Add(template.Pos{File: "command line"}, "the builds are "+strings.Join(c.all, ", "), "cannot build: -only and -except leave no build")
	}
}

func (t *Template) first() string {
	for _, name := range slices.Sorted(maps.Keys(t.sources)) {
		return name
	}
	return ""
}

// keyPattern keeps the brackets of a key from being a class of characters.
var keyPattern = strings.NewReplacer(`["`, `\["`, `"]`, `"\]`)

// matches is true for the name itself, too, since a key may hold anything.
func matches(pattern, name string) bool {
	ok, _ := doublestar.Match(keyPattern.Replace(pattern), name)
	return ok || pattern == name
}

// choice is what the command line can choose from.
type choice struct {
	all        []string // names of builds
	names      []string // the same, and without the names of their build blocks and without keys
	processors []string // names of post-processors
	used       map[string]template.Pos
	read       map[string]bool // sources that a build has read
}

// chosen tells whether the command line leaves a build in, which has several names.
func (e *evaluation) chosen(names []string) bool {
	by := func(patterns []string) bool {
		return slices.ContainsFunc(patterns, func(p string) bool {
			return slices.ContainsFunc(names, func(n string) bool { return matches(p, n) })
		})
	}
	return (len(e.in.Only) == 0 || by(e.in.Only)) && !by(e.in.Except)
}

// block is a block of a build, with what it can refer to besides all others if a dynamic block has made it.
type block struct {
	*hcl.Block
	iterator *hcl.EvalContext
}

// content reads the body of a build block.
func (e *evaluation) content(body hcl.Body, ctx *hcl.EvalContext) (attrs hcl.Attributes, blocks []block, ok bool) {
	const what = "cannot read the build"
	var dynamic hcl.Blocks
	var made []block
	if native, ok := body.(*hclsyntax.Body); ok {
		static := *native
		static.Blocks = nil
		for _, b := range native.Blocks {
			switch b.Type {
			case "dynamic":
				dynamic = append(dynamic, b.AsHCLBlock())
			case "test": // whose label can be left out
				made = append(made, block{b.AsHCLBlock(), nil})
			default:
				static.Blocks = append(static.Blocks, b)
			}
		}
		body = &static
	} else {
		content, rest, diags := body.PartialContent(dynamicSchema)
		e.report(what, diags)
		dynamic, body = content.Blocks, rest
	}
	made = append(made, reader{e, ctx, nil, what}.expanded(dynamic, "provisioner", "error-cleanup-provisioner", "post-processor", "post-processors", "source", "test")...)
	content, diags := body.Content(buildSchema)
	e.report(what, diags)
	for _, b := range content.Blocks {
		blocks = append(blocks, block{b, nil})
	}
	for _, b := range made {
		want := 1
		if b.Type == "post-processors" || b.Type == "test" && len(b.Labels) == 0 {
			want = 0
		}
		if b.Type == "test" && len(b.Labels) > 1 {
			e.errs.Add(e.pos(b.DefRange), "", "%s: a test has one label, its name, or none", what)
			continue
		}
		if len(b.Labels) != want {
			e.errs.Add(e.pos(b.DefRange), `write labels = ["shell"]`, "%s: the blocks %s need %d labels", what, b.Type, want)
			continue
		}
		blocks = append(blocks, b)
	}
	slices.SortStableFunc(blocks, func(a, b block) int { return a.DefRange.Start.Byte - b.DefRange.Start.Byte })
	return content.Attributes, blocks, !diags.HasErrors()
}

// expanded are the blocks that dynamic blocks make, which may be of some types.
func (r reader) expanded(dynamic hcl.Blocks, types ...string) (list []block) {
	for _, b := range dynamic {
		name, content, labels, each, later := r.expand(b)
		if later && name == "source" {
			r.errs.Add(r.pos(b.TypeRange), "", "%s: for_each is known only when data sources have been looked up, too late for what the builds are", r.what)
		}
		if !slices.Contains(types, name) {
			r.errs.Add(r.pos(b.TypeRange), "", "%s: a dynamic block cannot make %q", r.what, name)
			continue
		}
		for _, in := range each {
			labels, ranges := r.labels(labels, in)
			list = append(list, block{&hcl.Block{Type: name, Labels: labels, Body: content, DefRange: b.DefRange, TypeRange: b.TypeRange, LabelRanges: ranges}, in})
		}
	}
	return list
}

// labels are those that a dynamic block gives to one of its blocks.
func (e *evaluation) labels(a *hcl.Attribute, ctx *hcl.EvalContext) (labels []string, ranges []hcl.Range) {
	if a == nil {
		return nil, nil
	}
	list, diags := hcl.ExprList(a.Expr)
	e.report("cannot read the build", diags)
	for _, x := range list {
		if s, ok := e.text(x, ctx, "cannot read the build"); ok {
			labels, ranges = append(labels, s), append(ranges, x.Range())
		}
	}
	return labels, ranges
}

// build finds out which builds a block makes, and returns what makes those that were chosen.
func (e *evaluation) build(b *hcl.Block, c *choice) (makers []func()) {
	all, ok := e.instances(b.Body, "cannot read the build")
	if !ok {
		return nil
	}
	builds := 0
	for _, in := range all {
		uses, more := e.buildInstance(b, in, c)
		makers = append(makers, more...)
		for _, u := range uses {
			if in.key != "" || u.key != "" {
				builds++
			}
		}
		if builds > maxInstances {
			e.errs.Add(e.pos(b.DefRange), "go over fewer, or use several templates", "cannot read the build: for_each would make more than %d builds of it", maxInstances)
			break
		}
	}
	return makers
}

// buildInstance does so for one instance of the block.
func (e *evaluation) buildInstance(b *hcl.Block, in instance, c *choice) (uses []use, makers []func()) {
	const what = "cannot read the build"
	ctx := in.ctx
	e.refers = maps.Clone(in.refers)
	attrs, blocks, ok := e.content(b.Body, ctx)
	name, named := "", true
	if a := attrs["name"]; a != nil {
		name, named = e.text(a.Expr, ctx, what)
	}
	if name == "" && named && in.key != "" {
		e.errs.Add(e.pos(b.DefRange), `write name = "…" into it`, "%s: a build block with for_each needs a name", what)
	}
	if a := attrs["description"]; a != nil {
		e.text(a.Expr, ctx, what)
	}
	written := e.uses(attrs["sources"], blocks, ctx)
	if to := e.in.Enforced; to != nil {
		at := e.pos(b.DefRange)
		if len(written) > 0 {
			e.errs.Add(written[0].at, "", "cannot enforce: what is enforced is added to the builds of a template, and has no source of its own")
			return nil, nil
		}
		source := &hcl.Block{Type: "source", Labels: []string{to.Type, to.Label}, LabelRanges: []hcl.Range{b.DefRange, b.DefRange}, Body: hcl.EmptyBody()}
		written = []use{{at: at, kind: to.Type, name: to.Label, block: source}}
	}
	if len(written) == 0 {
		if ok && len(e.errs) == 0 {
			e.errs.Add(e.pos(b.DefRange), `write sources = ["source.amazon-ebs.name"]`, "cannot build: the build block names no source")
		}
		return nil, nil
	}
	uses = e.spread(written)
	names := map[string]bool{}
	for _, u := range slices.Concat(written, uses) {
		for _, n := range append(u.names("", ""), u.name, u.name+u.key) {
			names[n] = true
		}
	}
	e.checkNames(blocks, names, ctx)
	for _, p := range blocks {
		if p.Type == "post-processor" || p.Type == "post-processors" {
			c.processors = append(c.processors, e.processorNames(p.Block, ctx)...)
		}
	}
	refers := e.refers
	for _, u := range uses {
		full := u.label()
		if name != "" {
			full = name + in.key + "." + full
		}
		if before, twice := c.used[full]; twice && e.in.Enforced == nil {
			e.errs.Add(u.at, `give the build block a name of its own, or use the source as a block with name = "…"`, "cannot build: two builds are called %q; the other is at %s", full, before)
			continue
		}
		c.used[full] = u.at
		names := u.names(name, in.key)
		c.all, c.names = append(c.all, full), append(c.names, names...)
		chosen := e.chosen(names)
		if name != "" {
			e.results[name] = append(e.results[name], result{u, full, in.key, chosen})
		}
		if chosen {
			c.read[u.block.Labels[0]+"."+u.block.Labels[1]] = true
			makers = append(makers, func() {
				e.refers = maps.Clone(refers)
				maps.Copy(e.refers, u.of.refers)
				made := e.one(blocks, u, full, name, ctx)
				made.Refers = e.refers.data()
				for _, label := range slices.Sorted(maps.Keys(e.refers)) {
					if n, ok := e.needs[label]; ok {
						made.Needs = append(made.Needs, n)
					}
				}
				e.config.Builds = append(e.config.Builds, made)
			})
		}
	}
	return uses, makers
}

// text evaluates an expression to a text.
func (e *evaluation) text(x hcl.Expression, ctx *hcl.EvalContext, what string) (string, bool) {
	v, ok := e.eval(x, ctx, what)
	if !ok {
		return "", false
	}
	if v.IsMarked() {
		e.errs.Add(e.pos(x.Range()), "", "%s: a secret cannot stand here", what)
		return "", false
	}
	v, err := convert.Convert(v, cty.String)
	if err == nil && e.tooLate(v, x, what) {
		return "", false
	}
	if err != nil || v.IsNull() || !v.IsKnown() {
		e.errs.Add(e.pos(x.Range()), "", "%s: a text is expected here", what)
		return "", false
	}
	return v.AsString(), true
}

// tooLate refuses a value that is wanted before data sources are looked up, and known only then.
func (e *evaluation) tooLate(v cty.Value, x hcl.Expression, what string) bool {
	if !e.waiting || v.IsWhollyKnown() {
		return false
	}
	e.errs.Add(e.pos(x.Range()), "", "%s: it is known only when data sources have been looked up, too late for this", what)
	return true
}

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
			e.errs.Add(at, nearest(name, slices.Collect(maps.Keys(e.t.blocks))), "%s %s: there is no such source", what, name)
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

// attributes are those of a body that has blocks, too.
func (e *evaluation) attributes(body hcl.Body) hcl.Attributes {
	content, _, diags := body.PartialContent(&hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "only"}, {Name: "except"}, {Name: "override"}, {Name: "name"}}})
	e.report("cannot read the block", diags)
	return content.Attributes
}

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
