package template

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/zclconf/go-cty/cty"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/internal/interp"
)

// Inputs is all that a template is evaluated with.
type Inputs struct {
	Vars     map[string]string // from -var
	VarFiles []VarFile         // from -var-file, in order; a later one wins
	Environ  func(name string) string
	Clock    time.Time     // one instant for the whole run
	UUID     func() string // called in the same order for the same template and inputs
	Only     []string      // names of builds; empty: all
	Except   []string      // names of builds and post-processors
	Dir      string        // folder of the template
	Cwd      string        // working directory
	Strict   bool          // what would be a warning is an error

	Files func(path string) string // where a file is to be read that lies at an absolute path; nil: there

	QuietUndeclared bool // nothing is said of values in VarFiles that no variable has

	DataTypes map[string]cty.Type // of each type of data source, what it yields: an object
	Known     map[string]Looked   // what was looked up so far, by type.name
	Made      Made                // what builds have made so far

	// Enforced is set for a template that adds to the builds of others: the build that it is evaluated for, as the
	// only one. Such a template has no builders, or build blocks without sources.
	Enforced *Build
}

// Looked is what a data source yields. Its secrets are marked with the names that they have in Secrets.
type Looked struct {
	cty.Value
	Secrets map[string]string
}

// Config is what a front end makes of a template: everything is filled in that can be known before a build runs.
type Config struct {
	Variables []VariableValue
	Data      []Data // each after those that it refers to
	Builds    []Build
	Made      Made              // what was known of it
	Secrets   map[string]string // name of each marker → real value
	Warnings  Errors            // what is not wrong, but may not be meant

	// Ask evaluates an expression of the template's language with what the template has, and returns what it comes to
	// as a person reads it: without secrets.
	Ask func(expression string) (string, Errors)
}

// Data is a data source: what is looked up before it is known what the builds are that refer to it.
type Data struct {
	Type, Name string
	Pos        Pos
	Options    Value    // an object
	Refers     []string // the data sources that it refers to, by type.name
	Known      bool     // it was looked up
}

// Label is how references name the data source, after data.
func (d Data) Label() string { return d.Type + "." + d.Name }

// Build is one builder with all that belongs to it.
type Build struct {
	Name, Type     string
	Label          string // what {{build_name}} and PACKER_BUILD_NAME are: of several builds it may be the same
	Pos            Pos
	Options        Value // an object
	Provisioners   []Part
	ErrorCleanup   *Part
	PostProcessors [][]Part // each a sequence
	Tests          []BuildTest
	Refers         []string // the data sources that it refers to, by type.name
	Needs          []Need   // results of other builds that its expressions are made of
}

// BuildTest is a test of what one build makes.
type BuildTest struct {
	Name         string // empty if it has none
	Pos          Pos
	Options      Value // an object
	Provisioners []Part
}

// Part is a provisioner or post-processor of one build.
type Part struct {
	Type    string
	Name    string // of a post-processor
	Pos     Pos
	Options Value // an object

	Enforced bool // it was added to what the template says: see [Inputs]
}

// Evaluate resolves variables and template strings. When there are errors, the result holds what
// could be evaluated, and a Value of kind Faulty for what could not, so that the rest can still be checked.
func (t *Template) Evaluate(in Inputs) (*Config, Errors) {
	if in.Enforced != nil {
		for _, b := range t.Builders {
			return &Config{}, Errors{{Pos: b.Pos, Text: errEnforcedBuilders}}
		}
		enforcing := *t
		name := Raw{Kind: String, Text: in.Enforced.Label, Pos: t.start}
		enforcing.Builders = []Block{{Type: in.Enforced.Type, Name: name, Pos: t.start, Options: Raw{Kind: Object, Pos: t.start}}}
		t = &enforcing
	}
	s := newScope(t, in)
	ev := &Config{Variables: s.all(), Secrets: s.env.Secrets, Ask: s.ask}
	names := t.names(s)
	if len(names) == 0 && len(s.errs) == 0 && !t.lostBuilders {
		at := t.start
		if t.buildersDeclaration.Line > 0 {
			at = t.buildersDeclaration
		}
		s.errs.Add(at, "", "cannot build: the template has no builders")
	}
	t.checkNames(s, names, in)
	chosen := t.choose()
	for i, b := range t.Builders {
		if names[i] == "" || len(in.Only) > 0 && !slices.Contains(in.Only, names[i]) || slices.Contains(in.Except, names[i]) {
			continue
		}
		ev.Builds = append(ev.Builds, t.build(s, b, names[i], in.Except, chosen))
	}
	if len(ev.Builds) == 0 && len(s.errs) == 0 && !t.lostBuilders {
		s.errs.Add(Pos{File: "command line"}, "the builds are "+strings.Join(names, ", "), "cannot build: -only and -except leave no build")
	}
	ev.Data, ev.Warnings = s.data, s.warnings.Sorted()
	return ev, s.errs.Sorted()
}

// ask evaluates a text as a part of the variables section would be.
func (s *scope) ask(text string) (string, Errors) {
	before := s.errs
	s.errs = nil
	got, state := s.early(Raw{Kind: String, Text: text, Pos: Pos{File: "console"}}, "the text", &s.env)
	errs := s.errs
	s.errs = before
	switch state {
	case bad:
		return "", errs
	case awaits:
		return "<known when it runs>", errs
	}
	got, err := interp.Reveal(got, func(string) (string, error) { return "<sensitive>", nil })
	if err != nil {
		errs.Add(Pos{File: "console"}, "", "cannot evaluate the text: %s", err)
	}
	return got, errs
}

const errEnforcedBuilders = "cannot enforce: what is enforced is added to the builds of a template, and has none of its own"

const errSecretName = "cannot use a sensitive variable in the name of a build"

// names evaluates the names of the builds. A name that is wrong is empty.
func (t *Template) names(s *scope) []string {
	names := make([]string, len(t.Builders))
	taken := map[string]bool{}
	for i, b := range t.Builders {
		name, at := b.Type, b.Pos
		if b.Name.Kind == String {
			at = b.Name.Pos
			env := s.env
			env.Getenv, env.Ask = nil, nil
			path := fmt.Sprintf("builders[%d].name", i)
			text, state := s.early(b.Name, path, &env)
			if state == awaits {
				s.errs.Add(at, "", errSecretName)
			}
			if state != good {
				continue
			}
			text, err := interp.Plain(text)
			if err != nil {
				s.report(b.Name, path, err)
				continue
			}
			if text != "" {
				name = text
			}
		}
		if interp.Marked(name) {
			s.errs.Add(at, "", errSecretName)
			continue
		}
		if taken[name] {
			s.errs.AddCode(errcode.DuplicateName, at, `give each builder a "name" of its own`, "cannot build: two builds are called %q", name)
			continue
		}
		names[i], taken[name] = name, true
	}
	return names
}

// checkNames reports names of builds that do not exist.
func (t *Template) checkNames(s *scope, names []string, in Inputs) {
	if t.lostBuilders || slices.Contains(names, "") {
		return // what is wrong has been reported
	}
	there := map[string]bool{}
	for _, name := range names {
		there[name] = true
	}
	all := strings.Join(names[:min(len(names), 20)], ", ")
	if len(names) > 20 {
		all += fmt.Sprintf(" and %d more", len(names)-20)
	}
	hints := 0
	check := func(at Pos, name, what string, others ...string) {
		if there[name] || slices.Contains(others, name) {
			return
		}
		hint := "the builds are " + all
		if hints++; hints <= shown { // no more are printed
			if near := interp.Nearest(name, append(slices.Clone(names), others...)); near != "" {
				hint = fmt.Sprintf("did you mean %q?", near)
			}
		}
		s.errs.AddCode(errcode.UnknownName, at, hint, "cannot use %s: there is no build called %q", what, name)
	}
	var processors []string
	for _, seq := range t.PostProcessors {
		for _, pp := range seq {
			processors = append(processors, pp.name())
			for _, n := range slices.Concat(pp.Only, pp.Except) {
				check(n.Pos, n.Text, "only or except of the post-processor "+pp.Type)
			}
		}
	}
	provisioners := slices.Clone(t.Provisioners)
	if t.ErrorCleanup != nil {
		provisioners = append(provisioners, *t.ErrorCleanup)
	}
	choices := func(p Provisioner, what string) {
		for _, n := range slices.Concat(p.Only, p.Except) {
			check(n.Pos, n.Text, "only or except of "+what)
		}
		for _, f := range p.Override {
			check(f.Pos, f.Name, "override of "+what)
		}
	}
	for _, x := range t.Tests {
		choices(x.Provisioner, "the test")
		provisioners = append(provisioners, x.Provisioners...)
	}
	for _, p := range provisioners {
		choices(p, "the provisioner "+p.Type)
	}
	for _, n := range in.Only {
		check(Pos{File: "-only"}, n, "-only")
	}
	for _, n := range in.Except {
		check(Pos{File: "-except"}, n, "-except", processors...)
	}
}

func (p PostProcessor) name() string {
	if p.Name.Kind == String && p.Name.Text != "" {
		return p.Name.Text
	}
	return p.Type
}

// choices are those of all parts of a template that many builds choose from.
type choices struct {
	provisioners, tests choice
	inTests             []choice // of each test, its provisioners
}

func (t *Template) choose() (c choices) {
	c.provisioners = choose(t.Provisioners)
	list := make([]Provisioner, len(t.Tests))
	for i, x := range t.Tests {
		list[i] = x.Provisioner
		c.inTests = append(c.inTests, choose(x.Provisioners))
	}
	c.tests = choose(list)
	return c
}

// choice says which of many parts each build has, without asking each part.
type choice struct {
	all   []int            // parts of all builds but some
	named map[string][]int // parts that name the build among the only ones
	but   map[string][]int // parts that name the build among those excepted

	override []map[string]Raw // of each part: build → options
}

// choose makes the choice of provisioners.
func choose(list []Provisioner) choice {
	c := choice{named: map[string][]int{}, but: map[string][]int{}}
	for i, p := range list {
		if len(p.Only) == 0 {
			c.all = append(c.all, i)
		}
		for _, n := range p.Only {
			c.named[n.Text] = append(c.named[n.Text], i)
		}
		for _, n := range p.Except {
			c.but[n.Text] = append(c.but[n.Text], i)
		}
		c.override = append(c.override, p.overrides())
	}
	return c
}

// of returns the parts of a build, in their order.
func (c choice) of(build string) []int {
	parts := slices.Concat(c.all, c.named[build])
	slices.Sort(parts)
	parts = slices.Compact(parts)
	but := c.but[build]
	return slices.DeleteFunc(parts, func(i int) bool { _, found := slices.BinarySearch(but, i); return found })
}

func (t *Template) build(s *scope, b Block, name string, except []string, chosen choices) Build {
	env := s.env
	env.Getenv, env.Ask, env.BuildName, env.BuildType = nil, nil, name, b.Type
	e := evaluator{scope: s, env: &env}
	s.refers = nil
	out := Build{Name: name, Label: name, Type: b.Type, Pos: b.Pos, Options: e.value(b.Options, name)}
	out.Provisioners = e.provisioners(t.Provisioners, chosen.provisioners, name)
	for _, i := range chosen.tests.of(name) {
		x := t.Tests[i]
		out.Tests = append(out.Tests, BuildTest{Name: x.Name.Text, Pos: x.Pos, Options: e.provisioner(x.Provisioner, chosen.tests.override[i][name]).Options,
			Provisioners: e.provisioners(x.Provisioners, chosen.inTests[i], name)})
	}
	if p := t.ErrorCleanup; p != nil && applies(p.Only, p.Except, name) {
		part := e.provisioner(*p, p.overrides()[name])
		out.ErrorCleanup = &part
	}
	for _, seq := range t.PostProcessors {
		var parts []Part
		for _, pp := range seq {
			if slices.Contains(except, pp.name()) {
				break // the rest of the sequence would have no input
			}
			if applies(pp.Only, pp.Except, name) {
				parts = append(parts, Part{Type: pp.Type, Name: pp.name(), Pos: pp.Pos, Options: e.value(pp.Options, pp.Type)})
			}
		}
		if len(parts) > 0 {
			out.PostProcessors = append(out.PostProcessors, parts)
		}
	}
	out.Refers = slices.Sorted(maps.Keys(s.refers))
	return out
}

func applies(only, except []Raw, build string) bool {
	has := func(names []Raw) bool {
		return slices.ContainsFunc(names, func(v Raw) bool { return v.Text == build })
	}
	return (len(only) == 0 || has(only)) && !has(except)
}

// evaluator evaluates the texts of one build.
type evaluator struct {
	scope *scope
	env   *interp.Env
}

// overrides are the options that builds have of their own.
func (p Provisioner) overrides() map[string]Raw {
	m := make(map[string]Raw, len(p.Override))
	for _, f := range p.Override {
		m[f.Name] = f.Value
	}
	return m
}

// provisioners evaluates those of a list that are for a build.
func (e *evaluator) provisioners(list []Provisioner, chosen choice, build string) (parts []Part) {
	for _, i := range chosen.of(build) {
		parts = append(parts, e.provisioner(list[i], chosen.override[i][build]))
	}
	return parts
}

// provisioner evaluates a provisioner with the options that a build has of its own, if any.
func (e *evaluator) provisioner(p Provisioner, own Raw) Part {
	options := p.Options
	if len(own.Fields) > 0 {
		options.Fields = slices.Clone(options.Fields)
	}
	for _, o := range own.Fields {
		if i := slices.IndexFunc(options.Fields, func(x RawField) bool { return x.Name == o.Name }); i >= 0 {
			options.Fields[i] = o
		} else {
			options.Fields = append(options.Fields, o)
		}
	}
	return Part{Type: p.Type, Pos: p.Pos, Options: e.value(options, p.Type)}
}

// value evaluates every text below raw. The path names it in messages.
func (e *evaluator) value(raw Raw, path string) Value {
	place := &Place{}
	return Value{e.fill(raw, path, place), place}
}

// fill is value for what stands at a place that is to be filled in.
func (e *evaluator) fill(raw Raw, path string, place *Place) cty.Value {
	place.Pos = raw.Pos
	switch raw.Kind {
	case Null:
		return cty.NullVal(cty.DynamicPseudoType)
	case Bool:
		return cty.BoolVal(raw.Bool)
	case Number:
		return number(raw.Text, place)
	case String:
		switch text, state := e.scope.early(raw, path, e.env); state {
		case good:
			return evaluated(text, place)
		case awaits:
			return cty.UnknownVal(cty.String)
		}
	case List:
		place.List, place.Inside = true, make([]Inner, len(raw.List))
		list := make([]cty.Value, len(raw.List))
		for i, x := range raw.List {
			list[i] = e.fill(x, fmt.Sprintf("%s[%d]", path, i), &place.Inside[i].Value)
		}
		return cty.TupleVal(list)
	case Object:
		place.Inside = make([]Inner, 0, len(raw.Fields))
		o := object{Place: place, attributes: make(map[string]cty.Value, len(raw.Fields))}
		for _, f := range raw.Fields {
			in := Inner{Name: f.Name, Key: Place{Pos: f.Pos}}
			v := e.fill(f.Value, path+"."+f.Name, &in.Value)
			if !strings.Contains(f.Name, "{{") {
				if name := dag.Text(f.Name); name.Known() { // else nothing has made these parts
					TextValue(name, &in.Key)
				}
			} else if !e.key(f, path, &in) {
				v = cty.DynamicVal
			}
			o.add(in, v)
		}
		return cty.ObjectVal(o.attributes)
	}
	return cty.DynamicVal
}

// key evaluates the name of a key.
func (e *evaluator) key(f RawField, path string, in *Inner) bool {
	name, state := e.scope.early(textValue(f.Pos, f.Name), path+"."+f.Name, e.env)
	ok := state == good
	if interp.Marked(name) || state == awaits {
		e.scope.errs.Add(f.Pos, "", "cannot use a sensitive variable in the name of a key")
		ok = false
	}
	if in.Name = name; ok {
		evaluated(name, &in.Key)
	}
	return ok
}
