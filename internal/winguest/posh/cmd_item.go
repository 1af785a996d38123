package posh

import (
	"errors"
	"io/fs"
	"strings"
)

func itemCommands() []Command {
	path := piped(byName(param("Path", "string[]", 1)))
	lit := byName(param("LiteralPath", "string[]", 0, "PSPath"))
	filter := []Param{param("Filter", "string", 0), param("Include", "string[]", 0), param("Exclude", "string[]", 0), refused("Credential")}
	force, stream := param("Force", "switch", 0), refused("Stream")
	with := func(p ...Param) []Param { return append(p, filter...) }
	prop := []Param{refused("Include"), refused("Exclude"), refused("Credential"), param("Filter", "-", 0)}
	return []Command{
		{Name: "Test-Path", Params: with(path, lit, param("PathType", "string", 0, "Type"), param("IsValid", "switch", 0), refused("NewerThan"), refused("OlderThan")), Run: testPath},
		{Name: "Join-Path", Params: []Param{needed(piped(byName(param("Path", "string[]", 1, "PSPath")))), needed(param("ChildPath", "string", 2)), param("Resolve", "switch", 0), refused("Credential")}, Run: joinPath},
		{Name: "Split-Path", Params: []Param{piped(byName(param("Path", "string[]", 1))), lit, param("Parent", "switch", 0), param("Leaf", "switch", 0), param("Qualifier", "switch", 0), param("NoQualifier", "switch", 0),
			param("IsAbsolute", "switch", 0), param("Resolve", "switch", 0)}, Run: splitPath},
		{Name: "Resolve-Path", Params: []Param{path, lit, param("Relative", "switch", 0)}, Run: resolvePath},
		{Name: "Convert-Path", Params: []Param{path, lit}, Run: func(c *Call) error {
			return c.eachPlace(true, func(p place) error { return c.out.put(p.path) })
		}},
		{Name: "New-Item", Params: []Param{byName(param("Path", "string[]", 1)), byName(param("Name", "string", 0)), param("ItemType", "string", 0, "Type"), piped(param("Value", "", 0, "Target")), param("Force", "switch", 0), refused("Credential")}, Run: newItem, adapt: (*shell).newItemHere},
		{Name: "mkdir", Class: "-", Params: []Param{byName(param("Path", "string[]", 1)), byName(param("Name", "string", 0)), param("Force", "switch", 0), param("Value", "", 0)}, Run: func(c *Call) error {
			c.bound["itemtype"] = "Directory"
			return newItem(c)
		}},
		{Name: "Get-Item", Params: with(path, lit, force, stream), Run: getItem},
		{Name: "Set-Item", Params: []Param{path, lit, param("Value", "", 2), param("Force", "switch", 0), refused("PassThru")}, Run: setItem},
		{Name: "Clear-Item", Params: []Param{path, lit, param("Force", "switch", 0)}, Run: func(c *Call) error { c.bound["value"] = nil; return setItem(c) }},
		{Name: "Remove-Item", Params: with(path, lit, force, stream, param("Recurse", "switch", 0)), Run: removeItem},
		{Name: "Copy-Item", Params: with(path, lit, force, byName(param("Destination", "string", 2)), param("Recurse", "switch", 0), param("Container", "switch", 0), param("PassThru", "switch", 0), refused("ToSession"), refused("FromSession")), Run: copyItem},
		{Name: "Move-Item", Params: with(path, lit, force, byName(param("Destination", "string", 2)), param("PassThru", "switch", 0)), Run: moveItem},
		{Name: "Rename-Item", Params: []Param{piped(byName(param("Path", "string", 1))), byName(param("LiteralPath", "string", 0, "PSPath")), needed(byName(param("NewName", "string", 2))), param("Force", "switch", 0), param("PassThru", "switch", 0)}, Run: renameItem},
		{Name: "Get-ChildItem", Params: []Param{path, lit, param("Filter", "string", 2), param("Include", "string[]", 0), param("Exclude", "string[]", 0), param("Recurse", "switch", 0, "s"), param("Depth", "int", 0), param("Force", "switch", 0),
			param("Name", "switch", 0), param("File", "switch", 0, "af"), param("Directory", "switch", 0, "ad", "d"), param("Hidden", "switch", 0, "ah", "h"), param("ReadOnly", "switch", 0, "ar"), param("System", "switch", 0, "as"), refused("Attributes")}, Run: getChildItem},
		{Name: "Get-ItemProperty", Params: append([]Param{path, lit, param("Name", "string[]", 2, "PSProperty")}, prop...), Run: getItemProperty},
		{Name: "Get-ItemPropertyValue", Params: append([]Param{path, lit, param("Name", "string[]", 2, "PSProperty")}, prop...), Run: getItemProperty},
		{Name: "Set-ItemProperty", Params: append([]Param{path, lit, byName(param("Name", "string", 2, "PSProperty")), byName(param("Value", "", 3)), param("Type", "string", 0), param("PassThru", "switch", 0), force, refused("InputObject")}, prop...), Run: setItemProperty},
		{Name: "New-ItemProperty", Params: append([]Param{path, lit, needed(byName(param("Name", "string", 2, "PSProperty"))), byName(param("Value", "", 0)), param("PropertyType", "string", 0, "Type"), force}, prop...), Run: setItemProperty},
		{Name: "Remove-ItemProperty", Params: append([]Param{path, lit, needed(byName(param("Name", "string[]", 2, "PSProperty"))), force}, prop...), Run: removeItemProperty},
		{Name: "Get-Location", Params: []Param{refused("Stack"), refused("PSDrive"), refused("PSProvider")}, Run: func(c *Call) error { return c.out.put(c.sh.pathInfo()) }},
		{Name: "Set-Location", Params: []Param{path, lit, param("PassThru", "switch", 0), refused("StackName")}, Run: func(c *Call) error {
			p := c.Str("Path")
			if c.Has("LiteralPath") {
				p = c.Str("LiteralPath")
			}
			if p == "" {
				p = "~"
			}
			if err := c.sh.goTo(p); err != nil {
				return c.Error(err)
			}
			if c.On("PassThru") {
				return c.out.put(c.sh.pathInfo())
			}
			return nil
		}},
		{Name: "Push-Location", Params: []Param{path, lit, param("PassThru", "switch", 0), refused("StackName")}, Run: func(c *Call) error {
			s := c.sh
			old := location{s.loc.drive, s.loc.path}
			if old.drive == "" {
				old.path = s.dir
			}
			p := c.Str("Path")
			if c.Has("LiteralPath") {
				p = c.Str("LiteralPath")
			}
			if p != "" {
				if err := s.goTo(p); err != nil {
					return c.Error(err)
				}
			}
			s.stack = append(s.stack, old)
			if c.On("PassThru") {
				return c.out.put(s.pathInfo())
			}
			return nil
		}},
		{Name: "Pop-Location", Params: []Param{param("PassThru", "switch", 0), refused("StackName")}, Run: func(c *Call) error {
			s := c.sh
			if n := len(s.stack); n > 0 {
				l := s.stack[n-1]
				s.stack = s.stack[:n-1]
				s.loc = l
				if l.drive == "" {
					s.dir = l.path
				}
			}
			if c.On("PassThru") {
				return c.out.put(s.pathInfo())
			}
			return nil
		}},
		{Name: "New-TemporaryFile", Class: "-", Run: func(c *Call) error {
			v, err := allTypes["system.io.path"].funcs["gettempfilename"](c.sh, nil)
			if err != nil {
				return err
			}
			i, err := c.sh.m.Stat(v.(string))
			if err != nil {
				return err
			}
			return c.out.put(c.sh.fileObject(v.(string), i))
		}},
		{Name: "Get-PSDrive", Params: []Param{param("Name", "string[]", 1), param("PSProvider", "string[]", 0), refused("Scope")}, Run: getDrive},
	}
}

func (s *shell) goTo(p string) error {
	places, err := s.glob(p, false)
	if err != nil {
		return err
	}
	if len(places) != 1 {
		return NotFound(p)
	}
	pl := places[0]
	found, dir, err := s.statPlace(pl)
	if err != nil {
		return err
	}
	if !found || !dir {
		return NotFound(pl.show())
	}
	if pl.prov != nil {
		s.loc = location{pl.drive, pl.path}
		return nil
	}
	s.loc, s.dir = location{}, pl.path
	return nil
}

func (c *Call) filtered() bool { return c.Has("Include") || c.Has("Exclude") || c.Has("Filter") }

// kept applies -Include and -Exclude to a name.
func (c *Call) kept(name string) bool {
	if in := c.Strs("Include"); in != nil {
		hit := false
		for _, p := range in {
			hit = hit || c.sh.like(name, p, false)
		}
		if !hit {
			return false
		}
	}
	for _, p := range c.Strs("Exclude") {
		if c.sh.like(name, p, false) {
			return false
		}
	}
	return !c.Has("Filter") || c.sh.like(name, c.Str("Filter"), false)
}

func getItem(c *Call) error {
	s := c.sh
	return c.eachPlace(true, func(p place) error {
		if p.prov != nil {
			v, err := p.prov.Item(p.path)
			if errors.Is(err, fs.ErrNotExist) {
				return NotFound(p.show())
			}
			if err != nil {
				return err
			}
			return c.out.put(wrap(v))
		}
		i, err := s.m.Stat(p.path)
		if err != nil {
			return c.fileError(err, p.path, "")
		}
		if i.Attributes&Hidden != 0 && !c.On("Force") {
			return &Error{ID: "ItemNotFound", Category: "ObjectNotFound", Exception: "System.IO.IOException", Message: "Could not find item " + p.path + ".", Target: p.path}
		}
		if !c.kept(s.leaf(p.path)) {
			return nil
		}
		return c.out.put(s.fileObject(p.path, i))
	})
}

func setItem(c *Call) error {
	return c.eachPlace(false, func(p place) error {
		set, ok := p.prov.(itemSetter)
		if !ok {
			return c.sh.refuse("Set-Item of %s", p.show())
		}
		return set.SetItem(p.path, c.Value("Value"))
	})
}

// target is where an item goes: into a directory that is there, or to the name.
func (c *Call) target(from string) (string, error) {
	to, err := c.sh.filePath(c.Str("Destination"))
	if err != nil {
		return "", err
	}
	if i, err := c.sh.m.Stat(to); err == nil && i.IsDir() {
		return c.sh.join(to, c.sh.leaf(from)), nil
	}
	return to, nil
}

func copyItem(c *Call) error {
	s := c.sh
	if !c.Has("Destination") {
		c.bound["destination"] = "."
	}
	return c.eachPlace(true, func(p place) error {
		if p.prov != nil {
			return s.refuse("Copy-Item of %s", p.show())
		}
		i, err := s.m.Stat(p.path)
		if err != nil {
			return c.fileError(err, p.path, "CopyError")
		}
		if !c.kept(i.Name) {
			return nil
		}
		to, err := c.target(p.path)
		if err != nil {
			return err
		}
		if i.IsDir() && c.On("Recurse") && c.filtered() || c.Has("Container") && !c.On("Container") {
			return s.refuse("Copy-Item of a directory with a filter or without -Container")
		}
		if i.IsDir() {
			if strings.HasPrefix(foldKey(to)+s.sep(), foldKey(p.path)+s.sep()) {
				return &Error{ID: "CopyError", Category: "WriteError", Exception: "System.IO.IOException", Message: "Cannot copy the directory '" + p.path + "' into itself.", Target: p.path}
			}
			err = s.copyTree(p.path, to, c.On("Recurse"), c.On("Force"))
		} else {
			if strings.EqualFold(to, p.path) {
				return &Error{ID: "CopyError", Category: "WriteError", Exception: "System.IO.IOException", Message: "Cannot overwrite the item " + p.path + " with itself.", Target: p.path}
			}
			if c.On("Force") {
				s.makeWritable(to)
			}
			err = s.copyFile(p.path, to, true)
		}
		if err != nil {
			return c.fileError(err, p.path, "CopyError")
		}
		if c.On("PassThru") {
			n, err := s.m.Stat(to)
			if err != nil {
				return err
			}
			return c.out.put(s.fileObject(to, n))
		}
		return nil
	})
}

// makeWritable takes the read-only mark off a file; what follows says whether
// that helped.
func (s *shell) makeWritable(path string) {
	if i, err := s.m.Stat(path); err == nil && i.Attributes&ReadOnly != 0 {
		_ = s.m.SetAttributes(path, i.Attributes&^ReadOnly)
	}
}

func (s *shell) copyTree(from, to string, deep, force bool) error {
	if err := s.m.MakeDir(to); err != nil || !deep {
		return err
	}
	l, err := s.m.List(from)
	if err != nil {
		return err
	}
	for _, i := range l {
		a, b := s.join(from, i.Name), s.join(to, i.Name)
		if i.IsDir() {
			err = s.copyTree(a, b, true, force)
		} else {
			if force {
				s.makeWritable(b)
			}
			err = s.copyFile(a, b, true)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func moveItem(c *Call) error {
	s := c.sh
	if !c.Has("Destination") {
		c.bound["destination"] = "."
	}
	return c.eachPlace(true, func(p place) error {
		if p.prov != nil {
			return s.refuse("Move-Item of %s", p.show())
		}
		if err := c.inUse("Cannot move item because the item at '%s' is in use.", p.path); err != nil {
			return err
		}
		to, err := c.target(p.path)
		if err != nil {
			return err
		}
		i, err := s.m.Stat(p.path)
		if err != nil {
			return c.fileError(err, p.path, "MoveFileInfoItemIOError")
		}
		if !c.kept(i.Name) {
			return nil
		}
		if old, err := s.m.Stat(to); err == nil && c.On("Force") && !old.IsDir() && !strings.EqualFold(to, p.path) {
			if err := s.m.Remove(to); err != nil {
				return c.fileError(err, to, "MoveFileInfoItemIOError")
			}
		}
		return c.moved(p.path, to, "MoveFileInfoItemIOError")
	})
}

func (c *Call) moved(from, to, id string) error {
	s := c.sh
	if err := s.m.Rename(from, to); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return &Error{ID: id, Category: "WriteError", Exception: "System.IO.IOException", Message: "Cannot create a file when that file already exists.", Target: from}
		}
		return c.fileError(err, from, id)
	}
	if c.On("PassThru") {
		i, err := s.m.Stat(to)
		if err != nil {
			return err
		}
		return c.out.put(s.fileObject(to, i))
	}
	return nil
}

func renameItem(c *Call) error {
	s := c.sh
	for k := range map[string]bool{"path": true, "literalpath": true} {
		if v, ok := c.bound[k]; ok {
			c.bound[k] = &Array{Elem: []any{v}}
		}
	}
	name := c.Str("NewName")
	return c.eachPlace(true, func(p place) error {
		if p.prov != nil {
			return s.refuse("Rename-Item of %s", p.show())
		}
		if err := c.inUse("Cannot rename the item at '%s' because it is in use.", p.path); err != nil {
			return err
		}
		to := s.join(s.parentPath(p.path), name)
		if s.hasSeparator(name) {
			full, err := s.filePath(name)
			if err != nil {
				return err
			}
			if !strings.EqualFold(s.parentPath(full), s.parentPath(p.path)) {
				return &Error{ID: "Argument", Category: "InvalidArgument", Exception: "System.Management.Automation.PSArgumentException", Message: "Cannot rename the specified target, because it represents a path or device name."}
			}
			to = full
		}
		return c.moved(p.path, to, "RenameItemIOError")
	})
}

func getDrive(c *Call) error {
	s := c.sh
	show := func(name, provider, root string) error {
		if want := c.Strs("Name"); want != nil {
			hit := false
			for _, w := range want {
				hit = hit || s.like(name, w, false)
			}
			if !hit {
				return nil
			}
		}
		if want := c.Strs("PSProvider"); want != nil && !strings.EqualFold(want[0], provider) {
			return nil
		}
		o := NewObject("System.Management.Automation.PSDriveInfo").Set("Name", name).Set("Provider", provider).Set("Root", root)
		o.Show = []string{"Name", "Provider", "Root"}
		o.Text = func() string { return name }
		return c.out.put(o)
	}
	for _, r := range s.m.Roots() {
		if err := show(strings.TrimRight(r, `:\/`), "FileSystem", r); err != nil {
			return err
		}
	}
	for _, n := range []string{"Alias", "Env", "Function", "Variable"} {
		if err := show(n, n, ""); err != nil {
			return err
		}
	}
	for _, n := range []string{"HKCU", "HKLM"} {
		if _, ok := s.o.Drives[n]; ok {
			if err := show(n, "Registry", n); err != nil {
				return err
			}
		}
	}
	return nil
}
