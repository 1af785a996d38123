package posh

import "strings"

// function reads function or filter, from its keyword on.
func (p *parser) function(kind string) stmt {
	at := p.i
	p.i += len(kind)
	p.blanks()
	j := p.i
	for !endsWord(p.peek(0)) {
		p.i++
	}
	name := string(p.t[j:p.i])
	if name == "" {
		p.fail(p.i, "MissingNameAfterKeyword", "The name is missing behind '%s'.", kind)
	}
	for _, scope := range [...]string{"global:", "script:", "local:", "private:"} {
		if len(name) > len(scope) && strings.EqualFold(name[:len(scope)], scope) {
			if scope == "private:" {
				p.refuse(at, "a private function")
			}
			name = strings.ToLower(scope) + name[len(scope):]
		}
	}
	p.lines()
	var params []*paramAST
	if p.peek(0) == '(' {
		params = p.paramList()
		p.lines()
	}
	if p.peek(0) != '{' {
		p.fail(p.i, "MissingFunctionBody", "The body of function '%s' is missing.", name)
	}
	b := p.blockInBraces()
	if params != nil {
		if b.hasParam {
			p.fail(at, "OnlyOneParamBlock", "Function '%s' has its parameters in two places.", name)
		}
		b.params, b.hasParam = params, true
		b.cmdlet = b.cmdlet || advanced(params)
	}
	if kind == "filter" && !b.named {
		b.process, b.end, b.hasProc, b.named, b.isFilter = b.end, nil, true, true, true
	}
	return &funcStmt{span: span{at, p.i}, name: name, body: b}
}

// blockInBraces reads { … } as a script block.
func (p *parser) blockInBraces() *blockAST {
	at := p.i
	p.i++
	b := p.blockBody(true)
	if p.peek(0) != '}' {
		p.fail(at, "MissingEndCurlyBrace", "The closing '}' is missing in a statement block.")
	}
	p.i++
	return b
}

func (p *parser) paramBlock(b *blockAST) {
	p.lines()
	if p.peek(0) != '(' {
		p.fail(p.i, "MissingOpenParenthesisAfterKeyword", "The opening '(' is missing behind 'param'.")
	}
	b.params, b.hasParam = p.paramList(), true
	b.cmdlet = b.cmdlet || advanced(b.params)
}

// advanced tells a function that [Parameter()] makes an advanced one.
func advanced(params []*paramAST) bool {
	for _, x := range params {
		if x.isCmdlet() {
			return true
		}
	}
	return false
}

func (x *paramAST) isCmdlet() bool {
	for _, c := range x.checks {
		if c.kind == "parameter" {
			return true
		}
	}
	return false
}

func (p *parser) paramList() []*paramAST {
	p.i++
	out := []*paramAST{}
	for {
		p.lines()
		if p.peek(0) == ')' && len(out) == 0 {
			p.i++
			return out
		}
		x := &paramAST{span: span{p.i, p.i}}
		p.attributes(x, nil)
		p.lines()
		at := p.i
		v, ok := p.variable().(*varExpr)
		if !ok || v.drive != "" {
			p.fail(at, "MissingFunctionParameterName", "A parameter's name is missing.")
		}
		x.name, x.key = v.name, v.key
		p.lines()
		if p.peek(0) == '=' {
			p.i++
			p.lines()
			noSep := p.noSep
			p.noSep = 1
			x.def = p.expression()
			p.noSep = noSep
			p.lines()
		}
		x.to = p.i
		out = append(out, x)
		switch {
		case p.peek(0) == ',':
			p.i++
			p.lines()
			if p.peek(0) == ')' {
				p.fail(p.i, "MissingFunctionParameterName", "A parameter's name is missing.")
			}
		case p.peek(0) == ')':
			p.i++
			p.checkParams(out)
			return out
		default:
			if p.end() {
				p.fail(p.i, "MissingEndParenthesisInFunctionParameterList", "The closing ')' is missing behind the parameters.")
			}
			p.unexpected()
		}
	}
}

// attributes reads what stands in brackets before a parameter (x) or before a
// param block (b).
func (p *parser) attributes(x *paramAST, b *blockAST) {
	for {
		j := p.i
		p.lines()
		if p.peek(0) != '[' {
			p.i = j
			return
		}
		at := p.i
		p.i++
		p.lines()
		k := p.i
		for isWord(p.peek(0)) || p.peek(0) == '.' {
			p.i++
		}
		name := strings.ToLower(string(p.t[k:p.i]))
		p.blanks()
		if p.peek(0) == '(' && name != "" {
			p.attribute(at, strings.TrimSuffix(strings.TrimPrefix(name, "system.management.automation."), "attribute"), x, b)
			continue
		}
		if b != nil { // a cast, or an index of nothing: the statements will see to it
			p.i = j
			return
		}
		p.i = k
		t := p.typeInside()
		if strings.EqualFold(t.name, "switch") || strings.EqualFold(t.name, "switchparameter") || strings.EqualFold(t.name, "System.Management.Automation.SwitchParameter") {
			x.isSwitch = true
		}
		x.typ = t
	}
}

// attribute reads one, from its opening parenthesis on.
func (p *parser) attribute(at int, name string, x *paramAST, b *blockAST) {
	p.i++
	var pos []expr
	named := map[string]expr{}
	for {
		p.lines()
		if p.peek(0) == ')' {
			p.i++
			break
		}
		if p.end() {
			p.fail(at, "MissingEndParenthesisInExpression", "The closing ')' is missing.")
		}
		j := p.i
		if w := p.word(); w != "" && !isDigit(rune(w[0])) {
			p.i += len([]rune(w))
			p.lines()
			switch c := p.peek(0); {
			case c == '=':
				p.i++
				p.lines()
				p.noSep++
				named[strings.ToLower(w)] = p.expression()
				p.noSep--
			case c == ',' || c == ')':
				named[strings.ToLower(w)] = &constExpr{v: true}
			default:
				p.i = j
			}
		}
		if p.i == j {
			p.noSep++
			pos = append(pos, p.expression())
			p.noSep--
		}
		p.lines()
		if p.peek(0) == ',' {
			p.i++
		}
	}
	p.lines()
	if p.peek(0) != ']' {
		p.fail(p.i, "EndSquareBracketExpectedAtEndOfAttribute", "The ']' at the end of an attribute or type is missing.")
	}
	p.i++
	if b != nil {
		switch name {
		case "cmdletbinding":
			b.cmdlet = true
			for k, v := range named {
				switch k {
				case "positionalbinding":
					b.positive = constTruth(v)
				case "supportsshouldprocess", "confirmimpact":
					if k == "supportsshouldprocess" && constTruth(v) {
						p.refuse(at, "SupportsShouldProcess")
					}
				case "defaultparametersetname", "helpuri":
				default:
					p.refuse(at, "CmdletBinding(%s)", k)
				}
			}
		case "outputtype", "diagnostics.codeanalysis.suppressmessage", "system.diagnostics.codeanalysis.suppressmessage", "alias":
		default:
			p.refuse(at, "the attribute [%s()]", name)
		}
		return
	}
	p.paramAttribute(at, name, x, pos, named)
}

// checkArgs are the numbers of values that validation attributes take.
var checkArgs = map[string]int{"range": 2, "count": 2, "length": 2, "pattern": 1, "script": 0, "notnull": 0, "notnullorempty": 0}

func (p *parser) paramAttribute(at int, name string, x *paramAST, pos []expr, named map[string]expr) {
	add := func(kind string) {
		c := check{kind: kind, src: p.src}
		for _, e := range pos {
			if blk, ok := e.(*blockExpr); ok {
				c.body = blk.body
				continue
			}
			v, ok := constValue(e)
			if !ok {
				p.refuse(at, "an attribute with a value that is not constant")
			}
			c.args = append(c.args, v)
		}
		if want, ok := checkArgs[kind]; len(named) > 0 || ok && len(c.args) != want || kind == "script" && c.body == nil {
			p.refuse(at, "the attribute [%s()] with these arguments", name)
		}
		x.checks = append(x.checks, c)
	}
	switch name {
	case "parameter":
		x.checks = append(x.checks, check{kind: "parameter"})
		for k, v := range named {
			switch k {
			case "mandatory":
				x.need = constTruth(v)
			case "position":
				n, _ := constValue(v)
				if i, ok := n.(int32); ok {
					x.pos = int(i) + 1
				}
			case "valuefrompipeline":
				x.pipe = constTruth(v)
			case "valuefrompipelinebypropertyname":
				x.pipeName = constTruth(v)
			case "valuefromremainingarguments":
				x.rest = constTruth(v)
			case "helpmessage", "dontshow":
			default:
				p.refuse(at, "Parameter(%s)", k)
			}
		}
	case "alias":
		for _, e := range pos {
			if v, ok := constValue(e); ok {
				x.aliases = append(x.aliases, toText(v))
			}
		}
	case "validateset":
		add("set")
	case "validaterange":
		add("range")
	case "validatepattern":
		add("pattern")
	case "validatescript":
		add("script")
	case "validatenotnull":
		add("notnull")
	case "validatenotnullorempty":
		add("notnullorempty")
	case "validatecount":
		add("count")
	case "validatelength":
		add("length")
	case "allownull", "allowemptystring", "allowemptycollection":
		add(name)
	default:
		p.refuse(at, "the attribute [%s()]", name)
	}
}

// constValue is the value of an expression that is one already in the text.
func constValue(e expr) (any, bool) {
	switch e := e.(type) {
	case *constExpr:
		return e.v, true
	case *varExpr:
		switch e.key {
		case "true":
			return true, true
		case "false":
			return false, true
		case "null":
			return nil, true
		}
	case *unaryExpr:
		if v, ok := constValue(e.x); ok && e.op == "-" {
			if n, err := negate(v); err == nil {
				return n, true
			}
		}
	case *typeExpr:
		return e.typ.String(), true
	}
	return nil, false
}

func constTruth(e expr) bool {
	v, ok := constValue(e)
	return ok && truth(v)
}
