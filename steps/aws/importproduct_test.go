package aws

import (
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
)

func TestImportProduct(t *testing.T) {
	of := made("disk.raw")
	image := ReadyImage{Artifact: steps.Artifact{Kind: "image", ID: "ami-1", Region: home}}
	got, err := ImportProduct{Of: dag.Lit(of), Image: dag.Lit(image)}.Do(t.Context(), nil, task("t"))
	if err != nil || got.Builder != "packer.post-processor.amazon-import" || got.ID != "us-east-1:ami-1" || len(got.Files) > 0 || got.Machine.Vars["ID"] != "i-1" {
		t.Errorf("%+v, %v", got, err)
	}
}
