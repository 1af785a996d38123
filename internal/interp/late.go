package interp

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/template/parse"
)

// Late evaluates the actions that Early left: fields from data ({{ .SourceAMI }} is data["SourceAMI"]), and
// build through the function given; either may be nil. Markers pass through it. A key that a map in data does not have
// comes to <no value>, as in Packer. The error is a Faults.
func Late(text string, data map[string]any, build func(name string) (string, error)) (string, error) {
	if !strings.Contains(text, "{{") {
		return text, nil
	}
	nodes, faults := parseLate(text)
	if len(faults) > 0 {
		return "", faults
	}
	inspect(nodes, func(n parse.Node) {
		field, ok := n.(*parse.FieldNode)
		if !ok {
			return
		}
		if _, ok := data[field.Ident[0]]; !ok {
			f := &Fault{Offset: int(field.Position()), Text: fmt.Sprintf("there is no .%s here", field.Ident[0])}
			if near := Nearest(field.Ident[0], slices.Collect(maps.Keys(data))); near != "" {
				f.Hint = "did you mean ." + near + "?"
			}
			faults = append(faults, f)
		}
	})
	if len(faults) > 0 {
		return "", faults
	}
	funcs := map[string]any{}
	for name, fn := range pure {
		funcs[name] = refusing(name, fn)
	}
	for name, fn := range joining {
		funcs[name] = passing(fn)
	}
	funcs["build"] = func(name string) (string, error) {
		if build == nil {
			return "", fmt.Errorf("build values are not available here")
		}
		return build(name)
	}
	if data == nil {
		data = map[string]any{}
	}
	s, err := run(nodes, newRunner(funcs, "default"), data)
	if err != nil {
		ev := evaluator{}
		return "", Faults{ev.fault(unit{nodes: nodes}, err)}
	}
	return s, nil
}

// parseLate parses text and checks that the late pass knows its functions.
func parseLate(text string) (*parse.ListNode, Faults) {
	units, faults := scan(text)
	whole := unit{end: len(text)}
	if len(faults) == 0 {
		if f := whole.parse(text); f != nil {
			faults = Faults{f}
		}
	}
	for _, u := range units {
		faults = append(faults, lateFaults(u)...)
	}
	return whole.nodes, faults
}

// lateFaults are what the late pass does not know.
func lateFaults(u unit) Faults {
	faults := nameless(u.nodes, u.start)
	inspect(u.nodes, func(n parse.Node) {
		id, ok := n.(*parse.IdentifierNode)
		if !ok || id.Ident == "build" || pure[id.Ident] != nil || slices.Contains(builtin, id.Ident) {
			return
		}
		if slices.Contains(earlyOnly, id.Ident) {
			faults = append(faults, &Fault{Offset: u.start + int(id.Position()), Text: id.Ident + " is not available at build time"})
		} else {
			faults = append(faults, unknownFunction(id, u.start))
		}
	})
	return faults
}

// nameless reports every build that is given no name of a value.
func nameless(n parse.Node, base int) Faults {
	var fs Faults
	inspect(n, func(n parse.Node) {
		pipe, ok := n.(*parse.PipeNode)
		if !ok {
			return
		}
		for i, c := range pipe.Cmds {
			for j, a := range c.Args {
				id, ok := a.(*parse.IdentifierNode)
				if ok && id.Ident == "build" && (j > 0 || i == 0 && len(c.Args) == 1) {
					fs = append(fs, &Fault{Offset: base + int(id.Position()), Text: "build needs the name of a value", Hint: "such as {{ build `ID` }}"})
				}
			}
		}
	})
	return fs
}

// Pending is a build-time value that a text waits for.
type Pending struct {
	Offset int    // in bytes, from the start of the text
	Field  string // SourceAMI for {{ .SourceAMI }}; "." for {{ . }}
	Part   string // .Name for {{ .SourceAMITags.Name }}, or empty
	Build  string // ID for {{ build `ID` }}; empty if the name is computed
}

func (p Pending) String() string {
	switch {
	case p.Field == ".":
		return "{{ . }}"
	case p.Field != "":
		return "{{ ." + p.Field + p.Part + " }}"
	}
	return "{{ build `" + p.Build + "` }}"
}

func part(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return "." + strings.Join(names, ".")
}

// Part is a piece of a text.
type Part struct {
	Text  string    // final, or an action for Late
	Waits []Pending // the build-time values that the action needs; none: the text is final
}

// Parse cuts a text out of Early into what is final and what waits for a build. The error is a Faults.
func Parse(text string) ([]Part, error) {
	if text == "" {
		return nil, nil
	}
	if !strings.Contains(text, "{{") {
		return []Part{{Text: text}}, nil
	}
	units, faults := scan(text)
	var parts []Part
	length := 0
	for i, u := range units {
		p := Part{Text: text[u.start:u.end]}
		switch {
		case u.literal:
			p.Text = trimmed(text, units, i)
		case len(lateFaults(u)) > 0:
			faults = append(faults, lateFaults(u)...)
		default:
			if p.Waits = waits(u); p.Waits != nil {
				break
			}
			s, err := Late(p.Text, nil, nil)
			for _, f := range AsFaults(err) {
				faults = append(faults, &Fault{Offset: u.start + f.Offset, Text: f.Text, Hint: f.Hint, Bare: f.Bare, Err: f.Err})
			}
			p.Text = s
		}
		if length += len(p.Text); length > MaxText {
			faults = append(faults, &Fault{Offset: u.start, Text: errTooLong.Error(), Bare: true})
			break
		}
		if p.Text != "" {
			parts = append(parts, p)
		}
	}
	if err := faults.err(); err != nil {
		return nil, err
	}
	return parts, nil
}

// Uniform is an action out of Early in the one spelling that all that mean the same have: {{ build `ID` }} for {{build "ID"}}.
func Uniform(action string) string {
	units, faults := scan(action)
	if len(faults) > 0 || len(units) != 1 || units[0].literal {
		return action
	}
	nodes := units[0].nodes
	inspect(nodes, func(n parse.Node) {
		if s, ok := n.(*parse.StringNode); ok && !strings.ContainsAny(s.Text, "`\r") {
			s.Quoted = "`" + s.Text + "`"
		}
	})
	if a, ok := nodes.Nodes[0].(*parse.ActionNode); ok && len(nodes.Nodes) == 1 {
		return "{{ " + a.Pipe.String() + " }}"
	}
	return nodes.String()
}

// trimmed is literal text without the white space that the actions beside it take away.
func trimmed(text string, units []unit, i int) string {
	s := text[units[i].start:units[i].end]
	if i > 0 && units[i-1].trimAfter {
		s = strings.TrimLeft(s, " \t\r\n")
	}
	if i+1 < len(units) && units[i+1].trimBefore {
		s = strings.TrimRight(s, " \t\r\n")
	}
	return s
}

// waits lists the build-time values that an action needs.
func waits(u unit) (list []Pending) {
	inspect(u.nodes, func(n parse.Node) {
		at := u.start + int(n.Position())
		switch n := n.(type) {
		case *parse.FieldNode:
			list = append(list, Pending{Offset: at, Field: n.Ident[0], Part: part(n.Ident[1:])})
		case *parse.VariableNode:
			if n.Ident[0] == "$" && len(n.Ident) > 1 { // $.A is .A
				list = append(list, Pending{Offset: at, Field: n.Ident[1], Part: part(n.Ident[2:])})
			}
		case *parse.DotNode:
			list = append(list, Pending{Offset: at, Field: "."})
		case *parse.CommandNode:
			for i, a := range n.Args {
				if id, ok := a.(*parse.IdentifierNode); ok && id.Ident == "build" {
					p := Pending{Offset: u.start + int(id.Position())}
					if i+1 < len(n.Args) {
						if s, ok := n.Args[i+1].(*parse.StringNode); ok {
							p.Build = s.Text
						}
					}
					list = append(list, p)
				}
			}
		}
	})
	return list
}

// Waits lists the build-time values that a text out of Early still needs. The error is a Faults.
func Waits(text string) (list []Pending, err error) {
	parts, err := Parse(text)
	for _, p := range parts {
		list = append(list, p.Waits...)
	}
	return list, err
}

// Plain returns the final text of a string out of Early that may not wait for anything.
func Plain(text string) (string, error) {
	parts, err := Parse(text)
	if err != nil {
		return "", err
	}
	var faults Faults
	var b strings.Builder
	for _, p := range parts {
		for _, w := range p.Waits {
			faults = append(faults, &Fault{Offset: w.Offset, Text: w.String() + " is known only at build time, too late for this"})
		}
		b.WriteString(p.Text)
	}
	if err := faults.err(); err != nil {
		return "", err
	}
	return b.String(), nil
}
