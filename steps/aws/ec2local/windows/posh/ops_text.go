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

// pattern is a compiled regular expression of .NET's dialect.
type pattern struct {
	re     *regexp.Regexp
	dollar bool // it has a $ that also matches before a last line end
}

// pattern compiles, and keeps what it compiled.
func (s *shell) pattern(text string, fold bool, options int64) (*pattern, error) {
	key := fmt.Sprint(fold, options, text)
	if p, ok := s.patterns[key]; ok {
		return p, nil
	}
	p, err := compilePattern(text, fold, options)
	if err == errPattern {
		return nil, s.refuse("the regular expression '%s' (look-around, back references, atomic groups and some classes)", text)
	}
	if err != nil {
		return nil, &Error{ID: "RuntimeException", Category: "InvalidOperation", Message: fmt.Sprintf("parsing \"%s\" - %v", text, err), inner: dotnet("System.ArgumentException", "%v", err)}
	}
	s.keep(key, p)
	return p, nil
}

// keep remembers a pattern; loops may make ever new ones.
func (s *shell) keep(key string, p *pattern) {
	if len(s.patterns) > 500 {
		clear(s.patterns)
	}
	s.patterns[key] = p
}

var errPattern = fmt.Errorf("not in the subset")

// compilePattern translates to Go's syntax; what means something else there is
// refused.
func compilePattern(text string, fold bool, options int64) (*pattern, error) {
	flags := ""
	if fold || options&1 != 0 {
		flags += "i"
	}
	if options&2 != 0 {
		flags += "m"
	}
	if options&16 != 0 {
		flags += "s"
	}
	if options&^(1|2|16|8|512) != 0 {
		return nil, errPattern
	}
	p := &pattern{}
	var b strings.Builder
	if flags != "" {
		b.WriteString("(?" + flags + ")")
	}
	r := []rune(text)
	class := false
	for i := 0; i < len(r); i++ {
		c := r[i]
		if c == '\\' && i+1 < len(r) {
			i++
			switch d := r[i]; {
			case d == 'd':
				b.WriteString(`\p{Nd}`)
			case d == 'D':
				b.WriteString(`\P{Nd}`)
			case d == 'w' && class:
				b.WriteString(`\p{L}\p{Mn}\p{Nd}\p{Pc}`)
			case d == 'w':
				b.WriteString(`[\p{L}\p{Mn}\p{Nd}\p{Pc}]`)
			case d == 'W' && !class:
				b.WriteString(`[^\p{L}\p{Mn}\p{Nd}\p{Pc}]`)
			case d == 's' && class:
				b.WriteString(`\s\v\x{85}\p{Z}`)
			case d == 's':
				b.WriteString(`[\s\v\x{85}\p{Z}]`)
			case d == 'S' && !class:
				b.WriteString(`[^\s\v\x{85}\p{Z}]`)
			case d == 'z', d == 'A', d == 'b' && !class && ascii(text), d == 'B' && !class && ascii(text):
				b.WriteString(`\` + string(d))
			case d == 'Z':
				b.WriteString(`\z`)
				p.dollar = true
			case d == 'u' && i+4 < len(r):
				n, err := strconv.ParseUint(string(r[i+1:i+5]), 16, 32)
				if err != nil {
					return nil, err
				}
				b.WriteString(fmt.Sprintf(`\x{%x}`, n))
				i += 4
			case d == 'e':
				b.WriteString(`\x1b`)
			case d == 'p', d == 'P', d == 'x', d == 't', d == 'n', d == 'r', d == 'f', d == 'v', d == 'a':
				b.WriteString(`\` + string(d))
			case d >= '0' && d <= '9', d == 'k', d == 'G', d >= 'a' && d <= 'z', d >= 'A' && d <= 'Z':
				return nil, errPattern
			default:
				b.WriteString(regexp.QuoteMeta(string(d)))
			}
			continue
		}
		switch {
		case class && c == '[':
			b.WriteString(`\[`)
		case class && c == '-' && i+1 < len(r) && r[i+1] == '[':
			return nil, errPattern
		case class && c == ']':
			class = false
			b.WriteRune(c)
		case class:
			b.WriteRune(c)
		case c == '[':
			class = true
			b.WriteRune(c)
			if i+1 < len(r) && r[i+1] == '^' {
				b.WriteRune('^')
				i++
			}
			if i+1 < len(r) && r[i+1] == ']' {
				b.WriteString(`\]`)
				i++
			}
		case c == '$':
			b.WriteRune(c)
			p.dollar = true
		case c == '(' && i+1 < len(r) && r[i+1] == '?':
			rest := string(r[i+2:])
			switch {
			case strings.HasPrefix(rest, "'"):
				j := strings.IndexByte(rest[1:], '\'')
				if j < 0 {
					return nil, fmt.Errorf("a group's name does not end")
				}
				b.WriteString("(?P<" + rest[1:1+j] + ">")
				i += len([]rune(rest[:j+2])) + 1
			case strings.HasPrefix(rest, "<") && !strings.HasPrefix(rest, "<=") && !strings.HasPrefix(rest, "<!"):
				if j := strings.IndexByte(rest, '>'); j < 0 || strings.Contains(rest[:j], "-") {
					return nil, errPattern
				}
				b.WriteString("(?P")
				i++
			case strings.HasPrefix(rest, "="), strings.HasPrefix(rest, "!"), strings.HasPrefix(rest, "<"), strings.HasPrefix(rest, ">"),
				strings.HasPrefix(rest, "("), strings.HasPrefix(rest, "#"):
				return nil, errPattern
			default:
				if j := strings.IndexAny(rest, ":)"); j < 0 || strings.ContainsAny(rest[:max(j, 0)], "xn") {
					return nil, errPattern
				}
				b.WriteString("(?")
				i++
			}
		default:
			b.WriteRune(c)
		}
	}
	re, err := regexp.Compile(b.String())
	if err != nil {
		return nil, err
	}
	p.re = re
	return p, nil
}

// subject refuses the one case that Go's $ would get wrong.
func (s *shell) subject(p *pattern, text string) error {
	if p.dollar && strings.HasSuffix(text, "\n") && !strings.Contains(p.re.String()[:min(5, len(p.re.String()))], "m") {
		return s.refuse("a regular expression with '$' on text that ends with a line end")
	}
	return nil
}

// groupName is a group's key in $Matches.
func (p *pattern) groupName(i int) string {
	if n := p.re.SubexpNames()[i]; n != "" {
		return n
	}
	// Groups without a name count first, as .NET numbers them.
	n := 0
	for _, x := range p.re.SubexpNames()[:i+1] {
		if x == "" {
			n++
		}
	}
	return strconv.Itoa(n - 1)
}

func (s *shell) match(text, pat string, exact bool) (bool, error) {
	p, err := s.pattern(pat, !exact, 0)
	if err != nil {
		return false, err
	}
	if err := s.subject(p, text); err != nil {
		return false, err
	}
	m := p.re.FindStringSubmatchIndex(text)
	if m == nil {
		return false, nil
	}
	h := NewHash(false)
	for i := len(m)/2 - 1; i >= 0; i-- {
		if m[2*i] >= 0 {
			var key any = p.groupName(i)
			if n, err := strconv.Atoi(toText(key)); err == nil {
				key = int32(n)
			}
			h.Set(key, text[m[2*i]:m[2*i+1]])
		}
	}
	s.setVar("matches", h)
	return true, nil
}

// replaceText is -replace of one string.
func (s *shell) replaceText(text, pat string, with any, exact bool) (string, error) {
	p, err := s.pattern(pat, !exact, 0)
	if err != nil {
		return "", err
	}
	return s.replaceAll(p, text, s.text(with), -1)
}

func (s *shell) replaceAll(p *pattern, text, with string, count int) (string, error) {
	if err := s.subject(p, text); err != nil {
		return "", err
	}
	var b strings.Builder
	last := 0
	for _, m := range p.re.FindAllStringSubmatchIndex(text, count) {
		b.WriteString(text[last:m[0]])
		p.substitute(&b, text, with, m)
		last = m[1]
		if b.Len() > maxText {
			return "", tooBig("a string")
		}
	}
	b.WriteString(text[last:])
	return b.String(), nil
}

// substitute writes a replacement with its $1, ${name}, $&, $$ filled in.
func (p *pattern) substitute(b *strings.Builder, text, with string, m []int) {
	group := func(name string) (string, bool) {
		for i := range p.re.SubexpNames() {
			if p.groupName(i) == name {
				if m[2*i] < 0 {
					return "", true
				}
				return text[m[2*i]:m[2*i+1]], true
			}
		}
		return "", false
	}
	for i := 0; i < len(with); i++ {
		if with[i] != '$' || i+1 >= len(with) {
			b.WriteByte(with[i])
			continue
		}
		switch c := with[i+1]; {
		case c == '$':
			b.WriteByte('$')
			i++
		case c == '&':
			b.WriteString(text[m[0]:m[1]])
			i++
		case c == '`':
			b.WriteString(text[:m[0]])
			i++
		case c == '\'':
			b.WriteString(text[m[1]:])
			i++
		case c == '_':
			b.WriteString(text)
			i++
		case c >= '0' && c <= '9':
			j := i + 1
			for j < len(with) && with[j] >= '0' && with[j] <= '9' {
				j++
			}
			if v, ok := group(with[i+1 : j]); ok {
				b.WriteString(v)
				i = j - 1
			} else {
				b.WriteByte('$')
			}
		case c == '{':
			if j := strings.IndexByte(with[i:], '}'); j > 0 {
				if v, ok := group(with[i+2 : i+j]); ok {
					b.WriteString(v)
					i += j
					continue
				}
			}
			b.WriteByte('$')
		default:
			b.WriteByte('$')
		}
	}
}

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
	key := "like" + fmt.Sprint(exact) + pat
	p, ok := s.patterns[key]
	if !ok {
		expr := likePattern(pat)
		if !exact {
			expr = "(?i)" + expr
		}
		re, err := regexp.Compile(expr)
		if err != nil { // a range that runs backwards matches nothing
			re = regexp.MustCompile(`\A\z.`)
		}
		p = &pattern{re: re}
		s.keep(key, p)
	}
	return p.re.MatchString(text)
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
		pat = regexp.QuoteMeta(pat)
	}
	p, err := s.pattern(pat, !exact, options)
	if err != nil {
		return nil, err
	}
	if err := s.subject(p, text); err != nil {
		return nil, err
	}
	var out []any
	last := 0
	for _, m := range p.re.FindAllStringSubmatchIndex(text, -1) {
		if limit > 0 && len(out) >= limit-1 {
			break
		}
		out = append(out, text[last:m[0]])
		for g := 1; g < len(m)/2; g++ {
			if m[2*g] >= 0 {
				out = append(out, text[m[2*g]:m[2*g+1]])
			}
		}
		last = m[1]
	}
	return append(out, text[last:]), nil
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
