package aws

import (
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
	"github.com/imgflow/imgflow/steps/comm"
)

func TestPass(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	m := comm.Machine{Endpoint: comm.Endpoint{Vars: map[string]string{"SourceAMI": "ami-1"}}}
	if p := twice(t, w, Pass{On: dag.Lit(m).Take(), Test: "test-a"}); p.Image != "ami-1" {
		t.Errorf("%+v", p)
	}
	if n := w.front.total(); n > 0 {
		t.Errorf("%d calls: %v", n, w.front.calls)
	}
}
