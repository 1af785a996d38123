package posh

import (
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// likePattern is a wildcard pattern as a regular expression.
func likePattern(pat string) string {
	var b strings.Builder
	b.WriteString(`\A(?s:`)
	r := []rune(pat)
	for i := 0; i < len(r); i++ {
		switch c := r[i]; {
		case c == '*':
			b.WriteString(".*")
		case c == '?':
			b.WriteString(".")
		case c == '`' && i+1 < len(r):
			i++
			b.WriteString(regexp.QuoteMeta(string(r[i])))
		case c == '[':
			j := i + 1
			for j < len(r) && (r[j] != ']' || j == i+1) {
				j++
			}
			if j >= len(r) {
				b.WriteString(`\[`)
				continue
			}
			b.WriteByte('[')
			for k := i + 1; k < j; k++ {
				if r[k] == '-' && k > i+1 && k < j-1 {
					b.WriteByte('-')
				} else {
					b.WriteString(classQuote(r[k]))
				}
			}
			b.WriteByte(']')
			i = j
		default:
			b.WriteString(regexp.QuoteMeta(string(c)))
		}
	}
	b.WriteString(`)\z`)
	return b.String()
}

func classQuote(r rune) string {
	if strings.ContainsRune(`\]^-[`, r) {
		return `\` + string(r)
	}
	return string(r)
}

func (s *shell) like(text, pat string, exact bool) bool {
	key := fmt.Sprint(exact) + pat
	re, ok := s.wildcards[key]
	if !ok {
		expr := likePattern(pat)
		if !exact {
			expr = "(?i)" + expr
		}
		var err error
		if re, err = regexp.Compile(expr); err != nil { // a range that runs backwards matches nothing
			re = regexp.MustCompile(`\A\z.`)
		}
		keep(s.wildcards, key, re)
	}
	return re.MatchString(text)
}

// hasWildcard tells a pattern from a plain name.
func hasWildcard(path string) bool { return strings.ContainsAny(path, "*?[") }

// split is the operator with its arguments: pattern, count, options.
func (s *shell) split(text string, args []any, exact bool) ([]any, error) {
	pat, limit, simple := `\s+`, 0, false
	if len(args) > 0 {
		if b, ok := args[0].(*Block); ok {
			return s.splitBy(text, b)
		}
		pat = s.text(args[0])
	}
	if len(args) > 1 {
		n, err := s.toInt32(args[1])
		if err != nil {
			return nil, err
		}
		limit = int(n)
	}
	options := int64(0)
	if len(args) > 2 {
		for _, o := range strings.Split(strings.ToLower(s.text(args[2])), ",") {
			switch strings.TrimSpace(o) {
			case "simplematch":
				simple = true
			case "ignorecase":
				exact = false
			case "multiline":
				options |= 2
			case "singleline":
				options |= 16
			case "regexmatch", "0", "":
			default:
				return nil, s.refuse("the -split option '%s'", o)
			}
		}
	}
	if limit < 0 {
		return nil, s.refuse("-split with a negative count")
	}
	if simple {
		pat = regexQuote(pat)
	}
	p, err := s.pattern(pat, !exact, options)
	if err != nil {
		return nil, err
	}
	return s.splitAt(p, text, limit)
}

func (s *shell) splitBy(text string, b *Block) ([]any, error) {
	var out []any
	var part strings.Builder
	for _, r := range text {
		v, err := s.invokeBlock(b, string(r), nil)
		if err != nil {
			return nil, err
		}
		if truth(collect(v)) {
			out = append(out, part.String())
			part.Reset()
		} else {
			part.WriteRune(r)
		}
	}
	return append(out, part.String()), nil
}

func formatFault(msg string) error {
	return &Error{ID: "FormatError", Category: "InvalidOperation", Message: "Error formatting a string: " + msg, inner: dotnet("System.FormatException", "%s", msg)}
}

// format is -f.
func (s *shell) format(f string, args []any) (string, error) {
	var b strings.Builder
	for i := 0; i < len(f); i++ {
		c := f[i]
		if c == '}' {
			if i+1 < len(f) && f[i+1] == '}' {
				b.WriteByte('}')
				i++
				continue
			}
			return "", formatFault("Input string was not in a correct format.")
		}
		if c != '{' {
			b.WriteByte(c)
			continue
		}
		if i+1 < len(f) && f[i+1] == '{' {
			b.WriteByte('{')
			i++
			continue
		}
		j := strings.IndexByte(f[i:], '}')
		if j < 0 {
			return "", formatFault("Input string was not in a correct format.")
		}
		item := f[i+1 : i+j]
		i += j
		item, spec, _ := strings.Cut(item, ":")
		item, width, hasWidth := strings.Cut(item, ",")
		n, err := strconv.Atoi(strings.TrimSpace(item))
		if err != nil || n < 0 {
			return "", formatFault("Input string was not in a correct format.")
		}
		if n >= len(args) {
			return "", formatFault("Index (zero based) must be greater than or equal to zero and less than the size of the argument list.")
		}
		t, err := s.formatValue(args[n], spec)
		if err != nil {
			return "", err
		}
		if hasWidth {
			w, err := strconv.Atoi(strings.TrimSpace(width))
			if err != nil || w > 1000000 || w < -1000000 {
				return "", formatFault("Input string was not in a correct format.")
			}
			pad := max(w, -w) - length16(t)
			if pad > 0 && w > 0 {
				t = strings.Repeat(" ", pad) + t
			} else if pad > 0 {
				t += strings.Repeat(" ", pad)
			}
		}
		b.WriteString(t)
		if b.Len() > maxText {
			return "", tooBig("a string")
		}
	}
	return b.String(), nil
}

// formatValue is one value by a .NET format.
func (s *shell) formatValue(v any, spec string) (string, error) {
	if l, ok := v.(literal); ok {
		v = l.v
	}
	if spec == "" {
		switch v.(type) {
		case *Array, *List:
			return typeNameOf(v), nil
		case *Type: // .NET writes it, not PowerShell
			return toText(v), nil
		}
		return s.text(v), nil
	}
	switch x := v.(type) {
	case time.Time:
		return s.formatTime(x, spec)
	case time.Duration:
		return s.formatSpan(x, spec)
	case *guid:
		return x.format(spec)
	case enumVal:
		switch spec {
		case "d", "D":
			return fmt.Sprint(x.n), nil
		case "g", "G", "f", "F":
			return x.String(), nil
		}
		return "", s.refuse("the format '%s' of an enumeration", spec)
	}
	if isNumber(v) {
		return s.formatNumber(v, spec)
	}
	return s.text(v), nil
}

func (s *shell) formatNumber(v any, spec string) (string, error) {
	kind := spec[0] | 0x20
	places := -1
	if len(spec) > 1 {
		n, err := strconv.Atoi(spec[1:])
		if err != nil || n < 0 || n > 99 || spec[0] == '0' || spec[0] == '#' {
			return s.customNumber(v, spec)
		}
		places = n
	}
	_, whole := asInt(v)
	switch kind {
	case 'd', 'x':
		if !whole {
			return "", formatFault("Format specifier was invalid.")
		}
		n, _ := asInt(v)
		t := strconv.FormatInt(max(n, -n), 10)
		if kind == 'x' {
			u := uint64(n)
			switch v.(type) {
			case int32:
				u = uint64(uint32(n))
			case int16:
				u = uint64(uint16(n))
			case int8:
				u = uint64(uint8(n))
			}
			t = strconv.FormatUint(u, 16)
			if spec[0] == 'X' {
				t = strings.ToUpper(t)
			}
		}
		if len(t) < places {
			t = strings.Repeat("0", places-len(t)) + t
		}
		if kind == 'd' && n < 0 {
			t = "-" + t
		}
		return t, nil
	case 'n', 'f', 'p', 'c':
		if places < 0 {
			places = 2
		}
		neg, digits := fixed(v, places, kind == 'p')
		if kind != 'f' {
			digits = group3(digits)
		}
		if kind == 'p' {
			digits += " %"
		}
		if kind == 'c' {
			return "", s.refuse("the format '%s' (currency)", spec)
		}
		if neg && strings.ContainsAny(digits, "123456789") {
			digits = "-" + digits
		}
		return digits, nil
	case 'g', 'r':
		if places <= 0 {
			return s.text(v), nil
		}
		f, _ := asFloat(v)
		return floatText(f, places), nil
	case 'e':
		if places < 0 {
			places = 6
		}
		f, _ := asFloat(v)
		t := strconv.FormatFloat(f, 'e', places, 64)
		mant, exp, _ := strings.Cut(t, "e")
		n, _ := strconv.Atoi(exp)
		t = fmt.Sprintf("%se%+04d", mant, n)
		if spec[0] == 'E' {
			t = strings.ToUpper(t)
		}
		return t, nil
	}
	return s.customNumber(v, spec)
}

// fixed is a number with so many places, rounded away from zero.
func fixed(v any, places int, percent bool) (neg bool, text string) {
	r := new(big.Rat)
	switch x := v.(type) {
	case Decimal:
		r.SetFrac(x.n, pow10(x.scale))
	default:
		if i, ok := asInt(v); ok {
			r.SetInt64(i)
		} else if f, _ := asFloat(v); math.IsInf(f, 0) || math.IsNaN(f) {
			return f < 0, floatText(math.Abs(f), 15)
		} else {
			r.SetString(strconv.FormatFloat(f, 'E', 14, 64))
		}
	}
	if percent {
		r.Mul(r, big.NewRat(100, 1))
	}
	neg = r.Sign() < 0
	r.Abs(r)
	r.Mul(r, new(big.Rat).SetInt(pow10(places)))
	r.Add(r, big.NewRat(1, 2))
	n := new(big.Int).Quo(r.Num(), r.Denom())
	return neg, Decimal{n, places}.String()
}

func group3(t string) string {
	whole, frac, hasFrac := strings.Cut(t, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if hasFrac {
		return whole + "." + frac
	}
	return whole
}

// customNumber does 0, #, the point, the comma between digits, and plain text.
func (s *shell) customNumber(v any, spec string) (string, error) {
	if strings.ContainsAny(spec, ";%\\'\"eE") {
		return "", s.refuse("the number format '%s'", spec)
	}
	first, last := strings.IndexAny(spec, "0#"), strings.LastIndexAny(spec, "0#")
	if first < 0 {
		return spec, nil
	}
	body := spec[first : last+1]
	if strings.Trim(body, "0#.,") != "" || strings.Count(body, ".") > 1 {
		return "", s.refuse("the number format '%s'", spec)
	}
	whole, frac, _ := strings.Cut(body, ".")
	group := strings.Contains(whole, ",")
	whole = strings.ReplaceAll(whole, ",", "")
	neg, t := fixed(v, len(frac), false)
	w, f, _ := strings.Cut(t, ".")
	w = strings.TrimLeft(w, "0")
	need := 0
	if i := strings.IndexByte(whole, '0'); i >= 0 {
		need = len(whole) - i
	}
	for len(w) < need {
		w = "0" + w
	}
	if group {
		w = group3(w)
	}
	keep := strings.LastIndexByte(frac, '0') + 1
	for len(f) > keep && f[len(f)-1] == '0' {
		f = f[:len(f)-1]
	}
	if f != "" {
		w += "." + f
	}
	if neg && strings.ContainsAny(w, "123456789") {
		w = "-" + w
	}
	return spec[:first] + w + spec[last+1:], nil
}
