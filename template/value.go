package template

import (
	"strconv"
	"strings"

	"github.com/zclconf/go-cty/cty"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/interp"
)

// Value is an evaluated value: a cty value, and beside it what cty has no room for. Every front end yields it; the
// package's manual says how.
type Value struct {
	cty.Value
	*Place
}

// Secret is the mark of a value that is the secret of that name, or was made of it.
type Secret string

// Place is where a value or the name of a key stands, what it is written as, and the same of all that is inside.
type Place struct {
	Pos
	Form   *Form // nil if the cty value says all
	Inside []Inner
	List   bool // Inside are the elements of a list, whose names and keys mean nothing
}

// Form is the text that a value is, where that is not cty's own. Of a number it is the digits as written. Of a text it
// is one whose characters cty would compose, or whose parts only a dag.Text can tell: it is unknown to cty.
type Form struct {
	Text dag.Text
	Err  error // why the text makes no sense, an interp.Faults
}

// Inner is a key of an object, or an element of a list, with its places.
type Inner struct {
	Name       string // as written
	Key, Value Place
	again      *cty.Value // its value, if the name comes again: an object has room for one
}

// object is an object that is being made, with the places of its keys.
type object struct {
	*Place
	attributes map[string]cty.Value
	last       map[string]int // where each name stands last; nil as long as none has come twice
}

func (o *object) add(in Inner, v cty.Value) {
	name := cty.NormalizeString(in.Name)
	if before, twice := o.attributes[name]; twice {
		if o.last == nil {
			o.last = map[string]int{}
			for i, x := range o.Inside {
				o.last[cty.NormalizeString(x.Name)] = i
			}
		}
		o.Inside[o.last[name]].again = &before
	}
	if o.last != nil {
		o.last[name] = len(o.Inside)
	}
	o.attributes[name] = v
	o.Inside = append(o.Inside, in)
}

// ParseText makes a Text of a template string that interp.Early has left: each of its build-time actions becomes a
// word. The error is an interp.Faults.
func ParseText(source string) (dag.Text, error) {
	parts, err := interp.Parse(source)
	var b strings.Builder
	for _, p := range parts {
		if p.Waits == nil {
			b.WriteString(p.Text)
		} else {
			b.WriteString(string(dag.Word(p.Text)))
		}
	}
	return dag.Text(b.String()), err
}

// evaluated is a text as interp.Early leaves it.
func evaluated(source string, place *Place) cty.Value {
	if !strings.Contains(source, "{{") {
		return TextValue(dag.Text(source), place)
	}
	t, err := ParseText(source)
	if err != nil {
		place.Form = &Form{Err: err}
		return cty.UnknownVal(cty.String)
	}
	return TextValue(t, place)
}

// TextValue is a text that may have parts.
func TextValue(t dag.Text, place *Place) cty.Value {
	if t.Known() {
		v := cty.StringVal(string(t))
		if v.AsString() != string(t) {
			place.Form = &Form{Text: t}
		}
		return v
	}
	place.Form = &Form{Text: t}
	v := cty.UnknownVal(cty.String)
	for _, name := range t.Secrets() {
		v = v.Mark(Secret(name))
	}
	return v
}

// number is a number of these digits. It is no more exact than a float, and so never larger: whoever needs all digits
// has them beside.
func number(digits string, place *Place) cty.Value {
	n, err := strconv.ParseInt(digits, 10, 64)
	if err == nil && strconv.FormatInt(n, 10) == digits {
		return cty.NumberIntVal(n)
	}
	place.Form = &Form{Text: dag.Text(digits)}
	f, _ := strconv.ParseFloat(digits, 64) // the file was read, so it is one
	return cty.NumberFloatVal(f)
}

// Kind is what the value is. What cty does not know is Faulty if its type is not known either, and Later if it is,
// but for a text whose form is known.
func (v Value) Kind() Kind {
	t := v.Type()
	switch {
	case !v.IsKnown() && t == cty.DynamicPseudoType:
		return Faulty
	case !v.IsKnown() && (t != cty.String || v.Form == nil):
		return Later
	case v.IsNull():
		return Null
	case t == cty.Bool:
		return Bool
	case t == cty.Number:
		return Number
	case t == cty.String:
		return String
	case t.IsTupleType() || t.IsListType() || t.IsSetType():
		return List
	case t.IsObjectType() || t.IsMapType():
		return Object
	}
	return Faulty
}

// Text is a text, or what a number or boolean is as a text.
func (v Value) Text() (dag.Text, error) {
	if v.Form != nil {
		return v.Form.Text, v.Form.Err
	}
	plain, _ := v.Unmark()
	switch plain.Type() {
	case cty.Bool:
		return dag.Text(strconv.FormatBool(plain.True())), nil
	case cty.Number:
		n, form := plain.AsBigFloat(), byte('f')
		if e := n.MantExp(nil); max(e, -e) > 4096 {
			form = 'g' // it would be too long
		}
		return dag.Text(n.Text(form, -1)), nil
	}
	return dag.Text(plain.AsString()), nil
}

// Split cuts a text at each separator that is no part of something else. An empty text has no pieces.
func (v Value) Split(separator string) []Value {
	t, err := v.Text()
	if err != nil {
		return []Value{v}
	}
	if t == "" {
		return nil
	}
	_, marks := v.Unmark()
	if v.Form != nil {
		marks = nil // each piece has its own
	}
	var list []Value
	for _, piece := range t.Split(separator) {
		place := &Place{Pos: v.Pos}
		list = append(list, Value{TextValue(piece, place).WithMarks(marks), place})
	}
	return list
}

// Elements are those of a list.
func (v Value) Elements() []Value {
	plain, marks := v.Unmark()
	list := make([]Value, 0, plain.LengthInt())
	for it := plain.ElementIterator(); it.Next(); {
		_, x := it.Element()
		place := &Place{Pos: v.Pos}
		if i := len(list); v.List && i < len(v.Inside) {
			place = &v.Inside[i].Value
		}
		list = append(list, Value{x.WithMarks(marks), place})
	}
	return list
}

// Field is one key of an object with its value.
type Field struct {
	Name  string // as it was evaluated
	Key   *Place
	Value Value
}

// Fields are those of an object: in the order of the file, as far as they stand in one, and then by name.
func (v Value) Fields() []Field {
	if v.Kind() != Object {
		return nil
	}
	plain, marks := v.Unmark()
	all := plain.AsValueMap()
	list := make([]Field, 0, len(all))
	if !v.List {
		left := len(all)
		for i := range v.Inside {
			in := &v.Inside[i]
			x, ok := all[cty.NormalizeString(in.Name)]
			if in.again != nil {
				x, ok = *in.again, true
			} else if ok {
				left--
			}
			if ok {
				list = append(list, Field{in.Name, &in.Key, Value{x.WithMarks(marks), &in.Value}})
			}
		}
		if left == 0 {
			return list
		}
		for _, f := range list {
			delete(all, cty.NormalizeString(f.Name))
		}
	}
	for it := plain.ElementIterator(); it.Next(); {
		k, x := it.Element()
		if _, ok := all[k.AsString()]; ok {
			place := &Place{Pos: v.Pos}
			list = append(list, Field{k.AsString(), place, Value{x.WithMarks(marks), place}})
		}
	}
	return list
}

// Get returns the value of a key of an object.
func (v Value) Get(name string) (Value, bool) {
	for _, f := range v.Fields() {
		if f.Name == name {
			return f.Value, true
		}
	}
	return Value{}, false
}

// Secret says whether the value may be a secret, so that no message should quote it.
func (v Value) Secret() bool { return v.IsMarked() || v.mayHide() }
