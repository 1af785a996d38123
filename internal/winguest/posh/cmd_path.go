package posh

import (
	"errors"
	"slices"
	"strings"
)

func testPath(c *Call) error {
	s := c.sh
	paths, literal := c.Strs("Path"), false
	if c.Has("LiteralPath") {
		paths, literal = c.Strs("LiteralPath"), true
	}
	if paths == nil {
		return &Error{ID: "ParameterArgumentValidationErrorNullNotAllowed", Category: "InvalidData", Message: "Cannot bind argument to parameter 'Path' because it is null.", Exception: "System.Management.Automation.ParameterBindingException"}
	}
	if c.Has("Filter") || c.Has("Include") || c.Has("Exclude") {
		return s.refuse("Test-Path with a filter")
	}
	kind := strings.ToLower(c.Str("PathType"))
	for _, p := range paths {
		if strings.TrimSpace(p) == "" || c.On("IsValid") {
			if p == "" && !c.On("IsValid") {
				return &Error{ID: "ParameterArgumentValidationErrorEmptyStringNotAllowed", Category: "InvalidData", Message: "Cannot bind argument to parameter 'Path' because it is an empty string.", Exception: "System.Management.Automation.ParameterBindingException"}
			}
			if c.On("IsValid") {
				return s.refuse("Test-Path -IsValid")
			}
		}
		places, err := s.glob(p, literal)
		var e *Error
		if err != nil && !(errors.As(err, &e) && e.ID == "DriveNotFound") {
			return err
		}
		hit := false
		for _, pl := range places {
			found, dir, err := s.statPlace(pl)
			if err != nil {
				if s.passes(err) {
					return err
				}
				continue
			}
			ok := found
			switch kind {
			case "leaf":
				ok = found && !dir
			case "container":
				ok = found && dir
			case "", "any":
			default:
				return &Error{ID: "CannotConvertArgumentNoMessage", Category: "InvalidArgument", Message: "Cannot bind parameter 'PathType': '" + kind + "' is none of Any, Container, Leaf."}
			}
			hit = hit || ok
		}
		if err := c.out.put(hit); err != nil {
			return err
		}
	}
	return nil
}

func joinPath(c *Call) error {
	s := c.sh
	for _, p := range c.Strs("Path") {
		r := s.join(p, c.Str("ChildPath"))
		if c.Str("ChildPath") == "" {
			r = strings.TrimRight(r, s.sep()) + s.sep()
		}
		if drive, _ := driveOf(p); drive != "" && !s.core {
			_, err := s.place(p)
			if len(drive) == 1 && !slices.ContainsFunc(s.m.Roots(), func(r string) bool { return strings.EqualFold(r[:1], drive) }) {
				err = noDrive(drive)
			}
			if err != nil {
				if err := c.Error(err); err != nil {
					return err
				}
				continue
			}
		}
		if c.On("Resolve") {
			places, err := s.glob(r, false)
			if err != nil {
				return err
			}
			for _, pl := range places {
				if found, _, err := s.statPlace(pl); err != nil || !found {
					if err := c.Error(NotFound(pl.show())); err != nil {
						return err
					}
					continue
				}
				if err := c.out.put(pl.show()); err != nil {
					return err
				}
			}
			continue
		}
		if err := c.out.put(r); err != nil {
			return err
		}
	}
	return nil
}

func splitPath(c *Call) error {
	s := c.sh
	paths := c.Strs("Path")
	if c.Has("LiteralPath") {
		paths = c.Strs("LiteralPath")
	}
	if c.On("Resolve") {
		return s.refuse("Split-Path -Resolve")
	}
	for _, p := range paths {
		var r any
		switch {
		case c.On("Leaf"):
			r = s.leaf(p)
		case c.On("IsAbsolute"):
			d, _ := driveOf(p)
			r = d != "" || s.core && strings.HasPrefix(p, "/")
		case c.On("Qualifier"):
			d, _ := driveOf(p)
			if d == "" {
				if err := c.Error(&Error{ID: "ParsePathFormatError", Category: "InvalidArgument", Message: "Cannot parse path because path '" + p + "' does not have a qualifier specified."}); err != nil {
					return err
				}
				continue
			}
			r = d + ":"
		case c.On("NoQualifier"):
			_, rest := driveOf(p)
			r = rest
		default:
			if !s.core {
				p = strings.ReplaceAll(p, "/", `\`)
			}
			r = s.parentPath(p)
		}
		if err := c.out.put(r); err != nil {
			return err
		}
	}
	return nil
}

func resolvePath(c *Call) error {
	s := c.sh
	return c.eachPlace(true, func(p place) error {
		if c.On("Relative") {
			if p.prov != nil || !strings.HasPrefix(foldKey(p.path), foldKey(s.dir)) {
				return s.refuse("Resolve-Path -Relative of %s", p.show())
			}
			return c.out.put("." + s.sep() + strings.TrimLeft(p.path[len(s.dir):], s.sep()))
		}
		show := p.show()
		o := NewObject("System.Management.Automation.PathInfo").Set("Path", show).Set("ProviderPath", p.path)
		o.Show = []string{"Path"}
		o.Text = func() string { return show }
		return c.out.put(o)
	})
}
