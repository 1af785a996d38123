package steps

import (
	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps/comm"
)

// Product is what a build or a post-processor hands on: Packer's artifact. It says
// what was made in Packer's words, since manifests and scripts are made of them.
type Product struct {
	Builder string       `json:"builder"`          // what has made it: mitchellh.amazonebs
	ID      string       `json:"id,omitempty"`     // us-east-1:ami-0abc,eu-west-1:ami-0def
	Files   []string     `json:"files,omitempty"`  // as the template names them
	Machine comm.Machine `json:"machine,omitzero"` // that the build had, for its values
}

// Made is what the wiring of a source has led to.
type Made struct {
	// Artifacts become goals of the graph.
	Artifacts []dag.Out[Artifact]
	// Finishing are the steps that finish the artifacts: post-processors come after
	// them.
	Finishing []dag.Key
	// Product adds the step that tells post-processors what was made. It is called if
	// there are any; nil is for a build that makes nothing.
	Product func() dag.Out[Product]
}

// Productless is a source whose options may be such that its builds make nothing.
type Productless interface {
	// WithoutProduct is why post-processors have no effect, "" if they have.
	WithoutProduct() string
}
