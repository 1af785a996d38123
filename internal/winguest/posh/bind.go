package posh

import (
	"fmt"
	"sort"
	"strings"
)

// bare takes the spelling off numbers.
func bare(v any) any {
	switch x := v.(type) {
	case literal:
		return x.v
	case *Array:
		for _, e := range x.Elem {
			if _, ok := e.(literal); ok {
				out := &Array{Type: x.Type, Elem: make([]any, len(x.Elem))}
				for i, e := range x.Elem {
					out.Elem[i] = bare(e)
				}
				return out
			}
		}
	}
	return v
}

// formal is a parameter to bind to.
type formal struct {
	name    string
	aliases []string
	typ     *Type // nil takes anything
	pos     int   // 0 is by name only
	need    bool
	pipe    bool
	byName  bool
	rest    bool
	isOn    bool // a switch
	refused bool
	check   func(v any) error
}

// callPrefs are the common parameters of one call.
type callPrefs struct {
	errors, warning, verbose, debug, info string
	errorVar, outVar                      string
}

type binding struct {
	s      *shell
	what   string // the command's name in messages
	suffix string // of error ids
	forms  []formal
	common bool // takes the common parameters
	asks   bool // takes -WhatIf and -Confirm
	loose  bool // further arguments are kept in $args
	values map[string]any
	blocks map[*formal]*Block // give the values anew for each object of the pipeline
	rest   []any
	params map[int]string // of rest: what came as a parameter
	prefs  callPrefs
}

func (b *binding) fail(id, msg, target string) error {
	rec := b.s.record(&Error{ID: id, Message: msg, Category: "InvalidArgument", Exception: "System.Management.Automation.ParameterBindingException"}, nil)
	if id == "MissingMandatoryParameter" {
		rec.category = "InvalidArgument"
	}
	if b.suffix != "" {
		rec.id += "," + b.suffix
	}
	rec.command = b.what
	return &thrown{rec: rec}
}

var commonNames = []string{"ErrorAction", "WarningAction", "InformationAction", "Verbose", "Debug", "ErrorVariable", "WarningVariable",
	"InformationVariable", "OutVariable", "OutBuffer", "PipelineVariable"}

var commonAliases = map[string]string{"ea": "ErrorAction", "wa": "WarningAction", "infa": "InformationAction", "vb": "Verbose", "db": "Debug",
	"ev": "ErrorVariable", "wv": "WarningVariable", "iv": "InformationVariable", "ov": "OutVariable", "ob": "OutBuffer", "pv": "PipelineVariable"}

// named finds the parameter that a name means, also by an unambiguous beginning.
func (b *binding) named(name string) (f *formal, common string, err error) {
	for i := range b.forms {
		if strings.EqualFold(b.forms[i].name, name) {
			return &b.forms[i], "", nil
		}
		for _, a := range b.forms[i].aliases {
			if strings.EqualFold(a, name) {
				return &b.forms[i], "", nil
			}
		}
	}
	if b.common {
		if c, ok := commonAliases[strings.ToLower(name)]; ok {
			return nil, c, nil
		}
	}
	var hits []string
	only := true // refused ones, which may be names of the same
	starts := func(full string) bool { return len(full) >= len(name) && strings.EqualFold(full[:len(name)], name) }
	for i := range b.forms {
		hit := starts(b.forms[i].name)
		for _, a := range b.forms[i].aliases {
			hit = hit || starts(a)
		}
		if hit {
			f = &b.forms[i]
			only = only && f.refused
			hits = append(hits, b.forms[i].name)
		}
	}
	if b.common {
		for _, c := range commonNames {
			if strings.EqualFold(c, name) {
				return nil, c, nil
			}
		}
		for _, c := range commonNames {
			if starts(c) {
				hits = append(hits, c)
				common, only = c, false
			}
		}
	}
	if len(hits) > 1 && !only {
		return nil, "", b.fail("AmbiguousParameter", fmt.Sprintf("The parameter name '%s' is ambiguous: it may mean -%s.", name, strings.Join(hits, ", -")), name)
	}
	if f != nil {
		common = ""
	}
	return f, common, nil
}

// asksFor tells whether a name, which is none of the parameters', is one of those
// that cmdlets have for asking before they change something: nobody is asked here.
func (b *binding) asksFor(name string) bool {
	if !b.asks {
		return false
	}
	n := strings.ToLower(name)
	return n == "wi" || n == "cf" || strings.HasPrefix("whatif", n) || strings.HasPrefix("confirm", n)
}

// bind gives the arguments to the parameters.
func (b *binding) bind(args []actual) error {
	b.values = map[string]any{}
	var loose []actual
	only := false
	for i := 0; i < len(args); i++ {
		a := args[i]
		if a.dash {
			only = true
			continue
		}
		if a.name == "" || only {
			loose = append(loose, a)
			continue
		}
		f, common, err := b.named(a.name)
		if err != nil {
			return err
		}
		if f == nil && common == "" {
			if b.loose { // with its value, if it has one, it is none of the parameters'
				if b.params == nil {
					b.params = map[int]string{}
				}
				b.params[len(b.rest)] = a.name
				switch {
				case a.has:
					b.rest = append(b.rest, "-"+a.name+":", bare(a.value))
				case i+1 < len(args) && args[i+1].name == "" && !args[i+1].dash:
					i++
					b.rest = append(b.rest, a.text, bare(args[i].value))
				default:
					b.rest = append(b.rest, a.text)
				}
				continue
			}
			if b.takesRest() && !a.has {
				loose = append(loose, actual{value: a.text, text: a.text})
				continue
			}
			if b.asksFor(a.name) {
				if a.has && !truth(bare(a.value)) {
					continue
				}
				return b.s.refuse("-%s of %s", a.name, b.what)
			}
			return b.fail("NamedParameterNotFound", fmt.Sprintf("A parameter cannot be found that matches parameter name '%s'.", a.name), a.name)
		}
		if f != nil && f.refused { // a switch has no value to set
			return b.s.refuse("-%s of %s", f.name, b.what)
		}
		isOn := f != nil && f.isOn || common == "Verbose" || common == "Debug"
		v := a.value
		if !a.has {
			switch {
			case isOn:
				v = true
			case i+1 < len(args) && args[i+1].name == "" && !args[i+1].dash:
				i++
				v = args[i].value
			default:
				return b.fail("MissingArgument", fmt.Sprintf("Missing an argument for parameter '%s'.", a.name), a.name)
			}
		}
		if common != "" {
			if err := b.setCommon(common, bare(v)); err != nil {
				return err
			}
			continue
		}
		if _, twice := b.values[strings.ToLower(f.name)]; twice {
			return b.fail("ParameterAlreadyBound", fmt.Sprintf("The parameter '%s' is given more than once.", f.name), f.name)
		}
		if err := b.give(f, v); err != nil {
			return err
		}
	}
	return b.positional(loose)
}

// takesRest tells commands that take any words: Write-Host, Write-Output.
func (b *binding) takesRest() bool {
	for _, f := range b.forms {
		if f.rest && f.typ == nil && !f.need {
			return true
		}
	}
	return false
}

func (b *binding) positional(loose []actual) error {
	var order []*formal
	for i := range b.forms {
		f := &b.forms[i]
		if b.values["literalpath"] != nil && f.name == "Path" {
			continue // the two exclude each other
		}
		if _, taken := b.values[strings.ToLower(f.name)]; f.pos > 0 && !taken && b.blocks[f] == nil {
			order = append(order, f)
		}
	}
	sort.SliceStable(order, func(i, j int) bool { return order[i].pos < order[j].pos })
	for _, f := range order {
		if len(loose) == 0 {
			return nil
		}
		if f.rest {
			break
		}
		if err := b.give(f, loose[0].value); err != nil {
			return err
		}
		loose = loose[1:]
	}
	if len(loose) == 0 {
		return nil
	}
	for i := range b.forms {
		f := &b.forms[i]
		if _, taken := b.values[strings.ToLower(f.name)]; !f.rest || taken {
			continue
		}
		a := &Array{}
		for _, x := range loose {
			if x.raw {
				a.Elem = append(a.Elem, "--%")
			}
			a.Elem = append(a.Elem, x.value)
		}
		if len(a.Elem) == 1 {
			return b.set(f, a.Elem[0])
		}
		return b.set(f, a)
	}
	if b.loose {
		for _, x := range loose {
			b.rest = append(b.rest, bare(x.value))
		}
		return nil
	}
	return b.fail("PositionalParameterNotFound", fmt.Sprintf("A positional parameter cannot be found that accepts argument '%s'.", b.s.text(loose[0].value)), "")
}

// give binds an argument. A script block for a parameter that the pipeline may
// bind, and that takes no script blocks, is asked for the value by each object:
// Rename-Item -NewName { $_.Name + '.old' }.
func (b *binding) give(f *formal, v any) error {
	block, ok := v.(*Block)
	if !ok || f.refused || !f.pipe && !f.byName || f.typ == nil || takesBlocks(f.typ) {
		return b.set(f, v)
	}
	if b.blocks == nil {
		b.blocks = map[*formal]*Block{}
	}
	b.blocks[f] = block
	return nil
}

func takesBlocks(t *Type) bool {
	if t.elem != nil {
		t = t.elem
	}
	switch t.name {
	case "System.Object", "System.Management.Automation.ScriptBlock", "System.Management.Automation.PSObject":
		return true
	}
	return false
}

// set converts a value to the parameter's type and keeps it.
func (b *binding) set(f *formal, v any) error {
	if f.refused {
		return b.s.refuse("-%s of %s", f.name, b.what)
	}
	x, err := b.convert(f, v)
	if err != nil {
		return err
	}
	b.values[strings.ToLower(f.name)] = x
	return nil
}

func (b *binding) convert(f *formal, v any) (any, error) {
	if f.typ != nil {
		cmdlet := b.suffix != "" && strings.Contains(b.suffix, ".")
		var err error
		if _, isList := list(v); isList && (cmdlet || b.common && f.typ.name == "System.String") && (f.typ.name == "System.String" || f.typ.name == "System.Int32") {
			err = castFault(v, f.typ.name)
		} else if _, isBool := bare(v).(bool); f.typ.name == "System.Boolean" && !isBool && !isNumber(bare(v)) {
			err = fault("", "Cannot convert value \"%s\" to type \"System.Boolean\". Boolean parameters accept only Boolean values and numbers, such as $True, $False, 1 or 0.", typeNameOf(bare(v)))
		} else if f.isOn {
			if _, text := v.(string); text {
				err = castFault(v, f.typ.name)
			} else {
				v = truth(bare(v))
			}
		} else {
			v, err = b.s.castTo(v, f.typ)
		}
		if err != nil {
			if b.s.passes(err) {
				return nil, err
			}
			id := "ParameterArgumentTransformationError"
			if cmdlet {
				id = "CannotConvertArgumentNoMessage"
				if _, isList := list(v); isList {
					id = "CannotConvertArgument"
				}
			}
			return nil, b.fail(id, fmt.Sprintf("Cannot process argument transformation on parameter '%s'. %s", f.name, err.Error()), f.name)
		}
	} else if b.loose || b.suffix == "" || !strings.Contains(b.suffix, ".") {
		v = bare(v)
	}
	if f.check != nil {
		if err := f.check(v); err != nil {
			if b.s.passes(err) {
				return nil, err
			}
			return nil, b.fail("ParameterArgumentValidationError", fmt.Sprintf("Cannot validate argument on parameter '%s'. %s", f.name, err.Error()), f.name)
		}
	}
	return v, nil
}

func (b *binding) setCommon(name string, v any) error {
	p := &b.prefs
	var err error
	switch name {
	case "ErrorAction":
		p.errors, err = b.s.preference(b.s.text(v))
	case "WarningAction":
		p.warning, err = b.s.preference(b.s.text(v))
	case "InformationAction":
		p.info, err = b.s.preference(b.s.text(v))
	case "Verbose", "Debug":
		on := "silentlycontinue"
		if truth(v) {
			on = "continue"
		}
		if name == "Verbose" {
			p.verbose = on
		} else if p.debug = on; truth(v) {
			return b.s.refuse("-Debug")
		}
	case "ErrorVariable":
		p.errorVar = b.s.text(v)
		if !strings.HasPrefix(p.errorVar, "+") {
			b.s.setVar(foldKey(p.errorVar), &List{mine: true})
		}
	case "OutVariable":
		p.outVar = b.s.text(v)
		if !strings.HasPrefix(p.outVar, "+") {
			b.s.setVar(foldKey(p.outVar), &List{mine: true})
		}
	default:
		return b.s.refuse("-%s of %s", name, b.what)
	}
	return err
}

// missing complains about mandatory parameters without a value.
func (b *binding) missing(piped bool) error {
	for f := range b.blocks {
		if _, ok := b.values[strings.ToLower(f.name)]; !ok {
			return b.fail("ScriptBlockArgumentNoInput", fmt.Sprintf("Cannot evaluate parameter '%s' because its argument is specified as a script block and there is no input. A script block cannot be evaluated without input.", f.name), f.name)
		}
	}
	var names []string
	for _, f := range b.forms {
		if _, ok := b.values[strings.ToLower(f.name)]; f.need && !ok && !(piped && (f.pipe || f.byName)) {
			names = append(names, f.name)
		}
	}
	if names == nil {
		return nil
	}
	return b.fail("MissingMandatoryParameter", "Cannot process command because of one or more missing mandatory parameters: "+strings.Join(names, " ")+".", names[0])
}

// fromPipe binds one object of the pipeline; given are the names bound before.
func (b *binding) fromPipe(v any, given map[string]bool) (bool, error) {
	took := false
	free := false
	for f, block := range b.blocks {
		out, err := b.s.invokeBlock(block, v, nil)
		if err != nil {
			return false, err
		}
		if err := b.set(f, collect(out)); err != nil {
			return false, err
		}
		took = true
	}
	for i := range b.forms {
		f := &b.forms[i]
		k := strings.ToLower(f.name)
		if given[k] || b.blocks[f] != nil {
			continue
		}
		if f.pipe {
			free = true
			if f.typ == nil || f.typ.name == "System.Object" {
				b.values[k] = v
				took = true
				continue
			}
			if f.byName && f.typ.name != "System.String[]" || f.byName && !isSimple(v) {
				if x, ok := b.s.property(v, f); ok {
					if err := b.set(f, x); err != nil {
						return false, err
					}
					took = true
					continue
				}
			}
			if f.typ.elem == nil && !isType(v, f.typ) && f.typ.name != "System.String" && f.typ.name != "System.Object" {
				if _, err := b.s.castTo(v, f.typ); err != nil {
					continue
				}
			}
			if err := b.set(f, v); err != nil {
				return false, err
			}
			took = true
			continue
		}
		if f.byName {
			free = true
			if x, ok := b.s.property(v, f); ok {
				if err := b.set(f, x); err != nil {
					return false, err
				}
				took = true
			}
		}
	}
	if !took && free {
		return false, b.fail("InputObjectNotBound", "The input object cannot be bound to any parameters of the command: it takes no such pipeline input.", "")
	}
	return took || free, nil
}

func isSimple(v any) bool {
	switch v.(type) {
	case string, bool, Char, nil:
		return true
	}
	return isNumber(v)
}

// property finds what a parameter takes by its name from a pipeline object.
func (s *shell) property(v any, f *formal) (any, bool) {
	if isSimple(v) {
		return nil, false
	}
	for _, n := range append([]string{f.name}, f.aliases...) {
		if x, ok, err := s.get(v, n); ok && err == nil && x != nil {
			return x, true
		}
	}
	return nil, false
}
