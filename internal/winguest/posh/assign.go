package posh

// assignment assigns, and gives the value that the assignment itself has.
func (s *shell) assignment(st *assignStmt) (any, error) {
	_, isPipe := st.value.(*pipeStmt)
	if st.op == "=" {
		v, err := s.result(st.value)
		if err != nil {
			return nil, err
		}
		if isPipe {
			s.at = st.span
		}
		return s.assignTo(st.target, v)
	}
	return s.change(st.target, func(old any) (any, error) { // old is read before the right side
		v, err := s.value(st.value)
		if err != nil {
			return nil, err
		}
		if isPipe {
			s.at = st.span
		}
		return s.arith(st.op[:1], old, v)
	})
}

// change assigns what f makes of a target's value. What stands in the target is
// evaluated once.
func (s *shell) change(target expr, f func(old any) (any, error)) (any, error) {
	switch t := target.(type) {
	case *parenExpr:
		return s.change(t.body.(*pipeStmt).elems[0].e, f)
	case *indexExpr:
		x, i, err := s.both(t.x, t.i)
		if err != nil {
			return nil, err
		}
		old, err := s.indexOf(x, i)
		if err != nil {
			return nil, err
		}
		v, err := f(old)
		if err != nil {
			return nil, err
		}
		return v, s.storeAt(x, i, v)
	case *memberExpr:
		if t.static {
			break
		}
		x, name, err := s.both(t.x, t.name)
		if err != nil {
			return nil, err
		}
		old, err := s.getNamed(x, name)
		if err != nil {
			return nil, err
		}
		v, err := f(plainOf(old))
		if err != nil {
			return nil, err
		}
		return v, s.setNamed(x, name, v)
	}
	old, err := s.plain(target)
	if err != nil {
		return nil, err
	}
	v, err := f(old)
	if err != nil {
		return nil, err
	}
	return s.assignTo(target, v)
}

// both are the values of two expressions, in their order.
func (s *shell) both(x, y expr) (a, b any, err error) {
	if a, err = s.plain(x); err == nil {
		b, err = s.plain(y)
	}
	return a, b, err
}

// plainOf is a value with nothing instead of void.
func plainOf(v any) any {
	if _, none := v.(void); none {
		return nil
	}
	return v
}

// assignTo gives the value that the target has then.
func (s *shell) assignTo(target expr, v any) (any, error) {
	t, ok := target.(*varExpr)
	if ok {
		return s.assignVar(t, v, nil)
	}
	v = plainOf(v)
	switch t := target.(type) {
	case *castExpr:
		x, ok := t.x.(*varExpr)
		if !ok {
			y, err := s.cast(v, t.typ)
			if err != nil {
				return nil, err
			}
			return s.assignTo(t.x, y)
		}
		typ, err := s.resolve(t.typ)
		if err != nil {
			return nil, err
		}
		return s.assignVar(x, v, typ)
	case *memberExpr:
		return v, s.assignMember(t, v)
	case *indexExpr:
		return v, s.assignIndex(t, v)
	case *parenExpr:
		return s.assignTo(t.body.(*pipeStmt).elems[0].e, v)
	case *listExpr:
		return s.assignParts(t, v)
	}
	return nil, s.refuse("an assignment to this")
}

// assignParts gives each target of a list one element, and the last one the rest.
func (s *shell) assignParts(t *listExpr, v any) (any, error) {
	e := elements(v)
	parts := make([]any, len(t.items))
	for i, x := range t.items {
		switch {
		case i < len(t.items)-1 && i < len(e):
			parts[i] = e[i]
		case i == len(t.items)-1 && i < len(e):
			parts[i] = collect(append([]any(nil), e[i:]...))
		}
		if _, err := s.assignTo(x, parts[i]); err != nil {
			return nil, err
		}
	}
	return &Array{Elem: parts}, nil
}

// step1 does ++ and --, and gives the old value or the new one.
func (s *shell) step1(e *stepExpr) (any, error) {
	var old any
	v, err := s.change(e.x, func(was any) (any, error) {
		if old = was; old == nil {
			old = int32(0)
		}
		if !isNumber(old) {
			return nil, &Error{ID: "OperatorRequiresNumber", Category: "InvalidOperation", Target: old,
				Message: "The operator '" + map[int]string{1: "++", -1: "--"}[e.by] + "' works only on numbers. The operand is a '" + typeNameOf(old) + "'."}
		}
		return s.arith("+", old, int32(e.by))
	})
	if err != nil || e.prefix {
		return v, err
	}
	return old, nil
}

func (s *shell) assignIndex(e *indexExpr, v any) error {
	x, i, err := s.both(e.x, e.i)
	if err != nil {
		return err
	}
	return s.storeAt(x, i, v)
}

// storeAt is x[i] = v.
func (s *shell) storeAt(x, i, v any) error {
	out := func() error {
		return &Error{ID: "System.IndexOutOfRangeException", Exception: "System.IndexOutOfRangeException", Category: "OperationStopped", Message: "Index was outside the bounds of the array."}
	}
	switch a := x.(type) {
	case *Hash:
		if n, isInt := i.(int32); isInt && a.Ordered {
			if _, there := a.Get(i); !there {
				if k := a.Keys(); int(n) < len(k) && n >= 0 {
					a.Set(k[n], v)
					return nil
				}
				return out()
			}
		}
		if i == nil {
			return &Error{ID: "NullArrayIndex", Category: "InvalidOperation", Message: "Index operation failed; the array index evaluated to null."}
		}
		a.Set(i, v)
		return nil
	case *Array, *List, []byte:
		n32, err := s.toInt32(i)
		if err != nil {
			return err
		}
		n := int(n32)
		l := lengthOf(a)
		if n < 0 {
			n += l
		}
		if n < 0 || n >= l {
			return out()
		}
		switch a := a.(type) {
		case *Array:
			if a.Type != "" {
				if v, err = s.cast(v, &typeName{name: a.Type}); err != nil {
					return err
				}
			}
			a.Elem[n] = v
		case *List:
			a.Elem[n] = v
		case []byte:
			b, err := toInt(v, "System.Byte", 0, 255)
			if err != nil {
				return err
			}
			a[n] = byte(b)
		}
		return nil
	case nil:
		return &Error{ID: "NullArray", Category: "InvalidOperation", Message: "Cannot index into a null array."}
	}
	return &Error{ID: "CannotIndex", Category: "InvalidOperation", Message: "Unable to index into an object of type " + typeNameOf(x) + "."}
}

func lengthOf(v any) int {
	switch v := v.(type) {
	case *Array:
		return len(v.Elem)
	case *List:
		return len(v.Elem)
	case []byte:
		return len(v)
	case *Hash:
		return v.Len()
	}
	return 1
}
