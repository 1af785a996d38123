package ec2local

import (
	"testing"

	"github.com/imgflow/imgflow/internal/ec2local/model"
)

// TestRequestsFitModel holds the Go structs of requests against the model: a
// field that the model does not have would never be filled.
func TestRequestsFitModel(t *testing.T) {
	for _, x := range []struct {
		svc   *model.Service
		table map[string]operation
	}{{model.EC2(), ec2Operations}, {model.STS(), stsOperations}, {model.IAM(), iamOperations}} {
		for name, op := range x.table {
			o := x.svc.Operations[name]
			if o == nil {
				t.Errorf("the model has no operation %s", name)
				continue
			}
			for _, w := range o.Fits(op.request) {
				t.Error(w)
			}
		}
		for name := range x.svc.Operations {
			if _, ok := x.table[name]; !ok {
				t.Errorf("the model has %s, which the endpoint has not", name)
			}
		}
	}
}
