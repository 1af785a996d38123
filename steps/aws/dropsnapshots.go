package aws

import (
	"context"
	"time"

	"github.com/imgflow/imgflow/dag"
)

// DropSnapshots deletes what an image was made of that has given way, now that its
// successor is there: until then the old one can be registered again.
type DropSnapshots struct {
	Old dag.Out[Deregistered] `json:"old"`
	New dag.Out[ReadyImage]   `json:"new"`
}

// DroppedSnapshots are those that have gone.
type DroppedSnapshots struct {
	IDs []string `json:"ids,omitempty"`
}

func (DropSnapshots) Kind() string  { return "aws.drop-snapshots" }
func (DropSnapshots) Title() string { return "delete the snapshots of the older image" }

// Do deletes what is there; a repeated call finds less to do.
func (s DropSnapshots) Do(ctx context.Context, c *Cloud, t *dag.Task) (DroppedSnapshots, error) {
	old := s.Old.Value()
	if len(old.Snapshots) == 0 {
		return DroppedSnapshots{}, nil
	}
	at, err := c.at(ctx, old.Place)
	if err != nil {
		return DroppedSnapshots{}, err
	}
	t.Say("deleting %s in %s: %s is there", list(old.Snapshots), old.Region, s.New.Value().ID)
	if err := at.deleteSnapshots(ctx, old.Snapshots, time.Time{}); err != nil {
		return DroppedSnapshots{}, err
	}
	return DroppedSnapshots{old.Snapshots}, nil
}
