package aws

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/sleep"
)

// Orphan is something that a run has made and that nobody seems to need.
type Orphan struct {
	Place
	Type    string    `json:"type"` // instance, volume, import-image-task, image, snapshot, key-pair, security-group, instance-profile, role
	ID      string    `json:"id"`
	Run     string    `json:"run"`
	Build   string    `json:"build,omitempty"`
	Expires time.Time `json:"expires,omitzero"` // end of the run's lease
	// Artifact says that it is a finished image or a snapshot of one.
	Artifact bool   `json:"artifact,omitempty"`
	Token    string `json:"token,omitempty"`
}

// OrphanFilter says what counts as an orphan.
type OrphanFilter struct {
	Regions []string
	// OlderThan takes runs, too, whose lease still holds but was not renewed for
	// that long. Nil takes only runs whose lease has ended.
	OlderThan *time.Duration
	// Driven reports whether a process on this machine drives the run; its things
	// are never orphans. Nil knows none.
	Driven func(run string) bool
	// Artifacts takes finished images and their snapshots, too.
	Artifacts bool
}

// removal is the order in which orphans can go.
var removal = []types.ResourceType{types.ResourceTypeInstance, types.ResourceTypeVolume, types.ResourceTypeImportImageTask, types.ResourceTypeImage,
	types.ResourceTypeSnapshot, types.ResourceTypeKeyPair, types.ResourceTypeSecurityGroup, typeProfile, typeRole}

// What is of IAM, whose tags EC2 does not list.
const (
	typeProfile types.ResourceType = "instance-profile"
	typeRole    types.ResourceType = "role"
)

// Orphans lists what nobody needs, by tags alone, in the order in which it can
// be removed. A lease is that of the whole run: while one of its things is
// renewed, all of them are in use. Listings lag, so it lists, waits and lists
// again. Regions that fail do not hide the orphans of the others.
func (c *Cloud) Orphans(ctx context.Context, h OrphanFilter) (found []Orphan, err error) {
	var errs []error
	for _, region := range h.Regions {
		for _, account := range c.accountNames() {
			s, err := c.at(ctx, Place{account, region})
			if err == nil {
				var os []Orphan
				os, err = c.search(ctx, s, h)
				found = append(found, os...)
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("cannot list what is left in %s: %w", region, err))
			}
		}
	}
	slices.SortStableFunc(found, func(a, b Orphan) int {
		return cmp.Or(cmp.Compare(slices.Index(removal, types.ResourceType(a.Type)), slices.Index(removal, types.ResourceType(b.Type))),
			cmp.Compare(a.Region, b.Region), cmp.Compare(a.ID, b.ID))
	})
	return found, errors.Join(errs...)
}

func (c *Cloud) search(ctx context.Context, s *site, h OrphanFilter) (found []Orphan, err error) {
	keys := filter("key", TagRun, TagBuild, TagToken, TagExpires, TagArtifact)
	all := map[string]*labels{}
	var iamErr error
	driven := map[string]bool{} // at either look: a run that ends in between has left nothing
	for look := range 2 {
		if look > 0 {
			if err := sleep.For(ctx, c.o.ConsistencyWindow); err != nil {
				return nil, err
			}
		}
		more, err := s.tagsOf(ctx, keys)
		if err != nil {
			return nil, err
		}
		maps.Copy(all, more)
		if iamErr == nil { // which may be out of reach where EC2 is not
			more, iamErr = c.iamLabels(ctx, s.Place)
			maps.Copy(all, more)
		}
		for _, l := range all {
			if run := l.tags[TagRun]; h.Driven != nil && !driven[run] && h.Driven(run) {
				driven[run] = true
			}
		}
	}
	maps.DeleteFunc(all, func(_ string, l *labels) bool {
		return l.tags[TagRun] == "" || l.kind == types.ResourceTypeVolume && l.tags[TagArtifact] != "" || !slices.Contains(removal, l.kind)
	})
	ends := map[string]time.Time{}
	for _, l := range all {
		at, err := time.Parse(time.RFC3339, l.tags[TagExpires])
		if done, e := time.Parse(time.RFC3339, l.tags[TagArtifact]); e == nil {
			at, err = done.Add(c.o.Lease), nil // as if the lease had been renewed for the last time then
		}
		if err == nil && at.After(ends[l.tags[TagRun]]) {
			ends[l.tags[TagRun]] = at
		}
	}
	for id, l := range all {
		run := l.tags[TagRun]
		o := Orphan{Place: s.Place, Type: string(l.kind), ID: id, Run: run, Build: l.tags[TagBuild],
			Expires: ends[run], Artifact: l.tags[TagArtifact] != "", Token: l.tags[TagToken]}
		if !driven[run] && c.orphaned(o, h, s.clock.now()) {
			found = append(found, o)
		}
	}
	found, err = s.present(ctx, found)
	return found, errors.Join(err, iamErr)
}

// orphaned decides by the lease of the run, at a time of the cloud.
func (c *Cloud) orphaned(o Orphan, h OrphanFilter, now time.Time) bool {
	if o.Artifact && !h.Artifacts {
		return false
	}
	if h.OlderThan != nil && now.Sub(o.Expires.Add(-c.o.Lease-time.Minute)) >= *h.OlderThan {
		return true
	}
	return now.After(o.Expires)
}

// present drops what tags still show though it is gone, the volumes that go with their
// instance, and the imports that have left nothing but an image with tags of its own.
func (s *site) present(ctx context.Context, os []Orphan) ([]Orphan, error) {
	ids := func(k types.ResourceType) (ids []string) {
		for _, o := range os {
			if o.Type == string(k) {
				ids = append(ids, o.ID)
			}
		}
		return ids
	}
	gone := map[string]bool{}
	for batch := range slices.Chunk(ids(types.ResourceTypeInstance), 200) {
		for _, id := range batch {
			gone[id] = true
		}
		found, err := s.describeInstances(ctx, filter("instance-id", batch...))
		if err != nil {
			return nil, wrapAPI("look for instances", "DescribeInstances", old, err)
		}
		for _, i := range found {
			gone[text(i.InstanceId)] = i.State.Name == types.InstanceStateNameTerminated || i.State.Name == types.InstanceStateNameShuttingDown
		}
	}
	for batch := range slices.Chunk(ids(types.ResourceTypeVolume), 200) {
		for _, id := range batch {
			gone[id] = true
		}
		out, err := s.api.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{Filters: []types.Filter{filter("volume-id", batch...)}})
		if err != nil {
			return nil, wrapAPI("look for volumes", "DescribeVolumes", old, err)
		}
		for _, v := range out.Volumes {
			gone[text(v.VolumeId)] = slices.ContainsFunc(v.Attachments, func(a types.VolumeAttachment) bool {
				return a.DeleteOnTermination != nil && *a.DeleteOnTermination
			})
		}
	}
	for batch := range slices.Chunk(ids(types.ResourceTypeImportImageTask), 200) {
		left, err := s.abandonedImports(ctx, batch)
		if err != nil {
			return nil, err
		}
		for _, id := range batch {
			gone[id] = !left[id]
		}
	}
	return slices.DeleteFunc(os, func(o Orphan) bool { return gone[o.ID] }), nil
}

// Remove removes an orphan and returns when it is gone. It may be called again
// for what is gone already. While something else still uses it, it waits up to
// three minutes.
func (c *Cloud) Remove(ctx context.Context, o Orphan) error {
	s, err := c.at(ctx, o.Place)
	if err != nil {
		return err
	}
	for start, wait := time.Now(), time.Second; ; wait = min(2*wait, 15*time.Second) {
		err := c.removeOrphan(ctx, s, o)
		var again *dag.RetryError
		if !errors.As(err, &again) || time.Since(start) > 3*time.Minute {
			return err
		}
		if e := sleep.For(ctx, wait); e != nil {
			return err
		}
	}
}

// others are the snapshots of an image that its run has not made, as their tags say.
func (s *site) others(ctx context.Context, o Orphan) ([]string, error) {
	found, err := s.listImages(ctx, []string{o.ID})
	if err != nil {
		return nil, wrapAPI("look for "+o.ID, "DescribeImages", old, err)
	}
	ids := snapshots(found[o.ID])
	if len(ids) == 0 {
		return nil, nil
	}
	out, err := s.api.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, Filters: []types.Filter{filter("snapshot-id", ids...), filter("tag:"+TagRun, o.Run)}})
	if err != nil {
		return nil, wrapAPI("look for the snapshots of "+o.ID, "DescribeSnapshots", old, err)
	}
	for _, own := range out.Snapshots {
		ids = slices.DeleteFunc(ids, func(id string) bool { return id == text(own.SnapshotId) })
	}
	return ids, nil
}

func (c *Cloud) removeOrphan(ctx context.Context, s *site, o Orphan) error {
	switch types.ResourceType(o.Type) {
	case types.ResourceTypeImportImageTask:
		return c.removeAbandonedImport(ctx, s, o)
	case types.ResourceTypeInstance:
		ending, err := s.terminate(ctx, o.ID, time.Time{})
		if err != nil || !ending {
			return err
		}
		return s.until(ctx, nil, o.ID, terminated)
	case types.ResourceTypeVolume:
		_, err := s.api.DeleteVolume(ctx, &ec2.DeleteVolumeInput{VolumeId: &o.ID})
		return gone("delete "+o.ID, "DeleteVolume", err)
	case types.ResourceTypeImage:
		others, err := s.others(ctx, o)
		if err != nil {
			return err
		}
		return s.removeImage(ctx, Image{ID: o.ID, Token: o.Token, Others: others})
	case types.ResourceTypeSnapshot:
		return s.deleteSnapshots(ctx, []string{o.ID}, time.Time{})
	case types.ResourceTypeKeyPair:
		_, err := s.api.DeleteKeyPair(ctx, &ec2.DeleteKeyPairInput{KeyPairId: &o.ID})
		return gone("delete "+o.ID, "DeleteKeyPair", err)
	case types.ResourceTypeSecurityGroup:
		_, err := s.api.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: &o.ID})
		return gone("delete "+o.ID, "DeleteSecurityGroup", err)
	case typeProfile:
		return c.removeProfile(ctx, TemporaryProfile{Place: o.Place, Name: o.ID})
	case typeRole:
		return c.removeRole(ctx, TemporaryRole{Place: o.Place, Name: o.ID})
	}
	return fmt.Errorf("cannot remove %s: imgflow makes nothing of the type %s", o.ID, o.Type)
}
