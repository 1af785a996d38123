package funcs

import (
	"errors"
	"fmt"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

var anyValue = function.Parameter{Name: "value", Type: cty.DynamicPseudoType, AllowUnknown: true, AllowDynamicType: true}

// each calls visit for the elements of a list, set or tuple, until it returns false.
func each(list cty.Value, visit func(cty.Value) bool) {
	for it := list.ElementIterator(); it.Next(); {
		if _, v := it.Element(); !visit(v) {
			return
		}
	}
}

var bools = function.Parameter{Name: "list", Type: cty.List(cty.Bool)}

// decides makes alltrue and anytrue: an element that is worth stop decides, and
// without one the result is the other; null counts as false.
func decides(stop bool) function.Function {
	return of(cty.Bool, func(a []cty.Value) (cty.Value, error) {
		result, unknown := cty.BoolVal(!stop), false
		each(a[0], func(v cty.Value) bool {
			if !v.IsKnown() {
				unknown = true
				return true
			}
			if is := !v.IsNull() && v.True(); is == stop {
				result, unknown = cty.BoolVal(stop), false
				return false
			}
			return true
		})
		if unknown {
			return cty.UnknownVal(cty.Bool), nil
		}
		return result, nil
	}, bools)
}

var (
	allTrue = decides(false)
	anyTrue = decides(true)
)

// coalesce passes by empty text, too, as Packer's does and go-cty's does not.
var coalesce = function.New(&function.Spec{
	VarParam: &function.Parameter{Name: "values", Type: cty.DynamicPseudoType, AllowUnknown: true, AllowDynamicType: true, AllowNull: true},
	Type: func(args []cty.Value) (cty.Type, error) {
		types := make([]cty.Type, len(args))
		for i, a := range args {
			types[i] = a.Type()
		}
		t, _ := convert.UnifyUnsafe(types)
		if t == cty.NilType {
			return t, errors.New("all arguments must have one type")
		}
		return t, nil
	},
	Impl: func(args []cty.Value, t cty.Type) (cty.Value, error) {
		for _, a := range args {
			v, err := convert.Convert(a, t)
			if err != nil {
				return cty.NilVal, err
			}
			if !v.IsKnown() {
				return cty.UnknownVal(t), nil
			}
			if v.IsNull() || t == cty.String && v.AsString() == "" {
				continue
			}
			return v, nil
		}
		return cty.NilVal, errors.New("every argument is null or empty")
	},
})

// index finds the place of a value in a list, which begins at 0.
var index = of(cty.Number, func(a []cty.Value) (cty.Value, error) {
	t := a[0].Type()
	if !t.IsListType() && !t.IsTupleType() {
		return cty.NilVal, function.NewArgErrorf(0, "a list is needed, not %s", t.FriendlyName())
	}
	found, at, unknown := -1, 0, false
	each(a[0], func(v cty.Value) bool {
		same, err := stdlib.Equal(v, a[1])
		switch {
		case err != nil: // of another type
		case !same.IsKnown():
			unknown = true
			return false
		case same.True():
			found = at
			return false
		}
		at++
		return true
	})
	if unknown {
		return cty.UnknownVal(cty.Number), nil
	}
	if found < 0 {
		return cty.NilVal, errors.New("the list does not hold the value")
	}
	return cty.NumberIntVal(int64(found)), nil
}, function.Parameter{Name: "list", Type: cty.DynamicPseudoType}, function.Parameter{Name: "value", Type: cty.DynamicPseudoType, AllowNull: true})

// length counts the characters of a text, too.
var length = function.New(&function.Spec{
	Params: []function.Parameter{anyValue},
	Type: func(a []cty.Value) (cty.Type, error) {
		t := a[0].Type()
		if t == cty.DynamicPseudoType || t == cty.String || t.IsCollectionType() || t.IsTupleType() || t.IsObjectType() {
			return cty.Number, nil
		}
		return cty.Number, function.NewArgErrorf(0, "a text, a list, a set, a map or an object is needed, not %s", t.FriendlyName())
	},
	Impl: func(a []cty.Value, _ cty.Type) (cty.Value, error) {
		switch t := a[0].Type(); {
		case t == cty.DynamicPseudoType:
			return cty.UnknownVal(cty.Number), nil
		case t == cty.String:
			return stdlib.Strlen(a[0])
		case t.IsTupleType():
			return cty.NumberIntVal(int64(len(t.TupleElementTypes()))), nil
		case t.IsObjectType():
			return cty.NumberIntVal(int64(len(t.AttributeTypes()))), nil
		}
		return a[0].Length(), nil
	},
})

// lookup takes two arguments, too: then the key must be there.
var lookup = function.New(&function.Spec{
	Params: []function.Parameter{
		{Name: "map", Type: cty.DynamicPseudoType, AllowMarked: true},
		{Name: "key", Type: cty.String, AllowMarked: true},
	},
	VarParam: &function.Parameter{Name: "default", Type: cty.DynamicPseudoType, AllowNull: true, AllowUnknown: true, AllowDynamicType: true, AllowMarked: true},
	Type: func(a []cty.Value) (cty.Type, error) {
		v, err := lookUp(a)
		return v.Type(), err
	},
	Impl: func(a []cty.Value, _ cty.Type) (cty.Value, error) { return lookUp(a) },
})

func lookUp(a []cty.Value) (cty.Value, error) {
	if len(a) > 3 {
		return cty.DynamicVal, errors.New("it takes a map, a key and one default")
	}
	if len(a) == 3 {
		return stdlib.Lookup(a[0], a[1], a[2])
	}
	m, marks := a[0].Unmark()
	k, more := a[1].Unmark()
	if !m.IsKnown() || !k.IsKnown() {
		return cty.DynamicVal.WithMarks(marks, more), nil
	}
	switch t := m.Type(); {
	case t.IsObjectType() && t.HasAttribute(k.AsString()):
		return m.GetAttr(k.AsString()).WithMarks(marks, more), nil
	case t.IsMapType() && m.HasIndex(k).True():
		return m.Index(k).WithMarks(marks, more), nil
	case !t.IsObjectType() && !t.IsMapType():
		return cty.DynamicVal, function.NewArgErrorf(0, "a map or an object is needed, not %s", t.FriendlyName())
	}
	if len(more) > 0 {
		return cty.DynamicVal, errors.New("there is no such key: give a default as the third argument")
	}
	return cty.DynamicVal, fmt.Errorf("there is no key %q: give a default as the third argument", k.AsString())
}

// sum adds numbers. An empty list has no sum, as elsewhere.
var sum = of(cty.Number, func(a []cty.Value) (cty.Value, error) {
	t := a[0].Type()
	if !t.IsListType() && !t.IsSetType() && !t.IsTupleType() {
		return cty.NilVal, function.NewArgErrorf(0, "a list of numbers is needed, not %s", t.FriendlyName())
	}
	if a[0].LengthInt() == 0 {
		return cty.NilVal, function.NewArgErrorf(0, "the list is empty")
	}
	total, err := cty.Zero, error(nil)
	each(a[0], func(v cty.Value) bool {
		if v.IsNull() {
			err = function.NewArgErrorf(0, "an element is null")
			return false
		}
		if v, err = convert.Convert(v, cty.Number); err != nil {
			err = function.NewArgErrorf(0, "an element is no number")
			return false
		}
		total, err = stdlib.Add(total, v)
		return err == nil
	})
	return total, err
}, function.Parameter{Name: "list", Type: cty.DynamicPseudoType})
