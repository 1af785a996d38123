package hcl

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/go-version"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	hcljson "github.com/hashicorp/hcl/v2/json"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/gocty"

	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/internal/interp"
	"github.com/imgflow/imgflow/template"
	"github.com/imgflow/imgflow/template/hcl/funcs"
)

// Template is a template as its files have it. Nothing in it is evaluated.
type Template struct {
	sources   sources
	variables []*variable
	locals    []*local
	data      map[string]*hcl.Block // by type.name
	blocks    map[string]*hcl.Block // sources by type.name
	builds    []*hcl.Block
	plugins   []template.OutlinePlugin

	rounds   funcs.Rounds // of its for expressions
	warnings template.Errors
	lost     map[string]bool // types of blocks of which some could not be read: what is missing may stand there
}

// isJSON tells the kind of a file by its name.
func isJSON(name string) bool { return strings.HasSuffix(name, ".json") }

var rootSchema = &hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{
	{Type: "packer"}, {Type: "variable", LabelNames: []string{"name"}}, {Type: "variables"},
	{Type: "locals"}, {Type: "local", LabelNames: []string{"name"}}, {Type: "data", LabelNames: []string{"type", "name"}},
	{Type: "source", LabelNames: []string{"type", "name"}}, {Type: "build"}, {Type: "hcp_packer_registry"},
	{Type: "communicator", LabelNames: []string{"type", "name"}},
}}

// Parse reads the files of a template, which are in the order of their names. What could be made sense of is returned
// besides the errors.
func Parse(files []template.VarFile) (*Template, template.Errors) {
	t := &Template{sources: sources{}, lost: map[string]bool{}, data: map[string]*hcl.Block{}, blocks: map[string]*hcl.Block{}}
	var errs template.Errors
	var blocks hcl.Blocks
	for _, f := range files {
		body, diags := t.parseFile(f)
		t.sources.report(&errs, "cannot read the template", diags)
		if diags.HasErrors() {
			t.lose(nil)
		}
		if body == nil {
			continue
		}
		content, diags := body.Content(rootSchema)
		t.sources.report(&errs, "cannot read the template", diags)
		if diags.HasErrors() {
			t.lose(body)
		}
		blocks = append(blocks, content.Blocks...)
	}
	for _, b := range blocks {
		t.block(b, &errs)
	}
	t.checkVariables(&errs)
	return t, errs.Sorted()
}

// lose notes what types of blocks may be missing since they were not understood; nil is a body that could not be read.
func (t *Template) lose(body hcl.Body) {
	labels := map[string]int{}
	for _, b := range rootSchema.Blocks {
		labels[b.Type] = len(b.LabelNames)
	}
	native, ok := body.(*hclsyntax.Body)
	if !ok {
		for name := range labels {
			t.lost[name] = true
		}
		return
	}
	for _, b := range native.Blocks {
		if n, known := labels[b.Type]; !known {
			t.lost[interp.Nearest(b.Type, slices.Collect(maps.Keys(labels)))] = true
		} else if n != len(b.Labels) {
			t.lost[b.Type] = true
		}
	}
}

// maxFile bounds a file, in bytes: each takes a parser some hundred times its size.
const maxFile = 2 << 20

// parseFile reads a file of blocks or of variables.
func (t *Template) parseFile(f template.VarFile) (hcl.Body, hcl.Diagnostics) {
	name, src := f.Name, bytes.TrimPrefix(f.Src, []byte("\ufeff"))
	if len(src) > maxFile { // nor is anything of it shown
		start := hcl.Range{Filename: name, Start: hcl.InitialPos, End: hcl.InitialPos}
		return nil, hcl.Diagnostics{{Severity: hcl.DiagError, Subject: &start, Detail: fmt.Sprintf("it has more than %d MiB. "+
			"Data of that size can be read with jsondecode(file(\"data.json\")).", maxFile>>20)}}
	}
	t.sources[name] = template.NewFile(name, src)
	if isJSON(name) {
		if d := funcs.TooDeepJSON(name, src); d != nil {
			return nil, hcl.Diagnostics{d}
		}
		parsed, diags := hcljson.Parse(src, name)
		if parsed == nil || diags.HasErrors() {
			return nil, diags
		}
		return parsed.Body, nil
	}
	if d := funcs.TooDeep(name, src); d != nil {
		return nil, hcl.Diagnostics{d}
	}
	parsed, diags := hclsyntax.ParseConfig(src, name, hcl.InitialPos)
	if parsed == nil {
		return nil, diags
	}
	t.rounds.Watch(parsed.Body.(*hclsyntax.Body))
	return parsed.Body, diags
}

func (t *Template) block(b *hcl.Block, errs *template.Errors) {
	at := t.sources.pos(b.DefRange)
	once := func(m map[string]*hcl.Block, what string) {
		name := b.Labels[0] + "." + b.Labels[1]
		if before := m[name]; before != nil {
			errs.AddCode(errcode.DuplicateName, at, "", "cannot use the %s %s: it is declared a second time; the first is at %s", what, name, t.sources.pos(before.DefRange))
			return
		}
		for i, l := range b.Labels {
			if !hclsyntax.ValidIdentifier(l) {
				errs.Add(t.sources.pos(b.LabelRanges[i]), "letters, digits, - and _ make a name", "cannot use the %s: %q is no name", what, l)
			}
		}
		m[name] = b
	}
	switch b.Type {
	case "packer":
		t.packer(b, errs)
	case "variable":
		t.variable(b, errs)
	case "variables":
		attrs, diags := b.Body.JustAttributes()
		t.sources.report(errs, "cannot read the variables", diags)
		for _, a := range ordered(attrs) {
			t.declare(&variable{name: a.Name, at: t.sources.pos(a.NameRange), init: a.Expr, typ: cty.NilType}, errs)
		}
	case "locals":
		attrs, diags := b.Body.JustAttributes()
		t.sources.report(errs, "cannot read the locals", diags)
		for _, a := range ordered(attrs) {
			t.addLocal(&local{name: a.Name, at: t.sources.pos(a.NameRange), expr: a.Expr}, errs)
		}
	case "local":
		t.local(b, errs)
	case "data":
		once(t.data, "data source")
	case "source":
		once(t.blocks, "source")
	case "build":
		t.builds = append(t.builds, b)
	case "hcp_packer_registry":
		t.warnings.AddCode(errcode.OptionIdle, at, "", "hcp_packer_registry has no effect: nothing is sent to HCP")
	case "communicator":
		t.warnings.AddCode(errcode.OptionIdle, at, "", "a communicator block has no effect, as in Packer: its options belong into the source")
	}
}

// ordered are attributes in the order of their places.
func ordered(attrs hcl.Attributes) []*hcl.Attribute {
	list := make([]*hcl.Attribute, 0, len(attrs))
	for _, a := range attrs {
		list = append(list, a)
	}
	slices.SortFunc(list, func(a, b *hcl.Attribute) int {
		if c := strings.Compare(a.Range.Filename, b.Range.Filename); c != 0 {
			return c
		}
		return a.Range.Start.Byte - b.Range.Start.Byte
	})
	return list
}

// BuiltIn are the plug-ins whose components this program has itself, by owner and name;
// the host may be a mirror.
var BuiltIn = []string{"hashicorp/amazon", "hashicorp/ansible", "hashicorp/chef", "hashicorp/converge", "hashicorp/inspec", "hashicorp/puppet", "hashicorp/salt", "YaleUniversity/goss", "rgl/windows-update"}

func builtIn(owner, name string) bool {
	return slices.ContainsFunc(BuiltIn, func(b string) bool { return strings.EqualFold(b, owner+"/"+name) })
}

func (t *Template) packer(b *hcl.Block, errs *template.Errors) {
	content, diags := b.Body.Content(&hcl.BodySchema{
		Attributes: []hcl.AttributeSchema{{Name: "required_version"}},
		Blocks:     []hcl.BlockHeaderSchema{{Type: "required_plugins"}},
	})
	t.sources.report(errs, "cannot read the packer block", diags)
	if a := content.Attributes["required_version"]; a != nil {
		if want, ok := t.constant(a.Expr, errs); ok {
			t.required(a, want, errs)
		}
	}
	seen := map[string]bool{}
	for _, p := range content.Blocks {
		attrs, diags := p.Body.JustAttributes()
		t.sources.report(errs, "cannot read required_plugins", diags)
		for _, a := range ordered(attrs) {
			at := t.sources.pos(a.NameRange)
			if seen[a.Name] {
				errs.Add(at, "", "cannot use the plug-in %s: it is required twice", a.Name)
			}
			seen[a.Name] = true
			t.plugin(a, at, errs)
		}
	}
}

func (t *Template) required(a *hcl.Attribute, want string, errs *template.Errors) {
	at := t.sources.pos(a.Expr.Range())
	c, err := version.NewConstraint(want)
	if err != nil {
		errs.Add(at, `write it as ">= 1.7.0"`, "cannot use required_version: %q is no constraint on a version", want)
		return
	}
	if !c.Check(version.Must(version.NewVersion(interp.PackerVersion))) {
		errs.Add(at, "", "cannot build: the template needs Packer's language of version %s; this is %s", want, interp.PackerVersion)
	}
}

func (t *Template) plugin(a *hcl.Attribute, at template.Pos, errs *template.Errors) {
	v, diags := a.Expr.Value(nil)
	t.sources.report(errs, "cannot read the plug-in "+a.Name, diags)
	if diags.HasErrors() {
		return
	}
	text := func(key string) string {
		if !v.Type().IsObjectType() || !v.Type().HasAttribute(key) {
			return ""
		}
		s := ""
		gocty.FromCtyValue(v.GetAttr(key), &s) // what is no text is empty, and refused below
		return s
	}
	source, constraint := text("source"), text("version")
	if v.Type() == cty.String && v.IsKnown() && !v.IsNull() {
		source, constraint = "github.com/hashicorp/"+a.Name, v.AsString() // as the first versions of HCL2 templates had it
	}
	if _, err := version.NewConstraint(constraint); constraint != "" && err != nil {
		errs.Add(at, `write it as ">= 1.2.0"`, "cannot use the plug-in %s: its version %q is no constraint", a.Name, constraint)
	}
	parts := strings.Split(source, "/")
	if len(parts) < 3 || strings.Contains(source, "://") || slices.Contains(parts, "") {
		errs.Add(at, `write source = "github.com/hashicorp/amazon"`, "cannot use the plug-in %s: its source must be a host, a namespace and a name", a.Name)
		return
	}
	required := template.OutlinePlugin{Name: a.Name, Source: source, Version: constraint, Pos: at, BuiltIn: builtIn(parts[len(parts)-2], parts[len(parts)-1])}
	t.plugins = append(t.plugins, required)
	if !required.BuiltIn {
		t.warnings.Add(at, "", "the plug-in %s is not used: plug-ins are not loaded, and what imgflow has is built in", source)
	}
}

// constant is the text that an expression without references is.
func (t *Template) constant(e hcl.Expression, errs *template.Errors) (string, bool) {
	v, diags := e.Value(nil)
	t.sources.report(errs, "cannot read the template", diags)
	if diags.HasErrors() {
		return "", false
	}
	if v.Type() != cty.String || v.IsNull() || !v.IsKnown() {
		errs.Add(t.sources.pos(e.Range()), "", "cannot read the template: a text is expected here")
		return "", false
	}
	return v.AsString(), true
}

// nearest names what may have been meant.
func nearest(name string, all []string) string {
	if near := interp.Nearest(name, all); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return ""
}
