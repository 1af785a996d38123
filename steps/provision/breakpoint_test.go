package provision

import (
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps/comm"
)

func TestBreakpoint(t *testing.T) {
	g := dag.NewGraph(nil)
	b := &Breakpoint{Note: parsed("look at {{ build `ID` }}")}
	after := b.Add(g, dag.Build{Name: "web"}, "breakpoint", dag.Lit(winMachine()))
	if len(g.Nodes) != 1 || after.Key() != g.Nodes[0].Key || g.Nodes[0].Title != "wait at a breakpoint: look at {{ build `ID` }}" {
		t.Fatalf("%+v", g.Nodes)
	}
	(&Breakpoint{Disable: true}).Add(g, dag.Build{}, "x", dag.Lit(comm.Machine{}))
	if len(g.Nodes) != 1 {
		t.Error("a breakpoint that is disabled is a step")
	}
	sink := &memSink{}
	step := Breakpoint{On: dag.Lit(winMachine()).Take(), Note: b.Note}
	if _, err := step.Do(t.Context(), comm.NewEnv(nil), task(sink)); err != nil || sink.said(dag.Said) != "look at i-0abc\n" {
		t.Errorf("%v, said %q", err, sink.said(dag.Said))
	}
	step.Note = parsed("{{ build `Nope` }}")
	_, err := step.Do(t.Context(), comm.NewEnv(nil), task(sink))
	wantError(t, err, "cannot evaluate note")
}
