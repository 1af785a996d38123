package aws

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
)

// ImportImage has EC2 make an image of a disk in a bucket.
type ImportImage struct {
	Place
	Object dag.Out[Object] `json:"object" dag:"attach"`
	ImportOptions
	Description dag.Text `json:"description,omitempty"`
}

// ImportTask is an import that is under way or has been, and the image that it has made.
type ImportTask struct {
	Place
	ID    string    `json:"id"`
	Token string    `json:"token"` // its image carries it, too, once it was seen
	Made  time.Time `json:"made"`
}

// States of an import task.
const (
	importActive    = "active"
	importCompleted = "completed"
)

func (ImportImage) Kind() string  { return "aws.import" }
func (ImportImage) Title() string { return "import the disk" }

// Do asks for the import and does not wait for it; its client token makes a repeated call
// give back the same task.
func (s ImportImage) Do(ctx context.Context, c *Cloud, t *dag.Task) (ImportTask, error) {
	of := s.Object.Value()
	at, err := c.at(ctx, s.Place)
	if err != nil {
		return ImportTask{}, err
	}
	description, err := filled(t, "ami_description", s.Description)
	if err != nil {
		return ImportTask{}, err
	}
	in := &ec2.ImportImageInput{
		ClientToken: ptr(clientToken(t.Token, 0)), Description: optional(description), Architecture: optional(s.Architecture), Platform: optional(s.Platform),
		LicenseType: optional(s.LicenseType), RoleName: optional(s.RoleName), BootMode: types.BootModeValues(s.BootMode),
		DiskContainers:    []types.ImageDiskContainer{{Format: &of.Format, UserBucket: &types.UserBucket{S3Bucket: &of.Bucket, S3Key: &of.Object}}},
		TagSpecifications: tagged(c.tags(t, nil), types.ResourceTypeImportImageTask),
	}
	if s.Encrypt {
		in.Encrypted, in.KmsKeyId = ptr(true), optional(s.KMSKey)
	}
	t.Say("importing %s", of.where())
	out, err := at.api.ImportImage(ctx, in)
	if err != nil {
		return ImportTask{}, asNotMade("import "+of.where(), "ImportImage", 0, err)
	}
	t.Say("import task %s", text(out.ImportTaskId))
	return ImportTask{s.Place, text(out.ImportTaskId), t.Token, now()}, nil
}

// describeImports shows import tasks by id, or all that there are.
func (s *site) describeImports(ctx context.Context, ids ...string) (all []types.ImportImageTask, err error) {
	ctx = ofPages(ctx, 32<<20, 20_000)
	for in := (&ec2.DescribeImportImageTasksInput{ImportTaskIds: ids}); ; {
		page, err := s.api.DescribeImportImageTasks(ctx, in)
		if err != nil {
			return nil, err
		}
		all = append(all, page.ImportImageTasks...)
		if in.NextToken = page.NextToken; text(in.NextToken) == "" {
			return all, nil
		}
	}
}

// listImports shows import tasks by id. One that is unknown fails a call that names it, so
// they are asked for one by one then.
func (s *site) listImports(ctx context.Context, ids []string) (map[string]types.ImportImageTask, error) {
	list, err := s.describeImports(ctx, ids...)
	m := map[string]types.ImportImageTask{}
	switch {
	case err == nil:
		for _, i := range list {
			m[*i.ImportTaskId] = i
		}
		return m, nil
	case classify("DescribeImportImageTasks", old, err).class != notFound:
		return nil, err
	case len(ids) == 1:
		return m, nil
	}
	for _, id := range ids {
		one, err := s.listImports(ctx, []string{id})
		if err != nil {
			return nil, err
		}
		for id, i := range one {
			m[id] = i
		}
	}
	return m, nil
}

// sizeOfImport is what the time of an import depends on: how large its disk is, in steps of
// 4 GiB.
func sizeOfImport(i types.ImportImageTask) string {
	sum := 0.0
	for _, d := range i.SnapshotDetails {
		if d.DiskImageSize != nil {
			sum += *d.DiskImageSize
		}
	}
	if sum <= 0 {
		return ""
	}
	return fmt.Sprintf("%d GiB", 4*(1+int64(sum)>>32))
}

// percent is how far an import is; "" is 0.
func percent(i types.ImportImageTask) int64 {
	n, _ := strconv.ParseInt(strings.TrimSuffix(text(i.Progress), "%"), 10, 64)
	return max(0, min(n, 100))
}

// Find looks for the task by its id or by its token, and for its image where the task is
// not told of any more.
func (i ImportTask) Find(ctx context.Context, c *Cloud, t *dag.Task) (ImportTask, error) {
	return findAnywhere(ctx, c, i.Place, func(s *site) (ImportTask, error) {
		return untilVisible(ctx, s.window, func() (ImportTask, error) {
			if i.ID == "" {
				return s.importOf(ctx, t)
			}
			_, _, err := s.imported(ctx, i)
			return i, err
		})
	})
}

// importOf is the task that a step has begun and that has not failed.
func (s *site) importOf(ctx context.Context, t *dag.Task) (ImportTask, error) {
	list, err := s.describeImports(ctx)
	if err != nil {
		return ImportTask{}, wrapAPI("look for the import", "DescribeImportImageTasks", old, err)
	}
	for _, i := range list {
		if tag(i.Tags, TagToken) != t.Token {
			continue
		}
		found := ImportTask{s.Place, text(i.ImportTaskId), t.Token, now()}
		if _, _, err := s.imported(ctx, found); !errors.Is(err, dag.ErrNotFound) {
			return found, err
		}
	}
	return ImportTask{}, dag.ErrNotFound
}

// imported tells whether a task is active, and which image it has made. Neither is
// dag.ErrNotFound.
func (s *site) imported(ctx context.Context, i ImportTask) (active bool, image string, err error) {
	found, err := s.listImports(ctx, []string{i.ID})
	if err != nil {
		return false, "", wrapAPI("look for "+i.ID, "DescribeImportImageTasks", old, err)
	}
	task, ok := found[i.ID]
	switch {
	case !ok: // AWS tells of tasks for some days
		images, err := s.api.DescribeImages(ctx, &ec2.DescribeImagesInput{Owners: []string{"self"}, Filters: []types.Filter{filter("tag:"+TagToken, i.Token)}, IncludeDeprecated: ptr(true)})
		if err != nil {
			return false, "", wrapAPI("look for the image of "+i.ID, "DescribeImages", old, err)
		}
		for _, m := range images.Images {
			return false, *m.ImageId, nil
		}
	case text(task.Status) == importActive:
		return true, "", nil
	case text(task.ImageId) != "":
		images, err := s.listImages(ctx, []string{*task.ImageId})
		if err != nil {
			return false, "", wrapAPI("look for "+*task.ImageId, "DescribeImages", old, err)
		}
		if m, ok := images[*task.ImageId]; ok && m.State != types.ImageStateDeregistered {
			return false, *task.ImageId, nil
		}
	}
	return false, "", dag.ErrNotFound
}

// Undo cancels the import, or removes the image that it has made.
func (i ImportTask) Undo(ctx context.Context, c *Cloud, t *dag.Task) error {
	i, err := withID(ctx, c, t, i, i.ID)
	if err != nil {
		return err
	}
	at, err := c.at(ctx, i.Place)
	if err != nil {
		return err
	}
	return at.removeImport(ctx, i)
}

func (s *site) removeImport(ctx context.Context, i ImportTask) error {
	active, image, err := s.imported(ctx, i)
	switch {
	case errors.Is(err, dag.ErrNotFound):
		return nil
	case err != nil:
		return err
	case image != "":
		return s.removeImage(ctx, Image{ID: image, Token: i.Token, Made: i.Made})
	case !active:
		return nil
	}
	_, err = s.api.CancelImportTask(ctx, &ec2.CancelImportTaskInput{ImportTaskId: &i.ID})
	if err != nil && classify("CancelImportTask", old, err).class != alreadyExists {
		return gone("cancel "+i.ID, "CancelImportTask", err)
	}
	switch active, image, err = s.imported(ctx, i); {
	case errors.Is(err, dag.ErrNotFound):
		return nil
	case image != "": // it has come to its end before
		return s.removeImage(ctx, Image{ID: image, Token: i.Token, Made: i.Made})
	case active:
		return dag.Retry(fmt.Errorf("cannot remove %s yet: it is being cancelled", i.ID), 5*time.Second)
	}
	return err
}

// Label is where the task is, too.
func (i ImportTask) Label() string { return "import task " + i.ID + " in " + i.Region }
