package posh

import (
	"strings"
)

// actual is one argument of a command as it was evaluated.
type actual struct {
	name  string // of -Name; "" is a value
	value any
	has   bool // -Name:value
	text  string
	raw   bool
	plain bool     // a bare word, for native programs
	gaps  []string // what stands between the elements of a list in the script
	dash  bool     // --
}

func (s *shell) evalArgs(cmd *cmdAST) ([]actual, error) {
	var out []actual
	for i := range cmd.args {
		a := &cmd.args[i]
		switch {
		case a.splat != nil:
			v, err := s.readVar(a.splat)
			if err != nil {
				return nil, err
			}
			if h, ok := v.(*Hash); ok {
				h.Each(func(k, v any) bool {
					out = append(out, actual{name: s.text(k), value: v, has: true, text: "-" + s.text(k)})
					return true
				})
				continue
			}
			out = append(out, s.splatted(v)...)
		case a.raw:
			out = append(out, actual{raw: true, text: a.text, value: a.value.(*constExpr).v})
		case a.param != "":
			x := actual{name: a.param, text: a.text}
			if a.value != nil {
				v, err := s.argValue(a.value)
				if err != nil {
					return nil, err
				}
				x.value, x.has = v, true
			}
			out = append(out, x)
		case a.value == nil:
			out = append(out, actual{dash: true, text: a.text})
		default:
			v, err := s.argValue(a.value)
			if err != nil {
				return nil, err
			}
			x := actual{value: v, text: a.text}
			switch e := a.value.(type) {
			case *constExpr:
				x.plain = e.bare
			case *stringExpr:
				x.plain = e.bare
			case *listExpr:
				for j := 1; j < len(e.items); j++ {
					x.gaps = append(x.gaps, string(s.src.text[e.items[j-1].where().to:e.items[j].where().from]))
				}
			}
			out = append(out, x)
		}
	}
	return out, nil
}

// splatted are the elements of an array as arguments; what came to $args as a
// parameter is one again.
func (s *shell) splatted(v any) (out []actual) {
	var params map[int]string
	if a, ok := v.(*Array); ok {
		params = a.params
	}
	e := elements(v)
	for i := 0; i < len(e); i++ {
		name, isParam := params[i]
		if !isParam {
			out = append(out, actual{value: e[i]})
			continue
		}
		x := actual{name: name, text: s.text(e[i])}
		if strings.HasSuffix(x.text, ":") && i+1 < len(e) {
			i++
			x.value, x.has = e[i], true
			x.text += s.text(e[i])
		}
		out = append(out, x)
	}
	return out
}

func (s *shell) argValue(e expr) (any, error) {
	if c, ok := e.(*constExpr); ok && c.text != "" {
		return literal{c.v, c.text}, nil
	}
	if l, ok := e.(*listExpr); ok {
		a := &Array{}
		for _, x := range l.items {
			v, err := s.argValue(x)
			if err != nil {
				return nil, err
			}
			a.Elem = append(a.Elem, v)
		}
		return a, nil
	}
	return s.plain(e)
}
