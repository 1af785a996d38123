package posh

import "strings"

// script reads the whole text as a script block without braces.
func (p *parser) script() *blockAST {
	if p.peek(0) == '\uFEFF' {
		p.i++
	}
	b := p.blockBody(false)
	p.separators()
	if !p.end() {
		p.unexpected()
	}
	b.requires = p.requirements()
	return b
}

// blockBody reads what stands between braces: a param block, then either named
// blocks or statements. The closing brace is left.
func (p *parser) blockBody(braced bool) *blockAST {
	p.enter()
	defer p.leave()
	b := &blockAST{span: span{p.i, p.i}, src: p.src, positive: true}
	outer, flow := p.block, p.flow
	p.block, p.flow = b, nil
	defer func() { p.block, p.flow = outer, flow }()
	noSep := p.noSep
	p.noSep = 0
	defer func() { p.noSep = noSep }()

	p.separators()
	for p.keyword("using") {
		p.refuse(p.i, "using")
	}
	start := p.i
	p.attributes(nil, b)
	p.lines()
	if p.keyword("param") {
		p.i += len("param")
		p.paramBlock(b)
	} else {
		p.i, b.cmdlet = start, false
	}
	p.separators()
	if p.namedBlock() == "" {
		b.end = p.statements(braced)
		b.to = p.i
		return b
	}
	b.named = true
	for {
		p.separators()
		k := p.namedBlock()
		if k == "" {
			break
		}
		p.i += len(k)
		p.lines()
		if p.peek(0) != '{' {
			p.fail(p.i, "MissingNamedStatementBlock", "The statement block of '%s' is missing.", k)
		}
		body := p.braces()
		switch k {
		case "begin":
			b.begin = body
		case "process":
			b.process, b.hasProc = body, true
		case "end":
			b.end = body
		case "dynamicparam":
			p.refuse(p.i, "dynamicparam")
		}
	}
	if !(braced && p.peek(0) == '}') && !p.end() {
		p.fail(p.i, "MissingNamedBlocks", "Unexpected token: behind begin, process and end blocks no other statements can stand.")
	}
	b.to = p.i
	return b
}

func (p *parser) namedBlock() string {
	for _, k := range [...]string{"begin", "process", "end", "dynamicparam"} {
		if p.keyword(k) {
			j := p.i
			p.i += len(k)
			p.lines()
			ok := p.peek(0) == '{'
			p.i = j
			if ok {
				return k
			}
		}
	}
	return ""
}

// braces reads { statements }.
func (p *parser) braces() []stmt {
	p.enter()
	defer p.leave()
	noSep := p.noSep
	p.noSep = 0
	at := p.i
	p.i++
	body := p.statements(true)
	if p.peek(0) != '}' {
		p.fail(at, "MissingEndCurlyBrace", "The closing '}' is missing in a statement block.")
	}
	p.i++
	p.noSep = noSep
	return body
}

// statements reads up to a closing bracket or the end.
func (p *parser) statements(nested bool) []stmt {
	var out []stmt
	for {
		p.separators()
		c := p.peek(0)
		if p.end() || nested && (c == '}' || c == ')') {
			return out
		}
		if c == '}' || c == ')' {
			p.unexpected()
		}
		s := p.statement()
		if s != nil {
			out = append(out, s)
		}
		p.blanks()
		switch c := p.peek(0); {
		case p.end(), c == ';', isNewline(c), nested && (c == '}' || c == ')'):
		default:
			switch s.(type) {
			case *pipeStmt, *assignStmt, *flowStmt:
				p.unexpected()
			}
			if c == '|' || c == '&' {
				continue // the next round complains in its own way
			}
		}
	}
}

func (p *parser) statement() stmt {
	p.enter()
	defer p.leave()
	at := p.i
	label := ""
	if p.peek(0) == ':' && isWord(p.peek(1)) {
		p.i++
		label = p.word()
		p.i += len([]rune(label))
		p.lines()
	}
	w := strings.ToLower(p.word())
	switch w {
	case "if":
		return p.ifStatement()
	case "while", "for", "do", "foreach", "switch":
		p.i += len(w)
		switch w {
		case "while":
			return p.whileStatement(at, label)
		case "for":
			return p.forStatement(at, label)
		case "do":
			return p.doStatement(at, label)
		case "foreach":
			return p.foreachStatement(at, label)
		}
		return p.switchStatement(at, label)
	case "function", "filter":
		return p.function(w)
	case "break", "continue":
		p.i += len(w)
		p.blanks()
		s := &flowStmt{span: span{at, p.i}, kind: w}
		if c := p.peek(0); isWord(c) {
			l := p.word()
			p.i += len([]rune(l))
			s.label = &constExpr{v: l}
		} else if c == '$' {
			s.label = p.postfix()
			return s // it is known when it runs
		}
		label := ""
		if l, ok := s.label.(*constExpr); ok {
			label = l.v.(string)
		}
		p.leaves(at, w, label)
		return s
	case "return", "throw", "exit":
		p.i += len(w)
		p.blanks()
		s := &flowStmt{span: span{at, p.i}, kind: w}
		if c := p.peek(0); !p.end() && !isNewline(c) && c != ';' && c != '}' && c != ')' {
			s.value = p.pipeline()
		}
		s.to = p.i
		if w == "return" {
			p.leaves(at, w, "")
		}
		return s
	case "try":
		return p.tryStatement()
	case "trap":
		p.i += len(w)
		s := &trapStmt{span: span{at, at}}
		p.lines()
		if p.peek(0) == '[' {
			p.i++
			s.typ = p.typeInside()
			p.lines()
		}
		p.apart(func() { s.body = p.needBraces("MissingTrapStatement", "trap") })
		s.to = p.i
		return s
	case "using":
		p.fail(at, "UsingMustBeAtStartOfScript", "A 'using' statement must appear before any other statements in a script.")
	case "class", "enum", "data", "workflow", "configuration", "parallel", "sequence", "inlinescript", "from", "define", "var":
		j := p.i + len(w)
		if j < len(p.t) && isBlank(p.t[j]) && p.declares(j) {
			p.refuse(at, "%s", w)
		}
	}
	if label != "" {
		p.i = at
	}
	return p.pipeline()
}

// declares tells `class Name {` from a command of that name.
func (p *parser) declares(j int) bool {
	for j < len(p.t) && !isNewline(p.t[j]) {
		if p.t[j] == '{' {
			return true
		}
		j++
	}
	return false
}

func (p *parser) needBraces(id, what string) []stmt {
	p.lines()
	if p.peek(0) != '{' {
		p.fail(p.i, id, "The statement block is missing behind '%s'.", what)
	}
	return p.braces()
}

// condition reads ( pipeline ).
func (p *parser) condition(what, idOpen, idEmpty string) stmt {
	p.lines()
	if p.peek(0) != '(' {
		p.fail(p.i, idOpen, "The opening '(' is missing behind '%s'.", what)
	}
	noSep := p.noSep
	p.noSep = 0
	p.i++
	p.lines()
	if p.peek(0) == ')' {
		p.fail(p.i, idEmpty, "The condition of '%s' is missing.", what)
	}
	s := p.pipeline()
	p.closeParen("MissingEndParenthesisAfterStatement")
	p.noSep = noSep
	return s
}

func (p *parser) closeParen(id string) {
	p.lines()
	if p.peek(0) == ')' {
		p.i++
		return
	}
	if p.end() {
		p.fail(p.i, id, "The closing ')' is missing.")
	}
	p.unexpected()
}

func (p *parser) ifStatement() stmt {
	s := &ifStmt{span: span{p.i, p.i}}
	p.i += len("if")
	for {
		s.conds = append(s.conds, p.condition("if", "MissingOpenParenthesisInIfStatement", "IfStatementMissingCondition"))
		s.then = append(s.then, p.needBraces("MissingStatementBlock", "if ( condition )"))
		j := p.i
		p.lines()
		if p.take("elseif") {
			continue
		}
		if p.take("else") {
			s.other, s.hasIt = p.needBraces("MissingStatementBlockAfterElse", "else"), true
		} else {
			p.i = j
		}
		s.to = p.i
		return s
	}
}

func (p *parser) whileStatement(at int, label string) stmt {
	s := &loopStmt{span: span{at, at}, label: label}
	s.cond = p.condition("while", "MissingOpenParenthesisAfterKeyword", "MissingExpressionAfterKeyword")
	s.body = p.loopBody(label, "MissingLoopStatement", "while")
	s.to = p.i
	return s
}

func (p *parser) doStatement(at int, label string) stmt {
	s := &loopStmt{span: span{at, at}, label: label, after: true}
	s.body = p.loopBody(label, "MissingLoopStatement", "do")
	p.lines()
	switch {
	case p.take("while"):
	case p.take("until"):
		s.until = true
	default:
		p.fail(p.i, "MissingWhileOrUntilInDoWhile", "'while' or 'until' is missing behind the body of 'do'.")
	}
	s.cond = p.condition("do", "MissingOpenParenthesisAfterKeyword", "MissingExpressionAfterKeyword")
	s.to = p.i
	return s
}

func (p *parser) forStatement(at int, label string) stmt {
	s := &loopStmt{span: span{at, at}, label: label}
	p.lines()
	if p.peek(0) != '(' {
		p.fail(p.i, "MissingOpenParenthesisAfterKeyword", "The opening '(' is missing behind 'for'.")
	}
	p.i++
	part := func(last bool) stmt {
		p.lines()
		var x stmt
		if c := p.peek(0); c != ';' && c != ')' && !p.end() {
			x = p.pipeline()
		}
		p.lines()
		if !last && p.peek(0) == ';' {
			p.i++
		}
		return x
	}
	s.init, s.cond, s.next = part(false), part(false), part(true)
	p.closeParen("MissingEndParenthesisAfterStatement")
	s.body = p.loopBody(label, "MissingLoopStatement", "for")
	s.to = p.i
	return s
}

func (p *parser) foreachStatement(at int, label string) stmt {
	s := &foreachStmt{span: span{at, at}, label: label}
	p.lines()
	if p.peek(0) == '-' {
		p.refuse(p.i, "foreach -parallel")
	}
	if p.peek(0) != '(' {
		p.fail(p.i, "MissingOpenParenthesisAfterKeyword", "The opening '(' is missing behind 'foreach'.")
	}
	p.i++
	p.lines()
	v, ok := p.variable().(*varExpr)
	if !ok {
		p.fail(p.i, "MissingVariableNameAfterForeach", "The variable's name is missing behind 'foreach ('.")
	}
	s.v = v
	p.lines()
	if !p.take("in") {
		p.fail(p.i, "MissingInInForeach", "'in' is missing behind the variable of 'foreach'.")
	}
	p.lines()
	if p.peek(0) == ')' || p.end() {
		p.fail(p.i, "MissingForeachExpression", "What 'foreach' goes through is missing.")
	}
	s.in = p.pipeline()
	p.closeParen("MissingEndParenthesisAfterForeach")
	s.body = p.loopBody(label, "MissingForeachStatement", "foreach")
	s.to = p.i
	return s
}

func (p *parser) switchStatement(at int, label string) stmt {
	s := &switchStmt{span: span{at, at}, label: label}
	p.lines()
	for isDash(p.peek(0)) {
		p.i++
		w := strings.ToLower(p.word())
		p.i += len(w)
		switch {
		case w == "":
			p.fail(p.i, "InvalidSwitchFlag", "A flag's name is missing in 'switch'.")
		case strings.HasPrefix("wildcard", w):
			s.mode = "wildcard"
		case strings.HasPrefix("regex", w):
			s.mode = "regex"
		case strings.HasPrefix("exact", w):
			s.mode = ""
		case strings.HasPrefix("casesensitive", w):
			s.exact = true
		case strings.HasPrefix("file", w):
			p.refuse(at, "switch -File")
		default:
			p.fail(p.i, "InvalidSwitchFlag", "'switch' has no flag '%s'.", w)
		}
		p.lines()
	}
	s.subj = p.condition("switch", "MissingOpenParenthesisAfterKeyword", "PipelineValueRequired")
	p.lines()
	if p.peek(0) != '{' {
		p.fail(p.i, "MissingCurlyBraceInSwitchStatement", "The opening '{' is missing behind 'switch ( )'.")
	}
	open := p.i
	p.i++
	for {
		p.separators()
		if p.peek(0) == '}' {
			p.i++
			s.to = p.i
			return s
		}
		if p.end() {
			p.fail(open, "MissingEndCurlyBrace", "The closing '}' is missing in 'switch'.")
		}
		if p.keyword("default") {
			p.i += len("default")
			if s.hasDef {
				p.fail(p.i, "MultipleSwitchDefaultClauses", "'switch' has more than one default clause.")
			}
			s.def, s.hasDef = p.loopBody(label, "MissingSwitchStatementClause", "default"), true
			continue
		}
		test := p.argument()
		if test == nil {
			p.unexpected()
		}
		s.cases = append(s.cases, switchCase{test, p.loopBody(label, "MissingSwitchStatementClause", "the condition")})
	}
}

func (p *parser) tryStatement() stmt {
	s := &tryStmt{span: span{p.i, p.i}}
	p.i += len("try")
	s.body = p.needBraces("MissingTryStatementBlock", "try")
	for {
		j := p.i
		p.lines()
		switch {
		case p.take("catch"):
			var c catchAST
			for {
				p.lines()
				if p.peek(0) == ',' && c.types != nil {
					p.i++
					continue
				}
				if p.peek(0) != '[' {
					break
				}
				p.i++
				c.types = append(c.types, p.typeInside())
			}
			c.body = p.needBraces("MissingCatchHandlerBlock", "catch")
			s.catches = append(s.catches, c)
			continue
		case p.take("finally"):
			s.finally = p.within(inFinally, func() []stmt { return p.needBraces("MissingFinallyStatementBlock", "finally") })
			s.hasFin = true
		default:
			p.i = j
		}
		if s.catches == nil && !s.hasFin {
			p.fail(p.i, "MissingCatchOrFinally", "'try' has neither 'catch' nor 'finally'.")
		}
		p.checkCatches(s.from, s.catches)
		s.to = p.i
		return s
	}
}
