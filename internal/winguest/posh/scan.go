package posh

import (
	"fmt"
	"strings"
	"unicode"
)

// parser reads a script without a separate token list: what a character means
// depends on whether an expression or a command's argument is expected.
type parser struct {
	src   *source
	t     []rune
	i     int
	depth int
	core  bool
	noSep int // > 0 inside of a method call's arguments: a comma separates
	block *blockAST
	flow  []string // the loops and finally blocks around, from the outermost in this script block

	requires map[int]int // #Requires statements: where what they say begins and ends
}

// parseError is a script that is not PowerShell.
type parseError struct {
	id, msg string
	src     *source
	at      int
}

func (e *parseError) Error() string {
	line, col := e.src.position(e.at)
	return fmt.Sprintf("line %d, column %d: %s", line, col, e.msg)
}

func (s *source) position(at int) (line, col int) {
	line, col = 1, 1
	for _, c := range s.text[:min(at, len(s.text))] {
		if c == '\n' {
			line, col = line+1, 1
		} else {
			col++
		}
	}
	return line, col
}

// line is the text of the line at an offset, and where it starts.
func (s *source) line(at int) (string, int) {
	at = min(at, len(s.text))
	from, to := at, at
	for from > 0 && s.text[from-1] != '\n' {
		from--
	}
	for to < len(s.text) && s.text[to] != '\n' && s.text[to] != '\r' {
		to++
	}
	return string(s.text[from:to]), from
}

const maxDepth = 250 // nested constructs in a script

// parse reads a whole script.
func parse(text, file string, core bool) (b *blockAST, err error) {
	return read(text, file, core, (*parser).script)
}

// parseType reads the name of a type, without its brackets.
func parseType(text string) (*typeName, error) {
	return read(text+"]", "", false, func(p *parser) *typeName {
		t := p.typeInside()
		if !p.end() {
			p.unexpected()
		}
		return t
	})
}

// read reads a text with a part of the parser, which tells its errors by a panic.
func read[T any](text, file string, core bool, part func(*parser) T) (x T, err error) {
	p := &parser{src: &source{file: file, text: []rune(text)}, core: core}
	p.t = p.src.text
	defer func() {
		switch e := recover().(type) {
		case nil:
		case *parseError, *outside:
			err = e.(error)
		default:
			panic(e)
		}
	}()
	return part(p), nil
}

func (p *parser) fail(at int, id, format string, args ...any) {
	panic(&parseError{id: id, msg: fmt.Sprintf(format, args...), src: p.src, at: at})
}

// refuse ends the parsing of something that is PowerShell, but not of the subset.
func (p *parser) refuse(at int, format string, args ...any) {
	line, _ := p.src.position(at)
	panic(&outside{what: fmt.Sprintf(format, args...), file: p.src.file, line: line})
}

func (p *parser) enter() {
	if p.depth++; p.depth > maxDepth {
		p.refuse(p.i, "a nesting of more than %d levels", maxDepth)
	}
}

func (p *parser) leave() { p.depth-- }

// peek is the character n places on; 0 behind the end.
func (p *parser) peek(n int) rune {
	if p.i+n < len(p.t) {
		return p.t[p.i+n]
	}
	return 0
}

func (p *parser) end() bool { return p.i >= len(p.t) }

func isSingle(c rune) bool { return c == '\'' || c >= '‘' && c <= '‛' }
func isDouble(c rune) bool { return c == '"' || c >= '“' && c <= '„' }
func isDash(c rune) bool   { return c == '-' || c >= '–' && c <= '―' }
func isBlank(c rune) bool {
	return c == ' ' || c == '\t' || c == '\v' || c == '\f' || c > 127 && unicode.Is(unicode.Zs, c)
}
func isDigit(c rune) bool   { return c >= '0' && c <= '9' }
func isWord(c rune) bool    { return c == '_' || unicode.IsLetter(c) || unicode.IsDigit(c) }
func isNewline(c rune) bool { return c == '\n' || c == '\r' }

// endsWord are the characters that end a bare word.
func endsWord(c rune) bool {
	switch c {
	case 0, ' ', '\t', '\r', '\n', '\v', '\f', ';', '|', '&', '(', ')', '{', '}', ',', '<', '>':
		return true
	}
	return isBlank(c)
}

// blanks skips white space and comments inside of a line.
func (p *parser) blanks() {
	for {
		switch c := p.peek(0); {
		case c == 0 && p.end():
			return
		case isBlank(c):
			p.i++
		case c == '`' && p.peek(1) == '\n':
			p.i += 2
		case c == '`' && p.peek(1) == '\r' && p.peek(2) == '\n':
			p.i += 3
		case c == '`' && isBlank(p.peek(1)):
			p.i += 2
		case c == '#':
			from := p.i
			for !p.end() && !isNewline(p.peek(0)) {
				p.i++
			}
			p.noteRequires(from, p.i)
		case c == '<' && p.peek(1) == '#':
			p.blockComment()
		default:
			return
		}
	}
}

func (p *parser) blockComment() {
	at := p.i
	for p.i += 2; ; p.i++ {
		if p.end() {
			p.fail(at, "MissingTerminatorMultiLineComment", "The terminator '#>' is missing from the multiline comment.")
		}
		if p.peek(0) == '#' && p.peek(1) == '>' {
			p.i += 2
			return
		}
	}
}

// lines skips white space, comments and line ends.
func (p *parser) lines() {
	for {
		p.blanks()
		if !isNewline(p.peek(0)) {
			return
		}
		p.i++
	}
}

// separators skips what stands between statements.
func (p *parser) separators() {
	for {
		p.lines()
		if p.peek(0) != ';' {
			return
		}
		p.i++
	}
}

// word reads the identifier at this place without moving on.
func (p *parser) word() string {
	j := p.i
	for j < len(p.t) && (isWord(p.t[j]) || j > p.i && isDash(p.t[j])) {
		j++
	}
	return string(p.t[p.i:j])
}

// keyword tells whether the next word is this one, standing alone.
func (p *parser) keyword(k string) bool {
	return strings.EqualFold(p.word(), k)
}

func (p *parser) take(k string) bool {
	if !p.keyword(k) {
		return false
	}
	p.i += len(k)
	return true
}

// unexpected complains about what stands here.
func (p *parser) unexpected() {
	if p.end() {
		p.fail(p.i, "UnexpectedToken", "Unexpected end of the script.")
	}
	at := p.i
	if c := p.peek(0); c == '&' && p.peek(1) == '&' || c == '|' && p.peek(1) == '|' {
		p.fail(at, "InvalidEndOfLine", "The token '%c%c' is not a valid statement separator in this version.", c, c)
	}
	if p.peek(0) == '&' {
		p.fail(at, "AmpersandNotAllowed", "An ampersand (&) cannot stand here; put it in quotes where it is text.")
	}
	// A word that does not end is the worse mistake.
	switch c := p.peek(0); {
	case isSingle(c):
		p.singleQuoted()
	case isDouble(c):
		p.doubleQuoted()
	case !endsWord(c):
		p.generic()
	}
	j := max(p.i, at+1)
	p.fail(at, "UnexpectedToken", "Unexpected token '%s' in expression or statement.", string(p.t[at:j]))
}
