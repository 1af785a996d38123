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
// scaffolding like the instance, with whose end those go that were not found.
type FindVolumes struct {
	Instance dag.Out[Instance]      `json:"instance"`
	Running  dag.Out[comm.Endpoint] `json:"running" key:"-"` // what only has to come first
	Swap     string                 `json:"swap,omitempty"`  // those that change places in its stead: the root and the volume that is this device
}

// Volumes are those of an instance that outlive it.
type Volumes struct {
	Place
	IDs     []string          `json:"ids,omitempty"`
	Devices map[string]string `json:"devices,omitempty"` // ids by device
	Root    string            `json:"root,omitempty"`    // the device of the root, of volumes that change places
	Made    time.Time         `json:"made"`
}

func (FindVolumes) Kind() string { return "aws.volumes" }
func (FindVolumes) Common()      {}
func (s FindVolumes) Title() string {
	if s.Swap != "" {
		return "find the volumes that change places"
	}
	return "find the volumes to be kept"
}

// Do claims volumes that the launch has made.
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
	if s.Swap != "" {
		return v.swapped(i, s.Swap), nil
	}
	for _, d := range i.BlockDeviceMappings {
		if d.Ebs != nil && d.Ebs.DeleteOnTermination != nil && !*d.Ebs.DeleteOnTermination && text(d.Ebs.VolumeId) != "" {
			v.IDs = append(v.IDs, *d.Ebs.VolumeId)
			v.Devices[text(d.DeviceName)] = *d.Ebs.VolumeId
		}
	}
	if len(v.IDs) > 0 {
		err = at.claim(ctx, t, v.IDs)
	}
	return v, err
}

// claim gives volumes the token of the step that found them, in the place of the launch's. They have just been
// shown, which not every part of EC2 need know yet.
func (s *site) claim(ctx context.Context, t *dag.Task, ids []string) error {
	_, err := untilVisible(ctx, s.window, func() (none struct{}, err error) {
		return none, wrapAPI("claim "+list(ids), "CreateTags", old, s.setTags(ctx, map[string]string{TagToken: t.Token}, ids...))
	})
	return err
}

// swapped are the root of an instance and the volume that is a device: what EC2 has let go of once, it does not
// remove with the instance. What the template has outlive it is not among them.
func (v Volumes) swapped(i types.Instance, device string) Volumes {
	v.Root = text(i.RootDeviceName)
	for _, d := range i.BlockDeviceMappings {
		name := text(d.DeviceName)
		if d.Ebs == nil || name != v.Root && name != device {
			continue
		}
		v.Devices[name] = text(d.Ebs.VolumeId)
		if d.Ebs.DeleteOnTermination == nil || *d.Ebs.DeleteOnTermination {
			v.IDs = append(v.IDs, text(d.Ebs.VolumeId))
		}
	}
	return v
}

// Find looks for the volumes by their ids, or for those that the step has claimed.
func (v Volumes) Find(ctx context.Context, c *Cloud, t *dag.Task) (Volumes, error) {
	if len(v.IDs) == 0 {
		return findAnywhere(ctx, c, v.Place, func(s *site) (Volumes, error) { return s.claimed(ctx, t) })
	}
	at, err := c.at(ctx, v.Place)
	if err != nil {
		return v, err
	}
	found, err := at.volumes(ctx, filter("volume-id", v.IDs...))
	if err != nil {
		return v, err
	}
	var others []string // of an earlier version, which has claimed none
	for _, f := range found {
		if token := tag(f.Tags, TagToken); token != "" && token != t.Token {
			others = append(others, text(f.VolumeId))
		}
	}
	if len(others) > 0 {
		err = at.claim(ctx, t, others)
	}
	return v, err
}

// claimed are the volumes with the token of a task.
func (s *site) claimed(ctx context.Context, t *dag.Task) (Volumes, error) {
	v := Volumes{Place: s.Place, Devices: map[string]string{}}
	found, err := s.volumes(ctx, byToken(t))
	for _, f := range found {
		v.IDs = append(v.IDs, text(f.VolumeId))
		for _, a := range f.Attachments {
			v.Devices[text(a.Device)] = text(f.VolumeId)
		}
		if f.CreateTime != nil {
			v.Made = *f.CreateTime
		}
	}
	return v, err
}

// volumes are those that a filter hits, of which there must be one.
func (s *site) volumes(ctx context.Context, of types.Filter) ([]types.Volume, error) {
	out, err := s.api.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{Filters: []types.Filter{of}})
	if err != nil {
		return nil, wrapAPI("look for volumes", "DescribeVolumes", old, err)
	}
	if len(out.Volumes) == 0 {
		return nil, dag.ErrNotFound
	}
	return out.Volumes, nil
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
