// Package self is what users have of this program in their hands: the word that starts it,
// which is the name of its main package. What anybody tells them to type begins with it.
//
//	fmt.Errorf("cannot find run %q: `%s` shows the runs that there are", id, self.Command("list"))
//
// Longer texts, such as the help of commands, are written for imgflow and go through [Text].
package self

import (
	"path"
	"regexp"
	"runtime/debug"
	"strings"
)

// Name is the word that starts this program. Nothing changes it.
var Name = name()

// name is imgflow where the main package is another tool, or a test of a package. It is known
// before main runs, as processes need it that end before.
func name() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		if base := path.Base(strings.TrimSuffix(info.Path, ".test")); strings.HasPrefix(base, "imgflow-") {
			return base
		}
	}
	return "imgflow"
}

// Command is a command of this program, as it is typed.
func Command(words ...string) string { return Name + " " + strings.Join(words, " ") }

// typed is what looks like a command of imgflow.
var typed = regexp.MustCompile(`\bimgflow( [a-zA-Z{])`)

// Text is a text that was written for imgflow, as users of this program read it.
func Text(text string) string { return typed.ReplaceAllString(text, Name+"$1") }
