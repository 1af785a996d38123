package posh

import (
	"math"
	"math/big"
	"strings"
	"time"
)

const maxText = 256 << 20 // bytes of one string or array that an operator may make

// arith does + - * / %.
func (s *shell) arith(op string, a, b any) (any, error) {
	if x, ok := a.(int32); ok {
		if y, ok := b.(int32); ok {
			return arith32(op, x, y)
		}
	}
	if l, ok := a.(literal); ok {
		a = l.v
	}
	if l, ok := b.(literal); ok {
		b = l.v
	}
	switch op {
	case "+":
		if v, done, err := s.plus(a, b); done {
			return v, err
		}
	case "-":
		if v, done, err := s.minus(a, b); done {
			return v, err
		}
	case "*":
		if v, done, err := s.times(a, b); done {
			return v, err
		}
	}
	if v, bad := notNumeric(op, a, b); bad {
		return nil, v
	}
	x, err := toNumber(a, operandType(b))
	if err != nil {
		return nil, err
	}
	y, err := toNumber(b, operandType(x))
	if err != nil {
		return nil, err
	}
	return number2(op, x, y)
}

// operandType is the type that the other operand is converted to, for messages.
func operandType(v any) string {
	if isNumber(v) {
		return typeNameOf(v)
	}
	return "System.Int32"
}

func notNumeric(op string, a, b any) (error, bool) {
	names := map[string]string{"+": "op_Addition", "-": "op_Subtraction", "*": "op_Multiply", "/": "op_Division", "%": "op_Modulus"}
	for _, v := range []any{a, b} {
		switch v.(type) {
		case nil, string, bool, Char, enumVal:
			continue
		}
		if !isNumber(v) {
			return &Error{ID: "MethodNotFound", Message: "Method invocation failed because [" + typeNameOf(a) + "] does not contain a method named '" + names[op] + "'.", Category: "InvalidOperation"}, true
		}
	}
	return nil, false
}

func arith32(op string, x, y int32) (any, error) {
	a, b := int64(x), int64(y)
	var r int64
	switch op {
	case "+":
		r = a + b
	case "-":
		r = a - b
	case "*":
		r = a * b
	case "/":
		if b == 0 {
			return nil, divZero()
		}
		if a%b != 0 {
			return float64(a) / float64(b), nil
		}
		r = a / b
	case "%":
		if b == 0 {
			return nil, divZero()
		}
		r = a % b
	}
	if r < math.MinInt32 || r > math.MaxInt32 {
		return float64(r), nil
	}
	return int32(r), nil
}

func divZero() error {
	return &Error{ID: "RuntimeException", Message: "Attempted to divide by zero.", inner: dotnet("System.DivideByZeroException", "Attempted to divide by zero.")}
}

func number2(op string, a, b any) (any, error) {
	_, ad := a.(Decimal)
	_, bd := b.(Decimal)
	af, bf := isFloat(a), isFloat(b)
	switch {
	case (ad || bd) && !af && !bf:
		x, err := toDecimal(a)
		if err != nil {
			return nil, err
		}
		y, err := toDecimal(b)
		if err != nil {
			return nil, err
		}
		return decimal2(op, x, y)
	case af || bf || ad || bd:
		x, _ := asFloat(a)
		y, _ := asFloat(b)
		switch op {
		case "+":
			return x + y, nil
		case "-":
			return x - y, nil
		case "*":
			return x * y, nil
		case "/":
			return x / y, nil
		}
		return math.Mod(x, y), nil
	}
	return whole2(op, a, b)
}

func isFloat(v any) bool {
	switch v.(type) {
	case float64, float32:
		return true
	}
	return false
}

func decimal2(op string, x, y Decimal) (any, error) {
	var r Decimal
	switch op {
	case "+":
		r = x.add(y)
	case "-":
		r = x.sub(y)
	case "*":
		r = x.mul(y)
	default:
		if y.n.Sign() == 0 {
			return nil, divZero()
		}
		if r = x.rem(y); op == "/" {
			r = x.div(y)
		}
	}
	r, err := r.fit()
	if err != nil {
		return nil, &Error{ID: "RuntimeException", Message: err.Error(), inner: dotnet("System.OverflowException", "%s", err.Error())}
	}
	return r, nil
}

// whole2 computes with integers of any kind; too large becomes a float.
func whole2(op string, a, b any) (any, error) {
	x, y := bigOf(a), bigOf(b)
	r := new(big.Int)
	switch op {
	case "+":
		r.Add(x, y)
	case "-":
		r.Sub(x, y)
	case "*":
		r.Mul(x, y)
	default:
		if y.Sign() == 0 {
			return nil, divZero()
		}
		m := new(big.Int)
		r.QuoRem(x, y, m)
		if op == "%" {
			r = m
		} else if m.Sign() != 0 {
			fx, _ := asFloat(a)
			fy, _ := asFloat(b)
			return fx / fy, nil
		}
	}
	small := func(v any) bool {
		switch v.(type) {
		case int32, byte, int8, int16, uint16:
			return true
		}
		return false
	}
	_, au := a.(uint64)
	_, bu := b.(uint64)
	_, a32 := a.(uint32)
	_, b32 := b.(uint32)
	i, isInt := r.Int64(), r.IsInt64()
	switch {
	case small(a) && small(b):
		if isInt && i >= math.MinInt32 && i <= math.MaxInt32 {
			return int32(i), nil
		}
	case (au || bu) && r.Sign() >= 0 && r.IsUint64():
		return r.Uint64(), nil
	case (a32 || b32) && isInt && i >= 0 && i <= math.MaxUint32 && x.Sign() >= 0 && y.Sign() >= 0 && (a32 || small(a)) && (b32 || small(b)):
		return uint32(i), nil
	case isInt && !au && !bu:
		return i, nil
	}
	f, _ := new(big.Float).SetInt(r).Float64()
	return f, nil
}

func bigOf(v any) *big.Int {
	if u, ok := v.(uint64); ok {
		return new(big.Int).SetUint64(u)
	}
	i, _ := asInt(v)
	return big.NewInt(i)
}

func tooBig(what string) error {
	return dotnet("System.OutOfMemoryException", "Exception of type 'System.OutOfMemoryException' was thrown: %s would be too large.", what)
}

func (s *shell) plus(a, b any) (any, bool, error) {
	switch x := a.(type) {
	case nil:
		switch b.(type) {
		case nil:
			return nil, true, nil
		default:
			return b, true, nil
		}
	case string:
		y := s.text(b)
		if len(x)+len(y) > maxText {
			return nil, true, tooBig("a string")
		}
		return x + y, true, nil
	case Char:
		if y, ok := b.(string); ok {
			return toText(x) + y, true, nil
		}
	case *Hash:
		y, ok := b.(*Hash)
		if !ok {
			return nil, true, fault("AddHashTableToNonHashTable", "A hash table can only be added to another hash table.")
		}
		r := &Hash{Ordered: x.Ordered, index: map[any]int{}}
		x.Each(func(k, v any) bool { r.Set(k, v); return true })
		var dup error
		y.Each(func(k, v any) bool {
			if _, there := r.Get(k); there {
				dup = dotnet("System.ArgumentException", "Item has already been added. Key in dictionary: '%s'  Key being added: '%s'", toText(k), toText(k))
			}
			r.Set(k, v)
			return dup == nil
		})
		return r, true, dup
	case time.Time:
		if d, err := s.castTo(b, allTypes["system.timespan"]); err == nil {
			if d, ok := d.(time.Duration); ok {
				return x.Add(d), true, nil
			}
		}
	case time.Duration:
		switch y := b.(type) {
		case time.Duration:
			return x + y, true, nil
		case time.Time:
			return y.Add(x), true, nil
		}
	}
	if e, ok := list(a); ok {
		add := []any{b}
		if more, ok := list(b); ok {
			add = more
		}
		if (len(e)+len(add))*16 > maxText {
			return nil, true, tooBig("an array")
		}
		out := make([]any, 0, len(e)+len(add))
		return &Array{Elem: append(append(out, e...), add...)}, true, nil
	}
	return nil, false, nil
}

func (s *shell) minus(a, b any) (any, bool, error) {
	switch x := a.(type) {
	case time.Time:
		switch y := b.(type) {
		case time.Time:
			return x.Sub(y), true, nil
		case time.Duration:
			return x.Add(-y), true, nil
		}
	case time.Duration:
		if y, ok := b.(time.Duration); ok {
			return x - y, true, nil
		}
	}
	return nil, false, nil
}

func (s *shell) times(a, b any) (any, bool, error) {
	e, isList := list(a)
	str, isText := a.(string)
	if a == nil {
		return nil, true, nil
	}
	if !isList && !isText {
		return nil, false, nil
	}
	n, err := s.toInt32(b)
	if err != nil {
		return nil, true, err
	}
	if n < 0 {
		return nil, true, dotnet("System.ArgumentOutOfRangeException", "A string or an array cannot be repeated %d times.", n)
	}
	if isText {
		if int64(len(str))*int64(n) > maxText {
			return nil, true, tooBig("a string")
		}
		return strings.Repeat(str, int(n)), true, nil
	}
	if int64(len(e))*int64(n)*16 > maxText {
		return nil, true, tooBig("an array")
	}
	out := make([]any, 0, len(e)*int(n))
	for range n {
		out = append(out, e...)
	}
	return &Array{Elem: out}, true, nil
}

func negate(v any) (any, error) {
	n, err := toNumber(v, "System.Int32")
	if err != nil {
		return nil, err
	}
	return number2("-", int32(0), n)
}

// order compares two values; ok is false where they have no order.
func (s *shell) order(a, b any, exact bool) (int, error) {
	if x, ok := a.(int32); ok {
		if y, ok := b.(int32); ok {
			return cmpInt(int64(x), int64(y)), nil
		}
	}
	if l, ok := a.(literal); ok {
		a = l.v
	}
	if l, ok := b.(literal); ok {
		b = l.v
	}
	switch x := a.(type) {
	case nil:
		if b == nil {
			return 0, nil
		}
		if f, ok := asFloat(b); ok && isNumber(b) {
			return cmpFloat(0, f), nil
		}
		return -1, nil
	case string:
		return compareText(x, s.text(b), exact), nil
	case Char:
		if y, ok := b.(string); ok {
			return compareText(toText(x), y, exact), nil
		}
		if y, ok := b.(Char); ok && !exact {
			return compareText(toText(x), toText(y), false), nil
		}
	case bool:
		return cmpInt(boolInt(x), boolInt(truth(b))), nil
	case time.Time:
		y, err := s.castTo(b, allTypes["system.datetime"])
		if err != nil {
			return 0, err
		}
		return x.Compare(y.(time.Time)), nil
	case time.Duration:
		y, err := s.castTo(b, allTypes["system.timespan"])
		if err != nil {
			return 0, err
		}
		return cmpInt(int64(x), int64(y.(time.Duration))), nil
	case *version:
		y, err := s.castTo(b, allTypes["system.version"])
		if err != nil {
			return 0, err
		}
		if v, ok := y.(*version); ok {
			return x.cmp(v), nil
		}
		return 1, nil
	case enumVal:
		y, err := s.castEnum(b, x.typ)
		if err != nil {
			return 0, err
		}
		return cmpInt(x.n, y.(enumVal).n), nil
	}
	if isNumber(a) || isChar(a) {
		if b == nil {
			f, _ := asFloat(a)
			if c := cmpFloat(f, 0); c != 0 {
				return c, nil
			}
			return 1, nil
		}
		y, err := toNumber(b, typeNameOf(a))
		if err != nil {
			return 0, err
		}
		return numberOrder(a, y), nil
	}
	return 0, &Error{ID: "NotIcomparable", Category: "InvalidOperation", Message: "Cannot compare \"" + toText(a) + "\" because it is not IComparable."}
}

func isChar(v any) bool { _, ok := v.(Char); return ok }

func numberOrder(a, b any) int {
	_, ad := a.(Decimal)
	_, bd := b.(Decimal)
	if (ad || bd) && !isFloat(a) && !isFloat(b) {
		x, errX := toDecimal(a)
		y, errY := toDecimal(b)
		if errX == nil && errY == nil {
			return x.cmp(y)
		}
	}
	x, okX := asInt(a)
	y, okY := asInt(b)
	if okX && okY {
		return cmpInt(x, y)
	}
	fx, _ := asFloat(a)
	fy, _ := asFloat(b)
	return cmpFloat(fx, fy)
}

func cmpInt(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func cmpFloat(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func boolInt(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// equal is -eq of two single values.
func (s *shell) equal(a, b any, exact bool) bool {
	if l, ok := a.(literal); ok {
		a = l.v
	}
	if l, ok := b.(literal); ok {
		b = l.v
	}
	switch x := a.(type) {
	case nil:
		return b == nil
	case string:
		y := s.text(b)
		if exact {
			return x == y && b != nil
		}
		return b != nil && strings.EqualFold(x, y)
	case bool:
		return b != nil && x == truth(b)
	case *Type:
		if y, ok := b.(*Type); ok {
			return x.name == y.name
		}
	case time.Time, time.Duration, *version, enumVal, Char:
		if b == nil {
			return false
		}
		c, err := s.order(a, b, exact)
		return err == nil && c == 0
	}
	if isNumber(a) {
		if b == nil {
			return false
		}
		if f, ok := a.(float64); ok && math.IsNaN(f) {
			return false
		}
		switch b.(type) {
		case string, bool, Char, enumVal:
		default:
			if !isNumber(b) {
				return false
			}
		}
		c, err := s.order(a, b, exact)
		return err == nil && c == 0
	}
	if same(a, b) {
		return true
	}
	if y, ok := b.(string); ok {
		switch a.(type) {
		case *guid, *uri:
			return strings.EqualFold(toText(a), y)
		}
	}
	return false
}

// compareText orders strings as a language-neutral culture does: signs before
// digits before letters, letters by the alphabet, case last.
func compareText(a, b string, exact bool) int {
	x, y := letters(a), letters(b)
	tie := 0
	for i := 0; i < len(x) && i < len(y); i++ {
		if x[i] == y[i] {
			continue
		}
		p, q := textRank(x[i]), textRank(y[i])
		if p != q {
			return cmpInt(int64(p), int64(q))
		}
		if tie == 0 && exact { // the same letter: the small one first
			if tie = -1; x[i] < y[i] {
				tie = 1
			}
		}
	}
	if len(x) != len(y) {
		return cmpInt(int64(len(x)), int64(len(y)))
	}
	if tie == 0 && len(a) != len(b) {
		return cmpInt(int64(len(a)), int64(len(b)))
	}
	return tie
}

// letters is a string without hyphens and apostrophes: they count only between
// strings that are the same otherwise.
func letters(t string) []rune {
	r := []rune(t)
	if !strings.ContainsAny(t, "-'") {
		return r
	}
	out := make([]rune, 0, len(r))
	for _, c := range r {
		if c != '-' && c != '\'' {
			out = append(out, c)
		}
	}
	return out
}

const signOrder = "_-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$"

func textRank(r rune) int {
	switch {
	case r < ' ':
		return int(r)
	case r == ' ':
		return 64
	case r >= '0' && r <= '9':
		return 1000 + int(r)
	case r < 128:
		if i := strings.IndexRune(signOrder, r); i >= 0 {
			return 100 + i
		}
	}
	base := []rune(strings.ToLower(string(r)))[0]
	if b, ok := plainLetter[base]; ok { // ä behind a, before b
		return 2000 + int(b)*8 + 1
	}
	return 2000 + int(base)*8
}

var plainLetter = map[rune]rune{'à': 'a', 'á': 'a', 'â': 'a', 'ã': 'a', 'ä': 'a', 'å': 'a', 'ç': 'c', 'è': 'e', 'é': 'e', 'ê': 'e', 'ë': 'e',
	'ì': 'i', 'í': 'i', 'î': 'i', 'ï': 'i', 'ñ': 'n', 'ò': 'o', 'ó': 'o', 'ô': 'o', 'õ': 'o', 'ö': 'o', 'ù': 'u', 'ú': 'u', 'û': 'u', 'ü': 'u', 'ý': 'y', 'ÿ': 'y'}
