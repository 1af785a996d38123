package posh

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

const maxJSONDepth = 100

// jsonText writes a value as ConvertTo-Json does.
type jsonText struct {
	s       *shell
	b       strings.Builder
	compact bool
	depth   int
	err     error
}

func (j *jsonText) write(v any, level, indent int) {
	if l, ok := v.(literal); ok {
		v = l.v
	}
	if j.b.Len() > maxText && j.err == nil {
		j.err = tooBig("the JSON text")
	}
	if j.err != nil {
		return
	}
	switch x := v.(type) {
	case nil:
		j.b.WriteString("null")
		return
	case bool:
		j.b.WriteString(strings.ToLower(toText(x)))
		return
	case string:
		j.quote(x)
		return
	case Char:
		j.quote(toText(x))
		return
	case float64:
		j.float(x)
		return
	case float32:
		j.float(float64(x))
		return
	case enumVal:
		j.b.WriteString(strconv.FormatInt(x.n, 10))
		return
	case time.Time:
		j.time(x)
		return
	case *guid, *version, *uri, *Block, *Type, *secret, *regex:
		if _, isVersion := v.(*version); !isVersion {
			j.quote(j.s.text(v))
			return
		}
	}
	if isNumber(v) {
		j.b.WriteString(toText(v))
		return
	}
	if e, ok := list(v); ok {
		if level > j.depth {
			j.quote(j.s.text(v))
			return
		}
		j.open('[', len(e))
		for i, x := range e {
			j.next(i, indent+j.step())
			j.write(x, level+1, indent+j.step())
		}
		j.close(']', len(e), indent)
		return
	}
	if level > j.depth {
		j.quote(j.s.text(v))
		return
	}
	names := j.s.propertyNames(v)
	if names == nil {
		if _, isHash := v.(*Hash); !isHash {
			if _, isObject := v.(*Object); !isObject {
				j.quote(j.s.text(v))
				return
			}
		}
	}
	j.open('{', len(names))
	for i, n := range names {
		j.next(i, indent+j.step())
		from := j.b.Len()
		j.quote(n)
		j.b.WriteByte(':')
		if !j.compact {
			j.b.WriteByte(' ')
			if !j.s.core {
				j.b.WriteByte(' ')
			}
		}
		x, _, err := j.s.get(v, n)
		if err != nil {
			if j.s.passes(err) {
				j.err = err
				return
			}
			x = nil
		}
		inner := indent + j.step()
		if !j.s.core { // 5.1 lines nested values up behind the name
			inner += utf8.RuneCountInString(j.b.String()[from:])
		}
		j.write(x, level+1, inner)
	}
	j.close('}', len(names), indent)
}

// step is how far an inner value is moved to the right.
func (j *jsonText) step() int {
	if j.s.core {
		return 2
	}
	return 4
}

func (j *jsonText) open(c byte, n int) {
	j.b.WriteByte(c)
	if n == 0 && !j.compact && !j.s.core {
		j.b.WriteString(j.s.host.newline)
	}
}

func (j *jsonText) next(i, indent int) {
	if i > 0 {
		j.b.WriteByte(',')
	}
	if !j.compact {
		j.b.WriteString(j.s.host.newline + strings.Repeat(" ", indent))
	}
}

func (j *jsonText) close(c byte, n, indent int) {
	if !j.compact && (n > 0 || !j.s.core) {
		j.b.WriteString(j.s.host.newline + strings.Repeat(" ", indent))
	}
	j.b.WriteByte(c)
}

func (j *jsonText) float(f float64) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		j.quote(floatText(f, 15))
		return
	}
	t := strconv.FormatFloat(f, 'g', -1, 64)
	if f == math.Trunc(f) && math.Abs(f) < 1e15 {
		t = strconv.FormatFloat(f, 'f', 1, 64)
		if !j.s.core {
			t = strings.TrimSuffix(t, ".0")
		}
	}
	j.b.WriteString(t)
}

func (j *jsonText) time(t time.Time) {
	if j.s.core {
		v, err := j.s.formatTime(t, "o")
		if err != nil {
			j.err = err
		}
		j.quote(strings.Replace(v, ".0000000", "", 1))
		return
	}
	j.b.WriteString(`"\/Date(` + strconv.FormatInt(j.s.fromZone(t).UnixMilli(), 10) + `)\/"`)
}

func (j *jsonText) quote(t string) {
	j.b.WriteByte('"')
	for _, r := range t {
		switch r {
		case '"':
			j.b.WriteString(`\"`)
		case '\\':
			j.b.WriteString(`\\`)
		case '\n':
			j.b.WriteString(`\n`)
		case '\r':
			j.b.WriteString(`\r`)
		case '\t':
			j.b.WriteString(`\t`)
		case '\b':
			j.b.WriteString(`\b`)
		case '\f':
			j.b.WriteString(`\f`)
		case '\'', '<', '>', '&':
			if j.s.core {
				j.b.WriteRune(r)
			} else {
				fmt.Fprintf(&j.b, `\u%04x`, r)
			}
		default:
			if r < ' ' || r == 0x85 || r == 0x2028 || r == 0x2029 {
				fmt.Fprintf(&j.b, `\u%04x`, r)
			} else {
				j.b.WriteRune(r)
			}
		}
	}
	j.b.WriteByte('"')
}

// jsonReader reads JSON strictly, numbers as this version of PowerShell has them.
type jsonReader struct {
	s     *shell
	t     string
	i     int
	depth int
}

func jsonFault(format string, args ...any) error {
	return &Error{ID: "System.ArgumentException", Exception: "System.ArgumentException", Category: "NotSpecified", Message: "Conversion from JSON failed with error: " + fmt.Sprintf(format, args...)}
}

func (s *shell) fromJSON(t string) (any, error) {
	j := &jsonReader{s: s, t: t}
	v, err := j.value()
	if err != nil {
		return nil, err
	}
	if j.blank(); j.i < len(j.t) {
		return nil, jsonFault("additional text behind the value at position %d", j.i)
	}
	return v, nil
}

func (j *jsonReader) blank() {
	for j.i < len(j.t) && strings.IndexByte(" \t\r\n", j.t[j.i]) >= 0 {
		j.i++
	}
}

func (j *jsonReader) value() (any, error) {
	j.blank()
	if j.depth++; j.depth > maxJSONDepth {
		return nil, jsonFault("the nesting is deeper than %d levels", maxJSONDepth)
	}
	defer func() { j.depth-- }()
	if j.i >= len(j.t) {
		return nil, jsonFault("unexpected end")
	}
	switch c := j.t[j.i]; {
	case c == '{':
		return j.object()
	case c == '[':
		return j.array()
	case c == '"':
		return j.text()
	case c == '-' || c >= '0' && c <= '9':
		return j.number()
	}
	for _, w := range []struct {
		t string
		v any
	}{{"true", true}, {"false", false}, {"null", nil}} {
		if strings.HasPrefix(j.t[j.i:], w.t) {
			j.i += len(w.t)
			return w.v, nil
		}
	}
	return nil, jsonFault("unexpected character at position %d", j.i)
}

func (j *jsonReader) object() (any, error) {
	o := &Object{}
	places := map[string]*prop{}
	j.i++
	for first := true; ; first = false {
		j.blank()
		if j.i < len(j.t) && j.t[j.i] == '}' && first {
			j.i++
			return o, nil
		}
		if j.i >= len(j.t) || j.t[j.i] != '"' {
			return nil, jsonFault("a property's name in double quotes is missing at position %d", j.i)
		}
		name, err := j.text()
		if err != nil {
			return nil, err
		}
		j.blank()
		if j.i >= len(j.t) || j.t[j.i] != ':' {
			return nil, jsonFault("':' is missing at position %d", j.i)
		}
		j.i++
		v, err := j.value()
		if err != nil {
			return nil, err
		}
		n := name.(string)
		if old, ok := places[foldKey(n)]; ok {
			if old.name != n {
				return nil, jsonFault("the names '%s' and '%s' differ only in case", old.name, n)
			}
			old.value = v
		} else {
			p := &prop{name: n, value: v}
			places[foldKey(n)] = p
			o.props = append(o.props, p)
		}
		j.blank()
		if j.i < len(j.t) && j.t[j.i] == ',' {
			j.i++
			continue
		}
		if j.i < len(j.t) && j.t[j.i] == '}' {
			j.i++
			return o, nil
		}
		return nil, jsonFault("',' or '}' is missing at position %d", j.i)
	}
}

func (j *jsonReader) array() (any, error) {
	a := &Array{Elem: []any{}}
	j.i++
	j.blank()
	if j.i < len(j.t) && j.t[j.i] == ']' {
		j.i++
		return a, nil
	}
	for {
		v, err := j.value()
		if err != nil {
			return nil, err
		}
		a.Elem = append(a.Elem, v)
		j.blank()
		switch {
		case j.i < len(j.t) && j.t[j.i] == ',':
			j.i++
		case j.i < len(j.t) && j.t[j.i] == ']':
			j.i++
			return a, nil
		default:
			return nil, jsonFault("',' or ']' is missing at position %d", j.i)
		}
	}
}

func (j *jsonReader) number() (any, error) {
	from := j.i
	for j.i < len(j.t) && strings.IndexByte("+-0123456789.eE", j.t[j.i]) >= 0 {
		j.i++
	}
	t := j.t[from:j.i]
	if !json.Valid([]byte(t)) {
		return nil, jsonFault("'%s' is no number", t)
	}
	if n, err := strconv.ParseInt(t, 10, 64); err == nil {
		if j.s.core || n < math.MinInt32 || n > math.MaxInt32 {
			return n, nil
		}
		return int32(n), nil
	}
	if !j.s.core && !strings.ContainsAny(t, "eE") {
		if d, err := parseDecimal(t); err == nil {
			return d, nil
		}
	}
	f, err := strconv.ParseFloat(t, 64)
	if err != nil {
		return nil, jsonFault("'%s' is too large", t)
	}
	return f, nil
}

func (j *jsonReader) text() (any, error) {
	var b strings.Builder
	from := j.i
	for j.i++; ; {
		if j.i >= len(j.t) {
			return nil, jsonFault("the string at position %d does not end", from)
		}
		c := j.t[j.i]
		switch {
		case c == '"':
			j.i++
			return b.String(), nil
		case c == '\\':
			if err := j.escape(&b); err != nil {
				return nil, err
			}
		case c < utf8.RuneSelf:
			b.WriteByte(c)
			j.i++
		default:
			r, n := utf8.DecodeRuneInString(j.t[j.i:])
			b.WriteRune(r)
			j.i += n
		}
	}
}

func (j *jsonReader) escape(b *strings.Builder) error {
	if j.i+1 >= len(j.t) {
		return jsonFault("a string does not end")
	}
	c := j.t[j.i+1]
	j.i += 2
	switch c {
	case 'n':
		b.WriteByte('\n')
	case 't':
		b.WriteByte('\t')
	case 'r':
		b.WriteByte('\r')
	case 'b':
		b.WriteByte('\b')
	case 'f':
		b.WriteByte('\f')
	case '"', '\\', '/':
		b.WriteByte(c)
	case 'u':
		r, ok := j.hex()
		if !ok {
			return jsonFault("a \\u escape at position %d is not valid", j.i)
		}
		if utf16.IsSurrogate(r) && strings.HasPrefix(j.t[j.i:], `\u`) {
			at := j.i
			j.i += 2
			low, ok := j.hex()
			if full := utf16.DecodeRune(r, low); ok && full != utf8.RuneError {
				r = full
			} else {
				j.i = at
			}
		}
		b.WriteRune(r)
	default:
		return jsonFault("unrecognized escape sequence '\\%c'", c)
	}
	return nil
}

func (j *jsonReader) hex() (rune, bool) {
	if j.i+4 > len(j.t) {
		return 0, false
	}
	n, err := strconv.ParseUint(j.t[j.i:j.i+4], 16, 32)
	j.i += 4
	return rune(n), err == nil
}

func jsonCommands() []Command {
	return []Command{
		{Name: "ConvertTo-Json", Params: []Param{needed(piped(param("InputObject", "", 1))), param("Depth", "int", 0), param("Compress", "switch", 0)},
			Run: func(c *Call) error {
				l, _ := c.State.([]any)
				v := c.Value("InputObject")
				if in, ok := c.Input(); ok {
					v = in
				}
				c.State = append(l, bare(v))
				return nil
			}, End: func(c *Call) error {
				j := &jsonText{s: c.sh, compact: c.On("Compress"), depth: 2}
				if c.Has("Depth") {
					if j.depth = c.Int("Depth"); j.depth < 1 || j.depth > maxJSONDepth {
						return &Error{ID: "ParameterArgumentValidationError", Category: "InvalidData", Message: "Cannot validate argument on parameter 'Depth': it must be between 1 and 100.", Exception: "System.Management.Automation.ParameterBindingException"}
					}
				}
				l := gathered(c)
				if len(l) == 0 {
					return nil
				}
				if len(l) == 1 {
					j.write(l[0], 0, 0)
				} else {
					j.write(&Array{Elem: l}, 0, 0)
				}
				if j.err != nil {
					return j.err
				}
				return c.out.put(j.b.String())
			}},
		{Name: "ConvertFrom-Json", Params: []Param{needed(piped(param("InputObject", "string", 1)))},
			Run: func(c *Call) error {
				l, _ := c.State.([]any)
				c.State = append(l, c.Str("InputObject"))
				return nil
			}, End: func(c *Call) error {
				var lines []string
				for _, v := range gathered(c) {
					lines = append(lines, toText(v))
				}
				if len(lines) > 1 { // several values, or one over several lines
					if _, err := c.sh.fromJSON(lines[0]); err == nil {
						for _, l := range lines {
							v, err := c.sh.fromJSON(l)
							if err != nil {
								return err
							}
							if err := c.out.put(v); err != nil {
								return err
							}
						}
						return nil
					}
				}
				t := strings.Join(lines, "\n")
				if strings.TrimSpace(t) == "" {
					return nil
				}
				v, err := c.sh.fromJSON(t)
				if err != nil {
					return err
				}
				return c.out.put(v)
			}},
		{Name: "ConvertFrom-StringData", Params: []Param{needed(piped(param("StringData", "string", 1)))}, Run: func(c *Call) error {
			h := NewHash(false)
			for _, l := range splitLines(c.Str("StringData")) {
				l = strings.TrimSpace(l)
				if l == "" || l[0] == '#' {
					continue
				}
				k, v, ok := strings.Cut(l, "=")
				if !ok {
					return &Error{ID: "InvalidOperation", Category: "InvalidOperation", Message: "Data line '" + l + "' is not in 'name=value' format.", Exception: "System.Management.Automation.PSInvalidOperationException"}
				}
				v = strings.TrimSpace(v)
				if strings.Contains(v, `\`) {
					x, err := unescapeData(v)
					if err != nil {
						return err
					}
					v = x
				}
				h.Set(strings.TrimSpace(k), v)
			}
			return c.out.put(h)
		}},
		{Name: "ConvertTo-Csv", Params: []Param{needed(piped(param("InputObject", "", 1))), param("Delimiter", "string", 2), param("NoTypeInformation", "switch", 0, "NTI"), refused("UseCulture")}, Run: gather, End: toCSV},
		{Name: "ConvertFrom-Csv", Params: []Param{needed(piped(param("InputObject", "string[]", 1))), param("Delimiter", "string", 2), param("Header", "string[]", 0), refused("UseCulture")}, Run: gather, End: fromCSV},
	}
}

func unescapeData(t string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(t); i++ {
		if t[i] != '\\' || i+1 >= len(t) {
			b.WriteByte(t[i])
			continue
		}
		i++
		switch t[i] {
		case 'n':
			b.WriteByte('\n')
		case 't':
			b.WriteByte('\t')
		case 'r':
			b.WriteByte('\r')
		case '\\':
			b.WriteByte('\\')
		default:
			return "", dotnet("System.ArgumentException", "parsing \"%s\" - Unrecognized escape sequence \\%c.", t, t[i])
		}
	}
	return b.String(), nil
}
