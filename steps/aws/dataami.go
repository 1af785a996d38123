package aws

import (
	"context"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
)

// AMIOptions looks for an image of EC2, as source_ami_filter does.
type AMIOptions struct {
	Access
	SourceFilter

	cloud *Cloud
	place Place // since Prepare
}

// DataAMI looks for an image.
type DataAMI struct {
	Place
	SourceFilter
}

// FoundAMI is what templates see of the image.
type FoundAMI struct {
	ID           string            `json:"id"`
	Name         string            `json:"name"`
	CreationDate string            `json:"creation_date"`
	Owner        string            `json:"owner"`
	OwnerName    string            `json:"owner_name"`
	Tags         map[string]string `json:"tags"`
}

// Check says what is wrong with the options.
func (o *AMIOptions) Check() []steps.OptionError {
	f := optionErrors{OptionErrors: o.Access.optionErrors()}
	if len(o.Filters) == 0 {
		f.Add("filters", "must be set, such as name: without any every image of the owners fits")
	}
	if len(o.Owners) == 0 {
		f.Add("owners", "must be set, such as self or an account: an image of that name by anybody could be chosen otherwise")
	}
	f.each("owners", o.Owners, wrongOwner)
	return f.OptionErrors
}

// Prepare finds out where to look.
func (o *AMIOptions) Prepare(ctx context.Context) error {
	return o.cloud.locate(ctx, &o.Access, &o.place)
}

func (*AMIOptions) Output() any { return FoundAMI{} }

// Add adds the step that looks.
func (o *AMIOptions) Add(g *dag.Graph, b dag.Build, name string) dag.Key {
	return dag.Add(g, b, name, DataAMI{o.place, o.SourceFilter}).Key()
}

func (DataAMI) Kind() string    { return "aws.data-ami" }
func (DataAMI) Common()         {}
func (s DataAMI) Title() string { return "look for an image" }

// Do asks for the images that fit and chooses one.
func (s DataAMI) Do(ctx context.Context, c *Cloud, t *dag.Task) (FoundAMI, error) {
	at, err := c.site(ctx, s.Place)
	if err != nil {
		return FoundAMI{}, err
	}
	image, err := search{s.Place, SourceOptions{Filter: s.SourceFilter}, "an image"}.do(ctx, at)
	if err != nil {
		return FoundAMI{}, err
	}
	found := FoundAMI{text(image.ImageId), text(image.Name), text(image.CreationDate), text(image.OwnerId), text(image.ImageOwnerAlias), tagMap(image.Tags)}
	t.Say("found image %s (%s)", found.ID, found.Name)
	return found, nil
}
