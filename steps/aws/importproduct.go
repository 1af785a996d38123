package aws

import (
	"context"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
)

// ImportProduct tells post-processors which image was imported.
type ImportProduct struct {
	Of    dag.Out[steps.Product] `json:"of"` // what was imported; it knows the machine, if there was one
	Image dag.Out[ReadyImage]    `json:"image"`
}

func (ImportProduct) Kind() string  { return "aws.import-product" }
func (ImportProduct) Title() string { return "gather what was imported" }

// Do asks nobody.
func (s ImportProduct) Do(_ context.Context, _ *Cloud, _ *dag.Task) (steps.Product, error) {
	i := s.Image.Value()
	return steps.Product{Builder: "packer.post-processor.amazon-import", ID: i.Region + ":" + i.ID, Machine: s.Of.Value().Machine}, nil
}
