package posh

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/dlclark/regexp2"
	"github.com/dlclark/regexp2/syntax"
)

// Regular expressions are those of github.com/dlclark/regexp2, which was made from
// .NET's own engine. It backtracks and scripts are not trusted, so what is asked of
// it has bounds; past them a script ends. Within them one operation may need three
// quarters of a GiB for a moment: 744 MiB were measured.
const (
	maxPattern  = 64 << 10        // characters of a pattern
	maxSubject  = 4 << 20         // UTF-16 units of a text that is searched
	keepSubject = 64 << 10        // units; what a longer one has needed is not kept for the next
	matchTime   = 5 * time.Second // of the engine, for one operation on one text
)

// The options of System.Text.RegularExpressions.RegexOptions that a script may name;
// the two last change nothing here.
const (
	regexIgnoreCase = int64(regexp2.IgnoreCase)
	regexPassed     = int64(regexp2.IgnoreCase | regexp2.Multiline | regexp2.ExplicitCapture | regexp2.Singleline | regexp2.IgnorePatternWhitespace)
	regexCompiled   = 8
	regexInvariant  = 512
)

// pattern is a compiled regular expression.
type pattern struct {
	text    string // as the script has it
	re      *regexp2.Regexp
	again   func() (*regexp2.Regexp, error) // compiles it once more
	numbers []int                           // of the groups, in order
	names   []string                        // of the groups, in order: a number's digits where it has none
}

// pattern compiles, and keeps what it compiled.
func (s *shell) pattern(text string, fold bool, options int64) (*pattern, error) {
	if options&^(regexPassed|regexCompiled|regexInvariant) != 0 {
		return nil, s.refuse("these options of the regular expression '%s' (RightToLeft and ECMAScript are outside)", text)
	}
	options &= regexPassed
	if fold {
		options |= regexIgnoreCase
	}
	key := fmt.Sprint(options, text)
	if p, ok := s.patterns[key]; ok {
		return p, nil
	}
	if len(text) > maxPattern {
		return nil, s.refuse("a regular expression of more than %d characters", maxPattern)
	}
	expr, ok := utf16Pattern(text)
	if !ok {
		return nil, s.refuse("the options within the regular expression '%s' (i, m, n, s and x are known)", text)
	}
	compile := func() (*regexp2.Regexp, error) { return regexp2.Compile(expr, regexp2.RegexOptions(options)) }
	re, err := compile()
	var se *syntax.Error
	if errors.As(err, &se) {
		if se.Code == syntax.ErrUnknownSlashP {
			return nil, s.refuse("the class of characters in the regular expression '%s'", text)
		}
		why := regexFault(se)
		return nil, &Error{ID: "RuntimeException", Category: "InvalidOperation", Message: fmt.Sprintf("parsing \"%s\" - %s", text, why), inner: dotnet("System.ArgumentException", "parsing \"%s\" - %s", text, why)}
	}
	if err != nil {
		return nil, s.refuse("the regular expression '%s': %v", text, err)
	}
	p := &pattern{text: text, re: re, again: compile, numbers: re.GetGroupNumbers()}
	for _, n := range p.numbers {
		p.names = append(p.names, re.GroupNameFromNumber(n))
	}
	keep(s.patterns, key, p)
	return p, nil
}

// regexOperand is the right side of an operator: a [regex] as it is, or a pattern.
func (s *shell) regexOperand(v any, exact bool) (*pattern, error) {
	if r, ok := v.(*regex); ok {
		return r.p, nil
	}
	return s.pattern(s.text(v), !exact, 0)
}

// keep remembers what was compiled; loops may make ever new ones.
func keep[T any](cache map[string]T, key string, v T) {
	if len(cache) > 500 {
		clear(cache)
	}
	cache[key] = v
}

// utf16Pattern writes what is beyond 16 bits as the two units that .NET has for it,
// and tells whether all options within are .NET's: the engine knows two of its own.
func utf16Pattern(text string) (expr string, ok bool) {
	var b strings.Builder
	r := []rune(text)
	for i := 0; i < len(r); i++ {
		if r[i] == '\\' && i+1 < len(r) && r[i+1] <= 0xffff {
			b.WriteRune(r[i])
			i++
		} else if r[i] == '\\' && i+1 < len(r) {
			i++ // a character that needs no backslash
		} else if r[i] == '(' && i+1 < len(r) && r[i+1] == '?' {
			for _, c := range r[i+2:] {
				if strings.ContainsRune("dDuU", c) {
					return "", false
				}
				if !strings.ContainsRune("imnsxIMNSX+-", c) {
					break
				}
			}
		}
		if r[i] <= 0xffff {
			b.WriteRune(r[i])
			continue
		}
		for _, u := range units(string(r[i])) {
			fmt.Fprintf(&b, `\u%04x`, u)
		}
	}
	return b.String(), true
}

// regexFault says what is wrong with a pattern as .NET Framework does.
func regexFault(e *syntax.Error) string {
	arg := ""
	if len(e.Args) > 0 {
		arg = fmt.Sprint(e.Args[0])
	}
	switch e.Code {
	case syntax.ErrMissingParen:
		return "Not enough )'s."
	case syntax.ErrUnexpectedParen:
		return "Too many )'s."
	case syntax.ErrMissingRepeatArgument:
		return "Quantifier {x,y} following nothing."
	case syntax.ErrInvalidRepeatSize:
		return "Illegal {x,y} with x > y."
	case syntax.ErrUnterminatedBracket:
		return "Unterminated [] set."
	case syntax.ErrReversedCharRange:
		return "[x-y] range in reverse order."
	case syntax.ErrIllegalEndEscape:
		return `Illegal \ at end of pattern.`
	case syntax.ErrUnrecognizedEscape:
		return `Unrecognized escape sequence \` + arg + "."
	case syntax.ErrUndefinedBackRef:
		return "Reference to undefined group number " + arg + "."
	case syntax.ErrUndefinedNameRef:
		return "Reference to undefined group name " + arg + "."
	case syntax.ErrUnrecognizedGrouping:
		return "Unrecognized grouping construct."
	case syntax.ErrUnterminatedComment:
		return "Unterminated (?#...) comment."
	}
	if len(e.Args) > 0 {
		return fmt.Sprintf(string(e.Code), e.Args...) + "."
	}
	return string(e.Code) + "."
}

// subject is a text as .NET sees it: in UTF-16 units.
type subject struct {
	text  string
	units []rune
	plain bool // ASCII: bytes are units
}

func newSubject(text string) *subject {
	t := &subject{text: text, plain: ascii(text)}
	if t.plain {
		t.units = []rune(text)
		return t
	}
	for _, u := range units(text) {
		t.units = append(t.units, rune(u))
	}
	return t
}

func (t *subject) cut(from, to int) string {
	if t.plain {
		return t.text[from:to]
	}
	u := make([]uint16, to-from)
	for i, c := range t.units[from:to] {
		u[i] = uint16(c)
	}
	return fromUnits(u)
}

// found is one match.
type found struct {
	p *pattern
	t *subject
	m *regexp2.Match
}

// span is where the i-th group was found, group 0 being all.
func (f *found) span(i int) (from, to int, ok bool) {
	g := f.m.GroupByNumber(f.p.numbers[i])
	if g == nil || len(g.Captures) == 0 {
		return 0, 0, false
	}
	return g.Index, g.Index + g.Length, true
}

func (f *found) from() int { return f.m.Index }
func (f *found) to() int   { return f.m.Index + f.m.Length }

// group is what the i-th group has matched.
func (f *found) group(i int) (string, bool) {
	from, to, ok := f.span(i)
	if !ok {
		return "", false
	}
	return f.t.cut(from, to), true
}

// captured appends the groups that have matched, as the splits do.
func (f *found) captured(out []any) []any {
	for i := 1; i < len(f.p.numbers); i++ {
		if v, ok := f.group(i); ok {
			out = append(out, v)
		}
	}
	return out
}

// eachMatch calls do with each match until it says that this is enough.
func (s *shell) eachMatch(p *pattern, t *subject, do func(*found) (more bool, err error)) error {
	if len(t.units) > maxSubject {
		return s.refuse("the regular expression '%s' on a text of more than %d characters", p.text, maxSubject)
	}
	re := p.re
	if len(t.units) > keepSubject {
		var err error
		if re, err = p.again(); err != nil {
			return s.refuse("the regular expression '%s': %v", p.text, err)
		}
	}
	left := s.o.matchTime
	if left == 0 {
		left = matchTime
	}
	var m *regexp2.Match
	for {
		if err := s.ctx.Err(); err != nil {
			return err
		}
		re.MatchTimeout = left
		began := time.Now()
		var err error
		if m == nil {
			m, err = re.FindRunesMatch(t.units)
		} else {
			m, err = re.FindNextMatch(m)
		}
		left -= time.Since(began)
		if err != nil || left <= 0 {
			return s.refuse("the regular expression '%s' on this text: it takes too long", p.text)
		}
		if m == nil {
			return nil
		}
		if more, err := do(&found{p, t, m}); err != nil || !more {
			return err
		}
	}
}

// first is the first match, or nil.
func (s *shell) first(p *pattern, text string) (*found, error) {
	var f *found
	err := s.eachMatch(p, newSubject(text), func(x *found) (bool, error) {
		f = x
		return false, nil
	})
	return f, err
}

// match is -match of one string; what matched is in $Matches.
func (s *shell) match(text string, p *pattern) (bool, error) {
	f, err := s.first(p, text)
	if err != nil || f == nil {
		return false, err
	}
	h := NewHash(false)
	for i := len(p.names) - 1; i >= 0; i-- {
		v, ok := f.group(i)
		if !ok {
			continue
		}
		var key any = p.names[i]
		if n, err := strconv.ParseInt(p.names[i], 10, 32); err == nil {
			key = int32(n)
		}
		h.Set(key, v)
	}
	s.setVar("matches", h)
	return true, nil
}

// replaceAll replaces the first count matches by what with makes of each; all of
// them if count is negative.
func (s *shell) replaceAll(p *pattern, text string, count int, with func(b *strings.Builder, f *found) error) (string, error) {
	if count == 0 {
		return text, nil
	}
	var b strings.Builder
	t := newSubject(text)
	last := 0
	err := s.eachMatch(p, t, func(f *found) (bool, error) {
		b.WriteString(t.cut(last, f.from()))
		if err := with(&b, f); err != nil {
			return false, err
		}
		if b.Len() > maxText {
			return false, tooBig("a string")
		}
		last = f.to()
		count--
		return count != 0, nil
	})
	if err != nil {
		return "", err
	}
	if last == 0 && b.Len() == 0 {
		return text, nil
	}
	return b.String() + t.cut(last, len(t.units)), nil
}

// substitution makes a replacement's text, with its $1, ${name}, $& and others
// filled in.
func substitution(with string) func(b *strings.Builder, f *found) error {
	return func(b *strings.Builder, f *found) error {
		for i := 0; i < len(with); i++ {
			if b.Len() > maxText {
				return tooBig("a string")
			}
			text, n := "", 0
			if with[i] == '$' {
				text, n = f.token(with[i+1:])
			}
			if n == 0 {
				b.WriteByte(with[i])
				continue
			}
			b.WriteString(text)
			i += n
		}
		return nil
	}
}

// token is what the token behind a $ stands for, and how long it is; 0 if it is
// none, and so text.
func (f *found) token(rest string) (text string, n int) {
	if rest == "" {
		return "", 0
	}
	switch c := rest[0]; {
	case c == '$':
		return "$", 1
	case c == '&':
		return f.t.cut(f.from(), f.to()), 1
	case c == '`':
		return f.t.cut(0, f.from()), 1
	case c == '\'':
		return f.t.cut(f.to(), len(f.t.units)), 1
	case c == '_':
		return f.t.text, 1
	case c == '+':
		text, _ = f.group(len(f.p.numbers) - 1)
		return text, 1
	case c >= '0' && c <= '9':
		n = 1
		for n < len(rest) && rest[n] >= '0' && rest[n] <= '9' {
			n++
		}
		return f.named(rest[:n], n)
	case c == '{':
		if end := strings.IndexByte(rest, '}'); end > 0 {
			return f.named(rest[1:end], end+1)
		}
	}
	return "", 0
}

// named is the group of a name or number, whose token is n characters long.
func (f *found) named(name string, n int) (string, int) {
	number, err := strconv.Atoi(name)
	for i, have := range f.p.names {
		if have == name || err == nil && f.p.numbers[i] == number {
			text, _ := f.group(i)
			return text, n
		}
	}
	return "", 0
}

// splitAt cuts a text at the matches, into limit parts at the most unless that is 0;
// what groups have matched stands between the parts.
func (s *shell) splitAt(p *pattern, text string, limit int) ([]any, error) {
	if limit == 1 {
		return []any{text}, nil
	}
	var out []any
	t := newSubject(text)
	last, parts := 0, 1
	err := s.eachMatch(p, t, func(f *found) (bool, error) {
		out = f.captured(append(out, t.cut(last, f.from())))
		if len(out)*16 > maxText {
			return false, tooBig("an array")
		}
		last = f.to()
		parts++
		return parts != limit, nil
	})
	return append(out, t.cut(last, len(t.units))), err
}
