package aws

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
)

// Deregister removes the caller's own images of a name in a region, at the last moment before
// their successor takes it: EC2 has room for one, and renames none. What they are made of
// stays until that is there.
type Deregister struct {
	Place
	Name string `json:"name"`

	After dag.Out[Stopped]    `json:"after"` // of the region of the build: the instance can be imaged,
	Ready dag.Out[ReadyImage] `json:"ready"` // of others: the image can be copied

	// What the successor will be asked for with.
	Tags         map[dag.Text]dag.Text `json:"tags,omitempty" key:"-"`
	SnapshotTags map[dag.Text]dag.Text `json:"snapshot_tags,omitempty" key:"-"`
	Encrypt      Encrypt               `json:"encrypt,omitzero" key:"-"` // of a copy
}

// Deregistered lists the images that have gone, and what they are made of.
type Deregistered struct {
	Place
	IDs       []string `json:"ids,omitempty"`
	Snapshots []string `json:"snapshots,omitempty"`
}

// madeOf is the name under which the step keeps the snapshots of what it has removed.
const madeOf = "snapshots"

func (Deregister) Kind() string { return "aws.deregister" }
func (s Deregister) Title() string {
	return "deregister older images called " + s.Name + " in " + s.Region
}

// Do removes what is there; a repeated call finds less to do. An image of this
// very run is its result and stays.
func (s Deregister) Do(ctx context.Context, c *Cloud, t *dag.Task) (Deregistered, error) {
	d := Deregistered{Place: s.Place}
	at, err := c.at(ctx, s.Place)
	if err != nil {
		return d, err
	}
	out, err := at.api.DescribeImages(ctx, &ec2.DescribeImagesInput{Owners: []string{"self"}, Filters: []types.Filter{filter("name", s.Name)}, IncludeDeprecated: ptr(true)})
	if err != nil {
		return d, wrapAPI("look for images called "+s.Name, "DescribeImages", old, err)
	}
	if _, err := t.Load(madeOf, &d.Snapshots); err != nil {
		return d, err
	}
	for _, i := range out.Images {
		if text(i.Name) != s.Name || tag(i.Tags, TagRun) == t.Run {
			continue
		}
		d.IDs = append(d.IDs, *i.ImageId)
		for _, id := range snapshots(i) {
			if !slices.Contains(d.Snapshots, id) {
				d.Snapshots = append(d.Snapshots, id)
			}
		}
	}
	if len(d.IDs) == 0 {
		return d, nil
	}
	if err := s.rehearse(ctx, c, t, at); err != nil {
		return Deregistered{}, err
	}
	if err := t.Save(madeOf, d.Snapshots); err != nil { // nobody can tell once the images have gone
		return d, err
	}
	for _, id := range d.IDs {
		t.Say("deregistering %s (%s) in %s", id, s.Name, s.Region)
		if err := at.deregister(ctx, id, time.Time{}); err != nil {
			return d, err
		}
	}
	return d, nil
}

// missed says of the failure of a successor what has given way to it, and what is left of that.
func missed(older dag.Out[Deregistered], err error) error {
	if !older.Set() || len(older.Value().IDs) == 0 {
		return err
	}
	d := older.Value()
	return fmt.Errorf("%w; to free the name %s was deregistered in %s, and what it was made of is kept: resume, or register an image of %s", err, list(d.IDs), d.Region, list(d.Snapshots))
}

// rehearse asks EC2 whether it would let the successor be made, so that who may not make it loses
// nothing. Whatever else a dry run says is no answer to that: the name is taken still.
func (s Deregister) rehearse(ctx context.Context, c *Cloud, t *dag.Task, at *site) error {
	_, specs, err := c.words(t, "", s.Tags, s.SnapshotTags)
	if err != nil {
		return err
	}
	call := "CreateImage"
	if s.Ready.Set() {
		of := s.Ready.Value()
		in := &ec2.CopyImageInput{DryRun: ptr(true), Name: &s.Name, SourceImageId: &of.ID, SourceRegion: &of.Region, TagSpecifications: specs}
		if s.Encrypt.All {
			in.Encrypted, in.KmsKeyId = ptr(true), optional(s.Encrypt.Key)
		}
		call = "CopyImage"
		_, err = at.api.CopyImage(ctx, in)
	} else {
		id := s.After.Value().ID
		_, err = at.api.CreateImage(ctx, &ec2.CreateImageInput{DryRun: ptr(true), Name: &s.Name, InstanceId: &id, TagSpecifications: specs})
	}
	if err != nil && classify(call, 0, err).class == unauthorized {
		return wrapAPI("replace the images called "+s.Name+" in "+s.Region+", which stay", call, 0, err)
	}
	return nil
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
