package posh

import (
	"strings"
)

func param(name, typ string, pos int, aliases ...string) Param {
	return Param{Name: name, Type: typ, Pos: pos, Aliases: aliases}
}

func piped(p Param) Param    { p.Pipe = true; return p }
func byName(p Param) Param   { p.PipeName = true; return p }
func needed(p Param) Param   { p.Need = true; return p }
func restOf(p Param) Param   { p.Rest = true; return p }
func refused(n string) Param { return Param{Name: n, Type: "-"} }

func utility(name string) string {
	return "Microsoft.PowerShell.Commands." + name + "Command"
}

// inputs collects what a cmdlet takes from the pipeline, or its -InputObject.
func inputs(c *Call) []any {
	if v, ok := c.Input(); ok {
		return []any{v}
	}
	if c.Has("InputObject") {
		v := c.Value("InputObject")
		if e, ok := list(v); ok {
			return e
		}
		return []any{v}
	}
	return nil
}

func gather(c *Call) error {
	l, _ := c.State.([]any)
	c.State = append(l, inputs(c)...)
	if len(l) > 5_000_000 {
		return tooBig("the pipeline's input")
	}
	return nil
}

func gathered(c *Call) []any {
	l, _ := c.State.([]any)
	return l
}

var inputObject = piped(param("InputObject", "", 0))

func outputCommands() []Command {
	return []Command{
		{Name: "Write-Output", Params: []Param{piped(restOf(param("InputObject", "", 1))), param("NoEnumerate", "switch", 0)}, Run: func(c *Call) error {
			v := c.Value("InputObject")
			if in, ok := c.Input(); ok {
				return c.out.put(in)
			}
			if !c.Has("InputObject") {
				return nil
			}
			if c.On("NoEnumerate") {
				return c.out.put(v)
			}
			return emit(v, c.out)
		}},
		{Name: "Write-Host", Class: utility("WriteHost"), Params: []Param{piped(restOf(param("Object", "", 1))), param("NoNewline", "switch", 0), param("Separator", "", 0),
			param("ForegroundColor", "System.ConsoleColor", 0), param("BackgroundColor", "System.ConsoleColor", 0)}, Run: writeHost},
		{Name: "Write-Error", Params: []Param{piped(Param{Name: "Message", Aliases: []string{"Msg"}, Type: "string", Pos: 1}), param("Exception", "", 0), param("ErrorRecord", "", 0), param("ErrorId", "string", 0),
			param("Category", "string", 0), param("TargetObject", "", 0), refused("RecommendedAction"), refused("CategoryActivity"), refused("CategoryReason"),
			refused("CategoryTargetName"), refused("CategoryTargetType")}, Run: writeError},
		{Name: "Write-Warning", Params: []Param{needed(piped(param("Message", "string", 1, "Msg")))}, Run: func(c *Call) error {
			return c.sh.message(streamWarning, c.Str("Message"), c.prefs.warning)
		}},
		{Name: "Write-Verbose", Params: []Param{needed(piped(param("Message", "string", 1, "Msg")))}, Run: func(c *Call) error {
			return c.sh.message(streamVerbose, c.Str("Message"), c.prefs.verbose)
		}},
		{Name: "Write-Debug", Params: []Param{needed(piped(param("Message", "string", 1, "Msg")))}, Run: func(c *Call) error {
			return c.sh.message(streamDebug, c.Str("Message"), c.prefs.debug)
		}},
		{Name: "Write-Information", Params: []Param{needed(piped(param("MessageData", "", 1, "Msg"))), param("Tags", "string[]", 2)}, Run: func(c *Call) error {
			pref := c.sh.pref(c.prefs.info, "informationpreference")
			v := c.Value("MessageData")
			r := &messageRecord{kind: "Information", msg: c.sh.text(v), data: v}
			if c.sh.streams[streamInfo] == nil && pref != "continue" {
				return nil
			}
			return c.sh.write(streamInfo, r)
		}},
		{Name: "Write-Progress", Params: []Param{param("Activity", "string", 1), param("Status", "string", 2), param("Id", "int", 3), param("PercentComplete", "int", 0),
			param("SecondsRemaining", "int", 0), param("CurrentOperation", "string", 0), param("ParentId", "int", 0), param("Completed", "switch", 0), param("SourceId", "int", 0)},
			Run: func(c *Call) error { return nil }}, // there is no screen to draw on
		{Name: "Out-Null", Params: []Param{inputObject}, Run: func(c *Call) error { return nil }},
		{Name: "Out-Default", Params: []Param{inputObject}, Run: func(c *Call) error { return outHost(c) }},
		{Name: "Out-Host", Params: []Param{inputObject, refused("Paging")}, Run: func(c *Call) error { return outHost(c) }},
		{Name: "Out-String", Params: []Param{inputObject, param("Stream", "switch", 0), param("Width", "int", 0)}, Run: gather, End: func(c *Call) error {
			lines, err := c.sh.asText(gathered(c))
			if err == nil {
				err = c.fits(lines)
			}
			if err != nil {
				return err
			}
			if c.On("Stream") {
				for _, l := range lines {
					if err := c.out.put(l); err != nil {
						return err
					}
				}
				return nil
			}
			var b strings.Builder
			for _, l := range lines {
				b.WriteString(l + c.sh.host.newline)
			}
			return c.out.put(b.String())
		}},
		{Name: "Tee-Object", Params: []Param{inputObject, param("FilePath", "string", 1), param("LiteralPath", "string", 0, "PSPath"), param("Variable", "string", 0), param("Append", "switch", 0)},
			Run: func(c *Call) error {
				if err := gather(c); err != nil {
					return err
				}
				for _, v := range inputs(c) {
					if err := c.out.put(v); err != nil {
						return err
					}
				}
				return nil
			}, End: teeEnd},
		formatCommand("Format-Table"), formatCommand("Format-List"),
	}
}

// fits refuses a -Width that would cut lines.
func (c *Call) fits(lines []string) error {
	for _, l := range lines {
		if c.Has("Width") && length16(l) > c.Int("Width") {
			return c.sh.refuse("-Width %d, which is less than a line needs", c.Int("Width"))
		}
	}
	return nil
}

func outHost(c *Call) error {
	for _, v := range inputs(c) {
		if err := c.sh.host.form.put(v); err != nil {
			return err
		}
	}
	return nil
}

func teeEnd(c *Call) error {
	if c.Has("Variable") {
		c.sh.setVar(foldKey(c.Str("Variable")), collect(gathered(c)))
		return nil
	}
	path := c.Str("FilePath")
	if path == "" {
		path = c.Str("LiteralPath")
	}
	w, err := c.sh.fileSink(path, c.On("Append"))
	if err != nil {
		return err
	}
	for _, v := range gathered(c) {
		if err := w.put(v); err != nil {
			_ = w.close()
			return err
		}
	}
	return w.close()
}

func writeHost(c *Call) error {
	sep := " "
	if c.Has("Separator") {
		sep = c.sh.text(c.Value("Separator"))
	}
	v := c.bound["object"] // with the spelling of numbers
	r := &messageRecord{kind: "Information", msg: hostText(c.sh, v, sep), data: bare(v), same: c.On("NoNewline"), tags: []any{"PSHOST"}}
	return c.sh.write(streamInfo, r)
}

// hostText is how Write-Host shows a value: collections as their elements.
func hostText(s *shell, v any, sep string) string {
	var each []any
	switch x := v.(type) {
	case *Hash:
		var out []string
		for range x.Len() {
			out = append(out, "System.Collections.DictionaryEntry")
		}
		return strings.Join(out, sep)
	case literal:
		return x.text
	case *Type:
		return x.name
	default:
		e, ok := list(v)
		if !ok {
			return s.text(v)
		}
		each = e
	}
	var out []string
	for _, e := range each {
		out = append(out, hostText(s, e, sep))
	}
	return strings.Join(out, sep)
}

func writeError(c *Call) error {
	s := c.sh
	e := &Error{ID: "Microsoft.PowerShell.Commands.WriteErrorException", Exception: "Microsoft.PowerShell.Commands.WriteErrorException", Message: c.Str("Message"),
		Category: c.Str("Category"), Target: c.Value("TargetObject")}
	if c.Has("ErrorId") {
		e.ID = c.Str("ErrorId")
	}
	rec := s.record(e, nil)
	rec.command = "Write-Error"
	switch x := c.Value("Exception").(type) {
	case *exception:
		rec.exc = x
		if !c.Has("ErrorId") {
			rec.id = x.typ
		}
		if c.Has("Message") {
			rec.details = c.Str("Message")
		}
	}
	if r, ok := c.Value("ErrorRecord").(*errorRecord); ok {
		cp := *r
		cp.counted = false
		rec = &cp
	} else if in, ok := c.Input(); ok {
		switch x := in.(type) {
		case *errorRecord:
			rec = x
		case *exception:
			rec.exc = x
		}
	}
	if s.scope.name != "" {
		rec.command = s.scope.name
		if !strings.Contains(rec.id, ",") {
			rec.id += "," + s.scope.name
		}
	}
	return s.report(&thrown{rec: rec}, c.prefs.errors, c)
}

func formatCommand(name string) Command {
	params := []Param{inputObject, param("Property", "", 1), refused("GroupBy"), refused("View"), param("Force", "switch", 0), refused("Expand")}
	if name == "Format-Table" {
		params = append(params, param("AutoSize", "switch", 0), param("HideTableHeaders", "switch", 0), param("Wrap", "switch", 0))
	}
	return Command{Name: name, Params: params, Run: gather, End: func(c *Call) error {
		s := c.sh
		values := gathered(c)
		var group []any
		for _, v := range values {
			if h, ok := v.(*Hash); ok {
				group = append(group, h.entries()...)
			} else {
				group = append(group, v)
			}
		}
		if len(group) == 0 {
			return nil
		}
		var cols []string
		calc := map[string]*Block{}
		if c.Has("Property") {
			for _, p := range elements(c.Value("Property")) {
				switch x := p.(type) {
				case *Hash:
					n, b, err := s.calculated(x)
					if err != nil {
						return err
					}
					cols = append(cols, n)
					if b != nil {
						calc[n] = b
					}
				default:
					cols = append(cols, s.expandNames(group[0], s.text(p))...)
				}
			}
		} else if n, _ := s.columns(group[0]); n != nil {
			cols = n
		}
		if cols == nil {
			lines, err := s.asText(group)
			if err != nil {
				return err
			}
			return c.out.put(&formatted{lines})
		}
		if name == "Format-List" {
			return c.out.put(&formatted{s.listText(group, cols)})
		}
		return c.out.put(&formatted{s.tableText(group, cols, calc, c.On("HideTableHeaders"))})
	}}
}

// calculated reads @{Name=…; Expression=…}.
func (s *shell) calculated(h *Hash) (name string, b *Block, err error) {
	for _, k := range h.Keys() {
		v, _ := h.Get(k)
		switch key := strings.ToLower(s.text(k)); {
		case key != "" && (strings.HasPrefix("name", key) || strings.HasPrefix("label", key)):
			name = s.text(v)
		case key != "" && strings.HasPrefix("expression", key):
			switch x := v.(type) {
			case *Block:
				b = x
			default:
				ast, perr := parse("$_.'"+strings.ReplaceAll(s.text(x), "'", "''")+"'", "", s.core)
				if perr != nil {
					return "", nil, perr
				}
				b = &Block{ast: ast}
				if name == "" {
					name = s.text(x)
				}
			}
		case key == "width" || key == "alignment" || key == "align" || key == "formatstring":
		default:
			return "", nil, fault("DictionaryKeyUnknown", "The %s key is not valid.", s.text(k))
		}
	}
	if name == "" && b != nil {
		name = strings.TrimSpace(b.text())
	}
	return name, b, nil
}

// expandNames are the properties that a name with wildcards means.
func (s *shell) expandNames(v any, name string) []string {
	if !hasWildcard(name) {
		return []string{name}
	}
	var out []string
	for _, n := range s.propertyNames(v) {
		if s.like(n, name, false) {
			out = append(out, n)
		}
	}
	return out
}
