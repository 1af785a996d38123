package posh

import (
	"strings"
)

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
