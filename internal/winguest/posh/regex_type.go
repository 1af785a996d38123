package posh

import "strings"

// regex is [regex].
type regex struct {
	text    string
	options int64
	p       *pattern
}

func (r *regex) typeName() string { return "System.Text.RegularExpressions.Regex" }
func (r *regex) String() string   { return r.text }

func (s *shell) newRegex(text string, options int64) (*regex, error) {
	p, err := s.pattern(text, false, options)
	if err != nil {
		return nil, err
	}
	return &regex{text, options, p}, nil
}

func (r *regex) get(s *shell, k string) (any, bool, error) {
	if k == "options" {
		return int32(r.options), true, nil
	}
	return nil, false, nil
}

func (r *regex) call(s *shell, k string, a []any) (any, bool, error) {
	if len(a) == 0 {
		return nil, false, nil
	}
	if len(a) > 1 && k != "replace" {
		return nil, false, nil
	}
	v, err := s.regexCall(r.p, k, a)
	return v, true, err
}

// regexCall does what a Regex and its static methods can.
func (s *shell) regexCall(p *pattern, k string, a []any) (any, error) {
	text := s.text(a[0])
	switch k {
	case "ismatch":
		f, err := s.first(p, text)
		return f != nil, err
	case "match":
		f, err := s.first(p, text)
		if err != nil {
			return nil, err
		}
		return s.matchObject(f), nil
	case "matches":
		out, err := s.matchObjects(p, text)
		return &List{Elem: out, typ: "System.Text.RegularExpressions.MatchCollection"}, err
	case "replace":
		if len(a) < 2 {
			return nil, dotnet("System.ArgumentNullException", "Value cannot be null. Parameter name: replacement")
		}
		count := -1
		if len(a) > 2 {
			n, err := s.toInt32(a[2])
			if err != nil {
				return nil, err
			}
			count = int(n)
		}
		if b, ok := a[1].(*Block); ok {
			return s.replaceAll(p, text, count, func(t *strings.Builder, f *found) error { return s.evaluate(t, b, f) })
		}
		return s.replaceAll(p, text, count, substitution(s.text(a[1])))
	case "split":
		out, err := s.splitAt(p, text, 0)
		return &Array{Elem: out, Type: "string"}, err
	}
	return nil, s.refuse("[regex] %s", k)
}

// evaluate writes what a script block makes of a match.
func (s *shell) evaluate(t *strings.Builder, b *Block, f *found) error {
	o := s.matchObject(f)
	out, err := s.outputs(func(to *port) error {
		st := &blockStage{s: s, b: b, args: []actual{{value: o}}, out: to}
		if err := st.begin(); err != nil {
			return err
		}
		st.sc.set("_", o)
		return st.end()
	})
	if err != nil {
		return err
	}
	t.WriteString(s.text(collect(out)))
	return nil
}

// matchObjects are all matches. An object takes a KiB or so.
func (s *shell) matchObjects(p *pattern, text string) (out []any, err error) {
	err = s.eachMatch(p, newSubject(text), func(f *found) (bool, error) {
		if len(out)<<10 > maxText {
			return false, tooBig("a collection of matches")
		}
		out = append(out, s.matchObject(f))
		return true, nil
	})
	return out, err
}

// matchObject is a Match; f is nil where nothing matched.
func (s *shell) matchObject(f *found) *Object {
	o := NewObject("System.Text.RegularExpressions.Match")
	fill := func(o *Object, from, to int, ok bool) {
		v := ""
		if ok {
			v = f.t.cut(from, to)
		}
		o.Set("Success", ok).Set("Index", int32(from)).Set("Length", int32(to-from)).Set("Value", v)
		o.Text = func() string { return v }
	}
	if f == nil {
		o.Set("Groups", &groupSet{s: s})
		fill(o, 0, 0, false)
		return o
	}
	g := &groupSet{s: s}
	for i, n := range f.p.names {
		x := NewObject("System.Text.RegularExpressions.Group").Set("Name", n)
		from, to, ok := f.span(i)
		fill(x, from, to, ok)
		x.Live("Captures", func() (any, error) {
			a := &Array{}
			if g := f.m.GroupByNumber(f.p.numbers[i]); g != nil {
				for _, c := range g.Captures {
					if len(a.Elem)<<10 > maxText {
						return nil, tooBig("a collection of captures")
					}
					y := NewObject("System.Text.RegularExpressions.Capture")
					fill(y, c.Index, c.Index+c.Length, true)
					y.Delete("Success")
					a.Elem = append(a.Elem, y)
				}
			}
			return a, nil
		}, nil)
		g.groups = append(g.groups, x)
	}
	o.Set("Groups", g).Set("Captures", NewArray(o))
	fill(o, f.from(), f.to(), true)
	o.Method("Result", func(a []any) (any, error) {
		if len(a) != 1 {
			return nil, fault("MethodCountCouldNotFindBest", "Cannot find an overload for \"Result\" and the argument count: \"%d\".", len(a))
		}
		var b strings.Builder
		err := substitution(s.text(a[0]))(&b, f)
		return b.String(), err
	})
	return o
}

// groupSet is Match.Groups: by number and by name.
type groupSet struct {
	s      *shell
	groups []*Object
}

func (g *groupSet) typeName() string { return "System.Text.RegularExpressions.GroupCollection" }

func (g *groupSet) get(s *shell, k string) (any, bool, error) {
	if k == "count" {
		return int32(len(g.groups)), true, nil
	}
	a := &Array{}
	for _, x := range g.groups {
		a.Elem = append(a.Elem, x)
	}
	return collectProperty(s, a.Elem, k)
}

func (g *groupSet) call(s *shell, k string, a []any) (any, bool, error) { return nil, false, nil }

func (g *groupSet) at(s *shell, i any) (any, error) {
	name := s.text(i)
	for _, x := range g.groups {
		if n, _ := x.Get("Name"); n == name {
			return x, nil
		}
	}
	none := NewObject("System.Text.RegularExpressions.Group").Set("Success", false).Set("Value", "")
	none.Text = func() string { return "" }
	return none, nil
}

func regexQuote(t string) string {
	var b strings.Builder
	for _, r := range t {
		switch r {
		case '\t':
			b.WriteString(`\t`)
		case '\n':
			b.WriteString(`\n`)
		case '\r':
			b.WriteString(`\r`)
		case '\f':
			b.WriteString(`\f`)
		default:
			if strings.ContainsRune(`\*+?|{[()^$.# `, r) {
				b.WriteByte('\\')
			}
			b.WriteRune(r)
		}
	}
	return b.String()
}
