package template

import "strings"

// Parsed is a template whose files have been read, in whatever language.
type Parsed interface {
	// Evaluate resolves variables and expressions; see [Template.Evaluate].
	Evaluate(Inputs) (*Config, Errors)
	// Outline lists what the template holds, as it is written.
	Outline() Outline
}

// Outline is what a template holds.
type Outline struct {
	Description    string
	Variables      []OutlineVariable
	Data           []OutlinePart // data sources
	Builders       []OutlinePart
	Provisioners   []OutlinePart
	PostProcessors [][]string // types, of each sequence
	Tests          []OutlineTest
	Plugins        []OutlinePlugin
	Locals         []OutlineVariable
}

// OutlinePlugin is a plug-in of Packer that the template requires.
type OutlinePlugin struct {
	Name, Source, Version string
	Pos                   Pos
	BuiltIn               bool // its components are part of this program
}

// OutlineVariable is a variable as it is declared.
type OutlineVariable struct {
	Name                string
	Default             string // empty if it is sensitive
	Required, Sensitive bool
}

// OutlinePart is a data source, a builder or a provisioner.
type OutlinePart struct {
	Name, Type   string // a provisioner has no name
	Only, Except []string
}

// OutlineTest is a test of what is built.
type OutlineTest struct {
	Name         string
	Only, Except []string
	Provisioners []string // their types
}

// Outline lists what the template holds.
func (t *Template) Outline() Outline {
	out := Outline{Description: t.Description}
	sensitive := map[string]bool{}
	for _, v := range t.Sensitive {
		sensitive[v.Text] = true
	}
	for _, v := range t.Variables {
		x := OutlineVariable{Name: v.Name, Required: v.Required, Sensitive: sensitive[v.Name]}
		if !x.Sensitive {
			x.Default = v.Default.Text
		}
		out.Variables = append(out.Variables, x)
	}
	for _, b := range t.Builders {
		name := b.Name.Text
		if name == "" {
			name = b.Type
		}
		out.Builders = append(out.Builders, OutlinePart{Name: name, Type: b.Type})
	}
	texts := func(vs []Raw) (out []string) {
		for _, v := range vs {
			out = append(out, strings.TrimSpace(v.Text))
		}
		return out
	}
	for _, p := range t.Provisioners {
		out.Provisioners = append(out.Provisioners, OutlinePart{Type: p.Type, Only: texts(p.Only), Except: texts(p.Except)})
	}
	for _, x := range t.Tests {
		o := OutlineTest{Name: x.Name.Text, Only: texts(x.Only), Except: texts(x.Except)}
		for _, p := range x.Provisioners {
			o.Provisioners = append(o.Provisioners, p.Type)
		}
		out.Tests = append(out.Tests, o)
	}
	for _, seq := range t.PostProcessors {
		var types []string
		for _, p := range seq {
			types = append(types, p.Type)
		}
		out.PostProcessors = append(out.PostProcessors, types)
	}
	return out
}
