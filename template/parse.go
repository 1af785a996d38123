package template

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/internal/interp"
)

// Template is a template as its file has it. Nothing in it is evaluated.
type Template struct {
	File        string
	Description string
	MinVersion  string   // of Packer
	Comments    []string // at the top of the file, in their order
	Variables   []Variable
	Sensitive   []Raw // names of sensitive variables

	Builders            []Block
	Provisioners        []Provisioner
	ErrorCleanup        *Provisioner
	PostProcessors      [][]PostProcessor // each a sequence
	Tests               []Test
	start               Pos
	buildersDeclaration Pos

	// What could not be made sense of, and has been reported: some builds or variables are not known.
	lostBuilders, lostVariables bool
}

// Variable is the declaration of a user variable.
type Variable struct {
	Name     string
	Pos      Pos
	Default  Raw // a String, Null when Required, or Faulty when it could not be made sense of
	Required bool
}

// Block is one builder, provisioner or post-processor.
type Block struct {
	Type    string
	Name    Raw // what a builder is called; Null: as its type
	Pos     Pos // of its type where there is one
	Options Raw // an Object, without the keys that have a field here
}

// Provisioner is a provisioner and which builds it belongs to.
type Provisioner struct {
	Block
	Only, Except []Raw
	Override     []RawField // build name → Object
}

// PostProcessor is a post-processor and which builds it belongs to.
type PostProcessor struct {
	Block
	Only, Except []Raw
}

// Test is a test of what is built: like a provisioner it is for some builds, and may
// have options for some.
type Test struct {
	Provisioner
	Provisioners []Provisioner
}

// Sections are the keys that the root of a template may have, beside comments: keys that begin with an underscore.
var Sections = []string{"min_packer_version", "description", "variables", "sensitive-variables", "builders",
	"provisioners", "tests", "error-cleanup-provisioner", "post-processors", "push", "comments"}

// Parse reads a template in JSON. The template is nil only when its JSON cannot be read; otherwise
// it holds what could be made sense of, besides the errors. The filename is for messages only.
func Parse(filename string, src []byte) (*Template, Errors) {
	s := NewFile(filename, src)
	root, ok, errs := readJSON("template", s)
	if !ok {
		return nil, errs.Sorted()
	}
	p := parser{errs: errs}
	t := p.template(root)
	t.File, t.start = filename, root.Pos
	return t, p.errs.Sorted()
}

type parser struct{ errs Errors }

// is reports that the value of a key is not of the kind it must be.
func (p *parser) is(key string, v Raw, kinds ...Kind) bool {
	if slices.Contains(kinds, v.Kind) {
		return true
	}
	if v.Kind == Faulty {
		return false
	}
	words := make([]string, len(kinds))
	for i, k := range kinds {
		words[i] = k.String()
	}
	p.errs.Add(v.Pos, "", "cannot use %s: %s is expected, not %s", key, strings.Join(words, " or "), v.Kind)
	return false
}

func (p *parser) template(root Raw) *Template {
	t := &Template{}
	if root.Kind != Object && root.Kind != Null {
		t.lostBuilders, t.lostVariables = true, true
		p.errs.Add(root.Pos, "", "cannot read the template: an object is expected, not %s", root.Kind)
		return t
	}
	for _, f := range root.Fields {
		v := f.Value
		if f.Name == "builders" {
			t.buildersDeclaration = f.Pos
		}
		if v.Kind == Null && slices.Contains(Sections, f.Name) {
			continue // as if it were not there
		}
		switch f.Name {
		case "min_packer_version":
			t.MinVersion = v.Text
			p.minVersion(v)
		case "description":
			if p.is(f.Name, v, String) {
				t.Description = v.Text
			}
		case "variables":
			p.variables(t, v)
		case "sensitive-variables":
			t.Sensitive = append(t.Sensitive, p.names(f.Name, v)...)
		case "builders":
			p.builders(t, v)
		case "provisioners":
			t.Provisioners = p.provisioners(f.Name, v)
		case "tests":
			p.tests(t, v)
		case "error-cleanup-provisioner":
			if pr, ok := p.provisioner(f.Name, v); ok {
				t.ErrorCleanup = &pr
			}
		case "post-processors":
			p.postProcessors(t, v)
		case "push", "comments":
			// Written by older tools; means nothing here.
		default:
			if strings.HasPrefix(f.Name, "_") {
				if v.Kind == String {
					t.Comments = append(t.Comments, v.Text)
				}
				continue
			}
			hint := "a comment needs a key that begins with an underscore"
			if near := interp.Nearest(f.Name, Sections); near != "" {
				hint = fmt.Sprintf("did you mean %q?", near)
				t.lostBuilders = t.lostBuilders || near == "builders"
				t.lostVariables = t.lostVariables || near == "variables"
			}
			p.errs.AddCode(errcode.UnknownName, f.Pos, hint, "cannot use %q: there is no such section", f.Name)
		}
	}
	return t
}

func (p *parser) minVersion(v Raw) {
	const key = "min_packer_version"
	if !p.is(key, v, String) {
		return
	}
	want, ok := version(v.Text)
	have, _ := version(interp.PackerVersion)
	if !ok {
		p.errs.Add(v.Pos, `write it as "1.6.0"`, "cannot use %s: %q is not a version", key, v.Text)
	} else if slices.Compare(want, have) > 0 {
		p.errs.Add(v.Pos, "", "cannot build: the template needs Packer's language of version %s; this is %s", v.Text, interp.PackerVersion)
	}
}

func version(s string) (parts []int, ok bool) {
	s, _, _ = strings.Cut(strings.TrimPrefix(s, "v"), "-")
	for _, w := range strings.Split(s, ".") {
		n, err := strconv.Atoi(w)
		if err != nil || n < 0 {
			return nil, false
		}
		parts = append(parts, n)
	}
	return parts, len(parts) <= 3
}

func (p *parser) variables(t *Template, v Raw) {
	if !p.is("variables", v, Object) {
		t.lostVariables = true
		return
	}
	for _, f := range v.Fields {
		decl := Variable{Name: f.Name, Pos: f.Pos, Default: f.Value, Required: f.Value.Kind == Null}
		if !decl.Required {
			def, ok := plainText(f.Value)
			if !ok {
				p.is("variables."+f.Name, f.Value, String, Null)
				def.Kind = Faulty
			}
			decl.Default = def
		}
		t.Variables = append(t.Variables, decl)
	}
}

// plainText makes a text of a text, a number or a boolean.
func plainText(v Raw) (Raw, bool) {
	switch v.Kind {
	case Bool:
		v.Text = strconv.FormatBool(v.Bool)
	case Number, String:
	default:
		return v, false
	}
	v.Kind = String
	return v, true
}

func (p *parser) builders(t *Template, v Raw) {
	if !p.is("builders", v, List) {
		t.lostBuilders = true
		return
	}
	for i, e := range v.List {
		if b, ok := p.block(fmt.Sprintf("builders[%d]", i), e); ok {
			t.Builders = append(t.Builders, b)
		} else {
			t.lostBuilders = true
		}
	}
}

// block reads an object with a type.
func (p *parser) block(key string, v Raw) (b Block, ok bool) {
	if !p.is(key, v, Object) {
		return b, false
	}
	kind, found := v.Get("type")
	switch {
	case !found || kind.Kind == Null:
		p.errs.Add(v.Pos, "", "cannot use %s: it has no type", key)
		return b, false
	case !p.is(key+".type", kind, String):
		return b, false
	case kind.Text == "":
		p.errs.Add(kind.Pos, "", "cannot use %s: its type is empty", key)
		return b, false
	}
	b = Block{Type: kind.Text, Pos: kind.Pos, Options: v.Without("type", "name")}
	if name, ok := v.Get("name"); ok && name.Kind != Null && p.is(key+".name", name, String) {
		b.Name = name
	}
	return b, true
}

// names reads a list of names; one name alone is a list of one.
func (p *parser) names(key string, v Raw) []Raw {
	if v.Kind == String {
		return []Raw{v}
	}
	if v.Kind == Null || !p.is(key, v, List) {
		return nil
	}
	var names []Raw
	for i, e := range v.List {
		if p.is(fmt.Sprintf("%s[%d]", key, i), e, String) {
			names = append(names, e)
		}
	}
	return names
}

// empty says whether a value says no more than its absence.
func empty(v Raw) bool {
	return v.Kind == Null || v.Kind == List && len(v.List) == 0
}

// chosen takes only and except out of the options of a block.
func (p *parser) chosen(key string, b *Block) (only, except []Raw) {
	o, _ := b.Options.Get("only")
	e, _ := b.Options.Get("except")
	if !empty(o) && !empty(e) {
		p.errs.Add(e.Pos, "take one of them away", "cannot use %s: it has both only and except", key)
	}
	only, except = p.names(key+".only", o), p.names(key+".except", e)
	b.Options = b.Options.Without("only", "except")
	return only, except
}

func (p *parser) provisioner(key string, v Raw) (pr Provisioner, ok bool) {
	if pr.Block, ok = p.block(key, v); !ok {
		return pr, false
	}
	if name, ok := v.Get("name"); ok {
		// JSON provisioners have no name; leaving it among the options makes it an unknown one.
		pr.Name = Raw{}
		pr.Options.Fields = append(pr.Options.Fields, RawField{Name: "name", Pos: name.Pos, Value: name})
	}
	p.choices(key, &pr)
	return pr, true
}

// choices takes what says for which builds it is, and how, out of the options.
func (p *parser) choices(key string, pr *Provisioner) {
	pr.Only, pr.Except = p.chosen(key, &pr.Block)
	if o, ok := pr.Options.Get("override"); ok && o.Kind != Null && p.is(key+".override", o, Object) {
		for _, f := range o.Fields {
			if f.Value.Kind == Null || p.is(key+".override."+f.Name, f.Value, Object) {
				pr.Override = append(pr.Override, f)
			}
		}
	}
	pr.Options = pr.Options.Without("override")
}

func (p *parser) provisioners(key string, v Raw) (list []Provisioner) {
	if !p.is(key, v, List) {
		return nil
	}
	for i, e := range v.List {
		if pr, ok := p.provisioner(fmt.Sprintf("%s[%d]", key, i), e); ok {
			list = append(list, pr)
		}
	}
	return list
}

func (p *parser) tests(t *Template, v Raw) {
	if !p.is("tests", v, List) {
		return
	}
	for i, e := range v.List {
		key := fmt.Sprintf("tests[%d]", i)
		if !p.is(key, e, Object) {
			continue
		}
		x := Test{Provisioner: Provisioner{Block: Block{Type: "test", Pos: e.Pos, Options: e.Without("name", "provisioners")}}}
		if name, ok := e.Get("name"); ok && name.Kind != Null && p.is(key+".name", name, String) {
			x.Name, x.Pos = name, name.Pos
		}
		p.choices(key, &x.Provisioner)
		if list, ok := e.Get("provisioners"); ok && list.Kind != Null {
			x.Provisioners = p.provisioners(key+".provisioners", list)
		}
		t.Tests = append(t.Tests, x)
	}
}

func (p *parser) postProcessors(t *Template, v Raw) {
	if !p.is("post-processors", v, List) {
		return
	}
	for i, e := range v.List {
		key := fmt.Sprintf("post-processors[%d]", i)
		var seq []PostProcessor
		if e.Kind == List {
			for j, m := range e.List {
				if pp, ok := p.postProcessor(fmt.Sprintf("%s[%d]", key, j), m); ok {
					seq = append(seq, pp)
				}
			}
		} else if pp, ok := p.postProcessor(key, e); ok {
			seq = append(seq, pp)
		}
		if len(seq) > 0 {
			t.PostProcessors = append(t.PostProcessors, seq)
		}
	}
}

func (p *parser) postProcessor(key string, v Raw) (pp PostProcessor, ok bool) {
	if v.Kind == String {
		pp.Block = Block{Type: v.Text, Pos: v.Pos, Options: Raw{Pos: v.Pos, Kind: Object}}
		return pp, true
	}
	if !p.is(key, v, Object, String) {
		return pp, false
	}
	if pp.Block, ok = p.block(key, v); !ok {
		return pp, false
	}
	pp.Only, pp.Except = p.chosen(key, &pp.Block)
	return pp, true
}
