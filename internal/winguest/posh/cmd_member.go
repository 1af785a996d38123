package posh

import (
	"errors"
	"strings"
)

func getMemberEnd(c *Call) error {
	s := c.sh
	seen := map[string]bool{}
	for _, v := range gathered(c) {
		t := typeNameOf(v)
		if seen[t] {
			continue
		}
		seen[t] = true
		for _, n := range s.propertyNames(v) {
			want := c.Strs("Name")
			ok := want == nil
			for _, w := range want {
				ok = ok || s.like(n, w, false)
			}
			kind := "Property"
			if _, note := v.(*Object); note {
				kind = "NoteProperty"
			}
			if m := c.Str("MemberType"); m != "" && !strings.EqualFold(m, kind) && !strings.EqualFold(m, "Properties") {
				if !strings.Contains(strings.ToLower(m), "property") {
					return s.refuse("Get-Member -MemberType %s", m)
				}
				ok = false
			}
			if !ok {
				continue
			}
			x, _, _ := s.get(v, n)
			o := NewObject("Microsoft.PowerShell.Commands.MemberDefinition").Set("Name", n).Set("MemberType", kind).Set("Definition", shortName(typeNameOf(x))+" "+n)
			o.Set("TypeName", t)
			o.Show = []string{"Name", "MemberType", "Definition"}
			if err := c.out.put(o); err != nil {
				return err
			}
		}
	}
	return nil
}

func addMember(c *Call) error {
	s := c.sh
	o, ok := c.Value("InputObject").(*Object)
	if !ok {
		return s.refuse("Add-Member on %s", typeNameOf(c.Value("InputObject")))
	}
	set := func(n string, v any) error {
		if o.find(n) != nil && !c.On("Force") {
			return c.Error(&Error{ID: "MemberAlreadyExists", Category: "InvalidOperation", Message: "Cannot add a member with the name \"" + n + "\" because a member with that name already exists."})
		}
		o.Set(n, bare(v))
		return nil
	}
	switch {
	case c.Has("NotePropertyMembers"):
		h := c.Value("NotePropertyMembers").(*Hash)
		for _, k := range h.Keys() {
			v, _ := h.Get(k)
			if err := set(s.text(k), v); err != nil {
				return err
			}
		}
	case c.Has("NotePropertyName"):
		if err := set(c.Str("NotePropertyName"), c.Value("NotePropertyValue")); err != nil {
			return err
		}
	case c.Has("MemberType") && !strings.EqualFold(c.Str("MemberType"), "NoteProperty"):
		if c.Has("Name") || c.Has("Value") {
			return s.refuse("Add-Member -MemberType %s", c.Str("MemberType"))
		}
		return s.refuse("Add-Member of this form")
	case c.Has("TypeName"):
		o.Types = append([]string{c.Str("TypeName")}, o.Types...)
	default:
		name := c.Str("Name")
		if err := set(name, c.Value("Value")); err != nil {
			return err
		}
	}
	if c.On("PassThru") {
		return c.out.put(o)
	}
	return nil
}

func newObject(c *Call) error {
	s := c.sh
	name := c.Str("TypeName")
	tn, err := parseType(name)
	if errors.Is(err, ErrOutside) {
		return err
	}
	if err != nil {
		return &Error{ID: "TypeNotFound", Category: "InvalidType", Message: "Cannot find type [" + name + "]: verify that the assembly containing this type is loaded.", Exception: "System.Management.Automation.PSArgumentException"}
	}
	t, err := s.resolve(tn)
	if err != nil {
		if s.passes(err) {
			return err
		}
		return &Error{ID: "TypeNotFound", Category: "InvalidType", Message: "Cannot find type [" + name + "]: verify that the assembly containing this type is loaded.", Exception: "System.Management.Automation.PSArgumentException"}
	}
	var args []any
	v := c.Value("ArgumentList")
	if l, ok := v.(*List); ok {
		args = l.Elem
	} else if a, ok := v.(*Array); ok {
		args = a.Elem
	} else if c.Has("ArgumentList") {
		args = []any{v}
	}
	var o any
	switch {
	case t.elem != nil:
		n, err := s.toInt32(argOr(args, 0, int32(0)))
		if err != nil {
			return err
		}
		o, err = s.newArray(t, int(n))
		if err != nil {
			return err
		}
	case t.ctor != nil:
		o, err = t.ctor(s, args)
		if err != nil {
			if s.passes(err) {
				return err
			}
			e := asError(err)
			return &Error{ID: "ConstructorInvokedThrowException", Category: "InvalidOperation", Exception: "System.Management.Automation.MethodInvocationException", inner: e,
				Message: "Exception calling \".ctor\" with \"" + toText(wrap(len(args))) + "\" argument(s): \"" + e.Message + "\""}
		}
	case t.cast != nil && len(args) == 1:
		if o, err = s.castTo(args[0], t); err != nil {
			return err
		}
	default:
		return s.refuse("New-Object %s", name)
	}
	if h, ok := c.Value("Property").(*Hash); ok {
		for _, k := range h.Keys() {
			x, _ := h.Get(k)
			if p, ok := o.(*Object); ok && p.find(s.text(k)) == nil {
				p.Set(s.text(k), x)
				continue
			}
			if err := s.setMember(o, s.text(k), x); err != nil {
				return err
			}
		}
	}
	return c.out.put(o)
}
