package posh

import (
	"math"
	"math/big"
	"strconv"
	"strings"
)

// variable reads what starts with a dollar sign: a variable or a subexpression;
// nil when it is only a dollar sign.
func (p *parser) variable() expr {
	at := p.i
	if p.peek(0) != '$' {
		return nil
	}
	c := p.peek(1)
	switch {
	case c == '(':
		p.i += 2
		body := p.untilParen(at, "MissingEndParenthesisInSubexpression")
		return &subExpr{span: span{at, p.i}, body: body}
	case c == '{':
		p.i += 2
		var name strings.Builder
		for {
			if p.end() || isDouble(p.peek(0)) {
				p.fail(at, "IncompleteDollarVariableReference", "The closing '}' of a variable reference is missing.")
			}
			c := p.peek(0)
			p.i++
			if c == '}' {
				break
			}
			if c == '`' {
				c = p.peek(0)
				p.i++
			}
			name.WriteRune(c)
		}
		if name.Len() == 0 {
			p.fail(at, "EmptyVariableReference", "A name is missing inside of ${}.")
		}
		return p.newVar(at, name.String())
	case c == '$' || c == '?' || c == '^':
		if !isWord(p.peek(2)) || c != '?' {
			p.i += 2
			return p.newVar(at, string(c))
		}
	}
	k := p.i + 1
	j := k
	colon := false
	for j < len(p.t) {
		c := p.t[j]
		if c == ':' {
			if j+1 < len(p.t) && p.t[j+1] == ':' || j == k {
				break
			}
			if !colon && (j+1 >= len(p.t) || !isWord(p.t[j+1]) && p.t[j+1] != '?') {
				p.i = j
				p.fail(at, "InvalidVariableReferenceWithDrive", "A variable reference is not valid: no name follows the ':'. ${} delimits a name.")
			}
			colon = true
		} else if !isWord(c) && c != '?' {
			break
		}
		j++
	}
	if j == k {
		return nil
	}
	p.i = j
	return p.newVar(at, string(p.t[k:j]))
}

func (p *parser) newVar(at int, name string) *varExpr {
	v := &varExpr{span: span{at, p.i}, name: name, key: foldKey(name)}
	if i := strings.IndexByte(name, ':'); i > 0 {
		v.drive, v.key = strings.ToLower(name[:i]), name[i+1:]
		switch v.drive {
		case "global", "local", "script", "private", "variable":
			v.key = foldKey(v.key)
		case "using", "workflow":
			p.refuse(at, "$%s:", v.drive)
		}
	}
	if v.key == "input" && p.block != nil {
		p.block.input = true
	}
	return v
}

func (p *parser) singleQuoted() expr {
	at := p.i
	var b strings.Builder
	for p.i++; ; p.i++ {
		c := p.peek(0)
		if p.end() {
			p.fail(at, "TerminatorExpectedAtEndOfString", "The string is missing the terminator: '.")
		}
		if isSingle(c) {
			if !isSingle(p.peek(1)) {
				p.i++
				return &constExpr{span: span{at, p.i}, v: b.String()}
			}
			p.i++
		}
		b.WriteRune(c)
	}
}

// escape reads a backtick and what it means. Nothing is lost: an unknown escape
// is the character itself.
func (p *parser) escape(b *strings.Builder) {
	p.i++
	c := p.peek(0)
	p.i++
	switch c {
	case '0':
		c = 0
	case 'a':
		c = 7
	case 'b':
		c = 8
	case 'f':
		c = 12
	case 'n':
		c = 10
	case 'r':
		c = 13
	case 't':
		c = 9
	case 'v':
		c = 11
	case 'e':
		if p.core {
			c = 27
		}
	case 'u':
		if p.core && p.peek(0) == '{' {
			j := p.i + 1
			for j < len(p.t) && p.t[j] != '}' {
				j++
			}
			if n, err := strconv.ParseUint(string(p.t[p.i+1:min(j, len(p.t))]), 16, 32); err == nil && n <= 0x10FFFF {
				p.i = min(j+1, len(p.t))
				c = rune(n)
			}
		}
	}
	b.WriteRune(c)
}

// expand is one run of text with expansions in it.
type expand struct {
	p     *parser
	parts []expr
	text  strings.Builder
}

func (x *expand) flush() {
	if x.text.Len() > 0 {
		x.parts = append(x.parts, &constExpr{v: x.text.String()})
		x.text.Reset()
	}
}

// dollar reads a $ inside of text.
func (x *expand) dollar() {
	p := x.p
	at := p.i
	if p.peek(1) == '(' {
		defer func() {
			if r := recover(); r != nil {
				if e, ok := r.(*parseError); ok && (e.id == "MissingEndParenthesisInSubexpression" || e.id == "TerminatorExpectedAtEndOfString") {
					e.id = "IncompleteDollarSubexpressionReference"
				}
				panic(r)
			}
		}()
	}
	v := p.variable()
	if v == nil {
		p.i = at + 1
		x.text.WriteByte('$')
		return
	}
	x.flush()
	x.parts = append(x.parts, v)
}

func (x *expand) done(at int, bare bool) expr {
	s := span{at, x.p.i}
	if len(x.parts) == 0 {
		return &constExpr{span: s, v: x.text.String(), bare: bare}
	}
	x.flush()
	return &stringExpr{span: s, parts: x.parts, bare: bare}
}

func (p *parser) doubleQuoted() expr {
	p.enter()
	defer p.leave()
	at := p.i
	x := &expand{p: p}
	p.i++
	p.quotedPart(x, at)
	return x.done(at, false)
}

// quotedPart reads up to the closing double quote, and over it.
func (p *parser) quotedPart(x *expand, at int) {
	for {
		c := p.peek(0)
		switch {
		case p.end() || c == '`' && p.i+1 >= len(p.t):
			p.fail(at, "TerminatorExpectedAtEndOfString", "The string is missing the terminator: \".")
		case c == '`':
			p.escape(&x.text)
		case c == '$':
			x.dollar()
		case isDouble(c):
			p.i++
			if !isDouble(p.peek(0)) {
				return
			}
			x.text.WriteRune(c)
			p.i++
		default:
			x.text.WriteRune(c)
			p.i++
		}
	}
}

func (p *parser) hereString() expr {
	at := p.i
	quote := isDouble(p.peek(1))
	p.i += 2
	for isBlank(p.peek(0)) {
		p.i++
	}
	switch {
	case p.peek(0) == '\r' && p.peek(1) == '\n':
		p.i += 2
	case p.peek(0) == '\n':
		p.i++
	default:
		p.fail(p.i, "UnexpectedCharactersAfterHereStringHeader", "Behind the header of a here-string its line must end.")
	}
	closes := func(i int) bool {
		return i+1 < len(p.t) && p.t[i+1] == '@' && (quote && isDouble(p.t[i]) || !quote && isSingle(p.t[i]))
	}
	if closes(p.i) {
		p.i += 2
		return &constExpr{span: span{at, p.i}, v: ""}
	}
	x := &expand{p: p}
	for {
		c := p.peek(0)
		if p.end() {
			mark := "'@"
			if quote {
				mark = "\"@"
			}
			p.fail(at, "TerminatorExpectedAtEndOfString", "The string is missing the terminator: %s.", mark)
		}
		n := 0
		if c == '\n' {
			n = 1
		} else if c == '\r' && p.peek(1) == '\n' {
			n = 2
		}
		switch {
		case n > 0 && closes(p.i+n):
			p.i += n + 2
			return x.done(at, false)
		case n > 0:
			x.text.WriteString(string(p.t[p.i : p.i+n]))
			p.i += n
		case quote && c == '`' && p.i+1 < len(p.t):
			p.escape(&x.text)
		case quote && c == '$':
			x.dollar()
		default:
			x.text.WriteRune(c)
			p.i++
		}
	}
}

// number reads a numeric literal that is not part of a longer word.
func (p *parser) number(negative bool) (v any, text string, ok bool) {
	at := p.i
	j := at
	digits := func(hex bool) int {
		k := j
		for j < len(p.t) && (isDigit(p.t[j]) || hex && strings.ContainsRune("abcdefABCDEF", p.t[j])) {
			j++
		}
		return j - k
	}
	hex, isReal := false, false
	if p.t[j] == '0' && j+1 < len(p.t) && (p.t[j+1] == 'x' || p.t[j+1] == 'X') {
		hex = true
		j += 2
		if digits(true) == 0 {
			return nil, "", false
		}
	} else {
		digits(false)
		if j < len(p.t) && p.t[j] == '.' && !(j+1 < len(p.t) && (p.t[j+1] == '.' || isWord(p.t[j+1]) && !isDigit(p.t[j+1]) && p.t[j+1] != 'e' && p.t[j+1] != 'E')) {
			isReal = true
			j++
			digits(false)
		}
		if j < len(p.t) && (p.t[j] == 'e' || p.t[j] == 'E') {
			k := j
			j++
			if j < len(p.t) && (p.t[j] == '+' || isDash(p.t[j])) {
				j++
			}
			if digits(false) == 0 {
				j = k
			} else {
				isReal = true
			}
		}
	}
	body := string(p.t[at:j])
	var suffix rune
	if j < len(p.t) && strings.ContainsRune("dDlL", p.t[j]) && !(hex && strings.ContainsRune("dD", p.t[j])) {
		suffix = p.t[j] | 0x20
		j++
	}
	scale := 1.0
	if j+1 < len(p.t) && (p.t[j+1]|0x20) == 'b' {
		if i := strings.IndexRune("kmgtp", p.t[j]|0x20); i >= 0 {
			scale = math.Pow(1024, float64(i+1))
			j += 2
		}
	}
	if j < len(p.t) {
		switch c := p.t[j]; {
		case endsWord(c), c == ']', c == '=', c == '+', c == '*', c == '/', c == '%', c == '!', c == '[', c == '#' && false, isDash(c):
		case c == '.' && j+1 < len(p.t) && (p.t[j+1] == '.' || (isReal || j-at > len(body)) && isWord(p.t[j+1]) && !isDigit(p.t[j+1])):
		default:
			return nil, "", false
		}
	}
	v, ok = numberValue(body, suffix, scale, hex, isReal, negative)
	if !ok {
		p.fail(at, "BadNumericConstant", "The numeric constant %s is not valid.", string(p.t[at:j]))
	}
	p.i = j
	return v, string(p.t[at:j]), true
}

func numberValue(body string, suffix rune, scale float64, hex, isReal, negative bool) (any, bool) {
	sign := ""
	if negative {
		sign = "-"
	}
	if suffix == 'd' {
		d, err := parseDecimal(sign + body)
		if err != nil {
			return nil, false
		}
		if scale != 1 {
			d = d.mul(decimalOf(int64(scale)))
		}
		return d, true
	}
	if isReal {
		f, err := strconv.ParseFloat(sign+body, 64)
		if err != nil && !math.IsInf(f, 0) {
			return nil, false
		}
		f *= scale
		if suffix == 'l' {
			return int64(math.RoundToEven(f)), true
		}
		return f, true
	}
	n := new(big.Int)
	if hex {
		n.SetString(body[2:], 16)
		if l := len(body) - 2; l <= 8 && n.BitLen() == 32 && suffix == 0 {
			n.Sub(n, big.NewInt(1<<32))
		} else if l <= 16 && n.BitLen() == 64 {
			n.Sub(n, new(big.Int).Lsh(big.NewInt(1), 64))
		}
	} else {
		n.SetString(body, 10)
	}
	if negative {
		n.Neg(n)
	}
	n.Mul(n, big.NewInt(int64(scale)))
	if !n.IsInt64() {
		if suffix == 'l' {
			return nil, false
		}
		if d, err := parseDecimal(n.String()); err == nil {
			return d, true
		}
		f, _ := new(big.Float).SetInt(n).Float64()
		return f, true
	}
	if i := n.Int64(); suffix != 'l' && i >= math.MinInt32 && i <= math.MaxInt32 {
		return int32(i), true
	}
	return n.Int64(), true
}
