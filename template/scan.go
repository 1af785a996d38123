package template

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/imgflow/imgflow/internal/errcode"
)

// maxDepth bounds how deep objects and lists may be nested.
const maxDepth = 200

// scanner reads JSON into Values. It goes on after slips whose repair is plain, to report as many as it can.
type scanner struct {
	src  *File
	text []byte
	pos  int
	errs Errors
	what string // what is read: template, variable file
}

// fatal is panicked inside the scanner when no sense can be made of what follows.
type fatal struct{}

// readJSON returns the value in src; ok says whether all of it could be read, be it with errors.
func readJSON(what string, src *File) (v Raw, ok bool, errs Errors) {
	s := &scanner{src: src, text: src.text, what: what}
	s.text = bytes.TrimPrefix(s.text, []byte("\uFEFF"))
	s.pos = len(src.text) - len(s.text)
	s.text = src.text
	defer func() {
		if r := recover(); r != nil {
			if _, is := r.(fatal); !is {
				panic(r)
			}
		}
		errs = s.errs
	}()
	if i := invalidUTF8(s.text); i >= 0 {
		s.stop(i, "the text is not UTF-8")
	}
	s.space()
	if s.pos == len(s.text) {
		s.stop(s.pos, "the file is empty")
	}
	v = s.value(0)
	s.space()
	if s.pos < len(s.text) {
		s.stop(s.pos, "there is more text after the end")
	}
	return v, true, nil
}

func invalidUTF8(b []byte) int {
	if utf8.Valid(b) {
		return -1
	}
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

func (s *scanner) err(at int, hint, format string, args ...any) {
	s.errs.Add(s.src.Pos(at), hint, "cannot read the %s: %s", s.what, fmt.Sprintf(format, args...))
}

func (s *scanner) stop(at int, format string, args ...any) {
	s.err(at, "", format, args...)
	panic(fatal{})
}

// space skips white space, and complains about comments.
func (s *scanner) space() {
	for s.pos < len(s.text) {
		switch rest := s.text[s.pos:]; {
		case strings.IndexByte(" \t\r\n", rest[0]) >= 0:
			s.pos++
		case rest[0] == '#' || bytes.HasPrefix(rest, []byte("//")):
			s.err(s.pos, `use a key that begins with an underscore at the top of the file, such as "_comment"`, "JSON has no comments")
			if i := bytes.IndexByte(rest, '\n'); i >= 0 {
				s.pos += i
			} else {
				s.pos = len(s.text)
			}
		case bytes.HasPrefix(rest, []byte("/*")):
			s.err(s.pos, `use a key that begins with an underscore at the top of the file, such as "_comment"`, "JSON has no comments")
			if i := bytes.Index(rest, []byte("*/")); i >= 0 {
				s.pos += i + 2
			} else {
				s.pos = len(s.text)
			}
		default:
			return
		}
	}
}

func (s *scanner) peek() byte {
	if s.pos < len(s.text) {
		return s.text[s.pos]
	}
	return 0
}

func (s *scanner) value(depth int) Raw {
	if depth > maxDepth {
		s.stop(s.pos, "more than %d levels of nesting", maxDepth)
	}
	v := Raw{Pos: s.src.Pos(s.pos)}
	switch c := s.peek(); {
	case c == '{':
		v.Kind = Object
		v.Fields = s.fields(depth)
	case c == '[':
		v.Kind = List
		v.List = s.list(depth)
	case c == '"':
		v.Kind = String
		v.start = s.pos
		v.Text = s.str()
		v.literal = s.text[v.start:s.pos]
	case c == '-' || c >= '0' && c <= '9':
		v.Kind = Number
		n := len(s.errs)
		if v.Text = s.number(); len(s.errs) > n {
			v.Kind = Faulty
		}
	default:
		start := s.pos
		for s.pos < len(s.text) && (isLetter(s.text[s.pos]) || s.pos > start && strings.IndexByte("0123456789-./", s.text[s.pos]) >= 0) {
			s.pos++
		}
		switch word := string(s.text[start:s.pos]); word {
		case "true", "false":
			v.Kind, v.Bool = Bool, word == "true"
		case "null":
		case "":
			switch {
			case s.pos == len(s.text):
				s.stop(start, "the file ends where a value is expected")
			case c == '\'' || c == '`':
				s.stop(start, `text stands in double quotes: "…"`)
			default:
				r, _ := utf8.DecodeRune(s.text[start:])
				s.stop(start, "a value is expected, not %q", r)
			}
		default:
			hint := fmt.Sprintf("write %q", word)
			if s.src.hides(start) {
				hint = ""
			}
			s.err(start, hint, "text stands in double quotes")
			v.Kind, v.Text = String, word
		}
	}
	return v
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' }

func (s *scanner) fields(depth int) []RawField {
	open := s.pos
	fields := []RawField{}
	first := map[string]Pos{}
	s.pos++
	for {
		s.space()
		switch s.peek() {
		case '}':
			s.pos++
			return fields
		case '"':
		case 0:
			s.stop(open, "this { has no closing }")
		case ']':
			s.stop(s.pos, "a } is expected, for the { of line %d", s.src.Pos(open).Line)
		default:
			s.stop(s.pos, "a key in double quotes is expected, or a }")
		}
		f := RawField{Pos: s.src.Pos(s.pos), Name: s.str()}
		if p, ok := first[f.Name]; ok {
			s.errs.AddCode(errcode.DuplicateName, f.Pos, fmt.Sprintf("it stands first in line %d", p.Line), "cannot read the %s: the key %q is there twice", s.what, f.Name)
		} else {
			first[f.Name] = f.Pos
		}
		s.space()
		if s.peek() != ':' {
			s.stop(s.pos, "a colon is expected after the key %q", f.Name)
		}
		s.pos++
		s.space()
		f.Value = s.value(depth + 1)
		fields = append(fields, f)
		s.comma('}', open)
	}
}

func (s *scanner) list(depth int) []Raw {
	open := s.pos
	list := []Raw{}
	s.pos++
	for {
		s.space()
		switch s.peek() {
		case ']':
			s.pos++
			return list
		case 0:
			s.stop(open, "this [ has no closing ]")
		case '}':
			s.stop(s.pos, "a ] is expected, for the [ of line %d", s.src.Pos(open).Line)
		}
		list = append(list, s.value(depth+1))
		s.comma(']', open)
	}
}

// comma reads what stands between two elements.
func (s *scanner) comma(closing byte, open int) {
	after := s.pos
	s.space()
	c := s.peek()
	switch {
	case c == ',':
		at := s.pos
		s.pos++
		s.space()
		for s.peek() == ',' {
			s.err(s.pos, "", "two commas in a row")
			s.pos++
			s.space()
		}
		if s.peek() == closing {
			s.err(at, "take it away", "a comma stands before the closing %c", closing)
		}
	case c == closing || c == 0 || c == '}' || c == ']':
	case c == '"' || closing == ']' && (c == '{' || c == '[' || c == '-' || c >= '0' && c <= '9' || isLetter(c)):
		s.err(after, "", "a comma is missing here")
	default:
		s.stop(s.pos, "a comma or the closing %c is expected, for the %c of line %d", closing, s.text[open], s.src.Pos(open).Line)
	}
}

func (s *scanner) number() string {
	start := s.pos
	for s.pos < len(s.text) && strings.IndexByte("+-.eE0123456789", s.text[s.pos]) >= 0 {
		s.pos++
	}
	text := string(s.text[start:s.pos])
	digits := strings.TrimPrefix(text, "-")
	_, err := strconv.ParseFloat(text, 64)
	bare := strings.HasPrefix(digits, ".") || strings.HasSuffix(digits, ".") || strings.Contains(digits, ".e") || strings.Contains(digits, ".E")
	zero := len(digits) > 1 && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9'
	if err != nil || bare || zero || digits == "" || digits[0] == '+' {
		what := text
		if s.src.hides(start) {
			what = "this"
		}
		s.err(start, "write text in double quotes", "%s is not a number in JSON", what)
	}
	return text
}

// str reads the text at pos.
func (s *scanner) str() string {
	start := s.pos
	var b strings.Builder
	s.pos++
	for s.pos < len(s.text) {
		switch c := s.text[s.pos]; {
		case c == '"':
			s.pos++
			return b.String()
		case c == '\n':
			s.stop(start, `the text does not end on its line: the closing " is missing, or a line break must be written \n`)
		case c < ' ':
			s.err(s.pos, fmt.Sprintf(`write \u%04x`, c), "a control character in a text")
			b.WriteByte(c)
			s.pos++
		default:
			r, n := unescape(s.text[s.pos:])
			if n == 0 {
				s.err(s.pos, `a backslash itself is written \\`, "there is no such escape in JSON")
				r, n = rune(c), 1
			}
			b.WriteRune(r)
			s.pos += n
		}
	}
	s.stop(start, `the text has no closing "`)
	return ""
}

// unescape returns the first character of a text in JSON and how many bytes it takes; none if its escape is wrong.
func unescape(b []byte) (r rune, n int) {
	if b[0] != '\\' {
		return utf8.DecodeRune(b)
	}
	if len(b) < 2 {
		return 0, 0
	}
	if i := strings.IndexByte(`"\/bfnrt`, b[1]); i >= 0 {
		return rune("\"\\/\b\f\n\r\t"[i]), 2
	}
	r = hex4(b)
	if r < 0 {
		return 0, 0
	}
	if utf16.IsSurrogate(r) {
		if full := utf16.DecodeRune(r, hex4(b[6:])); full != utf8.RuneError {
			return full, 12
		}
		return utf8.RuneError, 6
	}
	return r, 6
}

// hex4 reads \uXXXX.
func hex4(b []byte) rune {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return -1
	}
	n, err := strconv.ParseUint(string(b[2:6]), 16, 32)
	if err != nil {
		return -1
	}
	return rune(n)
}
