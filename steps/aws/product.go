package aws

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
)

// Product tells post-processors which images a build has made.
type Product struct {
	Of      dag.Out[Image]        `json:"of"` // the first, which knows its machine
	Images  []dag.Out[ReadyImage] `json:"images"`
	Builder string                `json:"builder,omitempty"` // that of amazon-ebs if it is not given
}

func (Product) Kind() string  { return "aws.product" }
func (Product) Title() string { return "gather what was made" }

// Do asks nobody. The order is Packer's, whose readers may rely on it.
func (s Product) Do(_ context.Context, _ *Cloud, _ *dag.Task) (steps.Product, error) {
	var ids []string
	for _, i := range s.Images {
		ids = append(ids, i.Value().Region+":"+i.Value().ID)
	}
	slices.Sort(ids)
	return steps.Product{Builder: cmp.Or(s.Builder, "mitchellh.amazonebs"), ID: strings.Join(ids, ","), Machine: s.Of.Value().Machine}, nil
}
