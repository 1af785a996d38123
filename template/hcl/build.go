package hcl

import (
	"maps"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"github.com/imgflow/imgflow/internal/errcode"
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
				e.errs.AddCode(errcode.UnknownName, template.Pos{File: flag.name}, hint, "cannot use %s: no build is called %q", flag.name, p)
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
			e.errs.AddCode(errcode.DuplicateName, u.at, `give the build block a name of its own, or use the source as a block with name = "…"`, "cannot build: two builds are called %q; the other is at %s", full, before)
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

// attributes are those of a body that has blocks, too.
func (e *evaluation) attributes(body hcl.Body) hcl.Attributes {
	content, _, diags := body.PartialContent(&hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "only"}, {Name: "except"}, {Name: "override"}, {Name: "name"}}})
	e.report("cannot read the block", diags)
	return content.Attributes
}
