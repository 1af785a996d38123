//go:build !chaos || !unix

package cli

import (
	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/app"
)

// stepRunner is nil: steps are done in this process. Programs that were built to be
// broken have another.
func stepRunner() func(*app.Handover) dag.Runner { return nil }

// asWorker reports whether this process was one that does the steps of another.
func asWorker() bool { return false }
