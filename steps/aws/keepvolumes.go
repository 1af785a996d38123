package aws

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
)

// KeepVolumes makes the volumes of a good build results of it.
type KeepVolumes struct {
	Volumes dag.Out[Volumes]    `json:"volumes"`
	Image   dag.Out[ReadyImage] `json:"image" key:"-"` // what only has to come first

	// Of volumes that are all that the build is for.
	Tags    []DeviceTags          `json:"tags,omitempty"`
	Without map[dag.Text]dag.Text `json:"without,omitempty"` // what they were tagged with while they were made
}

// DeviceTags are the tags of the volume that the instance has as a device.
type DeviceTags struct {
	Device string                `json:"device"`
	Tags   map[dag.Text]dag.Text `json:"tags"`
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
	if err := at.markFinished(ctx, v.IDs...); err != nil {
		return KeptVolumes{}, wrapAPI("keep "+list(v.IDs), "CreateTags", since(v.Made), err)
	}
	t.Say("%s: keeping %s, since delete_on_termination is false", v.Region, list(v.IDs))
	if err := s.tag(ctx, t, at); err != nil {
		return KeptVolumes{}, err
	}
	return kept, s.dropOthers(ctx, t, at)
}

// dropOthers deletes the volumes of machines that the build had before, and that ended by themselves: EC2 took them
// back, or somebody ended them, before it was known what they had.
func (s KeepVolumes) dropOthers(ctx context.Context, t *dag.Task, at *site) error {
	v := s.Volumes.Value()
	out, err := at.api.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{Filters: []types.Filter{
		filter("tag:"+TagRun, t.Run), filter("tag:"+TagBuild, clipTag(strings.Join(t.Builds, ","))), filter("status", "available")}})
	if err != nil {
		return wrapAPI("look for volumes of earlier machines", "DescribeVolumes", old, err)
	}
	for _, other := range out.Volumes {
		id := text(other.VolumeId)
		if slices.Contains(v.IDs, id) || tag(other.Tags, TagArtifact) != "" {
			continue
		}
		err := at.removeThing(ctx, "delete "+id, "DeleteVolume", v.Made, func() error {
			_, err := at.api.DeleteVolume(ctx, &ec2.DeleteVolumeInput{VolumeId: &id})
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// tag gives volumes the tags of finished ones; doing it twice is no error.
func (s KeepVolumes) tag(ctx context.Context, t *dag.Task, at *site) error {
	v := s.Volumes.Value()
	without, err := filledTags(t, "run_volume_tags", s.Without)
	if err != nil {
		return err
	}
	if len(without) > 0 {
		var drop []types.Tag
		for _, k := range slices.Sorted(maps.Keys(without)) {
			drop = append(drop, types.Tag{Key: &k})
		}
		if _, err := at.api.DeleteTags(ctx, &ec2.DeleteTagsInput{Resources: v.IDs, Tags: drop}); err != nil {
			return wrapAPI("untag "+list(v.IDs), "DeleteTags", since(v.Made), err)
		}
	}
	for _, d := range s.Tags {
		id, tags := v.Devices[d.Device], d.Tags
		own, err := filledTags(t, "tags of "+d.Device, tags)
		if err != nil {
			return err
		}
		call := "CreateTags"
		if exceedsTagLimit(tags) {
			call, err = at.markFinishedAtTagLimit(ctx, own, id)
		} else {
			err = at.setTags(ctx, own, id)
		}
		if err != nil {
			return wrapAPI("tag "+id, call, since(v.Made), err)
		}
	}
	return nil
}

// KeptVolumes stay in the user's account.
type KeptVolumes struct {
	Place
	IDs []string `json:"ids,omitempty"`
}

// Artifacts are the volumes.
func (v KeptVolumes) Artifacts() (list []steps.Artifact) {
	for _, id := range v.IDs {
		list = append(list, steps.Artifact{Kind: "volume", ID: id, Region: v.Region})
	}
	return list
}
