package provision

import (
	"path/filepath"
	"strings"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// values are what options may ask for when the machine stands.
type values struct {
	t   *dag.Task
	m   comm.Machine
	dir string // where the run works: names of files are short from there
}

// The words of commands that are not the user's own.
var (
	scriptPath = dag.Word("{{.Path}}")
	envVars    = dag.Word("{{.Vars}}")
	envVarFile = dag.Word("{{.EnvVarFile}}")
)

// render puts the values into the text of an option. Data are the fields that
// only this option has.
func (v values) render(option string, text dag.Text, data map[string]any) (string, error) {
	return v.of().Render(option, text, data)
}

func (v values) of() steps.BuildValues { return steps.BuildValues{Task: v.t, Machine: v.m} }

// shown is the path of a local file as a user would type it in a directory.
func shown(dir, path string) string {
	rel, err := filepath.Rel(dir, path)
	if dir == "" || err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return path
	}
	if strings.HasSuffix(path, "/") {
		rel += "/"
	}
	return rel
}
