package aws

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
)

// ImageReady waits until an image can be used. From then on the instance that it
// was made of is not needed, and the image is a result.
type ImageReady struct {
	Image dag.Out[Image] `json:"image" dag:"settle"`

	// The user's tags of the image and beside them of its snapshots, where they are
	// so many that some have to wait for the place of ours.
	Tags         map[string]string    `json:"tags,omitempty" dag:"late"`
	SnapshotTags map[string]string    `json:"snapshot_tags,omitempty" dag:"late"`
	Source       dag.Out[SourceImage] `json:"source"` // what late words in them stand for
}

// Artifact is a finished image.
type Artifact struct {
	Place
	ID        string   `json:"id"`
	Name      string   `json:"name"`
	Snapshots []string `json:"snapshots,omitempty"`
}

func (ImageReady) Kind() string  { return "aws.ready" }
func (ImageReady) Title() string { return "wait until the image is ready" }

// Do has no deadline: as long as AWS says that the image is pending, it is.
func (s ImageReady) Do(ctx context.Context, c *Cloud, t *dag.Task) (Artifact, error) {
	in := s.Image.Value()
	at, err := c.at(ctx, in.Place)
	if err != nil {
		return Artifact{}, err
	}
	t.Say("waiting until %s is ready", in.ID)
	watching, enough := context.WithCancel(ctx)
	defer enough()
	go at.progress(watching, t, in.Token)
	i, err := at.images.wait(ctx, t, in.ID, func(i types.Image) (bool, error) {
		switch i.State {
		case types.ImageStateAvailable:
			return true, nil
		case types.ImageStatePending, types.ImageStateTransient:
			return false, nil
		}
		why := "AWS gives no reason"
		if i.StateReason != nil && text(i.StateReason.Message) != "" {
			why = text(i.StateReason.Message)
		}
		return false, fmt.Errorf("cannot use %s: it is %s: %s", in.ID, i.State, why)
	})
	switch {
	case errors.Is(err, dag.ErrNotFound):
		return Artifact{}, fmt.Errorf("cannot wait for %s: the image does not exist any more", in.ID)
	case isCall(err):
		return Artifact{}, fault("wait for "+in.ID, "DescribeImages", old, err)
	case err != nil:
		return Artifact{}, err
	}
	a := Artifact{Place: in.Place, ID: in.ID, Name: in.Name, Snapshots: snapshots(i)}
	if err := s.mark(ctx, at, a, since(in.Made)); err != nil {
		return Artifact{}, err
	}
	t.Say("%s: %s is ready", a.Region, a.ID)
	return a, nil
}

// mark makes the image, of that age, and its snapshots results.
func (s ImageReady) mark(ctx context.Context, at *site, a Artifact, age time.Duration) error {
	doing := "mark " + a.ID + " as finished"
	if !s.Source.Set() {
		if err := at.finish(ctx, slices.Concat([]string{a.ID}, a.Snapshots)...); err != nil {
			return fault(doing, "CreateTags", age, err)
		}
		return nil
	}
	tags, err := s.Source.Value().lateTags("tags", s.Tags)
	if err != nil {
		return err
	}
	more, err := s.Source.Value().lateTags("snapshot_tags", s.SnapshotTags)
	if err != nil {
		return err
	}
	for _, of := range []struct {
		ids  []string
		tags map[string]string
	}{{[]string{a.ID}, tags}, {a.Snapshots, over(tags, more)}} {
		if len(of.ids) == 0 {
			continue
		}
		if call, err := at.finishCrowded(ctx, of.tags, of.ids...); err != nil {
			return fault(doing, call, age, err)
		}
	}
	return nil
}

// progress tells now and then how much of the snapshots is there. That it cannot
// be told is no reason to worry anybody.
func (s *site) progress(ctx context.Context, t *dag.Task, token string) {
	for pause(ctx, 15*time.Second) == nil {
		out, err := s.api.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, Filters: []types.Filter{filter("tag:"+TagToken, token)}})
		if err != nil || len(out.Snapshots) == 0 {
			continue
		}
		sum := int64(0)
		for _, sn := range out.Snapshots {
			n, _ := strconv.ParseInt(strings.TrimSuffix(text(sn.Progress), "%"), 10, 64) // empty is 0
			sum += n
		}
		if ctx.Err() == nil {
			t.Progress(sum/int64(len(out.Snapshots)), 100, "%")
		}
	}
}

// Label is what a user looks for at the end.
func (a Artifact) Label() string { return a.Region + ": " + a.ID }
