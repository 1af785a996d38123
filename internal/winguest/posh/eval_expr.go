package posh

import (
	"strings"
)

// void is what a method without a result gives: nothing goes down the pipeline.
type void struct{}

// eval gives the value of an expression; never void inside of another one.
func (s *shell) eval(e expr) (any, error) {
	switch e := e.(type) {
	case *constExpr:
		return e.v, nil
	case *varExpr:
		return s.readVar(e)
	case *stringExpr:
		return s.expand(e)
	case *binaryExpr:
		return s.binary(e)
	case *unaryExpr:
		return s.unary(e)
	case *memberExpr:
		return s.member(e)
	case *indexExpr:
		return s.index(e)
	case *parenExpr:
		return s.paren(e)
	case *subExpr:
		return s.block(e.body)
	case *arrayExpr:
		return s.array(e)
	case *listExpr:
		a := &Array{Elem: make([]any, len(e.items))}
		for i, x := range e.items {
			v, err := s.plain(x)
			if err != nil {
				return nil, err
			}
			a.Elem[i] = v
		}
		return a, nil
	case *hashExpr:
		return s.hash(e)
	case *blockExpr:
		return &Block{ast: e.body}, nil
	case *castExpr:
		return s.castValue(e)
	case *typeExpr:
		return s.resolve(e.typ)
	case *stepExpr:
		return s.step1(e)
	}
	return nil, s.refuse("this expression")
}

// array is the value of @( ): what its statements write, or the elements of its
// expression.
func (s *shell) array(e *arrayExpr) (any, error) {
	if len(e.body) == 1 {
		if x := pureOf(e.body[0]); x != nil {
			v, err := s.evalTop(x)
			if _, none := v.(void); none || err != nil {
				return &Array{}, err
			}
			if l, ok := list(v); ok {
				return &Array{Elem: append([]any(nil), l...)}, nil
			}
			return &Array{Elem: []any{v}}, nil
		}
	}
	out, err := s.outputs(func(p *port) error { return s.run(e.body, p) })
	if err != nil {
		return nil, err
	}
	return &Array{Elem: out}, nil
}

// pureOf is the expression that a statement is, or nil.
func pureOf(st stmt) expr {
	if p, ok := st.(*pipeStmt); ok && len(p.elems) == 1 && len(p.elems[0].redirs) == 0 {
		return p.elems[0].e
	}
	return nil
}

// plain is eval with nothing instead of void.
func (s *shell) plain(e expr) (any, error) {
	v, err := s.eval(e)
	if _, none := v.(void); none {
		v = nil
	}
	return v, err
}

func (s *shell) expand(e *stringExpr) (any, error) {
	var b strings.Builder
	for _, p := range e.parts {
		if c, ok := p.(*constExpr); ok {
			b.WriteString(c.v.(string))
			continue
		}
		v, err := s.plain(p)
		if err != nil {
			return nil, err
		}
		b.WriteString(s.text(v))
		if b.Len() > maxText {
			return nil, tooBig("a string")
		}
	}
	return b.String(), nil
}

// block is the value of $( ).
func (s *shell) block(body []stmt) (any, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	out, err := s.outputs(func(p *port) error { return s.run(body, p) })
	if err == nil && len(out) == 0 {
		return void{}, nil
	}
	return collect(out), err
}

// paren is the value of ( ): also of an assignment or a step inside of it.
func (s *shell) paren(e *parenExpr) (any, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	if x := pureOf(e.body); x != nil {
		return s.eval(x)
	}
	return s.result(e.body)
}

func (s *shell) hash(e *hashExpr) (any, error) {
	h := NewHash(e.ordered)
	for i, k := range e.keys {
		key, err := s.plain(k)
		if err != nil {
			return nil, err
		}
		if key == nil {
			return nil, &Error{ID: "InvalidNullKey", Category: "InvalidArgument", Message: "A null key is not allowed in a hash literal."}
		}
		v, err := s.value(e.vals[i])
		if err != nil {
			return nil, err
		}
		if _, there := h.Get(key); there {
			return nil, &Error{ID: "DuplicateKeyInHashLiteral", Category: "InvalidOperation", Message: "Duplicate keys '" + s.text(key) + "' are not allowed in hash literals."}
		}
		h.Set(key, v)
	}
	return h, nil
}

func (s *shell) castValue(e *castExpr) (any, error) {
	if h, ok := e.x.(*hashExpr); ok && e.typ.elem == nil {
		switch strings.ToLower(e.typ.name) {
		case "pscustomobject", "system.management.automation.pscustomobject":
			v, err := s.hash(&hashExpr{span: h.span, keys: h.keys, vals: h.vals, ordered: true})
			if err != nil {
				return nil, err
			}
			return s.castObject(v, &Type{name: customObject})
		}
	}
	t, err := s.resolve(e.typ)
	if err != nil {
		return nil, err
	}
	if t.name == "System.Management.Automation.PSReference" {
		return s.reference(e.x)
	}
	v, err := s.plain(e.x)
	if err != nil {
		return nil, err
	}
	if t.name == "System.Void" {
		return void{}, nil
	}
	return s.castTo(v, t)
}

// reference is [ref]$variable.
func (s *shell) reference(x expr) (any, error) {
	e, ok := x.(*varExpr)
	if !ok || e.drive != "" {
		return nil, s.refuse("[ref] of something that is not a plain variable")
	}
	v := s.find(e.key)
	if v == nil {
		return nil, &Error{ID: "NonExistingVariableReference", Category: "InvalidOperation", Message: "[ref] cannot be applied to the variable '" + e.name + "', which does not exist."}
	}
	return &reference{v: v}, nil
}

func (s *shell) unary(e *unaryExpr) (any, error) {
	v, err := s.plain(e.x)
	if err != nil {
		return nil, err
	}
	switch e.op {
	case "not":
		return !truth(v), nil
	case "-":
		return negate(v)
	case "+":
		return toNumber(v, "System.Int32")
	case "bnot":
		n, err := toNumber(v, "System.Int32")
		if err != nil {
			return nil, err
		}
		switch x := n.(type) {
		case int32:
			return ^x, nil
		case uint32:
			return ^x, nil
		case uint64:
			return ^x, nil
		}
		i, err := toInt(n, "System.Int64", -1<<63, 1<<63)
		return ^i, err
	case "join":
		return textWith(&Array{Elem: elements(v)}, ""), nil
	case "split", "csplit":
		var out []any
		for _, x := range elements(v) {
			parts, err := s.split(strings.TrimSpace(s.text(x)), nil, false)
			if err != nil {
				return nil, err
			}
			out = append(out, parts...)
		}
		return &Array{Elem: out, Type: "string"}, nil
	}
	return nil, s.refuse("the operator %s", e.op)
}

func (s *shell) binary(e *binaryExpr) (any, error) {
	x, err := s.plain(e.x)
	if err != nil {
		return nil, err
	}
	switch e.op {
	case "and":
		if !truth(x) {
			return false, nil
		}
		y, err := s.plain(e.y)
		return truth(y), err
	case "or":
		if truth(x) {
			return true, nil
		}
		y, err := s.plain(e.y)
		return truth(y), err
	}
	y, err := s.plain(e.y)
	if err != nil {
		return nil, err
	}
	switch e.op {
	case "+", "-", "*", "/", "%":
		return s.arith(e.op, x, y)
	case "xor":
		return truth(x) != truth(y), nil
	case "..":
		return s.rangeOf(x, y)
	case "f":
		args := []any{y}
		if l, ok := list(y); ok {
			args = l
		}
		return s.format(s.text(x), args)
	case "band", "bor", "bxor", "shl", "shr":
		return s.bits(e.op, x, y)
	case "join":
		if _, ok := list(x); !ok {
			return s.text(x), nil
		}
		return textWith(&Array{Elem: elements(x)}, s.text(y)), nil
	case "is", "isnot":
		t, err := s.typeArg(y)
		if err != nil {
			return nil, err
		}
		return isType(x, t) == (e.op == "is"), nil
	case "as":
		t, err := s.typeArg(y)
		if err != nil {
			return nil, err
		}
		v, err := s.castTo(x, t)
		if err != nil && !s.passes(err) {
			return nil, nil
		}
		return v, err
	case "split":
		args := []any{y}
		if l, ok := list(y); ok {
			args = l
		}
		var out []any
		for _, t := range elements(x) {
			parts, err := s.split(s.text(t), args, e.exact)
			if err != nil {
				return nil, err
			}
			out = append(out, parts...)
		}
		return &Array{Elem: out, Type: "string"}, nil
	case "replace":
		var pat, with any = y, nil
		if l, ok := list(y); ok {
			pat = nil
			if len(l) > 0 {
				pat = l[0]
			}
			if len(l) > 1 {
				with = l[1]
			}
			if len(l) > 2 {
				return nil, &Error{ID: "BadReplaceArgument", Category: "InvalidOperation", Message: "The -replace operator allows only two elements to follow it, not " + toText(int32(len(l))) + "."}
			}
		}
		p, err := s.regexOperand(pat, e.exact)
		if err != nil {
			return nil, err
		}
		put := substitution(s.text(with))
		return s.each(x, func(v any) (any, error) { return s.replaceAll(p, s.text(v), -1, put) })
	}
	return s.compare(e, x, y)
}

func (s *shell) typeArg(v any) (*Type, error) {
	if t, ok := v.(*Type); ok {
		return t, nil
	}
	return s.typeFromText(s.text(v))
}

// each applies an operator to a value, or to all elements of a collection.
func (s *shell) each(v any, f func(any) (any, error)) (any, error) {
	l, ok := list(v)
	if !ok {
		return f(v)
	}
	out := make([]any, 0, len(l))
	for _, x := range l {
		y, err := f(x)
		if err != nil {
			return nil, err
		}
		out = append(out, y)
	}
	return &Array{Elem: out}, nil
}

func (s *shell) rangeOf(x, y any) (any, error) {
	a, err := s.toInt32(x)
	if err != nil {
		return nil, err
	}
	b, err := s.toInt32(y)
	if err != nil {
		return nil, err
	}
	n := int64(b) - int64(a)
	if n < 0 {
		n = -n
	}
	if (n+1)*16 > maxText {
		return nil, tooBig("a range")
	}
	out := make([]any, 0, n+1)
	step := int32(1)
	if b < a {
		step = -1
	}
	for i := a; ; i += step {
		out = append(out, i)
		if i == b {
			return &Array{Elem: out}, nil
		}
	}
}

func (s *shell) bits(op string, x, y any) (any, error) {
	a, err := toNumber(x, "System.Int32")
	if err != nil {
		return nil, err
	}
	b, err := toNumber(y, "System.Int32")
	if err != nil {
		return nil, err
	}
	i, err := toInt(a, "System.Int64", -1<<63, 1<<63)
	if err != nil {
		return nil, err
	}
	j, err := toInt(b, "System.Int64", -1<<63, 1<<63)
	if err != nil {
		return nil, err
	}
	_, wide := a.(int64)
	if op == "shl" || op == "shr" {
		if !wide {
			k := uint(j) & 31
			if op == "shl" {
				return int32(i) << k, nil
			}
			return int32(i) >> k, nil
		}
		k := uint(j) & 63
		if op == "shl" {
			return i << k, nil
		}
		return i >> k, nil
	}
	if _, ok := b.(int64); ok {
		wide = true
	}
	switch op {
	case "band":
		i &= j
	case "bor":
		i |= j
	case "bxor":
		i ^= j
	}
	if ev, ok := x.(enumVal); ok {
		return enumVal{ev.typ, i}, nil
	}
	if wide || i < -1<<31 || i >= 1<<31 {
		return i, nil
	}
	return int32(i), nil
}

// compare does the operators that give a truth value, or filter a collection.
func (s *shell) compare(e *binaryExpr, x, y any) (any, error) {
	switch e.op {
	case "contains", "notcontains":
		return s.contains(x, y, e.exact) == (e.op == "contains"), nil
	case "in", "notin":
		return s.contains(y, x, e.exact) == (e.op == "in"), nil
	}
	l, filter := list(x)
	if !filter {
		return s.test(e, x, y)
	}
	if e.op == "match" || e.op == "notmatch" { // of a collection $Matches tells nothing
		defer s.shadow("matches", nil)()
	}
	out := &Array{}
	for _, v := range l {
		ok, err := s.test(e, v, y)
		if err != nil {
			return nil, err
		}
		if ok {
			out.Elem = append(out.Elem, v)
		}
	}
	return out, nil
}

func (s *shell) contains(all, x any, exact bool) bool {
	for _, v := range elements(all) {
		if s.equal(v, x, exact) {
			return true
		}
	}
	return all == nil && x == nil
}

func (s *shell) test(e *binaryExpr, x, y any) (bool, error) {
	switch e.op {
	case "eq":
		return s.equal(x, y, e.exact), nil
	case "ne":
		return !s.equal(x, y, e.exact), nil
	case "like", "notlike":
		return s.like(s.text(x), s.text(y), e.exact) == (e.op == "like"), nil
	case "match", "notmatch":
		p, err := s.regexOperand(y, e.exact)
		if err != nil {
			return false, err
		}
		ok, err := s.match(s.text(x), p)
		return ok == (e.op == "match"), err
	}
	c, err := s.order(x, y, e.exact)
	if err != nil {
		return false, err
	}
	switch e.op {
	case "lt":
		return c < 0, nil
	case "le":
		return c <= 0, nil
	case "gt":
		return c > 0, nil
	case "ge":
		return c >= 0, nil
	}
	return false, s.refuse("the operator -%s", e.op)
}
