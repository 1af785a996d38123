package render

import (
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/internal/self"
	"github.com/imgflow/imgflow/template"
)

// FailureJSON is how a command tells programs that it has failed.
type FailureJSON struct {
	Error ErrorJSON `json:"error"`
}

// ErrorJSON is a failure.
type ErrorJSON struct {
	FaultJSON
	Faults []FaultJSON `json:"faults,omitempty"` // all of them, where a template has faults; the error itself is the first
}

// FaultJSON is one thing that is wrong.
type FaultJSON struct {
	Code    errcode.Code `json:"code"`
	Message string       `json:"message"`
	At      *PlaceJSON   `json:"at,omitempty"`
	Help    string       `json:"help,omitempty"` // what to do
}

// PlaceJSON is a place in a file. Line and column count from 1; 0 is none.
type PlaceJSON struct {
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
}

// NewFault is a fault of a template as programs read it.
func NewFault(e template.Error) FaultJSON {
	f := FaultJSON{Code: e.Code, Message: e.Text, Help: e.Hint}
	if e.Pos.File != "" {
		f.At = &PlaceJSON{e.Pos.File, e.Pos.Line, e.Pos.Column}
	}
	return f
}

// NewFaults are the faults of a template as programs read them.
func NewFaults(es template.Errors) []FaultJSON {
	faults := []FaultJSON{}
	for _, e := range es {
		faults = append(faults, NewFault(e))
	}
	return faults
}

// NewError is a failure of a code as programs read it.
func NewError(err error, code errcode.Code) ErrorJSON {
	e := ErrorJSON{FaultJSON: FaultJSON{Message: strings.TrimSpace(err.Error())}}
	var faults template.Errors
	if errors.As(err, &faults) && len(faults) > 0 {
		e.Faults = NewFaults(faults)
		e.FaultJSON = e.Faults[0]
	}
	e.Code = code
	if i, ok := errcode.Lookup(code); ok && e.Help == "" {
		e.Help = i.Do
	}
	return e
}

// Failure writes err as one line of JSON.
func Failure(w io.Writer, err error, code errcode.Code) error {
	return Line(w, FailureJSON{NewError(err, code)})
}

// More is the line that says where more is told of a failure, or "". The faults of a
// template say themselves what to do.
func More(err error) string {
	if errors.As(err, new(template.Errors)) {
		return ""
	}
	return explained([]errcode.Code{errcode.Of(err)})
}

// mostExplained is how many codes a line names.
const mostExplained = 3

// explained is the command that tells more of codes. Of some there is no more to tell.
func explained(codes []errcode.Code) string {
	var words []string
	for _, c := range codes {
		if _, known := errcode.Lookup(c); known && c != errcode.Usage && c != errcode.Failed && c != errcode.Interrupted && !slices.Contains(words, string(c)) {
			words = append(words, string(c))
		}
	}
	if len(words) == 0 {
		return ""
	}
	return "More: " + self.Command("explain", strings.Join(words[:min(len(words), mostExplained)], " "))
}
