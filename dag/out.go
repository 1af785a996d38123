package dag

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
)

// Out is a typed reference to the value that a step will produce, or a value
// already known (Lit). It cannot be read before its step has run.
type Out[T any] struct {
	key Key
	val *T
}

// Lit is a reference to a value that is known already.
func Lit[T any](v T) Out[T] { return Out[T]{val: &v} }

// Value returns what the step produced. Only Do may call it: the engine fills
// every reference of a step before it runs.
func (o Out[T]) Value() T {
	if o.val == nil {
		panic("dag: output read before its step ran")
	}
	return *o.val
}

// Set reports whether the reference refers to anything.
func (o Out[T]) Set() bool { return o.key != (Key{}) || o.val != nil }

// Key is the key of the step that makes the value; zero for a literal.
func (o Out[T]) Key() Key { return o.key }

// Take makes the reference exclusive.
func (o Out[T]) Take() Take[T] { return Take[T]{o} }

// As reads the same value as another type: U is T, or a struct that T embeds.
func As[U, T any](o Out[T]) Out[U] {
	if o.val != nil {
		panic("dag: a literal read as another type")
	}
	u, t := reflect.TypeFor[U](), reflect.TypeFor[T]()
	if t != u && (t.Kind() != reflect.Struct || !slices.ContainsFunc(reflect.VisibleFields(t), func(f reflect.StructField) bool { return f.Anonymous && f.Type == u })) {
		panic(fmt.Sprintf("dag: a %s read as a %s, which it does not embed", t, u))
	}
	return Out[U]{key: o.key}
}

// Take is an exclusive Out: its step changes the thing behind the value, so no
// other step may take it too.
type Take[T any] struct{ Out[T] }

type wire struct {
	Step *Key            `json:"step,omitempty"`
	Lit  json.RawMessage `json:"lit,omitempty"`
}

// MarshalJSON writes the reference, never the value that a step produced.
func (o Out[T]) MarshalJSON() ([]byte, error) {
	if o.key != (Key{}) {
		return json.Marshal(wire{Step: &o.key})
	}
	p, err := json.Marshal(o.val)
	if err != nil {
		return nil, err
	}
	return json.Marshal(wire{Lit: p})
}

func (o *Out[T]) UnmarshalJSON(p []byte) error {
	var w wire
	if err := json.Unmarshal(p, &w); err != nil {
		return err
	}
	if w.Step != nil {
		o.key = *w.Step
		return nil
	}
	return json.Unmarshal(w.Lit, &o.val)
}

func (o *Out[T]) resolve(get func(Key) (json.RawMessage, error)) error {
	if o.key == (Key{}) {
		return nil
	}
	p, err := get(o.key)
	if err != nil {
		return err
	}
	return json.Unmarshal(p, &o.val)
}

func (o Out[T]) ref() Key { return o.key }
func (o Out[T]) literal() any {
	if o.val == nil {
		var zero T
		return zero
	}
	return *o.val
}
func (o Out[T]) exclusive() bool  { return false }
func (o Take[T]) exclusive() bool { return true }

// ref is what the engine sees of an Out or a Take.
type ref interface {
	ref() Key
	literal() any
	exclusive() bool
}

type resolver interface {
	resolve(func(Key) (json.RawMessage, error)) error
}

// ErrNotFound is what Find returns for a thing that does not exist (any more).
var ErrNotFound = errors.New("not found")

// walkRefs calls fn for every reference below v, with the dag tag of the field
// that holds it.
func walkRefs(v reflect.Value, tag string, fn func(v reflect.Value, tag string)) {
	if !v.CanInterface() {
		return
	}
	if _, ok := v.Interface().(ref); ok {
		fn(v, tag)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			t := f.Tag.Get("dag")
			if t == "" {
				t = tag
			}
			walkRefs(v.Field(i), t, fn)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			walkRefs(v.Index(i), tag, fn)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			walkRefs(v.Elem(), tag, fn)
		}
	}
}

// reveal puts the real values of secrets into every string of v, but for those
// of the types Secret and Text, which the step reveals itself when it needs them.
func reveal(v reflect.Value, get func(name string) (string, error)) error {
	var first error
	walkStrings(v, func(v reflect.Value) {
		if t := v.Type(); t == reflect.TypeFor[Secret]() || t == reflect.TypeFor[Text]() {
			return
		}
		s := expandMarks(v.String(), func(name string) string {
			val, err := get(name)
			if err != nil && first == nil {
				first = err
			}
			return val
		})
		if v.CanSet() {
			v.SetString(s)
		}
	})
	return first
}

// walkStrings calls fn for every string below v that is no part of a reference: for
// keys of maps, too, which cannot be set.
func walkStrings(v reflect.Value, fn func(v reflect.Value)) {
	if v.CanInterface() {
		if _, ok := v.Interface().(ref); ok {
			return
		}
	}
	switch v.Kind() {
	case reflect.String:
		fn(v)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				walkStrings(v.Field(i), fn)
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			walkStrings(v.Index(i), fn)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			walkStrings(v.Elem(), fn)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			walkStrings(k, fn)
			e := reflect.New(v.Type().Elem()).Elem()
			e.Set(v.MapIndex(k))
			walkStrings(e, fn)
			if v.CanSet() {
				v.SetMapIndex(k, e)
			}
		}
	}
}

// mustBePlain panics for a type that a checkpoint could not give back whole.
func mustBePlain(t reflect.Type, path string, inside map[reflect.Type]bool) {
	if inside[t] || t == reflect.TypeFor[json.RawMessage]() {
		return
	}
	inside[t] = true
	defer delete(inside, t)
	if t.Implements(reflect.TypeFor[json.Marshaler]()) || t.Implements(reflect.TypeFor[ref]()) {
		return
	}
	switch t.Kind() {
	case reflect.Func, reflect.Chan, reflect.Interface, reflect.UnsafePointer:
		panic(fmt.Sprintf("dag: %s (%s) cannot be checkpointed", path, t))
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			if !f.IsExported() && !f.Anonymous {
				panic(fmt.Sprintf("dag: %s.%s would be lost in a checkpoint", path, f.Name))
			}
			mustBePlain(f.Type, path+"."+f.Name, inside)
		}
	case reflect.Slice, reflect.Pointer, reflect.Map, reflect.Array:
		mustBePlain(t.Elem(), path, inside)
	}
}
