package posh

import (
	"io/fs"
	"sort"
	"strings"
)

// The drives that show the shell itself.
type (
	envDrive      struct{ s *shell }
	variableDrive struct{ s *shell }
	functionDrive struct{ s *shell }
	aliasDrive    struct{ s *shell }
)

func notHere(what string) error { return &fs.PathError{Op: "find", Path: what, Err: fs.ErrNotExist} }

func (d envDrive) Stat(p string) (bool, bool, error) {
	if p == "" {
		return true, true, nil
	}
	_, ok := d.s.env.Get(p)
	return ok, false, nil
}

func (d envDrive) item(name string) any {
	v, _ := d.s.env.Get(name)
	o := NewObject("System.Collections.DictionaryEntry").Set("Name", name).Set("Key", name).Set("Value", v)
	o.Show = []string{"Name", "Value"}
	return o
}

func (d envDrive) Item(p string) (any, error) {
	for _, n := range d.s.env.Names() {
		if d.s.env.key(n) == d.s.env.key(p) {
			return d.item(n), nil
		}
	}
	return nil, notHere(p)
}

func (d envDrive) Children(p string) ([]Child, error) {
	var out []Child
	for _, n := range d.s.env.Names() {
		out = append(out, Child{Name: n, Item: d.item(n)})
	}
	return out, nil
}

func (d envDrive) New(p, kind string, v any, force bool) (any, error) {
	if _, ok := d.s.env.Get(p); ok && !force {
		return nil, fs.ErrExist
	}
	d.s.env.Set(p, d.s.text(v))
	return d.item(p), nil
}

func (d envDrive) Remove(p string, recurse bool) error { d.s.env.Set(p, ""); return nil }

func (d envDrive) SetItem(p string, v any) error { d.s.env.Set(p, d.s.text(v)); return nil }

func (d variableDrive) Stat(p string) (bool, bool, error) {
	if p == "" {
		return true, true, nil
	}
	return d.s.find(variableKey(p)) != nil, false, nil
}

// variableKey takes a scope off a name.
func variableKey(p string) string {
	if i := strings.LastIndexByte(p, ':'); i >= 0 {
		p = p[i+1:]
	}
	return foldKey(p)
}

func (d variableDrive) item(v *variable) any {
	o := NewObject("System.Management.Automation.PSVariable").Set("Name", v.name).Live("Value", func() (any, error) { return v.value(), nil },
		func(x any) error { v.val = x; return nil })
	o.Show = []string{"Name", "Value"}
	return o
}

func (d variableDrive) Item(p string) (any, error) {
	if v := d.s.find(variableKey(p)); v != nil {
		return d.item(v), nil
	}
	return nil, notHere(p)
}

func (d variableDrive) Children(p string) ([]Child, error) {
	seen := map[string]*variable{}
	var names []string
	for sc := d.s.scope; sc != nil; sc = sc.parent {
		for k, v := range sc.vars {
			if _, ok := seen[k]; !ok && k[0] != 0 {
				seen[k] = v
				names = append(names, k)
			}
		}
	}
	sort.Strings(names)
	var out []Child
	for _, n := range names {
		out = append(out, Child{Name: seen[n].name, Item: d.item(seen[n])})
	}
	return out, nil
}

func (d variableDrive) New(p, kind string, v any, force bool) (any, error) {
	if d.s.find(variableKey(p)) != nil && !force {
		return nil, fs.ErrExist
	}
	return nil, d.SetItem(p, v)
}

func (d variableDrive) Remove(p string, recurse bool) error {
	return d.s.removeVar(p, d.s.scope, false)
}

// removeVar removes a variable of a scope, or of the nearest one around it.
func (s *shell) removeVar(p string, sc *scope, force bool) error {
	k := variableKey(p)
	for ; sc != nil; sc = sc.parent {
		if v, ok := sc.vars[k]; ok {
			if v.constant || v.readOnly && !force {
				return fs.ErrPermission
			}
			delete(sc.vars, k)
			return nil
		}
	}
	return notHere(p)
}

func (d variableDrive) SetItem(p string, v any) error {
	_, err := d.s.assign(d.s.scope, variableKey(p), p, v, nil)
	return err
}

func (d functionDrive) Stat(p string) (bool, bool, error) {
	return p == "" || d.s.function(p) != nil, p == "", nil
}

func (d functionDrive) Item(p string) (any, error) {
	if b := d.s.function(p); b != nil {
		return &commandInfo{name: p, kind: "Function", block: b}, nil
	}
	return nil, notHere(p)
}

func (d functionDrive) Children(p string) ([]Child, error) {
	var out []Child
	seen := map[string]bool{}
	add := func(m map[string]*Block) {
		for n, b := range m {
			if !seen[n] {
				seen[n] = true
				out = append(out, Child{Name: n, Item: &commandInfo{name: n, kind: "Function", block: b}})
			}
		}
	}
	for sc := d.s.scope; sc != nil; sc = sc.parent {
		add(sc.funcs)
	}
	add(d.s.functions)
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out, nil
}

func (d functionDrive) New(p, kind string, v any, force bool) (any, error) {
	return nil, d.SetItem(p, v)
}

func (d functionDrive) Remove(p string, recurse bool) error {
	for sc := d.s.scope; sc != nil; sc = sc.parent {
		delete(sc.funcs, foldKey(p))
	}
	delete(d.s.functions, foldKey(p))
	return nil
}

func (d functionDrive) SetItem(p string, v any) error {
	b, ok := v.(*Block)
	if !ok {
		return d.s.refuse("a function that is not made of a script block")
	}
	d.s.functions[foldKey(p)] = b
	return nil
}

func (d aliasDrive) Stat(p string) (bool, bool, error) {
	_, ok := d.s.alias(foldKey(p))
	return p == "" || ok, p == "", nil
}

func (d aliasDrive) Item(p string) (any, error) {
	to, ok := d.s.alias(foldKey(p))
	if !ok {
		return nil, notHere(p)
	}
	return aliasObject(p, to), nil
}

func aliasObject(name, to string) *Object {
	o := NewObject("System.Management.Automation.AliasInfo").Set("CommandType", "Alias").Set("Name", name).Set("Definition", to).Set("ResolvedCommandName", to).Set("Source", "").Set("Version", "")
	o.Show = []string{"CommandType", "Name", "Version", "Source"}
	o.Set("DisplayName", name+" -> "+to)
	return o
}

func (d aliasDrive) Children(p string) ([]Child, error) {
	all := map[string]string{}
	for k, v := range builtinAliases {
		all[k] = v
	}
	for k, v := range d.s.aliases {
		all[k] = v
	}
	var out []Child
	for k, v := range all {
		if v != "" {
			out = append(out, Child{Name: k, Item: aliasObject(k, v)})
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out, nil
}

func (d aliasDrive) New(p, kind string, v any, force bool) (any, error) { return nil, d.SetItem(p, v) }

func (d aliasDrive) Remove(p string, recurse bool) error { d.s.aliases[foldKey(p)] = ""; return nil }

func (d aliasDrive) SetItem(p string, v any) error {
	d.s.aliases[foldKey(p)] = d.s.text(v)
	return nil
}

// itemSetter is a drive whose items have a value of their own.
type itemSetter interface{ SetItem(p string, v any) error }

// None of these drives has items with properties.
func noProperties() error {
	return &Error{ID: "NotSupported", Category: "NotImplemented", Exception: "System.Management.Automation.PSNotSupportedException",
		Message: "Provider operation stopped because the provider does not support this operation."}
}

func (envDrive) Properties(string) ([]Property, error)      { return nil, noProperties() }
func (envDrive) SetProperty(string, Property) error         { return noProperties() }
func (envDrive) RemoveProperty(string, string) error        { return noProperties() }
func (variableDrive) Properties(string) ([]Property, error) { return nil, noProperties() }
func (variableDrive) SetProperty(string, Property) error    { return noProperties() }
func (variableDrive) RemoveProperty(string, string) error   { return noProperties() }
func (functionDrive) Properties(string) ([]Property, error) { return nil, noProperties() }
func (functionDrive) SetProperty(string, Property) error    { return noProperties() }
func (functionDrive) RemoveProperty(string, string) error   { return noProperties() }
func (aliasDrive) Properties(string) ([]Property, error)    { return nil, noProperties() }
func (aliasDrive) SetProperty(string, Property) error       { return noProperties() }
func (aliasDrive) RemoveProperty(string, string) error      { return noProperties() }
