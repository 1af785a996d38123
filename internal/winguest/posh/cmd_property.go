package posh

import (
	"errors"
	"io/fs"
	"strings"
)

func getItemProperty(c *Call) error {
	s := c.sh
	names := c.Strs("Name")
	return c.eachPlace(true, func(p place) error {
		var v any
		if p.prov == nil {
			i, err := s.m.Stat(p.path)
			if err != nil {
				return c.fileError(err, p.path, "")
			}
			v = s.fileObject(p.path, i)
		} else {
			props, err := p.prov.Properties(p.path)
			if err != nil {
				if errors.Is(err, fs.ErrNotExist) {
					return NotFound(p.show())
				}
				return err
			}
			o := &Object{}
			for _, x := range props {
				o.Set(x.Name, wrap(x.Value))
			}
			v = o
		}
		for _, n := range names {
			if hasWildcard(n) {
				continue
			}
			if _, ok, err := s.get(v, n); err != nil || !ok {
				return &Error{ID: "System.Management.Automation.PSArgumentException", Exception: "System.Management.Automation.PSArgumentException", Category: "InvalidArgument", Target: n,
					Message: "Property " + n + " does not exist at path " + p.show() + "."}
			}
		}
		if c.def.Name == "Get-ItemPropertyValue" {
			for _, n := range names {
				x, _, err := s.get(v, n)
				if err != nil {
					return err
				}
				if err := c.out.put(x); err != nil {
					return err
				}
			}
			return nil
		}
		o, isObject := v.(*Object)
		if !isObject && names == nil {
			return c.out.put(v)
		}
		if names != nil {
			o2 := &Object{}
			for _, n := range names {
				for _, m := range s.expandNames(v, n) {
					x, _, err := s.get(v, m)
					if err != nil {
						return err
					}
					o2.Set(s.properName(v, m), x)
				}
			}
			o = o2
		}
		o.Set("PSPath", p.show()).Set("PSChildName", s.leaf(p.path))
		if p.prov != nil {
			o.Set("PSDrive", p.drive)
		}
		return c.out.put(o)
	})
}

func setItemProperty(c *Call) error {
	s := c.sh
	fresh := c.def.Name == "New-ItemProperty"
	kind := c.Str("PropertyType")
	if !fresh {
		kind = c.Str("Type")
	}
	name, v := c.Str("Name"), c.Value("Value")
	return c.eachPlace(true, func(p place) error {
		if p.prov == nil {
			if fresh {
				return s.refuse("New-ItemProperty of a file")
			}
			i, err := s.m.Stat(p.path)
			if err != nil {
				return c.fileError(err, p.path, "")
			}
			return s.setMember(s.fileObject(p.path, i), name, v)
		}
		if fresh && !c.On("Force") {
			props, err := p.prov.Properties(p.path)
			if err != nil {
				return err
			}
			for _, x := range props {
				if strings.EqualFold(x.Name, name) {
					return &Error{ID: "System.IO.IOException", Exception: "System.IO.IOException", Category: "WriteError", Message: "The property already exists.", Target: p.show()}
				}
			}
		}
		if err := p.prov.SetProperty(p.path, Property{Name: name, Value: v, Kind: kind}); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return NotFound(p.show())
			}
			return err
		}
		if fresh || c.On("PassThru") {
			props, err := p.prov.Properties(p.path)
			if err != nil {
				return err
			}
			o := &Object{}
			for _, x := range props {
				if strings.EqualFold(x.Name, name) {
					o.Set(x.Name, wrap(x.Value))
				}
			}
			return c.out.put(o.Set("PSPath", p.show()).Set("PSChildName", s.leaf(p.path)))
		}
		return nil
	})
}

func removeItemProperty(c *Call) error {
	return c.eachPlace(true, func(p place) error {
		if p.prov == nil {
			return c.sh.refuse("Remove-ItemProperty of a file")
		}
		for _, n := range c.Strs("Name") {
			if err := p.prov.RemoveProperty(p.path, n); err != nil {
				if errors.Is(err, fs.ErrNotExist) {
					return &Error{ID: "System.Management.Automation.PSArgumentException", Exception: "System.Management.Automation.PSArgumentException", Category: "InvalidArgument", Target: n,
						Message: "Property " + n + " does not exist at path " + p.show() + "."}
				}
				return err
			}
		}
		return nil
	})
}
