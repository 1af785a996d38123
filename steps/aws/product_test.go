package aws

import (
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// All images are told in Packer's order, with the machine that the first was made of.
func TestProduct(t *testing.T) {
	ready := func(region, id string) dag.Out[ReadyImage] {
		return dag.Lit(ReadyImage{Artifact: steps.Artifact{Kind: "image", ID: id, Region: region}})
	}
	made := Image{Machine: comm.Machine{Endpoint: comm.Endpoint{Host: "192.0.2.1"}}}
	got, err := Product{Of: dag.Lit(made), Images: []dag.Out[ReadyImage]{ready("us-east-1", "ami-1"), ready("eu-west-1", "ami-2")}}.Do(t.Context(), nil, task("t"))
	if err != nil || got.Builder != "mitchellh.amazonebs" || got.ID != "eu-west-1:ami-2,us-east-1:ami-1" || got.Machine.Host != "192.0.2.1" {
		t.Errorf("%+v %v", got, err)
	}
}
