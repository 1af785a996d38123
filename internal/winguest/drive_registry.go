package winguest

import (
	"fmt"
	"math"
	"strings"

	"github.com/imgflow/imgflow/internal/winguest/posh"
)

// registryDrive is HKLM: or HKCU:, or with no hive what Registry:: names.
type registryDrive struct {
	r    Registry
	p    *Proc
	hive string
}

func (d registryDrive) full(path string) string {
	return strings.Trim(d.hive+`\`+strings.ReplaceAll(strings.Trim(path, `\/`), "/", `\`), `\`)
}

var hiveNames = map[string]string{"HKLM": "HKEY_LOCAL_MACHINE", "HKCU": "HKEY_CURRENT_USER", "HKU": "HKEY_USERS", "HKCR": "HKEY_CLASSES_ROOT"}

// long is a key with its hive's name in full, as scripts see it.
func long(key string) string {
	hive, rest, deeper := strings.Cut(key, `\`)
	if n := hiveNames[strings.ToUpper(strings.TrimSuffix(hive, ":"))]; n != "" {
		hive = n
	}
	if deeper {
		return hive + `\` + rest
	}
	return hive
}

func (d registryDrive) Stat(path string) (found, container bool, err error) {
	if d.full(path) == "" {
		return true, true, nil
	}
	ok := d.r.HasKey(d.full(path))
	return ok, ok, nil
}

func (d registryDrive) Item(path string) (any, error) {
	key := d.full(path)
	if !d.r.HasKey(key) {
		return nil, fail("open", key, FileNotFound)
	}
	return d.object(key), nil
}

func (d registryDrive) object(key string) *posh.Object {
	o := posh.NewObject("Microsoft.Win32.RegistryKey").Set("Name", long(key)).Set("PSChildName", baseName(key)).Set("PSPath", `Microsoft.PowerShell.Core\Registry::`+long(key))
	names := func() []string {
		var list []string
		vs, _ := d.r.Values(key)
		for _, v := range vs {
			list = append(list, v.Name)
		}
		return list
	}
	shown := func() []string {
		list := names()
		for i, n := range list {
			if n == "" {
				list[i] = "(default)"
			}
		}
		return list
	}
	keys := func() []string {
		list, _ := d.r.Keys(key)
		return list
	}
	o.Live("Property", func() (any, error) { return stringArray(shown()), nil }, nil)
	o.Live("ValueCount", func() (any, error) { return len(names()), nil }, nil)
	o.Live("SubKeyCount", func() (any, error) { return len(keys()), nil }, nil)
	o.Show = []string{"Name", "Property"}
	o.Text = func() string { return long(key) }
	o.Method("GetValueNames", func([]any) (any, error) { return stringArray(names()), nil })
	o.Method("GetSubKeyNames", func([]any) (any, error) { return stringArray(keys()), nil })
	o.Method("Close", func([]any) (any, error) { return nil, nil })
	o.Method("GetValue", func(args []any) (any, error) {
		if len(args) == 0 || len(args) > 2 {
			return nil, fmt.Errorf("GetValue takes a name, and a value for where there is none")
		}
		v, err := d.r.Get(key, textOf(args[0]))
		if err != nil {
			if len(args) == 2 {
				return args[1], nil
			}
			return nil, nil
		}
		return d.value(v), nil
	})
	return o
}

// value is a value as scripts see it.
func (d registryDrive) value(v Value) any {
	switch v.Kind {
	case DWord:
		return int32(uint32(v.Number))
	case QWord:
		return int64(v.Number)
	case Binary:
		return v.Bytes
	case MultiString:
		return stringArray(v.Multi)
	case ExpandString:
		return expandVars(v.Text, func(n string) (string, bool) { s := d.p.Getenv(n); return s, s != "" })
	}
	return v.Text
}

var kindNames = map[Kind]string{String: "String", ExpandString: "ExpandString", MultiString: "MultiString", Binary: "Binary", DWord: "DWord", QWord: "QWord"}

func (d registryDrive) Children(path string) ([]posh.Child, error) {
	key := d.full(path)
	if key == "" {
		var out []posh.Child
		for _, h := range []string{"HKLM", "HKCU", "HKU", "HKCR"} {
			out = append(out, posh.Child{Name: hiveNames[h], Container: true, Item: d.object(hiveNames[h])})
		}
		return out, nil
	}
	names, err := d.r.Keys(key)
	var out []posh.Child
	for _, n := range names {
		out = append(out, posh.Child{Name: n, Container: true, Item: d.object(key + `\` + n)})
	}
	return out, err
}

func (d registryDrive) New(path, _ string, value any, force bool) (any, error) {
	key := d.full(path)
	parent := key[:max(0, strings.LastIndexByte(key, '\\'))]
	switch {
	case d.r.HasKey(key) && !force:
		return nil, &posh.Error{ID: "System.IO.IOException", Message: "A key in this path already exists.", Exception: "System.IO.IOException", Category: "ResourceExists", Target: long(key)}
	case parent == "":
		return nil, &posh.Error{ID: "System.IO.IOException", Message: "The root of the registry takes no new key.", Exception: "System.IO.IOException", Category: "InvalidOperation", Target: key}
	case !d.r.HasKey(parent) && !force:
		return nil, &posh.Error{ID: "System.IO.IOException", Message: "The registry key at the specified path does not exist.", Exception: "System.IO.IOException", Category: "WriteError", Target: long(key)}
	}
	if d.r.HasKey(key) { // with force a new key takes the place of the old one
		if err := d.r.Delete(key, true); err != nil {
			return nil, d.denied(key, err)
		}
	}
	if err := d.r.Make(key); err != nil {
		return nil, d.denied(key, err)
	}
	if value != nil {
		if err := d.SetProperty(path, posh.Property{Name: "", Value: value}); err != nil {
			return nil, err
		}
	}
	return d.object(key), nil
}

// SetItem is what Set-Item does: it sets a key's default value.
func (d registryDrive) SetItem(path string, value any) error {
	return d.SetProperty(path, posh.Property{Value: value})
}

func (d registryDrive) denied(key string, err error) error {
	if CodeOf(err) != AccessDenied {
		return err
	}
	return &posh.Error{ID: "System.Security.SecurityException", Message: "Requested registry access is not allowed.", Exception: "System.Security.SecurityException", Category: "PermissionDenied", Target: long(key)}
}

func (d registryDrive) Remove(path string, recurse bool) error {
	return d.denied(d.full(path), d.r.Delete(d.full(path), recurse))
}

func (d registryDrive) Properties(path string) ([]posh.Property, error) {
	vs, err := d.r.Values(d.full(path))
	var out []posh.Property
	for _, v := range vs {
		name := v.Name
		if name == "" {
			name = "(default)"
		}
		out = append(out, posh.Property{Name: name, Value: d.value(v), Kind: kindNames[v.Kind]})
	}
	return out, err
}

func valueName(name string) string {
	if strings.EqualFold(name, "(default)") {
		return ""
	}
	return name
}

// SetProperty makes a value of the kind that is named, else of the one that it
// has, else of the one that fits.
func (d registryDrive) SetProperty(path string, p posh.Property) error {
	key := d.full(path)
	if !d.r.HasKey(key) {
		return posh.NotFound(long(key))
	}
	var kind Kind
	for k, n := range kindNames {
		if strings.EqualFold(n, p.Kind) {
			kind = k
		}
	}
	if kind == "" && p.Kind != "" && !strings.EqualFold(p.Kind, "Unknown") {
		return fmt.Errorf("cannot make a registry value of the type %s: it is String, ExpandString, MultiString, Binary, DWord or QWord", p.Kind)
	}
	name := valueName(p.Name)
	if kind == "" {
		if old, err := d.r.Get(key, name); err == nil {
			if v, err := registryValue(name, old.Kind, p.Value); err == nil {
				return d.denied(key, d.r.Set(key, v))
			}
		}
		kind = String
		switch x := p.Value.(type) {
		case int32, uint32, int16, uint16, byte, bool:
			kind = DWord
		case int64, uint64:
			kind = QWord
		case []byte:
			kind = Binary
		case *posh.Array:
			if kind = MultiString; x.Type == "byte" {
				kind = Binary
			}
		}
	}
	v, err := registryValue(name, kind, p.Value)
	if err != nil {
		return err
	}
	return d.denied(key, d.r.Set(key, v))
}

// registryValue makes a value of a kind from what a script has.
func registryValue(name string, kind Kind, x any) (Value, error) {
	v := Value{Name: name, Kind: kind}
	wrong := func() error {
		return &posh.Error{ID: "System.ArgumentException", Message: "The type of the value object did not match the specified RegistryValueKind or the object could not be properly converted.",
			Exception: "System.ArgumentException", Category: "WriteError", Target: name}
	}
	switch kind {
	case String, ExpandString:
		switch x.(type) {
		case *posh.Array, []byte, *posh.Hash:
			return v, wrong()
		}
		v.Text = textOf(x)
		if b, ok := x.(bool); ok {
			v.Text = map[bool]string{true: "True", false: "False"}[b]
		}
	case MultiString:
		for _, e := range elements(x) {
			v.Multi = append(v.Multi, textOf(e))
		}
	case DWord, QWord:
		n, ok := integer(x)
		if !ok || kind == DWord && (n < math.MinInt32 || n > math.MaxUint32) {
			return v, wrong()
		}
		if v.Number = uint64(n); kind == DWord {
			v.Number = uint64(uint32(n))
		}
	case Binary:
		if b, ok := x.([]byte); ok {
			v.Bytes = b
			return v, nil
		}
		for _, e := range elements(x) {
			n, ok := integer(e)
			if !ok || n < 0 || n > 255 {
				return v, wrong()
			}
			v.Bytes = append(v.Bytes, byte(n))
		}
	}
	return v, nil
}

func integer(x any) (int64, bool) {
	switch n := x.(type) {
	case bool:
		if n {
			return 1, true
		}
		return 0, true
	case int, int8, int16, int32, int64, uint8, uint16, uint32:
		var out int64
		fmt.Sscan(fmt.Sprint(n), &out)
		return out, true
	case uint64:
		return int64(n), true
	case float64:
		return int64(n), n == math.Trunc(n)
	case string:
		var out int64
		s := strings.TrimSpace(n)
		if s == "" {
			return 0, true
		}
		if c, err := fmt.Sscanf(strings.ToLower(s), "0x%x", &out); c == 1 && err == nil {
			return out, true
		}
		_, err := fmt.Sscanf(s+"\n", "%d\n", &out)
		return out, err == nil
	}
	return 0, false
}

func (d registryDrive) RemoveProperty(path, name string) error {
	key := d.full(path)
	if _, err := d.r.Get(key, valueName(name)); err != nil {
		return err
	}
	return d.denied(key, d.r.DeleteValue(key, valueName(name)))
}
