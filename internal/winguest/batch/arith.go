package batch

import (
	"strconv"
	"strings"
)

// arithError is what set /a says, with its code.
type arithError struct {
	text string
	code int
}

func (e *arithError) Error() string { return e.text }

var (
	errOperand  = &arithError{"Missing operand.", 1073750988}
	errOperator = &arithError{"Missing operator.", 1073750989}
	errParen    = &arithError{"Unbalanced parenthesis.", 1073750990}
	errNumber   = &arithError{"Invalid number.  Numeric constants are either decimal (17),\nhexadecimal (0x11), or octal (021).", 1073750991}
	errTooLarge = &arithError{"Invalid number.  Numbers are limited to 32-bits of precision.", 1073750992}
	errDivide   = &arithError{"Divide by zero error.", 1073750993}
)

// arith evaluates the expressions of set /a: 32 bits, with assignments, by
// precedence climbing.
type arith struct {
	s     *shell
	text  string
	i     int
	depth int
}

var binary = []struct {
	op    string
	level int
}{
	{"<<", 5}, {">>", 5}, {"*", 7}, {"/", 7}, {"%", 7}, {"+", 6}, {"-", 6}, {"&", 4}, {"^", 3}, {"|", 2},
}

var assignments = []string{"<<=", ">>=", "*=", "/=", "%=", "+=", "-=", "&=", "^=", "|=", "="}

func (a *arith) space() {
	for a.i < len(a.text) && (a.text[a.i] == ' ' || a.text[a.i] == '\t' || a.text[a.i] == '"') {
		a.i++
	}
}

func (a *arith) all() (int32, error) {
	for {
		v, err := a.assign()
		if err != nil {
			return 0, err
		}
		a.space()
		switch {
		case a.i == len(a.text):
			return v, nil
		case a.text[a.i] == ',':
			a.i++
		case a.text[a.i] == ')':
			return 0, errParen
		default:
			return 0, errOperator
		}
	}
}

// assign reads name = expression, or an expression.
func (a *arith) assign() (int32, error) {
	if a.depth++; a.depth > maxDepth {
		return 0, errParen
	}
	defer func() { a.depth-- }()
	a.space()
	start := a.i
	if name := a.name(); name != "" {
		a.space()
		for _, op := range assignments {
			if !strings.HasPrefix(a.text[a.i:], op) {
				continue
			}
			a.i += len(op)
			v, err := a.assign()
			if err != nil {
				return 0, err
			}
			if op != "=" {
				old, err := a.value(name)
				if err != nil {
					return 0, err
				}
				if v, err = apply(op[:len(op)-1], old, v); err != nil {
					return 0, err
				}
			}
			a.s.env.Set(name, strconv.Itoa(int(v)))
			return v, nil
		}
	}
	a.i = start
	return a.binary(0)
}

func (a *arith) name() string {
	start := a.i
	for a.i < len(a.text) && strings.IndexByte(" \t\"<>*/%+-&^|=,()!~", a.text[a.i]) < 0 {
		a.i++
	}
	name := a.text[start:a.i]
	if name != "" && name[0] >= '0' && name[0] <= '9' {
		a.i = start
		return ""
	}
	return name
}

// value is what a variable counts: the number it begins with, or 0.
func (a *arith) value(name string) (int32, error) {
	text, ok := a.s.lookup(name)
	if !ok {
		return 0, nil
	}
	text = strings.TrimSpace(text)
	sign := ""
	if strings.HasPrefix(text, "-") || strings.HasPrefix(text, "+") {
		sign, text = text[:1], text[1:]
	}
	n := 0
	for n < len(text) && (text[n] >= '0' && text[n] <= '9' || n == 1 && text[n]|0x20 == 'x' || n > 1 && text[1]|0x20 == 'x' && strings.IndexByte("abcdefABCDEF", text[n]) >= 0) {
		n++
	}
	if n == 0 {
		return 0, nil
	}
	return literal(sign + text[:n])
}

func literal(text string) (int32, error) {
	v, err := strconv.ParseInt(text, 0, 64)
	switch {
	case err != nil && strings.Contains(err.Error(), "range"), err == nil && (v > 0xffffffff || v < -0x80000000):
		return 0, errTooLarge
	case err != nil, strings.Contains(text, "_"), strings.HasPrefix(strings.ToLower(text), "0b"), strings.HasPrefix(strings.ToLower(text), "0o"):
		return 0, errNumber
	case v > 0x7fffffff && !strings.HasPrefix(strings.ToLower(text), "0x"):
		return 0, errTooLarge
	}
	return int32(uint32(v)), nil
}

func (a *arith) binary(level int) (int32, error) {
	left, err := a.unary()
	if err != nil {
		return 0, err
	}
	for {
		a.space()
		op := ""
		at := 0
		for _, b := range binary {
			if strings.HasPrefix(a.text[a.i:], b.op) && b.level > level {
				op, at = b.op, b.level
				break
			}
		}
		if op == "" || strings.HasPrefix(a.text[a.i+len(op):], "=") {
			return left, nil
		}
		a.i += len(op)
		right, err := a.binary(at)
		if err != nil {
			return 0, err
		}
		if left, err = apply(op, left, right); err != nil {
			return 0, err
		}
	}
}

func apply(op string, a, b int32) (int32, error) {
	switch op {
	case "*":
		return a * b, nil
	case "/", "%":
		if b == 0 {
			return 0, errDivide
		}
		if b == -1 { // the one quotient that does not fit
			if op == "/" {
				return -a, nil
			}
			return 0, nil
		}
		if op == "/" {
			return a / b, nil
		}
		return a % b, nil
	case "+":
		return a + b, nil
	case "-":
		return a - b, nil
	case "<<":
		if b < 0 || b > 31 {
			return 0, nil
		}
		return a << b, nil
	case ">>":
		if b < 0 || b > 31 {
			b = 31
		}
		return a >> b, nil
	case "&":
		return a & b, nil
	case "^":
		return a ^ b, nil
	}
	return a | b, nil
}

func (a *arith) unary() (int32, error) {
	if a.depth++; a.depth > maxDepth {
		return 0, errParen
	}
	defer func() { a.depth-- }()
	a.space()
	if a.i == len(a.text) {
		return 0, errOperand
	}
	c := a.text[a.i]
	switch c {
	case '-', '+', '~', '!':
		a.i++
		v, err := a.unary()
		switch {
		case err != nil:
			return 0, err
		case c == '-':
			return -v, nil
		case c == '~':
			return ^v, nil
		case c == '!' && v == 0:
			return 1, nil
		case c == '!':
			return 0, nil
		}
		return v, nil
	case '(':
		a.i++
		for {
			v, err := a.assign()
			if err != nil {
				return 0, err
			}
			a.space()
			switch {
			case a.i == len(a.text):
				return 0, errParen
			case a.text[a.i] == ')':
				a.i++
				return v, nil
			case a.text[a.i] != ',':
				return 0, errOperator
			}
			a.i++
		}
	}
	if c >= '0' && c <= '9' {
		start := a.i
		for a.i < len(a.text) && strings.IndexByte(" \t\"<>*/%+-&^|=,()!~", a.text[a.i]) < 0 {
			a.i++
		}
		return literal(a.text[start:a.i])
	}
	name := a.name()
	if name == "" {
		return 0, errOperand
	}
	return a.value(name)
}
