package posh

import (
	"sort"
	"strings"
)

// Values are Go values: nil ($null), string, bool, int32 ([int]), int64, float64,
// byte, int16, uint16, uint32, uint64, int8, float32, Decimal, Char, []byte,
// time.Time ([datetime]), time.Duration ([timespan]), *Array, *Hash, *Object,
// *Block, and the .NET objects of this package. Go's int is taken for int32 or
// int64 where a command emits it, and []string and []any for an array.

// Array is an Object[] or, with Type set, a typed array ("string"); shared by
// all who hold it, as in .NET. A byte[] is Go's []byte.
type Array struct {
	Elem []any
	Type string // of the elements, as in a type literal; "" is object
	of   *Hash  // whose keys or values these are: no real array

	params map[int]string // of $args: the elements that were parameters, by their names
}

// NewArray makes an Object[].
func NewArray(v ...any) *Array { return &Array{Elem: v} }

// Char is a UTF-16 code unit.
type Char uint16

// Hash is a hashtable or an [ordered] dictionary. Keys that are strings are
// matched without regard to case.
type Hash struct {
	Ordered bool
	exact   bool // keys are matched with regard to case
	typ     string
	index   map[any]int
	keys    []any
	vals    []any
	gone    int // removed entries that still take a place
	changes int
}

// generic tells a Dictionary[K,V].
func (h *Hash) generic() bool { return strings.HasPrefix(h.typ, "System.Collections.Generic.") }

type tomb struct{}

// NewHash makes an empty hashtable.
func NewHash(ordered bool) *Hash { return &Hash{Ordered: ordered, index: map[any]int{}} }

func (h *Hash) fold(key any) any {
	switch k := key.(type) {
	case string:
		if h.exact {
			return k
		}
		return foldKey(k)
	case *Array, *Hash, *Object, *Block, nil:
		return k
	case []byte:
		return &k
	}
	return key
}

// Get finds a key.
func (h *Hash) Get(key any) (any, bool) {
	i, ok := h.index[h.fold(key)]
	if !ok {
		return nil, false
	}
	return h.vals[i], true
}

// Set adds or changes a key.
func (h *Hash) Set(key, value any) {
	h.changes++
	f := h.fold(key)
	if i, ok := h.index[f]; ok {
		h.vals[i] = value
		return
	}
	h.index[f] = len(h.keys)
	h.keys = append(h.keys, key)
	h.vals = append(h.vals, value)
}

// Delete removes a key, if it is there.
func (h *Hash) Delete(key any) {
	f := h.fold(key)
	i, ok := h.index[f]
	if !ok {
		return
	}
	delete(h.index, f)
	h.changes++
	h.keys[i], h.vals[i] = tomb{}, nil
	if h.gone++; h.gone > 16 && h.gone > len(h.keys)/2 {
		h.pack()
	}
}

func (h *Hash) pack() {
	keys, vals := h.keys, h.vals
	h.keys, h.vals, h.gone = nil, nil, 0
	clear(h.index)
	for i, k := range keys {
		if _, dead := k.(tomb); !dead {
			h.Set(k, vals[i])
		}
	}
}

// Clear removes all.
func (h *Hash) Clear() {
	h.changes++
	h.keys, h.vals, h.gone = nil, nil, 0
	clear(h.index)
}

// Len counts the keys.
func (h *Hash) Len() int { return len(h.index) }

// Each goes through the entries, in the order in which they were added.
func (h *Hash) Each(f func(key, value any) bool) {
	for i := 0; i < len(h.keys); i++ {
		if _, dead := h.keys[i].(tomb); !dead && !f(h.keys[i], h.vals[i]) {
			return
		}
	}
}

// Keys lists the keys.
func (h *Hash) Keys() []any {
	out := make([]any, 0, h.Len())
	h.Each(func(k, _ any) bool { out = append(out, k); return true })
	return out
}

// Values lists the values.
func (h *Hash) Values() []any {
	out := make([]any, 0, h.Len())
	h.Each(func(_, v any) bool { out = append(out, v); return true })
	return out
}

// Object is an object with named properties: a PSCustomObject, or what a cmdlet
// gives. Names are matched without regard to case.
type Object struct {
	Types []string // the type first: "Microsoft.Management.Infrastructure.CimInstance"; empty is a PSCustomObject
	Text  func() string
	// Complete says that a property that is not here does not exist. Of an object with
	// a type, and without this, it may, and reading it is refused.
	Complete bool
	// Show are the properties that the object is shown with, when not all.
	Show  []string
	props []*prop
	funcs map[string]func(args []any) (any, error)
}

type prop struct {
	name  string
	value any
	get   func() (any, error)
	set   func(any) error
}

// NewObject makes an object of a type; "" makes a PSCustomObject.
func NewObject(typ string) *Object {
	if typ == "" {
		return &Object{}
	}
	return &Object{Types: []string{typ}}
}

func (o *Object) find(name string) *prop {
	for _, p := range o.props {
		if strings.EqualFold(p.name, name) {
			return p
		}
	}
	return nil
}

// Get reads a property.
func (o *Object) Get(name string) (any, bool) {
	p := o.find(name)
	if p == nil {
		return nil, false
	}
	if p.get != nil {
		v, err := p.get()
		return v, err == nil
	}
	return p.value, true
}

// Set adds or changes a property, and gives the object for chaining.
func (o *Object) Set(name string, v any) *Object {
	if p := o.find(name); p != nil {
		p.value = v
	} else {
		o.props = append(o.props, &prop{name: name, value: v})
	}
	return o
}

// Live adds a property that is computed when it is read; set may be nil.
func (o *Object) Live(name string, get func() (any, error), set func(any) error) *Object {
	o.props = append(o.props, &prop{name: name, get: get, set: set})
	return o
}

// Method adds a method.
func (o *Object) Method(name string, f func(args []any) (any, error)) *Object {
	if o.funcs == nil {
		o.funcs = map[string]func([]any) (any, error){}
	}
	o.funcs[strings.ToLower(name)] = f
	return o
}

// Delete removes a property.
func (o *Object) Delete(name string) {
	for i, p := range o.props {
		if strings.EqualFold(p.name, name) {
			o.props = append(o.props[:i:i], o.props[i+1:]...)
			return
		}
	}
}

// Names lists the properties in order.
func (o *Object) Names() []string {
	out := make([]string, len(o.props))
	for i, p := range o.props {
		out[i] = p.name
	}
	return out
}

// Env is a process's environment; names are matched without regard to case, as
// on Windows. It is not safe for use by several goroutines at once: a child gets
// a Clone.
type Env struct {
	exact bool
	vars  map[string]envVar
}

type envVar struct{ name, value string }

// NewEnv makes an environment from "name=value" pairs; later ones win.
func NewEnv(pairs ...string) *Env {
	e := &Env{vars: map[string]envVar{}}
	for _, p := range pairs {
		// A name may start with "=": cmd.exe keeps its directories so.
		if i := strings.IndexByte(p[min(1, len(p)):], '='); i >= 0 {
			e.Set(p[:i+1], p[i+2:])
		}
	}
	return e
}

func (e *Env) key(name string) string {
	if e.exact {
		return name
	}
	return foldKey(name)
}

// Get reads a variable.
func (e *Env) Get(name string) (string, bool) {
	if e == nil {
		return "", false
	}
	v, ok := e.vars[e.key(name)]
	return v.value, ok
}

// Set changes a variable; an empty value removes it, as Windows does.
func (e *Env) Set(name, value string) {
	k := e.key(name)
	if value == "" {
		delete(e.vars, k)
		return
	}
	if old, ok := e.vars[k]; ok {
		name = old.name
	}
	e.vars[k] = envVar{name, value}
}

// Clone copies the environment for a child.
func (e *Env) Clone() *Env {
	c := &Env{vars: map[string]envVar{}}
	if e != nil {
		c.exact = e.exact
		for k, v := range e.vars {
			c.vars[k] = v
		}
	}
	return c
}

// Pairs lists "name=value", sorted by name.
func (e *Env) Pairs() []string {
	var out []string
	for _, n := range e.Names() {
		v, _ := e.Get(n)
		out = append(out, n+"="+v)
	}
	return out
}

// Names lists the variables, sorted.
func (e *Env) Names() []string {
	if e == nil {
		return nil
	}
	var out []string
	for _, v := range e.vars {
		out = append(out, v.name)
	}
	sort.Slice(out, func(i, j int) bool { return foldKey(out[i]) < foldKey(out[j]) })
	return out
}
