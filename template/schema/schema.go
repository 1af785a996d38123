// Package schema makes a JSON Schema, of the draft 2020-12, of JSON templates: what an editor needs to complete and explain the
// options while they are written.
//
// The schema is made of the structs that the options are read into. It takes whatever package compile takes by its form: a text that holds a
// template action may stand wherever a number or a boolean does. What depends on several options, or on what an option
// says, is left to `imgflow validate`, which knows it all.
package schema

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/imgflow/imgflow/internal/optiondoc"
	"github.com/imgflow/imgflow/internal/self"
	"github.com/imgflow/imgflow/template/compile"
)

// object is an object of JSON.
type object = map[string]any

// maker makes the schema of one catalogue.
type maker struct {
	texts optiondoc.Texts
	defs  object
}

// Of returns the schema of templates that are made of what a catalogue has, as a value of encoding/json.
func Of(c compile.Catalog, texts optiondoc.Texts) map[string]any {
	m := maker{texts: texts, defs: object{}}
	for kind, k := range scalars {
		m.defs[name(kind)] = k.form(false)
	}
	roles := []compile.Role{compile.Builder, compile.Provisioner, compile.PostProcessor} // JSON templates have no data sources
	types, choices := map[compile.Role][]string{}, map[compile.Role][]any{}
	for _, role := range roles {
		types[role], choices[role] = []string{}, []any{}
	}
	for _, p := range c.Parts() {
		if !slices.Contains(roles, p.Role) {
			continue
		}
		types[p.Role] = append(types[p.Role], p.Type)
		def := string(p.Role) + "." + p.Type
		m.defs[def] = m.part(p, def)
		then := object{"$ref": "#/$defs/" + def}
		if need := required(p.Options); len(need) > 0 {
			then["required"] = need
			if p.Role == compile.Provisioner { // the builds' own options may have them
				delete(then, "required")
				then["anyOf"] = []any{object{"required": need}, object{"required": []string{"override"}}}
			}
		}
		choices[p.Role] = append(choices[p.Role], object{
			"if":   object{"required": []string{"type"}, "properties": object{"type": object{"const": p.Type}}},
			"then": then,
		})
	}
	for _, role := range roles {
		m.defs[string(role)] = object{
			"type": "object", "required": []string{"type"},
			"properties": object{"type": object{"enum": types[role], "description": "Which " + string(role) + " it is."}},
			"allOf":      choices[role],
		}
	}
	m.tests(c)
	post := object{"$ref": "#/$defs/post-processor"}
	m.defs["name-of-post-processor"] = object{"enum": types[compile.PostProcessor], "description": "A post-processor without options."}
	named := object{"$ref": "#/$defs/name-of-post-processor"}
	// By what it is, so that a fault inside is told as what it is.
	m.defs["post-processors"] = object{"allOf": []any{
		object{"type": []string{"string", "object", "array"}},
		object{"if": object{"type": "string"}, "then": named},
		object{"if": object{"type": "object"}, "then": post},
		object{"if": object{"type": "array"}, "then": object{"items": object{
			"if": object{"type": "string"}, "then": named, "else": post}}},
	}}
	return object{
		"$schema": "https://json-schema.org/draft/2020-12/schema",
		"title":   "Template of imgflow",
		"$defs":   m.defs,
		"type":    "object", "required": []string{"builders"},
		"properties":           sections(),
		"patternProperties":    object{"^_": object{"description": "A comment."}},
		"additionalProperties": false,
	}
}

// tests makes the form of tests, which have the options of all that can be tested.
func (m maker) tests(c compile.Catalog) {
	keys := object{
		"name":         object{"type": []string{"string", "null"}, "pattern": `^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$|^$|` + action, "description": "What the test is called. Default: test, with a number where there are several."},
		"provisioners": object{"type": []string{"array", "null"}, "items": object{"$ref": "#/$defs/provisioner"}, "description": "What is done on the machine, one after the other: the test fails if one of them does."},
		"override": object{"type": []string{"object", "null"}, "description": "Options of some builds, by the build's name, in place of those given here.",
			"additionalProperties": object{"type": []string{"object", "null"}, "$ref": "#/$defs/test", "propertyNames": object{"not": object{"enum": []string{"name", "provisioners", "only", "except", "override"}}}}},
	}
	chosen(keys)
	for _, p := range c.Parts() {
		if p.Role == compile.Test {
			m.into(keys, p.Options, false)
		}
	}
	m.defs["test"] = object{"type": "object", "properties": keys, "additionalProperties": false, "description": "A test of what is built."}
}

// chosen adds the keys that say which builds something is for.
func chosen(keys object) {
	for name, what := range map[string]string{"only": "Names of the builds that it is for. Default: all.", "except": "Names of the builds that it is not for. Default: none."} {
		keys[name] = object{"type": []string{"string", "array", "null"}, "items": object{"type": "string"}, "description": what}
	}
}

// sections are what the root of a template may hold.
func sections() object {
	texts := object{"type": "string"}
	return object{
		"min_packer_version":        object{"type": []string{"string", "null"}, "description": "The oldest version of Packer's language that the template needs, such as 1.6.0."},
		"description":               object{"type": []string{"string", "null"}, "description": self.Text("What the template is for; `imgflow inspect` shows it.")},
		"variables":                 object{"type": []string{"object", "null"}, "additionalProperties": object{"type": []string{"string", "number", "boolean", "null"}, "description": "The variable's value unless another is given; null: one must be given."}, "description": "User variables, read as {{user `name`}}, each with its default."},
		"sensitive-variables":       object{"type": []string{"string", "array", "null"}, "items": texts, "description": "Names of variables whose values are secret: they are sealed, and never shown."},
		"builders":                  object{"type": "array", "minItems": 1, "items": object{"$ref": "#/$defs/builder"}, "description": "What is built; the builds run side by side."},
		"provisioners":              object{"type": []string{"array", "null"}, "items": object{"$ref": "#/$defs/provisioner"}, "description": "What is done on each machine, one after the other."},
		"error-cleanup-provisioner": object{"anyOf": []any{object{"$ref": "#/$defs/provisioner"}, object{"type": "null"}}, "description": "What is done on a machine whose provisioners have failed, before it is removed."},
		"tests":                     object{"type": []string{"array", "null"}, "items": object{"$ref": "#/$defs/test"}, "description": "What is done on machines of what was built, before anybody gets it."},
		"post-processors":           object{"type": []string{"array", "null"}, "items": object{"$ref": "#/$defs/post-processors"}, "description": "What is done with what was built. A list among them is a sequence: each takes what the one before it has made."},
		"push":                      object{"description": "Has no effect; older tools wrote it.", "deprecated": true},
		"comments":                  object{"description": "Has no effect."},
	}
}

// part is the form of one type of builder, provisioner or post-processor.
func (m maker) part(p compile.Part, def string) object {
	keys := object{"type": object{}}
	switch p.Role {
	case compile.Builder:
		keys["name"] = object{"type": []string{"string", "null"}, "description": "What the build is called. Default: its type."}
	case compile.PostProcessor:
		keys["name"] = object{"type": []string{"string", "null"}, "description": "What it is called on the command line, in -except. Default: its type."}
	case compile.Provisioner:
		keys["override"] = object{"type": []string{"object", "null"}, "description": "Options of some builds, by the build's name, in place of those given here.",
			"additionalProperties": object{"anyOf": []any{object{"type": "null"}, object{"type": "object", "$ref": "#/$defs/" + def,
				"propertyNames": object{"not": object{"enum": []string{"type", "only", "except", "override"}}}}}}}
		m.into(keys, compile.CommonOptions(), false)
	}
	if p.Role != compile.Builder {
		chosen(keys)
	}
	form := object{"type": "object", "properties": keys}
	if p.Later != "" {
		form["description"] = "Known, and " + p.Later + "."
		return form
	}
	m.into(keys, p.Options, false)
	form["additionalProperties"] = false
	form["description"] = m.texts.Struct(p.Struct, p.Type)
	return form
}

func required(list []compile.Option) (names []string) {
	for _, o := range list {
		if o.Required {
			names = append(names, o.Name)
		}
	}
	return names
}

// into adds options to the keys of an object. Off is set for those that can only ask for nothing.
func (m maker) into(keys object, list []compile.Option, off bool) {
	for _, o := range list {
		keys[o.Name] = m.option(o, off)
	}
}

func (m maker) option(o compile.Option, off bool) object {
	if o.Now != "" {
		return object{"deprecated": true, "not": object{}, "description": "It is called " + o.Now + " now."}
	}
	off = off || o.Unsupported
	form := m.shape(o.Shape, off, o.Off)
	what, byDefault, _ := m.texts.Of(o.Of, o.Field)
	if byDefault != "" {
		what += " Default: " + byDefault + "."
	}
	if actions := o.Actions(); o.Late && len(actions) > 0 {
		what += " May hold " + strings.Join(actions, ", ") + "."
	}
	if o.Unsupported {
		what = "Not supported yet: only a value that asks for nothing can be given. " + what
	}
	form["description"] = strings.TrimSpace(what)
	if o.Required {
		form["not"] = object{"enum": []any{nil, "", []any{}, object{}}}
	}
	return form
}

// shape is the form of a value. Off is set for one that can only ask for nothing, and words are texts that do.
func (m maker) shape(s compile.Shape, off bool, words []string) object {
	switch s.Kind {
	case compile.List:
		if off {
			return nothing("", nil)
		}
		single := m.shape(*s.Elem, false, nil)
		if k, ok := scalars[s.Elem.Kind]; ok {
			single = k.form(true)
		}
		return object{"if": object{"type": "array"}, "then": object{"items": m.element(*s.Elem)}, "else": single}
	case compile.Map:
		if off {
			return nothing("", nil)
		}
		form := object{"type": "object", "additionalProperties": m.element(*s.Elem)}
		return object{"if": object{"type": "array"}, "then": object{"items": form}, "else": nullable(form)}
	case compile.Object:
		keys := object{}
		m.into(keys, s.Options, off)
		form := object{"type": "object", "properties": keys, "additionalProperties": false}
		if need := required(s.Options); need != nil {
			form["required"] = need
		}
		one := object{"if": object{"type": "array"}, "then": object{"items": form, "minItems": 1, "maxItems": 1}, "else": nullable(form)}
		if off {
			return object{"anyOf": []any{nothing("", nil), one}}
		}
		return one
	case compile.Any:
		return object{}
	}
	if off {
		return nothing(scalars[s.Kind].zero, append(scalars[s.Kind].zeros, words...))
	}
	return object{"$ref": "#/$defs/" + name(s.Kind)}
}

// element is the form of an element of a list or map. Null is one that is empty, and may lack what is required.
func (m maker) element(s compile.Shape) object {
	form := m.shape(s, false, nil)
	if required(s.Options) != nil {
		form["not"] = object{"type": "null"}
	}
	return form
}

// nullable is a form, or null.
func nullable(form object) object {
	form = maps.Clone(form)
	if kind, ok := form["type"].(string); ok {
		form["type"] = []string{kind, "null"}
	}
	return form
}

// nothing is any value that asks for nothing: the values that are given, texts of a pattern, what is empty, and a text that may come to one of them.
func nothing(pattern string, values []string) object {
	none := []any{nil, "", []any{}, object{}}
	for _, v := range values {
		none = append(none, v)
		switch v {
		case "0":
			none = append(none, 0)
		case "false":
			none = append(none, false)
		}
	}
	return object{"anyOf": []any{object{"enum": none}, object{"type": "string", "pattern": whole(pattern, action)}}}
}

// action is in every text that is not known before the template is evaluated.
const action = `\{\{`

// whole is the pattern of a text that is all of one pattern, but for space around it, or holds another.
func whole(all, inside string) string {
	if all == "" {
		return inside
	}
	return fmt.Sprintf(`^\s*(?:%s)?\s*$|%s`, all, inside)
}

// scalar is what is no list and no object.
type scalar struct {
	types []string // beside text and null
	text  string   // pattern of a text; empty: any
	zero  string   // pattern of a text that asks for nothing
	zeros []string // values that ask for nothing, as texts
}

const (
	yes     = `1|[tT]|[tT][rR][uU][eE]`
	no      = `0|[fF]|[fF][aA][lL][sS][eE]`
	unit    = `(?:ns|us|µs|μs|ms|s|m|h)`
	decimal = `(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)`
)

var scalars = map[compile.ShapeKind]scalar{
	compile.Text:     {types: []string{"number", "boolean"}},
	compile.Secret:   {types: []string{"number", "boolean"}},
	compile.File:     {},
	compile.Boolean:  {types: []string{"number", "boolean"}, text: yes + "|" + no, zero: no, zeros: []string{"0", "false"}},
	compile.Whole:    {types: []string{"integer"}, text: `[+-]?[0-9]+(?:\.0*)?`, zero: `[+-]?0+(?:\.0*)?`, zeros: []string{"0"}},
	compile.Number:   {types: []string{"number"}, text: `[+-]?` + decimal + `(?:[eE][+-]?[0-9]+)?`, zero: `[+-]?0+(?:\.0*)?`, zeros: []string{"0"}},
	compile.Duration: {text: `[+-]?(?:0|(?:` + decimal + unit + `)+)`, zero: `[+-]?(?:0|(?:0+(?:\.0*)?` + unit + `)+)`},
}

// form is the form of a scalar, or of one text that stands for a list of them.
func (k scalar) form(list bool) object {
	form := object{"type": append([]string{"string", "null"}, k.types...)}
	if k.text != "" && list {
		form["pattern"] = whole(fmt.Sprintf(`(?:%[1]s)\s*(?:,\s*(?:%[1]s)?\s*)*`, k.text), action)
	} else if k.text != "" {
		form["pattern"] = whole(k.text, action)
	}
	return form
}

// name is what the form of a kind is called in the schema.
func name(k compile.ShapeKind) string { return strings.ReplaceAll(string(k), " ", "-") }
