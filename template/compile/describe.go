package compile

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/imgflow/imgflow/internal/interp"
	"github.com/imgflow/imgflow/steps"
)

// Option is an option as those see it who tell of it.
type Option struct {
	Name  string
	Of    reflect.Type // the struct that has its field
	Field string       // the name of the field
	Shape Shape

	Required    bool
	Unsupported bool     // using it is an error unless it asks for nothing
	Off         []string // texts that ask for nothing, too
	Now         string   // what it is called now; using it is an error
	Late        bool     // it may hold build-time actions
	Words       []string // those that it may hold; none: any
}

// Actions are the words that an option which is late may hold, as templates write them.
func (o Option) Actions() (actions []string) {
	for _, word := range o.Words {
		if word == "build" {
			actions = append(actions, "{{ build `…` }}")
		} else {
			actions = append(actions, interp.Pending{Field: word}.String())
		}
	}
	return actions
}

// Shape is what may be written for an option.
type Shape struct {
	Kind    ShapeKind
	Elem    *Shape   // of a list or map
	Options []Option // of an object

	waits bool // a text that its step fills in
}

// ShapeKind says how an option is written.
type ShapeKind string

// The kinds of shapes.
const (
	Text     ShapeKind = "text"
	Secret   ShapeKind = "secret"
	File     ShapeKind = "file"
	Boolean  ShapeKind = "boolean"
	Whole    ShapeKind = "whole number"
	Number   ShapeKind = "number"
	Duration ShapeKind = "duration"
	List     ShapeKind = "list"
	Map      ShapeKind = "map"
	Object   ShapeKind = "object"
	Any      ShapeKind = "anything"
)

// Describe lists the options that a struct takes, in the order of its fields. X is a pointer to it.
// Names that old templates have are last.
func Describe(x any) []Option { return describe(reflect.TypeOf(x).Elem(), option{}) }

// describe lists the options of a struct that is the value of the outer option.
func describe(t reflect.Type, outer option) (list []Option) {
	var current []string
	for _, o := range options(reflect.New(t).Elem()) {
		if outer.late && !o.late {
			o.late, o.fields = true, outer.fields
		}
		shape := shapeOf(o.field.Type(), o)
		d := Option{Name: o.name, Of: o.of, Field: o.goName, Shape: shape, Required: o.has("required"), Unsupported: o.has("unsupported"),
			Now: o.replacement(), Late: o.late && shape.late()}
		if d.Late {
			d.Words = o.fields
		}
		for _, w := range o.words {
			if off, ok := strings.CutPrefix(w, "off="); ok {
				d.Off = append(d.Off, off)
			}
		}
		if d.Now == "" {
			current = append(current, d.Name)
		}
		list = append(list, d)
	}
	for _, old := range slices.Sorted(maps.Keys(renamed)) {
		if i := slices.IndexFunc(list, func(o Option) bool { return o.Name == renamed[old] }); i >= 0 && !slices.Contains(current, old) {
			list = append(list, Option{Name: old, Of: list[i].Of, Field: list[i].Field, Shape: list[i].Shape, Now: renamed[old]})
		}
	}
	return list
}

func shapeOf(t reflect.Type, o option) Shape {
	switch t {
	case durationType:
		return Shape{Kind: Duration}
	case secretType:
		return Shape{Kind: Secret, waits: true}
	case fileType:
		return Shape{Kind: File}
	case anyType:
		return Shape{Kind: Any, waits: true}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return shapeOf(t.Elem(), o)
	case reflect.Bool:
		return Shape{Kind: Boolean}
	case reflect.Float32, reflect.Float64:
		return Shape{Kind: Number}
	case reflect.Slice, reflect.Map:
		elem, kind := shapeOf(t.Elem(), o), List
		if t.Kind() == reflect.Map {
			kind = Map
		}
		return Shape{Kind: kind, Elem: &elem}
	case reflect.Struct:
		return Shape{Kind: Object, Options: describe(t, o)}
	case reflect.String:
		return Shape{Kind: Text, waits: t == textType}
	}
	return Shape{Kind: Whole}
}

// late says whether there are texts in it that may wait for the build.
func (s Shape) late() bool {
	switch s.Kind {
	case List, Map:
		return s.Elem.late()
	case Object:
		return slices.ContainsFunc(s.Options, func(o Option) bool { return o.Late })
	}
	return s.waits
}

// Part is a type of builder, provisioner, post-processor or data source.
type Part struct {
	Role    Role
	Type    string       // as templates call it
	Later   string       // why it cannot run; then its options are not told
	Struct  reflect.Type // of its options
	Options []Option     // its own; a provisioner has those of steps.Common, too
}

// Role is what a part of a template does.
type Role string

// The roles.
const (
	Builder       Role = "builder"
	Provisioner   Role = "provisioner"
	PostProcessor Role = "post-processor"
	DataSource    Role = "data source"
	Test          Role = "test" // of what a builder of that type makes
)

// Parts lists all that a template may be made of, by role and type.
func (c Catalog) Parts() (parts []Part) {
	parts = roleParts(parts, Builder, c.Builders, c.LaterBuilders)
	parts = roleParts(parts, Provisioner, c.Provisioners, c.LaterProvisioners)
	parts = roleParts(parts, PostProcessor, c.PostProcessors, c.LaterPostProcessors)
	parts = roleParts(parts, DataSource, c.Data, c.LaterData)
	tests := map[string]func() steps.Test{}
	for name, maker := range c.Builders {
		if x, ok := maker().(steps.Testable); ok {
			tests[name] = x.Test
		}
	}
	return roleParts(parts, Test, tests, nil)
}

func roleParts[T any](parts []Part, role Role, makers map[string]func() T, later map[string]string) []Part {
	for _, name := range known(makers, later) {
		p := Part{Role: role, Type: name, Later: later[name]}
		if p.Later == "" {
			x := makers[name]()
			p.Struct, p.Options = reflect.TypeOf(x).Elem(), Describe(x)
		}
		parts = append(parts, p)
	}
	return parts
}

// CommonOptions lists the options that every provisioner has.
func CommonOptions() []Option { return Describe(&steps.Common{}) }
