package posh

import (
	"errors"
	"strings"
	"unicode"
)

// stringMethods are those of System.String that a call may miss only by its form.
var stringMethods = map[string]bool{"split": true, "replace": true, "trim": true, "trimstart": true, "trimend": true, "startswith": true, "endswith": true,
	"indexof": true, "lastindexof": true, "padleft": true, "padright": true, "insert": true, "remove": true, "substring": true, "contains": true,
	"tolower": true, "toupper": true, "tochararray": true, "indexofany": true, "lastindexofany": true, "normalize": true, "copyto": true, "compareto": true, "isnormalized": true}

// stringCall calls a method of a string.
func (s *shell) stringCall(t, k string, a []any) (any, bool, error) {
	n := len(a)
	text := func(i int) string { return s.charText(a[i]) }
	num := func(i int) (int, error) { v, err := s.toInt32(a[i]); return int(v), err }
	switch k {
	case "toupper", "toupperinvariant":
		if n == 0 {
			return strings.ToUpper(t), true, nil
		}
	case "tolower", "tolowerinvariant":
		if n == 0 {
			return strings.ToLower(t), true, nil
		}
	case "trim", "trimstart", "trimend":
		cut := unicode.IsSpace
		if n > 0 {
			set := ""
			for i := range a {
				set += text(i)
			}
			cut = func(r rune) bool { return strings.ContainsRune(set, r) }
		}
		if k != "trimend" {
			t = strings.TrimLeftFunc(t, cut)
		}
		if k != "trimstart" {
			t = strings.TrimRightFunc(t, cut)
		}
		return t, true, nil
	case "startswith", "endswith":
		fold := n == 2 && strings.Contains(strings.ToLower(s.text(a[1])), "ignorecase")
		if n < 1 || n > 2 {
			break
		}
		x, y := t, text(0)
		if fold {
			x, y = strings.ToLower(x), strings.ToLower(y)
		}
		if k == "startswith" {
			return strings.HasPrefix(x, y), true, nil
		}
		return strings.HasSuffix(x, y), true, nil
	case "contains":
		if n == 1 {
			return strings.Contains(t, text(0)), true, nil
		}
	case "indexof", "lastindexof":
		return s.stringIndex(t, k, a)
	case "indexofany":
		if n == 1 {
			return int32(index16(t, strings.IndexAny(t, text(0)))), true, nil
		}
	case "substring":
		return s.substring(t, a)
	case "replace":
		if n == 2 {
			if text(0) == "" {
				return nil, true, dotnet("System.ArgumentException", "String cannot be of zero length. Parameter name: oldValue")
			}
			r := strings.ReplaceAll(t, text(0), s.text(a[1]))
			if len(r) > maxText {
				return nil, true, tooBig("a string")
			}
			return r, true, nil
		}
	case "split":
		return s.stringSplit(t, a)
	case "padleft", "padright":
		if n < 1 || n > 2 {
			break
		}
		w, err := num(0)
		if err != nil {
			return nil, true, err
		}
		fill := " "
		if n == 2 {
			fill = text(1)
		}
		if w > maxText {
			return nil, true, tooBig("a string")
		}
		if w -= length16(t); w <= 0 {
			return t, true, nil
		}
		if k == "padleft" {
			return strings.Repeat(fill, w) + t, true, nil
		}
		return t + strings.Repeat(fill, w), true, nil
	case "insert":
		if n == 2 {
			i, err := num(0)
			if err != nil {
				return nil, true, err
			}
			if i < 0 || i > length16(t) {
				return nil, true, dotnet("System.ArgumentOutOfRangeException", "Specified argument was out of the range of valid values. Parameter name: startIndex")
			}
			return slice16(t, 0, i) + s.text(a[1]) + slice16(t, i, length16(t)), true, nil
		}
	case "remove":
		if n == 1 || n == 2 {
			i, err := num(0)
			if err != nil {
				return nil, true, err
			}
			l := length16(t)
			c := l - i
			if n == 2 {
				if c, err = num(1); err != nil {
					return nil, true, err
				}
			}
			if i < 0 || c < 0 || i+c > l || n == 1 && i >= l {
				return nil, true, dotnet("System.ArgumentOutOfRangeException", "startIndex must be less than length of string. Parameter name: startIndex")
			}
			return slice16(t, 0, i) + slice16(t, i+c, l), true, nil
		}
	case "tochararray":
		if n == 0 {
			return charArray(t), true, nil
		}
	case "getenumerator":
		if n == 0 {
			return newEnumerator(charArray(t).Elem), true, nil
		}
	case "chars", "get_chars":
		if n == 1 {
			v, ok, err := s.pick(t, a[0])
			if !ok && err == nil {
				err = dotnet("System.IndexOutOfRangeException", "Index was outside the bounds of the array.")
			}
			return v, true, err
		}
	case "equals":
		if n == 2 && strings.Contains(strings.ToLower(s.text(a[1])), "ignorecase") {
			return strings.EqualFold(t, s.text(a[0])), true, nil
		}
		if n >= 1 {
			o, ok := a[0].(string)
			return ok && o == t, true, nil
		}
	case "compareto":
		if n == 1 {
			return int32(compareText(t, s.text(a[0]), true)), true, nil
		}
	case "tostring":
		return t, true, nil
	case "clone":
		return t, true, nil
	case "gettypecode":
		return nil, true, s.refuse("GetTypeCode()")
	}
	return nil, false, nil
}

func (s *shell) stringIndex(t, k string, a []any) (any, bool, error) {
	if len(a) == 0 || len(a) > 3 {
		return nil, false, nil
	}
	x := s.charText(a[0])
	fold := false
	from := 0
	for _, v := range a[1:] {
		switch v.(type) {
		case int32, int64:
			n, err := s.toInt32(v)
			if err != nil {
				return nil, true, err
			}
			if from = int(n); from < 0 || from > length16(t) || k == "lastindexof" {
				if k == "lastindexof" {
					return nil, true, s.refuse("LastIndexOf with a start")
				}
				return nil, true, dotnet("System.ArgumentOutOfRangeException", "Index was out of range. Must be non-negative and less than the size of the collection. Parameter name: startIndex")
			}
		default:
			fold = strings.Contains(strings.ToLower(s.text(v)), "ignorecase")
		}
	}
	hay := t
	if fold {
		hay, x = strings.ToLower(t), strings.ToLower(x)
	}
	if k == "lastindexof" {
		return int32(index16(hay, strings.LastIndex(hay, x))), true, nil
	}
	i := index16(slice16(hay, from, length16(hay)), strings.Index(slice16(hay, from, length16(hay)), x))
	if i >= 0 {
		i += from
	}
	return int32(i), true, nil
}

func (s *shell) substring(t string, a []any) (any, bool, error) {
	if len(a) == 0 || len(a) > 2 {
		return nil, false, nil
	}
	i, err := s.toInt32(a[0])
	if err != nil {
		return nil, true, err
	}
	l := int32(length16(t))
	if i < 0 || i > l {
		return nil, true, dotnet("System.ArgumentOutOfRangeException", "startIndex cannot be larger than length of string. Parameter name: startIndex")
	}
	n := l - i
	if len(a) == 2 {
		if n, err = s.toInt32(a[1]); err != nil {
			return nil, true, err
		}
		if n < 0 || i+n > l {
			return nil, true, dotnet("System.ArgumentOutOfRangeException", "Index and length must refer to a location within the string. Parameter name: length")
		}
	}
	return slice16(t, int(i), int(i+n)), true, nil
}

// stringSplit splits at characters, as .NET Framework does; with string
// separators only where they come as an array and with options.
func (s *shell) stringSplit(t string, a []any) (any, bool, error) {
	limit := -1
	drop := false
	var seps []string

	rest := a
	if len(a) > 0 {
		switch x := a[0].(type) {
		case *Array:
			for _, e := range x.Elem {
				seps = append(seps, s.text(e))
			}
		case nil:
		default:
			text := s.text(x)
			if s.core {
				seps = []string{text}
			} else {
				for _, r := range text {
					seps = append(seps, string(r))
				}
			}
		}
		rest = a[1:]
	}
	for i, v := range rest {
		switch x := v.(type) {
		case int32:
			if i != 0 || x < 0 {
				return nil, true, s.refuse("Split of this form")
			}
			limit = int(x)
		case enumVal:
			drop = x.n&1 != 0
		case Char:
			seps = append(seps, toText(x))
		case string:
			switch {
			case strings.EqualFold(x, "RemoveEmptyEntries"):
				drop = true
			case strings.EqualFold(x, "None"):
			case length16(x) == 1:
				seps = append(seps, x)
			default:
				return nil, true, s.refuse("Split of this form")
			}
		default:
			return nil, true, s.refuse("Split of this form")
		}
	}
	out := &Array{Type: "string"}
	add := func(x string) {
		if !drop || x != "" {
			out.Elem = append(out.Elem, x)
		}
	}
	for {
		if limit >= 0 && len(out.Elem) >= limit-1 {
			break
		}
		at, n := -1, 0
		if len(seps) == 0 {
			at = strings.IndexFunc(t, unicode.IsSpace)
			if at >= 0 {
				n = len(string([]rune(t[at:])[0]))
			}
		}
		for _, x := range seps {
			if x == "" {
				continue
			}
			if i := strings.Index(t, x); i >= 0 && (at < 0 || i < at) {
				at, n = i, len(x)
			}
		}
		if at < 0 {
			break
		}
		add(t[:at])
		t = t[at+n:]
	}
	if limit != 0 {
		add(t)
	}
	return out, true, nil
}

func init() {
	join := func(s *shell, a []any) (any, error) {
		if len(a) < 1 {
			return nil, fault("MethodCountCouldNotFindBest", "Cannot find an overload for \"Join\" and the argument count: \"%d\".", len(a))
		}
		var parts []string
		for _, v := range a[1:] {
			for _, e := range elements(v) {
				parts = append(parts, s.text(e))
			}
			if v == nil {
				parts = append(parts, "")
			}
		}
		return strings.Join(parts, s.text(a[0])), nil
	}
	arg := func(a []any, i int) any { return argOr(a, i, nil) }
	define(&Type{name: "System.String",
		ctor: func(s *shell, a []any) (any, error) {
			switch {
			case len(a) == 1:
				return s.charText(a[0]), nil
			case len(a) == 2:
				n, err := s.toInt32(a[1])
				if err != nil {
					return nil, err
				}
				if n < 0 || int(n) > maxText {
					return nil, tooBig("a string")
				}
				return strings.Repeat(s.text(a[0]), int(n)), nil
			}
			return nil, s.refuse("a string made of these arguments")
		},
		props: map[string]func(*shell) (any, error){"empty": func(*shell) (any, error) { return "", nil }},
		funcs: map[string]func(*shell, []any) (any, error){
			"isnullorempty":      func(s *shell, a []any) (any, error) { return s.text(arg(a, 0)) == "", nil },
			"isnullorwhitespace": func(s *shell, a []any) (any, error) { return strings.TrimSpace(s.text(arg(a, 0))) == "", nil },
			"join":               join,
			"concat": func(s *shell, a []any) (any, error) {
				var b strings.Builder
				for _, v := range a {
					for _, e := range elements(v) {
						b.WriteString(s.text(e))
					}
				}
				return b.String(), nil
			},
			"format": func(s *shell, a []any) (any, error) {
				if len(a) < 1 {
					return nil, fault("MethodCountCouldNotFindBest", "Cannot find an overload for \"Format\" and the argument count: \"0\".")
				}
				args := a[1:]
				if len(args) == 1 {
					if l, ok := list(args[0]); ok {
						args = l
					}
				}
				t, err := s.format(s.text(a[0]), args)
				var e *Error
				if errors.As(err, &e) && e.inner != nil {
					err = e.inner
				}
				return t, err
			},
			"equals": func(s *shell, a []any) (any, error) {
				if len(a) == 3 {
					return strings.EqualFold(s.text(a[0]), s.text(a[1])) && strings.Contains(strings.ToLower(s.text(a[2])), "ignorecase") || s.text(a[0]) == s.text(a[1]), nil
				}
				return s.text(arg(a, 0)) == s.text(arg(a, 1)), nil
			},
			"compare": func(s *shell, a []any) (any, error) {
				return int32(compareText(s.text(arg(a, 0)), s.text(arg(a, 1)), len(a) < 3 || !truth(a[2]))), nil
			},
			"copy": func(s *shell, a []any) (any, error) { return s.text(arg(a, 0)), nil },
		}})
	define(&Type{name: "System.Text.StringBuilder", ctor: func(s *shell, a []any) (any, error) {
		b := &builder{}
		if len(a) > 0 {
			if t, ok := a[0].(string); ok {
				b.b.WriteString(t)
			}
		}
		return b, nil
	}})
}

// builder is a StringBuilder.
type builder struct{ b strings.Builder }

func (b *builder) typeName() string { return "System.Text.StringBuilder" }
func (b *builder) String() string   { return b.b.String() }

func (b *builder) get(s *shell, k string) (any, bool, error) {
	switch k {
	case "length":
		return int32(length16(b.b.String())), true, nil
	case "capacity", "maxcapacity":
		return int32(2147483647), true, nil
	}
	return nil, false, nil
}

func (b *builder) call(s *shell, k string, a []any) (any, bool, error) {
	if b.b.Len() > maxText {
		return nil, true, tooBig("a string")
	}
	switch {
	case k == "append" && len(a) == 1:
		b.b.WriteString(s.charText(a[0]))
	case k == "append" && len(a) == 2:
		n, err := s.toInt32(a[1])
		if err != nil {
			return nil, true, err
		}
		if n < 0 || int(n) > maxText {
			return nil, true, tooBig("a string")
		}
		b.b.WriteString(strings.Repeat(s.text(a[0]), int(n)))
	case k == "appendline" && len(a) <= 1:
		if len(a) == 1 {
			b.b.WriteString(s.text(a[0]))
		}
		b.b.WriteString(s.host.newline)
	case k == "appendformat" && len(a) >= 1:
		t, err := s.format(s.text(a[0]), a[1:])
		if err != nil {
			return nil, true, err
		}
		b.b.WriteString(t)
	case k == "clear" && len(a) == 0:
		b.b.Reset()
	case k == "replace" && len(a) == 2:
		t := strings.ReplaceAll(b.b.String(), s.text(a[0]), s.text(a[1]))
		b.b.Reset()
		b.b.WriteString(t)
	case k == "tostring" && len(a) == 0:
		return b.b.String(), true, nil
	case (k == "insert" || k == "remove") && len(a) == 2:
		t, ok, err := s.stringCall(b.b.String(), k, a)
		if err != nil || !ok {
			return nil, ok, err
		}
		b.b.Reset()
		b.b.WriteString(s.text(t))
	default:
		return nil, false, nil
	}
	return b, true, nil
}
