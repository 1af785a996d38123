package steps

import "fmt"

// OptionError is something about an option that cannot be, or is hardly meant.
type OptionError struct {
	Field string // the option's name; list items as name[0].sub; empty: the whole
	Text  string // why, in the user's words

	// Among are, for an error of no one option, those of which one is wanted: what
	// is wrong with any of them may be the cause.
	Among []string

	// Harmless is set for what only has no effect: a word to the user, and no
	// reason to refuse.
	Harmless bool

	// Doubtful is set for what is allowed and hardly meant: a word to the user, told
	// as it is, and no reason to refuse. It is harmless, too.
	Doubtful bool
}

func (e OptionError) Error() string {
	if e.Field == "" {
		return e.Text
	}
	return e.Field + ": " + e.Text
}

// OptionErrors gathers what is wrong with options.
type OptionErrors []OptionError

// Add refuses an option.
func (e *OptionErrors) Add(field, format string, a ...any) {
	*e = append(*e, OptionError{Field: field, Text: fmt.Sprintf(format, a...)})
}

// Lacks tells that one of some options is wanted.
func (e *OptionErrors) Lacks(why string, options ...string) {
	*e = append(*e, OptionError{Text: why, Among: options})
}

// Idle tells of an option that has no effect: templates that hold one work, so it
// is no reason to refuse them.
func (e *OptionErrors) Idle(field, format string, a ...any) {
	*e = append(*e, OptionError{Field: field, Text: fmt.Sprintf(format, a...), Harmless: true})
}

// Doubt tells of what is allowed and hardly meant.
func (e *OptionErrors) Doubt(field, format string, a ...any) {
	*e = append(*e, OptionError{Field: field, Text: fmt.Sprintf(format, a...), Harmless: true, Doubtful: true})
}
