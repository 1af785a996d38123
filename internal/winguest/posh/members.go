package posh

import (
	"fmt"
	"strings"
	"time"
)

// instance is an object of .NET with its own members.
type instance interface {
	typeName() string
	// get reads a property; ok is false when there is none of that name (in
	// lower case).
	get(s *shell, name string) (v any, ok bool, err error)
	// call calls a method; ok is false when there is none.
	call(s *shell, name string, a []any) (v any, ok bool, err error)
}

type settable interface {
	set(s *shell, name string, v any) (ok bool, err error)
}

type indexed interface {
	at(s *shell, i any) (any, error)
}

// member reads a property or calls a method.
func (s *shell) member(e *memberExpr) (any, error) {
	var x any
	var err error
	if te, ok := e.x.(*typeExpr); ok && e.static {
		t, err := s.resolve(te.typ)
		if err != nil {
			return nil, err
		}
		x = t
	} else if x, err = s.plain(e.x); err != nil {
		return nil, err
	}
	nv, err := s.plain(e.name)
	if err != nil {
		return nil, err
	}
	if t, ok := nv.(*Block); ok {
		return nil, s.refuse("a member that is a script block: %s", t.text())
	}
	if !e.call && !e.static {
		return s.getNamed(x, nv)
	}
	name := s.text(nv)
	if !e.call {
		return s.staticGet(x, name)
	}
	args := make([]any, len(e.args))
	for i, a := range e.args {
		if args[i], err = s.plain(a); err != nil {
			return nil, err
		}
	}
	s.at = e.span
	if e.static {
		return s.staticCall(x, name, args)
	}
	return s.callMember(x, name, args)
}

func (s *shell) staticType(x any) (*Type, error) {
	if t, ok := x.(*Type); ok {
		return t, nil
	}
	if x == nil {
		return nil, &Error{ID: "InvokeMethodOnNull", Category: "InvalidOperation", Message: "You cannot call a method on a null-valued expression."}
	}
	return typeOf(x), nil
}

func (s *shell) staticGet(x any, name string) (any, error) {
	t, err := s.staticType(x)
	if err != nil {
		return nil, err
	}
	if f, ok := t.props[strings.ToLower(name)]; ok {
		return f(s)
	}
	for _, n := range t.enum {
		if strings.EqualFold(n.name, name) {
			return enumVal{t, n.n}, nil
		}
	}
	if s.strict() >= 2 {
		return nil, &Error{ID: "PropertyNotFoundStrict", Category: "NotSpecified", Message: "The property '" + name + "' cannot be found on this object. Verify that the property exists."}
	}
	if t.partial(name) {
		return nil, s.refuse("[%s]::%s", t.name, name)
	}
	return nil, nil
}

// partial tells whether a missing member may be one that the real type has: then
// using it is refused. The types of which all members are known are the plain ones.
func (t *Type) partial(name string) bool {
	switch t.name {
	case "System.Int32", "System.Int64", "System.String", "System.Boolean", "System.Byte", "System.Double":
		return false
	}
	return t.enum == nil
}

func (s *shell) staticCall(x any, name string, a []any) (any, error) {
	t, err := s.staticType(x)
	if err != nil {
		return nil, err
	}
	k := strings.ToLower(name)
	if f, ok := t.funcs[k]; ok {
		v, err := f(s, a)
		return v, s.methodFault(err, name, a)
	}
	switch {
	case k == "new" && t.elem != nil:
		n, err := s.toInt32(argOr(a, 0, int32(0)))
		if err != nil {
			return nil, err
		}
		return s.newArray(t, int(n))
	case k == "new" && t.ctor != nil:
		v, err := t.ctor(s, a)
		return v, s.methodFault(err, ".ctor", a)
	case (k == "parse" || k == "tryparse") && t.enum != nil:
		return nil, s.refuse("[%s]::%s", t.name, name)
	case k == "equals" && len(a) == 2:
		return s.equal(a[0], a[1], true), nil
	}
	if t.partial(name) {
		return nil, s.refuse("[%s]::%s()", t.name, name)
	}
	return nil, &Error{ID: "MethodNotFound", Category: "InvalidOperation", Message: fmt.Sprintf("Method invocation failed because [%s] does not contain a method named '%s'.", t.name, name)}
}

func argOr(a []any, i int, def any) any {
	if i < len(a) {
		return a[i]
	}
	return def
}

func (s *shell) newArray(t *Type, n int) (any, error) {
	if n < 0 || n*8 > maxText {
		return nil, tooBig("an array")
	}
	if t.elem.name == "System.Byte" {
		return make([]byte, n), nil
	}
	a := &Array{Elem: make([]any, n), Type: t.elem.name}
	if t.elem.name == "System.Object" {
		a.Type = ""
	}
	var zero any
	switch t.elem.name {
	case "System.Int32":
		zero = int32(0)
	case "System.Int64":
		zero = int64(0)
	case "System.Char":
		zero = Char(0)
	case "System.Boolean":
		zero = false
	case "System.Double":
		zero = float64(0)
	}
	for i := range a.Elem {
		a.Elem[i] = zero
	}
	return a, nil
}

// methodFault wraps what a .NET method throws, as PowerShell does.
func (s *shell) methodFault(err error, name string, a []any) error {
	if err == nil || s.passes(err) {
		return err
	}
	if is[*thrown](err) {
		return err
	}
	e := asError(err)
	if e.Exception == "" || e.ID == "MethodCountCouldNotFindBest" || e.ID == "MethodArgumentConversionInvalidCastArgument" {
		return e
	}
	return &Error{ID: e.Exception[strings.LastIndexByte(e.Exception, '.')+1:], Exception: "System.Management.Automation.MethodInvocationException", Category: "NotSpecified",
		Message: fmt.Sprintf("Exception calling \"%s\" with \"%d\" argument(s): \"%s\"", name, len(a), e.Message), inner: e}
}

// get finds a property; ok is false when there is none.
func (s *shell) get(x any, name string) (v any, ok bool, err error) {
	k := strings.ToLower(name)
	switch x := x.(type) {
	case nil:
		return nil, false, nil
	case *Object:
		if p := x.find(name); p != nil {
			if p.get != nil {
				v, err := p.get()
				return wrap(v), true, err
			}
			return wrap(p.value), true, nil
		}
	case *Hash:
		if v, ok := x.Get(name); ok {
			return v, true, nil
		}
	case string:
		if k == "length" {
			return int32(length16(x)), true, nil
		}
	case instance:
		if v, ok, err := x.get(s, k); ok || err != nil {
			return wrap(v), true, err
		}
	}
	return s.commonGet(x, k)
}

// commonGet are the properties that values of several types have.
func (s *shell) commonGet(x any, k string) (any, bool, error) {
	switch v := x.(type) {
	case *Array, *List, []byte:
		if k == "length" || k == "count" || k == "longlength" {
			if _, isList := v.(*List); !isList || k == "count" {
				return int32(lengthOf(v)), true, nil
			}
		}
		switch k {
		case "rank":
			return int32(1), true, nil
		case "isreadonly", "issynchronized":
			return false, true, nil
		case "isfixedsize":
			_, isList := v.(*List)
			return !isList, true, nil
		}
	case *Hash:
		switch k {
		case "count":
			return int32(v.Len()), true, nil
		case "keys":
			return &Array{Elem: v.Keys(), of: v}, true, nil
		case "values":
			return &Array{Elem: v.Values(), of: v}, true, nil
		case "isreadonly", "isfixedsize", "issynchronized":
			return false, true, nil
		}
	case time.Time:
		return s.timeGet(v, k)
	case time.Duration:
		return s.spanGet(v, k)
	case *Block:
		switch k {
		case "ast":
			return nil, true, s.refuse("the syntax tree of a script block")
		case "file":
			return v.ast.src.file, true, nil
		}
	case *exception:
		switch k {
		case "message":
			return v.msg, true, nil
		case "innerexception":
			if v.inner == nil {
				return nil, true, nil
			}
			return v.inner, true, nil
		case "hresult":
			n, ok := v.hresult()
			if !ok {
				return nil, true, s.refuse("HResult of %s", v.typ)
			}
			return n, true, nil
		case "stacktrace", "source", "helplink", "targetsite":
			return nil, true, nil
		case "errorrecord":
			return &errorRecord{exc: v, id: v.typ[strings.LastIndexByte(v.typ, '.')+1:]}, true, nil
		case "data":
			return NewHash(false), true, nil
		}
		if y, ok := v.data[k]; ok {
			return y, true, nil
		}
		if hasMember(v.typ, k) {
			return nil, true, s.refuse("the property %s of %s", k, v.typ)
		}
	case *errorRecord:
		return s.recordGet(v, k)
	case *messageRecord:
		switch k {
		case "message":
			return v.msg, true, nil
		case "messagedata":
			return v.data, true, nil
		case "tags":
			return &Array{Elem: v.tags}, true, nil
		}
	case bool: // of a switch parameter, which is one here
		if k == "ispresent" {
			return v, true, nil
		}
	case *Type:
		switch k {
		case "name":
			return v.short(), true, nil
		case "fullname":
			return v.name, true, nil
		case "namespace":
			return v.name[:max(0, strings.LastIndexByte(v.name, '.'))], true, nil
		case "isarray":
			return v.elem != nil, true, nil
		case "isenum":
			return v.enum != nil, true, nil
		case "basetype":
			if up, ok := exceptionParents[v.name]; ok {
				return exceptionType(up), true, nil
			}
			return nil, true, s.refuse("BaseType of [%s]", v.name)
		}
	case *commandInfo:
		return s.commandGet(v, k)
	case enumVal:
		if k == "value__" {
			return int32(v.n), true, nil
		}
	}
	switch k {
	case "psobject":
		if x != nil {
			return &psObject{x}, true, nil
		}
	case "pstypenames":
		a := &Array{}
		if o, ok := x.(*Object); ok {
			for _, t := range o.Types {
				a.Elem = append(a.Elem, t)
			}
		} else {
			a.Elem = append(a.Elem, typeNameOf(x))
		}
		return a, true, nil
	}
	return nil, false, nil
}

func (s *shell) setNamed(x, name, v any) error {
	if h, ok := x.(*Hash); ok && name != nil {
		h.Set(name, v)
		return nil
	}
	return s.setMember(x, s.text(name), v)
}

// getMember is x.name: of a collection that has no such property it is the
// property of all its elements.
func (s *shell) getMember(x any, name string) (any, error) {
	if e, ok := x.(*enumerator); ok {
		if v, ok, err := e.get(s, strings.ToLower(name)); ok || err != nil {
			return v, err
		}
	}
	v, ok, err := s.get(x, name)
	if ok || err != nil {
		return v, err
	}
	if l, isList := list(x); isList && x != nil {
		out := []any{}
		found := false
		for _, e := range l {
			v, ok, err := s.get(e, name)
			if err != nil {
				return nil, err
			}
			if !ok {
				if inner, nested := list(e); nested {
					v, err := s.getMember(e, name)
					if err != nil {
						return nil, err
					}
					if v != nil && len(inner) > 0 {
						out, found = append(out, elements(v)...), true
					}
				}
				continue
			}
			found = true
			if more, isList := list(v); isList {
				out = append(out, more...)
			} else {
				out = append(out, v)
			}
		}
		if found {
			return collect(out), nil
		}
	}
	if l, isList := list(x); isList && len(l) > 0 && incomplete(l[0]) {
		return nil, s.refuse("the property %s of %s", name, typeNameOf(l[0]))
	}
	switch strings.ToLower(name) {
	case "count", "length": // of a single object
		if s.strict() < 2 {
			if x == nil {
				return int32(0), nil
			}
			return int32(1), nil
		}
	}
	if incomplete(x) {
		return nil, s.refuse("the property %s of %s", name, typeNameOf(x))
	}
	if s.strict() >= 2 {
		return nil, &Error{ID: "PropertyNotFoundStrict", Message: "The property '" + name + "' cannot be found on this object. Verify that the property exists."}
	}
	return nil, nil
}

// incomplete tells objects of which the real type may have more members than are
// here: that one is missing does not mean that it does not exist.
func incomplete(x any) bool {
	switch v := x.(type) {
	case *psObject, *enumerator, *List:
		return false
	case *Object:
		return len(v.Types) > 0 && v.Types[0] != customObject && v.Types[0] != "System.Collections.DictionaryEntry" && !v.Complete
	case instance:
		return strings.HasPrefix(v.typeName(), "System.")
	}
	return false
}

func (s *shell) assignMember(e *memberExpr, v any) error {
	nv, err := s.plain(e.name)
	if err != nil {
		return err
	}
	if name := s.text(nv); e.static {
		x, err := s.plain(e.x)
		if err != nil {
			return err
		}
		t, err := s.staticType(x)
		if err != nil {
			return err
		}
		if f, ok := t.sets[strings.ToLower(name)]; ok {
			return f(s, v)
		}
		return s.refuse("[%s]::%s = …", t.name, name)
	}
	x, err := s.plain(e.x)
	if err != nil {
		return err
	}
	return s.setNamed(x, nv, v)
}

func (s *shell) setMember(x any, name string, v any) error {
	switch x := x.(type) {
	case *Hash:
		x.Set(name, v)
		return nil
	case *Object:
		if p := x.find(name); p != nil {
			if p.set != nil {
				return p.set(v)
			}
			if p.get == nil {
				p.value = v
				return nil
			}
			return &Error{ID: "PropertyAssignmentException", Message: "'" + name + "' is a ReadOnly property.", Category: "InvalidOperation"}
		}
	case settable:
		ok, err := x.set(s, strings.ToLower(name), v)
		if ok || err != nil {
			return err
		}
		return s.refuse("the property %s of %s = …", name, typeNameOf(x))
	case nil:
		return &Error{ID: "PropertyNotFound", Category: "InvalidOperation", Message: "The property '" + name + "' cannot be found on this object. Verify that the property exists and can be set."}
	}
	return &Error{ID: "PropertyNotFound", Category: "InvalidOperation", Message: "The property '" + name + "' cannot be found on this object. Verify that the property exists and can be set."}
}

// callMember calls a method of an object.
func (s *shell) callMember(x any, name string, a []any) (any, error) {
	if x == nil {
		return nil, &Error{ID: "InvokeMethodOnNull", Category: "InvalidOperation", Message: "You cannot call a method on a null-valued expression."}
	}
	k := strings.ToLower(name)
	v, ok, err := s.invoke(x, k, a)
	if ok || err != nil {
		return v, s.methodFault(err, name, a)
	}
	if l, isList := list(x); isList && len(l) > 0 {
		if _, isEnum := x.(*enumerator); !isEnum {
			out := []any{}
			all := true
			for _, e := range l {
				if e == nil {
					return nil, &Error{ID: "InvokeMethodOnNull", Category: "InvalidOperation", Message: "You cannot call a method on a null-valued expression."}
				}
				v, ok, err := s.invoke(e, k, a)
				if err != nil {
					return nil, s.methodFault(err, name, a)
				}
				if !ok {
					all = false
					break
				}
				if _, none := v.(void); !none {
					out = append(out, v)
				}
			}
			if all {
				return collect(out), nil
			}
		}
	}
	if incomplete(x) {
		return nil, s.refuse("the method %s of %s", name, typeNameOf(x))
	}
	switch x.(type) {
	case time.Time, time.Duration, *List, *Hash:
		return nil, s.refuse("the method %s of %s", name, typeNameOf(x))
	case string:
		if stringMethods[k] {
			return nil, s.refuse("the method %s of System.String with these arguments", name)
		}
	}
	return nil, &Error{ID: "MethodNotFound", Category: "InvalidOperation", Message: fmt.Sprintf("Method invocation failed because [%s] does not contain a method named '%s'.", typeNameOf(x), name)}
}

// invoke calls a method when there is one.
func (s *shell) invoke(x any, k string, a []any) (any, bool, error) {
	switch v := x.(type) {
	case string:
		if r, ok, err := s.stringCall(v, k, a); ok || err != nil {
			return r, true, err
		}
	case *Object:
		if f, ok := v.funcs[k]; ok {
			r, err := f(a)
			return wrap(r), true, err
		}
		if p := v.find(k); p != nil {
			if b, ok := p.value.(*Block); ok && p.set == nil && p.get == nil {
				return nil, true, s.refuse("the call of the script block property %s (%s)", k, b.text())
			}
		}
	case *Hash:
		if r, ok, err := s.hashCall(v, k, a); ok || err != nil {
			return r, true, err
		}
	case *Block:
		if r, ok, err := s.blockCall(v, k, a); ok || err != nil {
			return r, true, err
		}
	case []byte, *Array:
		if r, ok, err := s.arrayCall(v, k, a); ok || err != nil {
			return r, true, err
		}
	case time.Time:
		if r, ok, err := s.timeCall(v, k, a); ok || err != nil {
			return r, true, err
		}
	case time.Duration:
		if r, ok, err := s.spanCall(v, k, a); ok || err != nil {
			return r, true, err
		}
	case instance:
		if r, ok, err := v.call(s, k, a); ok || err != nil {
			return wrap(r), true, err
		}
	case *exception:
		if k == "getbaseexception" {
			for v.inner != nil {
				v = v.inner
			}
			return v, true, nil
		}
	case *Type:
		if k == "isinstanceoftype" && len(a) == 1 {
			return isType(a[0], v), true, nil
		}
	}
	switch k {
	case "foreach":
		if len(a) >= 1 {
			return s.forEachMethod(x, a)
		}
	case "where":
		if len(a) >= 1 {
			return s.whereMethod(x, a)
		}
	case "tostring":
		switch {
		case len(a) == 0:
			if _, isArr := x.(*Array); isArr {
				return typeNameOf(x), true, nil
			}
			return s.text(x), true, nil
		case len(a) == 1:
			if f, ok := a[0].(string); ok {
				t, err := s.formatValue(x, f)
				return t, true, err
			}
			return nil, true, s.refuse("ToString with a format provider")
		}
	case "gettype":
		if len(a) == 0 {
			return typeOf(x), true, nil
		}
	case "equals":
		if len(a) == 1 {
			return typeNameOf(x) == typeNameOf(a[0]) && s.equal(x, a[0], true), true, nil
		}
	case "gethashcode":
		return nil, true, s.refuse("GetHashCode()")
	case "compareto":
		if len(a) == 1 {
			c, err := s.order(x, a[0], true)
			return int32(c), true, err
		}
	}
	return nil, false, nil
}
