package posh

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"
)

type (
	statics = map[string]func(*shell, []any) (any, error)
	values  = map[string]func(*shell) (any, error)
)

func constant(v any) func(*shell) (any, error) { return func(*shell) (any, error) { return v, nil } }

func overload(name string, n int) error {
	return &Error{ID: "MethodCountCouldNotFindBest", Category: "NotSpecified", Exception: "System.Management.Automation.MethodException",
		Message: fmt.Sprintf("Cannot find an overload for \"%s\" and the argument count: \"%d\".", name, n)}
}

// args reads the arguments of a method; the first that does not fit is the error.
type args struct {
	s   *shell
	a   []any
	err error
}

func (a *args) any(i int) any { return argOr(a.a, i, nil) }

func (a *args) text(i int) string { return a.s.text(a.any(i)) }

func (a *args) need(name string, counts ...int) {
	for _, n := range counts {
		if len(a.a) == n {
			return
		}
	}
	if a.err == nil {
		a.err = overload(name, len(a.a))
	}
}

func (a *args) int(i int) int {
	n, err := a.s.toInt32(a.any(i))
	if err != nil && a.err == nil {
		a.err = err
	}
	return int(n)
}

func (a *args) long(i int) int64 {
	n, err := toInt(a.any(i), "System.Int64", math.MinInt64, math.MaxInt64)
	if err != nil && a.err == nil {
		a.err = err
	}
	return n
}

func (a *args) float(i int) float64 {
	f, err := toFloat(a.any(i), "System.Double")
	if err != nil && a.err == nil {
		a.err = err
	}
	return f
}

func (a *args) bytes(i int) []byte {
	b, err := a.s.bytesArg(a.a, i)
	if err != nil && a.err == nil {
		a.err = err
	}
	return b
}

func (a *args) enum(i int, t *Type) int64 {
	v, err := a.s.castEnum(a.any(i), t)
	if err != nil {
		if a.err == nil {
			a.err = err
		}
		return 0
	}
	return v.(enumVal).n
}

// method makes a static or instance method of a function over args.
func method(f func(*args) any) func(*shell, []any) (any, error) {
	return func(s *shell, a []any) (any, error) {
		x := &args{s: s, a: a}
		v := f(x)
		if x.err != nil {
			return nil, x.err
		}
		return v, nil
	}
}

func defineNumber(name string, cast func(*shell, any) (any, error), lo, hi any) {
	parse := func(s *shell, a []any) (any, error) {
		if len(a) == 0 {
			return nil, overload("Parse", 0)
		}
		if len(a) > 1 {
			return nil, s.refuse("[%s]::Parse with a style", name)
		}
		t := strings.TrimSpace(s.text(a[0]))
		n, ok := parseNumber(t)
		_, whole := asInt(n)
		isReal := name == "System.Double" || name == "System.Single" || name == "System.Decimal"
		if !ok || t == "" || strings.ContainsAny(t, "xX") || !whole && !isReal {
			if _, dec := n.(Decimal); dec || ok && isFloat(n) && !strings.ContainsAny(t, ".eE") {
				return nil, dotnet("System.OverflowException", "Value was either too large or too small for %s.", article(name))
			}
			return nil, dotnet("System.FormatException", "Input string was not in a correct format.")
		}
		v, err := cast(s, n)
		if err != nil {
			return nil, dotnet("System.OverflowException", "Value was either too large or too small for %s.", article(name))
		}
		return v, nil
	}
	define(&Type{name: name, cast: cast, props: values{"minvalue": constant(lo), "maxvalue": constant(hi)}, funcs: statics{
		"parse": parse,
		"tryparse": func(s *shell, a []any) (any, error) {
			if len(a) != 2 {
				return nil, s.refuse("TryParse of this form")
			}
			r, ok := a[1].(*reference)
			if !ok {
				return nil, overload("TryParse", len(a))
			}
			v, err := parse(s, a[:1])
			if err == nil {
				_, err = r.set(s, "value", v)
				return true, err
			}
			_, err = r.set(s, "value", int32(0))
			return false, err
		}}})
}

// reference is [ref]$variable.
type reference struct{ v *variable }

func (r *reference) typeName() string { return "System.Management.Automation.PSReference" }

func (r *reference) get(s *shell, k string) (any, bool, error) {
	return r.v.value(), k == "value", nil
}

func (r *reference) set(s *shell, k string, v any) (bool, error) {
	if k != "value" || r.v.readOnly || r.v.constant {
		return false, nil
	}
	if r.v.typ != nil {
		c, err := s.castTo(v, r.v.typ)
		if err != nil {
			return true, err
		}
		v = c
	}
	r.v.val = v
	return true, nil
}

func (r *reference) call(s *shell, k string, a []any) (any, bool, error) { return nil, false, nil }

func article(name string) string {
	n := name[strings.LastIndexByte(name, '.')+1:]
	if strings.ContainsRune("AIU", rune(n[0])) {
		return "an " + n
	}
	return "a " + n
}

func whole(name string, lo, hi float64, make func(int64) any) func(*shell, any) (any, error) {
	return func(s *shell, v any) (any, error) {
		n, err := toInt(v, name, lo, hi)
		if err != nil {
			return nil, err
		}
		return make(n), nil
	}
}

func init() {
	num := func(name string, lo, hi int64, make func(int64) any) {
		defineNumber(name, whole(name, float64(lo), float64(hi), make), make(lo), make(hi))
	}
	num("System.Int32", math.MinInt32, math.MaxInt32, func(n int64) any { return int32(n) })
	num("System.Int64", math.MinInt64, math.MaxInt64, func(n int64) any { return n })
	num("System.Int16", math.MinInt16, math.MaxInt16, func(n int64) any { return int16(n) })
	num("System.UInt16", 0, math.MaxUint16, func(n int64) any { return uint16(n) })
	num("System.UInt32", 0, math.MaxUint32, func(n int64) any { return uint32(n) })
	num("System.Byte", 0, 255, func(n int64) any { return byte(n) })
	num("System.SByte", -128, 127, func(n int64) any { return int8(n) })
	defineNumber("System.UInt64", func(s *shell, v any) (any, error) {
		n, err := toNumber(v, "System.UInt64")
		if err != nil {
			return nil, err
		}
		switch x := n.(type) {
		case uint64:
			return x, nil
		case Decimal:
			if r := x.round(0); r.n.IsUint64() {
				return r.n.Uint64(), nil
			}
		default:
			if i, ok := asInt(x); ok && i >= 0 {
				return uint64(i), nil
			}
			if f, ok := asFloat(x); ok && f >= 0 && f < 1<<64 {
				return uint64(math.RoundToEven(f)), nil
			}
		}
		return nil, rangeFault(v, "System.UInt64")
	}, uint64(0), uint64(math.MaxUint64))
	defineNumber("System.Double", func(s *shell, v any) (any, error) { return wrapErr(toFloat(v, "System.Double")) }, -math.MaxFloat64, math.MaxFloat64)
	defineNumber("System.Single", func(s *shell, v any) (any, error) {
		f, err := toFloat(v, "System.Single")
		return float32(f), err
	}, float32(-math.MaxFloat32), float32(math.MaxFloat32))
	defineNumber("System.Decimal", func(s *shell, v any) (any, error) { return wrapErr(toDecimal(v)) }, Decimal{decimalMax, 0}, Decimal{decimalMax, 0})
	delete(allTypes["system.decimal"].props, "minvalue")

	for _, n := range []string{"System.Object", "System.Array", "System.Void", "System.Type", "System.ValueType", "System.Enum", "System.Collections.IDictionary",
		"System.Collections.IEnumerable", "System.Collections.IList", "System.Management.Automation.PSObject", customObject, "System.Collections.Specialized.OrderedDictionary",
		"System.Management.Automation.SwitchParameter", "System.Management.Automation.ErrorRecord", "System.IO.FileSystemInfo", "System.IO.Stream", "System.Management.Automation.PSReference",
		"Microsoft.Management.Infrastructure.CimInstance"} {
		define(&Type{name: n})
	}
	object := func(s *shell, a []any) (any, error) { return &Object{}, nil }
	allTypes["system.object"].ctor = object
	allTypes["system.management.automation.psobject"].ctor = object
	allTypes["system.collections.specialized.ordereddictionary"].ctor = func(s *shell, a []any) (any, error) { return NewHash(true), nil }
	define(&Type{name: "System.Boolean", props: values{"truestring": constant("True"), "falsestring": constant("False")}, funcs: statics{
		"parse": method(func(a *args) any {
			switch strings.ToLower(strings.TrimSpace(a.text(0))) {
			case "true":
				return true
			case "false":
				return false
			}
			a.err = dotnet("System.FormatException", "String was not recognized as a valid Boolean.")
			return nil
		})}})
	allTypes["system.array"].cast = func(s *shell, v any) (any, error) {
		if v == nil {
			return nil, nil
		}
		return &Array{Elem: elements(v)}, nil
	}
	allTypes["system.array"].funcs = statics{
		"reverse": method(func(a *args) any {
			a.need("Reverse", 1)
			switch x := a.any(0).(type) {
			case *Array:
				for i, j := 0, len(x.Elem)-1; i < j; i, j = i+1, j-1 {
					x.Elem[i], x.Elem[j] = x.Elem[j], x.Elem[i]
				}
			case []byte:
				for i, j := 0, len(x)-1; i < j; i, j = i+1, j-1 {
					x[i], x[j] = x[j], x[i]
				}
			default:
				a.err = a.s.refuse("[array]::Reverse of this value")
			}
			return void{}
		}),
		"sort": method(func(a *args) any {
			a.need("Sort", 1)
			if x, ok := a.any(0).(*Array); ok {
				a.err = a.s.sortValues(x.Elem)
			}
			return void{}
		}),
		"indexof": method(func(a *args) any {
			for i, v := range elements(a.any(0)) {
				if a.s.equal(v, a.any(1), true) {
					return int32(i)
				}
			}
			return int32(-1)
		}),
		"copy": method(func(a *args) any {
			a.need("Copy", 3, 5)
			from, to, n := 0, 0, a.any(2)
			if len(a.a) == 5 {
				from, to, n = a.int(1), a.int(3), a.any(4)
			}
			dst := a.any(1)
			if len(a.a) == 5 {
				dst = a.any(2)
			}
			c, err := a.s.toInt32(n)
			if err != nil {
				a.err = err
				return nil
			}
			a.err = copyArray(a.s, a.any(0), from, dst, to, int(c))
			return void{}
		}),
		"resize": method(func(a *args) any { a.err = a.s.refuse("[array]::Resize"); return nil }),
	}
	define(&Type{name: "System.Buffer", funcs: statics{"blockcopy": method(func(a *args) any {
		a.need("BlockCopy", 5)
		if _, ok := a.any(0).([]byte); !ok {
			a.err = a.s.refuse("BlockCopy of something that is not bytes")
			return nil
		}
		if a.err == nil {
			a.err = copyArray(a.s, a.any(0), a.int(1), a.any(2), a.int(3), a.int(4))
		}
		return void{}
	})}})
	define(&Type{name: "System.Collections.Hashtable", ctor: func(s *shell, a []any) (any, error) {
		h := NewHash(false)
		h.exact = true
		return h, nil
	}})
	define(&Type{name: "System.Collections.ArrayList", ctor: func(s *shell, a []any) (any, error) {
		l := &List{}
		if len(a) == 1 {
			if _, isInt := a[0].(int32); !isInt {
				l.Elem = append(l.Elem, elements(a[0])...)
			}
		}
		return l, nil
	}, cast: func(s *shell, v any) (any, error) {
		return &List{Elem: append([]any(nil), elements(v)...)}, nil
	}})
	define(&Type{name: "System.Char", cast: func(s *shell, v any) (any, error) {
		if t, ok := v.(string); ok {
			if u := units(t); len(u) == 1 {
				return Char(u[0]), nil
			}
			return nil, &Error{ID: "InvalidCastIConvertible", Category: "InvalidArgument", Message: "Cannot convert value \"" + t + "\" to type \"System.Char\". Error: \"String must be exactly one character long.\""}
		}
		n, err := toInt(v, "System.Char", 0, 65535)
		return Char(n), err
	}, funcs: statics{
		"isdigit":          charTest(func(r rune) bool { return isDigit(r) }),
		"isletter":         charTest(func(r rune) bool { return isWord(r) && !isDigit(r) && r != '_' }),
		"isupper":          charTest(func(r rune) bool { return strings.ToLower(string(r)) != string(r) }),
		"islower":          charTest(func(r rune) bool { return strings.ToUpper(string(r)) != string(r) }),
		"iswhitespace":     charTest(func(r rune) bool { return isBlank(r) || isNewline(r) }),
		"isletterordigit":  charTest(func(r rune) bool { return isWord(r) && r != '_' }),
		"toupper":          method(func(a *args) any { return Char([]rune(strings.ToUpper(a.text(0)) + "\x00")[0]) }),
		"tolower":          method(func(a *args) any { return Char([]rune(strings.ToLower(a.text(0)) + "\x00")[0]) }),
		"convertfromutf32": method(func(a *args) any { return string(rune(a.int(0))) }),
	}})
	define(&Type{name: "System.Guid", cast: func(s *shell, v any) (any, error) {
		g, err := parseGuid(s.text(v))
		if err != nil {
			return nil, &Error{ID: "InvalidCastParseTargetInvocation", Category: "InvalidArgument", Message: "Cannot convert value \"" + s.text(v) + "\" to type \"System.Guid\". Error: \"" + err.Error() + "\"", inner: asError(err)}
		}
		return g, nil
	}, ctor: func(s *shell, a []any) (any, error) {
		if len(a) == 0 {
			return &guid{}, nil
		}
		g, err := parseGuid(s.text(a[0]))
		return g, err
	}, props: values{"empty": constant(&guid{})}, funcs: statics{
		"newguid": method(func(a *args) any { a.need("NewGuid", 0); return newGuid() }),
		"parse": method(func(a *args) any {
			g, err := parseGuid(a.text(0))
			a.err = err
			return g
		}),
	}})
	define(&Type{name: "System.Version", cast: castVersion, ctor: func(s *shell, a []any) (any, error) {
		if len(a) == 1 {
			return wrapErr(parseVersion(s.text(a[0])))
		}
		var t []string
		for _, v := range a {
			t = append(t, s.text(v))
		}
		return wrapErr(parseVersion(strings.Join(t, ".")))
	}, funcs: statics{"parse": func(s *shell, a []any) (any, error) { return wrapErr(parseVersion(s.text(argOr(a, 0, "")))) }}})
	define(&Type{name: "System.Uri", cast: func(s *shell, v any) (any, error) { return newURI(s.text(v)) },
		ctor: func(s *shell, a []any) (any, error) { return newURI(s.text(argOr(a, 0, ""))) },
		funcs: statics{"escapedatastring": method(func(a *args) any { return strings.ReplaceAll(url.QueryEscape(a.text(0)), "+", "%20") }),
			"unescapedatastring": method(func(a *args) any {
				t, err := url.PathUnescape(a.text(0))
				if err != nil {
					return a.text(0)
				}
				return t
			})}})
	re := func(k string) func(*shell, []any) (any, error) {
		return func(s *shell, a []any) (any, error) {
			if len(a) < 2 {
				return nil, overload(k, len(a))
			}
			n := 2
			if k == "replace" {
				n = 3
			}
			options := int64(0)
			if len(a) > n {
				o, err := s.castEnum(a[n], allTypes["system.text.regularexpressions.regexoptions"])
				if err != nil {
					return nil, err
				}
				options = o.(enumVal).n
			}
			p, err := s.pattern(s.text(a[1]), false, options)
			if err != nil {
				return nil, err
			}
			return s.regexCall(p, k, append([]any{a[0]}, a[2:min(n, len(a))]...))
		}
	}
	enumeration("System.Text.RegularExpressions.RegexOptions", true, enumName{"None", 0}, enumName{"IgnoreCase", 1}, enumName{"Multiline", 2}, enumName{"ExplicitCapture", 4},
		enumName{"Compiled", 8}, enumName{"Singleline", 16}, enumName{"IgnorePatternWhitespace", 32}, enumName{"RightToLeft", 64}, enumName{"CultureInvariant", 512})
	define(&Type{name: "System.Text.RegularExpressions.Regex",
		cast: func(s *shell, v any) (any, error) { return wrapErr(s.newRegex(s.text(v), 0)) },
		ctor: func(s *shell, a []any) (any, error) {
			options := int64(0)
			if len(a) > 1 {
				o, err := s.castEnum(a[1], allTypes["system.text.regularexpressions.regexoptions"])
				if err != nil {
					return nil, err
				}
				options = o.(enumVal).n
			}
			return wrapErr(s.newRegex(s.text(argOr(a, 0, "")), options))
		},
		funcs: statics{"escape": method(func(a *args) any { return regexQuote(a.text(0)) }), "ismatch": re("ismatch"), "match": re("match"), "matches": re("matches"),
			"replace": re("replace"), "split": re("split")}})
	define(&Type{name: "System.Management.Automation.ScriptBlock", cast: func(s *shell, v any) (any, error) { return s.newBlock(s.text(v)) },
		funcs: statics{"create": func(s *shell, a []any) (any, error) { return s.newBlock(s.text(argOr(a, 0, ""))) }}})
	enumeration("System.StringComparison", false, enumName{"CurrentCulture", 0}, enumName{"CurrentCultureIgnoreCase", 1}, enumName{"InvariantCulture", 2}, enumName{"InvariantCultureIgnoreCase", 3}, enumName{"Ordinal", 4}, enumName{"OrdinalIgnoreCase", 5})
	enumeration("System.StringSplitOptions", true, enumName{"None", 0}, enumName{"RemoveEmptyEntries", 1})
	enumeration("System.MidpointRounding", false, enumName{"ToEven", 0}, enumName{"AwayFromZero", 1})
	enumeration("System.ConsoleColor", false, colors()...)
	defineConvert()
	defineMath()
}

func colors() []enumName {
	var out []enumName
	for i, n := range strings.Fields("Black DarkBlue DarkGreen DarkCyan DarkRed DarkMagenta DarkYellow Gray DarkGray Blue Green Cyan Red Magenta Yellow White") {
		out = append(out, enumName{n, int64(i)})
	}
	return out
}

func wrapErr[T any](v T, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return v, nil
}

func castVersion(s *shell, v any) (any, error) {
	t := s.text(v)
	switch x := v.(type) {
	case float64:
		if t = floatText(x, 15); !strings.Contains(t, ".") {
			t += ".0"
		}
	case nil:
		return nil, nil
	}
	r, err := parseVersion(t)
	if err != nil {
		return nil, &Error{ID: "InvalidCastParseTargetInvocation", Category: "InvalidArgument", Message: "Cannot convert value \"" + t + "\" to type \"System.Version\". Error: \"" + err.Error() + "\"", inner: asError(err)}
	}
	return r, nil
}

func newURI(t string) (any, error) {
	u, err := url.Parse(t)
	if err != nil {
		return nil, &Error{ID: "UriFormatException", Exception: "System.UriFormatException", Message: "Invalid URI: " + err.Error()}
	}
	return &uri{t, u}, nil
}

func charTest(f func(rune) bool) func(*shell, []any) (any, error) {
	return method(func(a *args) any {
		r := []rune(a.text(0))
		i := 0
		if len(a.a) == 2 {
			i = a.int(1)
		}
		return i >= 0 && i < len(r) && f(r[i])
	})
}

func copyArray(s *shell, src any, from int, dst any, to, n int) error {
	if n < 0 || from < 0 || to < 0 || from+n > lengthOf(src) || to+n > lengthOf(dst) {
		return dotnet("System.ArgumentException", "Source array was not long enough, or the destination was not. Check the indexes and the lengths.")
	}
	sb, ok1 := src.([]byte)
	db, ok2 := dst.([]byte)
	if ok1 && ok2 {
		copy(db[to:to+n], sb[from:from+n])
		return nil
	}
	a, ok1 := src.(*Array)
	b, ok2 := dst.(*Array)
	if !ok1 || !ok2 {
		return s.refuse("a copy between arrays of different types")
	}
	copy(b.Elem[to:to+n], a.Elem[from:from+n])
	return nil
}

func defineConvert() {
	to := func(name string) func(*shell, []any) (any, error) {
		return func(s *shell, a []any) (any, error) {
			if len(a) == 2 {
				base, err := s.toInt32(a[1])
				if err != nil {
					return nil, err
				}
				text, isText := a[0].(string)
				if !isText {
					return nil, s.refuse("[Convert] with a number and a base")
				}
				if base == 16 {
					text = strings.TrimPrefix(strings.TrimPrefix(text, "0x"), "0X")
				}
				bits := map[string]int{"System.Int32": 32, "System.Int64": 64, "System.Byte": 8, "System.UInt32": 32, "System.UInt64": 64, "System.Int16": 16, "System.UInt16": 16}[name]
				n, err := strconv.ParseUint(text, int(base), bits)
				if err != nil {
					return nil, dotnet("System.FormatException", "Could not find any recognizable digits.")
				}
				switch name {
				case "System.Int32":
					return int32(uint32(n)), nil
				case "System.Int64":
					return int64(n), nil
				case "System.Int16":
					return int16(uint16(n)), nil
				}
				return s.castTo(int64(n), allTypes[strings.ToLower(name)])
			}
			if len(a) != 1 {
				return nil, overload("To"+name[7:], len(a))
			}
			if t, ok := a[0].(string); ok {
				return allTypes[strings.ToLower(name)].funcs["parse"](s, []any{t})
			}
			v, err := s.castTo(a[0], allTypes[strings.ToLower(name)])
			if err != nil && !s.passes(err) {
				if e := asError(err); e.inner != nil {
					return nil, e.inner
				}
			}
			return v, err
		}
	}
	f := statics{
		"frombase64string": method(func(a *args) any {
			a.need("FromBase64String", 1)
			b, err := fromBase64(a.text(0))
			if err != nil {
				a.err = err
			}
			return b
		}),
		"tobase64string": method(func(a *args) any {
			b := a.bytes(0)
			if len(a.a) >= 3 {
				p, err := a.s.part(b, a.a[1], a.a[2])
				if err != nil {
					a.err = err
					return nil
				}
				b = p
			} else if len(a.a) == 2 {
				a.err = a.s.refuse("ToBase64String with options")
			}
			return base64.StdEncoding.EncodeToString(b)
		}),
		"tostring": func(s *shell, a []any) (any, error) {
			if len(a) == 2 {
				if base, ok := a[1].(int32); ok {
					n, isInt := asInt(a[0])
					if !isInt || base != 2 && base != 8 && base != 10 && base != 16 {
						return nil, dotnet("System.ArgumentException", "Invalid Base.")
					}
					u := uint64(n)
					if _, is32 := a[0].(int32); is32 {
						u = uint64(uint32(n))
					}
					if base == 10 {
						return strconv.FormatInt(n, 10), nil
					}
					return strconv.FormatUint(u, int(base)), nil
				}
				return nil, s.refuse("[Convert]::ToString with a format provider")
			}
			return s.text(argOr(a, 0, nil)), nil
		},
		"toboolean": func(s *shell, a []any) (any, error) {
			if t, ok := argOr(a, 0, nil).(string); ok {
				return allTypes["system.boolean"].funcs["parse"](s, []any{t})
			}
			return truth(argOr(a, 0, nil)), nil
		},
		"tochar":     func(s *shell, a []any) (any, error) { return s.castTo(argOr(a, 0, nil), allTypes["system.char"]) },
		"todatetime": func(s *shell, a []any) (any, error) { return s.castTo(argOr(a, 0, nil), allTypes["system.datetime"]) },
		"changetype": func(s *shell, a []any) (any, error) {
			if len(a) != 2 {
				return nil, overload("ChangeType", len(a))
			}
			t, err := s.typeArg(a[1])
			if err != nil {
				return nil, err
			}
			return s.castTo(a[0], t)
		},
	}
	for k, n := range map[string]string{"toint32": "System.Int32", "toint64": "System.Int64", "toint16": "System.Int16", "touint16": "System.UInt16", "touint32": "System.UInt32",
		"touint64": "System.UInt64", "tobyte": "System.Byte", "todouble": "System.Double", "tosingle": "System.Single", "todecimal": "System.Decimal"} {
		f[k] = to(n)
	}
	define(&Type{name: "System.Convert", funcs: f})
	define(&Type{name: "System.BitConverter", props: values{"islittleendian": constant(true)}, funcs: statics{
		"tostring": method(func(a *args) any {
			b := a.bytes(0)
			if len(a.a) == 3 {
				p, err := a.s.part(b, a.a[1], a.a[2])
				if err != nil {
					a.err = err
				}
				b = p
			} else if len(a.a) == 2 {
				b = b[min(max(a.int(1), 0), len(b)):]
			}
			h := strings.ToUpper(hex.EncodeToString(b))
			var t strings.Builder
			for i := 0; i < len(h); i += 2 {
				if i > 0 {
					t.WriteByte('-')
				}
				t.WriteString(h[i : i+2])
			}
			return t.String()
		}),
		"getbytes": method(func(a *args) any {
			a.need("GetBytes", 1)
			switch x := a.any(0).(type) {
			case int32:
				return binary.LittleEndian.AppendUint32(nil, uint32(x))
			case uint32:
				return binary.LittleEndian.AppendUint32(nil, x)
			case int64:
				return binary.LittleEndian.AppendUint64(nil, uint64(x))
			case uint64:
				return binary.LittleEndian.AppendUint64(nil, x)
			case int16:
				return binary.LittleEndian.AppendUint16(nil, uint16(x))
			case uint16:
				return binary.LittleEndian.AppendUint16(nil, x)
			case float64:
				return binary.LittleEndian.AppendUint64(nil, math.Float64bits(x))
			case Char:
				return binary.LittleEndian.AppendUint16(nil, uint16(x))
			case bool:
				return []byte{byte(boolInt(x))}
			}
			a.err = a.s.refuse("[BitConverter]::GetBytes of %s", typeNameOf(a.any(0)))
			return nil
		}),
		"toint32":  bits(4, func(b []byte) any { return int32(binary.LittleEndian.Uint32(b)) }),
		"touint32": bits(4, func(b []byte) any { return binary.LittleEndian.Uint32(b) }),
		"toint64":  bits(8, func(b []byte) any { return int64(binary.LittleEndian.Uint64(b)) }),
		"touint64": bits(8, func(b []byte) any { return binary.LittleEndian.Uint64(b) }),
		"toint16":  bits(2, func(b []byte) any { return int16(binary.LittleEndian.Uint16(b)) }),
		"touint16": bits(2, func(b []byte) any { return binary.LittleEndian.Uint16(b) }),
	}})
}

func bits(n int, f func([]byte) any) func(*shell, []any) (any, error) {
	return method(func(a *args) any {
		b, i := a.bytes(0), a.int(1)
		if a.err == nil && (i < 0 || i+n > len(b)) {
			a.err = dotnet("System.ArgumentException", "Destination array is not long enough to copy all the items in the collection. Check array index and length.")
		}
		if a.err != nil {
			return nil
		}
		return f(b[i:])
	})
}

// fromBase64 skips white space, as .NET does.
func fromBase64(t string) ([]byte, error) {
	if strings.ContainsAny(t, " \t\r\n") {
		t = strings.Map(func(r rune) rune {
			if strings.ContainsRune(" \t\r\n", r) {
				return -1
			}
			return r
		}, t)
	}
	b, err := base64.StdEncoding.DecodeString(t)
	if err != nil {
		if len(t)%4 != 0 {
			return nil, dotnet("System.FormatException", "Invalid length for a Base-64 char array or string.")
		}
		return nil, dotnet("System.FormatException", "The input is not a valid Base-64 string as it contains a non-base 64 character, more than two padding characters, or an illegal character among the padding characters.")
	}
	return b, nil
}

func defineMath() {
	one := func(f func(float64) float64) func(*shell, []any) (any, error) {
		return method(func(a *args) any { a.need("Math", 1); return f(a.float(0)) })
	}
	pick := func(want int) func(*shell, []any) (any, error) {
		return func(s *shell, a []any) (any, error) {
			if len(a) != 2 {
				return nil, overload("Max", len(a))
			}
			x, err := toNumber(a[0], "System.Double")
			if err != nil {
				return nil, err
			}
			y, err := toNumber(a[1], "System.Double")
			if err != nil {
				return nil, err
			}
			r := x
			if numberOrder(y, x) == want {
				r = y
			}
			if isFloat(x) != isFloat(y) {
				f, _ := asFloat(r)
				return f, nil
			}
			if _, l := x.(int64); l {
				n, _ := asInt(r)
				return n, nil
			}
			if _, l := y.(int64); l {
				n, _ := asInt(r)
				return n, nil
			}
			return r, nil
		}
	}
	rounding := func(f func(float64) float64, d func(Decimal) Decimal) func(*shell, []any) (any, error) {
		return func(s *shell, a []any) (any, error) {
			if x, ok := argOr(a, 0, nil).(Decimal); ok {
				return d(x), nil
			}
			v, err := toFloat(argOr(a, 0, nil), "System.Double")
			return f(v), err
		}
	}
	floor := func(d Decimal) Decimal {
		if d.scale == 0 {
			return d
		}
		q := decimalOf(0)
		q.n.Div(d.n, pow10(d.scale))
		return q
	}
	define(&Type{name: "System.Math", props: values{"pi": constant(math.Pi), "e": constant(math.E)}, funcs: statics{
		"max": pick(1), "min": pick(-1),
		"abs": method(func(a *args) any {
			v, err := toNumber(a.any(0), "System.Double")
			if err != nil {
				a.err = err
				return nil
			}
			if numberOrder(v, int32(0)) < 0 {
				n, err := negate(v)
				a.err = err
				return n
			}
			return v
		}),
		"floor": rounding(math.Floor, floor), "ceiling": rounding(math.Ceil, func(d Decimal) Decimal {
			f := floor(d)
			if f.cmp(d) < 0 {
				return f.add(decimalOf(1))
			}
			return f
		}),
		"truncate": rounding(math.Trunc, func(d Decimal) Decimal { q := decimalOf(0); q.n.Quo(d.n, pow10(d.scale)); return q }),
		"round": func(s *shell, a []any) (any, error) {
			if len(a) == 0 || len(a) > 3 {
				return nil, overload("Round", len(a))
			}
			places, away := 0, false
			for _, v := range a[1:] {
				if t, ok := v.(string); ok {
					v, _ = s.castEnum(t, allTypes["system.midpointrounding"])
				}
				switch x := v.(type) {
				case int32:
					places = int(x)
				case enumVal:
					away = x.n == 1
				default:
					return nil, s.refuse("[math]::Round of this form")
				}
			}
			if places < 0 || places > 15 {
				return nil, dotnet("System.ArgumentOutOfRangeException", "Rounding digits must be between 0 and 15, inclusive. Parameter name: digits")
			}
			if d, ok := a[0].(Decimal); ok && !away {
				return d.round(places), nil
			}
			f, err := toFloat(a[0], "System.Double")
			if err != nil {
				return nil, err
			}
			p := math.Pow(10, float64(places))
			if away {
				return math.Round(f*p) / p, nil
			}
			return math.RoundToEven(f*p) / p, nil
		},
		"pow":  method(func(a *args) any { a.need("Pow", 2); return math.Pow(a.float(0), a.float(1)) }),
		"sqrt": one(math.Sqrt), "exp": one(math.Exp), "log10": one(math.Log10), "sin": one(math.Sin), "cos": one(math.Cos), "tan": one(math.Tan), "atan": one(math.Atan),
		"log": method(func(a *args) any {
			if len(a.a) == 2 {
				return math.Log(a.float(0)) / math.Log(a.float(1))
			}
			return math.Log(a.float(0))
		}),
		"sign":   method(func(a *args) any { return int32(cmpFloat(a.float(0), 0)) }),
		"divrem": method(func(a *args) any { a.err = a.s.refuse("[math]::DivRem"); return nil }),
	}})
}

// newBlock parses text as a script block.
func (s *shell) newBlock(text string) (any, error) {
	b, err := parse(text, "", s.core)
	if err != nil {
		return nil, err
	}
	return &Block{ast: b}, nil
}

// stopwatch is [Diagnostics.Stopwatch].
type stopwatch struct {
	from time.Time
	sum  time.Duration
	on   bool
}

func (w *stopwatch) typeName() string { return "System.Diagnostics.Stopwatch" }
func (w *stopwatch) elapsed() time.Duration {
	if w.on {
		return w.sum + time.Since(w.from)
	}
	return w.sum
}

func (w *stopwatch) get(s *shell, k string) (any, bool, error) {
	switch k {
	case "elapsed":
		return w.elapsed().Truncate(100), true, nil
	case "elapsedmilliseconds":
		return w.elapsed().Milliseconds(), true, nil
	case "elapsedticks":
		return int64(w.elapsed() / 100), true, nil
	case "isrunning":
		return w.on, true, nil
	}
	return nil, false, nil
}

func (w *stopwatch) call(s *shell, k string, a []any) (any, bool, error) {
	switch k {
	case "start":
		if !w.on {
			w.from, w.on = time.Now(), true
		}
	case "stop":
		w.sum, w.on = w.elapsed(), false
	case "reset":
		w.sum, w.on = 0, false
	case "restart":
		w.sum, w.from, w.on = 0, time.Now(), true
	default:
		return nil, false, nil
	}
	return void{}, true, nil
}

func init() {
	define(&Type{name: "System.Diagnostics.Stopwatch", ctor: func(*shell, []any) (any, error) { return &stopwatch{}, nil },
		funcs: statics{"startnew": func(*shell, []any) (any, error) { return &stopwatch{from: time.Now(), on: true}, nil }}})
	define(&Type{name: "System.Threading.Thread", funcs: statics{"sleep": func(s *shell, a []any) (any, error) {
		d, isSpan := argOr(a, 0, nil).(time.Duration)
		if !isSpan {
			n, err := s.toInt32(argOr(a, 0, nil))
			if err != nil {
				return nil, err
			}
			d = time.Duration(n) * time.Millisecond
		}
		return void{}, s.sleep(d)
	}}})
}

func (s *shell) sleep(d time.Duration) error {
	if d <= 0 {
		return s.ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}
