package batch

import (
	"strings"
)

// source gives the parser its lines, with percent signs expanded.
type source interface {
	line() (text string, at int, ok bool, err error)
}

// parser reads one command at a time: a line, or as many as its parentheses and
// carets need.
type parser struct {
	s      *shell
	source source
	where  string
	text   string
	i      int
	at     int
	depth  int // parentheses that are open
	nested int
}

const delimiters = " \t,;="

func isDelimiter(c byte) bool { return strings.IndexByte(delimiters, c) >= 0 }

// next reads the next command; nil is a line without one.
func (p *parser) next() (node, error) {
	if ok, err := p.fill(); !ok || err != nil {
		return nil, err
	}
	if p.label() {
		return nil, nil
	}
	p.space()
	if p.end() {
		return nil, nil
	}
	if p.peek() == ')' { // without an open one the line is a remark
		p.i = len(p.text)
		return nil, nil
	}
	n, err := p.sequence()
	if err != nil {
		return nil, err
	}
	p.space()
	if !p.end() {
		return nil, unexpected(p.word())
	}
	return n, nil
}

// fill reads the next line.
func (p *parser) fill() (bool, error) {
	text, at, ok, err := p.source.line()
	if !ok || err != nil {
		return false, err
	}
	p.text, p.i, p.at = text, 0, at
	return true, nil
}

func (p *parser) end() bool { return p.i >= len(p.text) }

func (p *parser) peek() byte {
	if p.end() {
		return 0
	}
	return p.text[p.i]
}

func (p *parser) space() {
	for !p.end() && isDelimiter(p.text[p.i]) {
		p.i++
	}
}

// label tells whether the line is a label, which is no command.
func (p *parser) label() bool {
	t := strings.TrimLeft(p.text[p.i:], delimiters)
	if !strings.HasPrefix(t, ":") {
		return false
	}
	p.i = len(p.text)
	return true
}

// word is what stands here, for messages.
func (p *parser) word() string {
	rest := p.text[p.i:]
	for _, op := range []string{"&&", "||", ">>"} {
		if strings.HasPrefix(rest, op) {
			return op
		}
	}
	if rest != "" && strings.IndexByte("&|<>()", rest[0]) >= 0 {
		return rest[:1]
	}
	if k := strings.IndexAny(rest, delimiters+"&|<>()"); k > 0 {
		return rest[:k]
	}
	return rest
}

func (p *parser) operator(op string) bool {
	rest := p.text[p.i:]
	if !strings.HasPrefix(rest, op) || len(op) == 1 && strings.HasPrefix(rest, op+op) {
		return false
	}
	p.i += len(op)
	return true
}

func (p *parser) deeper() error {
	if p.nested++; p.nested > maxDepth {
		return p.s.refuse("a command with more than %d others in it", maxDepth)
	}
	return nil
}

// sequence reads commands with & between them.
func (p *parser) sequence() (node, error) {
	if err := p.deeper(); err != nil {
		return nil, err
	}
	defer func() { p.nested-- }()
	left, err := p.chain(0)
	if err != nil {
		return nil, err
	}
	for {
		p.space()
		if !p.operator("&") {
			return left, nil
		}
		p.space()
		if p.end() || p.peek() == ')' && p.depth > 0 {
			return left, nil
		}
		right, err := p.chain(0)
		if err != nil {
			return nil, err
		}
		left = &joined{"&", left, right}
	}
}

var levels = []string{"||", "&&", "|"}

// chain reads commands with the operator of a level between them: || binds
// weakest, | strongest.
func (p *parser) chain(level int) (node, error) {
	if level == len(levels) {
		return p.command()
	}
	left, err := p.chain(level + 1)
	if err != nil {
		return nil, err
	}
	for {
		p.space()
		if !p.operator(levels[level]) {
			return left, nil
		}
		p.space()
		if p.end() {
			return nil, errSyntax
		}
		right, err := p.chain(level + 1)
		if err != nil {
			return nil, err
		}
		left = &joined{levels[level], left, right}
	}
}

// command reads one command.
func (p *parser) command() (node, error) {
	quiet := false
	var to []redirect
	for {
		p.space()
		if p.peek() == '@' {
			quiet = true
			p.i++
			continue
		}
		r, ok, err := p.redirect()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		to = append(to, r)
	}
	switch c := p.peek(); {
	case p.end():
		if len(to) > 0 {
			return &simple{to: to, quiet: quiet, at: p.at}, nil
		}
		return nil, errSyntax
	case c == '(':
		p.i++
		return p.group(quiet, to)
	case strings.IndexByte("&|)", c) >= 0:
		return nil, unexpected(p.word())
	}
	at := p.at
	switch word, n := p.keyword(); word {
	case "if":
		p.i += n
		return p.branch(quiet, to, at)
	case "for":
		p.i += n
		return p.loop(quiet, to, at)
	case "rem":
		p.i += n
		return p.remark(), nil
	}
	name, err := p.take(delimiters+"&|<>"+p.closing(), false)
	if err != nil {
		return nil, err
	}
	args, more, err := p.arguments()
	if err != nil {
		return nil, err
	}
	return &simple{name: name, args: args, to: append(to, more...), quiet: quiet, at: at}, nil
}

// closing is the parenthesis, where one is open.
func (p *parser) closing() string {
	if p.depth > 0 {
		return ")"
	}
	return ""
}

// keyword tells whether if, for or rem stands here, and how long it is.
func (p *parser) keyword() (string, int) {
	rest := p.text[p.i:]
	n := 0
	for n < len(rest) && (rest[n]|0x20 >= 'a' && rest[n]|0x20 <= 'z') {
		n++
	}
	if n < len(rest) && strings.IndexByte(delimiters+`/"&|<>()`, rest[n]) < 0 {
		return "", 0
	}
	return strings.ToLower(rest[:n]), n
}

// remark reads to the end of the line; only an operator right behind rem counts.
func (p *parser) remark() node {
	k := p.i
	p.space()
	if c := p.peek(); c == '&' || c == '|' || c == ')' && p.depth > 0 {
		return &remark{}
	}
	text := p.text[k:]
	p.i = len(p.text)
	return &remark{text}
}

// group reads what is in parentheses, over as many lines as it takes.
func (p *parser) group(quiet bool, to []redirect) (node, error) {
	g := &group{quiet: quiet, to: to}
	p.depth++
	defer func() { p.depth-- }()
	start, labelled := p.at, false
	for {
		p.space()
		if p.end() {
			ok, err := p.fill()
			if err != nil {
				return nil, err
			}
			if !ok {
				return nil, p.s.refuse("the parenthesis of line %d: it is never closed", start)
			}
			p.space()
			// A label wants a command behind it: the second of two is taken for one.
			if p.peek() == ':' && !labelled {
				p.i = len(p.text)
				labelled = true
			}
			continue
		}
		if p.peek() == ')' {
			if len(g.body) == 0 || labelled {
				return nil, unexpected(")")
			}
			break
		}
		n, err := p.sequence()
		if err != nil {
			return nil, err
		}
		labelled = false
		g.body = append(g.body, n)
		p.space()
		if !p.end() && p.peek() != ')' {
			return nil, unexpected(p.word())
		}
	}
	p.i++
	for {
		p.space()
		r, ok, err := p.redirect()
		if err != nil {
			return nil, err
		}
		if !ok {
			return g, nil
		}
		g.to = append(g.to, r)
	}
}

var comparisons = map[string]bool{"equ": true, "neq": true, "lss": true, "leq": true, "gtr": true, "geq": true}
