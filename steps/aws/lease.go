package aws

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/internal/sleep"
)

// Leases and orphans.
//
// What is made carries the end of its lease, an hour from its making.
// [Cloud.KeepLease] renews the leases of a run while a process drives it.
// [Cloud.Orphans] lists by tags alone what has no valid lease, without any local
// state; the lease of a run is that of the thing of it that was renewed last, so
// nothing of a run in progress is an orphan. ImageReady tags a finished image and
// its snapshots as [TagArtifact], with the time, and has their lease end never: they
// are results. A search for artifacts takes them for abandoned, at the soonest, a lease
// after that time.

// KeepLease renews the lease of everything of a run that began at a time and is
// not a finished result, in every place that the process works in, until ctx ends.
// What a run makes has a lease from its making on, so a young one has nothing to
// renew yet. Of several processes that drive the run those to which a site does not belong
// ([Shared.Share]) renew there a quarter as often: the one to which it does may have nothing to do with
// the run for a while. A renewal that fails is tried again at the next one: a lease outlasts
// many of them.
func (c *Cloud) KeepLease(ctx context.Context, run string, began time.Time) {
	every := c.o.Lease / 12
	last := map[Place]time.Time{}
	for sleep.For(ctx, min(every, time.Until(began.Add(every)))); ctx.Err() == nil; sleep.For(ctx, every) {
		c.mu.Lock()
		known := slices.Clone(c.known)
		c.mu.Unlock()
		for _, p := range known {
			if _, ok := last[p]; !ok {
				last[p] = began
			}
			if !c.o.Shared.owns(c.siteAt(p)) && time.Since(last[p]) < 4*every {
				continue
			}
			last[p] = time.Now()
			if s, err := c.at(ctx, p); err == nil {
				s.renewBy(ctx, run, c.expires)
			}
		}
	}
}

// renew moves the end of the lease of a run's things. One call names many; what
// has just gone must not cost the others their lease, so it is left out then.
func (s *site) renew(ctx context.Context, run, expires string) error {
	return s.renewBy(ctx, run, func(time.Time) string { return expires })
}

// renewBy makes the end of the lease from the time of the cloud, which it knows
// once the cloud has answered.
func (s *site) renewBy(ctx context.Context, run string, end func(now time.Time) string) error {
	tags, err := s.tagsOf(ctx, filter("key", TagRun), filter("value", run))
	if err != nil {
		return err
	}
	var ids, results, unfinished []string
	for id, l := range tags {
		switch l.kind {
		case types.ResourceTypeNetworkInterface: // goes with its instance
		case types.ResourceTypeImage, types.ResourceTypeSnapshot, types.ResourceTypeVolume:
			results = append(results, id)
		default:
			ids = append(ids, id)
		}
	}
	finished := func(batch []string) (map[string]*labels, error) {
		return s.tagsOf(ctx, filter("key", TagArtifact), filter("resource-id", batch...))
	}
	for batch := range slices.Chunk(results, 200) {
		done, err := finished(batch)
		if err != nil {
			return err
		}
		unfinished = append(unfinished, slices.DeleteFunc(batch, func(id string) bool { return done[id] != nil })...)
	}
	ids = append(ids, unfinished...)
	slices.Sort(ids)
	m := map[string]string{TagExpires: end(s.clock.now())}
	for batch := range slices.Chunk(ids, 500) {
		if e := s.tagEach(ctx, m, batch); e != nil {
			err = e
		}
	}
	// What was finished meanwhile has a lease again, which nobody would end.
	for batch := range slices.Chunk(unfinished, 200) {
		done, e := finished(batch)
		if e == nil && len(done) > 0 {
			e = s.markFinished(ctx, slices.Collect(maps.Keys(done))...)
		}
		err = errors.Join(err, e)
	}
	return err
}

// tagEach puts tags on all that take them. What does not is sought by halves.
func (s *site) tagEach(ctx context.Context, m map[string]string, ids []string) error {
	err := s.setTags(ctx, m, ids...)
	if err == nil || len(ids) == 1 || isTransient(err) {
		return err
	}
	return errors.Join(s.tagEach(ctx, m, ids[:len(ids)/2]), s.tagEach(ctx, m, ids[len(ids)/2:]))
}

// labels are the tags of one resource.
type labels struct {
	kind types.ResourceType
	tags map[string]string
}

// tagsOf lists resources of every type by their tags alone.
func (s *site) tagsOf(ctx context.Context, fs ...types.Filter) (map[string]*labels, error) {
	all := map[string]*labels{}
	ctx = ofPages(ctx, 128<<20, 250_000)
	for in := (&ec2.DescribeTagsInput{Filters: fs}); ; {
		page, err := s.api.DescribeTags(ctx, in)
		if err != nil {
			return nil, wrapAPI("list tags", "DescribeTags", old, err)
		}
		for _, t := range page.Tags {
			id := text(t.ResourceId)
			if max(len(id), len(text(t.Key)), len(text(t.Value))) > 256 {
				continue // EC2 has none of that length
			}
			if all[id] == nil {
				all[id] = &labels{kind: t.ResourceType, tags: map[string]string{}}
			}
			all[id].tags[text(t.Key)] = text(t.Value)
		}
		if in.NextToken = page.NextToken; text(in.NextToken) == "" {
			return all, nil
		}
	}
}
