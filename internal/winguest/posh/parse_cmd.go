package posh

import "strings"

// pipeline reads an assignment, or expressions and commands joined by pipes.
func (p *parser) pipeline() stmt {
	p.enter()
	defer p.leave()
	p.blanks()
	at := p.i
	s := &pipeStmt{span: span{at, at}}
	for {
		if c := p.peek(0); c == '|' || c == 0 && p.end() || len(s.elems) > 0 && (c == ')' || c == '}' || c == ';') {
			p.fail(p.i, "EmptyPipeElement", "An element of the pipeline is empty.")
		}
		e := &elemAST{span: span{p.i, p.i}}
		if p.startsExpression() {
			if len(s.elems) > 0 {
				p.fail(p.i, "ExpressionsMustBeFirstInPipeline", "Only the first element of a pipeline can be an expression.")
			}
			e.e = p.expression()
			if a := p.assignment(at, e.e); a != nil {
				return a
			}
			for {
				p.blanks()
				r, ok := p.redirection()
				if !ok {
					break
				}
				e.redirs = append(e.redirs, r)
			}
		} else {
			p.command(e)
		}
		e.to = p.i
		s.elems = append(s.elems, e)
		s.to = p.i
		p.blanks()
		if p.peek(0) != '|' || p.peek(1) == '|' {
			if p.peek(0) == '|' {
				p.unexpected()
			}
			return s
		}
		p.i++
		p.lines()
	}
}

func (p *parser) assignment(at int, target expr) stmt {
	j := p.i
	p.blanks()
	c, d := p.peek(0), p.peek(1)
	op := ""
	switch {
	case c == '=':
		op = "="
	case d == '=' && (c == '+' || c == '*' || c == '/' || c == '%'):
		op = string(c) + "="
	case d == '=' && isDash(c):
		op = "-="
	default:
		p.i = j
		return nil
	}
	p.assignable(target)
	k := p.i
	p.i += len(op)
	p.lines()
	p.needValue(k, op)
	a := &assignStmt{span: span{at, at}, target: target, op: op, value: p.statement()}
	a.to = p.i
	return a
}

func isAssignable(x expr) bool {
	switch x := x.(type) {
	case *varExpr, *indexExpr:
		return true
	case *memberExpr:
		return !x.call
	case *castExpr:
		return isAssignable(x.x)
	case *listExpr:
		for _, i := range x.items {
			if !isAssignable(i) {
				return false
			}
		}
		return true
	case *parenExpr:
		if s, ok := x.body.(*pipeStmt); ok && len(s.elems) == 1 && s.elems[0].e != nil {
			return isAssignable(s.elems[0].e)
		}
	}
	return false
}

func (p *parser) assignable(x expr) {
	if !isAssignable(x) {
		p.fail(x.where().from, "InvalidLeftHandSide", "The left side of an assignment must be something that can be assigned to, such as a variable or a property.")
	}
}

// startsExpression tells an expression from a command by its first characters.
func (p *parser) startsExpression() bool {
	c, d := p.peek(0), p.peek(1)
	switch {
	case isSingle(c), isDouble(c), c == '(', c == '{', c == '[', c == ',', c == '!':
		return true
	case c == '$':
		at := p.i
		defer func() { p.i = at }()
		return d == '(' || p.variableHere()
	case c == '@':
		if d == '(' || d == '{' || isSingle(d) || isDouble(d) {
			return true
		}
		p.at()
	case isDigit(c) || c == '.' && isDigit(d):
		at := p.i
		_, _, ok := p.number(false)
		p.i = at
		return ok
	case c == '+':
		return true
	case isDash(c):
		if _, _, n := p.unaryWord(); n > 0 {
			return true
		}
		if isDigit(d) {
			at := p.i
			p.i++
			_, _, ok := p.number(false)
			p.i = at
			return ok
		}
		return isBlank(d) || isDash(d) && p.peek(2) == '$' || isSingle(d) || isDouble(d) || strings.ContainsRune("$(.[@!,{+", d)
	}
	return false
}

func (p *parser) variableHere() bool {
	c := p.peek(1)
	return c == '{' || c == '$' || c == '?' || c == '^' || isWord(c)
}

func (p *parser) command(e *elemAST) {
	cmd := &cmdAST{span: span{p.i, p.i}}
	e.cmd = cmd
	if r, ok := p.redirection(); ok { // a redirection may stand first
		e.redirs = append(e.redirs, r)
		p.blanks()
	}
	c := p.peek(0)
	if c == '&' && p.peek(1) == '&' || c == ')' || c == '}' {
		p.unexpected()
	}
	if c == '&' || c == '.' && !isWord(p.peek(1)) && p.peek(1) != '\\' && p.peek(1) != '/' && p.peek(1) != '.' {
		cmd.call = byte(c)
		p.i++
		p.blanks()
	}
	if cmd.name = p.commandName(); cmd.name == nil {
		if cmd.call != 0 {
			p.fail(p.i, "MissingExpression", "The command is missing behind '%c'.", cmd.call)
		}
		p.unexpected()
	}
	if n, ok := cmd.name.(*constExpr); ok {
		if w, ok := n.v.(string); ok {
			cmd.word, cmd.lower = w, strings.ToLower(w)
		} else {
			cmd.word = n.text
			cmd.lower = strings.ToLower(n.text)
		}
	}
	p.arguments(e, cmd)
	cmd.to = p.i
}

func (p *parser) commandName() expr {
	at := p.i
	if c := p.peek(0); c == '-' || isDash(c) {
		if c != 0 && !endsWord(c) {
			return p.generic()
		}
	}
	a := p.argument()
	if a == nil && p.i == at && !endsWord(p.peek(0)) {
		return p.generic()
	}
	return a
}

func (p *parser) arguments(e *elemAST, cmd *cmdAST) {
	plain := false // behind --
	for {
		p.blanks()
		c, d := p.peek(0), p.peek(1)
		at := p.i
		switch {
		case p.end(), isNewline(c), c == ';', c == '|', c == ')', c == '}':
			return
		case c == '&':
			p.unexpected()
		case c == '<':
			p.fail(at, "RedirectionNotSupported", "The operator '<' is reserved.")
		}
		if r, ok := p.redirection(); ok {
			e.redirs = append(e.redirs, r)
			continue
		}
		switch {
		case isDash(c) && isDash(d) && p.peek(2) == '%' && (endsWord(p.peek(3))):
			p.i += 3
			for isBlank(p.peek(0)) {
				p.i++
			}
			k := p.i
			for !p.end() && !isNewline(p.peek(0)) && p.peek(0) != '|' {
				p.i++
			}
			cmd.args = append(cmd.args, argAST{span: span{at, p.i}, raw: true, text: "--%", value: &constExpr{v: string(p.t[k:p.i])}})
			continue
		case isDash(c) && isDash(d) && endsWord(p.peek(2)) && !plain:
			p.i += 2
			plain = true
			cmd.args = append(cmd.args, argAST{span: span{at, p.i}, text: "--"})
			continue
		case !plain && isDash(c) && (isWord(d) && !isDigit(d) || d == '?'):
			p.parameter(cmd)
			continue
		case c == '@' && isWord(d):
			p.i++
			k := p.i
			for isWord(p.peek(0)) || p.peek(0) == ':' {
				p.i++
			}
			v := p.newVar(at, string(p.t[k:p.i]))
			cmd.args = append(cmd.args, argAST{span: span{at, p.i}, splat: v})
			continue
		}
		v := p.argumentList()
		cmd.args = append(cmd.args, argAST{span: span{at, p.i}, text: string(p.t[at:p.i]), value: v})
	}
}

// parameter reads -Name or -Name:value. A quote makes an argument of what begins
// as a name (-a="b c"); a name ends at '.' and '[', where an argument of its own
// begins (-Da.b=c is two).
func (p *parser) parameter(cmd *cmdAST) {
	at := p.i
	p.i++
	k := p.i
	for c := p.peek(0); !endsWord(c) && c != ':' && c != '.' && c != '['; c = p.peek(0) {
		if isSingle(c) || isDouble(c) {
			p.i = at
			v := p.argumentList()
			cmd.args = append(cmd.args, argAST{span: span{at, p.i}, text: string(p.t[at:p.i]), value: v})
			return
		}
		p.i++
	}
	a := argAST{span: span{at, p.i}, param: string(p.t[k:p.i]), text: string(p.t[at:p.i])}
	if p.peek(0) == ':' {
		p.i++
		p.blanks()
		a.value = p.argumentList()
		a.text = string(p.t[at:p.i])
	}
	a.to = p.i
	cmd.args = append(cmd.args, a)
}

// argumentList reads one argument: a value, or several with commas between.
func (p *parser) argumentList() expr {
	at := p.i
	var x expr
	if p.peek(0) == ',' {
		x = p.unary()
	} else if x = p.argument(); x == nil {
		if p.peek(0) == '@' {
			p.at()
		}
		p.unexpected()
	}
	var l *listExpr
	for {
		j := p.i
		p.blanks()
		if p.peek(0) != ',' {
			p.i = j
			break
		}
		p.i++
		p.lines()
		y := p.argument()
		if y == nil {
			p.fail(j, "MissingArgument", "An argument is missing behind ','.")
		}
		if l == nil {
			l = &listExpr{items: []expr{x}}
		}
		l.items = append(l.items, y)
	}
	if l == nil {
		return x
	}
	l.span = span{at, p.i}
	return l
}

// argument reads one value as commands take them; nil when there is none.
func (p *parser) argument() expr {
	p.enter()
	defer p.leave()
	at := p.i
	noSep := p.noSep
	p.noSep = 0
	defer func() { p.noSep = noSep }()
	c, d := p.peek(0), p.peek(1)
	switch {
	case p.end():
		return nil
	case isSingle(c), isDouble(c), c == '(', c == '{', c == '@' && (d == '(' || d == '{' || isSingle(d) || isDouble(d)):
		return p.postfix()
	case c == '@':
		return nil
	case c == '$':
		if d == '(' {
			return p.postfix()
		}
		if p.variableHere() {
			p.variable()
			n := p.peek(0)
			p.i = at
			if endsWord(n) || n == '.' || n == '[' || n == ':' {
				return p.postfix()
			}
		}
	case isDigit(c), c == '.' && isDigit(d), isDash(c) && (isDigit(d) || d == '.' && isDigit(p.peek(2))):
		minus := isDash(c)
		if minus {
			p.i++
		}
		v, text, ok := p.number(minus)
		if ok && endsWord(p.peek(0)) {
			if minus {
				text = "-" + text
			}
			return &constExpr{span: span{at, p.i}, v: v, text: text, bare: true}
		}
		p.i = at
	}
	if endsWord(c) {
		return nil
	}
	return p.generic()
}

// generic reads a bare word, with variables, quotes and escapes inside of it.
func (p *parser) generic() expr {
	at := p.i
	x := &expand{p: p}
	for {
		c := p.peek(0)
		switch {
		case endsWord(c):
			return x.done(at, true)
		case c == '`':
			if isNewline(p.peek(1)) || p.i+1 >= len(p.t) {
				if p.i == at {
					p.i++
				}
				return x.done(at, true)
			}
			p.escape(&x.text)
		case c == '$':
			x.dollar()
		case isDouble(c):
			p.i++
			p.quotedPart(x, p.i-1)
		case isSingle(c):
			s := p.singleQuoted().(*constExpr)
			x.text.WriteString(s.v.(string))
		default:
			x.text.WriteRune(c)
			p.i++
		}
	}
}

// redirection reads one, if there is one here.
func (p *parser) redirection() (r redirAST, ok bool) {
	at := p.i
	c, d := p.peek(0), p.peek(1)
	r.from = 1
	switch {
	case c == '>':
	case d == '>' && c >= '1' && c <= '6':
		r.from = int(c - '0')
		p.i++
	case d == '>' && c == '*':
		r.from = 0
		p.i++
	default:
		return r, false
	}
	p.i++
	if p.peek(0) == '&' && p.peek(1) >= '1' && p.peek(1) <= '6' {
		r.to = int(p.peek(1) - '0')
		p.i += 2
		if r.to != 1 {
			p.fail(at, "RedirectionNotSupported", "Streams can only be merged into stream 1.")
		}
		return r, true
	}
	if p.peek(0) == '>' {
		p.i++
		r.append = true
	}
	p.blanks()
	if r.file = p.argument(); r.file == nil {
		p.fail(at, "MissingFileSpecification", "The file is missing behind the redirection.")
	}
	return r, true
}
