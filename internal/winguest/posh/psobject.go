package posh

import (
	"strings"
	"time"
)

// psObject is .PSObject.
type psObject struct{ x any }

func (p *psObject) typeName() string { return "System.Management.Automation.PSObject" }

func (p *psObject) get(s *shell, k string) (any, bool, error) {
	switch k {
	case "properties", "members":
		return &propertySet{s: s, x: p.x}, true, nil
	case "baseobject", "immediatebaseobject":
		return p.x, true, nil
	case "typenames":
		v, _, err := s.commonGet(p.x, "pstypenames")
		return v, true, err
	}
	return nil, false, nil
}

func (p *psObject) call(s *shell, k string, a []any) (any, bool, error) {
	if k == "copy" {
		if o, ok := p.x.(*Object); ok {
			c := &Object{Types: o.Types, Text: o.Text, Show: o.Show, funcs: o.funcs}
			for _, q := range o.props {
				cp := *q
				c.props = append(c.props, &cp)
			}
			return c, true, nil
		}
	}
	return nil, false, nil
}

// propertySet is .PSObject.Properties.
type propertySet struct {
	s *shell
	x any
}

func (p *propertySet) typeName() string { return "PSPropertyCollection" }

func (p *propertySet) all() []any {
	var out []any
	for _, n := range p.s.propertyNames(p.x) {
		out = append(out, p.one(n))
	}
	return out
}

func (p *propertySet) one(name string) any {
	o := NewObject("System.Management.Automation.PSNoteProperty")
	o.Set("Name", name).Live("Value", func() (any, error) { v, _, err := p.s.get(p.x, name); return v, err },
		func(v any) error { return p.s.setMember(p.x, name, v) })
	o.Set("MemberType", "NoteProperty").Set("IsSettable", true).Set("IsGettable", true)
	v, _, _ := p.s.get(p.x, name)
	o.Set("TypeNameOfValue", typeNameOf(v))
	return o
}

func (p *propertySet) get(s *shell, k string) (any, bool, error) {
	switch k {
	case "count":
		return int32(len(p.all())), true, nil
	}
	return collectProperty(s, p.all(), k)
}

func collectProperty(s *shell, all []any, k string) (any, bool, error) {
	v, err := s.getMember(&Array{Elem: all}, k)
	return v, true, err
}

func (p *propertySet) at(s *shell, i any) (any, error) {
	name := s.text(i)
	for _, n := range s.propertyNames(p.x) {
		if strings.EqualFold(n, name) {
			return p.one(n), nil
		}
	}
	return nil, nil
}

func (p *propertySet) call(s *shell, k string, a []any) (any, bool, error) {
	o, ok := p.x.(*Object)
	if !ok || len(a) == 0 {
		return nil, false, nil
	}
	switch k {
	case "remove":
		o.Delete(s.text(a[0]))
		return void{}, true, nil
	case "add":
		if n, ok := a[0].(*Object); ok {
			name, _ := n.Get("Name")
			v, _ := n.Get("Value")
			o.Set(s.text(name), v)
			return void{}, true, nil
		}
	case "match":
		var out []any
		for _, n := range s.propertyNames(o) {
			if s.like(n, s.text(a[0]), false) {
				out = append(out, p.one(n))
			}
		}
		return &Array{Elem: out}, true, nil
	}
	return nil, false, nil
}

// propertyNames are the properties that an object is shown and converted with.
func (s *shell) propertyNames(x any) []string {
	switch v := x.(type) {
	case *Object:
		return v.Names()
	case *Hash:
		var out []string
		for _, k := range v.Keys() {
			out = append(out, s.text(k))
		}
		return out
	case string:
		return []string{"Length"}
	case interface{ names() []string }:
		return v.names()
	case *Array, []byte:
		return []string{"Length", "Count"}
	case *errorRecord:
		return []string{"Exception", "TargetObject", "CategoryInfo", "FullyQualifiedErrorId", "ErrorDetails", "InvocationInfo", "ScriptStackTrace"}
	case *exception:
		return []string{"Message", "Data", "InnerException", "HResult"}
	case time.Time:
		return []string{"Date", "Day", "DayOfWeek", "DayOfYear", "Hour", "Kind", "Millisecond", "Minute", "Month", "Second", "Ticks", "TimeOfDay", "Year"}
	case time.Duration:
		return []string{"Days", "Hours", "Milliseconds", "Minutes", "Seconds", "Ticks", "TotalDays", "TotalHours", "TotalMilliseconds", "TotalMinutes", "TotalSeconds"}
	}
	return nil
}
