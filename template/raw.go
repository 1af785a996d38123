package template

import (
	"unicode/utf8"
)

// Kind is what a Raw holds.
type Kind int

const (
	Null Kind = iota
	Bool
	Number
	String
	List
	Object
	Faulty // what could not be read or evaluated, which has been reported
	Later  // what is known only when the build runs
)

func (k Kind) String() string {
	return [...]string{"null", "a boolean", "a number", "a text", "a list", "an object", "a faulty value", "a value that is known only at build time"}[k]
}

// Raw is a value as a file has it, with its place.
type Raw struct {
	Pos    Pos
	Kind   Kind
	Text   string     // of a String; of a Number, its digits as written
	Bool   bool       // of a Bool
	List   []Raw      // of a List
	Fields []RawField // of an Object, in the order of the file

	literal []byte // the text as written, with its quotes; nil when it came from no file
	start   int    // the offset of literal in Pos.src
	secret  bool   // of a sensitive variable
}

// RawField is one key of an object with its value.
type RawField struct {
	Name  string
	Pos   Pos // of the name
	Value Raw
}

// Get returns the value of a key of an object.
func (v Raw) Get(name string) (Raw, bool) {
	for _, f := range v.Fields {
		if f.Name == name {
			return f.Value, true
		}
	}
	return Raw{}, false
}

// Without returns the object without some of its keys.
func (v Raw) Without(names ...string) Raw {
	fields := make([]RawField, 0, len(v.Fields))
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
func (v Raw) At(offset int) Pos { return v.places()(offset) }

// places returns what At does, for many bytes: one behind the last one asked for is found from there.
func (v Raw) places() func(offset int) Pos {
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
		return v.Pos.src.Pos(v.start + i)
	}
}

// textValue makes a text that has no place in a file.
func textValue(p Pos, s string) Raw { return Raw{Pos: p, Kind: String, Text: s} }
