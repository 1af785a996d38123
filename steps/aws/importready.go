package aws

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
)

// DescribeImport gives an imported image that keeps its name the user's description and tags.
// It is a result from then on.
type DescribeImport struct {
	Of          dag.Out[Imported]     `json:"of"`
	Description dag.Text              `json:"description,omitempty"`
	Tags        map[dag.Text]dag.Text `json:"tags,omitempty"`
}

func (DescribeImport) Kind() string  { return "aws.import-ready" }
func (DescribeImport) Title() string { return "describe and tag the image" }

// Do sets them; doing it twice is no error.
func (s DescribeImport) Do(ctx context.Context, c *Cloud, t *dag.Task) (ReadyImage, error) {
	of := s.Of.Value()
	at, err := c.at(ctx, of.Place)
	if err != nil {
		return ReadyImage{}, err
	}
	description, err := filled(t, "ami_description", s.Description)
	if err != nil {
		return ReadyImage{}, err
	}
	if description != "" {
		_, err := at.api.ModifyImageAttribute(ctx, &ec2.ModifyImageAttributeInput{ImageId: &of.ID, Description: &types.AttributeValue{Value: &description}})
		if err != nil {
			return ReadyImage{}, wrapAPI("describe "+of.ID, "ModifyImageAttribute", since(of.Made), err)
		}
	}
	ready := ReadyImage{Artifact: steps.Artifact{Kind: "image", ID: of.ID, Region: of.Region, Name: of.Name}, Account: of.Account, Snapshots: of.Snapshots}
	mark := ImageReady{}
	if exceedsTagLimit(s.Tags) {
		mark.Tags = s.Tags
	} else if len(s.Tags) > 0 {
		tags, err := filledTags(t, "tags", s.Tags)
		if err == nil {
			err = wrapAPI("tag "+of.ID, "CreateTags", since(of.Made), at.setTags(ctx, tags, slices.Concat([]string{of.ID}, of.Snapshots)...))
		}
		if err != nil {
			return ReadyImage{}, err
		}
	}
	if err := mark.mark(ctx, t, at, ready, since(of.Made)); err != nil {
		return ReadyImage{}, err
	}
	t.Say("%s: %s is ready", ready.Region, ready.ID)
	return ready, nil
}
