package aws

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps/comm"
)

// FindVolumes learns which volumes are to outlive the instance, as the template
// says with delete_on_termination. Until the build has succeeded they are
// scaffolding like the instance.
type FindVolumes struct {
	Instance dag.Out[Instance]      `json:"instance"`
	Running  dag.Out[comm.Endpoint] `json:"running" key:"-"` // what only has to come first
}

// Volumes are those of an instance that outlive it.
type Volumes struct {
	Place
	IDs     []string          `json:"ids,omitempty"`
	Devices map[string]string `json:"devices,omitempty"` // ids by device
	Made    time.Time         `json:"made"`
}

func (FindVolumes) Kind() string  { return "aws.volumes" }
func (FindVolumes) Common()       {}
func (FindVolumes) Title() string { return "find the volumes to be kept" }

// Do only looks: the launch has made them.
func (s FindVolumes) Do(ctx context.Context, c *Cloud, t *dag.Task) (Volumes, error) {
	in := s.Instance.Value()
	at, err := c.at(ctx, in.Place)
	if err != nil {
		return Volumes{}, err
	}
	i, err := at.alive(ctx, t, in.ID)
	if err != nil {
		return Volumes{}, at.taken(ctx, in.ID, in.Spot, err)
	}
	v := Volumes{Place: in.Place, Devices: map[string]string{}, Made: in.Made}
	for _, d := range i.BlockDeviceMappings {
		if d.Ebs != nil && d.Ebs.DeleteOnTermination != nil && !*d.Ebs.DeleteOnTermination && text(d.Ebs.VolumeId) != "" {
			v.IDs = append(v.IDs, *d.Ebs.VolumeId)
			v.Devices[text(d.DeviceName)] = *d.Ebs.VolumeId
		}
	}
	return v, nil
}

// Find looks for the volumes. Without their ids there is nothing to find: Do makes
// nothing, and does it again.
func (v Volumes) Find(ctx context.Context, c *Cloud, t *dag.Task) (Volumes, error) {
	if len(v.IDs) == 0 {
		return v, dag.ErrNotFound
	}
	at, err := c.at(ctx, v.Place)
	if err != nil {
		return v, err
	}
	out, err := at.api.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{Filters: []types.Filter{filter("volume-id", v.IDs...)}})
	if err != nil {
		return v, wrapAPI("look for "+list(v.IDs), "DescribeVolumes", old, err)
	}
	if len(out.Volumes) == 0 {
		return v, dag.ErrNotFound
	}
	return v, nil
}

// Undo deletes the volumes, when their instance has ended if it is about to. While
// it still uses them the error says that this may pass.
func (v Volumes) Undo(ctx context.Context, c *Cloud, t *dag.Task) error {
	at, err := c.at(ctx, v.Place)
	if err != nil {
		return err
	}
	for _, id := range v.IDs {
		err := at.removeWhenFree(ctx, t, filter("block-device-mapping.volume-id", id), func() error {
			return at.removeThing(ctx, "delete "+id, "DeleteVolume", v.Made, func() error {
				_, err := at.api.DeleteVolume(ctx, &ec2.DeleteVolumeInput{VolumeId: &id})
				return err
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Label lists the volumes.
func (v Volumes) Label() string { return "volumes " + strings.Join(v.IDs, ", ") }
