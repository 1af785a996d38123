package aws

import (
	"cmp"
	"context"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
)

// SnapshotReady waits until a snapshot is complete. From then on the instance with its volume
// is not needed.
type SnapshotReady struct {
	Snapshot dag.Out[Snapshot]     `json:"snapshot" dag:"detach"`
	Part     bool                  `json:"part,omitempty"` // of an image that is to be made of it: it is no result by itself
	Tags     map[dag.Text]dag.Text `json:"tags,omitempty"` // the user's, where they are so many that some wait for the place of ours
}

// ReadySnapshot is a snapshot of which volumes and images can be made.
type ReadySnapshot struct {
	steps.Artifact
	Account string `json:"account,omitempty"`
	Part    bool   `json:"part,omitempty"`
}

// Artifacts is the snapshot, unless it is part of an image.
func (s ReadySnapshot) Artifacts() []steps.Artifact {
	if s.Part {
		return nil
	}
	return s.Artifact.Artifacts()
}

func (s ReadySnapshot) place() Place { return Place{s.Account, s.Region} }

func (SnapshotReady) Kind() string  { return "aws.snapshot-ready" }
func (SnapshotReady) Title() string { return "wait until the snapshot is complete" }

// Do has no deadline: as long as AWS says that the snapshot is pending, it is. One that EC2
// has given up is removed, so that a resume makes it anew.
func (s SnapshotReady) Do(ctx context.Context, c *Cloud, t *dag.Task) (ReadySnapshot, error) {
	in := s.Snapshot.Value()
	at, err := c.at(ctx, in.Place)
	if err != nil {
		return ReadySnapshot{}, err
	}
	t.Say("waiting until %s is complete", in.ID)
	defer at.progress.watch(ctx, asker{t, at.listProgress}, in.Token)()
	failed := false
	_, err = at.snapshots.wait(ctx, t, in.ID, untilSnapshot.since(in.Made), func(sn types.Snapshot) (bool, error) {
		if failed = sn.State == types.SnapshotStateError; failed {
			return false, fmt.Errorf("cannot use %s in %s: EC2 has given it up: %s", in.ID, in.Region, cmp.Or(text(sn.StateMessage), "AWS gives no reason"))
		}
		return sn.State == types.SnapshotStateCompleted, nil
	})
	switch {
	case failed:
		if lost := at.deleteSnapshots(ctx, []string{in.ID}, in.Made); lost != nil {
			t.Warn("%v", lost)
		}
		return ReadySnapshot{}, err
	case err != nil:
		return ReadySnapshot{}, lookFault("wait for "+in.ID, "DescribeSnapshots", err)
	}
	ready := ReadySnapshot{Artifact: steps.Artifact{Kind: "snapshot", ID: in.ID, Region: in.Region}, Account: in.Account, Part: s.Part}
	if s.Part {
		return ready, nil
	}
	if err := s.mark(ctx, t, at); err != nil {
		return ReadySnapshot{}, err
	}
	t.Say("%s: %s is complete", in.Region, in.ID)
	return ready, nil
}

// mark makes the snapshot a result.
func (s SnapshotReady) mark(ctx context.Context, t *dag.Task, at *site) error {
	in := s.Snapshot.Value()
	tags, err := filledTags(t, "snapshot_tags", s.Tags)
	if err != nil {
		return err
	}
	call := "CreateTags"
	if len(tags) == 0 {
		err = at.markFinished(ctx, in.ID)
	} else {
		call, err = at.markFinishedAtTagLimit(ctx, tags, in.ID)
	}
	if err != nil {
		return wrapAPI("mark "+in.ID+" as finished", call, since(in.Made), err)
	}
	return nil
}

// listSnapshots shows snapshots by their ids.
func (s *site) listSnapshots(ctx context.Context, ids []string) (map[string]types.Snapshot, error) {
	out, err := s.api.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{Filters: []types.Filter{filter("snapshot-id", ids...)}})
	if err != nil {
		return nil, err
	}
	m := map[string]types.Snapshot{}
	for _, sn := range out.Snapshots {
		m[text(sn.SnapshotId)] = sn
	}
	return m, nil
}

// sizeOfSnapshot is that of its volume, in GiB.
func sizeOfSnapshot(sn types.Snapshot) string {
	if sn.VolumeSize == nil {
		return ""
	}
	return strconv.Itoa(int(*sn.VolumeSize)) + " GiB"
}

// Label is what a user looks for at the end.
func (s ReadySnapshot) Label() string { return s.Region + ": " + s.ID }
