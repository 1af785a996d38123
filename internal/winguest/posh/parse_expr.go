package posh

import "strings"

const (
	levelLogic = iota + 1
	levelBits
	levelCompare
	levelAdd
	levelMultiply
	levelFormat
	levelRange
	levelList
)

var binaryLevels = map[string]int{
	"and": levelLogic, "or": levelLogic, "xor": levelLogic,
	"band": levelBits, "bor": levelBits, "bxor": levelBits,
	"eq": levelCompare, "ne": levelCompare, "gt": levelCompare, "ge": levelCompare, "lt": levelCompare, "le": levelCompare,
	"like": levelCompare, "notlike": levelCompare, "match": levelCompare, "notmatch": levelCompare,
	"replace": levelCompare, "contains": levelCompare, "notcontains": levelCompare, "in": levelCompare, "notin": levelCompare,
	"split": levelCompare, "join": levelCompare, "is": levelCompare, "isnot": levelCompare, "as": levelCompare,
	"shl": levelCompare, "shr": levelCompare,
	"f": levelFormat,
}

// hasCase are the operators that have an i and a c form.
var hasCase = map[string]bool{"eq": true, "ne": true, "gt": true, "ge": true, "lt": true, "le": true, "like": true,
	"notlike": true, "match": true, "notmatch": true, "replace": true, "contains": true, "notcontains": true, "in": true,
	"notin": true, "split": true}

func (p *parser) expression() expr { return p.binary(levelLogic) }

func (p *parser) binary(level int) expr {
	if level == levelList {
		return p.list()
	}
	p.enter()
	defer p.leave()
	x := p.binary(level + 1)
	for {
		j := p.i
		p.blanks()
		op, exact, n := p.operator()
		if n == 0 || operatorLevel(op) != level {
			p.i = j
			return x
		}
		at := p.i
		p.i += n
		p.lines()
		p.needValue(at, op)
		y := p.binary(level + 1)
		x = &binaryExpr{span: span{x.where().from, p.i}, op: op, exact: exact, x: x, y: y}
	}
}

func (p *parser) needValue(at int, op string) {
	if c := p.peek(0); p.end() || c == ')' || c == '}' || c == ';' || c == ']' || c == '|' {
		p.fail(at, "ExpectedValueExpression", "A value is missing on the right side of the operator '%s'.", op)
	}
}

func operatorLevel(op string) int {
	switch op {
	case "+", "-":
		return levelAdd
	case "*", "/", "%":
		return levelMultiply
	case "..":
		return levelRange
	}
	return binaryLevels[op]
}

// operator looks at a binary operator; n is its length in the text, 0 for none.
func (p *parser) operator() (op string, exact bool, n int) {
	c, d := p.peek(0), p.peek(1)
	switch {
	case isDash(c) && (isWord(d)) && !isDigit(d):
		j := 1
		for isWord(p.peek(j)) {
			j++
		}
		w := strings.ToLower(string(p.t[p.i+1 : p.i+j]))
		if _, ok := binaryLevels[w]; ok {
			return w, false, j
		}
		if len(w) > 1 && (w[0] == 'i' || w[0] == 'c') && hasCase[w[1:]] {
			return w[1:], w[0] == 'c', j
		}
		return "", false, 0
	case d == '=' && (c == '+' || isDash(c) || c == '*' || c == '/' || c == '%'):
		return "", false, 0
	case isDash(c) && !isDash(d):
		return "-", false, 1
	case c == '+' && d != '+', c == '*', c == '/', c == '%':
		return string(c), false, 1
	case c == '.' && d == '.':
		return "..", false, 2
	}
	return "", false, 0
}

func (p *parser) list() expr {
	x := p.unary()
	if p.noSep > 0 {
		return x
	}
	var l *listExpr
	for {
		j := p.i
		p.blanks()
		if p.peek(0) != ',' {
			p.i = j
			break
		}
		p.i++
		p.lines()
		if c := p.peek(0); p.end() || c == ')' || c == '}' || c == ';' || c == ']' || c == '|' {
			p.fail(j, "MissingExpressionAfterToken", "A value is missing behind ','.")
		}
		if l == nil {
			l = &listExpr{span: x.where(), items: []expr{x}}
		}
		l.items = append(l.items, p.unary())
		l.to = p.i
	}
	if l == nil {
		return x
	}
	return l
}

// unaryWord is an operator such as -not at this place.
func (p *parser) unaryWord() (op string, exact bool, n int) {
	if !isDash(p.peek(0)) {
		return "", false, 0
	}
	j := 1
	for isWord(p.peek(j)) {
		j++
	}
	switch w := strings.ToLower(string(p.t[p.i+1 : min(p.i+j, len(p.t))])); w {
	case "not", "bnot", "split", "join":
		return w, false, j
	case "isplit":
		return "split", false, j
	case "csplit":
		return "split", true, j
	}
	return "", false, 0
}

func (p *parser) unary() expr {
	p.enter()
	defer p.leave()
	p.blanks()
	at := p.i
	c, d := p.peek(0), p.peek(1)
	operand := func(op string, n int) expr {
		p.i += n
		p.lines()
		if p.end() || p.peek(0) == ')' || p.peek(0) == '}' {
			p.fail(at, "MissingExpressionAfterOperator", "A value is missing behind the operator '%s'.", op)
		}
		return p.unary()
	}
	if op, exact, n := p.unaryWord(); n > 0 {
		if op != "split" || !exact {
			return &unaryExpr{span: span{at, p.i}, op: op, x: operand(op, n)}
		}
		return &unaryExpr{span: span{at, p.i}, op: "csplit", x: operand(op, n)}
	}
	switch {
	case c == '!':
		return &unaryExpr{span: span{at, at + 1}, op: "not", x: operand("!", 1)}
	case c == ',':
		l := &listExpr{span: span{at, at}, items: []expr{operand(",", 1)}}
		l.to = p.i
		return l
	case c == '+' && d == '+' || isDash(c) && isDash(d):
		by := 1
		if c != '+' {
			by = -1
		}
		x := operand("++", 2)
		p.assignable(x)
		return &stepExpr{span: span{at, p.i}, x: x, by: by, prefix: true}
	case c == '+':
		return &unaryExpr{span: span{at, at + 1}, op: "+", x: operand("+", 1)}
	case isDash(c):
		if isDigit(d) || d == '.' && isDigit(p.peek(2)) {
			p.i++
			if v, text, ok := p.number(true); ok {
				return p.postfixOf(&constExpr{span: span{at, p.i}, v: v, text: "-" + text})
			}
			p.i = at
		}
		x := operand("-", 1)
		return &unaryExpr{span: span{at, p.i}, op: "-", x: x}
	case c == '[':
		return p.typeOrCast()
	}
	return p.postfix()
}

// typeOrCast reads [type], then either a member of it or the value that is cast.
func (p *parser) typeOrCast() expr {
	at := p.i
	p.i++
	k := p.i
	for isWord(p.peek(0)) || p.peek(0) == '.' {
		p.i++
	}
	name := strings.ToLower(string(p.t[k:p.i]))
	if p.peek(0) == '(' {
		p.refuse(at, "the attribute [%s()] of a variable", name)
	}
	p.i = k
	t := p.typeInside()
	te := &typeExpr{span: span{at, p.i}, typ: t}
	if p.peek(0) == ':' && p.peek(1) == ':' || p.peek(0) == '.' && p.peek(1) != '.' {
		return p.postfixOf(te)
	}
	j := p.i
	p.blanks()
	c, d := p.peek(0), p.peek(1)
	_, _, n := p.unaryWord()
	starts := isSingle(c) || isDouble(c) || c == '$' || c == '(' || c == '{' || c == '[' || c == '!' || isDigit(c) ||
		c == '@' && (d == '(' || d == '{' || isSingle(d) || isDouble(d)) || n > 0 ||
		(isDash(c) || c == '+') && (isDigit(d) || d == '$' || d == '(' || d == '.' || c == d) || c == '.' && isDigit(d)
	if !starts {
		p.i = j
		return te
	}
	x := p.unary()
	if strings.EqualFold(t.name, "ordered") && t.elem == nil {
		h, ok := x.(*hashExpr)
		if !ok {
			p.fail(at, "OrderedAttributeOnlyOnHashLiteralNode", "[ordered] can stand only before a hash literal.")
		}
		h.ordered = true
		return h
	}
	return &castExpr{span: span{at, p.i}, typ: t, x: x}
}

// typeInside reads a type's name behind its opening bracket, with the closing one.
func (p *parser) typeInside() *typeName {
	p.enter()
	defer p.leave()
	bad := func() {
		p.fail(p.i, "EndSquareBracketExpectedAtEndOfAttribute", "The ']' at the end of an attribute or type is missing.")
	}
	p.blanks()
	k := p.i
	for c := p.peek(0); isWord(c) || c == '.' || c == '+' || c == '`'; c = p.peek(0) {
		p.i++
	}
	t := &typeName{name: string(p.t[k:p.i])}
	if t.name == "" {
		p.fail(p.i, "MissingTypename", "A type's name is missing behind '['.")
	}
	for {
		p.blanks()
		switch p.peek(0) {
		case ']':
			p.i++
			return t
		case '[':
			p.i++
			p.blanks()
			switch c := p.peek(0); {
			case c == ']':
				p.i++
				t = &typeName{name: "array", elem: t}
			case c == ',':
				p.refuse(p.i, "an array of more than one dimension")
			default:
				t.args = append(t.args, p.typeArgs()...)
			}
		default:
			bad()
		}
	}
}

func (p *parser) typeArgs() []*typeName {
	var out []*typeName
	for {
		p.blanks()
		k := p.i
		if p.peek(0) == '[' {
			p.i++
			out = append(out, p.typeInside())
		} else {
			for c := p.peek(0); isWord(c) || c == '.' || c == '+' || c == '`'; c = p.peek(0) {
				p.i++
			}
			if p.i == k {
				p.fail(p.i, "MissingTypename", "A type's name is missing behind '['.")
			}
			t := &typeName{name: string(p.t[k:p.i])}
			for p.peek(0) == '[' && p.peek(1) == ']' {
				p.i += 2
				t = &typeName{name: "array", elem: t}
			}
			out = append(out, t)
		}
		p.blanks()
		if p.peek(0) == ',' {
			p.i++
			continue
		}
		if p.peek(0) != ']' {
			p.fail(p.i, "EndSquareBracketExpectedAtEndOfType", "The ']' at the end of a type is missing.")
		}
		p.i++
		return out
	}
}

func (p *parser) postfix() expr { return p.postfixOf(p.primary()) }

func (p *parser) postfixOf(x expr) expr {
	for {
		at := x.where().from
		c, d := p.peek(0), p.peek(1)
		switch {
		case c == '.' && d != '.':
			p.i++
			p.lines()
			x = p.member(at, x, false)
		case c == ':' && d == ':':
			p.i += 2
			p.lines()
			x = p.member(at, x, true)
		case c == '[':
			open := p.i
			p.i++
			noSep := p.noSep
			p.noSep = 0
			p.lines()
			if p.end() || p.peek(0) == ']' {
				p.fail(p.i, "MissingArrayIndexExpression", "The index is missing behind '['.")
			}
			i := p.expression()
			p.noSep = noSep
			p.lines()
			if p.peek(0) != ']' {
				p.fail(open, "MissingEndSquareBracket", "The closing ']' of an index is missing.")
			}
			p.i++
			x = &indexExpr{span: span{at, p.i}, x: x, i: i}
		case c == '+' && d == '+' || isDash(c) && isDash(d):
			if !isAssignable(x) {
				return x
			}
			by := 1
			if c != '+' {
				by = -1
			}
			p.i += 2
			return &stepExpr{span: span{at, p.i}, x: x, by: by}
		default:
			return x
		}
	}
}

func (p *parser) member(at int, x expr, static bool) expr {
	m := &memberExpr{span: span{at, p.i}, x: x, static: static}
	c := p.peek(0)
	switch {
	case isSingle(c) || isDouble(c):
		m.name = p.primary()
	case c == '$' || c == '(':
		m.name = p.primaryOrNil()
	case isWord(c):
		k := p.i
		for isWord(p.peek(0)) {
			p.i++
		}
		m.name = &constExpr{span: span{k, p.i}, v: string(p.t[k:p.i])}
	}
	if m.name == nil {
		p.fail(p.i, "MissingPropertyName", "The name of a member is missing behind the operator.")
	}
	switch p.peek(0) {
	case '(':
		open := p.i
		p.i++
		m.call = true
		p.noSep++
		for {
			p.lines()
			if p.peek(0) == ')' {
				p.i++
				break
			}
			if p.end() {
				p.fail(open, "MissingEndParenthesisInMethodCall", "The closing ')' of a method call is missing.")
			}
			if len(m.args) > 0 {
				if p.peek(0) != ',' {
					p.fail(p.i, "MissingEndParenthesisInMethodCall", "The closing ')' of a method call is missing.")
				}
				p.i++
				p.lines()
				if p.end() || p.peek(0) == ')' {
					p.fail(p.i, "MissingExpressionAfterToken", "A value is missing behind ','.")
				}
			}
			m.args = append(m.args, p.expression())
		}
		p.noSep--
	case '{':
		if n, ok := m.name.(*constExpr); ok && (strings.EqualFold(toText(n.v), "foreach") || strings.EqualFold(toText(n.v), "where")) {
			m.call = true
			m.args = []expr{p.primary()}
		}
	}
	m.to = p.i
	return m
}

// primary reads a value without what may follow it.
func (p *parser) primary() expr {
	x := p.primaryOrNil()
	if x == nil {
		if p.peek(0) == '@' {
			p.at()
		}
		p.unexpected()
	}
	return x
}

// at complains about an @ that starts nothing.
func (p *parser) at() {
	if isWord(p.peek(1)) {
		p.fail(p.i, "SplattingNotPermitted", "'@%s' can only stand among the arguments of a command.", string(p.peek(1)))
	}
	p.fail(p.i, "UnrecognizedToken", "Unrecognized token '@'.")
}

func (p *parser) primaryOrNil() expr {
	p.enter()
	defer p.leave()
	at := p.i
	switch c, d := p.peek(0), p.peek(1); {
	case c == '$':
		return p.variable()
	case isSingle(c):
		return p.singleQuoted()
	case isDouble(c):
		return p.doubleQuoted()
	case c == '@' && (isSingle(d) || isDouble(d)):
		return p.hereString()
	case c == '(':
		p.i++
		noSep := p.noSep
		p.noSep = 0
		p.lines()
		if p.peek(0) == ')' {
			p.fail(p.i, "ExpectedExpression", "An expression is missing behind '('.")
		}
		if p.end() {
			p.fail(at, "MissingEndParenthesisInExpression", "The closing ')' is missing in an expression.")
		}
		s := p.pipeline()
		p.closeParen("MissingEndParenthesisInExpression")
		p.noSep = noSep
		return &parenExpr{span: span{at, p.i}, body: s}
	case c == '@' && d == '(':
		p.i += 2
		return &arrayExpr{body: p.untilParen(at, "MissingEndParenthesisInExpression"), span: span{at, p.i}}
	case c == '@' && d == '{':
		return p.hash()
	case c == '{':
		b := p.blockInBraces()
		return &blockExpr{span: span{at, p.i}, body: b}
	case c == '[':
		p.i++
		return &typeExpr{typ: p.typeInside(), span: span{at, p.i}}
	case isDigit(c) || c == '.' && isDigit(d):
		if v, text, ok := p.number(false); ok {
			return &constExpr{span: span{at, p.i}, v: v, text: text}
		}
	}
	return nil
}

func (p *parser) untilParen(at int, id string) []stmt {
	noSep := p.noSep
	p.noSep = 0
	body := p.statements(true)
	p.noSep = noSep
	if p.peek(0) != ')' {
		if p.peek(0) == '}' {
			p.unexpected()
		}
		p.fail(at, id, "The closing ')' is missing in an expression.")
	}
	p.i++
	return body
}

func (p *parser) hash() expr {
	at := p.i
	h := &hashExpr{span: span{at, at}}
	p.i += 2
	noSep := p.noSep
	p.noSep = 0
	seen := map[any]bool{}
	for {
		p.separators()
		if p.peek(0) == '}' {
			p.i++
			p.noSep = noSep
			h.to = p.i
			return h
		}
		if p.end() {
			p.fail(at, "MissingEndCurlyBrace", "The closing '}' of a hash literal is missing.")
		}
		k := p.i
		var key expr
		if c := p.peek(0); isWord(c) && !isDigit(c) {
			w := p.word()
			p.i += len([]rune(w))
			key = &constExpr{span: span{k, p.i}, v: w}
		} else {
			key = p.unary()
		}
		if c, ok := key.(*constExpr); ok {
			v := c.v
			if s, isText := v.(string); isText {
				v = foldKey(s)
			}
			if seen[v] {
				p.fail(k, "DuplicateKeyInHashLiteral", "The key '%s' stands twice in a hash literal.", toText(c.v))
			}
			seen[v] = true
		}
		p.lines()
		if p.peek(0) != '=' {
			p.fail(p.i, "MissingEqualsInHashLiteral", "The '=' is missing behind a key in a hash literal.")
		}
		p.i++
		p.lines()
		if p.end() || p.peek(0) == '}' || p.peek(0) == ';' {
			p.fail(p.i, "MissingStatementInHashLiteral", "The value is missing behind '=' in a hash literal.")
		}
		h.keys = append(h.keys, key)
		h.vals = append(h.vals, p.statement())
		p.blanks()
		if c := p.peek(0); !p.end() && c != ';' && c != '}' && !isNewline(c) {
			p.unexpected()
		}
	}
}
