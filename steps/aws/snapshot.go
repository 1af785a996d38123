package aws

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
)

// CreateSnapshot makes a snapshot of one volume of an instance at rest.
type CreateSnapshot struct {
	From        dag.Out[Stopped]      `json:"from" dag:"attach"`
	Device      string                `json:"device"` // of the instance
	Description dag.Text              `json:"description,omitempty"`
	Tags        map[dag.Text]dag.Text `json:"tags,omitempty"`
}

// Snapshot is a snapshot that is being made or has been.
type Snapshot struct {
	Place
	ID    string    `json:"id"`
	Token string    `json:"token"`
	Made  time.Time `json:"made"`
}

func (CreateSnapshot) Kind() string    { return "aws.snapshot" }
func (CreateSnapshot) Common()         {}
func (s CreateSnapshot) Title() string { return "make a snapshot of " + s.Device }

// Patience covers the limit on snapshots of one volume.
func (CreateSnapshot) Patience() time.Duration { return 15 * time.Minute }

// Do asks for the snapshot and does not wait for it. EC2 takes no client token here, and a
// snapshot has no name: so the call is sent once in each attempt, and a later attempt looks
// first for what an earlier one may have made.
func (s CreateSnapshot) Do(ctx context.Context, c *Cloud, t *dag.Task) (Snapshot, error) {
	from := s.From.Value()
	at, err := c.at(ctx, from.Place)
	if err != nil {
		return Snapshot{}, err
	}
	description, err := filled(t, "snapshot_description", s.Description)
	if err != nil {
		return Snapshot{}, err
	}
	tags, err := filledTags(t, "snapshot_tags", s.Tags)
	if err != nil {
		return Snapshot{}, err
	}
	if t.Resumed {
		if made, err := at.snapshot(ctx, byToken(t)); !errors.Is(err, dag.ErrNotFound) {
			return made, err
		}
	}
	i, err := at.alive(ctx, t, from.ID)
	if err != nil {
		return Snapshot{}, at.taken(ctx, from.ID, from.Machine.Fleeting, err)
	}
	volume := volumeAt(i, s.Device)
	if volume == "" {
		return Snapshot{}, fmt.Errorf("cannot make a snapshot of %s: %s has no volume there", s.Device, from.ID)
	}
	t.Say("making a snapshot of %s (%s)", s.Device, volume)
	out, err := at.api.CreateSnapshot(ctx, &ec2.CreateSnapshotInput{
		VolumeId: &volume, Description: optional(description), TagSpecifications: tagged(c.tags(t, tags), types.ResourceTypeSnapshot),
	}, once)
	if err != nil {
		return Snapshot{}, asNotMade("make a snapshot of "+s.Device, "CreateSnapshot", old, err)
	}
	t.Say("snapshot %s", text(out.SnapshotId))
	return Snapshot{from.Place, text(out.SnapshotId), t.Token, now()}, nil
}

// once has a call sent once, whatever becomes of it.
func once(o *ec2.Options) { o.Retryer = retry.AddWithMaxAttempts(o.Retryer, 1) }

// volumeAt is the volume that an instance has as a device, or "".
func volumeAt(i types.Instance, device string) string {
	for _, d := range i.BlockDeviceMappings {
		if d.Ebs != nil && text(d.DeviceName) == device {
			return text(d.Ebs.VolumeId)
		}
	}
	return ""
}

// snapshot is the one that the filter hits, when EC2 had time to show it.
func (s *site) snapshot(ctx context.Context, f types.Filter) (Snapshot, error) {
	return untilVisible(ctx, s.window, func() (Snapshot, error) {
		out, err := s.api.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, Filters: []types.Filter{f}})
		if err != nil {
			return Snapshot{}, wrapAPI("look for the snapshot", "DescribeSnapshots", old, err)
		}
		if len(out.Snapshots) == 0 {
			return Snapshot{}, dag.ErrNotFound
		}
		sn := out.Snapshots[0]
		return Snapshot{s.Place, text(sn.SnapshotId), tag(sn.Tags, TagToken), now()}, nil
	})
}

// Find looks for the snapshot by its id, or by the token of its making.
func (s Snapshot) Find(ctx context.Context, c *Cloud, t *dag.Task) (Snapshot, error) {
	return findAnywhere(ctx, c, s.Place, func(at *site) (Snapshot, error) {
		if s.ID == "" {
			return at.snapshot(ctx, byToken(t))
		}
		_, err := at.snapshot(ctx, filter("snapshot-id", s.ID))
		return s, err
	})
}

// Undo deletes the snapshot. While an image is made of it the error says that this may pass.
func (s Snapshot) Undo(ctx context.Context, c *Cloud, t *dag.Task) error {
	s, err := withID(ctx, c, t, s, s.ID)
	if err != nil {
		return err
	}
	at, err := c.at(ctx, s.Place)
	if err != nil {
		return err
	}
	return at.deleteSnapshots(ctx, []string{s.ID}, s.Made)
}

// Label is where the snapshot is, too: it may outlive the run.
func (s Snapshot) Label() string { return "snapshot " + s.ID + " in " + s.Region }
