package template

import (
	"unicode/utf8"
)

// Kind is what a Value holds.
type Kind int

const (
	Null Kind = iota
	Bool
	Number
	String
	List
	Object
	Faulty // what could not be read or evaluated, which has been reported
)

func (k Kind) String() string {
	return [...]string{"null", "a boolean", "a number", "a text", "a list", "an object", "a faulty value"}[k]
}

// Value is a value of a template with its place.
type Value struct {
	Pos    Pos
	Kind   Kind
	Text   string  // of a String; of a Number, its digits as written
	Bool   bool    // of a Bool
	List   []Value // of a List
	Fields []Field // of an Object, in the order of the file

	literal []byte // the text as written, with its quotes; nil when it came from no file
	start   int    // the offset of literal in Pos.src
	secret  bool   // of a sensitive variable
}

// Field is one key of an object with its value.
type Field struct {
	Name  string // after Evaluate, as interp.Early leaves it
	Pos   Pos    // of the name
	Value Value
}

// Get returns the value of a key of an object.
func (v Value) Get(name string) (Value, bool) {
	for _, f := range v.Fields {
		if f.Name == name {
			return f.Value, true
		}
	}
	return Value{}, false
}

// Without returns the object without some of its keys.
func (v Value) Without(names ...string) Value {
	fields := make([]Field, 0, len(v.Fields))
next:
	for _, f := range v.Fields {
		for _, n := range names {
			if f.Name == n {
				continue next
			}
		}
		fields = append(fields, f)
	}
	v.Fields = fields
	return v
}

// At returns the place of a byte of the text as the file has it, where escapes may take more room.
func (v Value) At(offset int) Pos { return v.places()(offset) }

// places returns what At does, for many bytes: one behind the last one asked for is found from there.
func (v Value) places() func(offset int) Pos {
	if v.literal == nil || v.Pos.src == nil {
		return func(int) Pos { return v.Pos }
	}
	i, n := 1, 0 // a byte of the literal, and of the text
	return func(offset int) Pos {
		if offset < n {
			i, n = 1, 0
		}
		for n < offset && i < len(v.literal)-1 {
			r, size := unescape(v.literal[i:])
			n += utf8.RuneLen(r)
			i += size
		}
		return v.Pos.src.pos(v.start + i)
	}
}

// textValue makes a text that has no place in a file.
func textValue(p Pos, s string) Value { return Value{Pos: p, Kind: String, Text: s} }
