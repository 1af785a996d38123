package aws

import (
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

func TestAddProductCodes(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	of := w.ready("name")
	step := AddProductCodes{Of: dag.Lit(of), Codes: []string{"774F4FF8", "abc"}}
	if a := twice(t, w, step); a.ID != of.ID || a.Place != here {
		t.Errorf("%+v", a)
	}
	if codes := w.describeImage(of.ID).ProductCodes; len(codes) != 2 || text(codes[0].ProductCodeId) != "774F4FF8" {
		t.Errorf("%+v", codes)
	}
	refused(t, w, "ModifyImageAttribute", step, "cannot add product codes to "+of.ID+": ")
}
