package funcs

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// MaxText bounds each text that a function makes, in bytes: a few short calls can ask for any amount.
const MaxText = 16 << 20

const mostElements = 100_000 // of a list that setproduct makes

var (
	errSecret  = errors.New("it cannot be done with this secret value; why is not said, since that could tell the secret")
	errTooLong = fmt.Errorf("the result would be longer than %d MiB", MaxText>>20)
)

// grows says before a call whether its result would be too long, of functions whose result can be much longer than their
// arguments. The arguments are known and have no marks.
var grows = map[string]func(args []cty.Value) bool{
	"format":     func(a []cty.Value) bool { return wide.MatchString(a[0].AsString()) },
	"formatlist": func(a []cty.Value) bool { return wide.MatchString(a[0].AsString()) },
	"indent":     func(a []cty.Value) bool { return product(strings.Count(a[1].AsString(), "\n"), number(a[0])) > MaxText },
	"replace": func(a []cty.Value) bool {
		return product(strings.Count(a[0].AsString(), a[1].AsString()), size(a[2])) > MaxText
	},
	"regex_replace": func(a []cty.Value) bool { return product(size(a[0])+1, size(a[2])) > 64*MaxText },
	"join":          func(a []cty.Value) bool { return product(elements(a[1:]), size(a[0])) > MaxText },
	"setproduct": func(a []cty.Value) bool {
		n := 1
		for _, s := range a {
			n = product(n, elements([]cty.Value{s}))
		}
		return n > mostElements
	},
}

// wide is a width or precision of a verb beyond 9,999.
var wide = regexp.MustCompile(`%[^a-zA-Z%]*[0-9]{5}`)

// product does not overflow.
func product(a, b int) int {
	if a > 1<<31 || b > 1<<31 {
		return 1 << 62
	}
	return a * b
}

func size(v cty.Value) int { return len(v.AsString()) }

func number(v cty.Value) int {
	n, _ := v.AsBigFloat().Int64()
	return int(min(max(n, 0), 1<<32))
}

func elements(lists []cty.Value) int {
	n := 0
	for _, l := range lists {
		if l.CanIterateElements() {
			n += l.LengthInt()
		}
	}
	return n
}

// guarded is a function that does not tell a secret in its errors, and makes no text or list without bound, and no value
// that is nested without bound.
func guarded(name string, f function.Function) function.Function {
	open := func(p function.Parameter) function.Parameter {
		p.AllowMarked, p.AllowUnknown, p.AllowDynamicType, p.AllowNull = true, true, true, true // f itself decides
		return p
	}
	spec := &function.Spec{}
	for _, p := range f.Params() {
		spec.Params = append(spec.Params, open(p))
	}
	if p := f.VarParam(); p != nil {
		v := open(*p)
		spec.VarParam = &v
	}
	hide := func(args []cty.Value, err error) error {
		if err != nil && slices.ContainsFunc(args, cty.Value.ContainsMarked) {
			return errSecret
		}
		return err
	}
	spec.Type = func(args []cty.Value) (cty.Type, error) {
		if check := decodes[name]; check != nil {
			if src, _ := args[0].Unmark(); src.Type() == cty.String && src.IsKnown() && !src.IsNull() {
				if err := check([]byte(src.AsString())); err != nil {
					return cty.NilType, hide(args, fmt.Errorf("cannot decode the text: %w", err))
				}
			}
		}
		t, err := f.ReturnTypeForValues(args)
		return t, hide(args, err)
	}
	spec.Impl = func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		if tooLong := grows[name]; tooLong != nil {
			plain, whole := make([]cty.Value, len(args)), true
			for i, a := range args {
				plain[i], _ = a.UnmarkDeep()
				whole = whole && plain[i].IsWhollyKnown() && !plain[i].IsNull()
			}
			if whole && tooLong(plain) {
				return cty.NilVal, errTooLong
			}
		}
		v, err := f.Call(args)
		if err == nil {
			if plain, _ := v.Unmark(); plain.Type() == cty.String && plain.IsKnown() && !plain.IsNull() && size(plain) > MaxText {
				return cty.NilVal, errTooLong
			}
		}
		return v, hide(args, err)
	}
	return function.New(spec)
}
