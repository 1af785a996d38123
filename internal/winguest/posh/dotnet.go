package posh

import (
	"fmt"
	"math"
	"net/url"
	"strings"
	"time"

	"github.com/imgflow/imgflow/internal/sleep"
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
			return nil, badCast("InvalidCastIConvertible", t, "System.Char", dotnet("System.FormatException", "String must be exactly one character long."))
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
			return nil, badCast("InvalidCastParseTargetInvocation", s.text(v), "System.Guid", asError(err))
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
		enumName{"Compiled", 8}, enumName{"Singleline", 16}, enumName{"IgnorePatternWhitespace", 32}, enumName{"RightToLeft", 64}, enumName{"ECMAScript", 256}, enumName{"CultureInvariant", 512})
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
		return nil, badCast("InvalidCastParseTargetInvocation", t, "System.Version", asError(err))
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

func (s *shell) sleep(d time.Duration) error { return sleep.For(s.ctx, d) }
