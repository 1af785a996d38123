package hcl

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"

	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/internal/interp"
	"github.com/imgflow/imgflow/template"
	"github.com/imgflow/imgflow/template/hcl/funcs"
)

// local is a named expression.
type local struct {
	name      string
	at        template.Pos
	expr      hcl.Expression
	sensitive bool

	state  state
	value  cty.Value
	refers set
	late   bool // made of what builds make: it has no value before it is known which builds there are
}

type state int

const (
	untouched state = iota
	busy
	done
)

func (t *Template) local(b *hcl.Block, errs *template.Errors) {
	l := &local{name: b.Labels[0], at: t.sources.pos(b.LabelRanges[0])}
	what := "cannot read the local " + l.name
	content, diags := b.Body.Content(&hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "expression", Required: true}, {Name: "sensitive"}}})
	t.sources.report(errs, what, diags)
	if a := content.Attributes["sensitive"]; a != nil {
		l.sensitive = t.yes(a.Expr, what, errs)
	}
	if a := content.Attributes["expression"]; a != nil {
		l.expr = a.Expr
		t.addLocal(l, errs)
	}
}

func (t *Template) addLocal(l *local, errs *template.Errors) {
	if !hclsyntax.ValidIdentifier(l.name) {
		errs.Add(l.at, "letters, digits, - and _ make a name", "cannot declare the local %q: it is no name", l.name)
		return
	}
	t.locals = append(t.locals, l)
}

// evaluation is one evaluation of a template.
type evaluation struct {
	t      *Template
	in     template.Inputs
	config *template.Config
	errs   template.Errors
	lost   bool // a file of variables could not be read

	functions map[string]function.Function
	early     map[string]function.Function // of the defaults of variables: env, too
	vars      map[string]cty.Value
	locals    map[string]*local
	data      map[string]*source
	failed    map[string]bool           // what has no value, as it is referred to, which has been reported
	inside    []string                  // locals and data sources being evaluated
	refers    set                       // data sources and results that what is being evaluated has referred to so far
	calls     map[string]bool           // of functions that ask: the labels of the data sources that they are
	now       hcl.Expression            // what is being evaluated
	waiting   bool                      // a data source has not been looked up yet, or a build has not made what is referred to
	results   map[string][]result       // what build blocks make, by their names; nil before any was read
	named     bool                      // it is known which builds there are
	blocks    map[string]cty.Value      // what build blocks make, as expressions see it
	needs     map[string]template.Need  // the first reference to each result that expressions are made of
	spreads   map[string][]instance     // those of sources, by type.name
	iterators map[*hcl.EvalContext]bool // of dynamic blocks and for_each over what data sources have
	texts     int                       // bytes of text that expressions have made
	made      int                       // and how many values

	root map[string]cty.Value // what every expression can refer to
	env  *interp.Env          // of the older language, but for what a build adds
}

func (e *evaluation) pos(r hcl.Range) template.Pos { return e.t.sources.pos(r) }

func (e *evaluation) report(what string, diags hcl.Diagnostics) {
	e.t.sources.report(&e.errs, what, diags)
}

func (e *evaluation) warn(at template.Pos, hint, format string, args ...any) {
	to := &e.config.Warnings
	if e.in.Strict {
		to = &e.errs
	}
	to.AddCode(errcode.TemplateWarning, at, hint, format, args...)
}

// ids makes random bytes of the run's ids, so that a resumed run has the same ones.
type ids struct{ next func() string }

func (r ids) Read(p []byte) (int, error) {
	if r.next == nil {
		return 0, io.EOF
	}
	id := strings.ReplaceAll(r.next(), "-", "")
	for i := range p {
		var b byte
		fmt.Sscanf(id[2*i%len(id):][:2], "%02x", &b)
		p[i] = b
	}
	return len(p), nil
}

// Evaluate gives the template's variables their values, and makes the builds that were chosen. When there are errors, the
// result holds what could be evaluated.
func (t *Template) Evaluate(in template.Inputs) (*template.Config, template.Errors) {
	if in.Environ == nil {
		in.Environ = func(string) string { return "" }
	}
	e := &evaluation{t: t, in: in,
		config: &template.Config{Secrets: map[string]string{}, Warnings: slices.Clone(t.warnings), Made: in.Made},
		blocks: map[string]cty.Value{}, needs: map[string]template.Need{},
		vars: map[string]cty.Value{}, locals: map[string]*local{}, data: map[string]*source{}, failed: map[string]bool{}, refers: set{}, spreads: map[string][]instance{}, iterators: map[*hcl.EvalContext]bool{}, calls: map[string]bool{}}
	for label, b := range t.data {
		e.data[label] = &source{kind: b.Labels[0], name: b.Labels[1], block: b}
	}
	t.rounds.Reset()
	w := funcs.World{Rounds: &t.rounds, Dir: in.Dir, Cwd: in.Cwd, Home: in.Environ("HOME"), Files: in.Files, Now: in.Clock, Random: ids{in.UUID}, Ask: e.call}
	e.functions = funcs.New(w)
	e.early = funcs.Early(in.Environ)
	e.env = &interp.Env{Clock: in.Clock, UUID: in.UUID, Dir: in.Dir, Cwd: in.Cwd, Secrets: e.config.Secrets, User: e.user, Ask: e.older}
	e.values(in)
	e.root = map[string]cty.Value{
		"var":    cty.ObjectVal(e.vars),
		"path":   cty.ObjectVal(map[string]cty.Value{"root": cty.StringVal(in.Dir), "cwd": cty.StringVal(in.Cwd)}),
		"packer": cty.ObjectVal(map[string]cty.Value{"version": cty.StringVal(interp.PackerVersion)}),
	}
	e.allLocals()
	e.allData()
	e.builds()
	e.config.Ask = e.ask
	e.config.Warnings = e.config.Warnings.Sorted()
	return e.config, e.errs.Sorted()
}

// user is what {{user `x`}} of the older language would be, which HCL2 has not.
func (e *evaluation) user(name string) (string, error) {
	return "", fmt.Errorf("user is of JSON templates: write ${var.%s}", name)
}

// older is what a function that asks would be there.
func (e *evaluation) older(function string, _ ...string) (string, error) {
	return "", fmt.Errorf("%s in braces is of JSON templates: write ${%s(…)}", function, function)
}

// allLocals evaluates every local, each after those that it refers to. Those that are made of what builds make wait until
// it is known which builds there are.
func (e *evaluation) allLocals() {
	for _, l := range e.t.locals {
		if before := e.locals[l.name]; before != nil {
			e.errs.AddCode(errcode.DuplicateName, l.at, "", "cannot declare the local %s: it is declared a second time; the first is at %s", l.name, before.at)
			continue
		}
		l := *l
		e.locals[l.name] = &l
	}
	e.markLate()
	e.resolveAll()
}

func (e *evaluation) resolveAll() {
	values := make(map[string]cty.Value, len(e.locals))
	for _, l := range e.t.locals {
		values[l.name] = e.resolve(e.locals[l.name])
	}
	e.root["local"] = cty.ObjectVal(values)
}

// markLate finds the locals that are made of what builds make, by themselves or through others.
func (e *evaluation) markLate() {
	users := map[string][]*local{} // of each local, those that refer to it
	var todo []*local
	for _, l := range e.locals {
		for _, tr := range l.expr.Variables() {
			name, named := second(tr)
			switch {
			case tr.RootName() == "build" && named && !l.late:
				l.late = true
				todo = append(todo, l)
			case tr.RootName() == "local":
				users[name] = append(users[name], l) // under "" those that refer to all of them
			}
		}
	}
	for len(todo) > 0 {
		l := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, u := range slices.Concat(users[l.name], users[""]) {
			if !u.late {
				u.late = true
				todo = append(todo, u)
			}
		}
		delete(users, l.name)
		delete(users, "")
	}
}

// maxInside bounds how many locals and data sources may need one another in a row.
const maxInside = 1000

func (e *evaluation) resolve(l *local) cty.Value {
	switch {
	case l.state == done:
		return l.value
	case l.late && !e.named:
		return cty.DynamicVal
	}
	what := "cannot evaluate the local " + l.name
	l.state, l.value = busy, cty.DynamicVal
	leave, ok := e.enter(l.name, "local."+l.name, l.at, what)
	defer func() { leave(); l.state = done }()
	if !ok {
		return l.value
	}
	v, ok := e.eval(l.expr, &hcl.EvalContext{Functions: e.functions, Variables: e.need(l.expr.Variables(), what)}, what)
	l.refers = e.refers
	if !ok {
		e.failed["local."+l.name] = true
		return l.value
	}
	if l.sensitive {
		v = e.seal(l.name, v)
	}
	l.value = v
	return v
}

// second is the name that follows the root of a reference.
func second(tr hcl.Traversal) (string, bool) {
	if len(tr) < 2 {
		return "", false
	}
	switch s := tr[1].(type) {
	case hcl.TraverseAttr:
		return s.Name, true
	case hcl.TraverseIndex:
		if s.Key.Type() == cty.String {
			return s.Key.AsString(), true
		}
	}
	return "", false
}

// eval evaluates an expression. What it refers to and is not there is reported with what may have been meant; what has no
// value because of something that has been reported is passed over in silence.
func (e *evaluation) eval(x hcl.Expression, ctx *hcl.EvalContext, what string) (cty.Value, bool) {
	x, diags := e.t.native(x)
	if e.report(what, diags); diags.HasErrors() || !e.known(x, ctx, what) {
		return cty.DynamicVal, false
	}
	e.now = x
	if e.referred(x, ctx); asks(x) {
		x = e.pruned(x, ctx)
	}
	v, diags := x.Value(e.withResults(x, ctx))
	diags = slices.Compact(diags) // one that comes from each round of a loop is told once
	if e.report(what, diags); diags.HasErrors() {
		return cty.DynamicVal, false
	}
	if !e.waiting && len(e.t.lost) == 0 && !v.IsWhollyKnown() {
		e.errs.Add(e.pos(x.Range()), "this is a defect of imgflow: please report it", "%s: the value is not known", what)
		return cty.DynamicVal, false
	}
	if err := e.measure(v); err != nil {
		e.errs.Add(e.pos(x.Range()), "", "%s: %s", what, err)
		return cty.DynamicVal, false
	}
	return v, true
}

// What the expressions of a template make, together: bytes of text, and values. A local that holds another twice, which holds
// another twice, is soon more than fits into memory, and one that holds another deeper than whatever looks at it has stack for.
const (
	maxTexts  = 64 << 20
	maxValues = 2_000_000
)

// measure counts what a value holds.
func (e *evaluation) measure(v cty.Value) error {
	return cty.Walk(v, func(path cty.Path, x cty.Value) (bool, error) {
		if x, _ = x.Unmark(); x.Type() == cty.String && x.IsKnown() && !x.IsNull() {
			e.texts += len(x.AsString())
		}
		e.made++
		switch {
		case len(path) > funcs.MaxDepth:
			return false, fmt.Errorf("the value is nested deeper than %d levels", funcs.MaxDepth)
		case e.texts > maxTexts:
			return false, fmt.Errorf("all texts together would be longer than %d MiB", maxTexts>>20)
		case e.made > maxValues:
			return false, fmt.Errorf("all values together would be more than %d", maxValues)
		}
		return true, nil
	})
}

// known looks whether all that an expression refers to is there.
func (e *evaluation) known(x hcl.Expression, ctx *hcl.EvalContext, what string) bool {
	ok, types := true, typesIn(x)
	for _, tr := range x.Variables() {
		root, at := tr.RootName(), e.pos(tr.SourceRange())
		name, named := second(tr)
		switch {
		case types[tr.SourceRange()]:
		case root != "data" && e.failed[root+"."+name]:
			ok = false
		case root == "var" && named && !e.declared(name):
			if ok = false; !e.t.lost["variable"] && !e.t.lost["variables"] {
				e.errs.AddCode(errcode.UnknownName, at, nearest(name, slices.Collect(maps.Keys(e.vars))), "%s: there is no variable %q", what, name)
			}
		case root == "local" && named && e.locals[name] == nil:
			if ok = false; !e.t.lost["local"] && !e.t.lost["locals"] {
				e.errs.AddCode(errcode.UnknownName, at, nearest(name, slices.Collect(maps.Keys(e.locals))), "%s: there is no local %q", what, name)
			}
		case root == "data":
			found, missing := e.dataRefs(tr)
			if missing != "" {
				if ok = false; !e.t.lost["data"] {
					e.errs.AddCode(errcode.UnknownName, at, e.dataHint(missing), "%s: there is no data source %s", what, missing)
				}
			}
			for _, s := range found {
				ok = ok && !e.failed["data."+s.label()]
			}
		case root == "local" && !e.named && e.late(name):
			e.errs.Add(at, "", "%s: %s is made of what builds make, which is known only when they have run, too late for this", what, strings.TrimSuffix("local."+name, "."))
			ok = false
		case e.isResult(tr):
			if len(tr) > 2 {
				_, found := e.result(tr, what)
				ok = ok && found
			}
		case root == "build" && !has(ctx, "build"):
			e.notRunning(tr, what)
			ok = false
		case root == "build" && name != "name":
			e.errs.Add(at, "use it by itself or in a text: \"… ${build."+name+"} …\"", "%s: build.%s is known only when the build runs, and no function or operator can be given it", what, name)
			ok = false
		case root == "source" && !has(ctx, "source"):
			e.errs.Add(at, "", "%s: source is known only in build blocks", what)
			ok = false
		case root == "each" && !has(ctx, "each"):
			e.errs.Add(at, "give the block for_each; in a build block, source.key is the key of the source", "%s: each is known only in a source or build block with for_each of its own", what)
			ok = false
		case !has(ctx, root):
			e.errs.AddCode(errcode.UnknownName, at, nearest(root, roots(ctx)), "%s: %q refers to nothing that is known here (%s)", what, root, strings.Join(roots(ctx), ", "))
			ok = false
		}
	}
	return ok
}

// notRunning refuses a reference to the running build where none is.
func (e *evaluation) notRunning(tr hcl.Traversal, what string) {
	hint, name := "", word(tr)
	if e.results[name] != nil {
		hint = "write build." + name + ".id for the image that the build makes"
	}
	e.errs.Add(e.pos(tr.SourceRange()), hint, "%s: build is known only in provisioners and post-processors", what)
}

// typesIn are the names of types in an expression, which look like references: convert is given them.
func typesIn(x hcl.Expression) map[hcl.Range]bool {
	all := map[hcl.Range]bool{}
	if node, ok := x.(hclsyntax.Node); ok {
		hclsyntax.VisitAll(node, func(n hclsyntax.Node) hcl.Diagnostics {
			if call, ok := n.(*hclsyntax.FunctionCallExpr); ok && call.Name == "convert" && len(call.Args) == 2 {
				for _, tr := range call.Args[1].Variables() {
					all[tr.SourceRange()] = true
				}
			}
			return nil
		})
	}
	return all
}

// late tells whether a local is made of what builds make; without a name, whether any is.
func (e *evaluation) late(name string) bool {
	if name != "" {
		return e.locals[name].late
	}
	for _, l := range e.locals {
		if l.late {
			return true
		}
	}
	return false
}

func (e *evaluation) declared(name string) bool { _, ok := e.vars[name]; return ok }

func has(ctx *hcl.EvalContext, root string) bool {
	for ; ctx != nil; ctx = ctx.Parent() {
		if _, ok := ctx.Variables[root]; ok {
			return true
		}
	}
	return false
}

func roots(ctx *hcl.EvalContext) []string {
	var all []string
	for ; ctx != nil; ctx = ctx.Parent() {
		all = append(all, slices.Collect(maps.Keys(ctx.Variables))...)
	}
	slices.Sort(all)
	return all
}
