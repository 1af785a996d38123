package posh

import (
	"strings"
)

func (c *Call) scopeParam() (*scope, error) {
	s := c.sh
	switch v := strings.ToLower(c.Str("Scope")); v {
	case "", "local", "0":
		return s.scope, nil
	case "global", "script":
		return s.scopeNamed(v), nil
	default:
		x, ok := parseNumber(v)
		n, err := s.toInt32(x)
		if !ok || err != nil {
			return nil, s.refuse("the scope '%s'", v)
		}
		sc := s.scope
		for ; n > 0 && sc.parent != nil; n-- {
			sc = sc.parent
		}
		if n > 0 {
			return nil, &Error{ID: "ArgumentOutOfRange", Category: "InvalidArgument", Message: "The scope number '" + v + "' exceeds the number of active scopes.", Exception: "System.Management.Automation.PSArgumentOutOfRangeException"}
		}
		return sc, nil
	}
}

func getVariable(c *Call) error {
	s := c.sh
	if !c.Has("Name") {
		return s.refuse("Get-Variable without a name")
	}
	sc, err := c.scopeParam()
	if err != nil {
		return err
	}
	for _, n := range c.Strs("Name") {
		var hits []*variable
		if hasWildcard(n) {
			ch, err := (variableDrive{s}).Children("")
			if err != nil {
				return err
			}
			for _, x := range ch {
				if s.like(x.Name, n, false) {
					hits = append(hits, s.find(foldKey(x.Name)))
				}
			}
		} else {
			var v *variable
			if c.Has("Scope") {
				v = sc.vars[variableKey(n)]
			} else {
				v = s.find(variableKey(n))
			}
			if v == nil {
				if err := c.Error(&Error{ID: "VariableNotFound", Category: "ObjectNotFound", Target: n, Message: "Cannot find a variable with the name '" + n + "'.", Exception: "System.Management.Automation.ItemNotFoundException"}); err != nil {
					return err
				}
				continue
			}
			hits = append(hits, v)
		}
		for _, v := range hits {
			if c.On("ValueOnly") {
				if err := emit(v.value(), c.out); err != nil {
					return err
				}
				continue
			}
			if err := c.out.put(variableDrive{s}.item(v)); err != nil {
				return err
			}
		}
	}
	return nil
}

func setVariable(c *Call) error {
	s := c.sh
	sc, err := c.scopeParam()
	if err != nil {
		return err
	}
	for _, n := range c.Strs("Name") {
		key := variableKey(n)
		if i := strings.LastIndexByte(n, ':'); i >= 0 && !c.Has("Scope") {
			for _, part := range strings.Split(strings.ToLower(n[:i]), ":") {
				if part == "global" || part == "script" {
					sc = s.scopeNamed(part)
				}
			}
			n = n[i+1:]
		}
		v := c.Value("Value")
		if c.def.Name == "New-Variable" && !c.On("Force") {
			if _, there := sc.vars[key]; there {
				if err := c.Error(&Error{ID: "VariableAlreadyExists", Category: "ResourceExists", Message: "A variable with name '" + n + "' already exists.", Exception: "System.Management.Automation.SessionStateException"}); err != nil {
					return err
				}
				continue
			}
		}
		if x := sc.vars[key]; x != nil && x.readOnly && !x.constant && c.On("Force") && x.live == nil {
			x.readOnly = false
		}
		if _, err := s.assign(sc, key, n, v, nil); err != nil {
			if s.passes(err) {
				return err
			}
			if err := c.Error(err); err != nil {
				return err
			}
			continue
		}
		switch o := strings.ToLower(c.Str("Option")); o {
		case "", "none", "allscope":
			if o == "allscope" {
				return s.refuse("-Option AllScope")
			}
		case "readonly":
			sc.vars[key].readOnly = true
		case "constant":
			sc.vars[key].constant = true
		default:
			return s.refuse("-Option %s", o)
		}
		if c.On("PassThru") {
			if err := c.out.put(variableDrive{s}.item(sc.vars[key])); err != nil {
				return err
			}
		}
	}
	return nil
}

func setAlias(c *Call) error {
	if _, there := c.sh.alias(foldKey(c.Str("Name"))); there && c.def.Name == "New-Alias" && !c.On("Force") {
		return c.Error(&Error{ID: "AliasAlreadyExists", Category: "ResourceExists", Target: c.Str("Name"), Exception: "System.Management.Automation.SessionStateException",
			Message: "The alias is not allowed, because an alias with the name '" + c.Str("Name") + "' already exists."})
	}
	c.sh.aliases[foldKey(c.Str("Name"))] = c.Str("Value")
	return nil
}
