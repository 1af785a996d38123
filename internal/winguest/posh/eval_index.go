package posh

func (s *shell) index(e *indexExpr) (any, error) {
	x, err := s.plain(e.x)
	if err != nil {
		return nil, err
	}
	i, err := s.plain(e.i)
	if err != nil {
		return nil, err
	}
	return s.indexOf(x, i)
}

func (s *shell) indexOf(x, i any) (any, error) {
	if x == nil {
		return nil, &Error{ID: "NullArray", Category: "InvalidOperation", Message: "Cannot index into a null array."}
	}
	if h, ok := x.(*Hash); ok {
		if n, isInt := i.(int32); isInt && h.Ordered {
			if v := h.Values(); int(n) < len(v) && n >= 0 {
				return v[n], nil
			}
			return nil, nil
		}
		if keys, ok := list(i); ok {
			out := &Array{}
			for _, k := range keys {
				v, _ := h.Get(k)
				out.Elem = append(out.Elem, v)
			}
			return out, nil
		}
		if i == nil {
			return nil, &Error{ID: "NullArrayIndex", Category: "InvalidOperation", Message: "Index operation failed; the array index evaluated to null."}
		}
		v, _ := h.Get(i)
		return v, nil
	}
	if ix, ok := x.(indexed); ok {
		return ix.at(s, i)
	}
	if many, ok := list(i); ok {
		out := &Array{}
		for _, k := range many {
			v, ok, err := s.pick(x, k)
			if err != nil {
				return nil, err
			}
			if ok {
				out.Elem = append(out.Elem, v)
			}
		}
		return out, nil
	}
	if i == nil {
		return nil, &Error{ID: "NullArrayIndex", Category: "InvalidOperation", Message: "Index operation failed; the array index evaluated to null."}
	}
	v, ok, err := s.pick(x, i)
	if err == nil && !ok && s.strict() >= 3 {
		err = &Error{ID: "System.IndexOutOfRangeException", Exception: "System.IndexOutOfRangeException", Message: "Index was outside the bounds of the array."}
	}
	return v, err
}

// pick is one element of an array or a string; ok is false outside of it.
func (s *shell) pick(x, i any) (v any, ok bool, err error) {
	n32, err := s.toInt32(i)
	if err != nil {
		return nil, false, err
	}
	n := int(n32)
	if b, isBytes := x.([]byte); isBytes {
		if n < 0 {
			n += len(b)
		}
		if n < 0 || n >= len(b) {
			return nil, false, nil
		}
		return b[n], true, nil
	}
	if str, isText := x.(string); isText {
		if ascii(str) {
			if n < 0 {
				n += len(str)
			}
			if n < 0 || n >= len(str) {
				return nil, false, nil
			}
			return Char(str[n]), true, nil
		}
		u := units(str)
		if n < 0 {
			n += len(u)
		}
		if n < 0 || n >= len(u) {
			return nil, false, nil
		}
		return Char(u[n]), true, nil
	}
	l, isList := list(x)
	if a, ok := x.(*Array); ok && a.of != nil {
		isList = false
	}
	if !isList { // a single object is taken for an array of one
		if n == 0 || n == -1 {
			return x, true, nil
		}
		return nil, false, &Error{ID: "CannotIndex", Category: "InvalidOperation", Message: "Unable to index into an object of type " + typeNameOf(x) + "."}
	}
	if n < 0 {
		n += len(l)
	}
	if n < 0 || n >= len(l) {
		return nil, false, nil
	}
	return l[n], true, nil
}
