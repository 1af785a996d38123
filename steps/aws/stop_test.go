package aws

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
	"github.com/imgflow/imgflow/steps/comm"
)

// Stopping waits until the instance is at rest, and takes one that is already.
func TestStop(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	i, _ := w.launched("t1")
	step := Stop{Instance: dag.Lit(i), After: dag.Lit(comm.Machine{}).Take()}
	refused(t, w, "StopInstances", step, "cannot stop "+i.ID+": ")
	w.rest(i)
	calls, looks := w.front.count("StopInstances"), w.front.count("DescribeInstances")
	if s := twice(t, w, step); s.ID != i.ID || s.VPC != i.VPC || s.Place != here {
		t.Errorf("%+v", s)
	}
	if n := w.front.count("DescribeInstances"); n != looks {
		t.Errorf("%d looks at what the answer said", n-looks)
	}
	is := must(w.site().describeInstances(t.Context(), filter("instance-id", i.ID)))
	if is[0].State.Name != types.InstanceStateNameStopped {
		t.Errorf("it is %s", is[0].State.Name)
	}
	if n := w.front.count("StopInstances"); n != calls+2 {
		t.Errorf("%d calls, want 2", n-calls)
	}
	step.Itself = true
	twice(t, w, step)
	if n := w.front.count("StopInstances"); n != calls+2 {
		t.Error("one that stops by itself was told to")
	}
	if err := i.Undo(t.Context(), w.cloud, task("t1")); err != nil {
		t.Fatal(err)
	}
	if _, err := step.Do(t.Context(), w.cloud, task("t2")); err == nil || !strings.HasPrefix(err.Error(), "cannot image "+i.ID+": it is ") {
		t.Errorf("one that has ended: %v", err)
	}
}
