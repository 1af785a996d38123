package posh

func selectString(c *Call) error {
	s := c.sh
	paths := c.Strs("Path")
	literal := c.Has("LiteralPath")
	if literal {
		paths = c.Strs("LiteralPath")
	}
	if in, ok := c.Input(); ok && paths == nil {
		if f, isFile := in.(*fileItem); isFile {
			paths, literal = []string{f.path}, true
		} else {
			return selectStringIn(c, s.text(in), "InputStream", 1)
		}
	}
	if paths == nil {
		for _, v := range inputs(c) {
			if err := selectStringIn(c, s.text(v), "InputStream", 1); err != nil {
				return err
			}
		}
		return nil
	}
	for _, p := range paths {
		places, err := s.glob(p, literal)
		if err != nil {
			return err
		}
		for _, pl := range places {
			b, err := s.readAll(pl.path)
			if err != nil {
				if err := c.Error(NotFound(pl.path)); err != nil {
					return err
				}
				continue
			}
			e, rest := detect(b, encodings["utf-8"])
			for i, l := range splitLines(e.decode(rest)) {
				if err := selectStringIn(c, l, pl.path, i+1); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func selectStringIn(c *Call, text, file string, line int) error {
	s := c.sh
	hit := false
	var ms []any
	var used string
	for _, pat := range c.Strs("Pattern") {
		if c.On("SimpleMatch") {
			pat = regexQuote(pat)
		}
		p, err := s.pattern(pat, !c.On("CaseSensitive"), 0)
		if err != nil {
			return err
		}
		if c.On("AllMatches") {
			found, err := s.matchObjects(p, text)
			if err != nil {
				return err
			}
			ms = append(ms, found...)
		} else {
			f, err := s.first(p, text)
			if err != nil {
				return err
			}
			if f != nil {
				ms = append(ms, s.matchObject(f))
			}
		}
		hit = len(ms) > 0
		if hit {
			used = pat
			break
		}
	}
	if hit == c.On("NotMatch") {
		return nil
	}
	if c.On("Quiet") {
		c.State = true
		return nil
	}
	o := NewObject("Microsoft.PowerShell.Commands.MatchInfo").Set("Line", text).Set("LineNumber", line).Set("Path", file).Set("Filename", s.leaf(file)).Set("Pattern", used).Set("Matches", &Array{Elem: ms}).Set("IgnoreCase", !c.On("CaseSensitive"))
	o.Text = func() string {
		if file == "InputStream" {
			return text
		}
		return file + ":" + toText(wrap(line)) + ":" + text
	}
	return c.out.put(o)
}

func selectStringEnd(c *Call) error {
	if !c.On("Quiet") {
		return nil
	}
	if c.State == true {
		return c.out.put(true)
	}
	if c.sh.core {
		return c.out.put(false)
	}
	return nil
}
