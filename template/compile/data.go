package compile

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/interp"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/template"
)

// lookup is a data source of the template.
type lookup struct {
	of     template.Data
	step   steps.Data      // nil if there is none of that type
	builds map[string]bool // that need it, themselves or for another data source
}

// lookups checks the data sources, and finds out which builds need each of them.
func (c *compiler) lookups(ev *template.Config) []*lookup {
	list, at := make([]*lookup, len(ev.Data)), make(map[string]*lookup, len(ev.Data))
	c.open = map[string]bool{}
	for i, d := range ev.Data {
		list[i] = &lookup{of: d, builds: map[string]bool{}}
		at[d.Label()] = list[i]
		c.open[d.Label()] = !d.Known
	}
	for _, b := range ev.Builds {
		for _, label := range b.Refers {
			at[label].builds[b.Name] = true
		}
	}
	for _, l := range slices.Backward(list) { // each comes after those that it refers to
		for _, label := range l.of.Refers {
			for b := range l.builds {
				at[label].builds[b] = true
			}
		}
	}
	for _, l := range list {
		l.step = c.data(l)
	}
	return list
}

// awaits are those of some data sources that are not known yet.
func (c *compiler) awaits(labels []string) (open []string) {
	for _, label := range labels {
		if c.open[label] {
			open = append(open, label)
		}
	}
	return open
}

// data decodes and checks the options of a data source.
func (c *compiler) data(l *lookup) steps.Data {
	if why, later := c.catalog.LaterData[l.of.Type]; later {
		if !c.opts.ForRun || len(l.builds) > 0 {
			c.later(l.of.Pos, "the data source "+l.of.Type, why)
		}
		return nil
	}
	maker, ok := c.catalog.Data[l.of.Type]
	if !ok {
		c.unknown(l.of.Pos, "data source", l.of.Type, append(known(c.catalog.Data, c.catalog.LaterData), "null"))
		return nil
	}
	x := maker()
	for _, label := range c.awaits(l.of.Refers) {
		c.waiting, c.after = true, append(c.after, "data."+label)
	}
	defer func() { c.waiting, c.after = false, nil }()
	d := c.decoder(l.of.Type, "data."+l.of.Label(), l.of.Pos)
	c.check(d, x, l.of.Options)
	if p, ok := x.(steps.Preparer); ok && (!c.opts.ForRun || len(l.builds) > 0) {
		c.prepare(p, d)
	}
	return x
}

// look adds the steps of the data sources that some build needs and whose options are known.
func (c *compiler) look(g *dag.Graph, list []*lookup, builds []template.Build) {
	for _, l := range list {
		if len(l.builds) == 0 || len(c.awaits(l.of.Refers)) > 0 && !c.opts.Foresee {
			continue
		}
		from := len(g.Nodes)
		for _, b := range builds {
			if l.builds[b.Name] {
				g.LookUp(l.of.Label(), l.step.Add(g, dag.Build{Name: b.Name, Type: b.Type}, "data."+l.of.Label()))
			}
		}
		for _, label := range l.of.Refers {
			if k, ok := g.Lookups[label]; ok {
				g.Follow(k, from, l.builds)
			}
		}
	}
}

// follow makes the builds come after the data sources that they refer to.
func follow(g *dag.Graph, from int, builds []template.Build) {
	refer := map[string]map[string]bool{}
	for _, b := range builds {
		for _, label := range b.Refers {
			if refer[label] == nil {
				refer[label] = map[string]bool{}
			}
			refer[label][b.Name] = true
		}
	}
	for label, who := range refer {
		if k, ok := g.Lookups[label]; ok {
			g.Follow(k, from, who)
		}
	}
}

// DataTypes are what each type of data source yields.
func (c Catalog) DataTypes() map[string]cty.Type {
	types := make(map[string]cty.Type, len(c.Data))
	for name, maker := range c.Data {
		types[name] = typeOf(reflect.TypeOf(maker().Output()))
	}
	return types
}

// typeOf is the type that templates see of a Go type in its JSON form.
func typeOf(t reflect.Type) cty.Type {
	switch t.Kind() {
	case reflect.Bool:
		return cty.Bool
	case reflect.String:
		return cty.String
	case reflect.Pointer:
		return typeOf(t.Elem())
	case reflect.Map:
		return cty.Map(typeOf(t.Elem()))
	case reflect.Slice, reflect.Array:
		if t == reflect.TypeFor[json.RawMessage]() {
			return cty.DynamicPseudoType
		}
		return cty.List(typeOf(t.Elem()))
	case reflect.Struct:
		attributes := map[string]cty.Type{}
		for _, f := range reflect.VisibleFields(t) {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name == "-" || !f.IsExported() || f.Anonymous && name == "" {
				continue
			}
			if name == "" {
				name = f.Name
			}
			attributes[name] = typeOf(f.Type)
		}
		return cty.Object(attributes)
	}
	if t.ConvertibleTo(reflect.TypeFor[float64]()) {
		return cty.Number
	}
	return cty.DynamicPseudoType
}

// Looked is what the step of a data source has made, as templates see it. Reveal gives the secrets that the step has
// put into the run's vault, see steps.SealedName.
func (c Catalog) Looked(kind, name string, out json.RawMessage, token string, reveal func(string) (string, error)) (template.Looked, error) {
	l := template.Looked{Secrets: map[string]string{}}
	maker, ok := c.Data[kind]
	if !ok {
		return l, fmt.Errorf("cannot use data.%s.%s: there is no data source called %q", kind, name, kind)
	}
	t := typeOf(reflect.TypeOf(maker().Output()))
	implied, err := ctyjson.ImpliedType(out)
	if err == nil {
		l.Value, err = ctyjson.Unmarshal(out, implied)
	}
	if err == nil {
		l.Value, err = conform(l.Value, t)
	}
	if err == nil {
		l.Value, err = cty.Transform(l.Value, func(p cty.Path, v cty.Value) (cty.Value, error) {
			return revealed(l.Secrets, "data."+kind+"."+name, p, v, steps.SealedName(token, ""), reveal)
		})
	}
	if err != nil {
		return l, fmt.Errorf("cannot use data.%s.%s: %w", kind, name, err)
	}
	return l, nil
}

// conform is a value as one of a type. What is not there is what Go has for nothing.
func conform(v cty.Value, t cty.Type) (cty.Value, error) {
	var err error
	each := func(v cty.Value, t cty.Type) cty.Value {
		v, e := conform(v, t)
		if e != nil {
			err = e
			return cty.NullVal(t)
		}
		return v
	}
	switch {
	case t == cty.DynamicPseudoType:
		return v, nil
	case t.IsListType() && (v.IsNull() || v.Type().IsTupleType()):
		list := []cty.Value{}
		for it := elements(v); it.Next(); {
			_, x := it.Element()
			list = append(list, each(x, t.ElementType()))
		}
		if len(list) == 0 {
			return cty.ListValEmpty(t.ElementType()), nil
		}
		return cty.ListVal(list), err
	case t.IsMapType() && (v.IsNull() || v.Type().IsObjectType()):
		m := map[string]cty.Value{}
		for it := elements(v); it.Next(); {
			k, x := it.Element()
			m[k.AsString()] = each(x, t.ElementType())
		}
		if len(m) == 0 {
			return cty.MapValEmpty(t.ElementType()), nil
		}
		return cty.MapVal(m), err
	case t.IsObjectType() && !v.IsNull() && v.Type().IsObjectType():
		m := map[string]cty.Value{}
		for name, at := range t.AttributeTypes() {
			if v.Type().HasAttribute(name) {
				m[name] = each(v.GetAttr(name), at)
			} else {
				m[name] = nothing(at)
			}
		}
		return cty.ObjectVal(m), err
	}
	return convert.Convert(v, t)
}

// elements are those of a list or an object; of null there are none.
func elements(v cty.Value) cty.ElementIterator {
	if v.IsNull() {
		v = cty.EmptyTupleVal
	}
	return v.ElementIterator()
}

// nothing is the value of a field that is left out since it has none.
func nothing(t cty.Type) cty.Value {
	switch {
	case t == cty.String:
		return cty.StringVal("")
	case t == cty.Number:
		return cty.Zero
	case t == cty.Bool:
		return cty.False
	case t.IsListType():
		return cty.ListValEmpty(t.ElementType())
	case t.IsMapType():
		return cty.MapValEmpty(t.ElementType())
	case t.IsObjectType():
		m := map[string]cty.Value{}
		for name, at := range t.AttributeTypes() {
			m[name] = nothing(at)
		}
		return cty.ObjectVal(m)
	}
	return cty.NullVal(t)
}

// revealed gives a text its secrets, and marks it. What was looked up is not trusted: it can name no other secret, and
// has no parts that a text of a template could have.
func revealed(secrets map[string]string, name string, p cty.Path, v cty.Value, sealed string, reveal func(string) (string, error)) (cty.Value, error) {
	for _, s := range p {
		part := ""
		switch s := s.(type) {
		case cty.GetAttrStep:
			part = s.Name
		case cty.IndexStep:
			if part = "*"; s.Key.Type() == cty.String {
				part = s.Key.AsString()
			} else if s.Key.Type() == cty.Number {
				part = s.Key.AsBigFloat().Text('f', 0)
			}
		}
		name += "." + part
	}
	private := fmt.Errorf("%q holds private characters, U+E000 to U+E005", dag.Text(name).Literal())
	if !dag.Text(name).Known() {
		return v, private
	}
	if v.Type() != cty.String || v.IsNull() || dag.Text(v.AsString()).Known() {
		return v, nil
	}
	text := dag.Text(v.AsString())
	names := text.Secrets()
	if len(names) == 0 || !text.Final() || slices.ContainsFunc(names, func(n string) bool { return !strings.HasPrefix(n, sealed) }) {
		return v, private
	}
	plain, err := interp.Reveal(string(text), reveal)
	if err != nil {
		return v, err
	}
	if !dag.Text(plain).Known() {
		return v, private
	}
	if plain == "" {
		return cty.StringVal(""), nil
	}
	v = cty.StringVal(plain)
	secrets[name] = v.AsString()
	return v.Mark(template.Secret(name)), nil
}
