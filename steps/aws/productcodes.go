package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/imgflow/imgflow/dag"
)

// AddProductCodes gives a finished image product codes of AWS Marketplace.
type AddProductCodes struct {
	Of    dag.Out[ReadyImage] `json:"of"`
	Codes []string            `json:"codes"`
}

func (AddProductCodes) Kind() string  { return "aws.product-codes" }
func (AddProductCodes) Title() string { return "add product codes to the image" }

// Do adds the codes; doing it twice is no error.
func (s AddProductCodes) Do(ctx context.Context, c *Cloud, t *dag.Task) (Attributed, error) {
	of := s.Of.Value()
	at, err := c.at(ctx, of.place())
	if err != nil {
		return Attributed{}, err
	}
	t.Say("adding product codes to %s", of.ID)
	if _, err := at.api.ModifyImageAttribute(ctx, &ec2.ModifyImageAttributeInput{ImageId: &of.ID, ProductCodes: s.Codes}); err != nil {
		return Attributed{}, wrapAPI("add product codes to "+of.ID, "ModifyImageAttribute", 0, err)
	}
	return Attributed{of.place(), of.ID}, nil
}
