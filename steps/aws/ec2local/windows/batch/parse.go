package batch

import (
	"fmt"
	"strings"
)

// A node is a command as it was read: what is in it is expanded when it runs.
type node interface{}

type simple struct {
	name, args string
	quiet      bool
	to         []redirect
	at         int
}

type group struct {
	body  []node
	quiet bool
	to    []redirect
}

// joined are two commands with & && || or | between them.
type joined struct {
	op          string
	left, right node
}

type remark struct{ text string }

type branch struct {
	not, fold   bool
	op          string // exist defined errorlevel cmdextversion == equ neq …
	left, right string
	then, els   node // els may be nil
	quiet       bool
	to          []redirect
	at          int
}

type loop struct {
	kind  byte   // 0, d, r, l or f
	opt   string // of /f; where /r starts
	name  byte
	set   string
	body  node
	quiet bool
	to    []redirect
	at    int
}

// redirect is one of > >> < with the handle that it changes.
type redirect struct {
	handle int
	op     string // < > >> or &: a copy of another handle
	target string
}

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

// take reads up to one of the given characters outside of quotes, and takes the
// carets out: what follows one has no meaning of its own. A caret at the end
// of a line goes on with the next.
func (p *parser) take(stop string, lines bool) (string, error) {
	var b strings.Builder
	quote := false
	for {
		if p.end() {
			if lines {
				ok, err := p.fill()
				if err != nil {
					return "", err
				}
				if ok {
					b.WriteByte('\n')
					quote = false
					continue
				}
			}
			return b.String(), nil
		}
		c := p.text[p.i]
		switch {
		case c == '"':
			quote = !quote
		case quote:
		case c == '^':
			p.i++
			if p.end() {
				ok, err := p.fill()
				if err != nil || !ok {
					return b.String(), err
				}
				if p.end() { // an empty line behind a caret
					return b.String(), nil
				}
			}
			c = p.text[p.i]
		case strings.IndexByte(stop, c) >= 0:
			return b.String(), nil
		}
		b.WriteByte(c)
		p.i++
	}
}

// arguments reads the rest of a simple command, redirections taken out.
func (p *parser) arguments() (string, []redirect, error) {
	var b strings.Builder
	var to []redirect
	for {
		text, err := p.take("&|<>"+p.closing(), false)
		if err != nil {
			return "", nil, err
		}
		if p.end() || p.peek() != '<' && p.peek() != '>' {
			b.WriteString(text)
			return b.String(), to, nil
		}
		// A digit that stands alone is the handle.
		if n := len(text); n > 0 && text[n-1] >= '0' && text[n-1] <= '9' && p.text[p.i-1] == text[n-1] &&
			(n == 1 && b.Len() == 0 || n > 1 && isDelimiter(text[n-2])) {
			p.i--
			text = text[:n-1]
		}
		b.WriteString(text)
		r, ok, err := p.redirect()
		if err != nil {
			return "", nil, err
		}
		if !ok {
			return "", nil, unexpected(p.word())
		}
		to = append(to, r)
	}
}

// redirect reads one redirection, if one stands here.
func (p *parser) redirect() (redirect, bool, error) {
	i, r := p.i, redirect{handle: -1}
	if i < len(p.text) && p.text[i] >= '0' && p.text[i] <= '9' {
		r.handle = int(p.text[i] - '0')
		i++
	}
	if i >= len(p.text) || p.text[i] != '<' && p.text[i] != '>' {
		return r, false, nil
	}
	r.op = p.text[i : i+1]
	i++
	if r.op == ">" && i < len(p.text) && p.text[i] == '>' {
		r.op = ">>"
		i++
	}
	if r.handle < 0 {
		r.handle = 1
		if r.op == "<" {
			r.handle = 0
		}
	}
	p.i = i
	if p.peek() == '&' {
		p.i++
		p.space()
		if c := p.peek(); c < '0' || c > '9' {
			return r, false, unexpected(p.word())
		}
		r.op, r.target = "&", p.text[p.i:p.i+1]
		p.i++
		return r, true, nil
	}
	p.space()
	var err error
	if r.target, err = p.take(delimiters+"&|<>"+p.closing(), false); err != nil {
		return r, false, err
	}
	if r.target == "" {
		if p.end() {
			return r, false, errSyntax
		}
		return r, false, unexpected(p.word())
	}
	return r, true, nil
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

// operand reads one word of a condition.
func (p *parser) operand(stop string) (string, error) {
	p.space()
	word, err := p.take(delimiters+"&|<>"+p.closing()+stop, false)
	if err == nil && word == "" {
		if p.end() {
			return "", errSyntax
		}
		return "", unexpected(p.word())
	}
	return word, err
}

func (p *parser) branch(quiet bool, to []redirect, at int) (node, error) {
	n := &branch{quiet: quiet, to: to, at: at}
	var word string
	for {
		var err error
		if word, err = p.operand(""); err != nil {
			return nil, err
		}
		next := strings.TrimLeft(p.text[min(p.i, len(p.text)):], " \t")
		if strings.HasPrefix(next, "==") {
			break
		}
		if w := strings.ToLower(word); w == "/i" {
			n.fold = true
		} else if w == "not" {
			n.not = !n.not
		} else {
			break
		}
	}
	var err error
	switch op := strings.ToLower(word); op {
	case "exist", "defined", "errorlevel", "cmdextversion":
		if next := strings.TrimLeft(p.text[p.i:], " \t"); !strings.HasPrefix(next, "==") {
			n.op = op
			if n.left, err = p.operand(""); err != nil {
				return nil, err
			}
			break
		}
		fallthrough
	default:
		n.left = word
		for !p.end() && (p.peek() == ' ' || p.peek() == '\t' || p.peek() == ',' || p.peek() == ';') {
			p.i++
		}
		if strings.HasPrefix(p.text[p.i:], "==") {
			n.op = "=="
			p.i += 2
		} else {
			if n.op, err = p.operand(""); err != nil {
				return nil, err
			}
			if n.op = strings.ToLower(n.op); !comparisons[n.op] {
				return nil, unexpected(n.op)
			}
		}
		if n.right, err = p.operand(""); err != nil {
			return nil, err
		}
	}
	p.space()
	if p.end() {
		return nil, errSyntax
	}
	if n.then, err = p.body(); err != nil {
		return nil, err
	}
	if _, ok := n.then.(*group); !ok {
		return n, nil
	}
	p.space()
	if word, k := p.keyword(); word == "else" {
		p.i += k
		if n.els, err = p.body(); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// body reads what if and for govern: the rest of the line with its operators.
// Behind a closing parenthesis an else may follow, which is left to read.
func (p *parser) body() (node, error) {
	p.space()
	if p.end() {
		return nil, errSyntax
	}
	return p.sequence()
}

func (p *parser) loop(quiet bool, to []redirect, at int) (node, error) {
	n := &loop{quiet: quiet, to: to, at: at}
	for {
		word, err := p.operand("")
		if err != nil {
			return nil, err
		}
		if len(word) == 2 && word[0] == '%' {
			n.name = word[1]
			break
		}
		switch w := strings.ToLower(word); {
		case (w == "/d" || w == "/r" || w == "/l" || w == "/f") && n.kind == 0:
			n.kind = w[1]
		case strings.HasPrefix(w, "/"):
			return nil, p.s.refuse("%s of for: known are /d, /r, /l and /f, one of them", quoted(word))
		case n.kind == 'r' && n.opt == "":
			n.opt = word
		case n.kind == 'f' && n.opt == "":
			n.opt = word
		default:
			return nil, unexpected(word)
		}
	}
	if word, k := p.inWord("in"); k == 0 {
		return nil, unexpected(word)
	}
	p.space()
	if p.peek() != '(' {
		return nil, unexpected(p.word())
	}
	p.i++
	var err error
	if n.set, err = p.set(n.kind == 'f'); err != nil {
		return nil, err
	}
	if word, k := p.inWord("do"); k == 0 {
		return nil, unexpected(word)
	}
	if n.body, err = p.body(); err != nil {
		return nil, err
	}
	return n, nil
}

// inWord reads in or do.
func (p *parser) inWord(want string) (string, int) {
	p.space()
	word, k := p.keyword()
	if word != want {
		return p.word(), 0
	}
	p.i += k
	return word, k
}

// set reads the set of a for up to its parenthesis.
func (p *parser) set(asCommand bool) (string, error) {
	text, err := p.take("&|<>)", true)
	if err != nil {
		return "", err
	}
	if p.end() {
		return "", errSyntax
	}
	if p.peek() != ')' {
		return "", unexpected(p.word())
	}
	p.i++
	if asCommand {
		return strings.TrimSpace(strings.ReplaceAll(text, "\n", " ")), nil
	}
	return text, nil
}

func (r redirect) String() string {
	if r.op == "&" {
		return fmt.Sprintf("%d>&%s", r.handle, r.target)
	}
	return fmt.Sprintf("%d%s%s", r.handle, r.op, r.target)
}
