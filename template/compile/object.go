package compile

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"

	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/internal/interp"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/template"
)

// object decodes v into a struct. The prefix is the path of v with a dot at its end, or empty. What
// is late in the outer option is late in the struct.
func (d *decoder) object(v template.Value, into reflect.Value, prefix string, outer option) {
	opts := options(into)
	var known []string
	if prefix == "" {
		known = slices.Clone(d.also)
	}
	fields := v.Fields()
	get := func(name string) (template.Value, bool) {
		i := slices.IndexFunc(fields, func(f template.Field) bool { return f.Name == name })
		if i < 0 {
			return template.Value{}, false
		}
		return fields[i].Value, true
	}
	for _, o := range opts {
		if o.replacement() == "" {
			known = append(known, o.name)
		}
	}
	// An option that is there under a wrong name is not missing as well.
	meant := func(name string) {
		if _, given := get(name); !given {
			d.mark(prefix + name)
			d.misnamed = d.misnamed || prefix == ""
		}
	}
	for _, f := range fields {
		if prefix == "" && slices.Contains(d.also, f.Name) {
			continue
		}
		if f.Name == "" && f.Value.Kind() == template.Faulty { // the name itself could not be evaluated
			d.mark(strings.TrimSuffix(prefix, "."))
			d.misnamed = d.misnamed || prefix == ""
			continue
		}
		path := prefix + f.Name
		i := slices.IndexFunc(opts, func(o option) bool { return o.name == f.Name })
		if i < 0 && d.partial {
			continue
		}
		if i < 0 {
			if to := renamed[f.Name]; slices.Contains(known, to) {
				meant(to)
				d.err(f.Key.Pos, "", path, "it is called %s now", to)
				continue
			}
			hint := ""
			if near := interp.Nearest(f.Name, known); near != "" {
				meant(near)
				hint = fmt.Sprintf("did you mean %q?", near)
			}
			d.errAs(errcode.UnknownName, f.Key.Pos, hint, path, "%s has no such option", d.What)
			continue
		}
		o := opts[i]
		if outer.late && !o.late {
			o.late, o.fields = true, outer.fields
		}
		if to := o.replacement(); to != "" {
			meant(to)
			d.err(f.Key.Pos, "", path, "it is called %s now", to)
			continue
		}
		if f.Value.Kind() == template.Null {
			continue
		}
		if o.has("unsupported") {
			probe := reflect.New(o.field.Type()).Elem()
			if !vacant(f.Value) {
				d.value(f.Value, probe, path, o)
			}
			if !o.off(probe) && !d.reported(path) {
				d.errAs(errcode.Unsupported, f.Key.Pos, "", path, "not supported yet")
			}
			continue
		}
		d.value(f.Value, o.field, path, o)
	}
	for _, o := range opts {
		given, ok := get(o.name)
		if !o.has("required") || d.reported(prefix+o.name) {
			continue
		}
		at := v.Pos
		if prefix == "" && d.Pos.File != "" {
			at = d.Pos
		}
		if !ok || given.Kind() == template.Null {
			d.mark(prefix + o.name)
			d.errs.AddCode(errcode.OptionMissing, at, "", "cannot use %s: the option %s is missing", d.What, prefix+o.name)
		} else if o.field.IsZero() {
			d.err(given.Pos, "", prefix+o.name, "it is empty")
		}
	}
}

func (d *decoder) slice(v template.Value, into reflect.Value, path string, o option) {
	var elems []template.Value
	elem := into.Type().Elem()
	for elem.Kind() == reflect.Pointer {
		elem = elem.Elem()
	}
	isObject := elem.Kind() == reflect.Struct && elem != fileType
	switch k := v.Kind(); {
	case k == template.List:
		elems = v.Elements()
	case k == template.String && !isObject:
		elems = v.Split(",")
	case k == template.Object && isObject, (k == template.Number || k == template.Bool) && !isObject:
		elems = []template.Value{v}
	default:
		d.is(v, path, template.List)
		return
	}
	list := reflect.MakeSlice(into.Type(), 0, len(elems))
	for i, e := range elems {
		x := reflect.New(into.Type().Elem()).Elem()
		at := fmt.Sprintf("%s[%d]", path, i)
		if d.element(e, x, at, o); x.Type() == fileType && x.IsZero() && !d.reported(at) {
			d.err(e.Pos, "", at, "it is empty")
		}
		list = reflect.Append(list, x)
	}
	into.Set(list)
}

// element decodes an element of a list or map. Null is its zero value, as in Packer: empty text, or an object without options.
func (d *decoder) element(v template.Value, into reflect.Value, path string, o option) {
	if v.Kind() != template.Null {
		d.value(v, into, path, o)
	} else if into.Kind() == reflect.Struct && into.Type() != fileType {
		d.object(template.Value{Value: cty.EmptyObjectVal, Place: &template.Place{Pos: v.Pos}}, into, path+".", o)
	}
}

func (d *decoder) mapping(v template.Value, into reflect.Value, path string, o option) {
	objects, isList := []template.Value{v}, v.Kind() == template.List
	if isList {
		objects = v.Elements()
	}
	m := reflect.MakeMap(into.Type())
	for i, obj := range objects {
		at := path
		if isList {
			at = fmt.Sprintf("%s[%d]", path, i)
		}
		if !d.is(obj, at, template.Object) {
			return
		}
		for _, f := range obj.Fields() {
			if f.Name == "" && f.Value.Kind() == template.Faulty {
				d.mark(path)
				continue
			}
			keys := o
			keys.late = o.late && into.Type().Key() == textType
			name, ok := d.text(template.Value{Value: cty.StringVal(f.Name), Place: f.Key}, at+"."+f.Name, keys)
			if !ok {
				continue
			}
			x := reflect.New(into.Type().Elem()).Elem()
			if d.element(f.Value, x, at+"."+name.String(), o); d.reported(at + "." + name.String()) {
				d.mark(path + "." + name.String()) // as the struct's own faults call it
			}
			m.SetMapIndex(reflect.ValueOf(name).Convert(into.Type().Key()), x)
		}
	}
	into.Set(m)
}

// any decodes a value of whatever shape.
func (d *decoder) any(v template.Value, path string, o option) steps.Any {
	switch v.Kind() {
	case template.Faulty, template.Later:
		d.value(v, reflect.New(textType).Elem(), path, o) // which says what is wrong
	case template.Null:
		return steps.Any{Word: "null"}
	case template.Object:
		fields := v.Fields()
		if len(fields) == 0 {
			return steps.Any{Word: "{}"}
		}
		m := map[string]steps.Any{}
		for _, f := range fields {
			if f.Name == "" && f.Value.Kind() == template.Faulty {
				d.mark(path)
				continue
			}
			at := path + "." + f.Name
			if name, ok := d.text(template.Value{Value: cty.StringVal(f.Name), Place: f.Key}, at, option{}); ok {
				m[string(name)] = d.any(f.Value, at, o)
			}
		}
		return steps.Any{Map: m}
	case template.List:
		list := []steps.Any{}
		for i, e := range v.Elements() {
			list = append(list, d.any(e, fmt.Sprintf("%s[%d]", path, i), o))
		}
		if len(list) == 0 {
			return steps.Any{Word: "[]"}
		}
		return steps.Any{List: list}
	default:
		text, ok := d.text(v, path, o)
		if ok && v.Kind() != template.String && !v.IsMarked() {
			return steps.Any{Word: string(text)}
		}
		return steps.Any{Text: &text}
	}
	return steps.Any{}
}
