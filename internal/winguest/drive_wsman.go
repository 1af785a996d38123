package winguest

import (
	"fmt"
	"hash/fnv"
	"strings"

	"github.com/imgflow/imgflow/internal/winguest/posh"
)

// wsmanDrive is WSMan: with the configuration of WinRM under localhost.
type wsmanDrive struct{ p *Proc }

// setting is the path of a value as winrm names it, "" for one that is none.
func (d wsmanDrive) setting(path string) string {
	parts := strings.FieldsFunc(path, func(r rune) bool { return r == '\\' || r == '/' })
	if len(parts) < 2 || !strings.EqualFold(parts[0], "localhost") {
		return ""
	}
	if strings.EqualFold(parts[1], "Shell") {
		parts[1] = "Winrs"
	}
	return strings.Join(parts[1:], "/")
}

// listenerName is what the drive calls a listener.
func listenerName(l Listener) string {
	h := fnv.New32a()
	fmt.Fprintf(h, "%s/%s", l.Address, l.Transport)
	return fmt.Sprintf("Listener_%d", h.Sum32())
}

// listener finds the listener of a path, and what of it the path names.
func (d wsmanDrive) listener(path string) (l Listener, value string, ok bool) {
	parts := strings.Split(d.setting(path), "/")
	if len(parts) < 2 || len(parts) > 3 || !strings.EqualFold(parts[0], "Listener") {
		return l, "", false
	}
	for _, l := range d.p.Machine.Listeners() {
		if strings.EqualFold(listenerName(l), parts[1]) {
			if len(parts) == 3 {
				value = parts[2]
			}
			return l, value, true
		}
	}
	return l, "", false
}

var listenerValues = []string{"Address", "Transport", "Port", "Hostname", "Enabled", "URLPrefix", "CertificateThumbprint"}

func (d wsmanDrive) Stat(path string) (found, container bool, err error) {
	s := d.setting(path)
	if s == "" {
		top := strings.Trim(path, `\/`)
		ok := top == "" || strings.EqualFold(top, "localhost")
		return ok, ok, nil
	}
	if strings.EqualFold(s, "Listener") {
		return true, true, nil
	}
	if l, value, ok := d.listener(path); ok {
		_, known := listenerObject(l).Get(value)
		return value == "" || known, value == "", nil
	}
	list := d.p.Machine.WinRMSettings(s)
	if len(list) == 0 {
		return false, false, nil
	}
	return true, len(list) > 1 || !strings.EqualFold(list[0].Path, s), nil
}

func wsmanItem(name string, value any) *posh.Object {
	o := posh.NewObject("Microsoft.WSMan.Management.WSManConfigLeafElement").Set("Name", name).Set("Value", value).Set("PSChildName", name)
	o.Show = []string{"Name", "Value"}
	return o
}

func wsmanFolder(name string) *posh.Object {
	return posh.NewObject("Microsoft.WSMan.Management.WSManConfigContainerElement").Set("Name", name).Set("PSChildName", name)
}

func (d wsmanDrive) Item(path string) (any, error) {
	found, container, _ := d.Stat(path)
	switch {
	case !found:
		return nil, notExist(path)
	case container:
		if l, _, ok := d.listener(path); ok {
			return d.listenerItem(l), nil
		}
		return wsmanFolder(baseName(strings.Trim(path, `\/`))), nil
	}
	if l, value, ok := d.listener(path); ok {
		v, _ := listenerObject(l).Get(value)
		return wsmanItem(value, v), nil
	}
	s := d.p.Machine.WinRMSettings(d.setting(path))[0]
	return wsmanItem(baseName(s.Path), s.Value), nil
}

func (d wsmanDrive) listenerItem(l Listener) *posh.Object {
	keys := stringArray([]string{"Transport=" + l.Transport, "Address=" + l.Address})
	return wsmanFolder(listenerName(l)).Set("Keys", keys).Set("PSPath", `Microsoft.WSMan.Management\WSMan::localhost\Listener\`+listenerName(l))
}

func (d wsmanDrive) Children(path string) ([]posh.Child, error) {
	found, container, _ := d.Stat(path)
	if !found {
		return nil, notExist(path)
	}
	if !container {
		return nil, nil
	}
	if strings.Trim(path, `\/`) == "" {
		return []posh.Child{{Name: "localhost", Container: true, Item: wsmanFolder("localhost")}}, nil
	}
	s := d.setting(path)
	var out []posh.Child
	if strings.EqualFold(s, "Listener") {
		for _, l := range d.p.Machine.Listeners() {
			out = append(out, posh.Child{Name: listenerName(l), Container: true, Item: d.listenerItem(l)})
		}
		return out, nil
	}
	if l, _, ok := d.listener(path); ok {
		for _, n := range listenerValues {
			v, _ := listenerObject(l).Get(n)
			out = append(out, posh.Child{Name: n, Item: wsmanItem(n, v)})
		}
		return out, nil
	}
	seen := map[string]bool{}
	for _, x := range d.p.Machine.WinRMSettings(s) {
		rest := strings.TrimPrefix(x.Path[len(s):], "/")
		name, _, deeper := strings.Cut(rest, "/")
		shown := name
		if s == "" && name == "Winrs" {
			shown = "Shell"
		}
		if seen[name] {
			continue
		}
		seen[name] = true
		c := posh.Child{Name: shown, Container: deeper, Item: wsmanFolder(shown)}
		if !deeper {
			c.Item = wsmanItem(name, x.Value)
		}
		out = append(out, c)
	}
	if s == "" {
		out = append(out, posh.Child{Name: "Listener", Container: true, Item: wsmanFolder("Listener")})
	}
	return out, nil
}

func (d wsmanDrive) New(path, _ string, _ any, _ bool) (any, error) {
	return nil, fmt.Errorf("cannot make WSMan:\\%s: it is %w; listeners can be made, with -Address and -Transport", path, posh.ErrOutside)
}

// NewParams are those of a listener.
func (d wsmanDrive) NewParams(path string) []posh.Param {
	if !strings.EqualFold(d.setting(path), "Listener") {
		return nil
	}
	return []posh.Param{{Name: "Address", Type: "string"}, {Name: "Transport", Type: "string", Values: []string{"HTTP", "HTTPS"}}, {Name: "Port", Type: "int"},
		{Name: "HostName", Type: "string"}, {Name: "Enabled", Type: "bool"}, {Name: "URLPrefix", Type: "string"}, {Name: "CertificateThumbPrint", Type: "string"}}
}

// Make makes a listener. Windows asks whether to go on unless it is forced, and
// nobody is there to answer.
func (d wsmanDrive) Make(path string, values map[string]any, force bool) (any, error) {
	if err := d.p.Admin(); err != nil {
		return nil, denied("WSMan:")
	}
	if !force {
		return nil, outside("New-Item WSMan:\\%s without -Force, which asks", path)
	}
	address, transport := textOf(values["Address"]), strings.ToUpper(textOf(values["Transport"]))
	if address == "" || transport == "" {
		return nil, &posh.Error{ID: "MissingMandatoryParameter", Category: "InvalidArgument", Exception: "System.Management.Automation.ParameterBindingException",
			Message: "Cannot process command because of one or more missing mandatory parameters: Address Transport."}
	}
	set := map[string]string{}
	for name, v := range values {
		if name != "Address" && name != "Transport" {
			set[name] = textOf(v)
		}
	}
	l, err := NewListener(address, transport, set)
	if err == nil {
		err = d.p.Machine.AddListener(l)
	}
	if err != nil {
		return nil, wsmanProblem(err)
	}
	return d.listenerItem(l), nil
}

// SetItem is what Set-Item does.
func (d wsmanDrive) SetItem(path string, value any) error {
	if err := d.p.Admin(); err != nil {
		return denied("WSMan:")
	}
	found, container, _ := d.Stat(path)
	switch {
	case !found:
		return notExist(`WSMan:\` + path)
	case container:
		return wsmanProblem(fmt.Errorf("WSMan:\\%s has no value of its own", path))
	}
	text := textOf(value)
	if b, ok := value.(bool); ok {
		text = fmt.Sprint(b)
	}
	var err error
	if l, name, ok := d.listener(path); ok {
		err = d.p.Machine.SetListener(l.Address, l.Transport, map[string]string{name: text})
	} else {
		s := d.setting(path)
		err = d.p.Machine.SetWinRM("", map[string]string{s: text})
	}
	if err != nil {
		return wsmanProblem(err)
	}
	return nil
}

func (d wsmanDrive) Remove(path string, _ bool) error {
	l, value, ok := d.listener(path)
	switch {
	case d.p.Admin() != nil:
		return denied("WSMan:")
	case !ok || value != "":
		return wsmanProblem(fmt.Errorf("WSMan:\\%s cannot be removed: only listeners can", path))
	}
	return d.p.Machine.RemoveListener(l.Address, l.Transport)
}

func (d wsmanDrive) Properties(path string) ([]posh.Property, error) {
	children, err := d.Children(path)
	var out []posh.Property
	for _, c := range children {
		if !c.Container {
			v, _ := c.Item.(*posh.Object).Get("Value")
			out = append(out, posh.Property{Name: c.Name, Value: v, Kind: "String"})
		}
	}
	return out, err
}

func (d wsmanDrive) SetProperty(path string, p posh.Property) error {
	return d.SetItem(path+`\`+p.Name, p.Value)
}

func (d wsmanDrive) RemoveProperty(path, name string) error {
	return fmt.Errorf("cannot remove %s of WSMan:\\%s: %w", name, path, posh.ErrOutside)
}
