package provision

import (
	"slices"
	"strings"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
)

// mustRun tells of a command of the user's own that does not run the script. Where
// are the paths, as far as they are known, by which it may name the script itself.
func mustRun(f *steps.OptionErrors, option string, command dag.Text, field string, where ...dag.Text) {
	named := func(path dag.Text) bool { return path != "" && strings.Contains(string(command), string(path)) }
	if command != "" && !uses(command, field) && !slices.ContainsFunc(where, named) {
		f.Doubt(option, "it has no {{.%s}}, so the script never runs", field)
	}
}

func notNegative(f *steps.OptionErrors, field string, d time.Duration) {
	if d < 0 {
		f.Add(field, "it must not be negative")
	}
}
