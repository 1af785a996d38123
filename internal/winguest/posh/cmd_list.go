package posh

func getChildItem(c *Call) error {
	s := c.sh
	if !c.Has("Path") && !c.Has("LiteralPath") {
		c.bound["path"] = &Array{Elem: []any{"."}}
		if s.loc.drive != "" {
			c.bound["path"] = &Array{Elem: []any{s.loc.drive + `:\` + s.loc.path}}
		}
	}
	wild := false
	for i, p := range c.Strs("Path") {
		wild = wild || hasWildcard(p)
		if deep := c.On("Recurse") || c.Has("Depth"); deep && hasWildcard(s.leaf(p)) && !c.Has("LiteralPath") {
			// A pattern at the end is looked for at every level.
			if len(c.Strs("Path")) > 1 || c.Has("Include") {
				return s.refuse("Get-ChildItem -Recurse with several patterns")
			}
			c.bound["include"] = NewArray(s.leaf(p))
			up := s.parentPath(p)
			if up == "" {
				up = "."
			}
			c.bound["path"] = NewArray(up)
			wild = i > 0 || hasWildcard(up)
		}
	}
	return c.eachPlace(true, func(p place) error {
		if p.prov != nil {
			return c.listProvider(p, wild)
		}
		i, err := s.m.Stat(p.path)
		if err != nil {
			return c.fileError(err, p.path, "")
		}
		if !i.IsDir() || wild && !c.On("Recurse") && s.isMatch(c, p) {
			if !c.kept(i.Name) {
				return nil
			}
			if i.Attributes&Hidden != 0 && !c.On("Force") && !c.On("Hidden") {
				return nil
			}
			return c.putChild(p.path, i, "", false)
		}
		depth := -1
		if c.Has("Depth") {
			depth = c.Int("Depth")
		} else if !c.On("Recurse") {
			depth = 0
		}
		return c.listDir(p.path, "", depth)
	})
}

// isMatch tells what a pattern has found itself from what lies in it: `dir x*`
// shows the directories that match, unless there is only one of them.
func (s *shell) isMatch(c *Call, p place) bool {
	for _, q := range c.Strs("Path") {
		if places, err := s.glob(q, false); err == nil && hasWildcard(s.leaf(q)) {
			for _, x := range places {
				if x.path == p.path {
					return true
				}
			}
		}
	}
	return false
}

func (c *Call) listDir(dir, under string, depth int) error {
	s := c.sh
	if err := s.ctx.Err(); err != nil {
		return err
	}
	l, err := s.m.List(dir)
	if err != nil {
		return c.Error(c.fileError(err, dir, "DirIOError"))
	}
	for _, dirs := range []bool{true, false} {
		for _, i := range l {
			if i.IsDir() != dirs {
				continue
			}
			if (i.Attributes&(Hidden|SystemBit) == 0 || c.On("Force") || c.On("Hidden") || c.On("System")) && c.kept(i.Name) {
				if c.Has("Include") && depth == 0 && !c.On("Recurse") {
					continue // -Include asks for a pattern in the path
				}
				if err := c.putChild(s.join(dir, i.Name), i, under, !c.Has("Include") && !c.Has("Exclude")); err != nil {
					return err
				}
			}
		}
	}
	if depth == 0 {
		return nil
	}
	for _, i := range l {
		if i.IsDir() && (i.Attributes&Hidden == 0 || c.On("Force")) {
			if err := c.listDir(s.join(dir, i.Name), under+i.Name+s.sep(), depth-1); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Call) putChild(path string, i FileInfo, under string, bare bool) error {
	switch {
	case c.On("File") && i.IsDir(), c.On("Directory") && !i.IsDir(), c.On("Hidden") && i.Attributes&Hidden == 0,
		c.On("ReadOnly") && i.Attributes&ReadOnly == 0, c.On("System") && i.Attributes&SystemBit == 0:
		return nil
	case c.On("Name"):
		return c.out.put(under + i.Name)
	}
	o := c.sh.fileObject(path, i)
	o.bare = bare
	return c.out.put(o)
}

func (c *Call) listProvider(p place, wild bool) error {
	_, dir, err := p.prov.Stat(p.path)
	if err != nil {
		return err
	}
	if !dir || wild {
		v, err := p.prov.Item(p.path)
		if err != nil {
			return err
		}
		return c.out.put(wrap(v))
	}
	l, err := p.prov.Children(p.path)
	if err != nil {
		return err
	}
	for _, x := range l {
		if c.kept(x.Name) {
			var v any = wrap(x.Item)
			if c.On("Name") {
				v = x.Name
			}
			if err := c.out.put(v); err != nil {
				return err
			}
		}
		if c.On("Recurse") && x.Container {
			if err := c.listProvider(c.sh.child(p, x.Name), false); err != nil {
				return err
			}
		}
	}
	return nil
}
