package findings

import "github.com/imgflow/imgflow/template"

// Level is how grave a finding is, in SARIF's words.
type Level string

const (
	Error   Level = "error"
	Warning Level = "warning"
	Note    Level = "note"
)

// Finding is one thing that was found.
type Finding struct {
	Level Level
	template.Error
}

// Of are the findings of a template, the gravest first.
func Of(faults, warnings, notes template.Errors) (list []Finding) {
	for _, l := range []struct {
		level Level
		of    template.Errors
	}{{Error, faults}, {Warning, warnings}, {Note, notes}} {
		for _, e := range l.of {
			list = append(list, Finding{l.level, e})
		}
	}
	return list
}

// text is what is said of a finding, with what to do.
func (f Finding) text() string {
	if f.Hint == "" {
		return f.Text
	}
	return f.Text + " (" + f.Hint + ")"
}
