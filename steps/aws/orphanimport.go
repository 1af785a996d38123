package aws

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// abandonedImports are those of some import tasks, by id, that have still something of which
// nothing else tells: they are active, or their image has no tags of ours yet. An
// image that has is found, or a result, by itself.
func (s *site) abandonedImports(ctx context.Context, ids []string) (map[string]bool, error) {
	found, err := s.listImports(ctx, ids)
	if err != nil {
		return nil, wrapAPI("look for import tasks", "DescribeImportImageTasks", old, err)
	}
	left, of := map[string]bool{}, map[string]string{} // tasks, by image
	for id, i := range found {
		if left[id] = text(i.Status) == importActive; text(i.ImageId) != "" {
			of[*i.ImageId] = id
		}
	}
	var images []string
	for image := range of {
		images = append(images, image)
	}
	if len(images) == 0 {
		return left, nil
	}
	made, err := s.listImages(ctx, images)
	if err != nil {
		return nil, wrapAPI("look for images", "DescribeImages", old, err)
	}
	for image, m := range made {
		left[of[image]] = m.State != types.ImageStateDeregistered && tag(m.Tags, TagRun) == ""
	}
	return left, nil
}

// removeAbandonedImport cancels the import of a lost run, or removes its image, and then the
// object that it was made of, if the run has made that, too.
func (c *Cloud) removeAbandonedImport(ctx context.Context, s *site, o Orphan) error {
	found, err := s.listImports(ctx, []string{o.ID})
	if err != nil {
		return wrapAPI("look for "+o.ID, "DescribeImportImageTasks", old, err)
	}
	if err := s.removeImport(ctx, ImportTask{Place: o.Place, ID: o.ID, Token: o.Token}); err != nil {
		return err
	}
	for _, d := range found[o.ID].SnapshotDetails {
		if d.UserBucket == nil {
			continue
		}
		disk := Object{Place: o.Place, Bucket: text(d.UserBucket.S3Bucket), Object: text(d.UserBucket.S3Key)}
		switch token, err := disk.carries(ctx, c); {
		case err != nil && classify("HeadObject", old, err).class != notFound:
			return wrapAPI("look for "+disk.where(), "HeadObject", old, err)
		case err != nil || !strings.HasPrefix(token, "imgflow-"+o.Run+"-"):
			continue // it is gone, or somebody else's
		}
		if err := disk.remove(ctx, c); err != nil {
			return err
		}
	}
	return nil
}
