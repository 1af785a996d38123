package posh

import (
	"strings"
	"time"
)

func objectCommands() []Command {
	return []Command{
		{Name: "ForEach-Object", Class: utility("ForEachObject"), Params: []Param{inputObject, param("Begin", "scriptblock", 0), needed(restOf(param("Process", "", 1, "MemberName"))),
			param("End", "scriptblock", 0), refused("RemainingScripts"), param("ArgumentList", "", 0, "Args")}, Begin: forEachBegin, Run: forEachRun, End: forEachEnd},
		{Name: "Where-Object", Class: utility("WhereObject"), Params: whereParams(), Run: whereObject},
		{Name: "Select-Object", Class: utility("SelectObject"), Params: []Param{inputObject, param("Property", "", 1), param("First", "int", 0), param("Last", "int", 0), param("Skip", "int", 0), param("SkipLast", "int", 0),
			param("Unique", "switch", 0), param("Index", "int[]", 0), param("ExpandProperty", "string", 0), param("ExcludeProperty", "string[]", 0), param("Wait", "switch", 0)},
			Run: selectRun, End: selectEnd},
		{Name: "Sort-Object", Params: []Param{inputObject, param("Property", "", 1), param("Descending", "switch", 0), param("Unique", "switch", 0), param("CaseSensitive", "switch", 0), refused("Culture")}, Run: gather, End: sortEnd},
		{Name: "Group-Object", Params: []Param{inputObject, param("Property", "", 1), param("NoElement", "switch", 0), param("AsHashTable", "switch", 0, "AHT"), param("AsString", "switch", 0), refused("CaseSensitive")}, Run: gather, End: groupEnd},
		{Name: "Measure-Object", Params: []Param{inputObject, param("Property", "string[]", 1), param("Sum", "switch", 0), param("Average", "switch", 0), param("Maximum", "switch", 0), param("Minimum", "switch", 0),
			param("Line", "switch", 0), param("Word", "switch", 0), param("Character", "switch", 0), refused("IgnoreWhiteSpace")}, Run: gather, End: measureEnd},
		{Name: "Measure-Command", Params: []Param{inputObject, needed(param("Expression", "scriptblock", 1))}, Run: func(c *Call) error {
			from := time.Now()
			if _, err := c.Invoke(c.Value("Expression").(*Block), c.input); err != nil {
				return err
			}
			return c.out.put(time.Since(from).Truncate(100))
		}},
		{Name: "Get-Unique", Params: []Param{inputObject, param("AsString", "switch", 0), refused("OnType")}, Run: gather, End: func(c *Call) error {
			var last any
			for i, v := range gathered(c) {
				if i == 0 || !c.sh.equal(last, v, true) {
					if err := c.out.put(v); err != nil {
						return err
					}
				}
				last = v
			}
			return nil
		}},
		{Name: "Compare-Object", Params: []Param{needed(param("ReferenceObject", "object[]", 1)), needed(piped(param("DifferenceObject", "object[]", 2))), param("IncludeEqual", "switch", 0), param("ExcludeDifferent", "switch", 0),
			param("PassThru", "switch", 0), param("CaseSensitive", "switch", 0), refused("Property"), refused("SyncWindow")}, Run: compareRun},
		{Name: "Select-String", Params: []Param{inputObject, needed(param("Pattern", "string[]", 1)), param("Path", "string[]", 2), param("LiteralPath", "string[]", 0, "PSPath"), param("Quiet", "switch", 0), param("SimpleMatch", "switch", 0),
			param("CaseSensitive", "switch", 0), param("AllMatches", "switch", 0), param("NotMatch", "switch", 0), param("List", "switch", 0), param("Encoding", "string", 0), refused("Context"), refused("Include"), refused("Exclude")},
			Run: selectString, End: selectStringEnd},
		{Name: "Get-Member", Params: []Param{inputObject, param("Name", "string[]", 1), param("MemberType", "string", 0, "Type"), param("Force", "switch", 0), refused("Static"), refused("View")}, Run: gather, End: getMemberEnd},
		{Name: "Add-Member", Params: []Param{needed(inputObject), param("MemberType", "string", 1, "Type"), param("Name", "string", 2), param("Value", "", 3), param("NotePropertyName", "string", 0), param("NotePropertyValue", "", 0),
			param("NotePropertyMembers", "hashtable", 0), param("Force", "switch", 0), param("PassThru", "switch", 0), refused("SecondValue"), param("TypeName", "string", 0)}, Run: addMember},
		{Name: "New-Object", Params: []Param{param("TypeName", "string", 1), param("ArgumentList", "", 2, "Args"), param("Property", "", 0), refused("ComObject"), refused("Strict")}, Run: newObject},
	}
}

func forEachBegin(c *Call) error {
	blocks := elements(c.Value("Process"))
	// Further blocks: the first is begin, the last is end.
	var st struct{ begin, process, end []*Block }
	if _, ok := first(blocks).(*Block); !ok {
		c.State = nil
		return nil
	}
	var all []*Block
	for _, v := range blocks {
		b, ok := v.(*Block)
		if !ok {
			return c.sh.refuse("ForEach-Object with %s", typeNameOf(v))
		}
		all = append(all, b)
	}
	if b, ok := c.Value("Begin").(*Block); ok {
		st.begin = append(st.begin, b)
	} else if len(all) >= 2 {
		st.begin, all = all[:1], all[1:]
	}
	if b, ok := c.Value("End").(*Block); ok {
		st.end = append(st.end, b)
	} else if len(all) >= 2 {
		st.end, all = all[len(all)-1:], all[:len(all)-1]
	}
	st.process = all
	c.State = &eachState{st.process, st.end}
	for _, b := range st.begin {
		if err := c.sh.blockTo(b, nil, nil, c.out); err != nil {
			return err
		}
	}
	return nil
}

type eachState struct{ process, end []*Block }

func first(v []any) any {
	if len(v) == 0 {
		return nil
	}
	return v[0]
}

func forEachRun(c *Call) error {
	for _, v := range inputs(c) {
		if st, ok := c.State.(*eachState); ok {
			for _, b := range st.process {
				if err := c.sh.blockTo(b, v, nil, c.out); err != nil {
					return err
				}
			}
			continue
		}
		if err := forEachMember(c, v); err != nil {
			return err
		}
	}
	return nil
}

func forEachMember(c *Call, v any) error {
	names := elements(c.Value("Process"))
	name := c.sh.text(first(names))
	args := append(append([]any{}, names[min(1, len(names)):]...), elements(c.Value("ArgumentList"))...)
	x, ok, err := c.sh.get(v, name)
	if err != nil {
		return err
	}
	if ok && len(args) == 0 {
		return emit(x, c.out)
	}
	if v == nil {
		return nil
	}
	if x, ok, err = c.sh.invoke(v, strings.ToLower(name), args); err != nil || ok {
		if err != nil {
			return c.sh.methodFault(err, name, args)
		}
		return emit(x, c.out)
	}
	return c.out.put(nil)
}

func forEachEnd(c *Call) error {
	if st, ok := c.State.(*eachState); ok {
		for _, b := range st.end {
			if err := c.sh.blockTo(b, nil, nil, c.out); err != nil {
				return err
			}
		}
	}
	return nil
}

var whereOps = []string{"EQ", "NE", "GT", "GE", "LT", "LE", "Like", "NotLike", "Match", "NotMatch", "Contains", "NotContains", "In", "NotIn", "Is", "IsNot",
	"CEQ", "CNE", "CGT", "CGE", "CLT", "CLE", "CLike", "CNotLike", "CMatch", "CNotMatch", "CContains", "CNotContains", "CIn", "CNotIn"}

func whereParams() []Param {
	out := []Param{inputObject, param("FilterScript", "", 1, "Property"), param("Value", "", 2)}
	for _, n := range whereOps {
		p := param(n, "switch", 0)
		if hasCase[strings.ToLower(n)] {
			p.Aliases = []string{"I" + n}
		}
		out = append(out, p)
	}
	return out
}

func whereObject(c *Call) error {
	for _, v := range inputs(c) {
		ok, err := whereTest(c, v)
		if err != nil {
			return err
		}
		if ok {
			if err := c.out.put(v); err != nil {
				return err
			}
		}
	}
	return nil
}

func whereTest(c *Call, v any) (bool, error) {
	s := c.sh
	f := c.Value("FilterScript")
	if b, ok := f.(*Block); ok {
		out, err := c.Invoke(b, v)
		return truth(collect(out)), err
	}
	x, err := s.getMember(v, s.text(f))
	if err != nil {
		return false, err
	}
	for _, n := range whereOps {
		if !c.On(n) {
			continue
		}
		op := strings.ToLower(n)
		exact := false
		if hasCase[op[1:]] && (op[0] == 'c' || op[0] == 'i') && !hasCase[op] {
			exact, op = op[0] == 'c', op[1:]
		}
		e := &binaryExpr{op: op, exact: exact}
		y := c.Value("Value")
		switch op {
		case "is", "isnot":
			t, err := s.typeArg(y)
			if err != nil {
				return false, err
			}
			return isType(x, t) == (op == "is"), nil
		}
		r, err := s.compare(e, x, y)
		return truth(r), err
	}
	return truth(x), nil
}
