// Package optiondoc has what the options of templates do, in words: the comments of the fields that they are read into.
//
// The comments are the source. Package docgen collects them into options.json, which is part of the program; package
// schema and the pages of docs/reference show them. A test of cmd/imgflow fails for an option without a comment, and when what was
// made of the comments is stale; with -update it makes it anew.
//
// # How a comment reads
//
// It says what the option does, for somebody who writes templates and has never seen the field: in the words of
// templates, with units. What the option is when it is not given is its last sentence, "Default: `22`." for a value that could
// be written instead, "Default: that of the image." for any other.
package optiondoc

import (
	_ "embed"
	"encoding/json"
	"reflect"
	"strings"
	"sync"
)

// Module is the path that the names of packages are short of.
const Module = "github.com/imgflow/imgflow/"

// Texts are comments by struct, such as steps/aws.Access, and field. The field "" is the struct itself.
type Texts map[string]map[string]string

// Name is what a struct is called in Texts.
func Name(of reflect.Type) string {
	return strings.TrimPrefix(of.PkgPath(), Module) + "." + of.Name()
}

//go:embed options.json
var embedded []byte

// Embedded are the texts of this program.
var Embedded = sync.OnceValue(func() Texts {
	var t Texts
	if err := json.Unmarshal(embedded, &t); err != nil {
		panic("options.json: " + err.Error()) // a test reads it
	}
	return t
})

// Of returns what the field of a struct does, and its default, or "" for none. Literal says that the default could be written
// instead of leaving the option out.
func (t Texts) Of(of reflect.Type, field string) (what, byDefault string, literal bool) {
	what, byDefault, _ = strings.Cut(t[Name(of)][field], "Default: ")
	byDefault = strings.TrimSuffix(byDefault, ".")
	if n := len(byDefault); n > 2 && byDefault[0] == '`' && strings.IndexByte(byDefault[1:], '`') == n-2 {
		return strings.TrimSpace(what), byDefault[1 : n-1], true
	}
	return strings.TrimSpace(what), byDefault, false
}

// Struct returns what a struct of options is for. What templates call it stands for the name of the struct.
func (t Texts) Struct(of reflect.Type, name string) string {
	what := t[Name(of)][""]
	if rest, ok := strings.CutPrefix(what, of.Name()+" "); ok && name != "" {
		return "`" + name + "` " + rest
	}
	return what
}
