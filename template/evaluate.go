package template

import (
	"fmt"
	"slices"
	"strings"
	"time"

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
}

// Evaluated is a template with everything filled in that can be known before a build runs.
type Evaluated struct {
	Variables []VariableValue
	Builds    []Build
	Secrets   map[string]string // name of each marker → real value
	Warnings  Errors            // what is not wrong, but may not be meant
}

// Build is one builder with all that belongs to it.
type Build struct {
	Name, Type     string
	Pos            Pos
	Options        Value // an Object
	Provisioners   []Part
	ErrorCleanup   *Part
	PostProcessors [][]Part // each a sequence
}

// Part is a provisioner or post-processor of one build.
type Part struct {
	Type    string
	Name    string // of a post-processor
	Pos     Pos
	Options Value // an Object
}

// Evaluate resolves variables and template strings. When there are errors, the result holds what
// could be evaluated, and a Value of kind Faulty for what could not, so that the rest can still be checked.
func (t *Template) Evaluate(in Inputs) (*Evaluated, Errors) {
	s := newScope(t, in)
	ev := &Evaluated{Variables: s.all(), Secrets: s.env.Secrets}
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
	ev.Warnings = s.warnings.Sorted()
	return ev, s.errs.Sorted()
}

// names evaluates the names of the builds. A name that is wrong is empty.
func (t *Template) names(s *scope) []string {
	names := make([]string, len(t.Builders))
	taken := map[string]bool{}
	for i, b := range t.Builders {
		name, at := b.Type, b.Pos
		if b.Name.Kind == String {
			at = b.Name.Pos
			env := s.env
			env.Getenv = nil
			path := fmt.Sprintf("builders[%d].name", i)
			text, ok := s.early(b.Name, path, &env)
			if !ok {
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
			s.errs.Add(at, "", "cannot use a sensitive variable in the name of a build")
			continue
		}
		if taken[name] {
			s.errs.Add(at, `give each builder a "name" of its own`, "cannot build: two builds are called %q", name)
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
		s.errs.Add(at, hint, "cannot use %s: there is no build called %q", what, name)
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
	for _, p := range provisioners {
		for _, n := range slices.Concat(p.Only, p.Except) {
			check(n.Pos, n.Text, "only or except of the provisioner "+p.Type)
		}
		for _, f := range p.Override {
			check(f.Pos, f.Name, "override of the provisioner "+p.Type)
		}
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

// choice says which of many parts each build has, without asking each part.
type choice struct {
	all   []int            // parts of all builds but some
	named map[string][]int // parts that name the build among the only ones
	but   map[string][]int // parts that name the build among those excepted

	override []map[string]Value // of each part: build → options
}

// choose makes the choice of the provisioners.
func (t *Template) choose() choice {
	c := choice{named: map[string][]int{}, but: map[string][]int{}}
	for i, p := range t.Provisioners {
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

func (t *Template) build(s *scope, b Block, name string, except []string, chosen choice) Build {
	env := s.env
	env.Getenv, env.BuildName, env.BuildType = nil, name, b.Type
	e := evaluator{scope: s, env: &env}
	out := Build{Name: name, Type: b.Type, Pos: b.Pos, Options: e.value(b.Options, name)}
	for _, i := range chosen.of(name) {
		out.Provisioners = append(out.Provisioners, e.provisioner(t.Provisioners[i], chosen.override[i][name]))
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
	return out
}

func applies(only, except []Value, build string) bool {
	has := func(names []Value) bool {
		return slices.ContainsFunc(names, func(v Value) bool { return v.Text == build })
	}
	return (len(only) == 0 || has(only)) && !has(except)
}

// evaluator evaluates the texts of one build.
type evaluator struct {
	scope *scope
	env   *interp.Env
}

// overrides are the options that builds have of their own.
func (p Provisioner) overrides() map[string]Value {
	m := make(map[string]Value, len(p.Override))
	for _, f := range p.Override {
		m[f.Name] = f.Value
	}
	return m
}

// provisioner evaluates a provisioner with the options that a build has of its own, if any.
func (e *evaluator) provisioner(p Provisioner, own Value) Part {
	options := p.Options
	if len(own.Fields) > 0 {
		options.Fields = slices.Clone(options.Fields)
	}
	for _, o := range own.Fields {
		if i := slices.IndexFunc(options.Fields, func(x Field) bool { return x.Name == o.Name }); i >= 0 {
			options.Fields[i] = o
		} else {
			options.Fields = append(options.Fields, o)
		}
	}
	return Part{Type: p.Type, Pos: p.Pos, Options: e.value(options, p.Type)}
}

// value evaluates every text below v. The path names v in messages.
func (e *evaluator) value(v Value, path string) Value {
	switch v.Kind {
	case String:
		text, ok := e.scope.early(v, path, e.env)
		if !ok {
			v.Kind = Faulty
		}
		v.Text = text
	case List:
		list := make([]Value, len(v.List))
		for i, x := range v.List {
			list[i] = e.value(x, fmt.Sprintf("%s[%d]", path, i))
		}
		v.List = list
	case Object:
		fields := make([]Field, len(v.Fields))
		for i, f := range v.Fields {
			fields[i] = f
			fields[i].Value = e.value(f.Value, path+"."+f.Name)
			if strings.Contains(f.Name, "{{") {
				key := e.value(textValue(f.Pos, f.Name), path+"."+f.Name)
				if interp.Marked(key.Text) {
					e.scope.errs.Add(f.Pos, "", "cannot use a sensitive variable in the name of a key")
					key.Kind = Faulty
				}
				if key.Kind == Faulty {
					fields[i].Value.Kind = Faulty
				}
				fields[i].Name = key.Text
			}
		}
		v.Fields = fields
	}
	return v
}
