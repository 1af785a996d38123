package post

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// Artifice takes local files for what was made, such as those that a script has written: what comes behind it in its sequence
// works on them.
type Artifice struct {
	Of dag.Out[steps.Product] `json:"of"`
	steps.InputOptions

	// Patterns of the files, from the working directory: `*`, `?` and `[…]` stand for parts of one name.
	Files []string `json:"files,omitempty" option:"required"`
}

func (Artifice) Kind() string  { return "post.artifice" }
func (Artifice) Title() string { return "take files for what was made" }

// Check refuses patterns that cannot be read.
func (s *Artifice) Check() []steps.OptionError {
	var f steps.OptionErrors
	for i, pattern := range s.Files {
		if _, err := filepath.Match(pattern, ""); err != nil || pattern == "" {
			f.Add(fmt.Sprintf("files[%d]", i), "%q is no pattern of files", pattern)
		}
	}
	return f
}

// Gives are files of somebody else.
func (*Artifice) Gives() steps.Gives { return steps.GivesFound }

// LocalFiles are those that are there before, too.
func (s Artifice) LocalFiles() comm.LocalFiles { return comm.LocalFiles{Reads: s.Files} }

// Add adds the step.
func (s *Artifice) Add(g *dag.Graph, b dag.Build, name string, in dag.Out[steps.Product]) dag.Out[steps.Product] {
	step := *s
	step.Of = in
	return dag.Add(g, b, name, step)
}

// Do looks for the files. A pattern without any is more likely a mistake than meant.
func (s Artifice) Do(_ context.Context, e *comm.Env, t *dag.Task) (steps.Product, error) {
	made := steps.Product{Builder: "packer.post-processor.artifice", Machine: s.Of.Value().Machine}
	for _, pattern := range s.Files {
		from := pattern
		if !filepath.IsAbs(pattern) {
			from = filepath.Join(literal(e.Dir), pattern)
		} else if root := e.Away.Root; root != "" {
			from = filepath.Join(literal(root), pattern)
		}
		found, err := filepath.Glob(from)
		if err != nil {
			return made, fmt.Errorf("cannot look for %s: %w", pattern, err)
		}
		if len(found) == 0 {
			return made, fmt.Errorf("cannot take %s for what was made: there is no such file; a step before has to make it", pattern)
		}
		for _, path := range found {
			if _, err := os.Stat(path); err != nil {
				return made, fmt.Errorf("cannot take a file for what was made: %w", err)
			}
			if !filepath.IsAbs(pattern) {
				if rel, err := filepath.Rel(e.Dir, path); err == nil {
					path = rel
				}
			} else {
				path = e.Named(path)
			}
			if !slices.Contains(made.Files, path) {
				made.Files = append(made.Files, path)
			}
		}
	}
	for _, path := range made.Files {
		t.Say("%s is part of what was made", path)
	}
	return made, nil
}

// literal is a pattern that fits one path alone.
func literal(path string) string {
	if runtime.GOOS == "windows" { // where nothing can be escaped, and these can be in no path but for the last
		return path
	}
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(path)
}
