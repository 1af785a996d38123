package posh

import "strings"

// inFinally stands among the labels of loops for a finally block, which break,
// continue and return cannot leave.
const inFinally = "\x00finally"

// within reads what stands in a loop of that label, or in a finally block.
func (p *parser) within(label string, read func() []stmt) []stmt {
	p.flow = append(p.flow, label)
	defer func() { p.flow = p.flow[:len(p.flow)-1] }()
	return read()
}

func (p *parser) loopBody(label, id, what string) []stmt {
	return p.within(label, func() []stmt { return p.needBraces(id, what) })
}

// apart reads what is a script block of its own: no loop around it counts.
func (p *parser) apart(read func()) {
	outer := p.flow
	p.flow = nil
	defer func() { p.flow = outer }()
	read()
}

// leaves looks at a statement that leaves a loop of that label, "" for the nearest
// one, or the function.
func (p *parser) leaves(at int, kind, label string) {
	for i := len(p.flow) - 1; i >= 0; i-- {
		switch l := p.flow[i]; {
		case l == inFinally:
			p.fail(at, "ControlLeavingFinally", "'%s' cannot leave a finally block.", kind)
		case kind != "return" && (label == "" || strings.EqualFold(label, l)):
			return
		}
	}
}

// checkCatches looks at the order of catch clauses: each must be able to take what
// those before it leave.
func (p *parser) checkCatches(at int, catches []catchAST) {
	var before []string
	for i, c := range catches {
		if len(c.types) == 0 && i < len(catches)-1 {
			p.fail(at, "EmptyCatchNotLast", "A catch block without a type must be the last one.")
		}
		for _, n := range c.types {
			t, ok := typeNamed(n.name)
			if !ok || n.elem != nil || len(n.args) > 0 {
				continue // the script itself finds out when it is looked at
			}
			for _, b := range before {
				if isException(t.name, b) {
					p.fail(at, "ExceptionTypeAlreadyCaught", "The exception type %s is already handled by a catch block before.", n.name)
				}
			}
			before = append(before, t.name)
		}
	}
}

// checkParams looks for a name that stands twice.
func (p *parser) checkParams(params []*paramAST) {
	seen := map[string]bool{}
	for _, x := range params {
		if seen[x.key] {
			p.fail(x.from, "DuplicateFormalParameter", "The parameter '%s' stands twice.", x.name)
		}
		seen[x.key] = true
	}
}
