package interp

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"
	"time"
)

// Env is what the early pass knows.
type Env struct {
	// User returns the value of a user variable: itself a template string that went through Early, in
	// which a sensitive value is a marker. An error with a method Hint() string lends its hint to the fault.
	User                 func(name string) (string, error)
	Getenv               func(name string) string                              // nil outside of the variables section
	Ask                  func(function string, args ...string) (string, error) // what a function that asks yields; nil like Getenv
	BuildName, BuildType string                                                // empty outside of a build
	Clock                time.Time                                             // one instant for the whole run
	UUID                 func() string                                         // called once for each use of uuid, in order
	Dir                  string                                                // folder of the template
	Cwd                  string                                                // working directory
	Secrets              map[string]string                                     // name of each marker → value; Early adds derived ones

	made *evaluator // what evaluates with this Env, see evaluator
}

// evaluator returns what evaluates texts with e. It is made once, not for each text, and again for a copy of e.
func (e *Env) evaluator() *evaluator {
	if e.made == nil || e.made.env != e {
		if e.Secrets == nil {
			e.Secrets = map[string]string{}
		}
		funcs := e.funcs()
		e.made = &evaluator{env: e, funcs: funcs, runner: newRunner(funcs, "error")}
	}
	return e.made
}

// Early evaluates what env knows and leaves build-time actions in the text. The error is a Faults.
func Early(text string, env *Env) (string, error) {
	if err := Private(text); err != nil {
		return "", err
	}
	return EarlyMarked(text, env)
}

// Private refuses the characters that no text of a template may hold. The error is a Faults.
func Private(text string) error {
	if i := strings.IndexAny(text, reserved); i >= 0 {
		return Faults{{Offset: i, Text: "the private characters U+E000 to U+E005 are not allowed in a template"}}
	}
	return nil
}

// EarlyMarked is Early for a text in which markers of env.Secrets stand already, beside actions or as their arguments.
// Whoever has put it together has looked at the rest of it: see Private.
func EarlyMarked(text string, env *Env) (string, error) {
	if i := invalidUTF8(text); i >= 0 {
		return "", Faults{{Offset: i, Text: errNotUTF8.Error(), Bare: true}}
	}
	if !strings.Contains(text, "{{") {
		return text, nil
	}
	units, faults := scan(text)
	ev := *env.evaluator() // a copy: a text may need that of a variable evaluated before its own
	var out builder
	for i, u := range units {
		if u.literal {
			out.text(trimmed(text, units, i))
			continue
		}
		ev.base = u.start
		if fs := ev.check(u.nodes); len(fs) > 0 {
			faults = append(faults, fs...)
			continue
		}
		if err := ev.unit(text, u, &out); err != nil {
			faults = append(faults, ev.fault(u, err))
		}
		if out.full {
			faults = append(faults, &Fault{Offset: u.start, Text: errTooLong.Error(), Bare: true})
			break
		}
	}
	if len(faults) > 0 {
		slices.SortStableFunc(faults, func(a, b *Fault) int { return a.Offset - b.Offset })
		return "", faults
	}
	s := out.String()
	if err := known(s, env.Secrets); err != nil {
		return "", Faults{(&evaluator{}).fault(unit{}, err)}
	}
	return s, nil
}

type evaluator struct {
	env    *Env
	funcs  map[string]any
	runner *template.Template // knows the functions
	base   int                // offset of the unit in the text
}

func (ev *evaluator) unit(text string, u unit, out *builder) error {
	if name, ok := wholeVariable(u.nodes); ok {
		source, err := ev.env.user(name)
		if err != nil {
			return &callError{"user", err}
		}
		parts, faults := scan(source)
		for _, p := range parts {
			if p.literal {
				out.text(source[p.start:p.end])
			} else {
				out.source(source[p.start:p.end])
			}
		}
		return faults.err()
	}
	if !late(u.nodes) {
		s, err := run(u.nodes, ev.runner, nil)
		if err != nil {
			return err
		}
		out.text(s)
		return nil
	}
	changed := false
	if err := ev.fold(u.nodes, &changed); err != nil {
		return err
	}
	if changed {
		out.source(u.nodes.String())
	} else {
		out.source(text[u.start:u.end])
	}
	return nil
}

// wholeVariable recognises {{user `name`}}, whose value may itself hold build-time actions.
func wholeVariable(l *parse.ListNode) (string, bool) {
	if len(l.Nodes) != 1 {
		return "", false
	}
	a, ok := l.Nodes[0].(*parse.ActionNode)
	if !ok || len(a.Pipe.Cmds) != 1 || len(a.Pipe.Decl) > 0 || len(a.Pipe.Cmds[0].Args) != 2 {
		return "", false
	}
	id, ok := a.Pipe.Cmds[0].Args[0].(*parse.IdentifierNode)
	name, ok2 := a.Pipe.Cmds[0].Args[1].(*parse.StringNode)
	if !ok || !ok2 || id.Ident != "user" {
		return "", false
	}
	return name.Text, true
}

// Use is a user variable that a text names.
type Use struct {
	Name   string
	Offset int // in bytes, from the start of the text
}

// Uses lists the user variables that the actions of a text name. A name that is computed is not among them.
func Uses(text string) []Use {
	var list []Use
	units, _ := scan(text)
	for _, u := range units {
		if u.literal {
			continue
		}
		inspect(u.nodes, func(n parse.Node) {
			c, ok := n.(*parse.CommandNode)
			if !ok || len(c.Args) < 2 {
				return
			}
			id, isWord := c.Args[0].(*parse.IdentifierNode)
			if name, isText := c.Args[1].(*parse.StringNode); isWord && isText && id.Ident == "user" {
				list = append(list, Use{name.Text, u.start + int(id.Position())})
			}
		})
	}
	return list
}

// late says whether evaluating n needs a build-time value.
func late(n parse.Node) bool {
	found := false
	inspect(n, func(n parse.Node) {
		switch n := n.(type) {
		case *parse.FieldNode, *parse.DotNode, *parse.ChainNode:
			found = true
		case *parse.VariableNode:
			found = found || n.Ident[0] == "$" || len(n.Ident) > 1
		case *parse.IdentifierNode:
			found = found || n.Ident == "build"
		}
	})
	return found
}

// check reports functions that do not exist, and a build without a name.
func (ev *evaluator) check(n parse.Node) Faults {
	fs := nameless(n, ev.base)
	inspect(n, func(n parse.Node) {
		id, ok := n.(*parse.IdentifierNode)
		if !ok || id.Ident == "build" || ev.funcs[id.Ident] != nil || slices.Contains(builtin, id.Ident) {
			return
		}
		fs = append(fs, unknownFunction(id, ev.base))
	})
	return fs
}

func unknownFunction(id *parse.IdentifierNode, base int) *Fault {
	f := &Fault{Offset: base + int(id.Position()), Text: "unknown function " + id.Ident}
	if to, ok := renamed[id.Ident]; ok {
		f.Hint = "it is called " + to + " now"
	} else if near := Nearest(id.Ident, names()); near != "" {
		f.Hint = "did you mean " + near + "?"
	}
	return f
}

// fault finds the place of an error that came up while a unit ran.
func (ev *evaluator) fault(u unit, err error) *Fault {
	f := &Fault{Offset: u.start, Text: err.Error(), Err: err}
	var call *callError
	if errors.As(err, &call) {
		f.Text, f.Err = call.err.Error(), call.err
		inspect(u.nodes, func(n parse.Node) {
			if id, ok := n.(*parse.IdentifierNode); ok && id.Ident == call.function && f.Offset == u.start {
				f.Offset = u.start + int(id.Position())
			}
		})
	}
	var plain bare
	f.Bare = errors.As(err, &plain)
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		f.Hint = h.Hint()
	}
	return f
}

// fold replaces each part of a build-time action that only the early pass knows by its value.
func (ev *evaluator) fold(n parse.Node, changed *bool) (err error) {
	inspect(n, func(n parse.Node) {
		p, ok := n.(*parse.PipeNode)
		if !ok || err != nil {
			return
		}
		// The leading commands of a pipe feed the first late one.
		k := 0
		for k < len(p.Cmds) && !late(p.Cmds[k]) && !local(p.Cmds[k]) {
			k++
		}
		if k > 0 && ev.early(p.Cmds[:k]) {
			var lit parse.Node
			if lit, err = ev.literal(p.Cmds[:k]); err != nil {
				return
			}
			p.Cmds = append([]*parse.CommandNode{{NodeType: parse.NodeCommand, Args: []parse.Node{lit}}}, p.Cmds[k:]...)
			*changed = true
		}
		for _, c := range p.Cmds {
			for i, a := range c.Args {
				id, ok := a.(*parse.IdentifierNode)
				if sub, isPipe := a.(*parse.PipeNode); isPipe && !late(sub) && !local(sub) && ev.early(sub.Cmds) {
					if c.Args[i], err = ev.literal(sub.Cmds); err != nil {
						return
					}
					*changed = true
				} else if i > 0 && ok && slices.Contains(earlyOnly, id.Ident) {
					cmd := &parse.CommandNode{NodeType: parse.NodeCommand, Args: []parse.Node{id}}
					if c.Args[i], err = ev.literal([]*parse.CommandNode{cmd}); err != nil {
						return
					}
					*changed = true
				}
			}
		}
	})
	// What is left takes a build-time value as its argument.
	inspect(n, func(n parse.Node) {
		if id, ok := n.(*parse.IdentifierNode); ok && err == nil && slices.Contains(earlyOnly, id.Ident) {
			err = &callError{id.Ident, fmt.Errorf("%s cannot take a build-time value", id.Ident)}
		}
	})
	return err
}

// local says whether n reads a template variable such as $x.
func local(n parse.Node) bool {
	found := false
	inspect(n, func(n parse.Node) {
		if _, ok := n.(*parse.VariableNode); ok {
			found = true
		}
	})
	return found
}

// early says whether cmds use something that the late pass does not know.
func (ev *evaluator) early(cmds []*parse.CommandNode) bool {
	found := false
	for _, c := range cmds {
		inspect(c, func(n parse.Node) {
			if id, ok := n.(*parse.IdentifierNode); ok {
				found = found || slices.Contains(earlyOnly, id.Ident)
			}
		})
	}
	return found
}

// literal evaluates cmds and returns the value as a node.
func (ev *evaluator) literal(cmds []*parse.CommandNode) (parse.Node, error) {
	pipe := &parse.PipeNode{NodeType: parse.NodePipe, Cmds: cmds}
	s, err := run(&parse.ListNode{NodeType: parse.NodeList, Nodes: []parse.Node{&parse.ActionNode{NodeType: parse.NodeAction, Pipe: pipe}}}, ev.runner, nil)
	if err != nil {
		return nil, err
	}
	if id, ok := cmds[len(cmds)-1].Args[0].(*parse.IdentifierNode); ok && id.Ident == "timestamp" {
		n := &parse.NumberNode{NodeType: parse.NodeNumber, IsInt: true, Text: s}
		_, err := fmt.Sscan(s, &n.Int64)
		return n, err
	}
	// Not strconv.Quote, which would also rewrite the markers.
	q := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`).Replace(s) + `"`
	return &parse.StringNode{NodeType: parse.NodeString, Quoted: q, Text: s}, nil
}

// callError is the failure of one function of a template string.
type callError struct {
	function string
	err      error
}

func (c *callError) Error() string { return c.err.Error() }
func (c *callError) Unwrap() error { return c.err }

// newRunner returns a template that knows the functions, to run nodes with. Missing is what a key that a map does not
// have comes to; see the options of package text/template.
func newRunner(funcs map[string]any, missing string) *template.Template {
	return template.New("string").Option("missingkey=" + missing).Funcs(funcs)
}

// run executes nodes. A failure inside a function comes back as a callError.
func run(nodes *parse.ListNode, runner *template.Template, data any) (string, error) {
	t, err := runner.AddParseTree(runner.Name(), &parse.Tree{Name: runner.Name(), Root: nodes})
	if err != nil {
		return "", err
	}
	var b limited
	if err := t.Execute(&b, data); err != nil {
		return "", reason(err)
	}
	if invalidUTF8(b.String()) >= 0 && !strings.ContainsAny(b.String(), MarkOpen+MarkClose) { // else a marker was torn
		return "", errNotUTF8
	}
	return b.String(), nil
}

// reason strips the position text of text/template off an error of Execute.
func reason(err error) error {
	var exec template.ExecError
	if !errors.As(err, &exec) {
		return err
	}
	text := exec.Err.Error()
	if _, after, ok := strings.Cut(text, "error calling "); ok {
		if name, _, ok := strings.Cut(after, ": "); ok {
			for inner := errors.Unwrap(exec.Err); inner != nil; inner = errors.Unwrap(inner) {
				if next := errors.Unwrap(inner); next == nil || !strings.Contains(inner.Error(), "error calling") {
					return &callError{name, inner}
				}
			}
		}
	}
	if _, after, ok := strings.Cut(text, ">: "); ok {
		text = after
	}
	if strings.HasPrefix(text, "invalid value; expected") {
		text = "the key is not there, and a function needs its value"
	}
	return errors.New(text)
}

// builder puts the result of Early together. Text that came out of an action must not be taken for
// an action by the late pass, so braces in it are quoted.
type builder struct {
	b    strings.Builder
	run  strings.Builder // text since the last source
	full bool            // there was more than a text may have, which is left out
}

// fits says whether there is room for s.
func (b *builder) fits(s string) bool {
	b.full = b.full || b.b.Len()+b.run.Len()+len(s) > MaxText
	return !b.full
}

func (b *builder) text(s string) {
	if b.fits(s) {
		b.run.WriteString(s)
	}
}

func (b *builder) source(s string) {
	if b.fits(s) {
		b.flush(strings.HasPrefix(s, "{"))
		b.b.WriteString(s)
	}
}

func (b *builder) flush(brace bool) {
	s := strings.ReplaceAll(b.run.String(), "{{", `{{"{{"}}`)
	if brace && strings.HasSuffix(s, "{") {
		s = strings.TrimSuffix(s, "{") + `{{"{"}}`
	}
	b.b.WriteString(s)
	b.run.Reset()
}

func (b *builder) String() string {
	b.flush(false)
	return b.b.String()
}
