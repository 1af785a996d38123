package builtin

import (
	"slices"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

func TestProduct(t *testing.T) {
	machine := comm.Machine{Endpoint: comm.Endpoint{Host: "192.0.2.1"}}
	got, err := Product{Machine: dag.Lit(machine)}.Do(t.Context(), nil, nil)
	if err != nil || got.Builder != "fnoeding.null" || got.ID != "Null" || got.Machine.Host != "192.0.2.1" || got.Files != nil {
		t.Errorf("%+v %v", got, err)
	}
	written := Written{Artifact: steps.Artifact{ID: "/home/user/out/a", Name: "out/a"}}
	got, err = Product{Written: dag.Lit(written)}.Do(t.Context(), nil, nil)
	if err != nil || got.Builder != "packer.file" || got.ID != "File" || !slices.Equal(got.Files, []string{"out/a"}) || got.Machine.Vars["ID"] == "" {
		t.Errorf("%+v %v", got, err)
	}
}
