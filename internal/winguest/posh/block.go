package posh

import (
	"errors"
	"strings"
)

// blockStage is a function, a script block or a script file at work.
type blockStage struct {
	s       *shell
	b       *Block
	name    string
	args    []actual
	dot     bool
	file    bool // a script file: exit ends it only
	out     *port
	sc      *scope
	bind    *binding
	given   map[string]bool
	input   []any
	piped   bool
	pipes   bool
	done    bool // exit has ended it
	topFile bool // the script of -File
}

func (t *blockStage) formals() ([]formal, error) {
	ast := t.b.ast
	anyPos := false
	for _, p := range ast.params {
		anyPos = anyPos || p.pos > 0
	}
	var out []formal
	for i, p := range ast.params {
		f := formal{name: p.name, aliases: p.aliases, need: p.need, pipe: p.pipe, byName: p.pipeName, rest: p.rest, isOn: p.isSwitch}
		switch {
		case p.isSwitch:
		case p.pos > 0:
			f.pos = p.pos
		case !anyPos && ast.positive:
			f.pos = i + 1
		}
		if p.typ != nil {
			typ, err := t.s.resolve(p.typ)
			if err != nil {
				return nil, err
			}
			f.typ = typ
		}
		if len(p.checks) > 0 || p.need {
			f.check = t.checker(p)
		}
		t.pipes = t.pipes || p.pipe || p.pipeName
		out = append(out, f)
	}
	return out, nil
}

// in runs a part of the block in its scope.
func (t *blockStage) in(body []stmt, out *port) error {
	s := t.s
	scope, src, at := s.scope, s.src, s.at
	s.scope, s.src = t.sc, t.b.ast.src
	err := s.run(body, out)
	s.scope, s.src, s.at = scope, src, at
	if is[*returnErr](err) {
		return nil
	}
	var exit *exitErr
	if t.file && errors.As(err, &exit) {
		s.global.set("lastexitcode", int32(exit.code))
		s.failed = s.failed || exit.code != 0
		t.done = true
		return nil
	}
	return err
}

func (t *blockStage) begin() error {
	s := t.s
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	parent := s.scope
	if t.b.scope != nil {
		parent = t.b.scope
	}
	t.sc = s.scope
	if !t.dot {
		t.sc = newScope(parent)
		t.sc.script = t.file || t.topFile
		t.sc.name = t.name
	}
	forms, err := t.formals()
	if err != nil {
		return err
	}
	suffix := t.name
	t.bind = &binding{s: s, what: t.name, suffix: suffix, forms: forms, common: t.b.ast.cmdlet, loose: !t.b.ast.cmdlet}
	if err := t.bind.bind(t.args); err != nil {
		return err
	}
	t.given = map[string]bool{}
	for k := range t.bind.values {
		t.given[k] = true
	}
	if err := t.setParams(); err != nil {
		return err
	}
	if len(t.b.ast.params) == 0 || t.bind.loose {
		if !t.dot || len(t.args) > 0 {
			t.sc.vars["args"] = &variable{name: "args", val: &Array{Elem: t.bind.rest, params: t.bind.params}}
		}
	}
	p := t.bind.prefs
	for key, v := range map[string]string{"erroractionpreference": p.errors, "warningpreference": p.warning, "verbosepreference": p.verbose} {
		if v != "" {
			t.sc.vars[key] = &variable{name: key, val: v}
		}
	}
	if !t.dot {
		t.sc.errorVar = p.errorVar
	}
	if p.outVar != "" {
		out := t.out
		t.out = &port{put: func(x any) error { s.appendVar(p.outVar, x); return out.put(x) }}
	}
	if t.b.ast.begin != nil {
		return t.in(t.b.ast.begin, t.out)
	}
	return nil
}

// setParams makes variables of the parameters.
func (t *blockStage) setParams() error {
	s := t.s
	bound := NewHash(false)
	for _, p := range t.b.ast.params {
		var typ *Type
		var err error
		if p.typ != nil {
			if typ, err = s.resolve(p.typ); err != nil {
				return err
			}
		}
		v, ok := t.bind.values[strings.ToLower(p.name)]
		if ok {
			bound.Set(p.name, v)
		} else {
			scope, src := s.scope, s.src
			s.scope, s.src = t.sc, t.b.ast.src
			v, err = t.fallback(p, typ)
			s.scope, s.src = scope, src
			if err != nil {
				return err
			}
		}
		t.sc.vars[p.key] = &variable{name: p.name, val: v, typ: typ}
	}
	if t.b.ast.hasParam {
		t.sc.bound = bound
	}
	return nil
}

// fallback is what a parameter has that was not given.
func (t *blockStage) fallback(p *paramAST, typ *Type) (any, error) {
	s := t.s
	if p.isSwitch && p.def == nil {
		return false, nil
	}
	if p.def != nil {
		v, err := s.plain(p.def)
		if err != nil || typ == nil {
			return v, err
		}
		return s.castTo(v, typ)
	}
	if typ == nil {
		return nil, nil
	}
	switch typ.name {
	case "System.String":
		return "", nil
	case "System.Int32":
		return int32(0), nil
	case "System.Int64":
		return int64(0), nil
	case "System.Double":
		return float64(0), nil
	case "System.Boolean":
		return false, nil
	case "System.Byte":
		return byte(0), nil
	}
	return nil, nil
}

func (t *blockStage) process(v any) error {
	s := t.s
	if err := s.step(); err != nil {
		return err
	}
	t.piped = true
	if t.done {
		return nil
	}
	if t.pipes {
		for k := range t.bind.values {
			if !t.given[k] {
				delete(t.bind.values, k)
			}
		}
		if _, err := t.bind.fromPipe(v, t.given); err != nil {
			return s.report(err, t.bind.prefs.errors, nil)
		}
		if err := t.bind.missing(false); err != nil {
			return err
		}
		for _, p := range t.b.ast.params {
			if x, ok := t.bind.values[strings.ToLower(p.name)]; ok && !t.given[strings.ToLower(p.name)] {
				t.sc.vars[p.key] = &variable{name: p.name, val: x}
				if t.sc.bound != nil {
					t.sc.bound.Set(p.name, x)
				}
			}
		}
	}
	if t.b.ast.hasProc {
		old, had := t.sc.vars["_"]
		t.sc.vars["_"] = &variable{name: "_", val: v}
		t.sc.vars["input"] = &variable{name: "input", val: newEnumerator([]any{v})}
		err := t.inNested(t.b.ast.process)
		if delete(t.sc.vars, "_"); had {
			t.sc.vars["_"] = old
		}
		return err
	}
	if t.b.ast.input {
		t.input = append(t.input, v)
	}
	return nil
}

func (t *blockStage) inNested(body []stmt) error {
	if err := t.s.enter(); err != nil {
		return err
	}
	defer t.s.leave()
	return t.in(body, t.out)
}

func (t *blockStage) alone() error {
	if err := t.bind.missing(false); err != nil {
		return err
	}
	if t.b.ast.hasProc && !t.done {
		return t.inNested(t.b.ast.process)
	}
	return nil
}

func (t *blockStage) end() error {
	if !t.piped {
		if err := t.bind.missing(false); err != nil {
			return err
		}
	}
	if t.b.ast.end == nil || t.done {
		return nil
	}
	if !t.dot || t.piped {
		t.sc.vars["input"] = &variable{name: "input", val: newEnumerator(t.input)}
	}
	return t.inNested(t.b.ast.end)
}

// invokeBlock runs a block in the caller's scope with $_ set: what ForEach-Object
// and the like do.
func (s *shell) invokeBlock(b *Block, input any, args []any) ([]any, error) {
	return s.outputs(func(p *port) error { return s.blockTo(b, input, args, p) })
}

// blockTo is invokeBlock with a port for what the block writes.
func (s *shell) blockTo(b *Block, input any, args []any, out *port) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	sc := s.scope
	if b.scope != nil {
		sc = newScope(b.scope)
	}
	old, had := sc.vars["_"]
	sc.vars["_"] = &variable{name: "_", val: input}
	defer func() {
		if delete(sc.vars, "_"); had {
			sc.vars["_"] = old
		}
	}()
	if len(args) > 0 || b.ast.hasParam {
		acts := make([]actual, len(args))
		for i, a := range args {
			acts[i] = actual{value: a}
		}
		t := &blockStage{s: s, b: b, args: acts, out: out}
		if err := t.begin(); err != nil {
			return err
		}
		return t.end()
	}
	scope, src, at := s.scope, s.src, s.at
	s.scope, s.src = sc, b.ast.src
	err := s.run(b.ast.end, out)
	if b.ast.hasProc && err == nil {
		err = s.run(b.ast.process, out)
	}
	s.scope, s.src, s.at = scope, src, at
	if is[*returnErr](err) {
		return nil
	}
	return err
}

// checker tests a value for a parameter's validation attributes.
func (t *blockStage) checker(p *paramAST) func(any) error {
	s := t.s
	return func(v any) error {
		for _, c := range p.checks {
			if c.kind == "allownull" || c.kind == "allowemptystring" || c.kind == "allowemptycollection" {
				return nil
			}
		}
		if p.need {
			if v == nil {
				return fault("", "The argument is null.")
			}
			if str, ok := v.(string); ok && str == "" {
				return fault("", "The argument is an empty string.")
			}
			if a, ok := v.(*Array); ok && len(a.Elem) == 0 {
				return fault("", "The argument is an empty array.")
			}
		}
		for _, c := range p.checks {
			if c.kind == "notnull" && v == nil || c.kind == "notnullorempty" && (v == nil || s.text(v) == "" && len(elements(v)) <= 1) {
				return fault("", "The argument is null or empty.")
			}
			if c.kind == "count" {
				n := len(elements(v))
				lo, _ := asInt(c.args[0])
				hi, _ := asInt(c.args[1])
				if int64(n) < lo || int64(n) > hi {
					return fault("", "The number of values, %d, is not between %d and %d.", n, lo, hi)
				}
				continue
			}
			for _, x := range elements(v) {
				if err := t.checkOne(c, x); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

func (t *blockStage) checkOne(c check, x any) error {
	s := t.s
	switch c.kind {
	case "set":
		var names []string
		for _, a := range c.args {
			names = append(names, s.text(a))
		}
		return oneOf(s.text(x), names)
	case "range":
		lo, err := s.order(x, c.args[0], false)
		if err != nil {
			return err
		}
		hi, err := s.order(x, c.args[1], false)
		if err != nil {
			return err
		}
		if lo < 0 || hi > 0 {
			return fault("", "The argument %s is not between %s and %s.", s.text(x), s.text(c.args[0]), s.text(c.args[1]))
		}
	case "pattern":
		p, err := s.pattern(s.text(c.args[0]), true, 0)
		if err != nil {
			return err
		}
		f, err := s.first(p, s.text(x))
		if err != nil {
			return err
		}
		if f == nil {
			return fault("", "The argument \"%s\" does not match the \"%s\" pattern.", s.text(x), s.text(c.args[0]))
		}
	case "length":
		n := int64(length16(s.text(x)))
		lo, _ := asInt(c.args[0])
		hi, _ := asInt(c.args[1])
		if n < lo || n > hi {
			return fault("", "The argument's length, %d, is not between %d and %d.", n, lo, hi)
		}
	case "script":
		out, err := s.invokeBlock(&Block{ast: c.body}, x, nil)
		if err != nil {
			return err
		}
		if !truth(collect(out)) {
			return fault("", "The validation script gave no true result for \"%s\".", s.text(x))
		}
	}
	return nil
}
