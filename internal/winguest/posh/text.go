package posh

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// foldKey is how names are compared without regard to case.
func foldKey(s string) string {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c >= 'A' && c <= 'Z' || c >= utf8.RuneSelf {
			return strings.ToLower(s)
		}
	}
	return s
}

// toText is a value as a string with the default separator for arrays.
func toText(v any) string { return textWith(v, " ") }

// text is a value as a string, as in "$v".
func (s *shell) text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case *Array:
		return textWith(v, s.ofs())
	case *Type:
		return v.literal()
	}
	return textWith(v, " ")
}

func textWith(v any, sep string) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case bool:
		if v {
			return "True"
		}
		return "False"
	case int32:
		return strconv.FormatInt(int64(v), 10)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return floatText(v, 15)
	case float32:
		return floatText(float64(v), 7)
	case Decimal:
		return v.String()
	case Char:
		return string(rune(v))
	case byte, int8, int16, uint16, uint32, uint64:
		return fmt.Sprint(v)
	case time.Time:
		return v.Format("01/02/2006 15:04:05")
	case time.Duration:
		return spanText(v)
	case literal:
		return v.text
	case *Block:
		return v.text()
	case *Hash:
		return v.typeName()
	case *Object:
		return v.String()
	case fmt.Stringer:
		return v.String()
	}
	if e, ok := list(v); ok {
		if t, ok := surrogates(e, sep); ok {
			return t
		}
		var b strings.Builder
		for i, x := range e {
			if i > 0 {
				b.WriteString(sep)
			}
			if a, nested := x.(*Array); nested {
				b.WriteString(a.typeName())
				continue
			}
			b.WriteString(textWith(x, sep))
		}
		return b.String()
	}
	return typeNameOf(v)
}

// surrogates joins characters where halves of a pair stand beside each other.
func surrogates(e []any, sep string) (string, bool) {
	if sep != "" {
		return "", false
	}
	some := false
	u := make([]uint16, len(e))
	for i, x := range e {
		c, ok := x.(Char)
		if !ok {
			return "", false
		}
		some = some || utf16.IsSurrogate(rune(c))
		u[i] = uint16(c)
	}
	return fromUnits(u), some
}

func floatText(f float64, digits int) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	case f == 0:
		return "0"
	}
	s := strconv.FormatFloat(f, 'E', digits-1, 64)
	mant, exp, _ := strings.Cut(s, "E")
	e, _ := strconv.Atoi(exp)
	if e <= -5 || e >= digits {
		if strings.Contains(mant, ".") {
			mant = strings.TrimRight(strings.TrimRight(mant, "0"), ".")
		}
		return fmt.Sprintf("%sE%+03d", mant, e)
	}
	s = strconv.FormatFloat(f, 'f', max(0, digits-1-e), 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

func spanText(d time.Duration) string {
	sign := ""
	if d < 0 {
		sign, d = "-", -d
	}
	days := d / (24 * time.Hour)
	d -= days * 24 * time.Hour
	s := fmt.Sprintf("%02d:%02d:%02d", d/time.Hour, d/time.Minute%60, d/time.Second%60)
	if days > 0 {
		s = fmt.Sprintf("%d.%s", days, s)
	}
	if f := d % time.Second; f != 0 {
		s += fmt.Sprintf(".%07d", f/100)
	}
	return sign + s
}

// literal is a number among a command's arguments, which keeps its spelling.
type literal struct {
	v    any
	text string
}

func (b *Block) text() string {
	if b.ast.to <= len(b.ast.src.text) {
		return string(b.ast.src.text[b.ast.from:b.ast.to])
	}
	return ""
}

func (o *Object) String() string {
	if o.Text != nil {
		return o.Text()
	}
	if len(o.Types) > 0 && o.Types[0] != customObject {
		return o.Types[0]
	}
	var b strings.Builder
	b.WriteString("@{")
	for i, p := range o.props {
		if i > 0 {
			b.WriteString("; ")
		}
		v, _ := o.Get(p.name)
		b.WriteString(p.name + "=" + toText(v))
	}
	b.WriteString("}")
	return b.String()
}

// length16 is a string's length in UTF-16, as .NET counts.
func length16(s string) int {
	n := 0
	for i := 0; i < len(s); {
		if s[i] < utf8.RuneSelf {
			n++
			i++
			continue
		}
		r, w := utf8.DecodeRuneInString(s[i:])
		n += utf16.RuneLen(r)
		i += w
	}
	return n
}

func ascii(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// units is a string in UTF-16.
func units(s string) []uint16 { return utf16.Encode([]rune(s)) }

func fromUnits(u []uint16) string { return string(utf16.Decode(u)) }

// slice16 cuts a string by UTF-16 places.
func slice16(s string, from, to int) string {
	if ascii(s) {
		return s[from:to]
	}
	return fromUnits(units(s)[from:to])
}

// index16 turns a byte offset into a UTF-16 place.
func index16(s string, i int) int {
	if i < 0 {
		return i
	}
	return length16(s[:i])
}

// truth is a value as a condition.
func truth(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case string:
		return v != ""
	case literal:
		return truth(v.v)
	case *Array:
		switch len(v.Elem) {
		case 0:
			return false
		case 1:
			return truth1(v.Elem[0])
		}
		return true
	case []byte:
		return len(v) > 1 || len(v) == 1 && v[0] != 0
	case *List:
		switch len(v.Elem) {
		case 0:
			return false
		case 1:
			return truth1(v.Elem[0])
		}
		return true
	}
	if f, ok := asFloat(v); ok {
		return f != 0
	}
	return true
}

// truth1 is the truth of an array's only element; a nested array counts if it has
// any.
func truth1(v any) bool {
	if l, ok := list(v); ok {
		return len(l) > 0
	}
	return truth(v)
}
