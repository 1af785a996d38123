package hcl

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/internal/interp"
	"github.com/imgflow/imgflow/template"
	"github.com/imgflow/imgflow/template/hcl/funcs"
)

// variable is the declaration of a variable.
type variable struct {
	name        string
	at          template.Pos
	init        hcl.Expression // nil: it has to be given
	typ         cty.Type       // cty.NilType: that of its value
	defaults    *typeexpr.Defaults
	sensitive   bool
	description string
	checks      []check
}

// check is a validation block.
type check struct {
	at        template.Pos
	condition hcl.Expression
	message   hcl.Expression
}

func (t *Template) declare(v *variable, errs *template.Errors) {
	if !hclsyntax.ValidIdentifier(v.name) {
		errs.Add(v.at, "letters, digits, - and _ make a name", "cannot declare the variable %q: it is no name", v.name)
		return
	}
	t.variables = append(t.variables, v)
}

// checkVariables reports names that are declared twice.
func (t *Template) checkVariables(errs *template.Errors) {
	first := map[string]*variable{}
	t.variables = slices.DeleteFunc(t.variables, func(v *variable) bool {
		if before := first[v.name]; before != nil {
			errs.AddCode(errcode.DuplicateName, v.at, "", "cannot declare the variable %s: it is declared a second time; the first is at %s", v.name, before.at)
			return true
		}
		first[v.name] = v
		return false
	})
}

var variableSchema = &hcl.BodySchema{
	Attributes: []hcl.AttributeSchema{{Name: "type"}, {Name: "default"}, {Name: "description"}, {Name: "sensitive"}},
	Blocks:     []hcl.BlockHeaderSchema{{Type: "validation"}},
}

func (t *Template) variable(b *hcl.Block, errs *template.Errors) {
	v := &variable{name: b.Labels[0], at: t.sources.pos(b.LabelRanges[0]), typ: cty.NilType}
	what := "cannot read the variable " + v.name
	content, diags := b.Body.Content(variableSchema)
	t.sources.report(errs, what, diags)
	if a := content.Attributes["type"]; a != nil {
		typ, defaults, diags := typeexpr.TypeConstraintWithDefaults(a.Expr)
		t.sources.report(errs, what, diags)
		if !diags.HasErrors() {
			v.typ, v.defaults = typ, defaults
		}
	}
	if a := content.Attributes["default"]; a != nil {
		v.init = a.Expr
	}
	if a := content.Attributes["description"]; a != nil {
		v.description, _ = t.constant(a.Expr, errs)
	}
	if a := content.Attributes["sensitive"]; a != nil {
		v.sensitive = t.yes(a.Expr, what, errs)
	}
	for _, c := range content.Blocks {
		before := len(*errs)
		parts, diags := c.Body.Content(&hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "condition", Required: true}, {Name: "error_message", Required: true}}})
		t.sources.report(errs, what, diags)
		if diags.HasErrors() {
			continue
		}
		condition, diags := t.native(parts.Attributes["condition"].Expr)
		message, more := t.native(parts.Attributes["error_message"].Expr)
		if diags = append(diags, more...); diags.HasErrors() {
			t.sources.report(errs, what, diags)
			continue
		}
		check := check{at: t.sources.pos(c.DefRange), condition: condition, message: message}
		for _, tr := range check.condition.Variables() {
			if !refersTo(tr, v.name) {
				errs.Add(t.sources.pos(tr.SourceRange()), "", "%s: a condition can refer to var.%s only", what, v.name)
			}
		}
		if len(check.condition.Variables()) == 0 {
			errs.Add(t.sources.pos(check.condition.Range()), "", "%s: the condition must refer to var.%s", what, v.name)
		}
		if len(check.message.Variables()) == 0 {
			if m, ok := t.constant(check.message, errs); ok && !isSentence(m) {
				errs.Add(t.sources.pos(check.message.Range()), "", "%s: an error message is a sentence: it begins with a capital letter, and ends with a full stop, a question mark or an exclamation mark", what)
			}
		}
		if len(*errs) == before {
			v.checks = append(v.checks, check)
		}
	}
	t.declare(v, errs)
}

func refersTo(tr hcl.Traversal, name string) bool {
	if len(tr) < 2 || tr.RootName() != "var" {
		return false
	}
	a, ok := tr[1].(hcl.TraverseAttr)
	return ok && a.Name == name
}

func isSentence(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.IsUpper(r) && strings.ContainsRune(".?!", rune(s[len(s)-1]))
}

// yes reads a boolean without references.
func (t *Template) yes(e hcl.Expression, what string, errs *template.Errors) bool {
	v, diags := e.Value(nil)
	t.sources.report(errs, what, diags)
	if diags.HasErrors() {
		return false
	}
	v, err := convert.Convert(v, cty.Bool)
	if err != nil || v.IsNull() || !v.IsKnown() {
		errs.Add(t.sources.pos(e.Range()), "", "%s: true or false is expected here", what)
		return false
	}
	return v.True()
}

// given is a value that was given to a variable from outside.
type given struct {
	at   template.Pos
	text *string        // from the environment or the command line
	expr hcl.Expression // from a file
}

// given collects what is given to variables; the last one counts.
func (e *evaluation) given(in template.Inputs) map[string]given {
	all := map[string]given{}
	declared := make(map[string]bool, len(e.t.variables))
	names := make([]string, 0, len(e.t.variables))
	for _, v := range e.t.variables {
		declared[v.name] = true
		names = append(names, v.name)
		if s := e.in.Environ("PKR_VAR_" + v.name); s != "" {
			all[v.name] = given{at: template.Pos{File: "PKR_VAR_" + v.name}, text: &s}
		}
	}
	for _, f := range in.VarFiles {
		body, diags := e.t.parseFile(f)
		e.report("cannot read the variable file", diags)
		e.lost = e.lost || diags.HasErrors()
		if body == nil {
			continue
		}
		attrs, diags := body.JustAttributes()
		e.report("cannot read the variable file", diags)
		for _, a := range ordered(attrs) {
			at := e.pos(a.NameRange)
			if !declared[a.Name] {
				if in.QuietUndeclared {
					continue
				}
				e.warn(at, nearest(a.Name, names), "the variable %s is not declared: its value is not used", a.Name)
				continue
			}
			all[a.Name] = given{at: at, expr: a.Expr}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(in.Vars)) {
		s, at := in.Vars[name], template.Pos{File: "-var " + strings.ToValidUTF8(name, "�")}
		if !declared[name] {
			if !e.t.lost["variable"] && !e.t.lost["variables"] {
				e.errs.AddCode(errcode.UnknownName, at, nearest(name, names), "cannot set the variable %s: it is not declared", name)
			}
			continue
		}
		all[name] = given{at: at, text: &s}
	}
	return all
}

// values gives every variable its value.
func (e *evaluation) values(in template.Inputs) {
	all := e.given(in)
	for _, v := range e.t.variables {
		g, set := all[v.name]
		value, ok := e.value(v, g, set)
		if ok && v.sensitive {
			value = e.seal(v.name, value)
		}
		if ok {
			ok = e.holds(v, value, g.at)
		}
		if !ok {
			value = cty.DynamicVal
			e.failed["var."+v.name] = true
		}
		e.vars[v.name] = value
		e.config.Variables = append(e.config.Variables, template.VariableValue{
			Variable: template.Variable{Name: v.name, Pos: v.at, Required: v.init == nil}, Value: shown(value), Set: set, Declared: true, Sensitive: v.sensitive})
	}
}

func (e *evaluation) value(v *variable, g given, set bool) (cty.Value, bool) {
	var value cty.Value
	var diags hcl.Diagnostics
	at, what := g.at, "cannot set the variable "+v.name
	switch {
	case set && g.text != nil:
		if !utf8.ValidString(*g.text) {
			e.errs.Add(at, "", "%s: its value is not UTF-8", what)
			return cty.NilVal, false
		}
		if v.typ == cty.NilType || v.typ == cty.String || v.typ == cty.DynamicPseudoType && !looksLikeHCL(*g.text) {
			value = cty.StringVal(*g.text)
			break
		}
		value, diags = e.expression(at.File, *g.text)
	case set:
		value, diags = g.expr.Value(nil)
	case v.init == nil && e.lost:
		return cty.NilVal, false // it may stand in the file that could not be read
	case v.init == nil:
		e.errs.AddCode(errcode.VariableNotSet, v.at, fmt.Sprintf("set it with -var '%s=…', in a -var-file, or as PKR_VAR_%s in the environment", v.name, v.name),
			"cannot build: required variable not set: %s", v.name)
		return cty.NilVal, false
	default:
		at = e.pos(v.init.Range())
		var init hcl.Expression
		if init, diags = e.t.native(v.init); !diags.HasErrors() {
			value, diags = init.Value(&hcl.EvalContext{Functions: e.early})
		}
	}
	if diags.HasErrors() {
		if _, bound := hcl.DiagnosticExtra[funcs.Limit](diags[0]); bound && set && g.text != nil {
			e.errs.Add(at, "", "%s: %s", what, diags[0].Detail)
			return cty.NilVal, false
		}
		if set && g.text != nil {
			quoted := fmt.Sprintf("%.80q", *g.text)
			if v.sensitive || interp.SecretName(v.name) {
				quoted = "its value"
			}
			e.errs.Add(at, "a text in it needs quotes", "%s: %s is no expression, which a value of the type %s has to be", what, quoted, typeexpr.TypeString(v.typ))
			return cty.NilVal, false
		}
		e.report(what, diags)
		return cty.NilVal, false
	}
	if v.typ != cty.NilType && v.typ != cty.DynamicPseudoType {
		if v.defaults != nil && !value.IsNull() {
			value = v.defaults.Apply(value)
		}
		converted, err := convert.Convert(value, v.typ)
		if err != nil {
			e.errs.Add(at, "", "%s: a value of the type %s is expected: %s", what, typeexpr.TypeString(v.typ), why(err))
			return cty.NilVal, false
		}
		value = converted
	}
	return value, true
}

// why is an error of a conversion with the place in the value that it is about.
func why(err error) string {
	var at cty.PathError
	if !errors.As(err, &at) || len(at.Path) == 0 {
		return err.Error()
	}
	var b strings.Builder
	for _, s := range at.Path {
		switch s := s.(type) {
		case cty.GetAttrStep:
			b.WriteString("." + s.Name)
		case cty.IndexStep:
			if s.Key.Type() == cty.String {
				fmt.Fprintf(&b, "[%q]", s.Key.AsString())
			} else {
				fmt.Fprintf(&b, "[%s]", s.Key.AsBigFloat().Text('f', 0))
			}
		}
	}
	return b.String() + ": " + err.Error()
}

// looksLikeHCL tells a list or an object that is given to a variable of the type any from a text.
func looksLikeHCL(s string) bool {
	s = strings.TrimSpace(s)
	return strings.HasPrefix(s, "[") || strings.HasPrefix(s, "{")
}

// expression evaluates the text of an expression that was given from outside.
func (e *evaluation) expression(name, src string) (cty.Value, hcl.Diagnostics) {
	if d := funcs.TooDeep(name, []byte(src)); d != nil {
		return cty.NilVal, hcl.Diagnostics{d}
	}
	expr, diags := hclsyntax.ParseExpression([]byte(src), name, hcl.InitialPos)
	if diags.HasErrors() {
		return cty.NilVal, diags
	}
	e.t.rounds.Watch(expr)
	return expr.Value(nil)
}

// holds tries the conditions of a variable.
func (e *evaluation) holds(v *variable, value cty.Value, at template.Pos) bool {
	ctx := &hcl.EvalContext{Functions: e.functions, Variables: map[string]cty.Value{"var": cty.ObjectVal(map[string]cty.Value{v.name: value})}}
	ok := true
	for _, c := range v.checks {
		what := "cannot check the variable " + v.name
		e.now = c.condition
		result, diags := c.condition.Value(ctx)
		if e.report(what, diags); diags.HasErrors() {
			ok = false
			continue
		}
		result, _ = result.Unmark()
		result, err := convert.Convert(result, cty.Bool)
		if err != nil || result.IsNull() || !result.IsKnown() {
			e.errs.Add(e.pos(c.condition.Range()), "", "%s: its condition is neither true nor false", what)
			ok = false
			continue
		}
		if result.True() {
			continue
		}
		ok = false
		message, diags := c.message.Value(ctx)
		e.report(what, diags)
		text := "its condition does not hold"
		if !diags.HasErrors() && !message.IsMarked() && message.Type() == cty.String && message.IsKnown() && !message.IsNull() {
			text = message.AsString()
		}
		if at.File == "" {
			at = v.at
		}
		e.errs.AddCode(errcode.ConditionFailed, at, "the condition stands at "+c.at.String(), "cannot use the value of the variable %s: %s", v.name, text)
	}
	return ok
}

// seal marks every text and number inside of a value as the secret of a name. What was made of other secrets keeps their
// marks, too.
func (e *evaluation) seal(name string, v cty.Value) cty.Value {
	sealed, _ := cty.Transform(v, func(p cty.Path, x cty.Value) (cty.Value, error) {
		x, marks := x.Unmark()
		if x.IsNull() || !x.IsKnown() || !x.Type().IsPrimitiveType() || x.Type() == cty.Bool {
			return x.WithMarks(marks), nil
		}
		text, err := convert.Convert(x, cty.String)
		if err != nil || text.AsString() == "" {
			return x.WithMarks(marks), err
		}
		return x.WithMarks(marks).Mark(e.secretAt(name, p, text.AsString())), nil
	})
	return sealed
}

// secretAt notes a secret that stands at a path in the value of a name.
func (e *evaluation) secretAt(name string, p cty.Path, text string) template.Secret {
	for _, s := range p {
		switch s := s.(type) {
		case cty.GetAttrStep:
			name += "." + s.Name
		case cty.IndexStep:
			if k, err := convert.Convert(s.Key, cty.String); err == nil && k.IsKnown() && !k.IsNull() && !k.IsMarked() {
				name += "." + k.AsString()
			} else {
				name += ".*" // of a set, whose elements have no names
			}
		}
	}
	if old, taken := e.config.Secrets[name]; taken && old != text {
		name += "." + fmt.Sprint(len(e.config.Secrets))
	}
	e.config.Secrets[name] = text
	return template.Secret(name)
}

// shown is what a value is, for a person; a variable's secret is hidden by who prints it.
func shown(v cty.Value) string {
	v, _ = v.UnmarkDeep()
	if !v.IsKnown() || v.IsNull() {
		return ""
	}
	if s, err := convert.Convert(v, cty.String); err == nil && s.IsKnown() && !s.IsNull() {
		return s.AsString()
	}
	b, err := ctyjson.Marshal(v, v.Type())
	if err != nil {
		return ""
	}
	return string(b)
}
