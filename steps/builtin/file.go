package builtin

import (
	"context"
	"path/filepath"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// File writes a local file, which is its result; there is no machine.
type File struct {
	// The text that the file gets; it or `source` has to be given.
	Content dag.Text `json:"content,omitempty" option:"results"`
	// A local file that is copied, in place of `content`. Default: none.
	Source steps.File `json:"source,omitzero"`
	// The path of the file that is written.
	Target string `json:"target,omitempty" option:"required"`
}

// Check reports everything that is wrong with the options by themselves.
func (b *File) Check() []steps.OptionError {
	var f steps.OptionErrors
	switch {
	case b.Content != "" && b.Source.Path != "":
		f.Add("source", "cannot be used together with content")
	case b.Content == "" && b.Source.Path == "":
		f.Lacks("content must be set, or source", "content", "source")
	}
	return f
}

// Claims is the target.
func (b *File) Claims() []steps.Claim {
	if b.Target == "" {
		return nil
	}
	return []steps.Claim{{Field: "target", Key: "file " + filepath.Clean(b.Target), What: "the file " + b.Target}}
}

// Prepare has nothing to find out.
func (*File) Prepare(context.Context) error { return nil }

// WithoutMachine is why provisioners have no effect.
func (*File) WithoutMachine() string { return "a file has no machine" }

// Wire adds the step of the build.
func (b *File) Wire(g *dag.Graph, build dag.Build, _ func(dag.Out[comm.Machine]) dag.Out[comm.Machine]) steps.Made {
	written := dag.Add(g, build, "file", WriteFile{Content: b.Content, Source: b.Source, Target: b.Target})
	dag.Keep(g, written, written)
	return steps.Made{Artifacts: []dag.Out[steps.Artifact]{dag.As[steps.Artifact](written)}, Product: func() dag.Out[steps.Product] {
		return dag.Add(g, build, "product", Product{Written: written})
	}}
}
