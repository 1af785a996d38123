package steps

import (
	"context"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps/comm"
)

// Source is a struct of a builder's options that can add the steps of a build to a
// graph.
type Source interface {
	// Check says what is wrong with the options, without asking anybody outside.
	Check() []OptionError
	// Claims lists the names that no other build of the run may take.
	Claims() []Claim
	// Prepare finds out what the options leave open, such as the region, before Wire
	// relies on it. The error says why the build cannot run, though its options are
	// valid.
	Prepare(ctx context.Context) error
	// Wire adds the steps of the build. Provision adds those of the provisioners: it
	// takes the machine and gives it back. The artifacts of what is returned become
	// goals of the graph; other goals the source names itself.
	Wire(g *dag.Graph, build dag.Build, provision func(dag.Out[comm.Machine]) dag.Out[comm.Machine]) Made
}

// Testable is a source whose builds make something that can be tested: machines of it
// can be started before anybody gets it.
type Testable interface {
	// Test returns the options of one test, all unset.
	Test() Test
}

// Test is a struct of the options of a test.
type Test interface {
	// Check says what is wrong with the options, without asking anybody outside.
	Check() []OptionError
	// Add makes it a test of the source that it came from: Wire adds its steps, whose
	// names begin with the name. Provision adds those of its provisioners.
	Add(name string, provision func(dag.Out[comm.Machine]) dag.Out[comm.Machine])
}

// Machineless is a source whose builds have no machine.
type Machineless interface {
	// WithoutMachine is why provisioners have no effect, which is said for each.
	WithoutMachine() string
}

// Artifact is something that a run is for, such as an image.
type Artifact = dag.Artifact

// Claim is a name that only one build of a run can take.
type Claim struct {
	Field string // the option that gives the name, as in an OptionError
	Key   string // the same for whatever cannot be there twice
	What  string // for a message: an image of that name in us-east-1
}

// Untried is a source whose builds may have what the machines of an embedded cloud lack.
type Untried interface {
	// Untried is a doubt for each option of which a local run cannot try everything.
	Untried() []OptionError
}
