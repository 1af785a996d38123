package aws

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
)

// WaitImport waits until EC2 has made an image of a disk. From then on the object is not
// needed.
type WaitImport struct {
	Task dag.Out[ImportTask] `json:"task" dag:"detach"`
}

// Imported is the image that an import has made.
type Imported struct {
	Place
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Snapshots []string  `json:"snapshots,omitempty"`
	Made      time.Time `json:"made"`
}

func (WaitImport) Kind() string  { return "aws.imported" }
func (WaitImport) Title() string { return "wait until the disk is imported" }

// Do has no deadline: as long as AWS says that the import is active, it is. It tags the
// image and its snapshots, by which they are found when AWS tells of the task no more.
func (s WaitImport) Do(ctx context.Context, c *Cloud, t *dag.Task) (Imported, error) {
	in := s.Task.Value()
	at, err := c.at(ctx, in.Place)
	if err != nil {
		return Imported{}, err
	}
	t.Say("waiting until %s is completed", in.ID)
	said := ""
	task, err := at.imports.wait(ctx, t, in.ID, untilImported.since(in.Made), func(i types.ImportImageTask) (bool, error) {
		switch state := text(i.Status); {
		case state == importActive:
			if told := text(i.StatusMessage); told != said && told != "" {
				said = told
				t.Detail("%s is %s", in.ID, clip(told, 200))
			}
			t.Progress(percent(i), 100, "%")
			return false, nil
		case state == importCompleted && text(i.ImageId) != "":
			return true, nil
		default:
			return false, failedImport(in.ID, state, text(i.StatusMessage))
		}
	})
	switch {
	case errors.Is(err, dag.ErrNotFound):
		return Imported{}, fmt.Errorf("cannot wait for %s: the import task does not exist any more", in.ID)
	case isCall(err):
		return Imported{}, wrapAPI("wait for "+in.ID, "DescribeImportImageTasks", old, err)
	case err != nil:
		return Imported{}, err
	}
	return at.adopt(ctx, c, t, in, *task.ImageId)
}

// failedImport words what AWS says of a task that came to a bad end.
func failedImport(id, state, why string) error {
	advice := "look at the disk, its format and the options of the import"
	switch low := strings.ToLower(why); {
	case why == "":
		why = "AWS gives no reason"
	case strings.Contains(low, "format"):
		advice = "look at format, which has to be that of the file: a vmdk has to be stream-optimized, a vhd fixed or dynamic"
	case strings.Contains(low, "access"), strings.Contains(low, "permission"):
		advice = "the role that role_name names, vmimport by default, has to be allowed to read the bucket"
	case strings.Contains(low, "boot"), strings.Contains(low, "uefi"):
		advice = "look at boot_mode, architecture and platform"
	case strings.Contains(low, "kernel"), strings.Contains(low, "operating system"), strings.Contains(low, "os "):
		advice = "VM Import takes only some systems and kernels; its user guide lists them"
	case strings.Contains(low, "cancel"):
		advice = "resume begins it again"
	}
	return fmt.Errorf("cannot import the disk: %s is %s: %s (%s)", id, clip(state, 40), strings.TrimSuffix(clip(why, 400), "."), advice)
}

// adopt finds the image of a task and tags it as what the task has made.
func (s *site) adopt(ctx context.Context, c *Cloud, t *dag.Task, in ImportTask, id string) (Imported, error) {
	found, err := untilVisible(ctx, s.window, func() (types.Image, error) {
		m, err := s.listImages(ctx, []string{id})
		if err != nil {
			return types.Image{}, wrapAPI("look for "+id, "DescribeImages", old, err)
		}
		if _, ok := m[id]; !ok {
			return types.Image{}, dag.ErrNotFound
		}
		return m[id], nil
	})
	if err != nil {
		return Imported{}, errors.Join(fmt.Errorf("cannot use the image %s that %s has made", id, in.ID), err)
	}
	of := Imported{in.Place, id, text(found.Name), snapshots(found), now()}
	tags := c.tags(t, nil)
	tags[TagToken] = in.Token
	if err := s.setTags(ctx, tags, slices.Concat([]string{id}, of.Snapshots)...); err != nil {
		return Imported{}, wrapAPI("tag "+id, "CreateTags", since(of.Made), err)
	}
	t.Say("%s is imported", id)
	return of, nil
}
