package posh

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"
)

// Call is one use of a command in a pipeline.
type Call struct {
	Name  string // as the script wrote it
	State any    // the command's own, kept from Begin over Run to End

	sh    *shell
	def   *Command
	bound map[string]any // by lower-case name, already of the parameter's type
	input any            // the pipeline's object that Run is called for
	piped bool
	out   *port
	prefs callPrefs
}

// Context ends when the process is to end.
func (c *Call) Context() context.Context { return c.sh.ctx }

// Machine is the one that the script runs on.
func (c *Call) Machine() Machine { return c.sh.m }

// Env is the process's environment.
func (c *Call) Env() *Env { return c.sh.env }

// Dir is the current location in the file system.
func (c *Call) Dir() string { return c.sh.dir }

// PID is the process's id.
func (c *Call) PID() int { return c.sh.o.PID }

// Has tells whether the parameter was given.
func (c *Call) Has(name string) bool {
	_, ok := c.bound[strings.ToLower(name)]
	return ok
}

// Value is a parameter's value, nil when it was not given.
func (c *Call) Value(name string) any { return bare(c.bound[strings.ToLower(name)]) }

// Values is the value of a parameter that takes several.
func (c *Call) Values(name string) []any { return elements(c.Value(name)) }

// Str is the value of a parameter as text, "" when it was not given.
func (c *Call) Str(name string) string { return toText(c.bound[strings.ToLower(name)]) }

// Strs is the value of a parameter that takes several texts.
func (c *Call) Strs(name string) []string {
	var out []string
	for _, v := range elements(c.bound[strings.ToLower(name)]) {
		out = append(out, toText(v))
	}
	return out
}

// Int is the value of a parameter of the type int, 0 when it was not given.
func (c *Call) Int(name string) int {
	switch v := c.Value(name).(type) {
	case int32:
		return int(v)
	case int64:
		return int(v)
	}
	return 0
}

// On tells whether a switch is on.
func (c *Call) On(name string) bool { return truth(c.Value(name)) }

// Input is the pipeline's object for which Run is called; ok is false when the
// command stands first in its pipeline.
func (c *Call) Input() (v any, ok bool) { return c.input, c.piped }

// Emit passes a value on to the next command of the pipeline; the command ends
// with the error that this gives. An array goes on as its elements.
func (c *Call) Emit(v any) error {
	if a, ok := list(wrap(v)); ok {
		for _, e := range a {
			if err := c.out.put(e); err != nil {
				return err
			}
		}
		return nil
	}
	return c.out.put(wrap(v))
}

// One passes a value on as it is, also an array.
func (c *Call) One(v any) error { return c.out.put(wrap(v)) }

// Error reports an error that does not end the command, unless the script asked
// for that (ErrorAction Stop): then it gives the error to end with.
func (c *Call) Error(err error) error { return c.sh.report(c.fail(err), c.prefs.errors, c) }

// Fail makes of any error one that ends the command.
func (c *Call) fail(err error) error { return c.sh.asCommandError(err, c) }

// Warn shows a warning.
func (c *Call) Warn(format string, args ...any) error {
	return c.sh.message(streamWarning, fmt.Sprintf(format, args...), c.prefs.warning)
}

// Verbose shows a message where the script asked for those.
func (c *Call) Verbose(format string, args ...any) error {
	return c.sh.message(streamVerbose, fmt.Sprintf(format, args...), c.prefs.verbose)
}

// Path makes a path of the file system absolute.
func (c *Call) Path(path string) (string, error) { return c.sh.filePath(path) }

// Invoke runs a script block with $_ set, and gives what it writes.
func (c *Call) Invoke(b *Block, input any, args ...any) ([]any, error) {
	return c.sh.invokeBlock(b, input, args)
}

// Convert makes of a value one of a type that is named as in a type literal
// ("timespan", "datetime", "int", "string[]"): what a method's argument needs.
func Convert(v any, typ string) (any, error) {
	s := &shell{sys: System{Zone: time.UTC, Now: time.Now}}
	return s.cast(wrap(v), parseTypeName(typ))
}

// class is .NET's name of the cmdlet, as error ids end.
func (c *Command) class() string {
	if c.Class != "" {
		return c.Class
	}
	return "Microsoft.PowerShell.Commands." + strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, c.Name) + "Command"
}
