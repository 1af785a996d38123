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
	IDs  []string  `json:"ids,omitempty"`
	Made time.Time `json:"made"`
}

func (FindVolumes) Kind() string  { return "aws.volumes" }
func (FindVolumes) Title() string { return "find the volumes to be kept" }

// Do only looks: the launch has made them.
func (s FindVolumes) Do(ctx context.Context, c *Cloud, t *dag.Task) (Volumes, error) {
	in := s.Instance.Value()
	at, err := c.at(ctx, in.Place)
	if err != nil {
		return Volumes{}, err
	}
	i, err := at.alive(ctx, filter("instance-id", in.ID))
	if err != nil {
		return Volumes{}, err
	}
	v := Volumes{Place: in.Place, Made: in.Made}
	for _, d := range i.BlockDeviceMappings {
		if d.Ebs != nil && d.Ebs.DeleteOnTermination != nil && !*d.Ebs.DeleteOnTermination && text(d.Ebs.VolumeId) != "" {
			v.IDs = append(v.IDs, *d.Ebs.VolumeId)
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
		return v, fault("look for "+list(v.IDs), "DescribeVolumes", old, err)
	}
	if len(out.Volumes) == 0 {
		return v, dag.ErrNotFound
	}
	return v, nil
}

// Undo deletes the volumes. While the instance still uses them the error says that
// this may pass.
func (v Volumes) Undo(ctx context.Context, c *Cloud, t *dag.Task) error {
	at, err := c.at(ctx, v.Place)
	if err != nil {
		return err
	}
	for _, id := range v.IDs {
		err := at.erase(ctx, "delete "+id, "DeleteVolume", v.Made, func() error {
			_, err := at.api.DeleteVolume(ctx, &ec2.DeleteVolumeInput{VolumeId: &id})
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Label lists the volumes.
func (v Volumes) Label() string { return "volumes " + strings.Join(v.IDs, ", ") }

// KeepVolumes makes the volumes of a good build results of it.
type KeepVolumes struct {
	Volumes dag.Out[Volumes]  `json:"volumes"`
	Image   dag.Out[Artifact] `json:"image" key:"-"` // what only has to come first,
	Stopped dag.Out[Stopped]  `json:"stopped" key:"-"`
}

// KeptVolumes stay in the user's account.
type KeptVolumes struct {
	Place
	IDs []string `json:"ids,omitempty"`
}

func (KeepVolumes) Kind() string  { return "aws.keep-volumes" }
func (KeepVolumes) Title() string { return "keep volumes" }

// Do ends their lease, so that nobody takes them for orphans.
func (s KeepVolumes) Do(ctx context.Context, c *Cloud, t *dag.Task) (KeptVolumes, error) {
	v := s.Volumes.Value()
	kept := KeptVolumes{v.Place, v.IDs}
	if len(v.IDs) == 0 {
		return kept, nil
	}
	at, err := c.at(ctx, v.Place)
	if err != nil {
		return KeptVolumes{}, err
	}
	if err := at.finish(ctx, v.IDs...); err != nil {
		return KeptVolumes{}, fault("keep "+list(v.IDs), "CreateTags", since(v.Made), err)
	}
	t.Say("%s: keeping %s, since delete_on_termination is false", v.Region, list(v.IDs))
	return kept, nil
}
