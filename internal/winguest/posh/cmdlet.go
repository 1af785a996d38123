package posh

import "strings"

// cmdletStage is a cmdlet at work.
type cmdletStage struct {
	s     *shell
	c     *Call
	b     *binding
	args  []actual
	given map[string]bool
}

// formals are a cmdlet's parameters, resolved once.
func (s *shell) formals(d *Command) ([]formal, error) {
	if f, ok := s.formalsOf[d]; ok {
		return f, nil
	}
	var out []formal
	for _, p := range d.Params {
		f := formal{name: p.Name, aliases: p.Aliases, pos: p.Pos, need: p.Need, pipe: p.Pipe, byName: p.PipeName, rest: p.Rest}
		switch p.Type {
		case "", "any":
		case "any[]":
			f.typ = arrayOf(allTypes["system.object"])
		case "-":
			f.refused = true
		default:
			t, err := s.resolve(parseTypeName(p.Type))
			if err != nil {
				return nil, err
			}
			f.typ, f.isOn = t, p.Type == "switch"
		}
		if p.Values != nil {
			values := p.Values
			f.check = func(v any) error { return oneOf(toText(v), values) }
		}
		out = append(out, f)
	}
	s.formalsOf[d] = out
	return out, nil
}

func oneOf(v string, values []string) error {
	for _, x := range values {
		if strings.EqualFold(x, v) {
			return nil
		}
	}
	return fault("", "The argument \"%s\" does not belong to the set \"%s\".", v, strings.Join(values, ","))
}

func parseTypeName(text string) *typeName {
	if e, ok := strings.CutSuffix(text, "[]"); ok {
		return &typeName{name: "array", elem: parseTypeName(e)}
	}
	return &typeName{name: text}
}

func (s *shell) cmdletStage(d *Command, name string, args []actual, out *port) (stage, error) {
	if d.Refused != "" {
		return nil, s.refuse("%s: %s", d.Name, d.Refused)
	}
	if d.adapt != nil {
		d = d.adapt(s, d, args)
	}
	forms, err := s.formals(d)
	if err != nil {
		return nil, err
	}
	suffix := d.class()
	if d.Class == "-" {
		suffix = d.Name
	}
	c := &Call{Name: name, sh: s, def: d, out: out}
	return &cmdletStage{s: s, c: c, args: args, b: &binding{s: s, what: d.Name, suffix: suffix, forms: forms, common: true, asks: d.Asks}}, nil
}

func (t *cmdletStage) wrap(err error) error {
	if err == nil {
		return nil
	}
	return t.c.fail(err)
}

func (t *cmdletStage) begin() error {
	if err := t.b.bind(t.args); err != nil {
		return err
	}
	c := t.c
	c.bound, c.prefs = t.b.values, t.b.prefs
	if v := c.prefs.outVar; v != "" {
		out := c.out
		c.out = &port{put: func(x any) error { t.s.appendVar(v, x); return out.put(x) }}
	}
	t.given = map[string]bool{}
	for k := range t.b.values {
		t.given[k] = true
	}
	if c.def.Begin != nil {
		return t.wrap(c.def.Begin(c))
	}
	return nil
}

func (t *cmdletStage) process(v any) error {
	if err := t.s.step(); err != nil {
		return err
	}
	c := t.c
	for k := range t.b.values {
		if !t.given[k] {
			delete(t.b.values, k)
		}
	}
	c.input, c.piped = v, true
	if len(t.b.forms) > 0 {
		if _, err := t.b.fromPipe(v, t.given); err != nil {
			return t.s.report(err, c.prefs.errors, nil)
		}
	}
	if err := t.b.missing(false); err != nil {
		return err
	}
	if c.def.Run != nil {
		return t.wrap(c.def.Run(c))
	}
	return nil
}

func (t *cmdletStage) alone() error {
	if err := t.b.missing(false); err != nil {
		return err
	}
	if t.c.def.Run != nil {
		return t.wrap(t.c.def.Run(t.c))
	}
	return nil
}

func (t *cmdletStage) end() error {
	if t.c.def.End != nil {
		return t.wrap(t.c.def.End(t.c))
	}
	return nil
}
