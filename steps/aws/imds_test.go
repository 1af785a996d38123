package aws

import (
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

func TestRequireIMDSv2(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	of := w.ready("name")
	step := RequireIMDSv2{dag.Lit(of)}
	if a := twice(t, w, step); a.ID != of.ID || a.Place != here {
		t.Errorf("%+v", a)
	}
	if got := w.describeImage(of.ID).ImdsSupport; got != "v2.0" {
		t.Errorf("it is %q", got)
	}
	refused(t, w, "ModifyImageAttribute", step, "cannot require IMDSv2 of "+of.ID+": ")
}
