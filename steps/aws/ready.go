package aws

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// ImageReady waits until an image can be used. From then on the instance that it
// was made of is not needed, and the image is a result.
type ImageReady struct {
	Image dag.Out[Image] `json:"image" dag:"detach"`
	// In its place: one that lets go of nothing, since it stands on its snapshots for as long as it is there.
	Registered dag.Out[Image] `json:"registered,omitzero"`

	// The user's tags of the image and beside them of its snapshots, where they are
	// so many that some have to wait for the place of ours.
	Tags         map[dag.Text]dag.Text `json:"tags,omitempty"`
	SnapshotTags map[dag.Text]dag.Text `json:"snapshot_tags,omitempty"`
	Source       dag.Out[SourceImage]  `json:"source"` // nobody reads it: the keys of runs that an earlier imgflow has begun have it

	Key       string `json:"key,omitempty"`       // that a copy is encrypted with, which EC2 looks at only by now
	Owner     string `json:"owner,omitempty"`     // the account that has it, if that is another one than the build's
	Temporary bool   `json:"temporary,omitempty"` // it is there to be copied, and no result
}

// ReadyImage is a finished image.
type ReadyImage struct {
	steps.Artifact
	Account   string   `json:"account,omitempty"`
	Snapshots []string `json:"snapshots,omitempty"`

	// Of an image that is no result, the machine that it was made of.
	Temporary bool         `json:"temporary,omitempty"`
	Machine   comm.Machine `json:"machine,omitzero"`
}

// Artifacts is the image, unless it is no result.
func (i ReadyImage) Artifacts() []steps.Artifact {
	if i.Temporary {
		return nil
	}
	return i.Artifact.Artifacts()
}

func (i ReadyImage) place() Place { return Place{i.Account, i.Region} }

func (ImageReady) Kind() string  { return "aws.ready" }
func (ImageReady) Title() string { return "wait until the image is ready" }

// Do has no deadline: as long as AWS says that the image is pending, it is.
func (s ImageReady) Do(ctx context.Context, c *Cloud, t *dag.Task) (ReadyImage, error) {
	in, until := s.image()
	at, i, err := c.available(ctx, t, in, until)
	var failed *failedImage
	switch {
	case errors.As(err, &failed) && s.Key != "":
		who := "you use it"
		if s.Owner != "" {
			who = "the role of the account " + s.Owner + " use it, and whether the key of the image does"
		}
		return ReadyImage{}, fmt.Errorf("%w; it was to be encrypted with %s: look whether that key is there in %s, is enabled, and lets %s, then resume", err, s.Key, in.Region, who)
	case err != nil:
		return ReadyImage{}, err
	}
	a := ReadyImage{Artifact: steps.Artifact{Kind: "image", ID: in.ID, Region: in.Region, Name: in.Name, Owner: s.Owner}, Account: in.Account, Snapshots: snapshots(i)}
	if s.Temporary {
		a.Temporary, a.Machine = true, in.Machine
		t.Say("%s can be copied", a.Label())
		return a, nil
	}
	if err := s.mark(ctx, t, at, a, since(in.Made)); err != nil {
		return ReadyImage{}, err
	}
	t.Say("%s is ready", a.Label())
	return a, nil
}

// image is what is waited for, and how long that usually takes.
func (s ImageReady) image() (Image, expected) {
	if s.Registered.Set() {
		return s.Registered.Value(), untilRegistered
	}
	return s.Image.Value(), untilAvailable
}

// failedImage is why EC2 has not made an image.
type failedImage struct{ error }

// available waits until an image can be used. One that EC2 has given up is of no use and
// still has its name: it is removed, so that a resume makes it anew.
func (c *Cloud) available(ctx context.Context, t *dag.Task, in Image, until expected) (*site, types.Image, error) {
	at, err := c.at(ctx, in.Place)
	if err != nil {
		return nil, types.Image{}, err
	}
	t.Say("waiting until %s is ready", in.ID)
	defer at.progress.watch(ctx, asker{t, at.listProgress}, in.Token)()
	i, err := at.images.wait(ctx, t, in.ID, until.since(in.Made), func(i types.Image) (bool, error) {
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
		return false, &failedImage{fmt.Errorf("cannot use %s in %s: it is %s: %s", in.ID, in.Region, i.State, why)}
	})
	switch {
	case errors.As(err, new(*failedImage)):
		return nil, i, errors.Join(err, at.removeImage(ctx, in))
	case errors.Is(err, dag.ErrNotFound):
		return nil, i, fmt.Errorf("cannot wait for %s: the image does not exist any more", in.ID)
	case isCall(err):
		return nil, i, wrapAPI("wait for "+in.ID, "DescribeImages", old, err)
	}
	return at, i, err
}

// mark makes the image, of that age, and its snapshots results.
func (s ImageReady) mark(ctx context.Context, t *dag.Task, at *site, a ReadyImage, age time.Duration) error {
	doing := "mark " + a.ID + " as finished"
	if len(s.Tags)+len(s.SnapshotTags) == 0 {
		if err := at.markFinished(ctx, slices.Concat([]string{a.ID}, a.Snapshots)...); err != nil {
			return wrapAPI(doing, "CreateTags", age, err)
		}
		return nil
	}
	tags, err := filledTags(t, "tags", s.Tags)
	if err != nil {
		return err
	}
	more, err := filledTags(t, "snapshot_tags", s.SnapshotTags)
	if err != nil {
		return err
	}
	for _, of := range []struct {
		ids  []string
		tags map[string]string
	}{{[]string{a.ID}, tags}, {a.Snapshots, mergeTags(tags, more)}} {
		if len(of.ids) == 0 {
			continue
		}
		if call, err := at.markFinishedAtTagLimit(ctx, of.tags, of.ids...); err != nil {
			return wrapAPI(doing, call, age, err)
		}
	}
	return nil
}

// Label is what a user looks for at the end.
func (i ReadyImage) Label() string {
	if i.Owner != "" {
		return i.Owner + ": " + i.Region + ": " + i.ID
	}
	return i.Region + ": " + i.ID
}
