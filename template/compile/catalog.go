package compile

import (
	"maps"
	"slices"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps/comm"
)

// Builder is a struct of a builder's options that can add the builder's steps to a graph.
// It may also be a [Supporter].
type Builder interface {
	// Check says what is wrong with the options, without asking anybody outside.
	Check() []dag.Fault
	// Machine adds the steps up to a machine that can be provisioned.
	Machine(g *dag.Graph, b dag.Build) dag.Out[comm.Machine]
	// Capture adds the steps from the provisioned machine to the image, and names the goals.
	Capture(g *dag.Graph, b dag.Build, m dag.Out[comm.Machine])
}

// Provisioner is a struct of a provisioner's options that can add its step to a graph.
// It may also be a [Commoner] and a [Supporter].
type Provisioner interface {
	Check() []dag.Fault
	// Add adds the step, which takes the machine and gives it back.
	Add(g *dag.Graph, b dag.Build, name string, on dag.Out[comm.Machine]) dag.Out[comm.Machine]
}

// Common are the options that every provisioner has.
type Common struct {
	PauseBefore time.Duration `json:"pause_before"`
	Timeout     time.Duration `json:"timeout"`
	MaxRetries  int           `json:"max_retries"`
}

// Commoner is a provisioner that takes the common options. One that does not refuses them.
type Commoner interface{ SetCommon(Common) }

// Supporter is a builder or provisioner that may be known, and its options checked, without being able to run.
type Supporter interface {
	// Supported returns why it cannot run, or nil.
	Supported() error
}

// Claimer is a builder whose options give names that no other build of the run may take.
type Claimer interface {
	// Claims lists them. It is called after Check, and after Supported where that is asked.
	Claims() []dag.Claim
}

// Catalog maps the type names of templates to makers of their options, each a pointer to a new struct.
type Catalog struct {
	Builders     map[string]func() Builder
	Provisioners map[string]func() Provisioner

	// Over are the communicators that a provisioner works over. One that is not here works over any, and
	// without a connection.
	Over map[string][]string

	// Types that are known and cannot run, with why: "not supported yet". Their options are not looked at.
	LaterBuilders       map[string]string
	LaterProvisioners   map[string]string
	LaterPostProcessors map[string]string
}

// known returns the names in both maps.
func known[V any](a map[string]V, b map[string]string) []string {
	names := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(names)
	return names
}
