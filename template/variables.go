package template

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/internal/interp"
)

// VarFile is a file of variables: a JSON object of texts, numbers and booleans. A null is empty text; a file that
// is null itself has no variables.
type VarFile struct {
	Name string
	Src  []byte
}

// VariableValue is what became of a user variable.
type VariableValue struct {
	Variable
	Value     string // as interp.Early leaves it; empty when it could not be evaluated
	Set       bool   // by a file or the command line
	Declared  bool   // in the template
	Sensitive bool
}

// Shown is the value as it may be printed.
func (v VariableValue) Shown() string {
	if v.Sensitive {
		return "<sensitive>"
	}
	s, err := interp.Reveal(v.Value, func(string) (string, error) { return "<sensitive>", nil })
	if err != nil {
		return "<sensitive>"
	}
	return s
}

// errReported stops the evaluation of a text that uses a variable whose fault has been reported.
var errReported = errors.New("already reported")

// errAwaited stops the evaluation of a text that leads to a call which was not looked up yet.
var errAwaited = errors.New("it is known only when it was looked up")

// undefined is the use of a variable that nothing defines.
type undefined struct{ text, hint string }

func (u *undefined) Error() string { return u.text }
func (u *undefined) Hint() string  { return u.hint }

// scope evaluates variables when they are first used.
type scope struct {
	env    interp.Env // for the variables section
	vars   map[string]*variable
	order  []string
	inside []string // variables being evaluated
	errs   Errors

	strict   bool // a warning is an error
	warnings Errors
	compared int      // how many names near has looked for
	spent    int      // bytes of text that were made
	full     bool     // that is more than there may be, which has been reported
	absent   []string // variables that the text being evaluated uses and nothing defines
	known    map[string]Looked
	calls    map[string]Data // by label, and in the order in which they were made
	data     []Data
	refers   map[string]bool // calls that what is being evaluated has led to

	// What has been reported: declarations or files of variables that could not be read.
	lostDeclarations, lostFiles bool
}

type variable struct {
	VariableValue
	source Raw
	state  state
	refers map[string]bool // calls that its value leads to
}

type state int

const (
	untouched state = iota
	busy
	good
	bad
	awaits // something that was not looked up yet
)

func newScope(t *Template, in Inputs) *scope {
	s := &scope{vars: map[string]*variable{}, lostDeclarations: t.lostVariables, strict: in.Strict, known: in.Known, calls: map[string]Data{}}
	s.env = interp.Env{
		User: s.user, Ask: s.call, Getenv: in.Environ, Clock: in.Clock, UUID: in.UUID,
		Dir: in.Dir, Cwd: in.Cwd, Secrets: map[string]string{},
	}
	if s.env.Getenv == nil {
		s.env.Getenv = func(string) string { return "" }
	}
	for _, d := range t.Variables {
		if s.vars[d.Name] == nil {
			s.order = append(s.order, d.Name)
		}
		s.vars[d.Name] = &variable{VariableValue: VariableValue{Variable: d, Declared: true}, source: d.Default}
	}
	set := func(name string, v Raw, at Pos) {
		x := s.vars[name]
		if x == nil {
			x = &variable{VariableValue: VariableValue{Variable: Variable{Name: name, Pos: at}}}
			s.vars[name] = x
			s.order = append(s.order, name)
		}
		x.source, x.Set = v, true
	}
	for _, f := range in.VarFiles {
		src := NewFile(f.Name, f.Src)
		for _, n := range t.Sensitive {
			src.sensitive = append(src.sensitive, n.Text)
		}
		root, ok, errs := readJSON("variable file", src)
		s.errs = append(s.errs, errs...)
		if !ok {
			s.lostFiles = true
			continue
		}
		if root.Kind != Object && root.Kind != Null {
			s.lostFiles = true
			s.errs.Add(root.Pos, "", "cannot read the variable file: an object is expected, not %s", root.Kind)
			continue
		}
		for _, e := range root.Fields {
			v, ok := plainText(e.Value)
			if v.Kind == Null {
				v.Kind, ok = String, true
			}
			if !ok && v.Kind != Faulty {
				v.Kind = Faulty
				s.errs.Add(e.Value.Pos, "", "cannot use the variable %s: a text is expected, not %s", e.Name, e.Value.Kind)
			}
			set(e.Name, v, e.Pos)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(in.Vars)) {
		at := Pos{File: "-var " + strings.ToValidUTF8(name, "�")}
		if !utf8.ValidString(name) {
			s.errs.Add(at, "", "cannot set the variable: its name is not UTF-8")
			continue
		}
		set(name, textValue(at, in.Vars[name]), at)
	}
	for _, n := range t.Sensitive {
		if x := s.vars[n.Text]; x != nil {
			x.Sensitive = true
		} else if !s.lostDeclarations {
			s.errs.AddCode(errcode.UnknownName, n.Pos, s.near(n.Text), "cannot hide the variable %q: it is not declared", n.Text)
		}
	}
	return s
}

// all evaluates every variable.
func (s *scope) all() []VariableValue {
	var values []VariableValue
	for _, name := range s.order {
		s.resolve(s.vars[name])
	}
	for _, name := range s.order {
		values = append(values, s.vars[name].VariableValue)
	}
	return values
}

func (s *scope) resolve(x *variable) {
	if x.state != untouched {
		return
	}
	x.state = busy
	s.inside = append(s.inside, x.Name)
	before := s.refers
	s.refers = nil
	defer func() { s.inside, x.refers, s.refers = s.inside[:len(s.inside)-1], s.refers, before }()
	if x.source.Kind == Faulty {
		x.state = bad
		return
	}
	if x.Required && !x.Set {
		x.state = bad
		if s.lostFiles {
			return
		}
		s.errs.AddCode(errcode.VariableNotSet, x.Pos, fmt.Sprintf("set it with -var '%s=…' or in a -var-file", x.Name), "cannot build: required variable not set: %s", x.Name)
		return
	}
	x.source.secret = x.Sensitive || interp.SecretName(x.Name)
	path := "variables." + x.Name
	text, state := s.early(x.source, path, &s.env)
	if state != good {
		x.state = state
		return
	}
	if x.Sensitive {
		var err error
		if text, err = s.secret(text); err != nil {
			x.state = s.report(x.source, path, err)
			return
		}
	}
	if x.Sensitive && text != "" {
		s.env.Secrets[x.Name] = text
		text = interp.Mark(x.Name)
	}
	x.Value, x.state = text, good
}

// secret returns the real value of a sensitive variable.
func (s *scope) secret(text string) (string, error) {
	text, err := interp.Plain(text)
	if err != nil {
		return "", err
	}
	return interp.Reveal(text, func(name string) (string, error) { return s.env.Secrets[name], nil })
}

// user is the function user of template strings. What nothing defines is empty text, as in Packer; see undeclared. Within
// the value of a variable it is an error.
func (s *scope) user(name string) (string, error) {
	x := s.vars[name]
	if x == nil && s.lostDeclarations {
		return "", errReported
	}
	if x == nil && len(s.inside) == 0 {
		s.absent = append(s.absent, name)
		return "", nil
	}
	if x == nil {
		return "", &undefined{fmt.Sprintf("the variable %q is not defined", name), s.near(name)}
	}
	if x.state == busy {
		i := slices.Index(s.inside, name)
		return "", fmt.Errorf("the variable %s uses itself: %s", name, strings.Join(append(slices.Clone(s.inside[i:]), name), " → "))
	}
	if len(s.inside) > maxInside {
		return "", fmt.Errorf("more than %d variables use one another in a row", maxInside)
	}
	s.resolve(x)
	s.refer(x.refers)
	switch x.state {
	case bad:
		return "", errReported
	case awaits:
		return "", errAwaited
	}
	s.spent += len(x.Value)
	return x.Value, nil
}

// call is what a function that asks yields: the mark of a secret.
func (s *scope) call(function string, args ...string) (string, error) {
	at := Pos{File: "console"}
	if n := len(s.inside); n > 0 {
		at = s.vars[s.inside[n-1]].source.Pos
	}
	c := Call{function, args}
	d, err := c.Data(at, s.known)
	if err != nil {
		return "", err
	}
	label := d.Label()
	if _, again := s.calls[label]; !again {
		if len(s.calls) == MaxCalls {
			return "", fmt.Errorf("a template asks for more than %d secrets", MaxCalls)
		}
		s.calls[label] = d
		s.data = append(s.data, d)
	}
	s.refer(map[string]bool{label: true})
	if !d.Known {
		return "", errAwaited
	}
	v, err := c.Result(s.known[label])
	if err != nil {
		return "", err
	}
	maps.Copy(s.env.Secrets, s.known[label].Secrets)
	v, marks := v.Unmark()
	for m := range marks {
		return interp.Mark(string(m.(Secret))), nil
	}
	return v.AsString(), nil
}

// refer notes that what is being evaluated leads to calls.
func (s *scope) refer(labels map[string]bool) {
	if s.refers == nil && len(labels) > 0 {
		s.refers = map[string]bool{}
	}
	maps.Copy(s.refers, labels)
}

// early evaluates a text, and reports what is wrong with it. The path names it in messages.
func (s *scope) early(v Raw, path string, env *interp.Env) (string, state) {
	s.absent = nil
	if s.full {
		return "", bad
	}
	text, err := interp.Early(v.Text, env)
	s.undeclared(v, path)
	if err != nil {
		return "", s.report(v, path, err)
	}
	if strings.Contains(v.Text, "{{") {
		s.spent += len(text)
	}
	if s.full = s.spent > maxTexts; s.full {
		s.errs.Add(v.Pos, "", "cannot evaluate %s: all texts together would be longer than %d MiB", path, maxTexts>>20)
	}
	if s.full {
		return "", bad
	}
	return text, good
}

// maxTexts bounds all texts that an evaluation makes, together, in bytes.
const maxTexts = 256 << 20

// maxInside bounds how many variables may use one another in a row.
const maxInside = 1000

// undeclared warns of the variables that the text just evaluated uses and nothing defines.
func (s *scope) undeclared(v Raw, path string) {
	if len(s.absent) == 0 || s.lostFiles {
		return
	}
	absent, told := map[string]bool{}, map[string]bool{}
	for _, name := range s.absent {
		absent[name] = true
	}
	tell := func(name string, at Pos) {
		told[name] = true
		s.warn(at, s.near(name), "%s uses the variable %q, which is not declared: it is empty text there", path, name)
	}
	place := v.places()
	for _, u := range interp.Uses(v.Text) {
		if absent[u.Name] {
			tell(u.Name, place(u.Offset))
		}
	}
	for _, name := range s.absent {
		if !told[name] {
			tell(name, v.Pos) // it is computed, and stands nowhere
		}
	}
}

// warn adds a warning: an error, if they are to be errors.
func (s *scope) warn(at Pos, hint, format string, args ...any) {
	to := &s.warnings
	if s.strict {
		to = &s.errs
	}
	to.AddCode(errcode.TemplateWarning, at, hint, format, args...)
}

// near says what to do about a variable that nothing declares. Of very many only the first are compared with all that
// there are.
func (s *scope) near(name string) string {
	if s.compared++; s.compared > shown {
		return fmt.Sprintf("add %q to the variables section", name)
	}
	if near := interp.Nearest(name, s.order); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return fmt.Sprintf("add %q to the variables section", name)
}

// report turns the faults of a text into errors with places. A text that awaits something has none but that.
func (s *scope) report(v Raw, path string, err error) state {
	place, state := v.places(), awaits
	for _, f := range interp.AsFaults(err) {
		if errors.Is(f, errAwaited) {
			continue
		}
		state = bad
		if errors.Is(f, errReported) {
			continue
		}
		at := place(f.Offset)
		var u *undefined
		if (v.secret || at.src != nil && at.src.hides(at.offset)) && !errors.As(f, &u) && !f.Bare {
			// What is wrong with the text may quote it.
			s.errs.Add(at, "write {{`{{`}} for two braces that begin no action; the text may be secret, so nothing of it is shown",
				"cannot evaluate %s: an action in it is wrong", path)
			continue
		}
		s.errs.Add(at, f.Hint, "cannot evaluate %s: %s", path, f.Text)
	}
	return state
}
