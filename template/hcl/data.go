package hcl

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/internal/interp"
	"github.com/imgflow/imgflow/template"
)

// source is a data source, or the type null, which looks nothing up and passes a value on.
type source struct {
	kind, name string
	block      *hcl.Block

	state  state
	value  cty.Value
	refers set
}

func (s *source) label() string { return s.kind + "." + s.name }

// null is the type of data sources that are expressions.
const null = "null"

// set are the data sources and results of builds that something refers to, itself or through locals.
type set map[string]bool

// data are the data sources among them.
func (s set) data() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(s)), func(label string) bool { return strings.HasPrefix(label, madeBy) })
}

// dataRefs are the data sources that a reference to data names: one, or all of a type, or all. Missing is one that is
// not there.
func (e *evaluation) dataRefs(tr hcl.Traversal) (found []*source, missing string) {
	kind, named := second(tr)
	name := ""
	if named {
		name, _ = second(tr[1:])
	}
	if name != "" {
		s := e.data[kind+"."+name]
		if s == nil {
			return nil, kind + "." + name
		}
		return []*source{s}, ""
	}
	for _, label := range slices.Sorted(maps.Keys(e.data)) {
		if s := e.data[label]; !named || s.kind == kind {
			found = append(found, s)
		}
	}
	if named && len(found) == 0 {
		missing = kind
	}
	return found, missing
}

// need evaluates the locals and data sources that references lead to, and returns what expressions with them can refer to.
func (e *evaluation) need(refs []hcl.Traversal, what string) map[string]cty.Value {
	locals, data := map[string]cty.Value{}, map[string]*source{}
	for _, tr := range refs {
		switch tr.RootName() {
		case "local":
			name, ok := second(tr)
			if l := e.locals[name]; ok && l != nil && !e.circular(l.state, l.name, "local."+name, tr, what) {
				locals[name] = e.resolve(l)
			}
		case "data":
			found, _ := e.dataRefs(tr)
			for _, s := range found {
				if e.circular(s.state, "data."+s.label(), "data."+s.label(), tr, what) {
					continue
				}
				e.look(s)
				data[s.label()] = s
			}
		}
	}
	vars := maps.Clone(e.root)
	vars["local"] = cty.ObjectVal(locals)
	if len(e.data) > 0 {
		vars["data"] = tree(data)
	}
	return vars
}

// circular tells whether something is being evaluated, and so needs itself.
func (e *evaluation) circular(st state, name, ref string, tr hcl.Traversal, what string) bool {
	if st != busy {
		return false
	}
	i := slices.Index(e.inside, name)
	e.errs.Add(e.pos(tr.SourceRange()), "", "%s: it needs itself: %s", what, strings.Join(append(slices.Clone(e.inside[i:]), name), " → "))
	e.failed[ref] = true
	return true
}

// enter begins to evaluate a local or data source; leave ends it. It is false if too many need one another in a row.
func (e *evaluation) enter(name, ref string, at template.Pos, what string) (leave func(), ok bool) {
	before := e.refers
	e.refers = set{}
	e.inside = append(e.inside, name)
	leave = func() { e.inside, e.refers = e.inside[:len(e.inside)-1], before }
	if len(e.inside) > maxInside {
		e.errs.Add(at, "", "%s: more than %d locals and data sources need one another in a row", what, maxInside)
		e.failed[ref] = true
		return leave, false
	}
	return leave, true
}

// tree is what the name data refers to.
func tree(data map[string]*source) cty.Value {
	kinds := map[string]map[string]cty.Value{}
	for _, s := range data {
		if kinds[s.kind] == nil {
			kinds[s.kind] = map[string]cty.Value{}
		}
		kinds[s.kind][s.name] = s.value
	}
	all := make(map[string]cty.Value, len(kinds))
	for kind, names := range kinds {
		all[kind] = cty.ObjectVal(names)
	}
	return cty.ObjectVal(all)
}

// allData evaluates the options of every data source. What is looked up later is unknown until then.
func (e *evaluation) allData() {
	for _, label := range slices.Sorted(maps.Keys(e.data)) {
		e.look(e.data[label])
	}
	if len(e.data) > 0 {
		e.root["data"] = tree(e.data)
	}
}

// look evaluates the options of a data source, after what they refer to.
func (e *evaluation) look(s *source) {
	if s.state == done {
		return
	}
	ref, at, what := "data."+s.label(), e.pos(s.block.LabelRanges[0]), "cannot use the data source "+s.label()
	s.state, s.value = busy, cty.DynamicVal
	leave, ok := e.enter(ref, ref, at, what)
	defer func() { leave(); s.state = done }()
	if !ok {
		return
	}
	vars := e.need(bodyRefs(s.block.Body), what)
	r := reader{e, &hcl.EvalContext{Functions: e.functions, Variables: vars}, e.env, what}
	if s.kind == null {
		e.null(s, r)
		return
	}
	d := template.Data{Type: s.kind, Name: s.name, Pos: at, Options: r.options(s.block.Body)}
	looked, known := e.in.Known[s.label()]
	s.refers = e.refers
	d.Refers, d.Known = s.refers.data(), known
	e.config.Data = append(e.config.Data, d)
	if known {
		s.value = looked.Value
		maps.Copy(e.config.Secrets, looked.Secrets)
		return
	}
	t, there := e.in.DataTypes[s.kind]
	if !there {
		e.failed[ref] = true // whoever knows the types tells that there is none
		return
	}
	s.value, e.waiting = unknown(t), true
}

// unknown is an object of a type with attributes that are not known.
func unknown(t cty.Type) cty.Value {
	attributes := map[string]cty.Value{}
	for name, at := range t.AttributeTypes() {
		attributes[name] = cty.UnknownVal(at)
	}
	return cty.ObjectVal(attributes)
}

// null evaluates a data source of the type null: its output is its input.
func (e *evaluation) null(s *source, r reader) {
	attrs, diags := s.block.Body.JustAttributes()
	e.report(r.what, diags)
	ok := !diags.HasErrors()
	for _, a := range ordered(attrs) {
		if a.Name != "input" {
			e.errs.AddCode(errcode.UnknownName, e.pos(a.NameRange), nearest(a.Name, []string{"input"}), "%s: null has no option %q", r.what, a.Name)
			ok = false
		}
	}
	s.refers = e.refers
	a := attrs["input"]
	if a == nil {
		if ok {
			e.errs.AddCode(errcode.OptionMissing, e.pos(s.block.DefRange), "", "%s: input is missing", r.what)
		}
		e.failed["data."+s.label()] = true
		return
	}
	if v, fine := e.eval(a.Expr, r.ctx, r.what); fine && ok {
		s.value = cty.ObjectVal(map[string]cty.Value{"output": v})
		return
	}
	e.failed["data."+s.label()] = true
}

// bodyRefs are all references of a body.
func bodyRefs(body hcl.Body) (refs []hcl.Traversal) {
	native, ok := body.(*hclsyntax.Body)
	if !ok {
		attrs, _ := body.JustAttributes()
		for _, a := range attrs {
			refs = append(refs, a.Expr.Variables()...)
		}
		return refs
	}
	for _, a := range native.Attributes {
		refs = append(refs, a.Expr.Variables()...)
	}
	for _, b := range native.Blocks {
		refs = append(refs, bodyRefs(b.Body)...)
	}
	slices.SortFunc(refs, func(a, b hcl.Traversal) int { return a.SourceRange().Start.Byte - b.SourceRange().Start.Byte })
	return refs
}

// referred notes that what is being evaluated refers to data sources or results by an expression, and tells whether it
// does, or calls a function that asks. Of a condition that is known only the branch that is taken counts.
func (e *evaluation) referred(x hcl.Expression, ctx *hcl.EvalContext) (any bool) {
	switch c := x.(type) {
	case *hclsyntax.ParenthesesExpr:
		return e.referred(c.Expression, ctx)
	case *hclsyntax.TemplateWrapExpr:
		return e.referred(c.Wrapped, ctx)
	case *hclsyntax.ConditionalExpr:
		if is, known := e.takes(c, ctx); known {
			branch := c.FalseResult
			if is {
				branch = c.TrueResult
			}
			before := e.referred(c.Condition, ctx)
			return e.referred(branch, ctx) || before
		}
	}
	add := func(from set) {
		for label := range from {
			e.refers[label], any = true, true
		}
	}
	any = asks(x)
	for _, tr := range x.Variables() {
		switch tr.RootName() {
		case "local":
			if name, ok := second(tr); ok && e.locals[name] != nil {
				add(e.locals[name].refers)
				break
			}
			for _, l := range e.locals { // all of them at once
				if len(tr) == 1 {
					add(l.refers)
				}
			}
		case "data":
			found, _ := e.dataRefs(tr)
			for _, s := range found {
				if s.kind == null {
					add(s.refers)
				} else {
					add(set{s.label(): true})
				}
			}
		case "build":
			if e.isResult(tr) {
				add(e.needed(tr))
			}
		}
	}
	return any
}

// fromData tells whether some of a value comes from data sources, or from what other builds make. That is text of somebody
// else: the older template language is not evaluated in it.
func (e *evaluation) fromData(x hcl.Expression, ctx *hcl.EvalContext) bool {
	if e.referred(x, ctx) {
		return true
	}
	return slices.ContainsFunc(x.Variables(), func(tr hcl.Traversal) bool {
		for c := ctx; c != nil; c = c.Parent() {
			if _, ok := c.Variables[tr.RootName()]; ok {
				return e.iterators[c]
			}
		}
		return false
	})
}

// dataHint names the data source that may have been meant.
func (e *evaluation) dataHint(missing string) string {
	all := slices.Sorted(maps.Keys(e.data))
	if !strings.Contains(missing, ".") {
		for i, label := range all {
			all[i], _, _ = strings.Cut(label, ".")
		}
	}
	if near := interp.Nearest(missing, all); near != "" {
		return fmt.Sprintf("did you mean data.%s?", near)
	}
	return ""
}
