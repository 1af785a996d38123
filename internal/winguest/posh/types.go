package posh

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"
	"time"
)

// Type is a .NET type as scripts see it.
type Type struct {
	name  string
	elem  *Type // of arrays
	cast  func(s *shell, v any) (any, error)
	ctor  func(s *shell, a []any) (any, error)
	props map[string]func(s *shell) (any, error)
	sets  map[string]func(s *shell, v any) error
	funcs map[string]func(s *shell, a []any) (any, error)
	enum  []enumName
	flags bool
}

type enumName struct {
	name string
	n    int64
}

// enumVal is a value of an enumeration.
type enumVal struct {
	typ *Type
	n   int64
}

func (e enumVal) typeName() string { return e.typ.name }
func (e enumVal) String() string {
	for _, x := range e.typ.enum {
		if x.n == e.n {
			return x.name
		}
	}
	if e.typ.flags {
		var out []string
		rest := e.n
		for i := len(e.typ.enum) - 1; i >= 0; i-- {
			if x := e.typ.enum[i]; x.n != 0 && rest&x.n == x.n {
				out = append([]string{x.name}, out...)
				rest &^= x.n
			}
		}
		if rest == 0 && len(out) > 0 {
			return strings.Join(out, ", ")
		}
	}
	return fmt.Sprint(e.n)
}

func (t *Type) typeName() string { return "System.RuntimeType" }
func (t *Type) String() string   { return t.name }
func (t *Type) short() string    { return t.name[strings.LastIndexAny(t.name, ".+")+1:] }

// literal is the type as a script names it, and as it stands in a string: by its
// short name where it has one.
func (t *Type) literal() string {
	if t.elem != nil {
		return t.elem.literal() + "[]"
	}
	best := t.name
	for short, full := range shortTypes {
		switch {
		case full != t.name, short == "object", short == "math", short == "convert", short == "environment", short == "exception", short == "ordered":
			continue // they are short for the namespace's sake
		case best == t.name, len(short) < len(best), len(short) == len(best) && short < best:
			best = short
		}
	}
	return best
}

const customObject = "System.Management.Automation.PSCustomObject"

// shortTypes are the names that need no namespace.
var shortTypes = map[string]string{
	"int": "System.Int32", "int32": "System.Int32", "long": "System.Int64", "int64": "System.Int64",
	"short": "System.Int16", "int16": "System.Int16", "byte": "System.Byte", "sbyte": "System.SByte",
	"uint16": "System.UInt16", "uint32": "System.UInt32", "uint64": "System.UInt64",
	"string": "System.String", "bool": "System.Boolean", "boolean": "System.Boolean", "char": "System.Char",
	"double": "System.Double", "float": "System.Single", "single": "System.Single", "decimal": "System.Decimal",
	"object": "System.Object", "array": "System.Array", "hashtable": "System.Collections.Hashtable",
	"datetime": "System.DateTime", "timespan": "System.TimeSpan", "guid": "System.Guid", "version": "System.Version",
	"uri": "System.Uri", "regex": "System.Text.RegularExpressions.Regex", "type": "System.Type", "void": "System.Void",
	"scriptblock": "System.Management.Automation.ScriptBlock", "switch": "System.Management.Automation.SwitchParameter",
	"psobject": "System.Management.Automation.PSObject", "pscustomobject": "System.Management.Automation.PSObject",
	"pscredential": "System.Management.Automation.PSCredential", "securestring": "System.Security.SecureString",
	"ordered": "System.Collections.Specialized.OrderedDictionary", "xml": "System.Xml.XmlDocument",
	"math": "System.Math", "convert": "System.Convert", "environment": "System.Environment", "exception": "System.Exception",
	"ipaddress": "System.Net.IPAddress", "ciminstance": "Microsoft.Management.Infrastructure.CimInstance", "ref": "System.Management.Automation.PSReference",
}

// allTypes is filled by the files that make types; keys are lower case.
var allTypes = map[string]*Type{}

func define(t *Type) *Type {
	allTypes[strings.ToLower(t.name)] = t
	return t
}

func enumeration(name string, flags bool, names ...enumName) *Type {
	return define(&Type{name: name, enum: names, flags: flags})
}

// typeNamed finds a type by its name, with or without System in front.
func typeNamed(name string) (*Type, bool) {
	k := strings.ToLower(name)
	if full, ok := shortTypes[k]; ok {
		k = strings.ToLower(full)
	}
	if t, ok := allTypes[k]; ok {
		return t, true
	}
	if t, ok := allTypes["system."+k]; ok {
		return t, true
	}
	for typ := range exceptionParents {
		if strings.EqualFold(typ, name) || strings.EqualFold(typ, "System."+name) {
			return exceptionType(typ), true
		}
	}
	if strings.EqualFold(name, "System.Exception") || strings.EqualFold(name, "Exception") {
		return exceptionType("System.Exception"), true
	}
	return nil, false
}

func exceptionType(name string) *Type {
	return &Type{name: name, ctor: func(s *shell, a []any) (any, error) {
		x := &exception{typ: name, msg: "Exception of type '" + name + "' was thrown."}
		if len(a) > 0 {
			x.msg = s.text(a[0])
		}
		if len(a) > 1 {
			if in, ok := a[1].(*exception); ok {
				x.inner = in
			}
		}
		return x, nil
	}}
}

// knownTypes are real types that are not in the subset: naming one is refused,
// where any other name is an error that a script may catch.
var knownTypes = []string{"System.Net.", "System.Xml.", "System.Data.", "System.Diagnostics.", "System.Security.", "System.Threading.",
	"System.Reflection.", "System.Runtime.", "System.Linq.", "System.Collections.", "System.Text.", "System.IO.", "System.Management.",
	"System.Globalization.", "System.DirectoryServices.", "System.ServiceProcess.", "System.Windows.", "System.Drawing.", "System.Web.",
	"Microsoft.Win32.", "Microsoft.PowerShell.", "System.ComponentModel.", "System.Numerics.", "System.Configuration.", "System.Timers."}

// ForeignTypes are the types of .NET right under System and the short names of
// PowerShell, in lower case.
func ForeignTypes() []string { return strings.Fields(typeNames) }

var knownShort = sync.OnceValue(func() map[string]bool {
	out := map[string]bool{}
	for _, n := range ForeignTypes() {
		out[n] = true
	}
	return out
})

//go:embed types.txt
var typeNames string

// resolve finds the type that a literal names.
func (s *shell) resolve(t *typeName) (*Type, error) {
	if t.elem != nil {
		e, err := s.resolve(t.elem)
		if err != nil {
			return nil, err
		}
		return arrayOf(e), nil
	}
	if len(t.args) > 0 {
		return s.generic(t)
	}
	if found, ok := typeNamed(t.name); ok {
		return found, nil
	}
	full := t.name
	if !strings.HasPrefix(strings.ToLower(full), "system.") && !strings.HasPrefix(strings.ToLower(full), "microsoft.") {
		full = "System." + full
	}
	for _, k := range knownTypes {
		if len(full) > len(k) && strings.EqualFold(full[:len(k)], k) {
			return nil, s.refuse("[%s]", t.name)
		}
	}
	if knownShort()[strings.ToLower(strings.TrimPrefix(strings.ToLower(t.name), "system."))] {
		return nil, s.refuse("[%s]", t.name)
	}
	return nil, &Error{ID: "TypeNotFound", Message: fmt.Sprintf("Unable to find type [%s].", t.name), Category: "InvalidOperation", Target: t.name}
}

// typeFromText is the type that a text names, as it would stand in brackets.
func (s *shell) typeFromText(text string) (t *Type, err error) {
	name, err := parseType(text)
	if err != nil {
		return nil, &Error{ID: "TypeNotFound", Message: fmt.Sprintf("Unable to find type [%s].", text), Category: "InvalidOperation", Target: text}
	}
	return s.resolve(name)
}

func (s *shell) generic(t *typeName) (*Type, error) {
	name := strings.ToLower(strings.TrimPrefix(strings.ToLower(t.name), "system."))
	switch name {
	case "collections.generic.list", "collections.objectmodel.collection":
		e, err := s.resolve(t.args[0])
		if err != nil {
			return nil, err
		}
		return listOf(e), nil
	case "collections.generic.dictionary":
		if len(t.args) == 2 {
			return dictionaryOf(), nil
		}
	case "nullable":
		return s.resolve(t.args[0])
	}
	return nil, s.refuse("[%s]", t)
}

func arrayOf(e *Type) *Type { return &Type{name: e.name + "[]", elem: e} }

// typeNameOf is the full name of a value's type.
func typeNameOf(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return "System.String"
	case bool:
		return "System.Boolean"
	case int32:
		return "System.Int32"
	case int64:
		return "System.Int64"
	case float64:
		return "System.Double"
	case float32:
		return "System.Single"
	case byte:
		return "System.Byte"
	case int8:
		return "System.SByte"
	case int16:
		return "System.Int16"
	case uint16:
		return "System.UInt16"
	case uint32:
		return "System.UInt32"
	case uint64:
		return "System.UInt64"
	case Decimal:
		return "System.Decimal"
	case Char:
		return "System.Char"
	case []byte:
		return "System.Byte[]"
	case time.Time:
		return "System.DateTime"
	case time.Duration:
		return "System.TimeSpan"
	case *Block:
		return "System.Management.Automation.ScriptBlock"
	case interface{ typeName() string }:
		return v.typeName()
	}
	return fmt.Sprintf("%T", v)
}

func (a *Array) typeName() string {
	if a.Type == "" {
		return "System.Object[]"
	}
	if t, ok := typeNamed(a.Type); ok {
		return t.name + "[]"
	}
	return a.Type + "[]"
}

func (h *Hash) typeName() string {
	switch {
	case h.typ != "":
		return h.typ
	case h.Ordered:
		return "System.Collections.Specialized.OrderedDictionary"
	}
	return "System.Collections.Hashtable"
}

func (o *Object) typeName() string {
	if len(o.Types) == 0 {
		return customObject
	}
	return o.Types[0]
}

// typeOf is the type of a value.
func typeOf(v any) *Type {
	name := typeNameOf(v)
	if t, ok := typeNamed(name); ok {
		return t
	}
	switch a := v.(type) {
	case *Array:
		if t, ok := typeNamed(strings.TrimSuffix(a.typeName(), "[]")); ok {
			return arrayOf(t)
		}
	case []byte:
		return arrayOf(allTypes["system.byte"])
	}
	return &Type{name: name}
}

// isType tells whether a value is of a type.
func isType(v any, t *Type) bool {
	if v == nil {
		return false
	}
	name := typeNameOf(v)
	if strings.EqualFold(name, t.name) {
		return true
	}
	switch t.name {
	case "System.Object":
		return true
	case "System.ValueType":
		_, num := asFloat(v)
		return num
	case "System.Array":
		_, bytes := v.([]byte)
		_, arr := v.(*Array)
		return bytes || arr
	case "System.Management.Automation.PSObject", customObject:
		_, obj := v.(*Object)
		return obj
	case "System.Collections.IDictionary":
		_, h := v.(*Hash)
		return h
	case "System.Collections.IEnumerable":
		_, l := list(v)
		_, h := v.(*Hash)
		_, str := v.(string)
		return l || h || str
	case "System.Collections.IList":
		_, l := list(v)
		return l
	case "System.IO.FileSystemInfo":
		return name == "System.IO.FileInfo" || name == "System.IO.DirectoryInfo"
	case "System.IO.Stream":
		_, ok := v.(*stream)
		return ok
	case "System.Type":
		_, ok := v.(*Type)
		return ok
	case "System.Enum":
		_, ok := v.(enumVal)
		return ok
	}
	switch v := v.(type) {
	case *exception:
		return isException(v.typ, t.name)
	case *Object:
		for _, n := range v.Types {
			if strings.EqualFold(n, t.name) {
				return true
			}
		}
	}
	return false
}
