package post

import (
	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// PostProcessors are the post-processors of this package by the names that templates
// use. A new one is one file, one line here, and one in Kinds. Force is the flag of
// the run.
func PostProcessors(force bool) map[string]func() steps.PostProcessor {
	return map[string]func() steps.PostProcessor{
		"manifest":    func() steps.PostProcessor { return &Manifest{Force: force} },
		"shell-local": func() steps.PostProcessor { return &ShellLocal{} },
		"checksum":    func() steps.PostProcessor { return &Checksum{} },
		"artifice":    func() steps.PostProcessor { return &Artifice{} },
		"compress":    func() steps.PostProcessor { return &Compress{} },
	}
}

// Kinds are the steps of this package.
func Kinds(e *comm.Env) []dag.Kind {
	return []dag.Kind{
		dag.Bind[steps.Discard](e),
		dag.Bind[Manifest](e),
		dag.Bind[ShellLocal](e),
		dag.Bind[Checksum](e),
		dag.Bind[Artifice](e),
		dag.Bind[Compress](e),
	}
}
