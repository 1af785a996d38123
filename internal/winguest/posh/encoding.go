package posh

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// encoding is [Text.Encoding].
type encoding struct {
	name  string
	page  int
	bom   []byte
	table []rune // of the bytes from 128 on
	wide  int    // 2 for UTF-16, 4 for UTF-32
	big   bool
	only7 bool
}

const (
	page437  = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0"
	page1252 = "€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ"
)

var encodings = map[string]*encoding{
	"utf-8":        {name: "utf-8", page: 65001, bom: []byte{0xEF, 0xBB, 0xBF}},
	"utf-8-plain":  {name: "utf-8", page: 65001},
	"utf-16":       {name: "utf-16", page: 1200, bom: []byte{0xFF, 0xFE}, wide: 2},
	"utf-16be":     {name: "utf-16BE", page: 1201, bom: []byte{0xFE, 0xFF}, wide: 2, big: true},
	"utf-32":       {name: "utf-32", page: 12000, bom: []byte{0xFF, 0xFE, 0, 0}, wide: 4},
	"us-ascii":     {name: "us-ascii", page: 20127, only7: true},
	"ibm437":       {name: "IBM437", page: 437, table: []rune(page437)},
	"windows-1252": {name: "Windows-1252", page: 1252, table: latin(page1252)},
	"iso-8859-1":   {name: "iso-8859-1", page: 28591, table: latin("")},
}

// latin is Latin-1 with other characters from 128 on.
func latin(start string) []rune {
	t := []rune(start)
	for len(t) < 128 {
		t = append(t, rune(128+len(t)))
	}
	return t
}

// encode makes bytes of text; what the code page lacks becomes a question mark.
func (e *encoding) encode(t string) []byte {
	switch {
	case e.wide == 2:
		u := utf16.Encode([]rune(t))
		out := make([]byte, 0, 2*len(u))
		for _, c := range u {
			if e.big {
				out = binary.BigEndian.AppendUint16(out, c)
			} else {
				out = binary.LittleEndian.AppendUint16(out, c)
			}
		}
		return out
	case e.wide == 4:
		var out []byte
		for _, r := range t {
			out = binary.LittleEndian.AppendUint32(out, uint32(r))
		}
		return out
	case e.only7 || e.table != nil:
		if ascii(t) {
			return []byte(t)
		}
		var out []byte
		for _, r := range t {
			switch {
			case r < 128:
				out = append(out, byte(r))
			case e.only7:
				out = append(out, '?')
				if r > 0xFFFF {
					out = append(out, '?')
				}
			default:
				b := byte('?')
				for i, x := range e.table {
					if x == r {
						b = byte(128 + i)
					}
				}
				out = append(out, b)
			}
		}
		return out
	}
	return []byte(t)
}

// decode makes text of bytes.
func (e *encoding) decode(b []byte) string {
	switch {
	case e.wide == 2:
		u := make([]uint16, 0, len(b)/2)
		for i := 0; i+1 < len(b); i += 2 {
			if e.big {
				u = append(u, binary.BigEndian.Uint16(b[i:]))
			} else {
				u = append(u, binary.LittleEndian.Uint16(b[i:]))
			}
		}
		if len(b)%2 == 1 {
			u = append(u, 0xFFFD)
		}
		return string(utf16.Decode(u))
	case e.wide == 4:
		var t strings.Builder
		for i := 0; i+3 < len(b); i += 4 {
			t.WriteRune(rune(binary.LittleEndian.Uint32(b[i:])))
		}
		return t.String()
	case e.only7, e.table != nil:
		var t strings.Builder
		for _, c := range b {
			switch {
			case c < 128:
				t.WriteByte(c)
			case e.only7:
				t.WriteByte('?')
			default:
				t.WriteRune(e.table[c-128])
			}
		}
		return t.String()
	}
	if utf8.Valid(b) {
		return string(b)
	}
	return strings.ToValidUTF8(string(b), "\uFFFD")
}

// detect finds the encoding that a byte order mark tells, and the bytes behind it.
func detect(b []byte, def *encoding) (*encoding, []byte) {
	for _, n := range [...]string{"utf-8", "utf-32", "utf-16", "utf-16be"} {
		if e := encodings[n]; bytes.HasPrefix(b, e.bom) {
			return e, b[len(e.bom):]
		}
	}
	return def, b
}

func (e *encoding) typeName() string { return "System.Text.Encoding" }
func (e *encoding) String() string   { return "System.Text.Encoding" }

func (e *encoding) get(s *shell, k string) (any, bool, error) {
	switch k {
	case "codepage", "windowscodepage":
		return int32(e.page), true, nil
	case "bodyname", "headername", "webname":
		return e.name, true, nil
	}
	return nil, false, nil
}

func (e *encoding) call(s *shell, k string, a []any) (any, bool, error) {
	switch k {
	case "getbytes":
		if len(a) != 1 {
			return nil, false, nil
		}
		if a[0] == nil {
			return nil, true, dotnet("System.ArgumentNullException", "Array cannot be null. Parameter name: chars")
		}
		return e.encode(s.charText(a[0])), true, nil
	case "getstring":
		b, err := s.bytesArg(a, 0)
		if err != nil {
			return nil, true, err
		}
		if len(a) == 3 {
			if b, err = s.part(b, a[1], a[2]); err != nil {
				return nil, true, err
			}
		}
		return e.decode(b), true, nil
	case "getbytecount":
		if len(a) == 1 {
			return int32(len(e.encode(s.charText(a[0])))), true, nil
		}
	case "getcharcount":
		b, err := s.bytesArg(a, 0)
		return int32(length16(e.decode(b))), true, err
	case "getpreamble":
		return append([]byte{}, e.bom...), true, nil
	case "getchars":
		b, err := s.bytesArg(a, 0)
		if err != nil || len(a) != 1 {
			return nil, false, err
		}
		return charArray(e.decode(b)), true, nil
	}
	return nil, false, nil
}

// charText is a string, or an array of characters as one.
func (s *shell) charText(v any) string {
	if a, ok := v.(*Array); ok {
		return joinChars(a.Elem, s)
	}
	return s.text(v)
}

// joinChars puts characters together; halves of a pair meet again.
func joinChars(e []any, s *shell) string {
	u := make([]uint16, 0, len(e))
	for _, x := range e {
		c, ok := x.(Char)
		if !ok {
			var b strings.Builder
			for _, y := range e {
				b.WriteString(s.text(y))
			}
			return b.String()
		}
		u = append(u, uint16(c))
	}
	return fromUnits(u)
}

func (s *shell) bytesArg(a []any, i int) ([]byte, error) {
	if i >= len(a) || a[i] == nil {
		return nil, dotnet("System.ArgumentNullException", "Value cannot be null. Parameter name: bytes")
	}
	v, err := s.castArray(a[i], arrayOf(allTypes["system.byte"]))
	if err != nil {
		return nil, err
	}
	return v.([]byte), nil
}

// part cuts offset and count out of a buffer.
func (s *shell) part(b []byte, offset, count any) ([]byte, error) {
	o, err := s.toInt32(offset)
	if err != nil {
		return nil, err
	}
	n, err := s.toInt32(count)
	if err != nil {
		return nil, err
	}
	if o < 0 || n < 0 || int(o)+int(n) > len(b) {
		return nil, dotnet("System.ArgumentException", "Offset and length were out of bounds for the array or count is greater than the number of elements from index to the end of the source collection.")
	}
	return b[o : int(o)+int(n)], nil
}

// encodingNamed is the value of a cmdlet's -Encoding; BOM says whether one is
// written by it.
func (s *shell) encodingNamed(v any, def string) (*encoding, error) {
	if e, ok := v.(*encoding); ok {
		return e, nil
	}
	name := strings.ToLower(s.text(v))
	if name == "" {
		name = def
	}
	switch name {
	case "utf8":
		if s.core {
			return encodings["utf-8-plain"], nil
		}
		return encodings["utf-8"], nil
	case "utf8nobom":
		if s.core {
			return encodings["utf-8-plain"], nil
		}
	case "unicode", "string", "unknown":
		return encodings["utf-16"], nil
	case "bigendianunicode":
		return encodings["utf-16be"], nil
	case "utf32":
		return encodings["utf-32"], nil
	case "ascii":
		return encodings["us-ascii"], nil
	case "default", "ansi":
		if s.core {
			return encodings["utf-8-plain"], nil
		}
		return encodings["windows-1252"], nil
	case "oem":
		return encodings["ibm437"], nil
	}
	return nil, &Error{ID: "CannotConvertArgumentNoMessage", Category: "InvalidArgument", Message: "Cannot convert value \"" + name + "\" to an encoding."}
}

func init() {
	static := func(n string) func(*shell) (any, error) {
		return func(*shell) (any, error) { return encodings[n], nil }
	}
	define(&Type{name: "System.Text.Encoding", props: map[string]func(*shell) (any, error){
		"utf8": static("utf-8"), "unicode": static("utf-16"), "bigendianunicode": static("utf-16be"), "ascii": static("us-ascii"), "utf32": static("utf-32"),
		"default": func(s *shell) (any, error) {
			if s.core {
				return encodings["utf-8"], nil
			}
			return encodings["windows-1252"], nil
		},
	}, funcs: map[string]func(*shell, []any) (any, error){
		"getencoding": func(s *shell, a []any) (any, error) {
			if len(a) != 1 {
				return nil, s.refuse("GetEncoding of this form")
			}
			for _, e := range encodings {
				if n, ok := a[0].(int32); ok && e.page == int(n) || strings.EqualFold(e.name, s.text(a[0])) {
					if e.page == 65001 {
						return encodings["utf-8"], nil
					}
					return e, nil
				}
			}
			return nil, s.refuse("the encoding '%s'", s.text(a[0]))
		},
	}})
	define(&Type{name: "System.Text.UTF8Encoding", ctor: func(s *shell, a []any) (any, error) {
		if len(a) > 0 && truth(a[0]) {
			return encodings["utf-8"], nil
		}
		return encodings["utf-8-plain"], nil
	}})
	define(&Type{name: "System.Text.ASCIIEncoding", ctor: func(s *shell, a []any) (any, error) { return encodings["us-ascii"], nil }})
	define(&Type{name: "System.Text.UnicodeEncoding", ctor: func(s *shell, a []any) (any, error) {
		if len(a) > 0 {
			return nil, s.refuse("UnicodeEncoding with arguments")
		}
		return encodings["utf-16"], nil
	}})
}
