package dag

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"sort"
	"strings"
)

// Key names a step by what it is: its kind, its settings and the keys of the
// steps that it reads. Equal keys mean the same step.
type Key [sha256.Size]byte

func (k Key) String() string { return hex.EncodeToString(k[:]) }

// Short is the first eight digits, enough to tell the steps of one run apart.
func (k Key) Short() string { return hex.EncodeToString(k[:4]) }

// MarshalText and UnmarshalText make a Key a hexadecimal string in JSON.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

func (k *Key) UnmarshalText(b []byte) error {
	if len(b) != hex.EncodedLen(len(k)) {
		return fmt.Errorf("cannot read key %q: want %d hexadecimal digits", b, hex.EncodedLen(len(k)))
	}
	_, err := hex.Decode(k[:], b)
	return err
}

// salt changes every key when the canonical text changes its form.
const salt = "imgflow step 1\n"

// Secrets appear in settings only as MarkOpen + name + MarkClose. The canonical
// text holds a keyed digest in their place, and the real value is put in only
// when the step runs.
const (
	MarkOpen  = "\uE000"
	MarkClose = "\uE001"
)

// canonizer writes the canonical text of a step: what its key is the digest of.
type canonizer struct {
	b      bytes.Buffer
	form   int
	digest func(text string) string
}

// canonical returns the text that names a step; a type that cannot be part of a
// key is an error of the program, found when its kind is bound.
func canonical(kind string, spec any, form int, digest func(text string) string) string {
	c := canonizer{form: form, digest: digest}
	c.b.WriteString(salt)
	c.b.WriteString(kind + "\n")
	c.value(reflect.ValueOf(spec))
	return c.b.String()
}

// CanonKeyer is implemented by setting types that enter a key by something else
// than their fields, such as a File by its content.
type CanonKeyer interface{ CanonKey() string }

func (c *canonizer) text(s string) {
	if strings.Contains(s, MarkOpen) {
		s = c.sealed(Text(s))
	}
	p, _ := json.Marshal(s) // a string always marshals
	c.b.Write(p)
}

// sealed is a text with digests in place of its secrets, each with the literal parts
// beside it: those of "a" and "b" are those of "ab".
func (c *canonizer) sealed(x Text) string {
	one := func(name string) string { return MarkOpen + c.digest(Mark(name)) + MarkClose }
	if c.form == 0 {
		return expandMarks(string(x), one)
	}
	var b, run strings.Builder
	secret := false
	flush := func() {
		if secret {
			b.WriteString(MarkOpen + c.digest(run.String()) + MarkClose)
		} else {
			b.WriteString(run.String())
		}
		run.Reset()
		secret = false
	}
	x.each(func(open rune, inner string) {
		switch open {
		case 0:
			run.WriteString(inner)
		case markOpen:
			run.WriteString(Mark(inner))
			secret = true
		default: // secrets in an expression are arguments, each by itself
			flush()
			b.WriteString(expandMarks(string(part(open, inner)), one))
		}
	})
	flush()
	return b.String()
}

func (c *canonizer) value(v reflect.Value) {
	switch x := v.Interface().(type) {
	case ref:
		if k := x.ref(); k != (Key{}) {
			c.b.WriteString(`{"step":"` + k.String() + `"}`)
			return
		}
		c.value(reflect.ValueOf(x.literal()))
		return
	case CanonKeyer:
		c.text(x.CanonKey())
		return
	}
	switch v.Kind() {
	case reflect.String:
		c.text(v.String())
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Float32, reflect.Float64:
		fmt.Fprint(&c.b, v.Interface())
	case reflect.Pointer:
		if v.IsNil() {
			c.b.WriteString("null")
			return
		}
		c.value(v.Elem())
	case reflect.Slice, reflect.Array:
		c.b.WriteByte('[')
		for i := range v.Len() {
			if i > 0 {
				c.b.WriteByte(',')
			}
			c.value(v.Index(i))
		}
		c.b.WriteByte(']')
	case reflect.Map:
		c.mapping(v)
	case reflect.Struct:
		c.structure(v)
	default:
		panic("dag: " + v.Type().String() + " cannot be part of a step key")
	}
}

func (c *canonizer) mapping(v reflect.Value) {
	keys := v.MapKeys()
	sort.Slice(keys, func(i, j int) bool { return keys[i].String() < keys[j].String() })
	c.b.WriteByte('{')
	for i, k := range keys {
		if i > 0 {
			c.b.WriteByte(',')
		}
		c.text(k.String())
		c.b.WriteByte(':')
		c.value(v.MapIndex(k))
	}
	c.b.WriteByte('}')
}

// structure leaves zero fields out, so that a new field with a neutral default
// changes no key.
func (c *canonizer) structure(v reflect.Value) {
	type field struct {
		name string
		v    reflect.Value
	}
	var fields []field
	var collect func(reflect.Value)
	collect = func(v reflect.Value) {
		t := v.Type()
		for i := range t.NumField() {
			f, fv := t.Field(i), v.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			switch {
			case f.Tag.Get("key") == "-" || name == "-" || empty(fv):
			case f.Anonymous && name == "" && fv.Kind() == reflect.Struct:
				collect(fv)
			default:
				if name == "" {
					name = f.Name
				}
				fields = append(fields, field{name, fv})
			}
		}
	}
	collect(v)
	sort.Slice(fields, func(i, j int) bool { return fields[i].name < fields[j].name })
	c.b.WriteByte('{')
	for i, f := range fields {
		if i > 0 {
			c.b.WriteByte(',')
		}
		c.text(f.name)
		c.b.WriteByte(':')
		c.value(f.v)
	}
	c.b.WriteByte('}')
}

func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	}
	return v.IsZero()
}

// expandMarks replaces every MarkOpen name MarkClose of s by f(name).
func expandMarks(s string, f func(name string) string) string {
	var b strings.Builder
	for {
		i := strings.Index(s, MarkOpen)
		if i < 0 {
			break
		}
		name, rest, ok := strings.Cut(s[i+len(MarkOpen):], MarkClose)
		if !ok {
			break
		}
		b.WriteString(s[:i])
		b.WriteString(f(name))
		s = rest
	}
	b.WriteString(s)
	return b.String()
}

// inputs are how a canonical text names the steps that are read.
var inputs = regexp.MustCompile(`\{"step":"[0-9a-f]{64}"\}|` + string(refOpen) + `[0-9a-f]{64}`)

// Own is the canonical text without the keys of the steps that it reads: what is
// left is the same for steps that differ only in those.
func (n Node) Own() string { return inputs.ReplaceAllString(n.Canon, "*") }

func digestKey(canon string) Key { return sha256.Sum256([]byte(canon)) }
