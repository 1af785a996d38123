package batch

import (
	"strings"
)

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
