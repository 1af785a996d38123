package steps

import (
	"github.com/imgflow/imgflow/dag"
)

// PostProcessor is a struct of a post-processor's options that can add its step to
// a graph. It may also be a [Preparer] and a [FileUser].
type PostProcessor interface {
	// Check says what is wrong with the options, without asking anybody outside.
	Check() []OptionError
	// Gives says what it hands on.
	Gives() Gives
	// Add adds the step, which takes what was made and hands on what there is then.
	Add(g *dag.Graph, b dag.Build, name string, in dag.Out[Product]) dag.Out[Product]

	// The options that every post-processor has come with [InputOptions].
	Keeps() bool
	SetRepeat(n int)
}

// Claimer is a post-processor of which there can be one only that takes a name: a second one would write over what the first
// has made.
type Claimer interface {
	// Claims lists the names that it takes in a build, as far as they are known.
	Claims(b dag.Build) []Claim
}

// Gives says what a post-processor hands on.
type Gives int

const (
	GivesSame  Gives = iota // what it was given, which it therefore never has removed
	GivesOwn                // a thing that it makes
	GivesFound              // what it finds, and nobody here removes
)

// InputOptions are the options that every post-processor has.
type InputOptions struct {
	// `false` has what the post-processor was given removed, an image, too, when all post-processors of the build have come
	// to a good end. Default: `true`.
	KeepInputArtifact *bool `json:"keep_input_artifact,omitempty" key:"-"`

	Repeat int `json:"repeat,omitempty" option:"-"` // tells it from one that is like it in all
}

// Keeps reports whether what it is given stays.
func (p *InputOptions) Keeps() bool { return p.KeepInputArtifact == nil || *p.KeepInputArtifact }

// SetRepeat says how many of its build are like it and come before it.
func (p *InputOptions) SetRepeat(n int) { p.Repeat = n }
