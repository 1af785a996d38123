package aws

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

func TestShareSnapshots(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	of := w.ready("name")
	step := ShareSnapshots{Of: dag.Lit(of), Users: []string{"210987654321"}, Groups: []string{"all"}}
	if a := twice(t, w, step); a.ID != of.ID || a.Place != here {
		t.Errorf("%+v", a)
	}
	out := must(w.client().DescribeSnapshotAttribute(t.Context(), &ec2.DescribeSnapshotAttributeInput{SnapshotId: &of.Snapshots[0], Attribute: types.SnapshotAttributeNameCreateVolumePermission}))
	if ps := out.CreateVolumePermissions; len(ps) != 2 || ps[0].Group != "all" || text(ps[1].UserId) != "210987654321" {
		t.Errorf("the snapshot is shared with %+v", ps)
	}
	refused(t, w, "ModifySnapshotAttribute", step, "cannot share "+of.Snapshots[0]+": ")
}
