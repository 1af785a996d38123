package steps

import (
	"context"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps/comm"
)

// Provisioner is a struct of a provisioner's options that can add its step to a
// graph. It may also be a [Preparer] and a [FileUser].
type Provisioner interface {
	// Check says what is wrong with the options, without asking anybody outside.
	Check() []OptionError
	// SetCommon takes the options that every provisioner has.
	SetCommon(Common)
	// Communicators are those that it works over. None is any, and no connection.
	Communicators() []string
	// Add adds the step, which takes the machine and gives it back.
	Add(g *dag.Graph, b dag.Build, name string, on dag.Out[comm.Machine]) dag.Out[comm.Machine]
}

// Preparer is a provisioner that may be known, and its options checked, without
// being able to run.
type Preparer interface {
	// Prepare returns why it cannot run, or nil.
	Prepare(ctx context.Context) error
}

// FileUser is a provisioner that looks for local files only when it has all its
// options.
type FileUser interface {
	// ResolveFiles is called once, before Check. What it finds wrong is told instead
	// of what Check would.
	ResolveFiles(find func(path string) (File, error)) []OptionError
}

// Common are the options that every provisioner has. None of them changes what
// the machine becomes, so none is part of a step's key.
type Common struct {
	// How long to wait before each try. Default: none.
	PauseBefore time.Duration `json:"pause_before,omitempty" key:"-"`
	// How long each try may take, the pause before it not counted. Default: no limit.
	Timeout time.Duration `json:"timeout,omitempty" key:"-"`
	// How often to try again after the first try has failed. Default: `0`.
	MaxRetries int `json:"max_retries,omitempty" key:"-"`
	// Goes on with the build when the last try has failed, too. Default: `false`.
	ContinueOnError bool `json:"continue_on_error,omitempty" key:"-"`
}

// SetCommon sets them.
func (c *Common) SetCommon(to Common) { *c = to }
