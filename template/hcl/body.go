package hcl

import (
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/interp"
	"github.com/imgflow/imgflow/template"
)

// reader reads bodies of options in one context.
type reader struct {
	*evaluation
	ctx  *hcl.EvalContext
	env  *interp.Env
	what string // how errors begin
}

// options makes an object of a body without the names that mean something else.
func (r reader) options(body hcl.Body, without ...string) template.Value {
	place := &template.Place{Pos: r.pos(body.MissingItemRange())}
	return template.Value{Value: r.body(body, place, without), Place: place}
}

// object is an object that is being made.
type object struct {
	place  *template.Place
	values map[string]cty.Value
}

func (o *object) add(name string, key, at template.Pos, fill func(*template.Place) cty.Value) {
	o.put(template.Inner{Name: name, Key: template.Place{Pos: key}, Value: template.Place{Pos: at}}, fill)
}

func (o *object) put(in template.Inner, fill func(*template.Place) cty.Value) {
	o.values[in.Name] = fill(&in.Value)
	o.place.Inside = append(o.place.Inside, in)
}

func (r reader) body(body hcl.Body, place *template.Place, without []string) cty.Value {
	o := object{place, map[string]cty.Value{}}
	attrs, inner := r.split(body)
	for _, a := range ordered(attrs) {
		if !slices.Contains(without, a.Name) {
			o.add(a.Name, r.pos(a.NameRange), r.pos(a.Expr.Range()), func(p *template.Place) cty.Value { return r.value(a.Expr, p) })
		}
	}
	var order []string
	lists := map[string][]nested{}
	open := map[string]template.Pos{} // blocks of which it is not known yet how many there are
	for _, b := range inner {
		name, found := b.Type, []nested{{r, b.Body, r.pos(b.TypeRange)}}
		if name == "dynamic" {
			var later bool
			if name, found, later = r.dynamic(b); later {
				open[name] = r.pos(b.TypeRange)
			}
		} else if len(b.Labels) > 0 {
			r.errs.Add(r.pos(b.LabelRanges[0]), "", "%s: the block %s has no label", r.what, name)
		}
		if _, taken := attrs[name]; taken {
			r.errs.Add(r.pos(b.TypeRange), "", "%s: %s is set as an option and as a block", r.what, name)
			continue
		}
		if _, again := lists[name]; !again && name != "" {
			order = append(order, name)
		}
		lists[name] = append(lists[name], found...)
	}
	for _, name := range order {
		blocks := lists[name]
		if at, ok := open[name]; ok {
			o.add(name, at, at, func(*template.Place) cty.Value { return cty.DynamicVal })
			continue
		}
		if len(blocks) == 0 {
			continue // a dynamic block for nothing
		}
		o.add(name, blocks[0].at, blocks[0].at, func(p *template.Place) cty.Value {
			p.List, p.Inside = true, make([]template.Inner, len(blocks))
			values := make([]cty.Value, len(blocks))
			for i, b := range blocks {
				p.Inside[i].Value.Pos = b.at
				values[i] = b.body(b.hcl, &p.Inside[i].Value, nil)
			}
			return cty.TupleVal(values)
		})
	}
	return cty.ObjectVal(o.values)
}

// split are the options and the blocks of a body. In JSON a block is written as an object is, and all but dynamic ones are
// read as options.
func (r reader) split(body hcl.Body) (attrs hcl.Attributes, inner []*hcl.Block) {
	native, ok := body.(*hclsyntax.Body)
	if !ok {
		content, rest, diags := body.PartialContent(dynamicSchema)
		r.report(r.what, diags)
		attrs, diags = rest.JustAttributes()
		r.report(r.what, diags)
		return attrs, content.Blocks
	}
	attrs = make(hcl.Attributes, len(native.Attributes))
	for name, a := range native.Attributes {
		attrs[name] = a.AsHCLAttribute()
	}
	for _, b := range native.Blocks {
		inner = append(inner, b.AsHCLBlock())
	}
	return attrs, inner
}

var dynamicSchema = &hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: "dynamic", LabelNames: []string{"name"}}}}

// nested is a block inside of a body, with the context that it is read in.
type nested struct {
	reader
	hcl hcl.Body
	at  template.Pos
}

// maxBlocks bounds how many blocks one dynamic block makes.
const maxBlocks = 10_000

// dynamic makes the blocks that a dynamic block stands for. Later is that they are not known yet.
func (r reader) dynamic(b *hcl.Block) (name string, blocks []nested, later bool) {
	name, content, _, each, later := r.expand(b)
	for _, ctx := range each {
		in := r
		in.ctx = ctx
		blocks = append(blocks, nested{in, content, r.pos(b.TypeRange)})
	}
	return name, blocks, later
}

// expand gives the body of each block that a dynamic block stands for a context with its iterator. Labels is the expression
// of their labels, if there is one. Later is that it is not known yet how many there are.
func (r reader) expand(b *hcl.Block) (name string, content hcl.Body, labels *hcl.Attribute, each []*hcl.EvalContext, later bool) {
	at := r.pos(b.TypeRange)
	if len(b.Labels) != 1 {
		r.errs.Add(at, `write dynamic "tag" { … }`, "%s: a dynamic block has one label, the name of the blocks that it makes", r.what)
		return "", nil, nil, nil, false
	}
	name = b.Labels[0]
	parts, diags := b.Body.Content(&hcl.BodySchema{
		Attributes: []hcl.AttributeSchema{{Name: "for_each", Required: true}, {Name: "iterator"}, {Name: "labels"}},
		Blocks:     []hcl.BlockHeaderSchema{{Type: "content"}},
	})
	if r.report(r.what, diags); diags.HasErrors() {
		return name, nil, nil, nil, false
	}
	if len(parts.Blocks) != 1 {
		r.errs.Add(at, "", "%s: the dynamic block needs one content block", r.what)
		return name, nil, nil, nil, false
	}
	iterator := name
	if a := parts.Attributes["iterator"]; a != nil {
		if iterator = hcl.ExprAsKeyword(a.Expr); iterator == "" {
			r.errs.Add(r.pos(a.Expr.Range()), "", "%s: the iterator is a name without quotes", r.what)
			return name, nil, nil, nil, false
		}
	}
	of := parts.Attributes["for_each"].Expr
	list, ok := r.eval(of, r.ctx, r.what)
	if !ok {
		return name, nil, nil, nil, false
	}
	list, marks := list.Unmark()
	if r.waiting && !list.IsKnown() && (list.Type() == cty.DynamicPseudoType || list.CanIterateElements()) {
		return name, nil, nil, nil, true
	}
	foreign := r.fromData(of, r.ctx)
	if list.IsNull() || !list.IsKnown() || !list.CanIterateElements() {
		r.errs.Add(r.pos(of.Range()), "", "%s: for_each needs a list, a set or a map that is known", r.what)
		return name, nil, nil, nil, false
	}
	if n := list.LengthInt(); n > maxBlocks {
		r.errs.Add(at, "", "%s: the dynamic block would make %d blocks; more than %d are not made", r.what, n, maxBlocks)
		return name, nil, nil, nil, false
	}
	for it := list.ElementIterator(); it.Next(); {
		k, v := it.Element()
		if list.Type().IsSetType() {
			k = v
		}
		ctx := r.ctx.NewChild()
		ctx.Variables = map[string]cty.Value{iterator: cty.ObjectVal(map[string]cty.Value{"key": k.WithMarks(marks), "value": v.WithMarks(marks)})}
		r.iterators[ctx] = foreign
		each = append(each, ctx)
	}
	return name, parts.Blocks[0].Body, parts.Attributes["labels"], each, false
}

// value evaluates an expression that stands at a place. What is written out keeps its places inside, and may refer to what
// is known only when the build runs.
func (r reader) value(x hcl.Expression, place *template.Place) cty.Value {
	place.Pos = r.pos(x.Range())
	x, diags := r.t.native(x)
	if r.report(r.what, diags); diags.HasErrors() {
		return cty.DynamicVal
	}
	switch x := x.(type) {
	case *hclsyntax.TupleConsExpr:
		return r.list(x.Exprs, place)
	case *hclsyntax.ObjectConsExpr:
		pairs := make([]hcl.KeyValuePair, len(x.Items))
		for i, item := range x.Items {
			pairs[i] = hcl.KeyValuePair{Key: item.KeyExpr, Value: item.ValueExpr}
		}
		return r.object(pairs, place)
	case *hclsyntax.ParenthesesExpr:
		return r.value(x.Expression, place)
	case *hclsyntax.TemplateWrapExpr:
		return r.value(x.Wrapped, place)
	case *hclsyntax.ConditionalExpr:
		if waits(x) && !waits(x.Condition) {
			if c, ok := r.eval(x.Condition, r.ctx, r.what); ok {
				if c, err := convert.Convert(c, cty.Bool); err == nil && c.IsKnown() && !c.IsNull() {
					if c, _ := c.Unmark(); c.True() {
						return r.value(x.TrueResult, place)
					}
					return r.value(x.FalseResult, place)
				} else if err == nil && r.waiting && !c.IsKnown() {
					return cty.DynamicVal
				}
			}
		}
	case *hclsyntax.TemplateExpr:
		if waits(x) || r.fromData(x, r.ctx) {
			return r.parts(x.Parts, place)
		}
	case *hclsyntax.ScopeTraversalExpr:
		if waits(x) {
			return r.parts([]hclsyntax.Expression{x}, place)
		}
	}
	return r.plain(x, place)
}

// plain evaluates an expression of which no part is known only when the build runs.
func (r reader) plain(x hcl.Expression, place *template.Place) cty.Value {
	v, ok := r.eval(x, r.ctx, r.what)
	switch {
	case !ok:
		return cty.DynamicVal
	case r.fromData(x, r.ctx):
		return v
	}
	if x, ok := x.(*hclsyntax.TemplateExpr); ok && v.IsMarked() {
		return r.parts(x.Parts, place) // only a part of it is secret
	}
	return r.fill(v, place)
}

// waits tells whether an expression refers to what is known only when the build runs.
func waits(x hcl.Expression) bool {
	return slices.ContainsFunc(x.Variables(), func(tr hcl.Traversal) bool { return tr.RootName() == "build" && (len(tr) > 2 || word(tr) != "name") })
}

// word is the build variable that a reference names.
func word(tr hcl.Traversal) string {
	name, _ := second(tr)
	return name
}

func (r reader) list(exprs []hclsyntax.Expression, place *template.Place) cty.Value {
	place.List, place.Inside = true, make([]template.Inner, len(exprs))
	values := make([]cty.Value, len(exprs))
	for i, x := range exprs {
		values[i] = r.value(x, &place.Inside[i].Value)
	}
	return cty.TupleVal(values)
}

func (r reader) object(pairs []hcl.KeyValuePair, place *template.Place) cty.Value {
	o := object{place, map[string]cty.Value{}}
	for _, p := range pairs {
		at := r.pos(p.Key.Range())
		k, ok := r.eval(p.Key, r.ctx, r.what)
		if !ok {
			return cty.DynamicVal
		}
		if k.IsMarked() {
			r.errs.Add(at, "", "%s: a secret cannot be the name of a key", r.what)
			return cty.DynamicVal
		}
		k, err := convert.Convert(k, cty.String)
		if err == nil && r.waiting && !k.IsKnown() {
			return cty.DynamicVal
		}
		if err != nil || k.IsNull() || !k.IsKnown() {
			r.errs.Add(at, "", "%s: a text that is known is expected for the name of a key", r.what)
			return cty.DynamicVal
		}
		in := template.Inner{Name: k.AsString(), Key: template.Place{Pos: at}}
		if !r.fromData(p.Key, r.ctx) && !r.fillKey(&in) {
			return cty.DynamicVal
		}
		if _, again := o.values[in.Name]; again {
			r.errs.Add(at, "", "%s: the key %q comes twice", r.what, in.Name)
			continue
		}
		o.put(in, func(place *template.Place) cty.Value { return r.value(p.Value, place) })
	}
	return cty.ObjectVal(o.values)
}

// fill evaluates the older template language in the texts of a value.
func (r reader) fill(v cty.Value, place *template.Place) cty.Value {
	if v.IsNull() || !v.IsKnown() {
		return v
	}
	switch t := v.Type(); {
	case v.IsMarked():
		return r.fillSecret(v, place)
	case t == cty.String:
		if !strings.Contains(v.AsString(), "{{") {
			return v
		}
		text, ok := r.older(v.AsString(), place.Pos)
		if !ok {
			return cty.DynamicVal
		}
		return template.TextValue(text, place)
	case !t.IsPrimitiveType() && hasOlder(v):
		o, list := object{place, map[string]cty.Value{}}, []cty.Value(nil)
		place.List = !t.IsObjectType() && !t.IsMapType()
		for it := v.ElementIterator(); it.Next(); {
			k, x := it.Element()
			in := template.Inner{Key: template.Place{Pos: place.Pos}, Value: template.Place{Pos: place.Pos}}
			if !place.List {
				if in.Name = k.AsString(); !r.fillKey(&in) {
					return cty.DynamicVal
				}
				if _, again := o.values[in.Name]; again {
					r.errs.Add(place.Pos, "", "%s: the key %q comes twice", r.what, in.Name)
					return cty.DynamicVal
				}
			}
			o.put(in, func(p *template.Place) cty.Value {
				x = r.fill(x, p)
				list = append(list, x)
				return x
			})
		}
		if place.List {
			return cty.TupleVal(list)
		}
		return cty.ObjectVal(o.values)
	}
	return v
}

// fillSecret evaluates the older template language in a text with a secret.
func (r reader) fillSecret(v cty.Value, place *template.Place) cty.Value {
	plain, marks := v.Unmark()
	if plain.Type() != cty.String || !r.made(plain.AsString(), marks) {
		return v
	}
	text, ok := r.olderSecret(plain.AsString(), marks, place.Pos)
	if !ok {
		return cty.DynamicVal
	}
	return template.TextValue(text, place)
}

// made tells whether the older template language may be in a text that was made of secrets: one itself is what it is.
func (r reader) made(text string, marks cty.ValueMarks) bool {
	for m := range marks {
		if r.config.Secrets[string(m.(template.Secret))] == text {
			return false
		}
	}
	return strings.Contains(text, "{{")
}

// olderSecret evaluates it there. Nobody can tell what of the text was secret, so all parts are.
func (r reader) olderSecret(source string, marks cty.ValueMarks, at template.Pos) (text dag.Text, ok bool) {
	early, err := interp.Early(source, r.env)
	var parts []interp.Part
	if err == nil {
		parts, err = interp.Parse(early)
	}
	if err != nil { // what is wrong with it may quote it
		r.errs.Add(at, "write {{`{{`}} for two braces that begin no action; the text is secret, so nothing of it is shown",
			"%s: an action in a text that was made of a secret is wrong", r.what)
		return "", false
	}
	for _, p := range parts {
		if p.Waits == nil {
			text += r.secret(p.Text, marks)
		} else {
			text += dag.Word(p.Text)
		}
	}
	return text, true
}

// fillKey evaluates the older template language in the name of a key.
func (r reader) fillKey(in *template.Inner) bool {
	if !strings.Contains(in.Name, "{{") {
		return true
	}
	early, ok := r.early(in.Name, in.Key.Pos)
	if !ok {
		return false
	}
	in.Name = early
	text, ok := r.parsed(early, in.Key.Pos)
	template.TextValue(text, &in.Key)
	if text.Known() {
		in.Name = string(text)
	}
	return ok
}

// hasOlder tells whether a text inside of a value may need the older template language.
func hasOlder(v cty.Value) (found bool) {
	cty.Walk(v, func(p cty.Path, x cty.Value) (bool, error) {
		if x, _ = x.Unmark(); x.Type() == cty.String && x.IsKnown() && !x.IsNull() && strings.Contains(x.AsString(), "{{") {
			found = true
		}
		if len(p) > 0 {
			switch s := p[len(p)-1].(type) {
			case cty.GetAttrStep:
				found = found || strings.Contains(s.Name, "{{")
			case cty.IndexStep:
				found = found || s.Key.Type() == cty.String && strings.Contains(s.Key.AsString(), "{{")
			}
		}
		return !found, nil
	})
	return found
}

// older evaluates the older template language in a text.
func (r reader) older(source string, at template.Pos) (dag.Text, bool) {
	early, ok := r.early(source, at)
	if !ok {
		return "", false
	}
	return r.parsed(early, at)
}

// early evaluates it as far as it can be.
func (r reader) early(source string, at template.Pos) (string, bool) {
	early, err := interp.Early(source, r.env)
	return early, r.right(err, at)
}

// parsed makes words of what is left of it.
func (r reader) parsed(early string, at template.Pos) (dag.Text, bool) {
	text, err := template.ParseText(early)
	return text, r.right(err, at)
}

// right reports what is wrong with a text of the older language.
func (r reader) right(err error, at template.Pos) bool {
	for _, f := range interp.AsFaults(err) {
		r.errs.Add(at, f.Hint, "%s: %s", r.what, f.Text)
	}
	return err == nil
}

// parts makes a text of what is known, and of words for what is known when the build runs.
func (r reader) parts(parts []hclsyntax.Expression, place *template.Place) cty.Value {
	var text dag.Text
	var source strings.Builder // of the older language, as far as nothing else stands between
	known := true
	flush := func() bool {
		early, err := interp.EarlyMarked(source.String(), r.env)
		source.Reset()
		if !r.right(err, place.Pos) {
			return false
		}
		t, ok := r.parsed(early, place.Pos)
		text += t
		return ok
	}
	for _, p := range parts {
		if tr, ok := p.(*hclsyntax.ScopeTraversalExpr); ok && waits(p) {
			if len(tr.Traversal) > 2 {
				part, ok := r.result(tr.Traversal, r.what)
				if !ok || known && !flush() {
					return cty.DynamicVal
				}
				text += part.Text()
				continue
			}
			if !has(r.ctx, "build") {
				r.notRunning(tr.Traversal, r.what)
				return cty.DynamicVal
			}
			source.WriteString("{{ build `" + word(tr.Traversal) + "` }}")
			continue
		}
		v, ok := r.eval(p, r.ctx, r.what)
		if !ok {
			return cty.DynamicVal
		}
		v, marks := v.Unmark()
		v, err := convert.Convert(v, cty.String)
		foreign := r.fromData(p, r.ctx)
		switch {
		case err == nil && r.waiting && !v.IsKnown():
			known = false
			continue
		case err != nil || v.IsNull() || !v.IsKnown():
			r.errs.Add(r.pos(p.Range()), "", "%s: a text is expected here", r.what)
			return cty.DynamicVal
		case len(marks) > 0 && !foreign && r.made(v.AsString(), marks):
			t, ok := r.olderSecret(v.AsString(), marks, r.pos(p.Range()))
			if !ok || known && !flush() {
				return cty.DynamicVal
			}
			text += t
			continue
		case len(marks) > 0: // it may be an argument of an action, and is none itself, whatever it says
			source.WriteString(string(r.secret(v.AsString(), marks)))
			continue
		case !foreign:
			if !r.right(interp.Private(v.AsString()), r.pos(p.Range())) {
				return cty.DynamicVal
			}
			source.WriteString(v.AsString())
			continue
		}
		if known && !flush() {
			return cty.DynamicVal
		}
		text += dag.Text(v.AsString())
	}
	switch {
	case !known:
		return cty.UnknownVal(cty.String)
	case !flush():
		return cty.DynamicVal
	}
	return template.TextValue(text, place)
}

// secret is the part of a text that is a secret.
func (r reader) secret(text string, marks cty.ValueMarks) dag.Text {
	for m := range marks {
		if name := string(m.(template.Secret)); r.config.Secrets[name] == text {
			return dag.Text(dag.Mark(name))
		}
	}
	name := "of"
	for _, m := range sorted(marks) {
		name += " " + m
	}
	for i := 0; r.config.Secrets[name] != "" && r.config.Secrets[name] != text; i++ {
		name += "'"
	}
	r.config.Secrets[name] = text
	return dag.Text(dag.Mark(name))
}

func sorted(marks cty.ValueMarks) []string {
	var names []string
	for m := range marks {
		names = append(names, string(m.(template.Secret)))
	}
	slices.Sort(names)
	return names
}
