package aws

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/errcode"
)

// NameCheck finds out early whether the name of the image is free.
type NameCheck struct {
	Place
	Name  string `json:"name"`
	Force bool   `json:"force,omitempty"` // images of that name will be deregistered

	Access dag.Out[CheckedAccess] `json:"granted" key:"-"` // what only has to come first
}

// Namesakes are the caller's images that have the name already.
type Namesakes struct {
	IDs []string `json:"ids,omitempty"`
}

func (NameCheck) Kind() string { return "aws.name" }
func (NameCheck) Common()      {}
func (s NameCheck) Title() string {
	return fmt.Sprintf(`check that the name "%s" is free in %s`, s.Name, s.Region) // not quoted: it may hold a mark
}

// Do fails when the name is taken, unless the owner of the name has to give way.
func (s NameCheck) Do(ctx context.Context, c *Cloud, t *dag.Task) (Namesakes, error) {
	if why := wrongName(s.Name); why != "" { // a sensitive one, which nobody could read before
		return Namesakes{}, fmt.Errorf("cannot use ami_name: %s", why)
	}
	at, err := c.at(ctx, s.Place)
	if err != nil {
		return Namesakes{}, err
	}
	ids, err := at.namesakes(ctx, s.Name)
	if err != nil {
		return Namesakes{}, err
	}
	if len(ids) > 0 && !s.Force {
		return Namesakes{}, errcode.With(errcode.NameTaken, fmt.Errorf("cannot use ami_name %q: %s has it already; choose another name, or set force_deregister to replace it", s.Name, list(ids)))
	}
	return Namesakes{IDs: ids}, nil
}

// namesakes are the caller's own images of a name.
func (s *site) namesakes(ctx context.Context, name string) ([]string, error) {
	out, err := s.named(ctx, &imageNames{[]string{name}})
	if err != nil {
		return nil, wrapAPI(fmt.Sprintf("look for images called %q", name), "DescribeImages", old, err)
	}
	return (*out)[name], nil
}

// imageNames are names that are looked for in one call.
type imageNames struct{ Names []string }

// imagesNamed are the ids of images, by name.
type imagesNamed map[string][]string

// lookForNames looks for images of several names, of which none has the characters that a
// filter takes for more than themselves.
func (s *site) lookForNames(ctx context.Context, in *imageNames, _ ...func(*ec2.Options)) (*imagesNamed, error) {
	out, err := s.api.DescribeImages(ctx, &ec2.DescribeImagesInput{Owners: []string{"self"}, Filters: []types.Filter{filter("name", in.Names...)}, IncludeDeprecated: ptr(true)})
	if err != nil {
		return nil, err
	}
	m := imagesNamed{}
	for _, i := range out.Images {
		m[text(i.Name)] = append(m[text(i.Name)], *i.ImageId)
	}
	return &m, nil
}
