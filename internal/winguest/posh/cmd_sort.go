package posh

import (
	"sort"
	"strings"
)

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
