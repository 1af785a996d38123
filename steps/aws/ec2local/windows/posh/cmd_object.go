package posh

import (
	"errors"
	"sort"
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

type selectState struct {
	seen  int
	sent  int
	kept  []any
	uniq  []any
	index map[int]bool
}

func selectRun(c *Call) error {
	st, ok := c.State.(*selectState)
	if !ok {
		st = &selectState{}
		c.State = st
		if c.Has("Index") {
			st.index = map[int]bool{}
			for _, i := range c.Values("Index") {
				st.index[int(i.(int32))] = true
			}
		}
	}
	for _, v := range inputs(c) {
		i := st.seen
		st.seen++
		switch {
		case st.index != nil:
			if !st.index[i] {
				continue
			}
		case c.Has("Last") || c.Has("SkipLast"):
			st.kept = append(st.kept, v)
			continue
		case i < c.Int("Skip"):
			continue
		case c.Has("First") && st.sent >= c.Int("First"):
			return &stopErr{}
		}
		st.sent++
		if err := selectOne(c, st, v); err != nil {
			return err
		}
		if c.Has("First") && st.sent >= c.Int("First") && c.piped && !c.On("Wait") && !c.Has("Last") {
			return &stopErr{}
		}
	}
	return nil
}

func selectEnd(c *Call) error {
	st, ok := c.State.(*selectState)
	if !ok {
		return nil
	}
	k := st.kept
	switch {
	case c.Has("SkipLast"):
		k = k[:max(0, len(k)-c.Int("SkipLast"))]
	case c.Has("Last") && c.Has("First"):
		f, l := c.Int("First"), c.Int("Last")
		if f+l < len(k) {
			k = append(append([]any{}, k[:f]...), k[len(k)-l:]...)
		}
	case c.Has("Last"):
		k = k[:max(0, len(k)-c.Int("Skip"))]
		k = k[max(0, len(k)-c.Int("Last")):]
	}
	for _, v := range k {
		if err := selectOne(c, st, v); err != nil {
			return err
		}
	}
	return nil
}

func selectOne(c *Call, st *selectState, v any) error {
	s := c.sh
	out, err := s.project(c, v)
	if err != nil {
		return err
	}
	if c.On("Unique") {
		for _, u := range st.uniq {
			if s.sameProjected(u, out) {
				return nil
			}
		}
		st.uniq = append(st.uniq, out)
	}
	if c.Has("ExpandProperty") {
		x, ok, err := s.get(v, c.Str("ExpandProperty"))
		if err != nil {
			return err
		}
		if !ok {
			return c.Error(&Error{ID: "ExpandPropertyNotFound", Category: "InvalidArgument", Message: "Property \"" + c.Str("ExpandProperty") + "\" cannot be found."})
		}
		return emit(x, c.out)
	}
	return c.out.put(out)
}

func (s *shell) sameProjected(a, b any) bool {
	x, ok1 := a.(*Object)
	y, ok2 := b.(*Object)
	if !ok1 || !ok2 {
		return s.equal(a, b, true)
	}
	n := x.Names()
	if len(n) != len(y.Names()) {
		return false
	}
	for _, k := range n {
		p, _ := x.Get(k)
		q, ok := y.Get(k)
		if !ok || !s.equal(p, q, true) {
			return false
		}
	}
	return true
}

// project is Select-Object -Property.
func (s *shell) project(c *Call, v any) (any, error) {
	if !c.Has("Property") || c.Has("ExpandProperty") {
		return v, nil
	}
	o := &Object{}
	for _, p := range elements(c.Value("Property")) {
		switch x := p.(type) {
		case *Hash:
			name, b, err := s.calculated(x)
			if err != nil {
				return nil, err
			}
			if b != nil {
				out, err := s.invokeBlock(b, v, nil)
				if err != nil {
					if s.passes(err) {
						return nil, err
					}
					out = nil
				}
				o.Set(name, collect(out))
			}
		case *Block:
			out, err := s.invokeBlock(x, v, nil)
			if err != nil {
				return nil, err
			}
			o.Set(strings.TrimSpace(x.text()), collect(out))
		default:
			for _, n := range s.expandNames(v, s.text(p)) {
				val, _, err := s.get(v, n)
				if err != nil {
					return nil, err
				}
				o.Set(s.properName(v, n), val)
			}
		}
	}
	for _, n := range c.Strs("ExcludeProperty") {
		for _, have := range o.Names() {
			if s.like(have, n, false) {
				o.Delete(have)
			}
		}
	}
	return o, nil
}

// properName is a property's name as the object spells it.
func (s *shell) properName(v any, name string) string {
	for _, n := range s.propertyNames(v) {
		if strings.EqualFold(n, name) {
			return n
		}
	}
	return name
}

// sortValues sorts in place by the natural order.
func (s *shell) sortValues(v []any) error {
	var bad error
	sort.SliceStable(v, func(i, j int) bool {
		c, err := s.sortOrder(v[i], v[j], false)
		if err != nil && bad == nil {
			bad = err
		}
		return c < 0
	})
	return bad
}

func (s *shell) sortOrder(a, b any, exact bool) (int, error) {
	if a == nil || b == nil {
		return int(boolInt(a != nil) - boolInt(b != nil)), nil
	}
	c, err := s.order(a, b, exact)
	if err != nil && !s.passes(err) {
		return compareText(s.text(a), s.text(b), exact), nil
	}
	return c, err
}

type sortKey struct {
	block *Block
	name  string
	down  bool
}

func (c *Call) sortKeys() ([]sortKey, error) {
	var out []sortKey
	for _, p := range elements(c.Value("Property")) {
		k := sortKey{down: c.On("Descending")}
		switch x := p.(type) {
		case *Block:
			k.block = x
		case *Hash:
			for _, n := range x.Keys() {
				v, _ := x.Get(n)
				switch name := strings.ToLower(c.sh.text(n)); {
				case strings.HasPrefix("expression", name):
					if b, ok := v.(*Block); ok {
						k.block = b
					} else {
						k.name = c.sh.text(v)
					}
				case strings.HasPrefix("descending", name):
					k.down = truth(v)
				case strings.HasPrefix("ascending", name):
					k.down = !truth(v)
				}
			}
		default:
			k.name = c.sh.text(p)
		}
		out = append(out, k)
	}
	return out, nil
}

// keyValues computes what to sort or group by.
func (c *Call) keyValues(v any, keys []sortKey) ([]any, error) {
	out := make([]any, len(keys))
	for i, k := range keys {
		if k.block != nil {
			r, err := c.Invoke(k.block, v)
			if err != nil {
				return nil, err
			}
			out[i] = collect(r)
			continue
		}
		x, _, err := c.sh.get(v, k.name)
		if err != nil {
			return nil, err
		}
		out[i] = x
	}
	return out, nil
}

func sortEnd(c *Call) error {
	s := c.sh
	keys, err := c.sortKeys()
	if err != nil {
		return err
	}
	type row struct {
		v   any
		key []any
	}
	var rows []row
	for _, v := range gathered(c) {
		r := row{v, []any{v}}
		if keys != nil {
			if r.key, err = c.keyValues(v, keys); err != nil {
				return err
			}
		}
		rows = append(rows, r)
	}
	cmp := func(a, b row) int {
		for i := range a.key {
			o, e := s.sortOrder(a.key[i], b.key[i], c.On("CaseSensitive"))
			if e != nil && err == nil {
				err = e
			}
			down := c.On("Descending")
			if keys != nil {
				down = keys[i].down
			}
			if down {
				o = -o
			}
			if o != 0 {
				return o
			}
		}
		return 0
	}
	sort.SliceStable(rows, func(i, j int) bool { return cmp(rows[i], rows[j]) < 0 })
	if err != nil {
		return err
	}
	for i, r := range rows {
		if c.On("Unique") && i > 0 && cmp(rows[i-1], r) == 0 {
			continue
		}
		if err := c.out.put(r.v); err != nil {
			return err
		}
	}
	return nil
}

func groupEnd(c *Call) error {
	s := c.sh
	keys, err := c.sortKeys()
	if err != nil {
		return err
	}
	type group struct {
		key  []any
		name string
		all  []any
	}
	var groups []*group
	byName := map[string]*group{}
	for _, v := range gathered(c) {
		key := []any{v}
		if keys != nil {
			if key, err = c.keyValues(v, keys); err != nil {
				return err
			}
		}
		var parts []string
		for _, k := range key {
			parts = append(parts, s.text(k))
		}
		name := strings.Join(parts, ", ")
		g := byName[foldKey(name)]
		if g == nil {
			g = &group{key: key, name: name}
			byName[foldKey(name)] = g
			groups = append(groups, g)
		}
		g.all = append(g.all, v)
	}
	if c.On("AsHashTable") {
		h := NewHash(false)
		for _, g := range groups {
			var k any = g.key[0]
			if c.On("AsString") {
				k = g.name
			}
			h.Set(k, &Array{Elem: g.all})
		}
		return c.out.put(h)
	}
	for _, g := range groups {
		o := NewObject("Microsoft.PowerShell.Commands.GroupInfo").Set("Count", len(g.all)).Set("Name", g.name)
		o.Show = []string{"Count", "Name"}
		if !c.On("NoElement") {
			o.Set("Group", &Array{Elem: g.all})
			o.Show = append(o.Show, "Group")
		}
		o.Set("Values", &Array{Elem: g.key})
		if err := c.out.put(o); err != nil {
			return err
		}
	}
	return nil
}

func measureEnd(c *Call) error {
	names := c.Strs("Property")
	if names == nil {
		names = []string{""}
	}
	for _, n := range names {
		if err := measureOne(c, n); err != nil {
			return err
		}
	}
	return nil
}

func measureOne(c *Call, name string) error {
	s := c.sh
	if c.On("Line") || c.On("Word") || c.On("Character") {
		var lines, words, chars int
		for _, v := range gathered(c) {
			t := s.text(v)
			chars += length16(t)
			words += len(strings.Fields(t))
			if t != "" {
				lines += strings.Count(strings.TrimSuffix(t, "\n"), "\n") + 1
			}
		}
		o := NewObject("Microsoft.PowerShell.Commands.TextMeasureInfo")
		for _, x := range []struct {
			n string
			v int
		}{{"Lines", lines}, {"Words", words}, {"Characters", chars}} {
			o.Set(x.n, nil)
			if c.On(strings.TrimSuffix(x.n, "s")) {
				o.Set(x.n, x.v)
			}
		}
		o.Set("Property", nil)
		return c.out.put(o)
	}
	count := 0
	var sum float64
	var lo, hi any
	for _, v := range gathered(c) {
		x := v
		if name != "" {
			y, ok, err := s.get(v, name)
			if err != nil {
				return err
			}
			if !ok || y == nil {
				continue
			}
			x = y
		}
		count++
		if c.On("Sum") || c.On("Average") {
			f, err := toFloat(x, "System.Double")
			if err != nil {
				if err := c.Error(&Error{ID: "NonNumericInputObject", Category: "InvalidType", Message: "Input object \"" + s.text(x) + "\" is not numeric.", Target: x}); err != nil {
					return err
				}
				continue
			}
			sum += f
		}
		if c.On("Minimum") || c.On("Maximum") {
			if isNumber(x) {
				f, _ := asFloat(x)
				x = f
			}
			for _, p := range []struct {
				at   *any
				sign int
			}{{&lo, -1}, {&hi, 1}} {
				if *p.at == nil {
					*p.at = x
					continue
				}
				o, err := s.sortOrder(x, *p.at, false)
				if err != nil {
					return err
				}
				if o*p.sign > 0 {
					*p.at = x
				}
			}
		}
	}
	o := NewObject("Microsoft.PowerShell.Commands.GenericMeasureInfo").Set("Count", count)
	put := func(n string, on bool, v any) {
		if !on {
			v = nil
		}
		o.Set(n, v)
	}
	var avg any
	if count > 0 {
		avg = sum / float64(count)
	}
	put("Average", c.On("Average"), avg)
	put("Sum", c.On("Sum"), sum)
	put("Maximum", c.On("Maximum"), hi)
	put("Minimum", c.On("Minimum"), lo)
	if name == "" {
		o.Set("Property", nil)
	} else {
		o.Set("Property", name)
	}
	return c.out.put(o)
}

func compareRun(c *Call) error {
	s := c.sh
	ref := append([]any{}, c.Values("ReferenceObject")...)
	show := func(v any, side string) error {
		if c.On("PassThru") {
			return c.out.put(v)
		}
		o := NewObject("").Set("InputObject", v).Set("SideIndicator", side)
		return c.out.put(o)
	}
	var extra, equal []any
	for _, d := range c.Values("DifferenceObject") {
		hit := false
		for i, r := range ref {
			if s.equal(r, d, c.On("CaseSensitive")) {
				ref = append(ref[:i:i], ref[i+1:]...)
				equal = append(equal, d)
				hit = true
				break
			}
		}
		if !hit {
			extra = append(extra, d)
		}
	}
	if c.On("IncludeEqual") {
		for _, v := range equal {
			if err := show(v, "=="); err != nil {
				return err
			}
		}
	}
	if c.On("ExcludeDifferent") {
		return nil
	}
	for _, v := range extra {
		if err := show(v, "=>"); err != nil {
			return err
		}
	}
	for _, v := range ref {
		if err := show(v, "<="); err != nil {
			return err
		}
	}
	return nil
}

func selectString(c *Call) error {
	s := c.sh
	paths := c.Strs("Path")
	literal := c.Has("LiteralPath")
	if literal {
		paths = c.Strs("LiteralPath")
	}
	if in, ok := c.Input(); ok && paths == nil {
		if f, isFile := in.(*fileItem); isFile {
			paths, literal = []string{f.path}, true
		} else {
			return selectStringIn(c, s.text(in), "InputStream", 1)
		}
	}
	if paths == nil {
		for _, v := range inputs(c) {
			if err := selectStringIn(c, s.text(v), "InputStream", 1); err != nil {
				return err
			}
		}
		return nil
	}
	for _, p := range paths {
		places, err := s.glob(p, literal)
		if err != nil {
			return err
		}
		for _, pl := range places {
			b, err := s.readAll(pl.path)
			if err != nil {
				if err := c.Error(NotFound(pl.path)); err != nil {
					return err
				}
				continue
			}
			e, rest := detect(b, encodings["utf-8"])
			for i, l := range splitLines(e.decode(rest)) {
				if err := selectStringIn(c, l, pl.path, i+1); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func selectStringIn(c *Call, text, file string, line int) error {
	s := c.sh
	hit := false
	var ms []any
	var used string
	for _, pat := range c.Strs("Pattern") {
		if c.On("SimpleMatch") {
			pat = regexQuote(pat)
		}
		p, err := s.pattern(pat, !c.On("CaseSensitive"), 0)
		if err != nil {
			return err
		}
		n := 1
		if c.On("AllMatches") {
			n = -1
		}
		for _, m := range p.re.FindAllStringSubmatchIndex(text, n) {
			hit = true
			ms = append(ms, s.matchObject(p, text, m))
		}
		if hit {
			used = pat
			break
		}
	}
	if hit == c.On("NotMatch") {
		return nil
	}
	if c.On("Quiet") {
		c.State = true
		return nil
	}
	o := NewObject("Microsoft.PowerShell.Commands.MatchInfo").Set("Line", text).Set("LineNumber", line).Set("Path", file).Set("Filename", s.leaf(file)).Set("Pattern", used).Set("Matches", &Array{Elem: ms}).Set("IgnoreCase", !c.On("CaseSensitive"))
	o.Text = func() string {
		if file == "InputStream" {
			return text
		}
		return file + ":" + toText(wrap(line)) + ":" + text
	}
	return c.out.put(o)
}

func selectStringEnd(c *Call) error {
	if !c.On("Quiet") {
		return nil
	}
	if c.State == true {
		return c.out.put(true)
	}
	if c.sh.core {
		return c.out.put(false)
	}
	return nil
}

func getMemberEnd(c *Call) error {
	s := c.sh
	seen := map[string]bool{}
	for _, v := range gathered(c) {
		t := typeNameOf(v)
		if seen[t] {
			continue
		}
		seen[t] = true
		for _, n := range s.propertyNames(v) {
			want := c.Strs("Name")
			ok := want == nil
			for _, w := range want {
				ok = ok || s.like(n, w, false)
			}
			kind := "Property"
			if _, note := v.(*Object); note {
				kind = "NoteProperty"
			}
			if m := c.Str("MemberType"); m != "" && !strings.EqualFold(m, kind) && !strings.EqualFold(m, "Properties") {
				if !strings.Contains(strings.ToLower(m), "property") {
					return s.refuse("Get-Member -MemberType %s", m)
				}
				ok = false
			}
			if !ok {
				continue
			}
			x, _, _ := s.get(v, n)
			o := NewObject("Microsoft.PowerShell.Commands.MemberDefinition").Set("Name", n).Set("MemberType", kind).Set("Definition", shortName(typeNameOf(x))+" "+n)
			o.Set("TypeName", t)
			o.Show = []string{"Name", "MemberType", "Definition"}
			if err := c.out.put(o); err != nil {
				return err
			}
		}
	}
	return nil
}

func addMember(c *Call) error {
	s := c.sh
	o, ok := c.Value("InputObject").(*Object)
	if !ok {
		return s.refuse("Add-Member on %s", typeNameOf(c.Value("InputObject")))
	}
	set := func(n string, v any) error {
		if o.find(n) != nil && !c.On("Force") {
			return c.Error(&Error{ID: "MemberAlreadyExists", Category: "InvalidOperation", Message: "Cannot add a member with the name \"" + n + "\" because a member with that name already exists."})
		}
		o.Set(n, bare(v))
		return nil
	}
	switch {
	case c.Has("NotePropertyMembers"):
		h := c.Value("NotePropertyMembers").(*Hash)
		for _, k := range h.Keys() {
			v, _ := h.Get(k)
			if err := set(s.text(k), v); err != nil {
				return err
			}
		}
	case c.Has("NotePropertyName"):
		if err := set(c.Str("NotePropertyName"), c.Value("NotePropertyValue")); err != nil {
			return err
		}
	case c.Has("MemberType") && !strings.EqualFold(c.Str("MemberType"), "NoteProperty"):
		if c.Has("Name") || c.Has("Value") {
			return s.refuse("Add-Member -MemberType %s", c.Str("MemberType"))
		}
		return s.refuse("Add-Member of this form")
	case c.Has("TypeName"):
		o.Types = append([]string{c.Str("TypeName")}, o.Types...)
	default:
		name := c.Str("Name")
		if err := set(name, c.Value("Value")); err != nil {
			return err
		}
	}
	if c.On("PassThru") {
		return c.out.put(o)
	}
	return nil
}

func newObject(c *Call) error {
	s := c.sh
	name := c.Str("TypeName")
	tn, err := parseType(name)
	if errors.Is(err, ErrOutside) {
		return err
	}
	if err != nil {
		return &Error{ID: "TypeNotFound", Category: "InvalidType", Message: "Cannot find type [" + name + "]: verify that the assembly containing this type is loaded.", Exception: "System.Management.Automation.PSArgumentException"}
	}
	t, err := s.resolve(tn)
	if err != nil {
		if s.passes(err) {
			return err
		}
		return &Error{ID: "TypeNotFound", Category: "InvalidType", Message: "Cannot find type [" + name + "]: verify that the assembly containing this type is loaded.", Exception: "System.Management.Automation.PSArgumentException"}
	}
	var args []any
	v := c.Value("ArgumentList")
	if l, ok := v.(*List); ok {
		args = l.Elem
	} else if a, ok := v.(*Array); ok {
		args = a.Elem
	} else if c.Has("ArgumentList") {
		args = []any{v}
	}
	var o any
	switch {
	case t.elem != nil:
		n, err := s.toInt32(argOr(args, 0, int32(0)))
		if err != nil {
			return err
		}
		o, err = s.newArray(t, int(n))
		if err != nil {
			return err
		}
	case t.ctor != nil:
		o, err = t.ctor(s, args)
		if err != nil {
			if s.passes(err) {
				return err
			}
			e := asError(err)
			return &Error{ID: "ConstructorInvokedThrowException", Category: "InvalidOperation", Exception: "System.Management.Automation.MethodInvocationException", inner: e,
				Message: "Exception calling \".ctor\" with \"" + toText(wrap(len(args))) + "\" argument(s): \"" + e.Message + "\""}
		}
	case t.cast != nil && len(args) == 1:
		if o, err = s.castTo(args[0], t); err != nil {
			return err
		}
	default:
		return s.refuse("New-Object %s", name)
	}
	if h, ok := c.Value("Property").(*Hash); ok {
		for _, k := range h.Keys() {
			x, _ := h.Get(k)
			if p, ok := o.(*Object); ok && p.find(s.text(k)) == nil {
				p.Set(s.text(k), x)
				continue
			}
			if err := s.setMember(o, s.text(k), x); err != nil {
				return err
			}
		}
	}
	return c.out.put(o)
}

// parseType reads a type's name as a type literal has it between its brackets.
func parseType(name string) (t *typeName, err error) {
	p := &parser{src: &source{text: []rune(name + "]")}}
	p.t = p.src.text
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(error)
			if !ok {
				panic(r)
			}
			err = e
		}
	}()
	t = p.typeInside()
	if !p.end() {
		p.unexpected()
	}
	return t, nil
}
