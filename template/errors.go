package template

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/imgflow/imgflow/internal/errcode"
)

// Error is one thing wrong in a template or in what was given with it.
type Error struct {
	Pos  Pos
	Text string // cannot X: why
	Hint string // what to do about it, or empty
	Code errcode.Code
}

// ErrCode is the code of the fault.
func (e Error) ErrCode() errcode.Code { return e.Code }

// Error returns one line: place, text and hint.
func (e Error) Error() string {
	s := e.Text
	if e.Pos.File != "" {
		s = e.Pos.String() + ": " + s
	}
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

// Errors is everything wrong at once. No errors is nil.
type Errors []Error

// shown is how many errors are printed: who has more of them mends these first.
const shown = 50

// Error prints each error with its place, the line it stands on with a caret below it, and a hint. Of very many it
// prints the first ones, and how many more there are.
func (es Errors) Error() string {
	var b strings.Builder
	for i, e := range es {
		if i == shown {
			fmt.Fprintf(&b, "\nand %d more", len(es)-shown)
			break
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		if e.Pos.File != "" {
			b.WriteString(e.Pos.String() + ": ")
		}
		b.WriteString(e.Text)
		if x := e.Pos.excerpt(); x != "" {
			b.WriteString("\n    " + strings.ReplaceAll(x, "\n", "\n    "))
		}
		if e.Hint != "" {
			b.WriteString("\n    " + e.Hint)
		}
	}
	return b.String()
}

// Err returns es as an error, nil if there is none.
func (es Errors) Err() error {
	if len(es) == 0 {
		return nil
	}
	return es
}

// ErrCode is the code of the first fault.
func (es Errors) ErrCode() errcode.Code {
	if len(es) == 0 {
		return ""
	}
	return es[0].Code
}

// Add appends an error. The text is formatted as by fmt.Sprintf.
func (es *Errors) Add(p Pos, hint, format string, args ...any) {
	es.AddCode("", p, hint, format, args...)
}

// AddCode is Add for an error of a known code.
func (es *Errors) AddCode(code errcode.Code, p Pos, hint, format string, args ...any) {
	*es = append(*es, Error{Pos: p, Text: fmt.Sprintf(format, args...), Hint: hint, Code: code})
}

// Coded gives those errors a code that have none.
func (es Errors) Coded(code errcode.Code) Errors {
	for i := range es {
		if es[i].Code == "" {
			es[i].Code = code
		}
	}
	return es
}

// Sorted returns the errors in the order of their places, each once.
func (es Errors) Sorted() Errors {
	out := slices.Clone(es)
	slices.SortFunc(out, func(a, b Error) int { return cmp.Or(a.Pos.compare(b.Pos), strings.Compare(a.Text, b.Text)) })
	return slices.CompactFunc(out, func(a, b Error) bool {
		return a.Pos.compare(b.Pos) == 0 && a.Text == b.Text
	})
}
