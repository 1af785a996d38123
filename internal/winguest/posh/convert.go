package posh

import (
	"fmt"
	"math"
	"math/big"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// wrap takes Go values that commands emit for those of scripts.
func wrap(v any) any {
	switch v := v.(type) {
	case nil, string, bool, int32, int64, float64, *Array, *Object, *Hash:
		return v
	case int:
		if v >= math.MinInt32 && v <= math.MaxInt32 {
			return int32(v)
		}
		return int64(v)
	case uint:
		return uint64(v)
	case []string:
		a := &Array{Type: "string", Elem: make([]any, len(v))}
		for i, x := range v {
			a.Elem[i] = x
		}
		return a
	case []any:
		a := &Array{Elem: make([]any, len(v))}
		for i, x := range v {
			a.Elem[i] = wrap(x)
		}
		return a
	}
	return v
}

// list gives the elements of a value that is a collection to pipelines.
func list(v any) ([]any, bool) {
	switch v := v.(type) {
	case *Array:
		return v.Elem, true
	case *List:
		return v.Elem, true
	case []byte:
		out := make([]any, len(v))
		for i, b := range v {
			out[i] = b
		}
		return out, true
	case *enumerator:
		return v.rest(), true
	}
	return nil, false
}

// elements are the elements of a collection, or the value itself; none for $null.
func elements(v any) []any {
	if v == nil {
		return nil
	}
	if e, ok := list(v); ok {
		return e
	}
	return []any{v}
}

// collect makes of a pipeline's output what an assignment takes.
func collect(out []any) any {
	switch len(out) {
	case 0:
		return nil
	case 1:
		return out[0]
	}
	return &Array{Elem: out}
}

// asFloat is a numeric value (not a string) as a float.
func asFloat(v any) (float64, bool) {
	switch v := v.(type) {
	case int32:
		return float64(v), true
	case int64:
		return float64(v), true
	case float64:
		return v, true
	case float32:
		return float64(v), true
	case byte:
		return float64(v), true
	case int8:
		return float64(v), true
	case int16:
		return float64(v), true
	case uint16:
		return float64(v), true
	case uint32:
		return float64(v), true
	case uint64:
		return float64(v), true
	case Decimal:
		return v.float(), true
	case Char:
		return float64(v), true
	case enumVal:
		return float64(v.n), true
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	}
	return 0, false
}

// asInt is an integral value as an int64.
func asInt(v any) (int64, bool) {
	switch v := v.(type) {
	case int32:
		return int64(v), true
	case int64:
		return v, true
	case byte:
		return int64(v), true
	case int8:
		return int64(v), true
	case int16:
		return int64(v), true
	case uint16:
		return int64(v), true
	case uint32:
		return int64(v), true
	case uint64:
		return int64(v), v <= math.MaxInt64
	case Char:
		return int64(v), true
	case enumVal:
		return v.n, true
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	}
	return 0, false
}

func isNumber(v any) bool {
	switch v.(type) {
	case int32, int64, float64, float32, byte, int8, int16, uint16, uint32, uint64, Decimal:
		return true
	}
	return false
}

// parseNumber reads a string as a number of the smallest fitting type.
func parseNumber(text string) (any, bool) {
	t := strings.TrimSpace(text)
	if t == "" {
		return int32(0), true
	}
	neg := false
	body := t
	if body[0] == '-' || body[0] == '+' {
		neg = body[0] == '-'
		body = body[1:]
	}
	if len(body) > 2 && (body[:2] == "0x" || body[:2] == "0X") {
		n, ok := new(big.Int).SetString(body[2:], 16)
		if !ok {
			return nil, false
		}
		return numberValue("0x"+n.Text(16), 0, 1, true, false, neg)
	}
	if body == "" || !(body[0] >= '0' && body[0] <= '9' || body[0] == '.') {
		return nil, false
	}
	if n, ok := new(big.Int).SetString(body, 10); ok && !strings.ContainsRune(body, '_') {
		return numberValue(n.String(), 0, 1, false, false, neg)
	}
	if strings.ContainsAny(body, "xXpP_iInN") {
		return nil, false
	}
	f, err := strconv.ParseFloat(body, 64)
	if err != nil {
		return nil, false
	}
	if neg {
		f = -f
	}
	return f, true
}

// toNumber makes a number of any value; want names the type in the error.
func toNumber(v any, want string) (any, error) {
	switch x := v.(type) {
	case nil:
		return int32(0), nil
	case bool:
		if x {
			return int32(1), nil
		}
		return int32(0), nil
	case Char:
		return int32(x), nil
	case enumVal:
		return int32(x.n), nil
	case literal:
		return x.v, nil
	case string:
		if n, ok := parseNumber(x); ok {
			return n, nil
		}
		id := "InvalidCastFromStringToInteger"
		if want == "System.Double" || want == "System.Single" || want == "System.Decimal" {
			id = "InvalidCastFromStringToDoubleOrSingle"
		}
		return nil, badCast(id, x, want, dotnet("System.FormatException", "Input string was not in a correct format."))
	}
	if isNumber(v) {
		return v, nil
	}
	return nil, castFault(v, want)
}

// badCast is the error of a value that cannot be converted, and why.
func badCast(id, text, want string, why *Error) error {
	return invalidCast(id, fmt.Sprintf("Cannot convert value \"%s\" to type \"%s\". Error: \"%s\"", text, want, why.Message), why)
}

// invalidCast is an error that also a catch clause of InvalidCastException takes,
// and one of what lies behind it.
func invalidCast(id, msg string, why *Error) error {
	return &Error{ID: id, Category: "InvalidArgument", Message: msg,
		inner: &Error{Exception: "System.Management.Automation.PSInvalidCastException", Message: msg, inner: why}}
}

func castFault(v any, want string) error {
	return invalidCast("ConvertToFinalInvalidCastException", fmt.Sprintf("Cannot convert the \"%s\" value of type \"%s\" to type \"%s\".", toText(v), typeNameOf(v), want), nil)
}

func rangeFault(v any, t string) error {
	kinds := map[string]string{"System.Byte": "an unsigned byte", "System.SByte": "a signed byte", "System.Int16": "an Int16", "System.UInt16": "a UInt16",
		"System.Int32": "an Int32", "System.UInt32": "a UInt32", "System.Int64": "an Int64", "System.UInt64": "a UInt64", "System.Char": "a character", "System.Decimal": "a Decimal"}
	msg := "Value was either too large or too small for " + kinds[t] + "."
	return badCast("InvalidCastIConvertible", toText(v), t, dotnet("System.OverflowException", "%s", msg))
}

// toInt makes an integer between two bounds.
func toInt(v any, t string, lo, hi float64) (int64, error) {
	n, err := toNumber(v, t)
	if err != nil {
		return 0, err
	}
	switch x := n.(type) {
	case float64, float32:
		f, _ := asFloat(x)
		f = math.RoundToEven(f)
		if math.IsNaN(f) || f < lo || f > hi || f >= 1<<63 {
			return 0, rangeFault(v, t)
		}
		return int64(f), nil
	case Decimal:
		r := x.round(0)
		if !r.n.IsInt64() || float64(r.n.Int64()) < lo || float64(r.n.Int64()) > hi {
			return 0, rangeFault(v, t)
		}
		return r.n.Int64(), nil
	case uint64:
		if float64(x) > hi {
			return 0, rangeFault(v, t)
		}
		return int64(x), nil
	}
	i, _ := asInt(n)
	if float64(i) < lo || float64(i) > hi {
		return 0, rangeFault(v, t)
	}
	return i, nil
}

func (s *shell) toInt32(v any) (int32, error) {
	if i, ok := v.(int32); ok {
		return i, nil
	}
	i, err := toInt(v, "System.Int32", math.MinInt32, math.MaxInt32)
	return int32(i), err
}

// withoutThousands drops the commas that .NET takes between the digits before a
// number's point.
func withoutThousands(text string) string {
	whole, rest, point := strings.Cut(text, ".")
	if !strings.Contains(whole, ",") || strings.HasPrefix(strings.TrimLeft(whole, "+- \t"), ",") {
		return text
	}
	whole = strings.ReplaceAll(whole, ",", "")
	if point {
		return whole + "." + rest
	}
	return whole
}

func toFloat(v any, t string) (float64, error) {
	if x, ok := v.(string); ok {
		x = withoutThousands(x)
		v = x
		switch strings.TrimSpace(x) {
		case "NaN":
			return math.NaN(), nil
		case "Infinity":
			return math.Inf(1), nil
		case "-Infinity":
			return math.Inf(-1), nil
		}
	}
	n, err := toNumber(v, t)
	if err != nil {
		return 0, err
	}
	f, _ := asFloat(n)
	return f, nil
}

func toDecimal(v any) (Decimal, error) {
	if x, ok := v.(string); ok {
		if d, err := parseDecimal(strings.TrimSpace(withoutThousands(x))); err == nil {
			return d, nil
		}
	}
	n, err := toNumber(v, "System.Decimal")
	if err != nil {
		return Decimal{}, err
	}
	switch x := n.(type) {
	case Decimal:
		return x, nil
	case float64:
		d, err := parseDecimal(floatText(x, 15))
		if err != nil {
			return d, rangeFault(v, "System.Decimal")
		}
		return d, nil
	case float32:
		return parseDecimal(floatText(float64(x), 7))
	case uint64:
		return Decimal{new(big.Int).SetUint64(x), 0}, nil
	}
	i, _ := asInt(n)
	return decimalOf(i), nil
}

// castTo makes of a value one of a type.
func (s *shell) castTo(v any, t *Type) (any, error) {
	if l, ok := v.(literal); ok {
		if t.name == "System.String" {
			return l.text, nil
		}
		v = l.v
	}
	if t.elem != nil {
		return s.castArray(v, t)
	}
	switch t.name {
	case "System.String":
		return s.text(v), nil
	case "System.Int32":
		return s.toInt32(v)
	case "System.Boolean":
		if str, ok := v.(string); ok {
			return str != "", nil
		}
		return truth(v), nil
	case "System.Management.Automation.SwitchParameter":
		return truth(v), nil
	case "System.Type":
		if str, ok := v.(string); ok {
			x, err := s.typeFromText(str)
			if err != nil && !s.passes(err) {
				err = badCast("ConvertToFinalInvalidCastException", str, t.name, asError(err))
			}
			if err != nil {
				return nil, err
			}
			return x, nil
		}
	case "System.Object", "System.Management.Automation.PSObject", customObject:
		return s.castObject(v, t)
	}
	if t.enum != nil {
		return s.castEnum(v, t)
	}
	if t.cast != nil {
		if strings.EqualFold(typeNameOf(v), t.name) {
			return v, nil
		}
		return t.cast(s, v)
	}
	if v == nil || isType(v, t) {
		return v, nil
	}
	if t.ctor != nil {
		if _, isText := v.(string); isText {
			if x, err := t.ctor(s, []any{v}); err == nil || s.passes(err) {
				return x, err
			}
		}
	}
	return nil, castFault(v, t.name)
}

func (s *shell) castObject(v any, t *Type) (any, error) {
	if t.name == "System.Object" {
		return v, nil
	}
	h, ok := v.(*Hash)
	if !ok {
		return v, nil
	}
	o := &Object{}
	h.Each(func(k, v any) bool { o.Set(toText(k), v); return true })
	return o, nil
}

func (s *shell) castArray(v any, t *Type) (any, error) {
	if v == nil {
		return nil, nil
	}
	if t.elem.name == "System.Byte" {
		if b, ok := v.([]byte); ok {
			return b, nil
		}
		e := elements(v)
		out := make([]byte, len(e))
		for i, x := range e {
			n, err := toInt(x, "System.Byte", 0, 255)
			if err != nil {
				return nil, err
			}
			out[i] = byte(n)
		}
		return out, nil
	}
	if str, ok := v.(string); ok && t.elem.name == "System.Char" {
		return charArray(str), nil
	}
	if a, ok := v.(*Array); ok && a.typeName() == t.name {
		return a, nil
	}
	e := elements(v)
	out := &Array{Elem: make([]any, len(e)), Type: t.elem.name}
	if t.elem.name == "System.Object" {
		out.Type = ""
	}
	for i, x := range e {
		y, err := s.castTo(x, t.elem)
		if err != nil {
			return nil, err
		}
		out.Elem[i] = y
	}
	return out, nil
}

func charArray(str string) *Array {
	u := units(str)
	a := &Array{Type: "char", Elem: make([]any, len(u))}
	for i, c := range u {
		a.Elem[i] = Char(c)
	}
	return a
}

func (s *shell) castEnum(v any, t *Type) (any, error) {
	switch x := v.(type) {
	case enumVal:
		if x.typ == t {
			return x, nil
		}
		return enumVal{t, x.n}, nil
	case string:
		n := int64(0)
		for _, part := range strings.Split(x, ",") {
			part = strings.TrimSpace(part)
			found := false
			for _, e := range t.enum {
				if strings.EqualFold(e.name, part) {
					n, found = n|e.n, true
				}
			}
			if i, err := strconv.ParseInt(part, 10, 64); !found && err == nil {
				n, found = n|i, true
			}
			if !found {
				var names []string
				for _, e := range t.enum {
					names = append(names, e.name)
				}
				return nil, invalidCast("InvalidCastFromStringToEnum", fmt.Sprintf("Cannot convert value \"%s\" to type \"%s\". It must be one of: %s", x, t.name, strings.Join(names, ",")), nil)
			}
		}
		return enumVal{t, n}, nil
	case *Array:
		n := int64(0)
		for _, e := range x.Elem {
			y, err := s.castEnum(e, t)
			if err != nil {
				return nil, err
			}
			n |= y.(enumVal).n
		}
		return enumVal{t, n}, nil
	}
	i, err := toInt(v, t.name, math.MinInt64, math.MaxInt64)
	if err != nil {
		return nil, err
	}
	return enumVal{t, i}, nil
}

// cast is a value as the type that a literal names.
func (s *shell) cast(v any, name *typeName) (any, error) {
	t, err := s.resolve(name)
	if err != nil {
		return nil, err
	}
	return s.castTo(v, t)
}

// same is identity, or equality of values that are equal by what they hold.
func same(a, b any) bool {
	switch x := a.(type) {
	case []byte:
		y, ok := b.([]byte)
		return ok && len(x) == len(y) && (len(x) == 0 || &x[0] == &y[0])
	case Decimal:
		y, ok := b.(Decimal)
		return ok && x.cmp(y) == 0
	case time.Time:
		y, ok := b.(time.Time)
		return ok && x.Equal(y)
	case interface{ equal(any) bool }:
		return x.equal(b)
	}
	if b == nil || a == nil {
		return a == b
	}
	if !reflect.TypeOf(a).Comparable() || !reflect.TypeOf(b).Comparable() {
		return false
	}
	return a == b
}
