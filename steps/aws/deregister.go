package aws

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
)

// Deregister removes the caller's own images of a name, at the last moment before
// their successor takes it.
type Deregister struct {
	After     dag.Out[Stopped] `json:"after"`
	Places    []Place          `json:"places"`
	Name      string           `json:"name"`
	Snapshots bool             `json:"snapshots,omitempty"` // delete what they are made of, too
}

// Deregistered lists the images that have gone.
type Deregistered struct {
	IDs []string `json:"ids,omitempty"`
}

func (Deregister) Kind() string    { return "aws.deregister" }
func (s Deregister) Title() string { return "deregister older images called " + s.Name }

// Do removes what is there; a repeated call finds less to do. An image of this
// very run is its result and stays.
func (s Deregister) Do(ctx context.Context, c *Cloud, t *dag.Task) (Deregistered, error) {
	var d Deregistered
	for _, p := range s.Places {
		at, err := c.at(ctx, p)
		if err != nil {
			return Deregistered{}, err
		}
		out, err := at.api.DescribeImages(ctx, &ec2.DescribeImagesInput{Owners: []string{"self"}, Filters: []types.Filter{filter("name", s.Name)}, IncludeDeprecated: ptr(true)})
		if err != nil {
			return Deregistered{}, wrapAPI("look for images called "+s.Name, "DescribeImages", old, err)
		}
		for _, i := range out.Images {
			if text(i.Name) != s.Name || tag(i.Tags, TagRun) == t.Run {
				continue
			}
			t.Say("deregistering %s (%s) in %s", *i.ImageId, s.Name, p.Region)
			if err := at.deregister(ctx, *i.ImageId, time.Time{}); err != nil {
				return Deregistered{}, err
			}
			d.IDs = append(d.IDs, *i.ImageId)
			if s.Snapshots {
				if err := at.deleteSnapshots(ctx, snapshots(i), time.Time{}); err != nil {
					return Deregistered{}, err
				}
			}
		}
	}
	return d, nil
}

func (s *site) deregister(ctx context.Context, id string, made time.Time) error {
	return s.removeThing(ctx, "deregister "+id, "DeregisterImage", made, func() error {
		_, err := s.api.DeregisterImage(ctx, &ec2.DeregisterImageInput{ImageId: &id})
		return err
	})
}

func (s *site) deleteSnapshots(ctx context.Context, ids []string, made time.Time) error {
	for _, id := range ids {
		err := s.removeThing(ctx, "delete "+id, "DeleteSnapshot", made, func() error {
			_, err := s.api.DeleteSnapshot(ctx, &ec2.DeleteSnapshotInput{SnapshotId: &id})
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// snapshots are what an image is made of.
func snapshots(i types.Image) (ids []string) {
	for _, d := range i.BlockDeviceMappings {
		if d.Ebs != nil && text(d.Ebs.SnapshotId) != "" {
			ids = append(ids, *d.Ebs.SnapshotId)
		}
	}
	return ids
}
