package aws

import (
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

func TestNameImport(t *testing.T) {
	w := newImportWorld(t, ec2local.Options{})
	of := w.importedImage("r1")
	step := NameImport{Of: dag.Lit(of), Name: "mine", Description: "told", Tags: map[dag.Text]dag.Text{"os": "linux"}}
	testThing(t, w, step, func(a, b Image) bool { return a.ID == b.ID })
	m := must(step.Do(t.Context(), w.cloud, task("t2")))
	if i := w.describeImage(m.ID); text(i.Name) != "mine" || text(i.Description) != "told" || tagMap(i.Tags)["os"] != "linux" || text(i.SourceImageId) != of.ID {
		t.Errorf("%+v", i)
	}
	refused(t, w, "CopyImage", step, "cannot copy "+of.ID+" to us-east-1: ")
}
