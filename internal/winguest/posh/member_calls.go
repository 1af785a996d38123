package posh

import (
	"strings"
)

func (s *shell) forEachMethod(x any, a []any) (any, bool, error) {
	out := &List{typ: "System.Collections.ObjectModel.Collection`1[System.Management.Automation.PSObject]"}
	for _, e := range elements(x) {
		switch f := a[0].(type) {
		case *Block:
			r, err := s.invokeBlock(f, e, a[1:])
			if err != nil {
				return nil, true, err
			}
			out.Elem = append(out.Elem, r...)
		case *Type:
			v, err := s.castTo(e, f)
			if err != nil {
				return nil, true, err
			}
			out.Elem = append(out.Elem, v)
		default:
			name := s.text(f)
			v, ok, err := s.get(e, strings.ToLower(name))
			switch {
			case err == nil && ok && len(a) > 1:
				err = s.refuse("ForEach() that sets a property")
			case err == nil && !ok:
				v, err = s.callMember(e, name, a[1:])
			}
			if err != nil {
				return nil, true, err
			}
			if _, none := v.(void); !none {
				out.Elem = append(out.Elem, v)
			}
		}
	}
	return out, true, nil
}

func (s *shell) whereMethod(x any, a []any) (any, bool, error) {
	b, ok := a[0].(*Block)
	if !ok || len(a) > 1 {
		return nil, true, s.refuse("Where() of this form")
	}
	out := &List{typ: "System.Collections.ObjectModel.Collection`1[System.Management.Automation.PSObject]"}
	for _, e := range elements(x) {
		r, err := s.invokeBlock(b, e, nil)
		if err != nil {
			return nil, true, err
		}
		if truth(collect(r)) {
			out.Elem = append(out.Elem, e)
		}
	}
	return out, true, nil
}

func (s *shell) hashCall(h *Hash, k string, a []any) (any, bool, error) {
	switch {
	case (k == "containskey" || k == "contains") && len(a) == 1:
		_, ok := h.Get(a[0])
		return ok, true, nil
	case k == "containsvalue" && len(a) == 1:
		for _, v := range h.Values() {
			if s.equal(v, a[0], true) {
				return true, true, nil
			}
		}
		return false, true, nil
	case k == "add" && len(a) == 2:
		if _, there := h.Get(a[0]); there {
			if h.generic() {
				return nil, true, dotnet("System.ArgumentException", "An item with the same key has already been added.")
			}
			return nil, true, dotnet("System.ArgumentException", "Item has already been added. Key in dictionary: '%s'  Key being added: '%s'", s.text(a[0]), s.text(a[0]))
		}
		h.Set(a[0], a[1])
		return void{}, true, nil
	case k == "remove" && len(a) == 1:
		_, there := h.Get(a[0])
		h.Delete(a[0])
		if h.generic() {
			return there, true, nil
		}
		return void{}, true, nil
	case k == "clear" && len(a) == 0:
		h.Clear()
		return void{}, true, nil
	case k == "clone" && len(a) == 0:
		c := &Hash{Ordered: h.Ordered, exact: h.exact, typ: h.typ, index: map[any]int{}}
		h.Each(func(k, v any) bool { c.Set(k, v); return true })
		return c, true, nil
	case k == "getenumerator" && len(a) == 0:
		e := newEnumerator(h.entries())
		e.same = unchanged(h)
		return e, true, nil
	case (k == "item" || k == "get_item") && len(a) == 1:
		v, _ := h.Get(a[0])
		return v, true, nil
	case k == "set_item" && len(a) == 2:
		h.Set(a[0], a[1])
		return void{}, true, nil
	case k == "trygetvalue":
		return nil, true, s.refuse("TryGetValue, as it needs [ref]")
	}
	return nil, false, nil
}

func (h *Hash) entries() []any {
	var out []any
	h.Each(func(k, v any) bool {
		o := NewObject("System.Collections.DictionaryEntry").Set("Name", k).Set("Key", k).Set("Value", v)
		o.Show = []string{"Name", "Value"}
		out = append(out, o)
		return true
	})
	return out
}

func (s *shell) blockCall(b *Block, k string, a []any) (any, bool, error) {
	switch k {
	case "invoke", "invokereturnasis":
		out, err := s.outputs(func(p *port) error {
			acts := make([]actual, len(a))
			for i, v := range a {
				acts[i] = actual{value: v}
			}
			t := &blockStage{s: s, b: b, args: acts, out: p}
			if err := t.begin(); err != nil {
				return err
			}
			if err := t.alone(); err != nil {
				return err
			}
			return t.end()
		})
		if k == "invokereturnasis" {
			return collect(out), true, err
		}
		return &List{Elem: out, typ: "System.Collections.ObjectModel.Collection`1[System.Management.Automation.PSObject]"}, true, err
	case "getnewclosure":
		sc := newScope(s.global)
		for x := s.scope; x != nil; x = x.parent {
			for k, v := range x.vars {
				if _, ok := sc.vars[k]; !ok && (x != s.global || !v.constant && v.live == nil) {
					cp := *v
					sc.vars[k] = &cp
				}
			}
		}
		return &Block{ast: b.ast, scope: sc}, true, nil
	}
	return nil, false, nil
}

func (s *shell) arrayCall(x any, k string, a []any) (any, bool, error) {
	switch {
	case k == "contains" && len(a) == 1:
		for _, v := range elements(x) {
			if s.equal(v, a[0], true) {
				return true, true, nil
			}
		}
		return false, true, nil
	case k == "indexof" && len(a) == 1:
		for i, v := range elements(x) {
			if s.equal(v, a[0], true) {
				return int32(i), true, nil
			}
		}
		return int32(-1), true, nil
	case k == "clone" && len(a) == 0:
		switch v := x.(type) {
		case []byte:
			return append([]byte(nil), v...), true, nil
		case *Array:
			return &Array{Elem: append([]any(nil), v.Elem...), Type: v.Type}, true, nil
		}
	case k == "getenumerator" && len(a) == 0:
		e, _ := list(x)
		return newEnumerator(e), true, nil
	case (k == "getvalue" || k == "get") && len(a) == 1:
		v, _, err := s.pick(x, a[0])
		return v, true, err
	case k == "setvalue" && len(a) == 2:
		n, err := s.toInt32(a[1])
		if err != nil {
			return nil, true, err
		}
		if arr, ok := x.(*Array); ok && n >= 0 && int(n) < len(arr.Elem) {
			arr.Elem[n] = a[0]
			return void{}, true, nil
		}
	case k == "getlength" || k == "getlowerbound" || k == "getupperbound":
		n := lengthOf(x)
		switch k {
		case "getlowerbound":
			n = 0
		case "getupperbound":
			n--
		}
		return int32(n), true, nil
	case k == "copyto" && len(a) == 2:
		dst, ok := a[0].([]byte)
		src, ok2 := x.([]byte)
		n, err := s.toInt32(a[1])
		if err != nil {
			return nil, true, err
		}
		if !ok || !ok2 || n < 0 || int(n)+len(src) > len(dst) {
			return nil, true, s.refuse("CopyTo of these arrays")
		}
		copy(dst[n:], src)
		return void{}, true, nil
	case k == "add" || k == "remove" || k == "insert" || k == "clear" || k == "removeat":
		return nil, true, dotnet("System.NotSupportedException", "Collection was of a fixed size.")
	}
	return nil, false, nil
}
