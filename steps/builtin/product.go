package builtin

import (
	"context"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// Product tells post-processors what a build has made: a file, or nothing but a
// machine in another state.
type Product struct {
	Machine dag.Out[comm.Machine] `json:"machine"`
	Written dag.Out[Written]      `json:"written"`
}

func (Product) Kind() string  { return "builtin.product" }
func (Product) Title() string { return "gather what was made" }

// Do says it in Packer's words.
func (s Product) Do(context.Context, *comm.Env, *dag.Task) (steps.Product, error) {
	if s.Machine.Set() {
		return steps.Product{Builder: "fnoeding.null", ID: "Null", Machine: s.Machine.Value()}, nil
	}
	none := comm.Machine{Endpoint: comm.Endpoint{Protocol: "none", Vars: map[string]string{"ID": noID}}}
	return steps.Product{Builder: "packer.file", ID: "File", Files: []string{s.Written.Value().Name}, Machine: none}, nil
}
