package provision

import (
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps/comm"
)

func TestBreakpoint(t *testing.T) {
	if err := (&Breakpoint{}).Prepare(t.Context()); err == nil || !strings.Contains(err.Error(), "not supported yet") {
		t.Error(err)
	}
	if err := (&Breakpoint{Disable: true}).Prepare(t.Context()); err != nil {
		t.Error(err)
	}
	g := dag.NewGraph(nil)
	if (&Breakpoint{}).Add(g, dag.Build{}, "x", dag.Lit(comm.Machine{})); len(g.Nodes) != 0 {
		t.Error("a breakpoint is a step")
	}
}
