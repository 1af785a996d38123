package aws

import (
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

// A complete snapshot is a result unless it is part of an image.
func TestSnapshotReady(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	sn := must(CreateSnapshot{From: dag.Lit(w.atRest()), Device: "/dev/sdf"}.Do(t.Context(), w.cloud, task("t2")))
	part := twice(t, w, SnapshotReady{Snapshot: dag.Lit(sn), Part: true})
	if part.ID != sn.ID || len(part.Artifacts()) != 0 {
		t.Errorf("%+v", part)
	}
	tags := func() map[string]string {
		return tagMap(must(w.client().DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{SnapshotIds: []string{sn.ID}})).Snapshots[0].Tags)
	}
	if m := tags(); m[TagArtifact] != "" {
		t.Errorf("a part is a result: %v", m)
	}
	ready := twice(t, w, SnapshotReady{Snapshot: dag.Lit(sn)})
	if as := ready.Artifacts(); len(as) != 1 || as[0].Kind != "snapshot" || as[0].ID != sn.ID || ready.Label() != home+": "+sn.ID {
		t.Errorf("%+v", ready)
	}
	if m := tags(); m[TagArtifact] == "" || m[TagExpires] != "never" {
		t.Errorf("tags %v", m)
	}
	twice(t, w, SnapshotReady{Snapshot: dag.Lit(sn), Tags: many[dag.Text]("t", maxTags)})
	if m := tags(); len(m) != maxTags {
		t.Errorf("%d tags", len(m))
	}
	gone := sn
	gone.ID = "snap-0123456789abcdef0"
	if _, err := (SnapshotReady{Snapshot: dag.Lit(gone)}).Do(t.Context(), w.cloud, task("t4")); !errors.Is(err, dag.ErrNotFound) {
		t.Errorf("of one that is not there: %v", err)
	}
}
