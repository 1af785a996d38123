package template

import (
	"strings"

	"github.com/imgflow/imgflow/dag"
)

// Result is what another build of the template is to make, as a text refers to it.
type Result struct {
	Build string // its name in the Config
	Field string // one of ResultFields
}

// Need is a result that must be known before it is known what a build is, and where that is said first.
type Need struct {
	Result
	Pos
}

// Made are the results of builds by their names, and by ResultFields.
type Made map[string]map[string]string

// ResultFields are what a text can say of what a build makes.
var ResultFields = []string{"id", "name", "region"}

// A word of the older language has braces, so no template can write one of these.
const resultPrefix = "result "

// Text is the part of a text that stands for it, until the graph is made: a word.
func (r Result) Text() dag.Text { return dag.Word(resultPrefix + r.Field + " " + r.Build) }

// ResultOf tells whether a word of a text stands for a result.
func ResultOf(word string) (r Result, ok bool) {
	rest, ok := strings.CutPrefix(word, resultPrefix)
	if !ok {
		return r, false
	}
	r.Field, r.Build, ok = strings.Cut(rest, " ")
	return r, ok
}
