package aws

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/imgflow/imgflow/dag"
)

// CopyImage copies a finished image to another region. The copy is an Image of
// its own, for which another ImageReady waits.
type CopyImage struct {
	Place                              // where to
	Of           dag.Out[ReadyImage]   `json:"of" dag:"attach"`
	Name         string                `json:"name,omitempty"` // "" is that of the image
	Source       dag.Out[SourceImage]  `json:"source"`         // nobody reads it: the keys of runs that an earlier imgflow has begun have it
	Description  dag.Text              `json:"description,omitempty"`
	Tags         map[dag.Text]dag.Text `json:"tags,omitempty"`
	SnapshotTags map[dag.Text]dag.Text `json:"snapshot_tags,omitempty"`
	Minutes      int                   `json:"minutes,omitempty"` // to be done in that time; 0 leaves it to AWS
	Encrypt      Encrypt               `json:"encrypt,omitzero"`

	Free    dag.Out[Deregistered] `json:"free" key:"-"`             // what only has to come first
	Through AssumeRole            `json:"through,omitzero" key:"-"` // the role of the place's account, if it is another one
}

func (CopyImage) Kind() string    { return "aws.copy" }
func (CopyImage) Common()         {}
func (s CopyImage) Title() string { return "copy the image to " + s.where() }

// where is where the copy will be, in words.
func (s CopyImage) where() string {
	if owner := ownerOf(s.Through.RoleARN); owner != "" {
		return s.Region + " of the account " + owner
	}
	return s.Region
}

// Patience covers the limit on copies at once.
func (CopyImage) Patience() time.Duration { return 30 * time.Minute }

// Do asks for the copy; its client token makes a repeated call give back the same
// image.
func (s CopyImage) Do(ctx context.Context, c *Cloud, t *dag.Task) (Image, error) {
	of := s.Of.Value()
	at, err := c.at(ctx, s.Place)
	if err != nil {
		return Image{}, err
	}
	description, specs, err := c.words(t, s.Description, s.Tags, s.SnapshotTags)
	if err != nil {
		return Image{}, err
	}
	name := cmp.Or(s.Name, of.Name)
	in := &ec2.CopyImageInput{
		ClientToken: ptr(clientToken(t.Token, 0)), Name: &name, Description: optional(description), SourceImageId: &of.ID, SourceRegion: &of.Region,
		TagSpecifications: specs,
	}
	if s.Minutes > 0 {
		in.SnapshotCopyCompletionDurationMinutes = ptr(int64(s.Minutes))
	}
	if s.Encrypt.All {
		in.Encrypted, in.KmsKeyId = ptr(true), optional(s.Encrypt.Key)
	}
	if of.Temporary { // what is found by its token knows no machine
		if err := t.Save(machineOf, of.Machine); err != nil {
			return Image{}, dag.NotMade(err)
		}
	}
	if s.Through.RoleARN != "" { // nobody looks for it in all of the accounts
		if err := t.Save(placeOfImage, s.Place); err != nil {
			return Image{}, dag.NotMade(err)
		}
	}
	t.Say("copying %s to %s", of.ID, s.where())
	out, err := at.api.CopyImage(ctx, in)
	if err == nil {
		return Image{Place: s.Place, ID: text(out.ImageId), Name: name, Token: t.Token, Made: now(), Machine: of.Machine}, nil
	}
	if classify("CopyImage", 0, err).class == alreadyExists {
		image, lookErr := at.image(ctx, t)
		if lookErr == nil {
			return image, nil
		}
	}
	doing := "copy " + of.ID + " to " + s.where()
	if _, message := apiError(err); s.Through.RoleARN != "" && strings.Contains(message, "permission to access the storage") {
		return Image{}, dag.Retry(fmt.Errorf("cannot %s: EC2 does not show yet that its snapshots are shared: %w", doing, err), 0)
	}
	return Image{}, missed(s.Free, asNotMade(doing, "CopyImage", 0, err))
}
